//! The accounts of a partition.
//!
//! Nearly all of them are not in use at any moment, and one that is open for use is several pieces of memory, most of which
//! is room. So an account that nobody uses, and that runs no session, is put to *rest*: packed into one piece of
//! few octets. It wakes when somebody looks for it, and nobody can tell the difference but by the time it takes, less than a
//! microsecond. It rests again as soon as the request is over, while all of it is in the processor's cache: to keep it awake
//! for a while was dearer with a million subscribers, since all its pieces had to be fetched from memory once more.
//!
//! Accounts are never removed. Where they are is found by a table of tags and numbers; growth is in small steps.

mod copy;
mod resting;

use std::{
    borrow::Cow,
    cell::{Cell, OnceCell, RefCell},
    collections::VecDeque,
};

pub use self::copy::AccountsCopy;
use self::resting::{Packed, Room, Shared};
use super::{Account, memory::Index};
use crate::ids::AccountId;

/// Accounts in a chunk.
const CHUNK: usize = 256;
/// How many are put to rest at most with one change. One is woken by it: this keeps up.
const REST_AT_ONCE: usize = 2;

/// Accounts by their ids.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    /// In the order in which they came; all chunks are full but the last.
    chunks: Vec<Vec<Slot>>,
    places: Index,
    /// The one that was looked for last: one request looks for the same account a dozen times.
    last: Cell<Option<(AccountId, u32)>>,
    shared: Shared,
    /// Those that may be put to rest, the longest unused first, more or less.
    queue: RefCell<VecDeque<u32>>,
    /// What one was unpacked to that rests again: the next one gets its memory.
    spare: RefCell<Option<Box<Awake>>>,
    /// Not every id was above the one before it.
    mixed: bool,
    /// Places in the order of ids, if somebody has asked for that and it is another than that of places.
    order: Vec<u32>,
}

#[derive(Debug)]
struct Slot {
    id: AccountId,
    /// If it is awake and has changed since it woke: what it was, and the room for what it will be.
    packed: Packed,
    awake: OnceCell<Box<Awake>>,
}

#[derive(Debug)]
struct Awake {
    account: Account,
    /// Whether it is in the queue.
    queued: Cell<bool>,
    /// Whether it may be another than the packed one.
    changed: bool,
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
        let awake = slot.awake.get_mut()?;
        awake.changed = true;
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

    /// Looks at all as [`iter`](Self::iter) does, until something is wrong. They are unpacked to the same memory, one after the
    /// other.
    pub(super) fn try_for_each<E>(&self, mut look: impl FnMut(&Account) -> Result<(), E>) -> Result<(), E> {
        let mut room = Room::default();
        for slot in self.chunks.iter().flatten() {
            match slot.awake.get() {
                Some(awake) => look(&awake.account)?,
                None => {
                    let mut account = self.shared.unpack(slot.id, slot.packed.octets(), std::mem::take(&mut room));
                    look(&account)?;
                    room = Room::of(&mut account);
                }
            }
        }
        Ok(())
    }

    /// All as they are now, to be looked at later.
    pub(super) fn copy(&self) -> AccountsCopy {
        let mut copy = AccountsCopy::new(&self.shared, self.len());
        for slot in self.chunks.iter().flatten() {
            match slot.awake.get() {
                Some(awake) => copy.awake(&awake.account),
                None => copy.resting(slot.id, &slot.packed),
            }
        }
        copy
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
        let awake = Box::new(Awake { account, queued: Cell::new(true), changed: true });
        let place = self.add(Slot { id, packed: Packed::default(), awake: OnceCell::from(awake) });
        self.queue.get_mut().push_back(place);
        true
    }

    /// Takes in an account that is new, at rest at once. `false` = it cannot rest, and nothing was done.
    pub(super) fn insert_resting(&mut self, account: &Account) -> bool {
        let mut packed = Packed::default();
        let can_rest = self.shared.pack(account, &mut packed);
        if can_rest {
            self.add(Slot { id: account.id, packed, awake: OnceCell::new() });
        }
        can_rest
    }

    /// Adds an account. Returns its place.
    fn add(&mut self, slot: Slot) -> u32 {
        let (id, place) = (slot.id, self.len() as u32);
        if let Some(last) = self.chunks.last().and_then(|chunk| chunk.last()) {
            self.mixed |= id < last.id;
        }
        self.order.clear();
        match self.chunks.last_mut().filter(|chunk| chunk.len() < CHUNK) {
            Some(chunk) => chunk.push(slot),
            None => {
                // A partition with few accounts need not have room for more.
                let mut chunk = Vec::with_capacity(if self.chunks.is_empty() { 1 } else { CHUNK });
                chunk.push(slot);
                self.chunks.push(chunk);
            }
        }
        self.places.insert(hash(id), place);
        place
    }

    /// Puts some to rest of those that were not used for the longest time. To be called again and again.
    pub(super) fn rest(&mut self) {
        for _ in 0..REST_AT_ONCE {
            let queue = self.queue.get_mut();
            let Some(place) = queue.pop_front() else { return };
            let slot =
                self.chunks.get_mut(place as usize / CHUNK).and_then(|chunk| chunk.get_mut(place as usize % CHUNK));
            let Some(slot) = slot else { return };
            let Some(awake) = slot.awake.get() else { continue };
            if awake.changed && !self.shared.pack(&awake.account, &mut slot.packed) {
                // It comes back into the queue with its next change.
                awake.queued.set(false);
                continue;
            }
            *self.spare.get_mut() = slot.awake.take();
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
        if let Some((last, place)) = self.last.get()
            && last == id
        {
            return Some(place);
        }
        let place = self.places.find(hash(id), |place| self.slot(place).is_some_and(|slot| slot.id == id))?;
        self.last.set(Some((id, place)));
        Some(place)
    }

    fn slot(&self, place: u32) -> Option<&Slot> {
        self.chunks.get(place as usize / CHUNK)?.get(place as usize % CHUNK)
    }

    fn wake(&self, place: u32) -> Option<&Awake> {
        let slot = self.slot(place)?;
        Some(slot.awake.get_or_init(|| {
            self.queue.borrow_mut().push_back(place);
            match self.spare.borrow_mut().take() {
                Some(mut spare) => {
                    spare.account = self.shared.unpack(slot.id, slot.packed.octets(), Room::of(&mut spare.account));
                    (spare.queued, spare.changed) = (Cell::new(true), false);
                    spare
                }
                None => {
                    let account = self.shared.unpack(slot.id, slot.packed.octets(), Room::default());
                    Box::new(Awake { account, queued: Cell::new(true), changed: false })
                }
            }
        }))
    }

    fn seen<'a>(&'a self, slot: &'a Slot) -> Cow<'a, Account> {
        match slot.awake.get() {
            Some(awake) => Cow::Borrowed(&awake.account),
            None => Cow::Owned(self.shared.unpack(slot.id, slot.packed.octets(), Room::default())),
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

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, convert::Infallible};

    use proptest::{collection::vec, option, prelude::*, sample::select};

    use super::*;
    use crate::{
        charging::{
            AccountState, Bucket, BucketKind, History, HistoryKind, HistoryLine, MemberNo, Profile, Subscriber,
        },
        ids::{BucketId, Identity, IdentityKind, SessionNo},
        time::Timestamp,
        units::{Money, UnitKind},
    };

    fn buckets() -> impl Strategy<Value = Bucket> {
        let kinds = select(vec![BucketKind::Money, BucketKind::Units(UnitKind::Octets)]);
        let amounts = (any::<i64>(), option::of(any::<i64>()), prop_oneof![Just(0), any::<i64>()]);
        let given = prop_oneof![Just((0, 0, 0)), any::<(u32, u32, u8)>()];
        let texts = (vec("[a-c]{0,2}", 0..3), "[a-z]{0,12}");
        (any::<u32>(), kinds, amounts, 0u32..3, option::of(any::<u64>()), texts, given).prop_map(
            |(id, kind, (initial, amount, reserved), priority, expires, (services, name), given)| Bucket {
                id: BucketId(id),
                kind,
                amount: amount.unwrap_or(initial),
                reserved,
                initial,
                priority,
                expires: expires.map(Timestamp::from_millis),
                services: services.into_iter().map(Into::into).collect(),
                name: name.into(),
                owner: MemberNo(given.0),
                subscription: given.1,
                rolled: given.2,
            },
        )
    }

    fn identities() -> impl Strategy<Value = Identity> {
        let kinds = vec![IdentityKind::SipUri, IdentityKind::Nai, IdentityKind::Private];
        let text = (select(kinds), "[a-z@ü]{1,30}").prop_map(|(kind, text)| Identity::Text(kind, text.into()));
        prop_oneof![any::<u64>().prop_map(Identity::Packed), text]
    }

    fn histories() -> impl Strategy<Value = History> {
        vec((any::<u64>(), any::<i64>()), 0..4).prop_map(|lines| {
            let line = |(at, amount)| {
                HistoryLine::money(Timestamp::from_millis(at), HistoryKind::TopUp, Money::from_micros(amount))
            };
            lines.into_iter().map(line).collect()
        })
    }

    fn accounts() -> impl Strategy<Value = Account> {
        use AccountState::*;
        let state = (select(vec![Active, Stopped, Suspended, Terminated]), any::<bool>(), any::<bool>());
        let subscriber = ("[a-z]{0,12}", vec(identities(), 0..3));
        let subscriber = subscriber.prop_map(|(id, all)| Subscriber { id: id.into(), identities: all.into() });
        let kept = (vec(buckets(), 0..4), vec(subscriber, 0..3), histories());
        let awake = prop_oneof![8 => Just((false, false)), 1 => Just((true, false)), 1 => Just((false, true))];
        (1u64..60, any::<[i64; 3]>(), any::<[u32; 2]>(), select(vec!["EUR", "CNY"]), state, kept, awake).prop_map(
            |(id, money, [next_bucket, opening_allowances], currency, state, kept, (runs, has_profile))| {
                let [credit_limit, credited, debited] = money.map(Money::from_micros);
                Account {
                    id: AccountId(id),
                    currency: currency.parse().unwrap(),
                    state: state.0,
                    credit_stopped: state.1,
                    never_stop: state.2,
                    credit_limit,
                    buckets: kept.0,
                    subscribers: kept.1,
                    sessions: if runs { vec![SessionNo(id)] } else { Vec::new() },
                    credited,
                    debited,
                    history: kept.2,
                    next_bucket,
                    opening_allowances,
                    profile: has_profile.then(Box::<Profile>::default),
                }
            },
        )
    }

    proptest! {
        // Nobody can tell whether an account rests.
        #[test]
        fn accounts_do_what_a_map_does(steps in vec((accounts(), 0u8..6), 0..300)) {
            let (mut accounts, mut model) = (Accounts::default(), BTreeMap::new());
            for (new, what) in steps {
                let id = new.id;
                match what {
                    0 => drop(accounts.get(&id)),
                    1 => if let Some(known) = accounts.get_mut(&id) {
                        known.credited = new.credited;
                        known.sessions.clear();
                        let changed: &mut Account = model.get_mut(&id).unwrap();
                        (changed.credited, changed.sessions) = (new.credited, Vec::new());
                    },
                    2 => {
                        let found = accounts.after(id, 5);
                        prop_assert!(found.into_iter().eq(model.range(AccountId(id.0 + 1)..).map(|(id, _)| *id).take(5)));
                    },
                    3 if !accounts.contains(id) => {
                        let can_rest = new.sessions.is_empty() && new.profile.is_none();
                        prop_assert_eq!(accounts.insert_resting(&new), can_rest);
                        can_rest.then(|| model.insert(id, new));
                    }
                    _ => prop_assert_eq!(accounts.insert(new.clone()), model.insert(id, new).is_none()),
                }
                accounts.rest();
                let seen = accounts.peek(id);
                prop_assert_eq!(seen.as_deref(), model.get(&id));
            }
            prop_assert_eq!(accounts.len(), model.len());
            let mut all: Vec<_> = accounts.iter().map(Cow::into_owned).collect();
            all.sort_by_key(|account| account.id);
            prop_assert!(all.iter().eq(model.values()));
            let mut seen = Vec::new();
            let Ok(()) = accounts.try_for_each(|account| { seen.push(account.clone()); Ok::<_, Infallible>(()) });
            seen.sort_by_key(|account| account.id);
            prop_assert_eq!(&seen, &all);
            let copy = accounts.copy();
            // What comes later is not in it.
            accounts.ids().collect::<Vec<_>>().iter().for_each(|id| accounts.get_mut(id).unwrap().next_bucket ^= 1);
            (0..9).for_each(|_| accounts.rest());
            seen.clear();
            let Ok(()) = copy.try_for_each(|account| { seen.push(account.clone()); Ok::<_, Infallible>(()) });
            seen.sort_by_key(|account| account.id);
            prop_assert_eq!(seen, all);
            accounts.ids().collect::<Vec<_>>().iter().for_each(|id| accounts.get_mut(id).unwrap().next_bucket ^= 1);
            for (id, account) in &model {
                prop_assert_eq!(accounts.get(id), Some(account));
            }
        }
    }

    fn plain(id: u64) -> Account {
        let line =
            |kind| HistoryLine::money(Timestamp::from_secs(1_790_000_000), kind, Money::from_micros(100_000_000));
        let allowance = HistoryLine { service: "data-10gb".into(), ..line(HistoryKind::Allowance) };
        let bucket = |number, kind, name: &str| Bucket {
            id: BucketId(number),
            kind,
            amount: 100_000_000,
            reserved: 0,
            initial: 100_000_000,
            priority: number,
            expires: Some(Timestamp::from_secs(1_800_000_000)).filter(|_| number > 1),
            services: Default::default(),
            name: name.into(),
            owner: MemberNo::SHARED,
            subscription: 0,
            rolled: 0,
        };
        let units = BucketKind::Units(UnitKind::Octets);
        let number = |kind, first: u64| Identity::new(kind, &(first + id).to_string()).unwrap();
        let numbers = [number(IdentityKind::E164, 8_613_900_000_000), number(IdentityKind::Imsi, 460_000_000_000_000)];
        Account {
            id: AccountId(id),
            currency: "EUR".parse().unwrap(),
            state: AccountState::Active,
            credit_stopped: false,
            never_stop: false,
            credit_limit: Money::ZERO,
            buckets: vec![bucket(2, units, "data-10gb"), bucket(1, BucketKind::Money, "main")],
            subscribers: vec![Subscriber { id: "line-1".into(), identities: numbers.into() }],
            sessions: Vec::new(),
            credited: Money::from_micros(100_000_000),
            debited: Money::ZERO,
            history: [line(HistoryKind::Opening), allowance].into_iter().collect(),
            next_bucket: 3,
            opening_allowances: 1,
            profile: None,
        }
    }

    #[test]
    fn an_account_that_rests_takes_few_octets_and_none_stays_awake() {
        let mut accounts = Accounts::default();
        for id in 1..=1_000 {
            accounts.insert(plain(id));
            accounts.rest();
        }
        for id in 1..=1_000 {
            assert!(accounts.get(&AccountId(id)).is_some());
            accounts.rest();
        }
        let slots = || accounts.chunks.iter().flatten();
        assert_eq!(slots().filter(|slot| slot.awake.get().is_some()).count(), 0);
        assert_eq!(size_of::<Slot>(), 32);
        let longest = slots().map(|slot| slot.packed.octets().len()).max();
        assert!(longest.is_some_and(|octets| octets > 0 && octets <= 112), "{longest:?} octets");
    }
}
