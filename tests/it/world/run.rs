//! The scheduler: what happens next is drawn, one thing after the other.

use std::sync::Arc;

use bytes::Bytes;
use tollgate::{
    charging::{AccountSpec, Command, CreditCommand, CreditKind, Subscriber, SubscriberSpec},
    diameter::{Frame, credit_control::RequestType},
    ids::{AccountId, Identity, IdentityKind},
    journal::{MemoryDisk, Pending, Space, Stepped},
    store::{Done, Store},
    units::Money,
};

use super::{
    ledger::{ACCOUNTS, Ledger, OPENING, SUBSCRIBERS, TopUp, account_of, msisdn, session_id},
    machine::{self, Answering, Machine},
    network::{Network, Packet},
    trace::Trace,
};
use crate::dice::Dice;

const STEPS: u64 = 350;
pub(super) const CONSUMER: &str = "crm";

pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) trace: Trace,
    pub(super) machine: Machine,
    pub(super) store: Arc<Store<MemoryDisk>>,
    pub(super) network: Network,
    pub(super) ledger: Ledger,
    /// Decided, and not yet durable when last looked at.
    pub(super) waiting: Vec<Waiting>,
    /// Every durable record, as it was first read.
    pub(super) archive: Vec<Vec<u8>>,
    /// The last position that anything has left for.
    pub(super) promised: u64,
    pub(super) consumer: Consumer,
    /// Steps for which the disk takes its time.
    pub(super) slow: u64,
    /// The last thing that was done to a disk's room was to take it.
    pub(super) full: bool,
    pub(super) hop_by_hop: u32,
}

/// What must be durable before it leaves.
pub(super) enum Waiting {
    Cca { ask: usize, frame: Frame, answered: Answering },
    TopUp { top_up: usize, done: Pending<Done> },
    Acknowledged { cursor: u64, done: Pending<()> },
}

/// Provisioning, which wants every event once and in order.
#[derive(Default)]
pub(super) struct Consumer {
    /// What it has got: cursor and text.
    pub(super) got: Vec<(u64, String)>,
    /// The last cursor of which it was told that its acknowledgement is kept.
    pub(super) acknowledged: u64,
}

impl Consumer {
    pub(super) fn last(&self) -> u64 {
        self.got.last().map_or(0, |(cursor, _)| *cursor)
    }
}

impl World {
    pub(super) fn new(seed: u64, verbose: bool) -> Self {
        let mut dice = Dice(seed);
        let (segment, keep, records) = (4_096 << dice.below(3), dice.below(12) as usize, dice.once_in(2));
        let machine = Machine::new(segment, keep, records);
        let store = Arc::new(machine.open().unwrap().0);
        let mut world = Self {
            trace: Trace::new(seed, verbose),
            machine,
            store,
            network: Network::new(),
            ledger: Ledger::default(),
            waiting: Vec::new(),
            archive: Vec::new(),
            promised: 0,
            consumer: Consumer::default(),
            slow: 0,
            full: false,
            hop_by_hop: 0,
            dice,
        };
        world.populate();
        world
    }

    fn populate(&mut self) {
        let store = &self.store;
        for account in 1..=ACCOUNTS {
            let (currency, balance) = (store.catalog().currency(), Money::from_micros(OPENING));
            let (id, credit_limit, allowances) = (AccountId(account), Money::ZERO, Vec::new());
            let spec = AccountSpec { id, currency, balance, credit_limit, never_stop: false, allowances };
            drop(store.account_command(id, &Command::CreateAccount(spec)));
        }
        for subscriber in 0..SUBSCRIBERS {
            let account = AccountId(account_of(subscriber));
            let identities = [Identity::new(IdentityKind::E164, &msisdn(subscriber)).unwrap()].into();
            let subscriber = Subscriber { id: subscriber.to_string().into(), identities };
            drop(store.create_subscriber(SubscriberSpec { account, subscriber }));
        }
        let _ = store.acknowledge(CONSUMER, 0);
        self.commit();
    }

    pub(super) fn live(&mut self) {
        for _ in 0..STEPS {
            match self.dice.below(100) {
                0..32 => self.deliver(),
                32..48 => self.client(),
                48..53 => self.retransmit(),
                53..70 if self.slow == 0 => _ = self.commit(),
                70..74 => self.tell_events(),
                74..77 => self.checkpoint(),
                77..79 => self.background(),
                79..82 => self.pass_time(),
                82..88 => self.fault(),
                _ => {}
            }
            self.slow = self.slow.saturating_sub(1);
            self.leave();
            if self.store.mark().fatal().is_some() && self.dice.once_in(3) {
                self.trace.count("restarts after the journal failed");
                self.restart();
            }
        }
    }

    /// The journal writes and syncs what has gathered.
    pub(super) fn commit(&mut self) -> Stepped {
        let done = self.store.commit_by_hand();
        if done == Stepped::NoRoom {
            self.trace.count("commits that found no room");
            assert_eq!(self.store.room().space(), Space::Reserved, "something is taken on without room for it");
        }
        self.read_on();
        self.note(format!("commit: {done:?}, durable {}", self.store.mark().current()));
        self.leave();
        done
    }

    /// Keeps the records that have become durable, before a checkpoint replaces them.
    pub(super) fn read_on(&mut self) {
        let known = self.archive.len() as u64;
        if self.store.mark().current().0 > known && !self.machine.disk.is_down() {
            let (after, records) = machine::records_after(&self.store, known);
            assert_eq!(after, known, "records were trimmed too soon");
            self.archive.extend(records);
        }
    }

    /// What is durable leaves, and is compared with what left before.
    pub(super) fn leave(&mut self) {
        let store = &self.store;
        for waiting in std::mem::take(&mut self.waiting) {
            let packet = match waiting {
                Waiting::Cca { ask, frame, answered } => match machine::answer(store, &frame, answered) {
                    Ok(octets) => {
                        self.trace.note(format!("answer to request {ask}: {} octets", octets.len()));
                        if !self.ledger.answered(ask, &octets) {
                            // Its client tries again.
                            self.trace.count("requests refused as too late");
                            continue;
                        }
                        Packet::Cca { ask }
                    }
                    Err(answered) => {
                        self.waiting.push(Waiting::Cca { ask, frame, answered });
                        continue;
                    }
                },
                Waiting::TopUp { top_up, done } => match store.mark().admit(done) {
                    Ok(done) => {
                        self.trace.note(format!("answer to top-up {top_up}"));
                        self.ledger.credited_with(top_up, format!("{:?}", done.outcome));
                        Packet::TopUpDone(top_up)
                    }
                    Err(done) => {
                        self.waiting.push(Waiting::TopUp { top_up, done });
                        continue;
                    }
                },
                Waiting::Acknowledged { cursor, done } => match store.mark().admit(done) {
                    Ok(_) => Packet::Acknowledged(cursor),
                    Err(done) => {
                        self.waiting.push(Waiting::Acknowledged { cursor, done });
                        continue;
                    }
                },
            };
            self.network.send(packet, &mut self.dice, &mut self.trace);
        }
        self.promised = store.mark().current().0;
    }

    pub(super) fn deliver(&mut self) {
        let Some(packet) = self.network.receive(&mut self.dice, &mut self.trace) else { return };
        match packet {
            Packet::Ccr { ask, octets } => {
                let late = if self.network.bad && self.dice.once_in(30) { 5 } else { 0 };
                self.take(ask, octets, late);
            }
            Packet::Cca { ask } => self.ledger.asks[ask].arrived = true,
            Packet::TopUp(top_up) => self.credit(top_up),
            Packet::TopUpDone(top_up) => self.ledger.top_ups[top_up].arrived = true,
            Packet::Events { after, events } if after == self.consumer.last() => self.consumer.got.extend(events),
            Packet::Events { .. } => {}
            Packet::Acknowledge(cursor) => {
                let done = self.store.acknowledge(CONSUMER, cursor);
                self.waiting.push(Waiting::Acknowledged { cursor, done });
            }
            Packet::Acknowledged(cursor) => self.consumer.acknowledged = self.consumer.acknowledged.max(cursor),
        }
    }

    /// The node gets a request. As in the server, one for which the disk has no room is refused before it is read: its client
    /// is told 3004 and tries again.
    pub(super) fn take(&mut self, ask: usize, octets: Bytes, late: u64) {
        let begins = matches!(self.ledger.asks[ask].kind, RequestType::Initial | RequestType::Event);
        let space = self.store.room().space();
        if space == Space::Reserved || space == Space::Short && begins {
            return self.trace.count("requests refused for want of room");
        }
        let (frame, answered) = machine::serve(&self.store, octets, late);
        self.note(format!("request {ask}: waits for {}", answered.position()));
        self.waiting.push(Waiting::Cca { ask, frame, answered });
    }

    pub(super) fn credit(&mut self, top_up: usize) {
        if self.store.room().space() != Space::Enough {
            return self.trace.count("top-ups refused for want of room");
        }
        let TopUp { account, micros, .. } = self.ledger.top_ups[top_up];
        let (kind, id) = (CreditKind::TopUp(Money::from_micros(micros)), format!("top-up {top_up}"));
        let currency = Some(self.store.catalog().currency());
        let done = self.store.credit(CreditCommand { account: AccountId(account), kind, currency, request_id: &id });
        self.note(format!("top-up {top_up} of {micros} to {account}: waits for {}", done.position()));
        let done = done.map(|done| done.unwrap());
        self.waiting.push(Waiting::TopUp { top_up, done });
    }

    /// The consumer is told what comes next, or says how far it has come.
    pub(super) fn tell_events(&mut self) {
        let after = self.consumer.last();
        let packet = if self.dice.once_in(2) {
            Packet::Acknowledge(after)
        } else {
            let limit = self.dice.below(6) as usize + 1;
            let events = self.store.outbox().after(after, limit, self.store.mark());
            let events = events.unwrap_or_else(|gone| panic!("events that nobody has acknowledged: {gone}"));
            let events = events.iter().map(|(cursor, notice)| (*cursor, format!("{notice:?}"))).collect();
            Packet::Events { after, events }
        };
        self.network.send(packet, &mut self.dice, &mut self.trace);
    }

    /// A checkpoint takes each partition at its own moment: more is done meanwhile.
    fn checkpoint(&mut self) {
        if self.slow > 0 {
            return;
        }
        if self.dice.once_in(4) {
            let left = self.dice.below(30);
            self.machine.disk.halt_after(left);
            self.trace.count("halts in a checkpoint, or soon after");
        }
        let store = Arc::clone(&self.store);
        let done = store.checkpoint_by_hand(|| self.beside_checkpoint()).map(|report| report.position);
        self.trace.count(if done.is_ok() { "checkpoints" } else { "checkpoints that failed" });
        self.note(format!("checkpoint: {:?}", done.ok()));
        self.read_on();
    }

    fn beside_checkpoint(&mut self) {
        for _ in 0..self.dice.below(6) {
            match self.dice.below(8) {
                0..5 => self.deliver(),
                5 | 6 => self.client(),
                _ => _ = self.commit(),
            }
        }
        self.leave();
    }

    /// What the node does by itself.
    pub(super) fn background(&mut self) {
        let runs = |world: &Self| {
            let session = |number: usize| session_id(number, &world.ledger.sessions[number]);
            let sessions = 0..world.ledger.sessions.len();
            sessions.filter(|number| world.store.session(session(*number).as_bytes()).is_some()).collect::<Vec<_>>()
        };
        let before = runs(self);
        let ended = self.store.expire_sessions();
        let after = runs(self);
        for session in before.iter().filter(|session| !after.contains(session)) {
            self.ledger.sessions[*session].expired = true;
            self.trace.count("sessions expired");
        }
        self.store.catch_up_accounts(16);
        let _ = self.store.write_trails();
        if self.dice.once_in(2) {
            self.store.idle_by_hand();
        }
        self.note(format!("background: {ended} sessions expired"));
    }

    fn pass_time(&mut self) {
        let clock = &self.machine.clock;
        match self.dice.below(10) {
            0 => {
                self.trace.count("clock jumps backward");
                clock.back(self.dice.below(3_600_000));
            }
            1 | 2 => {
                self.trace.count("clock jumps forward");
                clock.forward(self.dice.below(1_500_000));
            }
            _ => clock.forward(self.dice.below(30_000)),
        }
    }

    pub(super) fn note(&mut self, line: String) {
        self.trace.note(line);
    }
}
