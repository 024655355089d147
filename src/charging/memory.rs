//! Things that are remembered for a while: found by key, forgotten oldest first.
//!
//! There are millions of them, and memory that is touched for the first time is slow. So a thing is stored once, in the
//! order of time, and all growth is in small steps: a chunk of things or one small table of the index, never the whole.

use std::collections::VecDeque;

/// Something that is remembered by a key.
pub(super) trait Remembered {
    /// A hash of the key; all its bits should be as good as random.
    fn hash(&self) -> u64;
    /// Whether both have the same key.
    fn same_key(&self, other: &Self) -> bool;
}

/// Things in a chunk.
const CHUNK: usize = 256;

/// Remembered things, oldest first.
#[derive(Debug)]
pub(super) struct Memory<T> {
    /// All are full but the last.
    chunks: VecDeque<Vec<T>>,
    /// A chunk that is empty again, to be used next.
    spare: Option<Vec<T>>,
    /// How many of the first chunk are forgotten; they are dropped with their chunk.
    forgotten: usize,
    /// The number of the first thing in the first chunk. Things are numbered upwards, at last through zero.
    first: u32,
    index: Index,
}

impl<T> Default for Memory<T> {
    fn default() -> Self {
        Self { chunks: VecDeque::new(), spare: None, forgotten: 0, first: 0, index: Index::default() }
    }
}

impl<T: Remembered> Memory<T> {
    /// How many are remembered.
    pub(super) fn len(&self) -> usize {
        self.chunks.len().saturating_sub(1) * CHUNK + self.chunks.back().map_or(0, Vec::len) - self.forgotten
    }

    /// All, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten().skip(self.forgotten)
    }

    /// The one whose key has this hash and passes the test.
    pub(super) fn get(&self, hash: u64, is_it: impl Fn(&T) -> bool) -> Option<&T> {
        self.at(self.index.find(hash, |number| self.at(number).is_some_and(&is_it))?)
    }

    /// Remembers one as the newest. If its key is there already, it takes that one's place: that cannot happen as long as
    /// what is remembered is never done anew.
    pub(super) fn insert(&mut self, new: T) {
        let hash = new.hash();
        let known = self.index.find(hash, |number| self.at(number).is_some_and(|old| old.same_key(&new)));
        if let Some(old) = known.and_then(|number| self.at_mut(number)) {
            *old = new;
            return;
        }
        // 2^32 in one partition would be some hundred gigabytes.
        let number = self.first.wrapping_add((self.forgotten + self.len()) as u32);
        match self.chunks.back_mut().filter(|chunk| chunk.len() < CHUNK) {
            Some(chunk) => chunk.push(new),
            None => {
                let mut chunk = self.spare.take().unwrap_or_else(|| Vec::with_capacity(CHUNK));
                chunk.push(new);
                self.chunks.push_back(chunk);
            }
        }
        self.index.insert(hash, number);
    }

    /// The oldest.
    pub(super) fn oldest(&self) -> Option<&T> {
        self.chunks.front()?.get(self.forgotten)
    }

    /// Forgets the oldest.
    pub(super) fn forget_oldest(&mut self) {
        let Some(oldest) = self.oldest() else { return };
        self.index.remove(oldest.hash(), self.first.wrapping_add(self.forgotten as u32));
        self.forgotten += 1;
        if self.forgotten == CHUNK {
            self.forgotten = 0;
            self.first = self.first.wrapping_add(CHUNK as u32);
            self.spare = self.chunks.pop_front();
            self.spare.iter_mut().for_each(Vec::clear);
        }
    }

    fn at(&self, number: u32) -> Option<&T> {
        let place = number.wrapping_sub(self.first) as usize;
        self.chunks.get(place / CHUNK)?.get(place % CHUNK)
    }

    fn at_mut(&mut self, number: u32) -> Option<&mut T> {
        let place = number.wrapping_sub(self.first) as usize;
        self.chunks.get_mut(place / CHUNK)?.get_mut(place % CHUNK)
    }
}

/// Tables of the index. They fill up at different moments, so that one that grows copies a small part of it all.
const TABLES: usize = 8;
/// Bits of a hash that are kept in the index.
const TAG_BITS: u32 = 31;

/// Numbers of things by the hashes of their keys. It has no tables as long as nothing is in it.
#[derive(Debug, Default)]
pub(super) struct Index(Box<[Table]>);

impl Index {
    /// The number with this hash that passes the test.
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let tag = tag(hash);
        self.0.get(tag as usize % TABLES)?.find(tag, is_it).map(|(_, number)| number)
    }

    pub(super) fn insert(&mut self, hash: u64, number: u32) {
        if self.0.is_empty() {
            self.0 = (0..TABLES).map(|_| Table::default()).collect();
        }
        let tag = tag(hash);
        if let Some(table) = self.0.get_mut(tag as usize % TABLES) {
            table.insert(tag, number);
        }
    }

    fn remove(&mut self, hash: u64, number: u32) {
        let tag = tag(hash);
        if let Some(table) = self.0.get_mut(tag as usize % TABLES) {
            table.remove(tag, number);
        }
    }
}

/// The upper bits.
fn tag(hash: u64) -> u32 {
    (hash >> (u64::BITS - TAG_BITS)) as u32
}

/// A table with open addressing and linear probing. A place is 0 if it is free, else [`TAKEN`], a tag and a number: with
/// the tag at hand the table grows without a look at the things themselves.
#[derive(Debug, Default)]
struct Table {
    /// Their number is a power of two.
    places: Vec<u64>,
    taken: usize,
}

const TAKEN: u64 = 1 << 63;
/// Places of a table when it is first used.
const PLACES_MIN: usize = 8;

fn place_of(tag: u32, number: u32) -> u64 {
    TAKEN | u64::from(tag) << 32 | u64::from(number)
}

impl Table {
    /// Where a taken place belongs. The low bits of the tag have chosen the table.
    fn home(&self, place: u64) -> usize {
        ((place >> 32) as usize / TABLES) & self.places.len().wrapping_sub(1)
    }

    fn next(&self, index: usize) -> usize {
        (index + 1) & self.places.len().wrapping_sub(1)
    }

    /// What is at an index; free in a table without places.
    fn get(&self, index: usize) -> u64 {
        self.places.get(index).copied().unwrap_or(0)
    }

    fn set(&mut self, index: usize, place: u64) {
        if let Some(at) = self.places.get_mut(index) {
            *at = place;
        }
    }

    fn find(&self, tag: u32, is_it: impl Fn(u32) -> bool) -> Option<(usize, u32)> {
        let wanted = place_of(tag, 0);
        let mut index = self.home(wanted);
        loop {
            // One place in eight is free at least.
            let place = self.get(index);
            if place == 0 {
                return None;
            }
            if place & !u64::from(u32::MAX) == wanted && is_it(place as u32) {
                return Some((index, place as u32));
            }
            index = self.next(index);
        }
    }

    fn insert(&mut self, tag: u32, number: u32) {
        if (self.taken + 1) * 8 > self.places.len() * 7 {
            let double = vec![0; (self.places.len() * 2).max(PLACES_MIN)];
            let places = std::mem::replace(&mut self.places, double);
            places.into_iter().filter(|place| *place != 0).for_each(|place| self.put(place));
        }
        self.put(place_of(tag, number));
        self.taken += 1;
    }

    fn put(&mut self, place: u64) {
        let mut index = self.home(place);
        while self.get(index) != 0 {
            index = self.next(index);
        }
        self.set(index, place);
    }

    fn remove(&mut self, tag: u32, number: u32) {
        let Some((mut hole, _)) = self.find(tag, |other| other == number) else { return };
        self.taken -= 1;
        // What follows without a gap moves up, unless that would be before its home.
        let mut index = hole;
        loop {
            index = self.next(index);
            let place = self.get(index);
            if place == 0 {
                break;
            }
            let mask = self.places.len() - 1;
            if (index.wrapping_sub(self.home(place)) & mask) >= (index.wrapping_sub(hole) & mask) {
                self.set(hole, place);
                hole = index;
            }
        }
        self.set(hole, 0);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, VecDeque};

    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// A key and something else. Keys that are equal modulo 8 have one hash.
    #[derive(Debug, PartialEq)]
    struct Thing(u64, u32);

    fn hash(key: u64) -> u64 {
        (key % 8).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    impl Remembered for Thing {
        fn hash(&self) -> u64 {
            hash(self.0)
        }

        fn same_key(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }

    /// The same with a map and a queue.
    #[derive(Default)]
    struct Model(BTreeMap<u64, u32>, VecDeque<u64>);

    proptest! {
        #[test]
        fn it_does_what_a_map_and_a_queue_do(steps in vec((0u64..200, any::<u32>(), 0usize..3), 0..2_000)) {
            let mut memory = Memory { first: u32::MAX - 300, ..Memory::default() };
            let mut model = Model::default();
            for (key, value, forget) in steps {
                memory.insert(Thing(key, value));
                if model.0.insert(key, value).is_none() {
                    model.1.push_back(key);
                }
                for _ in 0..forget.saturating_sub(1) {
                    memory.forget_oldest();
                    model.1.pop_front().map(|key| model.0.remove(&key));
                }
                let found = memory.get(hash(key), |thing| thing.0 == key).map(|thing| thing.1);
                prop_assert_eq!(found, model.0.get(&key).copied());
                prop_assert_eq!(memory.len(), model.0.len());
                prop_assert_eq!(memory.oldest().map(|thing| thing.0), model.1.front().copied());
            }
            let all: Vec<_> = memory.iter().map(|thing| thing.0).collect();
            prop_assert_eq!(&all, &Vec::from(model.1));
            for key in 0..200 {
                let found = memory.get(hash(key), |thing| thing.0 == key).map(|thing| thing.1);
                prop_assert_eq!(found, model.0.get(&key).copied());
            }
        }
    }

    #[test]
    fn many_come_and_go() {
        let mut memory = Memory::<(u64, u64)>::default();
        let hash = |key: u64| key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for key in 0..300_000 {
            memory.insert((key, hash(key)));
            if key >= 100_000 {
                memory.forget_oldest();
            }
        }
        assert_eq!((memory.len(), memory.oldest().map(|one| one.0)), (100_000, Some(200_000)));
        let known = |key: u64| memory.get(hash(key), |one| one.0 == key).is_some();
        assert!((200_000..300_000).all(known) && !(0..200_000).any(known));
        (0..100_001).for_each(|_| memory.forget_oldest());
        assert_eq!((memory.len(), memory.oldest()), (0, None));
        assert!(memory.index.0.iter().all(|table| table.taken == 0 && table.places.iter().all(|place| *place == 0)));
    }

    impl Remembered for (u64, u64) {
        fn hash(&self) -> u64 {
            self.1
        }

        fn same_key(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }
}
