//! All connections with one peer as a pure state machine (RFC 6733 5.6, spec section 11): who connects, which of two survives
//! when both do it at once, and whether one more may come in. The caller does what comes out; what goes on inside one
//! connection is [`Peer`](super::Peer)'s.

use super::super::base::DisconnectCause;

/// Names a connection; the caller chooses the numbers.
pub type ConnectionId = u64;

/// What happened between this node and the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It is time to connect, by this connection.
    Start(ConnectionId),
    /// Our transport is up (I-Rcv-Conn-Ack).
    Connected,
    /// It cannot be had (I-Rcv-Conn-Nack).
    Refused,
    /// A good CEA came on our connection (I-Rcv-CEA).
    Answered {
        /// The peer's; 0 = none.
        origin_state_id: u32,
    },
    /// The peer has sent a good CER on a connection of its own (R-Conn-CER).
    Arrived(Arrival),
    /// A connection is gone: closed by the peer, broken, or ended by this side for what came on it.
    Gone(ConnectionId),
    /// Setting up has taken too long.
    TimedOut,
    /// The watchdog doubts a connection, or does so no more.
    Doubted(ConnectionId, bool),
    /// The peer has sent a DPR with this cause; `None`: this side has sent one.
    Leaving(ConnectionId, Option<DisconnectCause>),
}

/// A connection that the peer has opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Its name.
    pub connection: ConnectionId,
    /// Origin-State-Id of its CER; 0 = none.
    pub origin_state_id: u32,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Open the transport (I-Snd-Conn-Req).
    Connect(ConnectionId),
    /// Send a CER on it.
    SendCer(ConnectionId),
    /// Send the CEA that lets it in (R-Snd-CEA).
    SendCea(ConnectionId),
    /// Close it without a word (R-Reject): one of the peer's connections too many.
    Reject(ConnectionId),
    /// Say that it lost the election, and close it (R-Disc; spec B-161).
    LoseElection(ConnectionId),
    /// Close it.
    Close(ConnectionId),
    /// Close it: what was behind it is gone, and came back on another (spec B-162).
    Replace(ConnectionId),
    /// Send a DWR on it: is it still there (spec B-162)?
    Probe(ConnectionId),
}

/// The connections of one peer.
#[derive(Debug)]
pub struct Connections {
    /// This node wins elections: its name is the higher one (spec B-160).
    wins: bool,
    /// Open ones at a time (spec B-162).
    max: usize,
    state: State,
    /// The peer does not want to be called: it said so in a DPR (spec B-171).
    held: bool,
    /// There was an open connection, and it went (DOWN of RFC 3539).
    down: bool,
}

/// States of RFC 6733 5.6. `ours` is the connection that we open (I), `theirs` the peer's (R).
#[derive(Debug, PartialEq, Eq)]
enum State {
    Closed,
    WaitConnAck {
        ours: ConnectionId,
    },
    WaitIcea {
        ours: ConnectionId,
    },
    WaitConnAckElect {
        ours: ConnectionId,
        theirs: Arrival,
    },
    WaitReturns {
        ours: ConnectionId,
        theirs: Arrival,
    },
    /// I-Open and R-Open; never empty.
    Open(Vec<Open>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Open {
    connection: ConnectionId,
    origin_state_id: u32,
    suspect: bool,
    /// It is being ended, and makes room (Closing).
    leaving: bool,
}

impl From<Arrival> for Open {
    fn from(Arrival { connection, origin_state_id }: Arrival) -> Self {
        Self { connection, origin_state_id, suspect: false, leaving: false }
    }
}

impl Connections {
    /// A peer without a connection. `max` is at least 1.
    pub fn new(local_host: &str, peer_host: &str, max: usize) -> Self {
        let lower = |byte: u8| byte.to_ascii_lowercase();
        let wins = local_host.bytes().map(lower).gt(peer_host.bytes().map(lower));
        Self { wins, max: max.max(1), state: State::Closed, held: false, down: false }
    }

    /// Whether it may be connected to: nothing is open or on its way, and it has not said that it wants to be left alone
    /// (spec B-163, B-171).
    pub fn may_start(&self) -> bool {
        self.state == State::Closed && !self.held
    }

    /// Whether there is neither a connection nor the beginning of one.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Whether a connection is open.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Whether the next connection of ours comes after one that went down: it begins in REOPEN (spec B-168).
    pub fn was_down(&self) -> bool {
        self.down
    }

    /// The table of RFC 6733 5.6. What the table does not have changes nothing.
    pub fn handle(&mut self, event: Event) -> Vec<Effect> {
        let state = std::mem::replace(&mut self.state, State::Closed);
        let (state, effects) = match (state, event) {
            (State::Closed, Event::Start(ours)) if !self.held => {
                (State::WaitConnAck { ours }, vec![Effect::Connect(ours)])
            }
            (State::Closed, Event::Arrived(theirs)) => self.let_in(Vec::new(), theirs),

            (State::WaitConnAck { ours }, Event::Connected) => (State::WaitIcea { ours }, vec![Effect::SendCer(ours)]),
            (State::WaitConnAck { .. }, Event::Refused) => (State::Closed, Vec::new()),
            (State::WaitConnAck { ours }, Event::Gone(gone)) if gone == ours => (State::Closed, Vec::new()),
            (State::WaitConnAck { ours }, Event::Arrived(theirs)) => {
                (State::WaitConnAckElect { ours, theirs }, Vec::new())
            }
            (State::WaitConnAck { ours } | State::WaitIcea { ours }, Event::TimedOut) => {
                (State::Closed, vec![Effect::Close(ours)])
            }

            (State::WaitIcea { ours }, Event::Answered { origin_state_id }) => {
                opened(ours, origin_state_id, Vec::new())
            }
            (State::WaitIcea { ours }, Event::Arrived(theirs)) => self.elect(ours, theirs, Vec::new()),
            (State::WaitIcea { ours }, Event::Gone(gone)) if gone == ours => (State::Closed, Vec::new()),

            (State::WaitConnAckElect { ours, theirs }, Event::Connected) => {
                self.elect(ours, theirs, vec![Effect::SendCer(ours)])
            }
            (State::WaitConnAckElect { theirs, .. }, Event::Refused) => self.let_in(Vec::new(), theirs),
            (State::WaitConnAckElect { ours, theirs }, Event::Gone(gone)) if gone == ours => {
                self.let_in(Vec::new(), theirs)
            }
            (State::WaitConnAckElect { ours, theirs }, Event::Gone(gone)) if gone == theirs.connection => {
                (State::WaitConnAck { ours }, Vec::new())
            }

            // Lost: the peer closes the connection that we opened last, or answers on it.
            (State::WaitReturns { ours, theirs }, Event::Gone(gone)) if gone == ours => {
                let (state, mut effects) = self.let_in(Vec::new(), theirs);
                effects.insert(0, Effect::Close(ours));
                (state, effects)
            }
            (State::WaitReturns { ours, theirs }, Event::Answered { origin_state_id }) => {
                opened(ours, origin_state_id, vec![Effect::LoseElection(theirs.connection)])
            }
            (State::WaitReturns { ours, theirs }, Event::Gone(gone)) if gone == theirs.connection => {
                (State::WaitIcea { ours }, Vec::new())
            }

            (
                state @ (State::WaitConnAckElect { .. } | State::WaitReturns { .. }),
                Event::Arrived(Arrival { connection, .. }),
            ) => (state, vec![Effect::Reject(connection)]),
            (State::WaitConnAckElect { ours, theirs } | State::WaitReturns { ours, theirs }, Event::TimedOut) => {
                (State::Closed, vec![Effect::Close(ours), Effect::Close(theirs.connection)])
            }

            (State::Open(open), Event::Arrived(theirs)) => self.let_in(open, theirs),
            (State::Open(open), Event::Gone(gone)) => self.without(open, gone),
            (State::Open(open), Event::Doubted(connection, doubt)) => {
                (State::Open(with(open, connection, |open| open.suspect = doubt)), Vec::new())
            }
            (State::Open(open), Event::Leaving(connection, cause)) => {
                self.held |= cause.is_some_and(|cause| cause != DisconnectCause::Rebooting);
                (State::Open(with(open, connection, |open| open.leaving = true)), Vec::new())
            }

            (state, _) => (state, Vec::new()),
        };
        self.state = state;
        effects
    }

    /// A connection of the peer's comes in if there is room, or if one of those that are open is dead (spec B-162).
    fn let_in(&mut self, mut open: Vec<Open>, theirs: Arrival) -> (State, Vec<Effect>) {
        let mut effects = Vec::new();
        if open.iter().filter(|open| !open.leaving).count() >= self.max {
            let restarted = |open: &Open| (1..theirs.origin_state_id).contains(&open.origin_state_id);
            // A higher Origin-State-Id is a restart: all that was before is dead. Else one that does not answer goes.
            if open.iter().any(restarted) {
                open.retain(|open| {
                    let dead = restarted(open);
                    effects.extend(dead.then_some(Effect::Replace(open.connection)));
                    !dead
                });
            } else if let Some(dead) = open.iter().position(|open| open.suspect && !open.leaving) {
                effects.push(Effect::Replace(open.remove(dead).connection));
            } else {
                effects.push(Effect::Reject(theirs.connection));
                effects.extend(open.iter().filter(|open| !open.leaving).map(|open| Effect::Probe(open.connection)));
                return (State::Open(open), effects);
            }
        }
        // It wants to talk after all.
        self.held = false;
        effects.push(Effect::SendCea(theirs.connection));
        open.push(theirs.into());
        (State::Open(open), effects)
    }

    /// Both have connected: the winner closes what it opened, the loser waits for what comes of it (spec B-160, B-161).
    fn elect(&mut self, ours: ConnectionId, theirs: Arrival, mut effects: Vec<Effect>) -> (State, Vec<Effect>) {
        if !self.wins {
            return (State::WaitReturns { ours, theirs }, effects);
        }
        effects.push(Effect::Close(ours));
        let (state, let_in) = self.let_in(Vec::new(), theirs);
        effects.extend(let_in);
        (state, effects)
    }

    fn without(&mut self, mut open: Vec<Open>, gone: ConnectionId) -> (State, Vec<Effect>) {
        open.retain(|open| open.connection != gone);
        if open.is_empty() {
            self.down = true;
            return (State::Closed, Vec::new());
        }
        (State::Open(open), Vec::new())
    }
}

fn opened(connection: ConnectionId, origin_state_id: u32, effects: Vec<Effect>) -> (State, Vec<Effect>) {
    (State::Open(vec![Arrival { connection, origin_state_id }.into()]), effects)
}

fn with(mut open: Vec<Open>, connection: ConnectionId, change: impl FnOnce(&mut Open)) -> Vec<Open> {
    if let Some(open) = open.iter_mut().find(|open| open.connection == connection) {
        change(open);
    }
    open
}

#[cfg(test)]
mod tests;
