//! The durable log of what happened, and snapshots of the state.

pub mod record;
pub mod snapshot;
