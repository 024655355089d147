//! What is under way between the gateways and the node. Nothing holds an order: what is delivered next is drawn.

use bytes::Bytes;

use super::trace::Trace;
use crate::dice::Dice;

#[derive(Debug, Clone)]
pub(super) enum Packet {
    /// A request of a gateway, by its number in the ledger.
    Ccr {
        ask: usize,
        octets: Bytes,
    },
    /// Its answer.
    Cca {
        ask: usize,
    },
    TopUp(usize),
    TopUpDone(usize),
    /// Events after a cursor, each with its own.
    Events {
        after: u64,
        events: Vec<(u64, String)>,
    },
    Acknowledge(u64),
    Acknowledged(u64),
}

pub(super) struct Network {
    packets: Vec<Packet>,
    /// Packets are lost, doubled and held back.
    pub(super) bad: bool,
}

impl Network {
    pub(super) fn new() -> Self {
        Self { packets: Vec::new(), bad: true }
    }

    pub(super) fn send(&mut self, packet: Packet, dice: &mut Dice, trace: &mut Trace) {
        if self.bad && dice.once_in(12) {
            return trace.count("messages dropped");
        }
        if self.bad && dice.once_in(12) {
            trace.count("messages doubled");
            self.packets.push(packet.clone());
        }
        self.packets.push(packet);
    }

    /// Something that is under way: of a good network what was sent first.
    pub(super) fn receive(&mut self, dice: &mut Dice, trace: &mut Trace) -> Option<Packet> {
        if self.packets.is_empty() {
            return None;
        }
        if !self.bad {
            return Some(self.packets.remove(0));
        }
        let place = dice.below(self.packets.len() as u64) as usize;
        if place > 0 {
            trace.count("messages reordered");
        }
        Some(self.packets.remove(place))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }
}
