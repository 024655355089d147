//! What others want of a connection: told from anywhere, never lost, and never more than one of each kind.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use tokio::sync::Notify;

use crate::diameter::peer::{ConnectionId, Effect};

/// A connection's name, and how it is told what to do.
#[derive(Debug, Clone)]
pub(super) struct Handle {
    pub(super) id: ConnectionId,
    wishes: Arc<Wishes>,
}

#[derive(Debug, Default)]
struct Wishes {
    /// One bit for each [`Effect`] that can come from outside.
    bits: AtomicU8,
    told: Notify,
}

/// The effects by their bits, in the order in which they are done. The connection knows which one is meant by its own name.
const KINDS: [fn(ConnectionId) -> Effect; 7] = [
    Effect::SendCer,
    Effect::SendCea,
    Effect::Reject,
    Effect::LoseElection,
    Effect::Close,
    Effect::Replace,
    Effect::Probe,
];

impl Handle {
    pub(super) fn new(id: ConnectionId) -> Self {
        Self { id, wishes: Arc::default() }
    }

    /// Tells the connection what to do.
    pub(super) fn tell(&self, effect: Effect) {
        if let Some(bit) = KINDS.iter().position(|kind| kind(self.id) == effect) {
            self.wishes.bits.fetch_or(1 << bit, Ordering::AcqRel);
            self.wishes.told.notify_one();
        }
    }

    /// Waits until something is wanted. Cancel safe.
    pub(super) async fn told(&self) -> Vec<Effect> {
        loop {
            let bits = self.wishes.bits.swap(0, Ordering::AcqRel);
            if bits != 0 {
                let wanted = KINDS.iter().enumerate().filter(|(bit, _)| bits & (1 << bit) != 0);
                return wanted.map(|(_, kind)| kind(self.id)).collect();
            }
            self.wishes.told.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_wanted_twice_is_done_once_and_nothing_is_lost() {
        let handle = Handle::new(7);
        for effect in [Effect::Probe(7), Effect::SendCea(7), Effect::Probe(7), Effect::Connect(7), Effect::Close(8)] {
            handle.clone().tell(effect);
        }
        assert_eq!(handle.told().await, [Effect::SendCea(7), Effect::Probe(7)]);
        let waiting = tokio::spawn({
            let handle = handle.clone();
            async move { handle.told().await }
        });
        handle.tell(Effect::Replace(7));
        assert_eq!(waiting.await.unwrap(), [Effect::Replace(7)]);
    }
}
