//! The accounts of a partition.
//!
//! Nearly all of them are not in use at any moment, and one that is open for use is several pieces of memory, most of which
//! is room. So an account that has not been used for a while, and runs no session, is put to *rest*: packed into one piece of
//! few octets. It wakes when somebody looks for it, and nobody can tell the difference but by the time it takes, less than a
//! microsecond. Those that were used last stay awake, so that one request does not wake an account twice.
//!
//! Accounts are never removed. Where they are is found by a table of tags and numbers; growth is in small steps.

mod resting;

use std::{
    borrow::Cow,
    cell::{Cell, OnceCell, RefCell},
    collections::VecDeque,
};

use self::resting::{Packed, Shared};
use super::{Account, memory::Index};
use crate::ids::AccountId;

/// Accounts in a chunk.
const CHUNK: usize = 64;
/// Accounts that stay awake although they run no session. A partition is one of many: what is in use at a time are those.
const AWAKE: usize = 16;
/// How many are put to rest at most with one change. One is woken by it: this keeps up.
const REST_AT_ONCE: usize = 2;

/// Accounts by their ids.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    /// In the order in which they came; all chunks are full but the last.
    chunks: Vec<Vec<Slot>>,
    places: Index,
    shared: Shared,
    /// Those that may be put to rest, the longest unused first, more or less.
    queue: RefCell<VecDeque<u32>>,
    /// Not every id was above the one before it.
    mixed: bool,
    /// Places in the order of ids, if somebody has asked for that and it is another than that of places.
    order: Vec<u32>,
}

#[derive(Debug)]
struct Slot {
    id: AccountId,
    /// Empty if it is awake and has changed since it woke.
    packed: Packed,
    awake: OnceCell<Box<Awake>>,
}

#[derive(Debug)]
struct Awake {
    account: Account,
    /// Whether it is in the queue.
    queued: Cell<bool>,
}

impl Accounts {
    pub(super) fn len(&self) -> usize {
        self.chunks.len().saturating_sub(1) * CHUNK + self.chunks.last().map_or(0, Vec::len)
    }

    pub(super) fn contains(&self, id: AccountId) -> bool {
        self.place(id).is_some()
    }

    /// The account with this id, woken.
    pub(super) fn get(&self, id: &AccountId) -> Option<&Account> {
        self.wake(self.place(*id)?).map(|awake| &awake.account)
    }

    /// The account with this id, woken, to be changed.
    pub(super) fn get_mut(&mut self, id: &AccountId) -> Option<&mut Account> {
        let place = self.place(*id)?;
        self.wake(place)?;
        let slot = self.chunks.get_mut(place as usize / CHUNK)?.get_mut(place as usize % CHUNK)?;
        slot.packed = Packed::default();
        let awake = slot.awake.get_mut()?;
        if !awake.queued.replace(true) {
            self.queue.get_mut().push_back(place);
        }
        Some(&mut awake.account)
    }

    /// The account with this id as it is: one that rests goes on doing so.
    pub(super) fn peek(&self, id: AccountId) -> Option<Cow<'_, Account>> {
        self.slot(self.place(id)?).map(|slot| self.seen(slot))
    }

    /// All, in the order in which they came; those that rest go on doing so.
    pub(super) fn iter(&self) -> impl Iterator<Item = Cow<'_, Account>> {
        self.chunks.iter().flatten().map(|slot| self.seen(slot))
    }

    /// The ids of all, in the order in which they came.
    pub(super) fn ids(&self) -> impl Iterator<Item = AccountId> {
        self.chunks.iter().flatten().map(|slot| slot.id)
    }

    /// Takes in an account. `false` = there was one with this id, which is replaced.
    pub(super) fn insert(&mut self, account: Account) -> bool {
        let id = account.id;
        if let Some(known) = self.get_mut(&id) {
            *known = account;
            return false;
        }
        let place = self.len() as u32;
        if let Some(last) = self.chunks.last().and_then(|chunk| chunk.last()) {
            self.mixed |= id < last.id;
        }
        self.order.clear();
        let awake = Box::new(Awake { account, queued: Cell::new(true) });
        let slot = Slot { id, packed: Packed::default(), awake: OnceCell::from(awake) };
        match self.chunks.last_mut().filter(|chunk| chunk.len() < CHUNK) {
            Some(chunk) => chunk.push(slot),
            None => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(slot);
                self.chunks.push(chunk);
            }
        }
        self.places.insert(hash(id), place);
        self.queue.get_mut().push_back(place);
        true
    }

    /// Puts some to rest of those that were not used for the longest time. To be called again and again.
    pub(super) fn rest(&mut self) {
        for _ in 0..REST_AT_ONCE {
            let queue = self.queue.get_mut();
            if queue.len() <= AWAKE {
                return;
            }
            let Some(place) = queue.pop_front() else { return };
            let slot = self.chunks.get_mut(place as usize / CHUNK).and_then(|chunk| chunk.get_mut(place as usize % CHUNK));
            let Some((slot, awake)) = slot.and_then(|slot| Some((slot.awake.take()?, slot))).map(|(a, s)| (s, a)) else {
                continue;
            };
            if slot.packed.is_empty() {
                match self.shared.pack(&awake.account) {
                    Some(packed) => slot.packed = packed,
                    // It comes back into the queue with its next change.
                    None => {
                        awake.queued.set(false);
                        let _ = slot.awake.set(awake);
                    }
                }
            }
        }
    }

    /// Ids above `after`, in order, at most `limit`.
    pub(super) fn after(&mut self, after: AccountId, limit: usize) -> Vec<AccountId> {
        if self.mixed && self.order.is_empty() {
            let mut order: Vec<_> = self.ids().zip(0u32..).collect();
            // All that was in order before is one run, which this sort finds and keeps.
            order.sort();
            self.order = order.into_iter().map(|(_, place)| place).collect();
        }
        let at = |rank: usize| {
            let place = if self.mixed { self.order.get(rank).copied()? } else { rank as u32 };
            self.slot(place).map(|slot| slot.id)
        };
        // The first rank above `after`.
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if at(middle).is_some_and(|id| id <= after) { low = middle + 1 } else { high = middle }
        }
        (low..self.len()).map_while(at).take(limit).collect()
    }

    fn place(&self, id: AccountId) -> Option<u32> {
        self.places.find(hash(id), |place| self.slot(place).is_some_and(|slot| slot.id == id))
    }

    fn slot(&self, place: u32) -> Option<&Slot> {
        self.chunks.get(place as usize / CHUNK)?.get(place as usize % CHUNK)
    }

    fn wake(&self, place: u32) -> Option<&Awake> {
        let slot = self.slot(place)?;
        Some(slot.awake.get_or_init(|| {
            self.queue.borrow_mut().push_back(place);
            Box::new(Awake { account: self.shared.unpack(slot.id, &slot.packed), queued: Cell::new(true) })
        }))
    }

    fn seen<'a>(&'a self, slot: &'a Slot) -> Cow<'a, Account> {
        match slot.awake.get() {
            Some(awake) => Cow::Borrowed(&awake.account),
            None => Cow::Owned(self.shared.unpack(slot.id, &slot.packed)),
        }
    }
}

/// Neighbours become numbers that have little in common.
fn hash(id: AccountId) -> u64 {
    // Not the multiplication that chooses the partition: in one partition, much of its product is the same.
    let mixed = (id.0 ^ id.0 >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ mixed >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ mixed >> 33
}
