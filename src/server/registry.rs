//! Which connections are open, and over which of them a client can be reached.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use dashmap::DashMap;
use tokio::sync::{
    Notify,
    mpsc::{self, error::TrySendError},
};

use crate::ids::{SessionId, SessionKey};

/// Requests of ours that wait to be sent on one connection: more are not queued, they are tried again later.
const COMMANDS_MAX: usize = 1_024;

/// Open connections and routes to clients.
#[derive(Debug, Default)]
pub(super) struct Registry {
    count: Arc<Count>,
    /// The connections over which requests of an Origin-Host have come (spec B-135), by its name in lower case; never empty.
    /// The newest is used first, the others when it is gone or busy.
    routes: DashMap<Box<str>, Vec<Commands>, ahash::RandomState>,
}

#[derive(Debug, Default)]
struct Count {
    open: AtomicUsize,
    changed: Notify,
}

/// A connection's place in the count; dropped with it.
#[derive(Debug)]
pub(super) struct Place(Arc<Count>);

/// What a connection is asked to do. The number tells connections apart.
#[derive(Debug, Clone)]
pub(super) struct Commands {
    pub(super) connection: u64,
    pub(super) sender: mpsc::Sender<Command>,
}

/// Where the Result-Codes of answers to RARs go, with the session's key.
pub(super) type Answers = mpsc::Sender<(SessionKey, u32)>;

/// Something to be sent by a connection.
#[derive(Debug)]
pub(super) enum Command {
    /// An RAR; the Result-Code of the answer goes to `answer`.
    ReAuthorise { session: SessionId, key: SessionKey, host: Arc<str>, realm: Arc<str>, answer: Answers },
}

impl Registry {
    /// Room for one more connection, if there is any.
    pub(super) fn enter(&self, max: usize) -> Option<Place> {
        let room = |open: usize| (open < max).then_some(open + 1);
        self.count.open.fetch_update(Ordering::AcqRel, Ordering::Acquire, room).ok()?;
        Some(Place(Arc::clone(&self.count)))
    }

    pub(super) fn len(&self) -> usize {
        self.count.open.load(Ordering::Acquire)
    }

    pub(super) async fn all_gone(&self) {
        loop {
            let changed = self.count.changed.notified();
            if self.len() == 0 {
                return;
            }
            changed.await;
        }
    }

    /// The way to a client is over this connection now.
    pub(super) fn route(&self, host: &str, commands: &Commands) {
        let mut ways = self.routes.entry(host.to_ascii_lowercase().into()).or_default();
        ways.retain(|way| way.connection != commands.connection);
        ways.push(commands.clone());
    }

    /// The ways over this connection are gone.
    pub(super) fn forget(&self, connection: u64) {
        self.routes.retain(|_, ways| {
            ways.retain(|way| way.connection != connection);
            !ways.is_empty()
        });
    }

    /// Whether a client can be reached.
    pub(super) fn reaches(&self, host: &str) -> bool {
        self.routes.contains_key(host.to_ascii_lowercase().as_str())
    }

    /// Hands a command to a connection that leads to a client. `false`: there is none, or all are too busy.
    pub(super) fn send(&self, host: &str, mut command: Command) -> bool {
        let Some(ways) = self.routes.get(host.to_ascii_lowercase().as_str()) else { return false };
        for way in ways.iter().rev() {
            match way.sender.try_send(command) {
                Ok(()) => return true,
                Err(TrySendError::Full(back) | TrySendError::Closed(back)) => command = back,
            }
        }
        false
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
        self.0.changed.notify_waiters();
    }
}

/// The queue of a new connection.
pub(super) fn commands(connection: u64) -> (Commands, mpsc::Receiver<Command>) {
    let (sender, receiver) = mpsc::channel(COMMANDS_MAX);
    (Commands { connection, sender }, receiver)
}
