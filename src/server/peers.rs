//! The table of peers: whose connections are open or on their way. What follows from an event is decided by
//! [`Connections`]; here it is told to those whom it concerns.

use dashmap::DashMap;
use tokio::sync::Notify;

use super::signal::Handle;
use crate::{
    diameter::peer::{ConnectionId, Connections, Effect, Event},
    telemetry::names,
};

/// All peers that have a connection, and those that this node calls.
#[derive(Debug)]
pub(super) struct Peers {
    local_host: Box<str>,
    /// Connections of one peer at a time.
    max: usize,
    /// By Origin-Host in lower case.
    by_host: DashMap<Box<str>, Known, ahash::RandomState>,
    /// A peer's last connection has gone, or its first has come.
    changed: Notify,
}

#[derive(Debug)]
struct Known {
    connections: Connections,
    handles: Vec<Handle>,
    /// This node calls it, by this name: it is remembered while it has no connection.
    called: Option<Box<str>>,
}

impl Peers {
    pub(super) fn new(local_host: &str, max: usize) -> Self {
        let (by_host, changed) = (DashMap::default(), Notify::new());
        Self { local_host: local_host.into(), max, by_host, changed }
    }

    /// This node is going to call a peer.
    pub(super) fn will_call(&self, host: &str) {
        let key = host.to_ascii_lowercase().into();
        let mut known = self.by_host.entry(key).or_insert_with(|| self.stranger(host));
        known.called = Some(host.into());
        known.count();
    }

    /// Something happened to a peer's connection `own`. The other connections hear what follows for them; what follows for
    /// this one comes back.
    pub(super) fn tell(&self, host: &str, own: &Handle, event: Event) -> Vec<Effect> {
        let key: Box<str> = host.to_ascii_lowercase().into();
        let begins = matches!(event, Event::Start(_) | Event::Arrived(_));
        let known = if begins {
            Some(self.by_host.entry(key.clone()).or_insert_with(|| self.stranger(host)))
        } else {
            // The last news of a connection that was turned away may come when nothing is known of its peer any more.
            self.by_host.get_mut(&key)
        };
        let Some(mut known) = known else { return Vec::new() };
        let (effects, changed) = known.hear(own, event);
        if changed {
            known.count();
        }
        drop(known);
        if changed {
            self.by_host.remove_if(&key, |_, known| known.is_forgettable());
            self.changed.notify_waiters();
        }
        effects
    }

    /// Waits until a peer may be called. `true`: it was so at once. Cancel safe.
    pub(super) async fn may_call(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let mut at_once = true;
        loop {
            let changed = self.changed.notified();
            if self.by_host.get(host.as_str()).is_none_or(|known| known.connections.may_start()) {
                return at_once;
            }
            at_once = false;
            changed.await;
        }
    }

    /// Whether a peer has been down: its next connection is on probation (spec B-168).
    pub(super) fn was_down(&self, host: &str) -> bool {
        self.by_host.get(host.to_ascii_lowercase().as_str()).is_some_and(|known| known.connections.was_down())
    }

    pub(super) fn is_open(&self, host: &str) -> bool {
        self.by_host.get(host.to_ascii_lowercase().as_str()).is_some_and(|known| known.connections.is_open())
    }

    fn stranger(&self, host: &str) -> Known {
        let connections = Connections::new(&self.local_host, host, self.max);
        Known { connections, handles: Vec::new(), called: None }
    }
}

impl Known {
    /// What follows for `own`, and whether others wait for what has changed.
    fn hear(&mut self, own: &Handle, event: Event) -> (Vec<Effect>, bool) {
        if matches!(event, Event::Start(_) | Event::Arrived(_)) {
            self.handles.push(own.clone());
        }
        let before = self.state();
        let mut effects = self.connections.handle(event);
        for effect in &effects {
            self.handles.iter().filter(|handle| handle.id != own.id).for_each(|handle| handle.tell(*effect));
        }
        effects.retain(|effect| target(effect) == own.id);
        // A peer that has come meanwhile is not called: there will be no such connection.
        let not_begun = matches!(event, Event::Start(id) if !effects.contains(&Effect::Connect(id)));
        if not_begun || matches!(event, Event::Gone(_) | Event::Refused | Event::TimedOut) {
            self.handles.retain(|handle| handle.id != own.id);
        }
        (effects, before != self.state())
    }

    /// What others wait for.
    fn state(&self) -> (bool, bool) {
        (self.connections.is_open(), self.connections.is_closed())
    }

    fn is_forgettable(&self) -> bool {
        self.connections.is_closed() && self.called.is_none()
    }

    fn count(&self) {
        let Some(peer) = &self.called else { return };
        let open = if self.connections.is_open() { 1.0 } else { 0.0 };
        metrics::gauge!(names::PEER_CONNECTED, "peer" => peer.to_string()).set(open);
    }
}

fn target(effect: &Effect) -> ConnectionId {
    match *effect {
        Effect::Connect(id)
        | Effect::SendCer(id)
        | Effect::SendCea(id)
        | Effect::Reject(id)
        | Effect::LoseElection(id)
        | Effect::Close(id)
        | Effect::Replace(id)
        | Effect::Probe(id) => id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diameter::peer::Arrival;

    // tests: B-163
    #[test]
    fn a_call_that_comes_too_late_leaves_nothing_behind() {
        let peers = Peers::new("ocs.example", 1);
        peers.will_call("gw.example");
        let arrived = Handle::new(1);
        let event = Event::Arrived(Arrival { connection: 1, origin_state_id: 0 });
        assert_eq!(peers.tell("gw.example", &arrived, event), [Effect::SendCea(1)]);
        for id in 2..5 {
            assert_eq!(peers.tell("gw.example", &Handle::new(id), Event::Start(id)), []);
        }
        assert_eq!(peers.by_host.get("gw.example").unwrap().handles.len(), 1);
    }
}
