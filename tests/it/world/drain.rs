//! The end of a world: nothing breaks any more, everybody gets an answer, and the books are closed.

use tollgate::{
    ids::AccountId,
    journal::record::{self, Entry},
};

use super::{
    ledger::ACCOUNTS,
    run::{CONSUMER, World},
    trace::Counts,
};

/// Far more rounds than it takes.
const ROUNDS: u64 = 60;
/// Where the node's cursors begin to count within one record.
const CURSORS_OF_RECORD: u64 = 256;

impl World {
    /// Ends all that runs and compares the node's books with the clients'. Returns the trace's hash and what was counted.
    pub(super) fn end(mut self) -> (u64, Counts) {
        self.network.bad = false;
        self.restart();
        (self.slow, self.full) = (0, false);
        let mut rounds = 0;
        while !self.round() {
            rounds += 1;
            assert!(rounds < ROUNDS, "no end: clients wait for answers");
        }
        self.restart();
        self.is_a_replay();
        self.close_the_books();
        self.check_events();
        let answers = self.ledger.answers_checked;
        self.trace.counts.insert("answers checked", answers);
        self.note(format!("the end, at {}", self.store.clock().now()));
        (self.trace.hash(), std::mem::take(&mut self.trace.counts))
    }

    /// Everybody asks for what is missing and gets it. Returns whether nothing is missing any more.
    fn round(&mut self) -> bool {
        for ask in 0..self.ledger.asks.len() {
            if !self.ledger.asks[ask].arrived {
                self.send(ask, true);
            }
        }
        for top_up in 0..self.ledger.top_ups.len() {
            if !self.ledger.top_ups[top_up].arrived {
                self.credit(top_up);
            }
        }
        for session in self.ready() {
            self.go_on(session, true);
        }
        for _ in 0..4 {
            self.tell_events();
        }
        while !self.network.is_empty() || !self.waiting.is_empty() {
            self.deliver();
            self.commit();
        }
        let newest = self.store.outbox().newest();
        let told = self.consumer.last() == newest && self.consumer.acknowledged == newest;
        let answered =
            self.ledger.asks.iter().all(|ask| ask.arrived) && self.ledger.top_ups.iter().all(|it| it.arrived);
        told && answered && self.ledger.sessions.iter().all(|session| session.over)
    }

    fn close_the_books(&mut self) {
        for account in 1..=ACCOUNTS {
            let known = self.store.account(AccountId(account)).unwrap();
            let known = self.store.mark().admit(known).unwrap();
            let (least, most) = self.ledger.charged(account);
            let charged = known.debited.micros();
            assert!((least..=most).contains(&charged), "account {account}: charged {charged}, told {least} to {most}");
            assert_eq!(known.credited.micros(), self.ledger.credited(account), "account {account}: credited");
            assert_eq!(known.balance().micros(), known.credited.micros() - charged, "account {account}: balance");
            assert!(known.balance().micros() >= 0, "account {account} has been overdrawn");
            assert_eq!(known.reserved().micros(), 0, "account {account}: reserved for nobody");
            assert!(known.sessions.is_empty(), "account {account}: sessions that nobody has");
        }
        if self.store.keeps_records() {
            self.trace.count("usage records added up");
            assert!(self.store.reconcile().unwrap().is_exact(), "usage records do not add up");
        }
    }

    /// The consumer has got what the journal's records say, all of it, once and in order.
    fn check_events(&self) {
        let mut expected = Vec::new();
        for (position, bytes) in (1u64..).zip(&self.archive) {
            if let Entry::Charging { event, .. } = record::decode(bytes).unwrap() {
                let cursors = position * CURSORS_OF_RECORD..;
                expected.extend(cursors.zip(event.notices()).map(|(cursor, notice)| (cursor, format!("{notice:?}"))));
            }
        }
        assert_eq!(self.consumer.got, expected, "events");
        assert_eq!(self.store.outbox().acknowledged(CONSUMER), Some(self.consumer.last()));
    }
}
