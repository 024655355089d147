//! Push: Tollgate as the client of a `ProvisioningSink`. Events go out in order, each until it was accepted.

use std::{future::Future, sync::Arc, time::Duration};

use prost::Message;

use super::{
    backoff::Backoff,
    client::{Bearer, Channel, endpoint},
    notices::event_of,
    v1,
    v1::provisioning_sink_client::ProvisioningSinkClient,
};
use crate::{
    config::{self, BadFile, SystemEnvironment},
    journal::{Durable, Fatal},
    store::{CursorTooOld, Store},
    telemetry::names,
};

/// The name under which the outbox remembers how far the sink has come.
pub const PUSH_CONSUMER: &str = "push";

/// A connection attempt that takes longer is given up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A batch that is not accepted in this time is sent again.
const DELIVER_TIMEOUT: Duration = Duration::from_secs(30);
/// Octets of one batch: well below the 4 MiB that gRPC servers accept by default. One event is always sent.
const BATCH_OCTETS_MAX: usize = 1 << 20;

/// Why there is no push, or no more.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The configured endpoint is no URL.
    #[error("events.push: `{url}` is not an endpoint: {source}")]
    Endpoint {
        /// As configured.
        url: String,
        /// What is wrong.
        source: tonic::transport::Error,
    },
    /// A file or a variable that is shown to the sink cannot be used.
    #[error("events.{0}")]
    Credentials(String),
    /// Nothing becomes durable any more.
    #[error(transparent)]
    Journal(#[from] Fatal),
}

/// Pushes events to the configured sink until `shutdown` resolves; returns at once if none is configured. A batch that is
/// under way at shutdown may have been accepted: it is sent again after the next start.
///
/// # Errors
/// The endpoint is no URL, what is shown there cannot be used, or the journal has ended.
pub async fn run(
    store: Arc<Store>,
    config: config::Events,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), PushError> {
    if config.push.is_empty() {
        return Ok(());
    }
    let unusable = |(key, why): BadFile| PushError::Credentials(format!("{key}: {why}"));
    let pems = config.push_pems().map_err(unusable)?;
    let token = config.push_token(&SystemEnvironment).map_err(unusable)?;
    let endpoint = endpoint(&config.push, pems);
    let endpoint = endpoint.map_err(|source| PushError::Endpoint { url: config.push.clone(), source })?;
    let bearer = Bearer::new(token.as_ref()).map_err(|error| PushError::Credentials(format!("push_token: {error}")))?;
    // Connects with the first batch, and anew whenever the connection is lost.
    let channel = endpoint.connect_timeout(CONNECT_TIMEOUT).timeout(DELIVER_TIMEOUT).connect_lazy();
    let pusher = Pusher {
        backoff: Backoff::new(Duration::from_secs(config.retry_max_secs)),
        sink: ProvisioningSinkClient::with_interceptor(channel, bearer),
        config,
        store,
    };
    tokio::select! {
        fatal = pusher.push() => Err(fatal.into()),
        () = shutdown => Ok(()),
    }
}

struct Pusher {
    store: Arc<Store>,
    config: config::Events,
    sink: ProvisioningSinkClient<Channel>,
    backoff: Backoff,
}

impl Pusher {
    /// Delivers for ever.
    async fn push(mut self) -> Fatal {
        loop {
            if let Err(fatal) = self.step().await {
                return fatal;
            }
        }
    }

    /// Delivers one batch, or waits for one. The cursor is read each time: an operator may have moved it past an event
    /// that the sink cannot take.
    async fn step(&mut self) -> Result<(), Fatal> {
        let Some(cursor) = self.store.outbox().acknowledged(PUSH_CONSUMER) else {
            // From now on events are kept until the sink has them.
            return self.acknowledge(0).await;
        };
        let batch = match self.store.outbox().after(cursor, self.config.batch_max, self.store.mark()) {
            Ok(batch) => batch,
            Err(CursorTooOld { kept_after }) => {
                // Events of the time before the sink was configured, or more than `events.keep_max` that it did not take.
                tracing::warn!(cursor, kept_after, "the first events for the sink are no longer kept");
                return self.acknowledge(kept_after).await;
            }
        };
        let Some(events) = self.events(&batch) else {
            return self.store.outbox().wait_after(cursor, self.store.mark()).await;
        };
        let last = events.last().map_or(cursor, |event| event.cursor);
        let count = events.len();
        match self.sink.deliver(v1::DeliverRequest { events }).await {
            Ok(_) => {
                self.backoff.reset();
                self.acknowledge(last).await
            }
            Err(status) => {
                let pause = self.backoff.pause();
                metrics::counter!(names::EVENT_PUSH_FAILURES).increment(1);
                let (code, message) = (super::code_name(status.code()), status.message());
                tracing::warn!(code, message, count, ?pause, "the sink did not accept events; they are sent again");
                tokio::time::sleep(pause).await;
                Ok(())
            }
        }
    }

    /// As many of these as fit a message; `None` = there are none.
    fn events(&self, batch: &[(u64, Arc<crate::charging::Notice>)]) -> Option<Vec<v1::Event>> {
        let (mut events, mut octets) = (Vec::new(), 0);
        for (cursor, notice) in batch {
            let event = event_of(&self.store, *cursor, notice);
            octets += event.encoded_len();
            if octets > BATCH_OCTETS_MAX && !events.is_empty() {
                break;
            }
            events.push(event);
        }
        (!events.is_empty()).then_some(events)
    }

    async fn acknowledge(&self, cursor: u64) -> Result<(), Fatal> {
        let pending = self.store.acknowledge(PUSH_CONSUMER, cursor);
        self.store.mark().durable(pending).await.map(Durable::into_inner)
    }
}
