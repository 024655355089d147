//! Tells how much room there is on the disks: in metrics, in the log and as health.

use std::{sync::Arc, time::Duration};

use crate::{
    journal::Space,
    store::Store,
    telemetry::{Health, names},
};

/// How often it is looked: a load balancer asks every few seconds.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What is to be called again and again.
pub(super) fn watch(store: &Arc<Store>, health: Health) -> impl FnMut() + Send + 'static {
    let store = Arc::clone(store);
    let mut told = Space::Enough;
    move || {
        for (directory, bytes) in store.free_bytes() {
            metrics::gauge!(names::STORE_FREE_BYTES, "directory" => directory).set(bytes as f64);
        }
        let space = store.room().space();
        metrics::gauge!(names::STORE_SHORT_OF_SPACE).set(if space == Space::Enough { 0.0 } else { 1.0 });
        health.set_short_of_space(space != Space::Enough);
        if space == told {
            return;
        }
        match space {
            Space::Enough => tracing::info!("there is room on the disk again: all requests are accepted"),
            Space::Short => tracing::error!(
                "no room on the disk for the next segment of the journal: new sessions and events, and changes over the API, are \
                 refused until there is; running sessions go on for as long as the present segment lasts"
            ),
            Space::Reserved => {
                tracing::error!("the journal has room for nothing more: all requests are refused until there is");
            }
        }
        told = space;
    }
}
