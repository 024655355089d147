//! What gateways and the payment system do of their own.

use super::{
    ledger::{ACCOUNTS, SUBSCRIBERS, TopUp},
    network::Packet,
    run::World,
};

/// Sessions of all gateways at a time.
const SESSIONS_MAX: usize = 8;

impl World {
    /// A client does something of its own.
    pub(super) fn client(&mut self) {
        match self.dice.below(10) {
            0 | 1 if self.ledger.sessions.iter().filter(|session| !session.over).count() < SESSIONS_MAX => {
                let ask = self.ledger.begin(self.dice.below(SUBSCRIBERS));
                self.send(ask, false);
            }
            0..=6 => {
                let ready = self.ready();
                if ready.is_empty() {
                    return;
                }
                let session = ready[self.dice.below(ready.len() as u64) as usize];
                let ends = self.dice.once_in(5);
                self.go_on(session, ends);
            }
            7 | 8 => {
                let (account, micros) = (self.dice.below(ACCOUNTS) + 1, self.dice.below(60_000) as i64 + 1);
                self.ledger.top_ups.push(TopUp { account, micros, answer: None, arrived: false });
                let packet = Packet::TopUp(self.ledger.top_ups.len() - 1);
                self.network.send(packet, &mut self.dice, &mut self.trace);
            }
            _ => {
                let (subscriber, octets) = (self.dice.below(SUBSCRIBERS), self.dice.below(2_000_000) + 1);
                let ask = self.ledger.event(subscriber, octets);
                self.send(ask, false);
            }
        }
    }

    /// Sessions whose clients wait for no answer.
    pub(super) fn ready(&self) -> Vec<usize> {
        let waits: Vec<_> = self.ledger.asks.iter().filter(|ask| !ask.arrived).filter_map(|ask| ask.session).collect();
        let ready = |number: &usize| !self.ledger.sessions[*number].ends && !waits.contains(number);
        (0..self.ledger.sessions.len()).filter(ready).collect()
    }

    pub(super) fn go_on(&mut self, session: usize, ends: bool) {
        let used = self.ledger.sessions[session].held.map(|held| self.dice.below(held + 1));
        let ask = self.ledger.go_on(session, ends, used);
        self.send(ask, false);
    }

    pub(super) fn send(&mut self, ask: usize, retransmitted: bool) {
        // Another connection is another hop-by-hop id.
        self.hop_by_hop += 1;
        let octets = self.ledger.ccr(ask, self.hop_by_hop, retransmitted);
        self.network.send(Packet::Ccr { ask, octets }, &mut self.dice, &mut self.trace);
    }

    /// A client that has waited long enough fails over to its other connection and sends again, with T.
    pub(super) fn retransmit(&mut self) {
        let open: Vec<_> = (0..self.ledger.asks.len()).filter(|ask| !self.ledger.asks[*ask].arrived).collect();
        let unpaid: Vec<_> = (0..self.ledger.top_ups.len()).filter(|it| !self.ledger.top_ups[*it].arrived).collect();
        let drawn = self.dice.below((open.len() + unpaid.len()).max(1) as u64) as usize;
        if let Some(ask) = open.get(drawn) {
            self.trace.count("requests retransmitted with T");
            self.send(*ask, true);
        } else if let Some(top_up) = unpaid.get(drawn - open.len()) {
            self.network.send(Packet::TopUp(*top_up), &mut self.dice, &mut self.trace);
        }
    }
}
