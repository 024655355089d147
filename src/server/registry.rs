//! Which connections are open, and over which of them a client can be reached.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use dashmap::DashMap;
use tokio::sync::{
    Notify,
    mpsc::{self, error::TrySendError},
};

use crate::{
    diameter::ResultCode,
    ids::{PartitionId, SessionId, SessionNo},
};

/// Requests of ours that wait to be sent on one connection: more are not queued, they are tried again later.
const COMMANDS_MAX: usize = 1_024;
/// Connections that lead to one client. It has one, or comes by a few relays; those unused longest are left out.
const WAYS_MAX: usize = 8;

/// Open connections and routes to clients.
#[derive(Debug, Default)]
pub(super) struct Registry {
    count: Arc<Count>,
    /// By Origin-Host in lower case.
    routes: DashMap<Box<str>, Arc<Route>, ahash::RandomState>,
    /// Moves on when a client comes within reach or gets out of it.
    changes: AtomicU64,
}

#[derive(Debug, Default)]
struct Count {
    open: AtomicUsize,
    changed: Notify,
}

/// A connection's place in the count; dropped with it.
#[derive(Debug)]
pub(super) struct Place(Arc<Count>);

/// The open connections that lead to one client. Requests of ours take the one over which its last request came (spec
/// B-135), the others when that one is gone.
#[derive(Debug, Default)]
pub(super) struct Route {
    /// The connection that `ways` begins with. Each request of the client looks here, without the lock.
    preferred: AtomicU64,
    /// The last used first.
    ways: Mutex<Vec<Commands>>,
}

/// What a connection is asked to do. The number tells connections apart.
#[derive(Debug, Clone)]
pub(super) struct Commands {
    pub(super) connection: u64,
    pub(super) sender: mpsc::Sender<Command>,
}

/// A request of ours, to be sent by a connection.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) what: What,
    pub(super) session: SessionId,
    /// CC-Sub-Session-Id; 0 = none.
    pub(super) sub_session: u64,
    /// Where it goes.
    pub(super) host: Arc<str>,
    pub(super) realm: Arc<str>,
    pub(super) errand: Errand,
}

/// What a client is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// RAR: report and ask anew, for one Rating-Group or for all.
    ReAuthorise { group: Option<u32> },
    /// ASR: end the session.
    Abort,
}

/// A session, by its numbers: cheap to hash, and no peer can choose them.
pub(super) type SessionRef = (PartitionId, SessionNo);

/// A request of ours that is under way: who asked for it hears what became of it.
#[derive(Debug)]
pub(super) struct Errand {
    pub(super) session: SessionRef,
    /// Tells a late outcome from one that is waited for.
    pub(super) round: u64,
    pub(super) outcomes: Outcomes,
}

/// Where outcomes go.
pub(super) type Outcomes = mpsc::Sender<(SessionRef, u64, Outcome)>;

/// What became of a request of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The client has answered.
    Answered(ResultCode),
    /// It was not sent: the connection was no longer open.
    NotSent,
    /// It was sent, and the connection has ended without an answer.
    Lost,
}

/// Which clients can be reached, as of one moment: asked under a partition's lock, where it must be quick.
#[derive(Debug, Default)]
pub(super) struct Reachable {
    /// [`Registry::changes`] then; `None` = never looked.
    changes: Option<u64>,
    hosts: HashSet<Box<str>, ahash::RandomState>,
}

impl Registry {
    /// Room for one more connection, if there is any.
    pub(super) fn enter(&self, max: usize) -> Option<Place> {
        let room = |open: usize| (open < max).then_some(open + 1);
        self.count.open.fetch_update(Ordering::AcqRel, Ordering::Acquire, room).ok()?;
        Some(Place(Arc::clone(&self.count)))
    }

    /// A place for a connection that this node opens: as many as are configured.
    pub(super) fn enter_anyway(&self) -> Place {
        self.count.open.fetch_add(1, Ordering::AcqRel);
        Place(Arc::clone(&self.count))
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

    /// A connection leads to a client: it becomes the preferred way there. Takes a lock; [`Route::used`] does not.
    pub(super) fn route(&self, host: &str, commands: &Commands) -> Arc<Route> {
        let mut new = false;
        let entry = self.routes.entry(host.to_ascii_lowercase().into()).or_insert_with(|| {
            new = true;
            Arc::default()
        });
        // While the entry is held: a route that is found empty is removed.
        entry.add(commands);
        let route = Arc::clone(&entry);
        drop(entry);
        if new {
            self.changes.fetch_add(1, Ordering::Release);
        }
        route
    }

    /// A connection leads to a client no more.
    pub(super) fn forget(&self, host: &str, connection: u64) {
        let host = host.to_ascii_lowercase();
        if self.routes.remove_if(host.as_str(), |_, route| route.remove(connection)).is_some() {
            self.changes.fetch_add(1, Ordering::Release);
        }
    }

    /// Brings a picture of the clients in reach up to date.
    pub(super) fn look(&self, reachable: &mut Reachable) {
        // Read first: what changes meanwhile is seen the next time.
        let changes = Some(self.changes.load(Ordering::Acquire));
        if reachable.changes != changes {
            reachable.hosts.clear();
            reachable.hosts.extend(self.routes.iter().map(|entry| entry.key().clone()));
            reachable.changes = changes;
        }
    }

    /// Hands a command to a connection that leads to a client. `false`: there is none, or all are too busy.
    pub(super) fn send(&self, host: &str, command: Command) -> bool {
        let route = self.routes.get(host.to_ascii_lowercase().as_str()).map(|entry| Arc::clone(&entry));
        route.is_some_and(|route| route.send(command))
    }
}

impl Route {
    /// A request came over this connection. `false`: it is not one of the ways, [`Registry::route`] makes it one.
    pub(super) fn used(&self, connection: u64) -> bool {
        if self.preferred.load(Ordering::Relaxed) == connection {
            return true;
        }
        let mut ways = self.lock();
        let Some(place) = ways.iter().position(|way| way.connection == connection) else { return false };
        ways[..=place].rotate_right(1);
        self.preferred.store(connection, Ordering::Relaxed);
        true
    }

    fn add(&self, commands: &Commands) {
        let mut ways = self.lock();
        ways.retain(|way| way.connection != commands.connection);
        ways.insert(0, commands.clone());
        ways.truncate(WAYS_MAX);
        self.preferred.store(commands.connection, Ordering::Relaxed);
    }

    /// Whether no way is left afterwards.
    fn remove(&self, connection: u64) -> bool {
        let mut ways = self.lock();
        ways.retain(|way| way.connection != connection);
        if let Some(first) = ways.first() {
            self.preferred.store(first.connection, Ordering::Relaxed);
        }
        ways.is_empty()
    }

    fn send(&self, mut command: Command) -> bool {
        for way in self.lock().iter() {
            match way.sender.try_send(command) {
                Ok(()) => return true,
                Err(TrySendError::Full(back) | TrySendError::Closed(back)) => command = back,
            }
        }
        false
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Commands>> {
        // A list: whole after each single operation.
        self.ways.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Errand {
    /// Tells what became of it. If nobody keeps up with the outcomes, it counts as unanswered.
    pub(super) fn report(self, outcome: Outcome) {
        let _ = self.outcomes.try_send((self.session, self.round, outcome));
    }
}

impl Reachable {
    pub(super) fn has(&self, host: &str) -> bool {
        // Nearly all names are written in lower case: only others need a copy (RFC 6733 4.3.1: case makes no difference).
        self.hosts.contains(host)
            || (host.bytes().any(|byte| byte.is_ascii_uppercase())
                && self.hosts.contains(host.to_ascii_lowercase().as_str()))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn rar() -> (Command, mpsc::Receiver<(SessionRef, u64, Outcome)>) {
        let (outcomes, receiver) = mpsc::channel(1);
        let errand = Errand { session: (PartitionId(0), SessionNo(1)), round: 1, outcomes };
        let (host, realm) = ("gw".into(), "example".into());
        let what = What::ReAuthorise { group: None };
        (Command { what, session: SessionId::new(b"s"), sub_session: 0, host, realm, errand }, receiver)
    }

    fn reaches(registry: &Registry, host: &str) -> bool {
        let mut reachable = Reachable::default();
        registry.look(&mut reachable);
        reachable.has(host)
    }

    // tests: B-135
    #[test]
    fn a_client_is_reached_over_the_connection_last_used_that_is_still_open() {
        let registry = Registry::default();
        let (a, mut at_a) = commands(1);
        let (b, mut at_b) = commands(2);
        let route = registry.route("GW.example", &a);
        registry.route("gw.example", &b);
        assert!(registry.send("gw.Example", rar().0));
        assert!(at_b.try_recv().is_ok() && at_a.try_recv().is_err(), "B opened last");
        assert!(route.used(1));
        assert!(registry.send("gw.example", rar().0));
        assert!(at_a.try_recv().is_ok() && at_b.try_recv().is_err(), "the last request came over A");
        registry.forget("gw.example", 1);
        assert!(registry.send("gw.example", rar().0));
        assert!(at_b.try_recv().is_ok(), "B is still there");
        assert!(!route.used(1), "A is none of the ways any more");
        registry.forget("gw.example", 2);
        assert!(!registry.send("gw.example", rar().0) && !reaches(&registry, "gw.example"));
    }

    #[test]
    fn a_busy_connection_is_passed_over() {
        let registry = Registry::default();
        let (sender, _full) = mpsc::channel(1);
        sender.try_send(rar().0).unwrap();
        let (other, mut at_other) = commands(2);
        registry.route("gw", &other);
        registry.route("gw", &Commands { connection: 1, sender });
        assert!(registry.send("gw", rar().0));
        assert!(at_other.try_recv().is_ok());
    }

    #[test]
    fn ways_are_bounded_and_one_that_was_left_out_comes_back_with_a_request() {
        let registry = Registry::default();
        let all: Vec<_> = (0..=WAYS_MAX as u64).map(|connection| commands(connection).0).collect();
        let routes: Vec<_> = all.iter().map(|commands| registry.route("gw", commands)).collect();
        assert_eq!(routes[0].lock().len(), WAYS_MAX);
        assert!(!routes[0].used(0), "unused longest");
        registry.route("gw", &all[0]);
        assert!(routes[0].used(0) && !routes[1].used(1));
    }

    #[test]
    fn the_picture_of_who_is_in_reach_keeps_up() {
        let registry = Registry::default();
        let mut reachable = Reachable::default();
        registry.look(&mut reachable);
        assert!(!reachable.has("gw"));
        registry.route("gw", &commands(1).0);
        registry.look(&mut reachable);
        assert!(reachable.has("gw") && reachable.has("GW"));
        registry.forget("GW", 1);
        registry.look(&mut reachable);
        assert!(!reachable.has("gw"));
    }
}
