//! The table line by line, and two nodes that call each other in virtual time.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::*;
use crate::{
    diameter::{
        Frame, Identity, LocalNode, ResultCode,
        peer::{Action, Admission, Input, Peer, Timers},
    },
    time::Timestamp,
};

/// The connection that we open, and those of the peer.
const I: ConnectionId = 1;
const R: ConnectionId = 2;
const R2: ConnectionId = 3;

const fn arrived(connection: ConnectionId) -> Event {
    Event::Arrived(Arrival { connection, origin_state_id: 0 })
}

const ANSWERED: Event = Event::Answered { origin_state_id: 0 };

/// The lower name loses elections.
fn lower(max: usize) -> Connections {
    Connections::new("a.example", "B.example", max)
}

fn higher(max: usize) -> Connections {
    Connections::new("b.EXAMPLE", "A.example", max)
}

/// After these events.
fn after(mut connections: Connections, events: &[Event]) -> Connections {
    for event in events {
        connections.handle(*event);
    }
    connections
}

// tests: B-160 B-161 B-163
#[test]
fn every_line_of_the_table() {
    use Effect::*;
    use Event::*;
    let closed = || State::Closed;
    let theirs = Arrival { connection: R, origin_state_id: 0 };
    let open = |connection| State::Open(vec![Arrival { connection, origin_state_id: 0 }.into()]);
    let start: &[Event] = &[Start(I)];
    let wait_i_cea: &[Event] = &[Start(I), Connected];
    let elect: &[Event] = &[Start(I), arrived(R)];
    let wait_returns: &[Event] = &[Start(I), Connected, arrived(R)];
    let lines: &[(&[Event], Event, &[Effect], State)] = &[
        (&[], Start(I), &[Connect(I)], State::WaitConnAck { ours: I }),
        (&[], arrived(R), &[SendCea(R)], open(R)),
        (start, Connected, &[SendCer(I)], State::WaitIcea { ours: I }),
        (start, Refused, &[], closed()),
        (start, Gone(I), &[], closed()),
        (start, arrived(R), &[], State::WaitConnAckElect { ours: I, theirs }),
        (start, TimedOut, &[Close(I)], closed()),
        (wait_i_cea, ANSWERED, &[], open(I)),
        (wait_i_cea, arrived(R), &[], State::WaitReturns { ours: I, theirs }),
        (wait_i_cea, Gone(I), &[], closed()),
        (wait_i_cea, TimedOut, &[Close(I)], closed()),
        (elect, Connected, &[SendCer(I)], State::WaitReturns { ours: I, theirs }),
        (elect, Refused, &[SendCea(R)], open(R)),
        (elect, Gone(I), &[SendCea(R)], open(R)),
        (elect, Gone(R), &[], State::WaitConnAck { ours: I }),
        (elect, arrived(R2), &[Reject(R2)], State::WaitConnAckElect { ours: I, theirs }),
        (elect, TimedOut, &[Close(I), Close(R)], closed()),
        (wait_returns, Gone(I), &[Close(I), SendCea(R)], open(R)),
        (wait_returns, ANSWERED, &[LoseElection(R)], open(I)),
        (wait_returns, Gone(R), &[], State::WaitIcea { ours: I }),
        (wait_returns, arrived(R2), &[Reject(R2)], State::WaitReturns { ours: I, theirs }),
        (wait_returns, TimedOut, &[Close(I), Close(R)], closed()),
        (&[arrived(R)], arrived(R2), &[Reject(R2), Probe(R)], open(R)),
        (&[arrived(R)], Gone(R), &[], closed()),
        (&[arrived(R)], Start(I), &[], open(R)),
        // Late news of a connection that lost, or was given up.
        (&[arrived(R)], Gone(I), &[], open(R)),
        (&[arrived(R)], Connected, &[], open(R)),
        (&[], ANSWERED, &[], closed()),
    ];
    for (before, event, effects, state) in lines {
        let mut connections = after(lower(1), before);
        let line = format!("{:?} {event:?}", connections.state);
        assert_eq!(connections.handle(*event), *effects, "{line}");
        assert_eq!(connections.state, *state, "{line}");
    }
    // The election won.
    for (before, event, effects) in
        [(wait_i_cea, arrived(R), &[Close(I), SendCea(R)][..]), (elect, Connected, &[SendCer(I), Close(I), SendCea(R)])]
    {
        let mut connections = after(higher(1), before);
        assert_eq!(connections.handle(event), effects);
        assert_eq!(connections.state, open(R));
    }
}

// tests: B-160 B-46
#[test]
fn names_compare_without_regard_to_case_and_the_longer_is_higher() {
    for (local, peer, wins) in [
        ("b.example", "a.example", true),
        ("B.example", "a.example", true),
        ("a.example", "B.example", false),
        ("a.example.com", "a.example", true),
        ("a-b.example", "a.example", false),
    ] {
        assert_eq!(Connections::new(local, peer, 1).wins, wins, "{local} {peer}");
    }
}

// tests: B-162
#[test]
fn one_more_comes_in_when_one_is_dead() {
    use Effect::*;
    let arrival = |connection, origin_state_id| Event::Arrived(Arrival { connection, origin_state_id });
    // The same process: refused, and the old one asked whether it is there.
    let mut one = after(lower(1), &[arrival(R, 7)]);
    for state_id in [0, 6, 7] {
        assert_eq!(one.handle(arrival(R2, state_id)), [Reject(R2), Probe(R)], "{state_id}");
    }
    // A new one: at once.
    assert_eq!(one.handle(arrival(R2, 8)), [Replace(R), SendCea(R2)]);
    assert_eq!(one.handle(Event::Gone(R)), []);
    assert!(one.is_open());
    // No conclusion from one that was never told.
    let mut untold = after(lower(1), &[arrival(R, 0)]);
    assert_eq!(untold.handle(arrival(R2, 8)), [Reject(R2), Probe(R)]);
    // The old one did not answer: it goes. If it has answered meanwhile, it stays.
    let mut silent = after(lower(1), &[arrival(R, 7), Event::Doubted(R, true)]);
    assert_eq!(silent.handle(arrival(R2, 7)), [Replace(R), SendCea(R2)]);
    let mut back = after(lower(1), &[arrival(R, 7), Event::Doubted(R, true), Event::Doubted(R, false)]);
    assert_eq!(back.handle(arrival(R2, 7)), [Reject(R2), Probe(R)]);
    // One that says goodbye makes room.
    let mut leaving = after(lower(1), &[arrival(R, 7), Event::Leaving(R, Some(DisconnectCause::Rebooting))]);
    assert_eq!(leaving.handle(arrival(R2, 7)), [SendCea(R2)]);
}

// tests: B-162
#[test]
fn of_several_connections_the_same_holds_for_the_one_too_many() {
    use Effect::*;
    let arrival = |connection, origin_state_id| Event::Arrived(Arrival { connection, origin_state_id });
    let mut three = lower(3);
    for connection in 2..5 {
        assert_eq!(three.handle(arrival(connection, 7)), [SendCea(connection)]);
    }
    assert_eq!(three.handle(arrival(5, 7)), [Reject(5), Probe(2), Probe(3), Probe(4)]);
    three.handle(Event::Doubted(3, true));
    assert_eq!(three.handle(arrival(6, 7)), [Replace(3), SendCea(6)]);
    assert_eq!(three.handle(arrival(7, 8)), [Replace(2), Replace(4), Replace(6), SendCea(7)]);
    assert_eq!(three.handle(arrival(8, 8)), [SendCea(8)]);
}

// tests: B-163 B-168 B-171
#[test]
fn a_peer_that_wants_to_be_left_alone_is_not_called_until_it_calls() {
    let gone = |cause| after(lower(1), &[arrived(R), Event::Leaving(R, Some(cause)), Event::Gone(R)]);
    let mut rebooting = gone(DisconnectCause::Rebooting);
    assert!(rebooting.may_start() && rebooting.was_down());
    assert_eq!(rebooting.handle(Event::Start(I)), [Effect::Connect(I)]);
    for cause in [DisconnectCause::Busy, DisconnectCause::DoNotWantToTalkToYou] {
        let mut held = gone(cause);
        assert!(!held.may_start());
        assert_eq!(held.handle(Event::Start(I)), []);
        held.handle(arrived(R2));
        held.handle(Event::Gone(R2));
        assert!(held.may_start(), "it has called");
    }
    // Our own goodbye holds nobody.
    assert!(after(lower(1), &[arrived(R), Event::Leaving(R, None), Event::Gone(R)]).may_start());
    // What never opened was not down.
    assert!(!after(lower(1), &[Event::Start(I), Event::Refused]).was_down());
}

const T0: Timestamp = Timestamp::from_secs(1_767_225_600);

/// The connection that A opens, and B's.
const CONNECTIONS: [ConnectionId; 2] = [1, 2];

/// What comes to a node on a connection.
#[derive(Debug)]
enum News {
    Start,
    Connected,
    Octets(Vec<u8>),
    Closed,
}

/// A node with its connections; both nodes have the same numbers for them.
struct Node {
    local: Arc<LocalNode>,
    table: Connections,
    peers: BTreeMap<ConnectionId, Peer>,
    over: Vec<ConnectionId>,
}

/// Two nodes, and what is on its way: by the node it goes to and its connection, in order.
struct World {
    nodes: [Node; 2],
    under_way: BTreeMap<(usize, ConnectionId), VecDeque<News>>,
    lost: usize,
}

impl World {
    fn new(names: [&str; 2]) -> Self {
        let node = |own: &str, other: &str| {
            let identity = Identity { host: own.into(), realm: "example".into() };
            let local = Arc::new(LocalNode::credit_control(identity, vec!["192.0.2.1".parse().unwrap()]));
            Node { local, table: Connections::new(own, other, 1), peers: BTreeMap::new(), over: Vec::new() }
        };
        let nodes = [node(names[0], names[1]), node(names[1], names[0])];
        let mut world = Self { nodes, under_way: BTreeMap::new(), lost: 0 };
        (0..2).for_each(|at| world.send(at, CONNECTIONS[at], News::Start));
        world
    }

    fn send(&mut self, to: usize, id: ConnectionId, news: News) {
        self.under_way.entry((to, id)).or_default().push_back(news);
    }

    /// Lets things happen in the order that `choose` wants, out of so many that may be next.
    fn run(&mut self, mut choose: impl FnMut(usize) -> usize) {
        loop {
            self.under_way.retain(|_, news| !news.is_empty());
            let Some(last) = self.under_way.len().checked_sub(1) else { return };
            let (at, id) = *self.under_way.keys().nth(choose(last + 1)).unwrap();
            let news = self.under_way.get_mut(&(at, id)).unwrap().pop_front().unwrap();
            self.hear(at, id, news);
        }
    }

    fn hear(&mut self, at: usize, id: ConnectionId, news: News) {
        let node = &mut self.nodes[at];
        match news {
            News::Start => self.tell(at, Event::Start(id)),
            News::Connected => self.tell(at, Event::Connected),
            // What comes after the end is not read.
            News::Octets(_) | News::Closed if node.over.contains(&id) => {}
            News::Octets(octets) => {
                let responder =
                    || Peer::responder(Arc::clone(&node.local), Admission::Anyone, Timers::default(), id, T0);
                node.peers.entry(id).or_insert_with(|| responder().asking());
                let frame = Frame::from_bytes(octets.into()).unwrap();
                self.step(at, id, Input::Message(&frame));
            }
            News::Closed => {
                node.peers.remove(&id);
                node.over.push(id);
                self.tell(at, Event::Gone(id));
            }
        }
    }

    fn tell(&mut self, at: usize, event: Event) {
        for effect in self.nodes[at].table.handle(event) {
            match effect {
                Effect::Connect(id) => {
                    let peer = Peer::initiator(Arc::clone(&self.nodes[at].local), Timers::default(), id, T0);
                    self.nodes[at].peers.insert(id, peer);
                    self.send(at, id, News::Connected);
                }
                Effect::SendCer(id) => self.step(at, id, Input::Connected),
                Effect::SendCea(id) => self.step(at, id, Input::Admit),
                Effect::Reject(id) => self.step(at, id, Input::Reject(None)),
                Effect::LoseElection(id) => {
                    self.lost += 1;
                    self.step(at, id, Input::Reject(Some(ResultCode::ELECTION_LOST)));
                }
                Effect::Close(id) | Effect::Replace(id) => self.close(at, id),
                Effect::Probe(id) => self.step(at, id, Input::Probe),
            }
        }
    }

    fn step(&mut self, at: usize, id: ConnectionId, input: Input<'_>) {
        let Some(peer) = self.nodes[at].peers.get_mut(&id) else { return };
        for action in peer.handle(input, T0) {
            match action {
                Action::Send(octets) => self.send(1 - at, id, News::Octets(octets)),
                Action::Introduced(_) => self.tell(at, arrived(id)),
                Action::Opened(_) if id == CONNECTIONS[at] => self.tell(at, ANSWERED),
                Action::Close(_) => {
                    self.close(at, id);
                    self.tell(at, Event::Gone(id));
                }
                Action::Opened(_) | Action::Deliver(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn close(&mut self, at: usize, id: ConnectionId) {
        if self.nodes[at].peers.remove(&id).is_some() {
            self.nodes[at].over.push(id);
            self.send(1 - at, id, News::Closed);
        }
    }
}

/// Every order in which things can happen between two nodes that call each other: afterwards each has one open connection,
/// and it is the same one; if both were under way, it is the one that the lower name opened.
// tests: B-160 B-161
#[test]
fn of_two_nodes_that_call_each_other_one_connection_survives() {
    for names in [["a.example", "b.example"], ["b.example", "A.example"]] {
        let (mut choices, mut orders, mut elections) = (Vec::<(usize, usize)>::new(), 0, 0);
        loop {
            let mut world = World::new(names);
            let mut at = 0;
            world.run(|options| {
                if at == choices.len() {
                    choices.push((0, options));
                }
                at += 1;
                choices[at - 1].0
            });
            orders += 1;
            let open = |node: &Node| -> Vec<_> {
                assert!(node.table.is_open());
                node.peers.iter().filter(|(_, peer)| peer.is_open()).map(|(id, _)| *id).collect()
            };
            let (a, b) = (open(&world.nodes[0]), open(&world.nodes[1]));
            assert!(a.len() == 1 && a == b, "{a:?} {b:?} after {choices:?}");
            elections += world.lost;
            // The next order: the last choice that has another option takes it.
            while choices.last().is_some_and(|(chosen, options)| chosen + 1 == *options) {
                choices.pop();
            }
            let Some(last) = choices.last_mut() else { break };
            last.0 += 1;
        }
        assert!(orders > 50 && elections > 0, "{orders} orders, {elections} elections lost");
    }
}

/// Both CERs are out before either is read.
// tests: B-160
#[test]
fn the_winner_closes_the_connection_that_it_has_opened() {
    let mut world = World::new(["a.example", "b.example"]);
    let mut first = [(0, 1), (1, 2), (0, 1), (1, 2)].into_iter();
    for (at, id) in first.by_ref() {
        let news = world.under_way.get_mut(&(at, id)).unwrap().pop_front().unwrap();
        world.hear(at, id, news);
    }
    world.run(|_| 0);
    for node in &world.nodes {
        assert!(node.peers.len() == 1 && node.peers[&1].is_open(), "A has the lower name, so B's connection goes");
    }
}
