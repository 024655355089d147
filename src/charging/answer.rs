//! What the core answers to a charging request. Remembered with the session, so that a retransmission gets it again.

use std::sync::Arc;

use super::{Measure, RequestKind};
use crate::{
    ids::{QuotaKey, RefundToken},
    rating::{Announcement, EnvelopeReporting, TimeMechanism},
    time::Timestamp,
    units::{Currency, Money, UnitKind},
};

/// The result of a request or of one service in it. The mapping to Result-Codes is `mapping`'s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Verdict {
    /// Done (2001).
    #[default]
    Success,
    /// The account, or the service, is barred (4010).
    ServiceDenied,
    /// It cannot be paid (4012).
    CreditLimitReached,
    /// There is no price for it (5031).
    RatingFailed,
    /// It was asked for in units that the service is not counted in (5031, spec C-35).
    UnitNotRated,
    /// It is about money that cannot be counted here, such as of another currency (5031, spec C-54, C-55).
    MoneyNotRated,
    /// It costs nothing: the service goes on without credit control (4011, spec C-59, C-137).
    NotApplicable,
    /// No such subscriber (5030).
    UserUnknown,
    /// No such session (5002).
    UnknownSession,
    /// The account has too many sessions, or the session too many quotas (5006).
    ResourcesExceeded,
    /// The request contradicts the session's state (5012).
    UnableToComply,
    /// The request names another subscriber than its session (5004, spec C-164).
    InvalidValue,
    /// The request names another service context than its session (5004, spec C-6).
    OtherContext,
    /// It waited for too long before it was decided (3004).
    TooBusy,
}

impl Verdict {
    /// Whether rating is what failed: Failed-AVP then shows what could not be rated (spec C-121).
    pub const fn is_unrated(self) -> bool {
        matches!(self, Self::RatingFailed | Self::UnitNotRated | Self::MoneyNotRated)
    }
}

/// Units that a client may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// What is counted.
    pub measure: Measure,
    /// How many; zero only beside a final-unit action (spec C-83).
    pub amount: u64,
}

/// The answer for one service of a request (one Multiple-Services-Credit-Control).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply {
    /// The key as received: it is echoed (spec C-31).
    pub key: QuotaKey,
    /// The result for this service.
    pub verdict: Verdict,
    /// Set exactly when the verdict is [`Verdict::Success`] (spec I-2).
    pub grant: Option<Grant>,
    /// Validity-Time in seconds; 0 = none.
    pub validity_secs: u32,
    /// The threshold for asking anew, in units left; 0 = none.
    pub threshold: u32,
    /// Quota-Holding-Time in seconds.
    pub holding_secs: Option<u32>,
    /// Set when these are the last units that the account can pay: what happens after them.
    pub final_action: Option<FinalUnits>,
    /// What few replies have.
    pub extras: Option<Box<ReplyExtras>>,
}

/// What few replies have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReplyExtras {
    /// Tariff-Time-Change of the grant (spec C-60).
    pub tariff_change: Option<Timestamp>,
    /// The credit pool that the grant draws from (spec C-170).
    pub pool: Option<PoolShare>,
    /// Quota-Consumption-Time in seconds (spec G-65).
    pub consumption_secs: Option<u32>,
    /// The Trigger-Types that are armed; none = all off (spec G-50).
    pub triggers: Option<Box<[u32]>>,
    /// Refund-Information: what a later refund may name (spec G-83).
    pub refund_token: Option<Box<[u8]>>,
    /// Time-Quota-Mechanism (spec G-70).
    pub time_mechanism: Option<TimeMechanism>,
    /// Envelope-Reporting (spec G-71).
    pub envelopes: Option<EnvelopeReporting>,
    /// Announcement-Information (spec G-88).
    pub announcement: Option<Announcement>,
}

/// A quota's share in a credit pool (G-S-U-Pool-Reference, spec C-170).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolShare {
    /// G-S-U-Pool-Identifier.
    pub id: u32,
    /// Pool units for one unit of the service.
    pub multiplier: u64,
}

/// What the client does when the final units are used up (Final-Unit-Action, RFC 8506 8.35).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinalUnits {
    /// End the service.
    Terminate,
    /// Redirect the user to this address (a URL).
    Redirect(Arc<str>),
    /// Restrict the user to what these let pass.
    Restrict {
        /// IPFilterRules.
        rules: Arc<[Arc<str>]>,
        /// Names of filters that the client has.
        filters: Arc<[Arc<str>]>,
    },
}

/// The answer to a whole request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// CC-Request-Type of the request.
    pub kind: RequestKind,
    /// CC-Request-Number of the request.
    pub number: u32,
    /// The result for the request as a whole.
    pub verdict: Verdict,
    /// One for each service that asked for units, in the order of the request.
    pub replies: Vec<Reply>,
    /// The request had its units at command level, not in MSCCs: the answer has them there too.
    pub at_command_level: bool,
    /// What the session has cost so far, or the event costs.
    pub cost: Money,
    /// For CHECK_BALANCE: whether there is enough credit.
    pub enough_credit: Option<bool>,
    /// What few answers have.
    pub extras: Option<Box<AnswerExtras>>,
}

/// What few answers have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AnswerExtras {
    /// Remaining-Balance: money that is neither spent nor reserved (spec G-81).
    pub remaining: Option<Money>,
    /// Low-Balance-Indication (spec G-80).
    pub low_balance: Option<bool>,
    /// AoC-Information (spec G-85).
    pub advice: Option<Advice>,
    /// Cost-Unit of the cost (spec C-56).
    pub cost_unit: Option<Arc<str>>,
}

/// Advice of charge (AoC-Information, spec G-85).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Advice {
    /// What this request was charged (Incremental-Cost); the answer's cost is the accumulated one. `None` = costs were not
    /// asked for.
    pub incremental: Option<Money>,
    /// The tariff in force (Current-Tariff), if it was asked for.
    pub tariff: Option<TariffAdvice>,
    /// When another one follows within a day (Tariff-Time-Change), and that one (Next-Tariff).
    pub next: Option<(Timestamp, TariffAdvice)>,
}

/// A price in the words of Tariff-Information (spec G-86).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TariffAdvice {
    /// What is counted.
    pub kind: UnitKind,
    /// Unit-Value: the cost is for so many units.
    pub units: u64,
    /// Unit-Cost in units of 10^-`scale` of the currency.
    pub digits: u64,
    /// See `digits`.
    pub scale: u8,
    /// What is charged once, at the start.
    pub setup: Money,
}

/// An answer with what its encoding needs besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The answer.
    pub answer: Arc<Answer>,
    /// Currency of the account, if one is known.
    pub currency: Option<Currency>,
    /// The request was seen before: this is the answer that it got then.
    pub repeated: bool,
    /// For a debit in MSCCs: what a later refund may name (Refund-Information, spec G-83).
    pub refund: Option<RefundToken>,
}

impl Answer {
    /// An answer that grants nothing and carries only a verdict.
    pub fn bare(kind: RequestKind, number: u32, verdict: Verdict) -> Self {
        Self {
            kind,
            number,
            verdict,
            replies: Vec::new(),
            at_command_level: false,
            cost: Money::ZERO,
            enough_credit: None,
            extras: None,
        }
    }
}
