//! Numbers to accounts, twenty octets an entry, room included: there are two numbers or more for each subscriber.
//!
//! Many small tables with open addressing and linear probing, each under a lock of its own. A table is never less than three
//! quarters full but when it is small, and grows by a sixth: what is copied at once is small, and so is what lies idle. Their
//! entries are neighbours in memory, so that probing a few more costs little.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::ids::AccountId;

/// Tables: with ten million subscribers each holds twenty thousand entries, which are copied in less than a millisecond.
const TABLES: usize = 1_024;
/// Entries of a table when it is first used.
const PLACES_MIN: usize = 8;

/// Numbers above 0 to accounts.
#[derive(Debug)]
pub(super) struct Numbers {
    tables: Box<[RwLock<Table>]>,
    hasher: ahash::RandomState,
}

impl Default for Numbers {
    fn default() -> Self {
        Self { tables: (0..TABLES).map(|_| RwLock::default()).collect(), hasher: ahash::RandomState::new() }
    }
}

impl Numbers {
    pub(super) fn get(&self, number: u64) -> Option<AccountId> {
        let hash = self.hasher.hash_one(number);
        self.read(hash).find(home_of(hash), number).ok()
    }

    pub(super) fn len(&self) -> usize {
        self.tables.iter().map(|table| table.read().unwrap_or_else(PoisonError::into_inner).taken).sum()
    }

    /// Takes a number for an account. `Ok(true)` = it was free, `Ok(false)` = it was this account's already.
    ///
    /// # Errors
    /// The account that it belongs to.
    pub(super) fn claim(&self, number: u64, account: AccountId) -> Result<bool, AccountId> {
        let hash = self.hasher.hash_one(number);
        let mut table = self.write(hash);
        match table.find(home_of(hash), number) {
            Ok(owner) if owner == account => Ok(false),
            Ok(owner) => Err(owner),
            Err(_) => {
                table.insert(number, account, &self.hasher);
                Ok(true)
            }
        }
    }

    /// Makes room for so many, before there are any: else each of them would be copied several times on the way there.
    pub(super) fn reserve(&mut self, count: usize) {
        // Hashes are not spread quite evenly: a sixteenth more than full tables need.
        let entries = count.div_ceil(TABLES).saturating_mul(8 * 17) / (7 * 16);
        for table in &mut self.tables {
            let table = table.get_mut().unwrap_or_else(PoisonError::into_inner);
            if table.entries.is_empty() && entries > PLACES_MIN {
                table.entries = vec![FREE; entries];
            }
        }
    }

    pub(super) fn remove(&self, number: u64) {
        let hash = self.hasher.hash_one(number);
        self.write(hash).remove(number, &self.hasher);
    }

    fn read(&self, hash: u64) -> RwLockReadGuard<'_, Table> {
        // Nothing panics under these locks but in a defect, which ends the process.
        self.tables[hash as usize % TABLES].read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, hash: u64) -> RwLockWriteGuard<'_, Table> {
        self.tables[hash as usize % TABLES].write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The upper half; the low bits have chosen the table.
fn home_of(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// An entry with the number 0 is free.
type Entry = (u64, AccountId);
const FREE: Entry = (0, AccountId(0));

#[derive(Debug, Default)]
struct Table {
    entries: Vec<Entry>,
    taken: usize,
}

impl Table {
    /// Where a number with this half of a hash belongs: hashes are spread evenly over any number of entries.
    fn home(&self, half: u32) -> usize {
        ((u64::from(half) * self.entries.len() as u64) >> 32) as usize
    }

    fn next(&self, index: usize) -> usize {
        if index + 1 < self.entries.len() { index + 1 } else { 0 }
    }

    /// The account of a number.
    ///
    /// # Errors
    /// The free entry where it would be, if there are entries.
    fn find(&self, half: u32, number: u64) -> Result<AccountId, usize> {
        let mut index = self.home(half);
        loop {
            // One entry in eight is free at least, if there are any.
            match self.entries.get(index) {
                None | Some((0, _)) => return Err(index),
                Some((known, account)) if *known == number => return Ok(*account),
                Some(_) => index = self.next(index),
            }
        }
    }

    fn insert(&mut self, number: u64, account: AccountId, hasher: &ahash::RandomState) {
        if (self.taken + 1) * 8 > self.entries.len() * 7 {
            let more = vec![FREE; (self.entries.len() + self.entries.len() / 6).max(PLACES_MIN)];
            let old = std::mem::replace(&mut self.entries, more);
            old.into_iter()
                .filter(|(number, _)| *number != 0)
                .for_each(|(number, account)| self.put(number, account, hasher));
        }
        self.put(number, account, hasher);
        self.taken += 1;
    }

    fn put(&mut self, number: u64, account: AccountId, hasher: &ahash::RandomState) {
        if let Err(free) = self.find(home_of(hasher.hash_one(number)), number)
            && let Some(entry) = self.entries.get_mut(free)
        {
            *entry = (number, account);
        }
    }

    fn remove(&mut self, number: u64, hasher: &ahash::RandomState) {
        let mut hole = self.home(home_of(hasher.hash_one(number)));
        loop {
            match self.entries.get(hole) {
                None | Some((0, _)) => return,
                Some((known, _)) if *known == number => break,
                Some(_) => hole = self.next(hole),
            }
        }
        self.taken -= 1;
        // What follows without a gap moves up, unless that would be before its home.
        let count = self.entries.len();
        let distance = |from: usize, to: usize| (to + count - from) % count;
        let mut index = hole;
        loop {
            index = self.next(index);
            let Some(entry) = self.entries.get(index).copied().filter(|(number, _)| *number != 0) else { break };
            let home = self.home(home_of(hasher.hash_one(entry.0)));
            if distance(home, index) >= distance(hole, index) {
                self.entries[hole] = entry;
                hole = index;
            }
        }
        self.entries[hole] = FREE;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn a_table_does_what_a_map_does(steps in vec((1u64..300, 1u64..4, 0u8..3), 0..3_000)) {
            let hasher = ahash::RandomState::with_seeds(1, 2, 3, 4);
            let (mut table, mut model) = (Table::default(), BTreeMap::new());
            let home = |number: u64| home_of(hasher.hash_one(number));
            for (number, account, what) in steps {
                if what == 0 {
                    table.remove(number, &hasher);
                    model.remove(&number);
                } else if table.find(home(number), number).is_err() {
                    table.insert(number, AccountId(account), &hasher);
                    model.insert(number, AccountId(account));
                }
                prop_assert_eq!(table.taken, model.len());
            }
            for number in 1..300 {
                prop_assert_eq!(table.find(home(number), number).ok(), model.get(&number).copied());
            }
            prop_assert!(table.entries.iter().filter(|entry| **entry != FREE).count() == model.len());
        }
    }

    #[test]
    fn numbers_are_claimed_once() {
        let numbers = Numbers::default();
        let (one, other) = (AccountId(1), AccountId(2));
        assert_eq!(
            (numbers.claim(7, one), numbers.claim(7, one), numbers.claim(7, other)),
            (Ok(true), Ok(false), Err(one))
        );
        numbers.remove(8);
        numbers.remove(7);
        assert_eq!((numbers.get(7), numbers.len(), numbers.claim(7, other)), (None, 0, Ok(true)));
    }

    #[test]
    fn entries_are_packed() {
        let hasher = ahash::RandomState::with_seeds(1, 2, 3, 4);
        let mut table = Table::default();
        for number in 1..=20_000 {
            table.insert(number, AccountId(number), &hasher);
            let room = table.entries.len() * size_of::<Entry>();
            assert!(number < 100 || room <= number as usize * 22, "{number} in {room} octets");
        }
        assert_eq!(size_of::<Entry>(), 16);
    }
}
