//! Whether the process is alive and ready, for load balancers and supervisors.

use std::sync::{Arc, Mutex, PoisonError};

use super::names;

/// What the process is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum HealthState {
    /// Reading configuration, opening files.
    #[default]
    Starting,
    /// Rebuilding state from checkpoint and journal.
    Recovering {
        /// Octets of the journal replayed so far.
        done_bytes: u64,
        /// Octets to replay in all; 0 = not known yet.
        total_bytes: u64,
    },
    /// Serving.
    Ready,
    /// Serving what has begun. New sessions and changes over the API are refused, because the disk has no room for them.
    ShortOfSpace,
    /// Shutting down: answers what is in flight, takes nothing new.
    Draining,
    /// Stopped for good, such as after a failed sync; a supervisor should restart it.
    Failed(String),
}

impl HealthState {
    /// One line for people.
    pub fn describe(&self) -> String {
        match self {
            Self::Starting => "starting".into(),
            Self::Recovering { total_bytes: 0, .. } => "recovering".into(),
            Self::Recovering { done_bytes, total_bytes } => format!("recovering: {done_bytes} of {total_bytes} octets"),
            Self::Ready => "ready".into(),
            Self::ShortOfSpace => "short of space: nothing new is taken on until there is room on the disk".into(),
            Self::Draining => "draining".into(),
            Self::Failed(reason) => format!("failed: {reason}"),
        }
    }
}

/// The state, shared by those who change it and the HTTP endpoint. Clones are the same object.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<HealthState>>);

impl Health {
    /// Starting.
    pub fn new() -> Self {
        Self::default()
    }

    /// Changes the state. `Failed` stays: nothing brings a process back that may have lost what it promised.
    pub fn set(&self, state: HealthState) {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*current, HealthState::Failed(_)) {
            return;
        }
        metrics::gauge!(names::READY).set(if state == HealthState::Ready { 1.0 } else { 0.0 });
        *current = state;
    }

    /// A node that is ready has no room for more, or has again; one that is not ready stays as it is. Not ready is what a load
    /// balancer understands: it keeps the connections that there are and makes new ones elsewhere.
    pub fn set_short_of_space(&self, short: bool) {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = match *current {
            HealthState::Ready if short => HealthState::ShortOfSpace,
            HealthState::ShortOfSpace if !short => HealthState::Ready,
            _ => return,
        };
        metrics::gauge!(names::READY).set(if short { 0.0 } else { 1.0 });
        *current = next;
    }

    /// The state now.
    pub fn get(&self) -> HealthState {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether requests are served.
    pub fn is_ready(&self) -> bool {
        self.get() == HealthState::Ready
    }
}
