//! The charging core: accounts, buckets, sessions and what may happen to them.
//!
//! `decide` reads the state and says what should happen, as an [`Event`] and an answer; it changes nothing. `State::apply`
//! makes an event true and cannot fail; it is the only place where balances change, and the same code runs live and in
//! recovery. Everything here is deterministic: time is passed in, and nothing depends on the order of a hash map.

mod account;
mod accounts;
mod answer;
mod apply;
mod beside;
mod bonus;
mod bucket;
mod bulk;
mod changed;
mod command;
mod contract;
mod credit;
mod cycles;
mod decide;
mod detail;
mod draft;
mod event;
mod event_charging;
mod explain;
mod facts;
mod history;
mod interrogate;
mod invariants;
mod kept;
mod ledger;
mod life;
mod lifecycle;
mod manage;
mod members;
mod memory;
mod payer;
mod price_lists;
mod products;
mod profile;
mod quota;
mod rate;
mod record;
mod refund;
mod restore;
mod session;
mod state;
mod transfer;
mod turn;
mod voucher;

pub use account::{Account, AccountState, Subscriber};
pub use accounts::AccountsCopy;
pub use answer::{
    Advice, Answer, AnswerExtras, Answered, FinalUnits, Grant, PoolShare, Reply, ReplyExtras, TariffAdvice, Verdict,
};
pub use beside::Reheld;
pub use bucket::{Bucket, BucketKind, Draw};
pub use bulk::{
    BULK_CHANGES_MAX, BULK_REFUSALS_KEPT, BULKS_ENDED_KEPT, BULKS_OPEN_MAX, Bulk, BulkDecision, BulkItem, BulkStage,
    BulkVerdict, Bulks, Change, Person, PlannedChange, RefusedChange,
};
pub use changed::{AccountChanged, Asked, Entry, FeeKind, PeriodPart, Statement};
pub use command::{
    AccountSpec, AdviceWanted, ClientNeeds, Command, CreditCommand, CreditKind, EventAction, EventRequest,
    Interrogation, RequestKind, ServiceRequest, SplitUsage, SubscriberSpec, Used, Want, WantedUnits,
};
pub use credit::give_allowance;
pub use cycles::CYCLE_COUNTER;
pub use decide::{Decided, Outcome, Refusal, decide, decide_by};
pub use detail::{Breakdown, Detail, PAID_MAX, PARTS_MAX, Paid, Part, Rest};
pub use event::{
    ClosingCause, Conditions, Credited, DebitRef, Event, EventCharged, Interrogated, LifeStep, LimitStep, Notice,
    NoticeKind, Opening, Origin, OrphanUsage, ProductStep, Step,
};
pub use explain::{ExplainedPart, Explanation, Line, LineKind, Versions, explain};
pub use facts::{Facts, Left, LimitFact};
pub use history::{HISTORY_ENTRIES_MAX, History, HistoryKind, HistoryLine};
pub use invariants::Violation;
pub use life::{Extension, begins_use};
pub use manage::{Manage, ManageCommand, When};
pub use members::{ACCOUNT_MEMBERS_MAX, MEMBER_LIMITS_MAX};
pub use price_lists::version_for;
pub use profile::{Counter, Cycle, Life, Member, MemberLimit, MemberNo, PayOrder, Profile, Subscription, Transfer};
pub use quota::{Given, Grown, Measure, Pool, Quota, RatedBy, TariffChange, Terms, Told};
pub use record::{AccountRecord, EventRecord, LateRecord, Payer, Record, RecordKind, UsageRecord, UsedService, User};
pub use session::{Closed, SESSION_ANSWERS_MIN, Session};
pub use state::{Client, RememberedCredit, RememberedEvent, Retention, State};
pub use transfer::receipt_id;
pub use voucher::{
    KnownBatch, Redeemer, Voucher, VoucherBatch, VoucherCommand, VoucherMark, VoucherValue, Vouchers,
    voucher_receipt_id,
};
