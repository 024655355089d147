//! The gRPC services (`proto/tollgate/v1`), one file each, and the delivery of business events.
//!
//! Thin: a request is checked and turned into a command, the store executes it, and what comes back is answered when it
//! is durable. Statuses say exactly what is wrong; see `status`.

pub mod access;
mod accounts;
mod approval;
mod audit;
mod backoff;
mod balances;
mod bulk;
mod by;
mod catalog;
pub mod client;
mod convert;
mod events;
mod explain;
mod health;
mod history;
mod manage;
mod members;
mod notices;
mod products;
pub mod push;
mod records;
mod server;
mod sessions;
mod status;
#[cfg(test)]
pub(crate) mod tests;
mod throttle;
mod vouchers;
mod what_if;

use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use self::{
    audit::entry as audit_message,
    by::RefusalTrail,
    records::{record as record_message, totals as record_totals},
    server::{ServeError, serve},
    status::code_name,
};
use crate::{config::Approval, rating::Catalog, store::Store, telemetry::Health};

/// The generated messages, clients and servers of `tollgate.v1`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::unwrap_used,
    reason = "generated; the .proto files document it"
)]
pub mod v1 {
    tonic::include_proto!("tollgate.v1");
}

/// Subscriptions to events at a time: each costs a task, and provisioning has a few.
pub const SUBSCRIPTIONS_MAX: usize = 256;

/// Says why a catalog must not be published.
#[derive(Clone, Default)]
struct Fitness(Option<Arc<FitnessCheck>>);

type FitnessCheck = dyn Fn(&Catalog) -> Result<(), String> + Send + Sync;

impl Fitness {
    fn check(&self, catalog: &Catalog) -> Result<(), String> {
        self.0.as_ref().map_or(Ok(()), |fits| fits(catalog))
    }
}

impl std::fmt::Debug for Fitness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Fitness").field(&self.0.is_some()).finish()
    }
}

/// What the services share. Clones are the same object.
#[derive(Debug, Clone)]
pub struct Api {
    store: Arc<Store>,
    health: Health,
    /// Cancelled when the server shuts down: open streams end.
    closing: CancellationToken,
    subscriptions: Arc<Semaphore>,
    /// One reckoning at a time: each takes a core and some memory.
    what_ifs: Arc<Semaphore>,
    /// Wrong voucher codes of accounts and callers.
    guesses: Arc<throttle::Throttle>,
    fitness: Fitness,
    approval: Approval,
    /// See `batches_alone`.
    batches: Arc<Mutex<()>>,
}

impl Api {
    /// The services on a store. `health` is told to those who ask the standard health service.
    pub fn new(store: Arc<Store>, health: Health) -> Self {
        Self {
            store,
            health,
            closing: CancellationToken::new(),
            subscriptions: Arc::new(Semaphore::new(SUBSCRIPTIONS_MAX)),
            what_ifs: Arc::new(Semaphore::new(1)),
            guesses: Arc::default(),
            fitness: Fitness::default(),
            approval: Approval::default(),
            batches: Arc::default(),
        }
    }

    /// The same, with other limits above which a second person must approve.
    #[must_use]
    pub fn approving(self, approval: Approval) -> Self {
        Self { approval, ..self }
    }

    /// The same, with something that says why a catalog must not be published: what peers are configured to do may depend
    /// on it.
    #[must_use]
    pub fn publishing_only(self, fits: impl Fn(&Catalog) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self { fitness: Fitness(Some(Arc::new(fits))), ..self }
    }
}
