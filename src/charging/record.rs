//! Usage records (CDRs): what one event leaves for billing, reconciliation and care. Made by `apply` from what the state
//! knows at that moment, so that a replay makes the same ones; whoever applies takes them, and the state keeps none.
//!
//! Every micro-unit that moves is in exactly one record, but for what running sessions have been charged so far:
//! `debited = sum(records' debits) + sum(running sessions' charges)` and `credited = sum(records' credits)`, for each
//! partition and at every moment.

use std::sync::Arc;

use super::{
    Account, AccountChanged, Breakdown, Bucket, BucketKind, ClosingCause, Credited, Detail, EventAction, EventCharged,
    HistoryKind, Measure, MemberNo, OrphanUsage, Quota, Session, State, Step,
};
use crate::{
    ids::{AccountId, BucketId, Identity, QuotaKey, SessionId},
    rating::Attributes,
    time::Timestamp,
    units::{Currency, Money},
};

/// Something that is over and done with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// When it was settled.
    pub at: Timestamp,
    /// Who paid, and where that left the account; `None` = usage that names nobody who is known.
    pub payer: Option<Payer>,
    /// What it is about.
    pub kind: RecordKind,
}

/// The account of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payer {
    /// Its id.
    pub account: AccountId,
    /// Its currency.
    pub currency: Currency,
    /// Its money after the whole event.
    pub balance: Money,
}

/// The kinds of records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordKind {
    /// What a session used of one service.
    Usage(Box<UsageRecord>),
    /// One service of a one-time event.
    Event(Box<EventRecord>),
    /// Usage without a session: charged (late usage), or recorded only.
    Late(Box<LateRecord>),
    /// Money or units came in, or were taken by an operator.
    Account(Box<AccountRecord>),
}

/// One quota of a session that has ended, or of which so much is to be told that a line is full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRecord {
    /// Session-Id.
    pub session_id: SessionId,
    /// CC-Sub-Session-Id; 0 = none.
    pub sub_session: u64,
    /// Service-Context-Id.
    pub context: Arc<str>,
    /// Origin-Host of the last request.
    pub origin_host: Arc<str>,
    /// When the session opened.
    pub opened: Timestamp,
    /// Why it ended; `None` = it goes on, and so does this quota with another record.
    pub cause: Option<ClosingCause>,
    /// Who used it, if that is known.
    pub user: Option<User>,
    /// What else a price may depend on, as the last request told.
    pub attributes: Option<Arc<Attributes>>,
    /// What was used.
    pub service: UsedService,
}

/// The subscriber that used something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its id in the account.
    pub subscriber: Box<str>,
    /// The first identity that the network knows it by.
    pub identity: Option<Identity>,
}

/// One service of a one-time event that was charged or given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// Session-Id.
    pub session_id: SessionId,
    /// CC-Sub-Session-Id; 0 = none.
    pub sub_session: u64,
    /// CC-Request-Number.
    pub number: u32,
    /// Debit or refund.
    pub action: EventAction,
    /// Service-Context-Id; empty = from before it was kept.
    pub context: Box<str>,
    /// Who used it, if that is known.
    pub user: Option<User>,
    /// What else a price may depend on.
    pub attributes: Option<Arc<Attributes>>,
    /// What was used, or given back.
    pub service: UsedService,
}

/// One service of a report that belongs to no session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateRecord {
    /// Session-Id.
    pub session_id: SessionId,
    /// CC-Sub-Session-Id; 0 = none.
    pub sub_session: u64,
    /// Service-Context-Id.
    pub context: Box<str>,
    /// CC-Request-Number.
    pub number: u32,
    /// It was charged to the account; else it is recorded only.
    pub charged: bool,
    /// What was used.
    pub service: UsedService,
}

/// Use of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedService {
    /// Rating-Group and Service-Identifier.
    pub key: QuotaKey,
    /// The service of the catalog; empty = no price was found.
    pub service: Arc<str>,
    /// What is counted.
    pub measure: Measure,
    /// Units used.
    pub used: u64,
    /// The part that allowances paid for.
    pub from_allowance: u64,
    /// Units charged to money, for each tariff; `None` = the service's own price.
    pub rated: Vec<(Option<Arc<str>>, u64)>,
    /// Money charged, or given back in a refund; not below zero.
    pub charged: Money,
    /// The version of the catalog that it was last rated by; 0 = none.
    pub catalog: u32,
    /// What it is made of; `None` = all this says all.
    pub breakdown: Option<Box<Breakdown>>,
}

/// A credit or an adjustment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRecord {
    /// Opening balance, top-up, adjustment or allowance.
    pub kind: HistoryKind,
    /// Micro-units of money, or units of an allowance; below zero if an operator took money.
    pub amount: i64,
    /// What `amount` counts.
    pub measure: Measure,
    /// The bucket.
    pub bucket: BucketId,
    /// The name that the bucket was sold under; empty for money.
    pub name: Arc<str>,
    /// The caller's idempotency key; empty when the account was created.
    pub request_id: Box<str>,
    /// Why, for adjustments.
    pub reason: Box<str>,
    /// The version of the catalog that `detail` is by; 0 = none.
    pub catalog: u32,
    /// What it is made of; `None` = all this says all.
    pub detail: Option<Box<Detail>>,
}

impl Record {
    /// Money that left the account by this record.
    pub fn debited(&self) -> Money {
        match &self.kind {
            RecordKind::Usage(usage) => usage.service.charged,
            RecordKind::Event(event) if event.action == EventAction::Refund => Money::ZERO,
            RecordKind::Event(event) => event.service.charged,
            RecordKind::Late(late) => late.service.charged,
            RecordKind::Account(change) => {
                change.money().filter(|money| money.is_negative()).map_or(Money::ZERO, |m| -m)
            }
        }
    }

    /// Money that came into the account by this record.
    pub fn credited(&self) -> Money {
        match &self.kind {
            RecordKind::Event(event) if event.action == EventAction::Refund => event.service.charged,
            RecordKind::Usage(_) | RecordKind::Event(_) | RecordKind::Late(_) => Money::ZERO,
            RecordKind::Account(change) => change.money().filter(|money| !money.is_negative()).unwrap_or(Money::ZERO),
        }
    }
}

impl AccountRecord {
    /// The amount, if it is money.
    fn money(&self) -> Option<Money> {
        (self.measure == Measure::Money).then_some(Money::from_micros(self.amount))
    }
}

impl UsedService {
    fn of_step(step: &Step, catalog: u32, (from_allowance, breakdown): (u64, Option<Breakdown>)) -> Self {
        let rated = if step.rated > 0 { vec![(step.tariff.clone(), step.rated)] } else { Vec::new() };
        Self {
            key: step.key,
            service: Arc::clone(&step.service),
            measure: step.measure,
            used: step.used,
            from_allowance,
            rated,
            charged: step.charged,
            catalog,
            breakdown: breakdown.map(Box::new),
        }
    }

    fn of_quota(quota: &Quota) -> Self {
        let untold = quota.untold();
        let own = (untold.rated > 0).then_some((None, untold.rated));
        let others = untold.rated_by.into_iter().map(|rated| (Some(rated.tariff), rated.units));
        Self {
            key: quota.key,
            service: Arc::clone(&quota.service),
            measure: quota.measure,
            used: untold.used,
            from_allowance: untold.from_allowance,
            rated: own.into_iter().chain(others).collect(),
            charged: untold.charged,
            catalog: quota.catalog,
            breakdown: quota.breakdown.clone(),
        }
    }
}

impl State {
    /// From now on records are made, for whoever takes them after each event.
    pub fn keep_records(&mut self) {
        self.keeps_records = true;
    }

    /// The records of what was applied since the last call.
    pub fn take_records(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    /// Money that is in records: all that was debited but what running sessions have been charged since their last, and all
    /// that was credited. Looks at every running session.
    pub fn recorded(&self) -> (i128, i128) {
        (self.debited - self.running_charges(), self.credited)
    }

    /// What running sessions have been charged that no record tells of yet.
    pub fn running_charges(&self) -> i128 {
        let quotas = self.sessions.values().flat_map(|session| &session.quotas);
        let told = |quota: &Quota| quota.told.as_ref().map_or(0, |told| i128::from(told.charged.micros()));
        quotas.map(|quota| i128::from(quota.charged.micros()) - told(quota)).sum()
    }

    /// The records of quotas of a session. Called when all that they tell of has moved. `cause` = why it ends; `None` = it
    /// goes on.
    pub(super) fn record_usage(
        &mut self,
        session: &Session,
        quotas: &[Quota],
        cause: Option<ClosingCause>,
        at: Timestamp,
    ) {
        if !self.keeps_records {
            return;
        }
        let payer = self.payer(session.account);
        let user = self.user(session.account, session.member);
        for quota in quotas {
            let usage = UsageRecord {
                session_id: session.id.clone(),
                sub_session: session.sub_session,
                context: Arc::clone(&session.context),
                origin_host: Arc::clone(&session.origin_host),
                opened: session.opened,
                cause,
                user: user.clone(),
                attributes: session.attributes.clone(),
                service: UsedService::of_quota(quota),
            };
            self.records.push(Record { at, payer, kind: RecordKind::Usage(Box::new(usage)) });
        }
    }

    /// The records of a one-time event. `charged` = for each step, the units that it took from allowances or gave back to
    /// them, and what it is made of.
    pub(super) fn record_event(&mut self, event: &EventCharged, charged: Vec<(u64, Option<Breakdown>)>) {
        if !self.keeps_records {
            return;
        }
        let payer = self.payer(event.account);
        let conditions = event.conditions.as_deref();
        let user = self.user(event.account, conditions.map_or(MemberNo::SHARED, |told| told.member));
        for (step, charged) in event.steps.iter().zip(charged) {
            let record = EventRecord {
                session_id: event.session_id.clone(),
                sub_session: event.sub_session,
                number: event.answer.number,
                action: event.action,
                context: conditions.map_or_else(|| "".into(), |told| told.context.clone()),
                user: user.clone(),
                attributes: conditions.and_then(|told| told.attributes.clone()),
                service: UsedService::of_step(step, event.catalog, charged),
            };
            self.records.push(Record { at: event.at, payer, kind: RecordKind::Event(Box::new(record)) });
        }
    }

    /// The records of usage without a session. `steps` = as for [`State::record_event`]; nothing charged = none.
    pub(super) fn record_late(&mut self, event: &OrphanUsage, steps: Vec<(u64, Option<Breakdown>)>) {
        if !self.keeps_records {
            return;
        }
        let payer = event.account.and_then(|account| self.payer(account));
        let mut push = |charged: bool, service: UsedService| {
            let late = LateRecord {
                session_id: event.session_id.clone(),
                sub_session: event.sub_session,
                context: event.context.clone(),
                number: event.number,
                charged,
                service,
            };
            self.records.push(Record { at: event.at, payer, kind: RecordKind::Late(Box::new(late)) });
        };
        if !steps.is_empty() {
            let used = |(step, charged): (&Step, _)| UsedService::of_step(step, event.catalog, charged);
            event.steps.iter().zip(steps).for_each(|step| push(true, used(step)));
            return;
        }
        for (key, used) in &event.usage {
            for (measure, used) in used.by_measure().into_iter().filter(|(_, used)| *used > 0) {
                let service = UsedService {
                    key: *key,
                    service: "".into(),
                    measure,
                    used,
                    from_allowance: 0,
                    rated: Vec::new(),
                    charged: Money::ZERO,
                    catalog: 0,
                    breakdown: None,
                };
                push(false, service);
            }
        }
    }

    /// The records of a credit, and of what came with it.
    pub(super) fn record_credit(&mut self, event: &Credited) {
        if !self.keeps_records {
            return;
        }
        let new = event.new_bucket.as_deref();
        let known = || self.accounts.get(&event.account).and_then(|account| account.bucket(event.bucket));
        let units = (event.kind == HistoryKind::Allowance).then(|| new.or_else(known)).flatten();
        let measure = units.map_or(Measure::Money, measure_of);
        let change = AccountRecord {
            kind: event.kind,
            amount: event.amount,
            measure,
            bucket: event.bucket,
            name: new.map_or_else(|| "".into(), |bucket| Arc::clone(&bucket.name)),
            request_id: event.request_id.clone(),
            reason: event.reason.clone(),
            catalog: 0,
            detail: None,
        };
        let gift = |bucket: &Bucket| AccountRecord {
            kind: HistoryKind::Gift,
            amount: bucket.amount,
            measure: measure_of(bucket),
            bucket: bucket.id,
            name: Arc::clone(&bucket.name),
            request_id: event.request_id.clone(),
            reason: "".into(),
            catalog: event.catalog,
            detail: Some(Box::new(Detail::Gift(Money::from_micros(event.amount)))),
        };
        let payer = self.payer(event.account);
        let changes = std::iter::once(change).chain(event.gifts.iter().map(gift));
        let records = changes.map(|change| RecordKind::Account(Box::new(change)));
        self.records.extend(records.map(|kind| Record { at: event.at, payer, kind }));
    }

    /// The records of a change of an account: one for each bucket that is new, and one for each amount that moved.
    pub(super) fn record_change(&mut self, event: &AccountChanged, opened: &[BucketId]) {
        if !self.keeps_records {
            return;
        }
        let payer = self.payer(event.account);
        let Some(account) = self.accounts.get(&event.account) else { return };
        let request_id = event.asked.as_ref().map_or_else(|| "".into(), |asked| asked.request_id.clone());
        let mut made = Vec::with_capacity(opened.len() + event.entries.len());
        let mut push = |kind, bucket: &Bucket, amount, name: &Arc<str>, detail: Option<Detail>| {
            made.push(AccountRecord {
                kind,
                amount,
                measure: measure_of(bucket),
                bucket: bucket.id,
                name: Arc::clone(name),
                request_id: request_id.clone(),
                reason: event.reason.clone(),
                catalog: event.catalog,
                detail: detail.map(Box::new),
            });
        };
        for bucket in event.buckets.iter().filter(|bucket| opened.contains(&bucket.id) && bucket.amount != 0) {
            push(bucket.opening_kind(), bucket, bucket.amount, &bucket.name, event.detail_of_bucket(bucket));
        }
        for entry in &event.entries {
            let of_event = || event.buckets.iter().find(|bucket| bucket.id == entry.bucket);
            if let Some(bucket) = account.bucket(entry.bucket).or_else(of_event) {
                push(entry.kind, bucket, entry.amount, &entry.name, event.detail_of_entry(entry));
            }
        }
        let records = made.into_iter().map(|change| RecordKind::Account(Box::new(change)));
        self.records.extend(records.map(|kind| Record { at: event.at, payer, kind }));
    }

    /// The records of what an account begins with.
    pub(super) fn record_opening(&mut self, account: AccountId, buckets: &[Bucket], at: Timestamp) {
        if !self.keeps_records {
            return;
        }
        let payer = self.payer(account);
        for bucket in buckets.iter().filter(|bucket| bucket.amount != 0) {
            let is_money = bucket.kind == BucketKind::Money;
            let change = AccountRecord {
                kind: if is_money { HistoryKind::Opening } else { HistoryKind::Allowance },
                amount: bucket.amount,
                measure: measure_of(bucket),
                bucket: bucket.id,
                name: if is_money { "".into() } else { Arc::clone(&bucket.name) },
                request_id: "".into(),
                reason: "".into(),
                catalog: 0,
                detail: None,
            };
            self.records.push(Record { at, payer, kind: RecordKind::Account(Box::new(change)) });
        }
    }

    /// The member that used something, or the only subscriber that there is.
    fn user(&self, account: AccountId, member: MemberNo) -> Option<User> {
        let account: &Account = self.accounts.get(&account)?;
        let member = account.profile.as_deref().and_then(|profile| profile.member(member));
        let subscriber = match (member, account.subscribers.as_slice()) {
            (Some(member), all) => all.iter().find(|subscriber| subscriber.id == member.subscriber)?,
            (None, [only]) => only,
            (None, _) => return None,
        };
        Some(User { subscriber: subscriber.id.clone(), identity: subscriber.identities.first().cloned() })
    }

    fn payer(&self, account: AccountId) -> Option<Payer> {
        let account = self.accounts.get(&account)?;
        Some(Payer { account: account.id, currency: account.currency, balance: account.balance() })
    }
}

fn measure_of(bucket: &Bucket) -> Measure {
    match bucket.kind {
        BucketKind::Money => Measure::Money,
        BucketKind::Units(kind) => Measure::Units(kind),
    }
}
