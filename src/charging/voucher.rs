//! Vouchers: made in batches, redeemed once. A voucher lives in the partition that its key says, the account in its own, so
//! that redeeming goes in steps as a transfer does (`transfer.rs`): the voucher is on its way to an account, the account is
//! credited under a request id made of the voucher, the voucher is redeemed, or open again.

use std::{collections::BTreeMap, sync::Arc};

use super::{Decided, Event, Refusal, State};
use crate::{
    ids::{AccountId, VoucherKey},
    time::Timestamp,
    units::Money,
};

/// A batch of vouchers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoucherBatch {
    /// Its name: unique.
    pub name: Arc<str>,
    /// What each of its vouchers is worth.
    pub value: VoucherValue,
    /// Not redeemed from this moment on.
    pub valid_until: Timestamp,
}

/// What a voucher is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VoucherValue {
    /// Money, as a top-up.
    Money(Money),
    /// An allowance of the catalog, by its name.
    Allowance(Arc<str>),
}

/// A voucher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voucher {
    /// Its batch.
    pub batch: Arc<str>,
    /// Its number in the batch, from 1.
    pub no: u32,
    /// Whether it can be redeemed.
    pub mark: VoucherMark,
}

/// What has become of a voucher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VoucherMark {
    /// It can be redeemed.
    Open,
    /// It is being redeemed.
    OnTheWay(Box<Redeemer>),
    /// It was redeemed.
    Redeemed(Box<Redeemer>),
}

/// Who redeems a voucher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redeemer {
    /// The account.
    pub account: AccountId,
    /// The caller's idempotency key.
    pub request_id: Box<str>,
    /// When.
    pub at: Timestamp,
}

/// The vouchers of a partition.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Vouchers {
    pub(super) batches: BTreeMap<Arc<str>, KnownBatch>,
    pub(super) vouchers: BTreeMap<VoucherKey, Voucher>,
}

/// A batch, as a partition knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownBatch {
    /// Its terms.
    pub batch: VoucherBatch,
    /// None of its vouchers is redeemed any more.
    pub blocked: bool,
    /// How many of its vouchers are in this partition, and how many of them are open.
    pub count: u32,
    /// See `count`.
    pub open: u32,
}

/// What can be done with vouchers.
#[derive(Debug)]
pub enum VoucherCommand<'a> {
    /// Makes those of a batch that live in this partition: numbers and keys; `true` = blocked.
    Create(&'a VoucherBatch, bool, Vec<(u32, VoucherKey)>),
    /// Takes a voucher for an account.
    Take(VoucherKey, AccountId, &'a str),
    /// The account has been credited.
    Delivered(VoucherKey),
    /// The account could not be credited: it is open again.
    GiveBack(VoucherKey),
    /// Nothing of a batch is redeemed any more, or again.
    Block(&'a str, bool),
}

/// The request id under which a voucher is credited. No caller's id has a control character, so none is ever the same.
pub fn voucher_receipt_id(voucher: &Voucher) -> String {
    format!("\u{1}voucher {} {}", voucher.batch, voucher.no)
}

pub(super) fn decide(state: &State, command: &VoucherCommand<'_>, now: Timestamp) -> Decided {
    match command {
        VoucherCommand::Create(batch, blocked, vouchers) => create(state, batch, *blocked, vouchers, now),
        VoucherCommand::Take(key, account, request_id) => take(state, *key, *account, request_id, now),
        VoucherCommand::Delivered(key) => finish(state, *key, now, VoucherMark::Redeemed),
        VoucherCommand::GiveBack(key) => finish(state, *key, now, |_| VoucherMark::Open),
        VoucherCommand::Block(name, blocked) => match state.vouchers.batches.get(*name) {
            None => Decided::refused(Refusal::NotThere(format!("there is no batch `{name}`"))),
            Some(known) if known.blocked == *blocked => Decided::done(None),
            Some(known) => Decided::done(Some(Event::VouchersBlocked {
                batch: Arc::clone(&known.batch.name),
                blocked: *blocked,
                at: now,
            })),
        },
    }
}

fn create(
    state: &State,
    batch: &VoucherBatch,
    blocked: bool,
    vouchers: &[(u32, VoucherKey)],
    now: Timestamp,
) -> Decided {
    if state.vouchers.batches.contains_key(&batch.name) {
        return Decided::refused(Refusal::NotPossible(format!("there is a batch `{}` already", batch.name)));
    }
    let vouchers = vouchers.iter().filter(|(_, key)| !state.vouchers.vouchers.contains_key(key)).copied().collect();
    Decided::done(Some(Event::VouchersCreated { batch: Box::new(batch.clone()), blocked, vouchers, at: now }))
}

/// One answer for a code that nobody has ever made and for one that is not worth anything any more would help a guesser less,
/// and a customer not at all: whoever guesses is throttled.
fn take(state: &State, key: VoucherKey, account: AccountId, request_id: &str, now: Timestamp) -> Decided {
    let Some(voucher) = state.vouchers.vouchers.get(&key) else {
        return Decided::refused(Refusal::NoSuchVoucher);
    };
    let by = match &voucher.mark {
        VoucherMark::Open => None,
        VoucherMark::OnTheWay(by) | VoucherMark::Redeemed(by) => Some(by),
    };
    if let Some(by) = by {
        let same = by.account == account && *by.request_id == *request_id;
        return if same {
            Decided::done(None)
        } else {
            Decided::refused(Refusal::NotPossible("the voucher has been redeemed".into()))
        };
    }
    let Some(known) = state.vouchers.batches.get(&voucher.batch) else {
        return Decided::refused(Refusal::NoSuchVoucher);
    };
    if known.blocked {
        return Decided::refused(Refusal::NotPossible("the voucher is blocked".into()));
    }
    if known.batch.valid_until <= now {
        return Decided::refused(Refusal::NotPossible("the voucher has expired".into()));
    }
    let mark = VoucherMark::OnTheWay(Box::new(Redeemer { account, request_id: request_id.into(), at: now }));
    Decided::done(Some(Event::VoucherMarked { key, mark, at: now }))
}

fn finish(state: &State, key: VoucherKey, now: Timestamp, mark: impl Fn(Box<Redeemer>) -> VoucherMark) -> Decided {
    let voucher = state.vouchers.vouchers.get(&key);
    let event = voucher.and_then(|voucher| match &voucher.mark {
        VoucherMark::OnTheWay(by) => Some(Event::VoucherMarked { key, mark: mark(by.clone()), at: now }),
        VoucherMark::Open | VoucherMark::Redeemed(_) => None,
    });
    Decided::done(event)
}

impl State {
    pub(super) fn create_vouchers(&mut self, batch: &VoucherBatch, blocked: bool, vouchers: &[(u32, VoucherKey)]) {
        let name = Arc::clone(&batch.name);
        let count = u32::try_from(vouchers.len()).unwrap_or(u32::MAX);
        let known = KnownBatch { batch: batch.clone(), blocked, count, open: count };
        self.vouchers.batches.insert(Arc::clone(&name), known);
        for (no, key) in vouchers {
            let voucher = Voucher { batch: Arc::clone(&name), no: *no, mark: VoucherMark::Open };
            self.vouchers.vouchers.insert(*key, voucher);
        }
    }

    pub(super) fn mark_voucher(&mut self, key: VoucherKey, mark: &VoucherMark) {
        let Some(voucher) = self.vouchers.vouchers.get_mut(&key) else { return };
        let is_open = |mark: &VoucherMark| *mark == VoucherMark::Open;
        let (before, after) = (is_open(&voucher.mark), is_open(mark));
        voucher.mark = mark.clone();
        if let Some(known) = self.vouchers.batches.get_mut(&voucher.batch) {
            match (before, after) {
                (true, false) => known.open = known.open.saturating_sub(1),
                (false, true) => known.open = known.open.saturating_add(1),
                _ => {}
            }
        }
        if matches!(mark, VoucherMark::OnTheWay(_)) {
            self.redeeming.insert(key);
        } else {
            self.redeeming.remove(&key);
        }
    }

    pub(super) fn block_vouchers(&mut self, batch: &str, blocked: bool) {
        if let Some(known) = self.vouchers.batches.get_mut(batch) {
            known.blocked = blocked;
        }
    }

    /// The voucher with this key, with its batch.
    pub fn voucher(&self, key: VoucherKey) -> Option<(&Voucher, &KnownBatch)> {
        let voucher = self.vouchers.vouchers.get(&key)?;
        Some((voucher, self.vouchers.batches.get(&voucher.batch)?))
    }

    /// All batches, by name.
    pub fn voucher_batches(&self) -> impl ExactSizeIterator<Item = &KnownBatch> {
        self.vouchers.batches.values()
    }

    /// All vouchers, by key.
    pub fn vouchers(&self) -> impl ExactSizeIterator<Item = (&VoucherKey, &Voucher)> {
        self.vouchers.vouchers.iter()
    }

    /// Vouchers that are on their way to an account, at most `limit`.
    pub fn redeeming(&self, limit: usize) -> Vec<VoucherKey> {
        self.redeeming.iter().take(limit).copied().collect()
    }

    /// Takes in a batch without its vouchers.
    pub(crate) fn restore_batch(&mut self, batch: VoucherBatch, blocked: bool) {
        let known = KnownBatch { blocked, count: 0, open: 0, batch };
        self.vouchers.batches.insert(Arc::clone(&known.batch.name), known);
    }

    /// Takes in a voucher; its batch must be there. False if it is not.
    pub(crate) fn restore_voucher(&mut self, key: VoucherKey, no: u32, batch: &str, mark: VoucherMark) -> bool {
        let Some(known) = self.vouchers.batches.get_mut(batch) else { return false };
        known.count = known.count.saturating_add(1);
        known.open = known.open.saturating_add(u32::from(mark == VoucherMark::Open));
        if matches!(mark, VoucherMark::OnTheWay(_)) {
            self.redeeming.insert(key);
        }
        let batch = Arc::clone(&known.batch.name);
        self.vouchers.vouchers.insert(key, Voucher { batch, no, mark });
        true
    }
}
