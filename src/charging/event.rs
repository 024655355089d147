//! What happened: the only way in which a partition changes, and what the journal holds.

use std::sync::Arc;

use super::{
    AccountChanged, AccountState, Answer, Bucket, Counter, Draw, EventAction, Facts, Given, HistoryKind, Life, Measure,
    MemberNo, Reheld, RequestKind, Subscriber, Terms, Used, Verdict, VoucherBatch, VoucherMark,
};
use crate::{
    few::Few,
    ids::{AccountId, BucketId, QuotaKey, SessionId, SessionKey, SessionNo, VoucherKey},
    rating::Attributes,
    time::Timestamp,
    units::{Currency, Money},
};

/// Something that happened in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An account was created.
    AccountCreated {
        /// Its id.
        account: AccountId,
        /// Its currency.
        currency: Currency,
        /// How far below zero it may go.
        credit_limit: Money,
        /// Red list.
        never_stop: bool,
        /// What it starts with; the first is the main bucket.
        buckets: Vec<Bucket>,
        /// When.
        at: Timestamp,
    },
    /// A subscriber was added to an account.
    SubscriberCreated {
        /// The account.
        account: AccountId,
        /// The subscriber.
        subscriber: Subscriber,
        /// When.
        at: Timestamp,
    },
    /// An operator changed an account's state.
    StateChanged {
        /// The account.
        account: AccountId,
        /// Its new state.
        state: AccountState,
        /// Why.
        reason: Box<str>,
        /// When.
        at: Timestamp,
    },
    /// A request of a session was processed.
    Interrogated(Box<Interrogated>),
    /// A one-time event was charged, or refused for want of credit.
    EventCharged(Box<EventCharged>),
    /// Money or units came in, or were taken by an operator.
    Credited(Box<Credited>),
    /// An account changed otherwise: products, fees, cycles, members, transfers, life.
    AccountChanged(Box<AccountChanged>),
    /// A batch of vouchers was made: those of it that live in this partition.
    VouchersCreated {
        /// The batch.
        batch: Box<VoucherBatch>,
        /// None of them can be redeemed yet.
        blocked: bool,
        /// Their numbers and keys.
        vouchers: Vec<(u32, VoucherKey)>,
        /// When.
        at: Timestamp,
    },
    /// A voucher is being redeemed, was redeemed, or is open again.
    VoucherMarked {
        /// Its key.
        key: VoucherKey,
        /// What has become of it.
        mark: VoucherMark,
        /// When.
        at: Timestamp,
    },
    /// Nothing of a batch of vouchers is redeemed any more, or again.
    VouchersBlocked {
        /// Its name.
        batch: Arc<str>,
        /// Whether it is blocked.
        blocked: bool,
        /// When.
        at: Timestamp,
    },
    /// Usage was reported that belongs to no session: recorded, not charged (spec C-90, I-13).
    OrphanUsage(Box<OrphanUsage>),
    /// A session ended without a final request.
    SessionClosed {
        /// The session.
        session: SessionNo,
        /// Why.
        cause: ClosingCause,
        /// Sessions of the account that wait for what is released, and should ask again now (spec C-104).
        wake: Vec<SessionNo>,
        /// When.
        at: Timestamp,
    },
    /// A re-authorisation of a session is wanted, or wanted no more.
    ReAuthorise {
        /// The session.
        session: SessionNo,
        /// Whether it is wanted.
        wanted: bool,
        /// Only this Rating-Group; `None` = the whole session (spec C-100).
        group: Option<u32>,
        /// When.
        at: Timestamp,
    },
    /// The client is to end a session (ASR, spec C-106), or need not any more.
    Abort {
        /// The session.
        session: SessionNo,
        /// Whether it is wanted.
        wanted: bool,
        /// When.
        at: Timestamp,
    },
    /// A client told its Origin-State-Id for the first time, or a higher one than before: it has restarted (spec B-191).
    ClientState {
        /// Its Origin-Host, in lower case.
        host: Arc<str>,
        /// The value.
        state_id: u32,
        /// When.
        at: Timestamp,
    },
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClosingCause {
    /// The client sent its final request.
    Terminated,
    /// The answer had a result other than success at command level (spec C-12).
    Refused,
    /// The supervision timer ran out (spec C-73).
    Expired,
    /// The client does not have the session (spec C-101).
    Lost,
    /// The session that it is a sub-session of has ended (spec C-23).
    MainEnded,
    /// The client has restarted without it (spec B-191).
    ClientRestarted,
    /// Its line was taken out of the account.
    Withdrawn,
}

/// The data with which a session begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// Session-Id.
    pub session_id: SessionId,
    /// CC-Sub-Session-Id; 0 = none.
    pub sub_session: u64,
    /// Service-Context-Id as received.
    pub context: Arc<str>,
    /// Origin-Host of the client.
    pub origin_host: Arc<str>,
    /// Origin-Realm of the client.
    pub origin_realm: Arc<str>,
    /// The member of a shared account that uses it.
    pub member: MemberNo,
    /// The version of the catalog that the session goes by; 0 = it has no number.
    pub catalog: u32,
}

impl Opening {
    /// The key of Session-Id and sub-session.
    pub fn key(&self) -> SessionKey {
        SessionKey::of_sub_session(self.session_id.as_bytes(), self.sub_session)
    }
}

/// A processed request of a session: one atomic change of account and session (spec C-16, I-7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interrogated {
    /// When.
    pub at: Timestamp,
    /// Who pays.
    pub account: AccountId,
    /// The session.
    pub session: SessionNo,
    /// Set if the session begins here.
    pub opening: Option<Box<Opening>>,
    /// One for each quota that changed.
    pub steps: Vec<Step>,
    /// What was answered.
    pub answer: Arc<Answer>,
    /// When supervision will end the session.
    pub expires: Timestamp,
    /// Set if the session ends here; what it still holds is released.
    pub closes: Option<ClosingCause>,
    /// What provisioning must hear.
    pub notices: Vec<Notice>,
    /// Set if the request came from another client than the last one: where a RAR goes from now on (spec B-135).
    pub moved_to: Option<Box<Origin>>,
    /// Set if the conditions are others than before.
    pub attributes: Option<Arc<Attributes>>,
    /// Set if the client is another incarnation than the one that the session knows (Origin-State-Id, spec B-191).
    pub incarnation: Option<u32>,
    /// Other sessions of the account that wait for what is released here, and should ask again now (spec C-104).
    pub wake: Vec<SessionNo>,
    /// The client's Event-Timestamp, if it was too far off to be rated by (spec C-24).
    pub untimely: Option<Timestamp>,
    /// Counters whose span begins here.
    pub begun: Vec<Counter>,
    /// Counters of limits on account of which something was refused.
    pub reached: Vec<BucketId>,
    /// Set if the session is a member's from now on, who had no terms when it opened.
    pub member: Option<MemberNo>,
    /// Other quotas of the account that hold more from now on.
    pub reheld: Vec<Reheld>,
    /// Set if the session goes by another version of the catalog from now on.
    pub catalog: Option<u32>,
}

/// A Diameter node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Origin-Host.
    pub host: Arc<str>,
    /// Origin-Realm.
    pub realm: Arc<str>,
}

/// What changed in one quota. The old reservation is released, usage is debited, the new reservation is made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Step {
    /// The quota.
    pub key: QuotaKey,
    /// The service it was rated as; empty = no price was found and the usage is recorded only.
    pub service: Arc<str>,
    /// What it counts.
    pub measure: Measure,
    /// Usage reported.
    pub used: u64,
    /// The part of it charged to money.
    pub rated: u64,
    /// That money.
    pub charged: Money,
    /// Where it came from: units, then money, as many as were not `rated` and as much as was `charged`; and then the counters
    /// that it counts in.
    pub debits: Few<Draw>,
    /// The new reservation.
    pub holds: Few<Draw>,
    /// The new grant; 0 = none.
    pub granted: u64,
    /// Its Validity-Time.
    pub validity_secs: u32,
    /// It is the last that the account can pay.
    pub final_units: bool,
    /// Units were asked for and refused for want of credit.
    pub refused: bool,
    /// The tariff of the service that the usage was rated by; `None` = the service's own price. With `/up` behind it, or
    /// alone, its price of octets from the user.
    pub tariff: Option<Arc<str>>,
    /// Under which terms the new grant was made; `None` = the service's own price, and no change is near.
    pub terms: Option<Arc<Terms>>,
    /// The pool that the quota is in: `holds` is then what the pool as a whole holds from now on (spec C-175).
    pub pool: Option<u32>,
    /// The slice that the new grant was made by, where slices grow (spec G-116); 0 = a fixed slice.
    pub slice: u64,
    /// What was taken off the price of the usage.
    pub discount: Option<Given>,
    /// The version of the catalog that usage was rated by or the grant made by; 0 = the session's.
    pub catalog: u32,
    /// What the charge went by beside all this; `None` = nothing else.
    pub facts: Option<Box<Facts>>,
}

/// A one-time event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventCharged {
    /// When.
    pub at: Timestamp,
    /// Who pays.
    pub account: AccountId,
    /// Session-Id.
    pub session_id: SessionId,
    /// CC-Sub-Session-Id; 0 = none.
    pub sub_session: u64,
    /// Debit or refund.
    pub action: EventAction,
    /// One for each service that was charged, or given back; no holds, no grants.
    pub steps: Vec<Step>,
    /// What was answered.
    pub answer: Arc<Answer>,
    /// What provisioning must hear.
    pub notices: Vec<Notice>,
    /// For a refund: the debit that is given back; `None` = none that is known (spec C-136).
    pub refund_of: Option<DebitRef>,
    /// For a refund: sessions that should ask again now.
    pub reauthorise: Vec<SessionNo>,
    /// The client's Event-Timestamp, if it was too far off to be rated by (spec C-24).
    pub untimely: Option<Timestamp>,
    /// Counters whose span begins here.
    pub begun: Vec<Counter>,
    /// Quotas of the account that hold more from now on.
    pub reheld: Vec<Reheld>,
    /// The version of the catalog that it was rated by; 0 = it has no number.
    pub catalog: u32,
    /// What it was about beside its services; only where usage records are kept.
    pub conditions: Option<Box<Conditions>>,
}

/// What a one-time event was about beside its services: what rating it again needs. Of a session the session knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conditions {
    /// Service-Context-Id as received.
    pub context: Box<str>,
    /// What else a price may depend on, as far as the client told.
    pub attributes: Option<Arc<Attributes>>,
    /// The member of a shared account that used it.
    pub member: MemberNo,
}

/// Names a debit among the one-time events of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DebitRef {
    /// The key of its Session-Id and sub-session.
    pub key: SessionKey,
    /// Its CC-Request-Number.
    pub number: u32,
}

/// A credit or an adjustment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credited {
    /// When.
    pub at: Timestamp,
    /// The account.
    pub account: AccountId,
    /// Top-up, adjustment or allowance.
    pub kind: HistoryKind,
    /// The bucket that changed.
    pub bucket: BucketId,
    /// Micro-units or units; below zero if an operator took money.
    pub amount: i64,
    /// Set if the bucket is new.
    pub new_bucket: Option<Box<Bucket>>,
    /// The caller's idempotency key.
    pub request_id: Box<str>,
    /// Why, for adjustments.
    pub reason: Box<str>,
    /// Money of the account afterwards.
    pub balance: Money,
    /// Sessions that should ask again now.
    pub reauthorise: Vec<SessionNo>,
    /// What provisioning must hear.
    pub notices: Vec<Notice>,
    /// Where the account's life has come to, if a top-up has extended it.
    pub life: Option<Box<Life>>,
    /// What came with a top-up: buckets that are new, or more for known ones.
    pub gifts: Vec<Bucket>,
    /// The version of the catalog that `gifts` are by; 0 = there are none, or it has no number.
    pub catalog: u32,
}

/// Usage that belongs to no session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrphanUsage {
    /// When.
    pub at: Timestamp,
    /// The account that the request named, if any.
    pub account: Option<AccountId>,
    /// Session-Id.
    pub session_id: SessionId,
    /// CC-Sub-Session-Id; 0 = none.
    pub sub_session: u64,
    /// Service-Context-Id.
    pub context: Box<str>,
    /// Type of the request.
    pub kind: RequestKind,
    /// CC-Request-Number.
    pub number: u32,
    /// What was reported.
    pub usage: Vec<(QuotaKey, Used)>,
    /// What was charged for it all the same (late usage, spec C-90); no holds, no grants.
    pub steps: Vec<Step>,
    /// What was answered.
    pub verdict: Verdict,
    /// What provisioning must hear.
    pub notices: Vec<Notice>,
    /// Counters whose span begins here.
    pub begun: Vec<Counter>,
    /// The version of the catalog that `steps` were rated by; 0 = it has no number.
    pub catalog: u32,
    /// Quotas that hold more from now on: `steps` have made their units dearer.
    pub reheld: Vec<Reheld>,
}

/// Something that provisioning must hear of. Numbered by the store in journal order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The account.
    pub account: AccountId,
    /// When.
    pub at: Timestamp,
    /// Money of the account afterwards.
    pub balance: Money,
    /// What happened.
    pub kind: NoticeKind,
}

/// The kinds of notices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoticeKind {
    /// Money came in.
    TopUp {
        /// How much.
        amount: Money,
        /// The caller's idempotency key.
        request_id: Box<str>,
    },
    /// The account crossed zero, or its credit limit: stop the line.
    CreditStop,
    /// A credit brought the account back: open the line.
    Reconnect,
    /// A threshold was crossed.
    Threshold {
        /// Its name in the catalog.
        name: Arc<str>,
        /// The allowance's bucket, if it is about one.
        bucket: Option<BucketId>,
    },
    /// Usage above the grant went below zero, or the credit limit.
    Overdraft {
        /// By how much.
        excess: Money,
    },
    /// A limit is near, or reached.
    Limit {
        /// Its name in the catalog.
        name: Arc<str>,
        /// How much of it is used, in percent: that of the reminder, or 100.
        percent: u8,
        /// Whose limit.
        member: MemberNo,
        /// What came of it.
        step: LimitStep,
    },
    /// Something became of a product.
    Product {
        /// Its name in the catalog.
        product: Arc<str>,
        /// Its number in the account.
        subscription: u32,
        /// What.
        step: ProductStep,
    },
    /// A step in the account's life.
    Life {
        /// Which.
        step: LifeStep,
        /// When its validity ends or ended, or the account ends.
        until: Option<Timestamp>,
    },
    /// A billing cycle is closed.
    CycleClosed {
        /// When it began.
        starts: Timestamp,
        /// When it ended.
        ends: Timestamp,
        /// Usage charged in it.
        usage: Money,
        /// Fees charged in it.
        fees: Money,
    },
}

/// What came of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitStep {
    /// It is told, and nothing else.
    Told,
    /// What comes next is refused, or costs less.
    Reached,
    /// The account was suspended.
    Suspended,
}

/// What became of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProductStep {
    /// It was bought.
    Bought,
    /// It takes effect, or a new period of it began.
    Renewed,
    /// A fee could not be paid: it pauses.
    Paused,
    /// It has ended.
    Ended,
}

/// A step in an account's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LifeStep {
    /// Its life began.
    Activated,
    /// Its validity ends soon.
    EndsSoon,
    /// Its validity has ended.
    Lapsed,
    /// A top-up gave it validity again.
    Revived,
    /// It is terminated.
    Ended,
    /// It is suspended, by a limit.
    Suspended,
}

impl Event {
    /// What provisioning must hear.
    pub fn notices(&self) -> &[Notice] {
        match self {
            Self::Interrogated(event) => &event.notices,
            Self::EventCharged(event) => &event.notices,
            Self::Credited(event) => &event.notices,
            Self::AccountChanged(event) => &event.notices,
            Self::OrphanUsage(event) => &event.notices,
            _ => &[],
        }
    }
}
