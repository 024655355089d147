//! What a connection is among those of its peer, and what follows from that for it.

use super::Connection;
use crate::{
    diameter::{
        ResultCode,
        base::DisconnectCause,
        peer::{Effect, Event, Input},
    },
    server::{closing::Closing, registry::Outcome},
};

/// What others have been told of a connection.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Requests of ours may go this way.
    pub(super) leads: bool,
    /// The watchdog doubts the peer.
    pub(super) doubted: bool,
    /// One side has said goodbye.
    pub(super) leaving: bool,
    /// The peer's cause for that.
    pub(super) cause: Option<DisconnectCause>,
}

impl Connection {
    /// Something happened to this connection: what follows for it is done, what follows for others is told to them.
    pub(super) fn happened(&mut self, event: Event) {
        let Some(host) = &self.host else { return };
        let effects = self.shared.peers.tell(host, &self.handle, event);
        self.obey(effects);
    }

    /// What becomes of this connection among those of its peer.
    pub(super) fn obey(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::SendCer(_) => self.step(Input::Connected),
                Effect::SendCea(_) => self.step(Input::Admit),
                Effect::Reject(_) => self.step(Input::Reject(None)),
                Effect::LoseElection(_) => self.step(Input::Reject(Some(ResultCode::ELECTION_LOST))),
                Effect::Probe(_) => self.step(Input::Probe),
                Effect::Close(_) => self.closing = Some(Closing::Election),
                Effect::Replace(_) => self.closing = Some(Closing::Replaced),
                Effect::Connect(_) => {}
            }
        }
    }

    /// Tells others what has changed: whether requests of ours may go this way, and whether the peer is still there.
    pub(super) fn tell_standing(&mut self) {
        let (leads, doubted) = (self.peer.may_ask(), self.peer.is_suspect());
        if leads != self.standing.leads {
            self.standing.leads = leads;
            if leads { self.clients.enter(&self.shared) } else { self.clients.leave(&self.shared) }
        }
        if doubted != self.standing.doubted {
            self.standing.doubted = doubted;
            if doubted {
                // They go over another connection, if there is one (spec B-167).
                self.asked.drain().for_each(|(_, errand)| errand.report(Outcome::Lost));
            }
            self.happened(Event::Doubted(self.handle.id, doubted));
        }
        if !self.standing.leaving && self.metrics.get().is_some() && !self.peer.is_open() {
            self.standing.leaving = true;
            self.happened(Event::Leaving(self.handle.id, self.standing.cause));
        }
    }
}
