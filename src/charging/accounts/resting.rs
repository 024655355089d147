//! An account in few octets, while nobody uses it.
//!
//! Only ever read by the process that wrote it: the form may change at will. Numbers are in groups of seven bits, as in
//! `detail::codec`; the name, the services, the kind and the priority of a bucket are most accounts' and are kept once.

use std::{mem::take, sync::Arc};

use super::super::{
    Account, AccountState, Bucket, BucketKind, History, MemberNo, Subscriber,
    detail::codec::{In, Out},
};
use crate::{
    ids::{AccountId, BucketId, Identity, IdentityKind},
    time::Timestamp,
    units::Currency,
};

/// Classes of buckets that are kept once. They are the offers of a catalog's versions; an account with a bucket of yet another
/// class stays awake.
const CLASSES_MAX: usize = 1_024;

/// Octets by which there is room: an allocator gives them anyway.
const STEP: usize = 16;
/// Octets of room that may lie idle.
const UNUSED_MAX: usize = 32;

/// The octets, with some room behind them.
#[derive(Debug, Default)]
pub(super) struct Packed(Box<[u8]>);

impl Packed {
    /// Takes in other octets, where they were if there is room: an account is packed again and again, and another place in
    /// memory is one more that no cache has.
    fn set(&mut self, octets: &[u8]) {
        let unused = self.0.len().checked_sub(octets.len());
        if let Some(room) = self.0.get_mut(..octets.len()).filter(|_| unused.is_some_and(|it| it <= UNUSED_MAX)) {
            room.copy_from_slice(octets);
            return;
        }
        let length = octets.len().next_multiple_of(STEP);
        let mut room = Vec::with_capacity(length);
        room.extend_from_slice(octets);
        room.resize(length, 0);
        self.0 = room.into();
    }

    /// All of them, with the room.
    pub(super) fn octets(&self) -> &[u8] {
        &self.0
    }
}

/// The memory of an account that is gone, for one that is unpacked.
#[derive(Debug, Default)]
pub(super) struct Room {
    buckets: Vec<Bucket>,
    subscribers: Vec<Subscriber>,
    history: History,
}

impl Room {
    /// Of an account that nobody needs any more.
    pub(super) fn of(account: &mut Account) -> Self {
        let Account { buckets, subscribers, history, .. } = account;
        Self { buckets: take(buckets), subscribers: take(subscribers), history: take(history) }
    }
}

/// What buckets of the same offer have in common.
#[derive(Debug, Clone)]
struct Class {
    kind: BucketKind,
    priority: u32,
    name: Arc<str>,
    services: Arc<[Arc<str>]>,
}

/// What the accounts of a partition have in common.
#[derive(Debug, Default)]
pub(super) struct Shared {
    classes: Vec<Class>,
    currencies: Vec<Currency>,
    scratch: Vec<u8>,
}

const STATES: [AccountState; 4] =
    [AccountState::Active, AccountState::Stopped, AccountState::Suspended, AccountState::Terminated];
const CREDIT_STOPPED: u64 = 4;
const NEVER_STOP: u64 = 8;

/// What a bucket has, as bits.
const USED: u64 = 1;
const RESERVED: u64 = 2;
const EXPIRES: u64 = 4;
const GIVEN: u64 = 8;

impl Shared {
    /// The same, to unpack by what is packed now.
    pub(super) fn copy(&self) -> Self {
        Self { classes: self.classes.clone(), currencies: self.currencies.clone(), scratch: Vec::new() }
    }

    /// Packs an account; `false` if it must stay awake: it runs sessions, or has more than buckets (a profile changes by
    /// itself, and is looked at for that).
    pub(super) fn pack(&mut self, account: &Account, packed: &mut Packed) -> bool {
        if !account.sessions.is_empty() || account.profile.is_some() {
            return false;
        }
        let mut out = Out(std::mem::take(&mut self.scratch));
        out.0.clear();
        let can_rest = self.write(account, &mut out).is_some();
        if can_rest {
            packed.set(&out.0);
        }
        self.scratch = out.0;
        can_rest
    }

    fn write(&mut self, account: &Account, out: &mut Out) -> Option<()> {
        let state = STATES.iter().position(|state| *state == account.state)? as u64;
        let stopped = u64::from(account.credit_stopped) * CREDIT_STOPPED;
        out.number(state | stopped | (u64::from(account.never_stop) * NEVER_STOP));
        out.number(self.currency(account.currency) as u64);
        out.signed(account.credit_limit.micros());
        out.signed(account.credited.micros());
        out.signed(account.debited.micros());
        out.number(account.next_bucket);
        out.number(account.opening_allowances);
        out.number(account.buckets.len() as u64);
        for bucket in &account.buckets {
            out.number(self.class(bucket)? as u64);
            write_bucket(bucket, out);
        }
        out.number(account.subscribers.len() as u64);
        for subscriber in &account.subscribers {
            out.text(&subscriber.id);
            out.number(subscriber.identities.len() as u64);
            subscriber.identities.iter().for_each(|identity| write_identity(identity, out));
        }
        let (octets, lines) = account.history.as_octets();
        out.number(lines as u64);
        out.number(octets.len() as u64);
        out.0.extend_from_slice(octets);
        Some(())
    }

    /// The account that was packed.
    #[allow(
        clippy::expect_used,
        reason = "what is read is what `pack` wrote; going on with another account would be worse"
    )]
    pub(super) fn unpack(&self, id: AccountId, packed: &[u8], room: Room) -> Account {
        self.read(id, &mut In(packed), room).expect("an account that rests is as it was packed")
    }

    fn read(&self, id: AccountId, rest: &mut In<'_>, room: Room) -> Option<Account> {
        let Room { mut buckets, mut subscribers, mut history } = room;
        let flags = rest.number()?;
        Some(Account {
            id,
            state: *STATES.get((flags & 3) as usize)?,
            credit_stopped: flags & CREDIT_STOPPED != 0,
            never_stop: flags & NEVER_STOP != 0,
            currency: *self.currencies.get(rest.narrow::<usize>()?)?,
            credit_limit: rest.money()?,
            credited: rest.money()?,
            debited: rest.money()?,
            next_bucket: rest.narrow()?,
            opening_allowances: rest.narrow()?,
            buckets: {
                buckets.clear();
                let count = rest.narrow()?;
                buckets.reserve(count);
                for _ in 0..count {
                    buckets.push(read_bucket(self.classes.get(rest.narrow::<usize>()?)?, rest)?);
                }
                buckets
            },
            subscribers: {
                let nobody = || Subscriber { id: "".into(), identities: Box::default() };
                subscribers.resize_with(rest.narrow()?, nobody);
                subscribers.iter_mut().try_for_each(|each| read_subscriber(each, rest))?;
                subscribers
            },
            sessions: Vec::new(),
            history: {
                let lines = rest.narrow()?;
                let length = rest.narrow::<usize>()?;
                history.restore(rest.0.get(..length)?, lines);
                history
            },
            profile: None,
        })
    }

    fn currency(&mut self, currency: Currency) -> usize {
        self.currencies.iter().position(|known| *known == currency).unwrap_or_else(|| {
            self.currencies.push(currency);
            self.currencies.len() - 1
        })
    }

    /// The number of a bucket's class; `None` if there are too many.
    fn class(&mut self, bucket: &Bucket) -> Option<usize> {
        let Bucket { kind, priority, name, services, .. } = bucket;
        let is_it = |class: &Class| {
            class.kind == *kind && class.priority == *priority && class.name == *name && class.services == *services
        };
        if let Some(known) = self.classes.iter().position(is_it) {
            return Some(known);
        }
        if self.classes.len() >= CLASSES_MAX {
            return None;
        }
        let (name, services) = (Arc::clone(name), Arc::clone(services));
        self.classes.push(Class { kind: *kind, priority: *priority, name, services });
        Some(self.classes.len() - 1)
    }
}

fn write_bucket(bucket: &Bucket, out: &mut Out) {
    let Bucket { id, amount, reserved, initial, expires, owner, subscription, rolled, .. } = bucket;
    let is_given = *owner != MemberNo::SHARED || *subscription != 0 || *rolled != 0;
    let bit = |is_there: bool, bit: u64| if is_there { bit } else { 0 };
    let has = bit(amount != initial, USED) | bit(*reserved != 0, RESERVED);
    let has = has | bit(expires.is_some(), EXPIRES) | bit(is_given, GIVEN);
    out.number(has);
    out.number(id.0);
    out.signed(*initial);
    if has & USED != 0 {
        out.signed(*amount);
    }
    if has & RESERVED != 0 {
        out.signed(*reserved);
    }
    if let Some(expires) = expires {
        out.number(expires.millis());
    }
    if is_given {
        out.number(owner.0);
        out.number(*subscription);
        out.number(*rolled);
    }
}

fn read_bucket(class: &Class, rest: &mut In<'_>) -> Option<Bucket> {
    let has = rest.number()?;
    let id = BucketId(rest.narrow()?);
    let initial = rest.signed()?;
    let amount = if has & USED != 0 { rest.signed()? } else { initial };
    let reserved = if has & RESERVED != 0 { rest.signed()? } else { 0 };
    let expires = if has & EXPIRES != 0 { Some(Timestamp::from_millis(rest.number()?)) } else { None };
    let (owner, subscription, rolled) = if has & GIVEN != 0 {
        (MemberNo(rest.narrow()?), rest.narrow()?, rest.narrow()?)
    } else {
        (MemberNo::SHARED, 0, 0)
    };
    Some(Bucket {
        id,
        kind: class.kind,
        amount,
        reserved,
        initial,
        priority: class.priority,
        expires,
        services: Arc::clone(&class.services),
        name: Arc::clone(&class.name),
        owner,
        subscription,
        rolled,
    })
}

/// In the memory of another, which often has the same name, and as many identities.
fn read_subscriber(subscriber: &mut Subscriber, rest: &mut In<'_>) -> Option<()> {
    let id = rest.borrowed()?;
    if *subscriber.id != *id {
        subscriber.id = id.into();
    }
    let count = rest.narrow::<usize>()?;
    if subscriber.identities.len() == count {
        return subscriber.identities.iter_mut().try_for_each(|each| {
            *each = read_identity(rest)?;
            Some(())
        });
    }
    subscriber.identities = (0..count).map(|_| read_identity(rest)).collect::<Option<_>>()?;
    Some(())
}

/// One octet says what it is: 0 = digits, else the Subscription-Id-Type and 1.
fn write_identity(identity: &Identity, out: &mut Out) {
    match identity {
        Identity::Packed(packed) => {
            out.number(0u8);
            out.0.extend_from_slice(&packed.to_le_bytes());
        }
        Identity::Text(kind, text) => {
            out.number(kind.subscription_id_type() + 1);
            out.text(text);
        }
    }
}

fn read_identity(rest: &mut In<'_>) -> Option<Identity> {
    let kind: u32 = rest.narrow()?;
    let Some(kind) = kind.checked_sub(1) else {
        let octets = rest.0.split_off(..8)?;
        return Some(Identity::Packed(u64::from_le_bytes(octets.try_into().ok()?)));
    };
    Some(Identity::Text(IdentityKind::from_subscription_id_type(kind)?, rest.borrowed()?.into()))
}
