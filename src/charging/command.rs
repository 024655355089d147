//! What the core can be asked to do.

use crate::{
    ids::{AccountId, QuotaKey, RefundToken, SessionKey, SessionNo},
    rating::{Allowance, Attributes, ContextId},
    time::Timestamp,
    units::{Currency, Money, UnitKind, Units},
};

use super::{AccountState, ManageCommand, Measure, MemberNo, Subscriber, VoucherCommand};

/// Anything that may change a partition.
#[derive(Debug)]
pub enum Command<'a> {
    /// A request of a credit-control session (CCR initial, update, termination).
    Interrogate(Interrogation<'a>),
    /// A one-time event (CCR event).
    ChargeEvent(EventRequest<'a>),
    /// Money or an allowance for an account, or an adjustment.
    Credit(CreditCommand<'a>),
    /// Anything else that is done with an account.
    Manage(ManageCommand<'a>),
    /// Makes, takes, blocks vouchers.
    Voucher(VoucherCommand<'a>),
    /// Does the next thing that is due for an account by itself.
    CatchUp {
        /// The account.
        account: AccountId,
        /// It is about to be used.
        use_begins: bool,
    },
    /// A new account.
    CreateAccount(AccountSpec<'a>),
    /// A new subscriber of an account.
    CreateSubscriber(SubscriberSpec),
    /// An operator's change of an account's state.
    SetState {
        /// The account.
        account: AccountId,
        /// Active, suspended or terminated.
        state: AccountState,
        /// Why.
        reason: &'a str,
    },
    /// The supervision timer of a session has run out (Tcc, spec C-73).
    ExpireSession(SessionNo),
    /// The client says that it does not have this session (RAA or ASA with 5002, spec C-101).
    SessionLost(SessionKey),
    /// A re-authorisation of a live session is wanted, by an operator; of one Rating-Group or of all.
    ReAuthorise(SessionKey, Option<u32>),
    /// The client has been asked often enough; leave the session to Validity-Time and Tcc (spec C-101).
    ReAuthorisationDone(SessionNo),
    /// A live session is to be ended by its client, by an operator (ASR, spec C-106).
    Abort(SessionKey),
    /// The client refuses to end the session, or has been asked often enough.
    AbortDone(SessionNo),
    /// A client told its Origin-State-Id (spec B-190).
    ClientState {
        /// Its Origin-Host.
        host: &'a str,
        /// The value; 0 says nothing.
        state_id: u32,
    },
    /// Ends a session that its client has left behind in a restart, when the grace time is over (spec B-191).
    CloseLeftBehind(SessionNo),
    /// Usage in a request that was refused before it could be decided: to be recorded (spec C-90).
    RecordUsage(Interrogation<'a>),
}

/// CC-Request-Type (RFC 8506 8.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RequestKind {
    /// INITIAL_REQUEST.
    #[default]
    Initial,
    /// UPDATE_REQUEST.
    Update,
    /// TERMINATION_REQUEST.
    Termination,
    /// EVENT_REQUEST.
    Event,
}

/// A request of a session.
#[derive(Debug, Default)]
pub struct Interrogation<'a> {
    /// Session-Id.
    pub session_id: &'a [u8],
    /// CC-Sub-Session-Id; 0 = none (spec C-23).
    pub sub_session: u64,
    /// The key of both.
    pub key: SessionKey,
    /// The account that the request's identities name, if it names any that is known.
    pub account: Option<AccountId>,
    /// Initial, update or termination.
    pub kind: RequestKind,
    /// CC-Request-Number.
    pub number: u32,
    /// The service context in the catalog; `None` = unknown there.
    pub context: Option<ContextId>,
    /// Service-Context-Id as received.
    pub context_name: &'a str,
    /// Origin-Host of the client: where a RAR goes.
    pub origin_host: &'a str,
    /// Origin-Realm of the client.
    pub origin_realm: &'a str,
    /// What is reported and asked for, in the order of the request.
    pub services: Vec<ServiceRequest>,
    /// The units stood at command level, not in MSCCs.
    pub at_command_level: bool,
    /// The client does not act on RAR: it gets a short Validity-Time with its last units (spec I-15).
    pub short_validity: bool,
    /// What the client understands and wants to be told.
    pub client: ClientNeeds,
    /// The conditions from now on; `None` = the request says nothing of them, or nobody wants to know.
    pub attributes: Option<Box<Attributes>>,
    /// Event-Timestamp (spec C-24).
    pub happened: Option<Timestamp>,
    /// The client's Origin-State-Id: of the request, or the last that it told; 0 = none (spec B-191).
    pub incarnation: u32,
    /// The member of a shared account that uses it, as far as the request's identities say; a running session knows.
    pub member: MemberNo,
}

/// The switches of a client that change what it is granted or told: part of the decision, so that a retransmission gets
/// what the first copy got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientNeeds {
    /// It acts on REDIRECT and RESTRICT_ACCESS (spec C-80).
    pub redirects: bool,
    /// It acts on thresholds (spec G-60).
    pub thresholds: bool,
    /// A service that costs nothing is answered 4011 (spec C-59, C-114).
    pub free_of_charge_4011: bool,
    /// It acts on credit pools (spec C-176).
    pub pools: bool,
    /// It may be told of a change of tariff within a grant (spec C-60); else the grant ends there (spec C-66).
    pub tariff_time_change: bool,
    /// It is told what is left (spec G-81).
    pub remaining_balance: bool,
    /// It is told when little is left (spec G-80).
    pub low_balance: bool,
    /// It plays announcements (spec G-88).
    pub announcements: bool,
    /// What the request wants to know of costs, if the client is told (AoC-Request-Type, spec G-85).
    pub advice: AdviceWanted,
    /// It gets as many units as it asks for, as far as they can be paid: no slices. Nobody on the network is served so; it is
    /// for trying prices out.
    pub exact: bool,
}

impl Default for ClientNeeds {
    fn default() -> Self {
        Self {
            redirects: true,
            thresholds: true,
            free_of_charge_4011: false,
            pools: true,
            tariff_time_change: true,
            remaining_balance: false,
            low_balance: false,
            announcements: false,
            advice: AdviceWanted::Nothing,
            exact: false,
        }
    }
}

/// AoC-Request-Type (spec G-85).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AdviceWanted {
    /// Not requested.
    #[default]
    Nothing,
    /// Costs and tariff.
    Full,
    /// Costs.
    Cost,
    /// The tariff.
    Tariff,
}

/// One service of a request (one MSCC).
#[derive(Debug, Clone, Default)]
pub struct ServiceRequest {
    /// The key of the quota.
    pub key: QuotaKey,
    /// What was used since the last report; `None` = nothing is reported.
    pub used: Option<Used>,
    /// The part of the usage that the client set apart at a tariff change; not in `used` (spec C-62).
    pub split: Option<Box<SplitUsage>>,
    /// What is asked for; `None` = nothing (spec C-34).
    pub want: Option<Want>,
    /// Currency of money in `used` and `want`, if the client said it.
    pub currency: Option<Currency>,
    /// Money that cannot be counted was reported as used: an unknown currency, below zero, out of range (spec C-54).
    pub unusable: bool,
    /// Reporting-Reason (spec G-40).
    pub reason: Option<u32>,
    /// Refund-Information: the debit that is to be given back (spec G-83).
    pub refund: Option<RefundToken>,
    /// 3GPP-RAT-Type of this quota, where it has its own (spec G-35).
    pub access: Option<u8>,
}

impl ServiceRequest {
    /// All that was used, on whichever side of a tariff change.
    pub fn all_used(&self) -> Used {
        let split = self.split.as_ref().map(|split| split.total()).unwrap_or_default();
        self.used.unwrap_or_default().plus(split)
    }
}

/// Usage on both sides of a tariff change (Tariff-Change-Usage, spec C-62).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SplitUsage {
    /// Before the change.
    pub before: Option<Used>,
    /// After it.
    pub after: Option<Used>,
    /// On either side.
    pub either: Option<Used>,
}

impl SplitUsage {
    /// Both together, side by side.
    pub fn plus(self, other: Self) -> Self {
        Self {
            before: Used::both(self.before, other.before),
            after: Used::both(self.after, other.after),
            either: Used::both(self.either, other.either),
        }
    }

    /// All of it, on whichever side.
    pub fn total(&self) -> Used {
        [self.before, self.after, self.either].iter().flatten().fold(Used::default(), |sum, used| sum.plus(*used))
    }
}

/// Reported usage in all units that the client counted; the tariff's unit is charged (spec C-52).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// Total octets.
    pub octets: u64,
    /// The part of them that came from the user, if the client said it (CC-Input-Octets).
    pub input: u64,
    /// The part that went to the user (CC-Output-Octets).
    pub output: u64,
    /// Seconds.
    pub seconds: u64,
    /// Service-specific units.
    pub events: u64,
    /// Money that the client rated itself.
    pub money: Money,
}

impl Used {
    /// The amount in one measure (micro-units for money; below zero counts as nothing).
    pub fn amount(&self, measure: Measure) -> u64 {
        match measure {
            Measure::Units(UnitKind::Octets) => self.octets,
            Measure::Units(UnitKind::Seconds) => self.seconds,
            Measure::Units(UnitKind::Events) => self.events,
            Measure::Money => u64::try_from(self.money.micros()).unwrap_or(0),
        }
    }

    /// What was reported, by what it counts.
    pub(super) fn by_measure(self) -> [(Measure, u64); 4] {
        let units = [UnitKind::Octets, UnitKind::Seconds, UnitKind::Events].map(Measure::Units);
        let [octets, seconds, events] = units;
        [octets, seconds, events, Measure::Money].map(|measure| (measure, self.amount(measure)))
    }

    /// Both together, up to the end of the range.
    pub fn plus(self, other: Self) -> Self {
        Self {
            octets: self.octets.saturating_add(other.octets),
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            seconds: self.seconds.saturating_add(other.seconds),
            events: self.events.saturating_add(other.events),
            money: self.money.saturating_add(other.money),
        }
    }

    /// What both say.
    pub(super) fn both(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) => Some(one.plus(other)),
            (one, other) => one.or(other),
        }
    }

    /// Whether nothing at all was used.
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Units; the server chooses how many, and of what kind (empty Requested-Service-Unit, spec C-33).
    Any,
    /// So many units, for each kind that the client named.
    Units(WantedUnits),
    /// A sum of money that the client rated itself (spec C-15).
    Money(Money),
    /// Money that cannot be counted here: a currency that is not known, or out of range (spec C-54, C-55).
    Unusable,
}

/// Numbers of units that a client asks for, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WantedUnits {
    /// Octets, total.
    pub octets: Option<u64>,
    /// Seconds.
    pub seconds: Option<u64>,
    /// Service-specific units.
    pub events: Option<u64>,
}

impl WantedUnits {
    /// The number of one kind, if it was named.
    pub fn of(&self, kind: UnitKind) -> Option<u64> {
        match kind {
            UnitKind::Octets => self.octets,
            UnitKind::Seconds => self.seconds,
            UnitKind::Events => self.events,
        }
    }
}

impl From<Units> for WantedUnits {
    fn from(units: Units) -> Self {
        let amount = Some(units.amount);
        match units.kind {
            UnitKind::Octets => Self { octets: amount, ..Self::default() },
            UnitKind::Seconds => Self { seconds: amount, ..Self::default() },
            UnitKind::Events => Self { events: amount, ..Self::default() },
        }
    }
}

/// What a one-time event asks for (Requested-Action, RFC 8506 8.41).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum EventAction {
    /// DIRECT_DEBITING.
    #[default]
    Debit,
    /// REFUND_ACCOUNT.
    Refund,
    /// CHECK_BALANCE.
    CheckBalance,
    /// PRICE_ENQUIRY.
    PriceEnquiry,
}

/// A one-time event.
#[derive(Debug, Default)]
pub struct EventRequest<'a> {
    /// Session-Id.
    pub session_id: &'a [u8],
    /// CC-Sub-Session-Id; 0 = none (spec C-23).
    pub sub_session: u64,
    /// The key of both.
    pub key: SessionKey,
    /// CC-Request-Number.
    pub number: u32,
    /// The account that the request's identities name, if it names any that is known.
    pub account: Option<AccountId>,
    /// What to do.
    pub action: EventAction,
    /// The service context in the catalog; `None` = unknown there.
    pub context: Option<ContextId>,
    /// Service-Context-Id as received.
    pub context_name: &'a str,
    /// The services; units are wanted, or one by default.
    pub services: Vec<ServiceRequest>,
    /// The units stood at command level, not in MSCCs.
    pub at_command_level: bool,
    /// What the client understands and wants to be told.
    pub client: ClientNeeds,
    /// The conditions, if anybody wants to know.
    pub attributes: Option<Box<Attributes>>,
    /// Event-Timestamp (spec C-24).
    pub happened: Option<Timestamp>,
    /// The client may refund what is linked to no debit (spec C-136).
    pub unlinked_refunds: bool,
    /// The member of a shared account that uses it, as far as the request's identities say; a running session knows.
    pub member: MemberNo,
}

/// Where a credit comes from and what it gives.
#[derive(Debug)]
pub enum CreditKind<'a> {
    /// Money paid in; above zero.
    TopUp(Money),
    /// Money that another account sent; above zero.
    Transfer {
        /// How much.
        amount: Money,
        /// Who sent it.
        from: AccountId,
    },
    /// A voucher worth money.
    Voucher {
        /// How much.
        amount: Money,
        /// Its batch.
        batch: &'a str,
    },
    /// Money by an operator's decision; may be below zero.
    Adjustment(Money, &'a str),
    /// A bundle of units: an allowance of the catalog, by its name.
    Allowance(&'a str),
    /// Money paid in for a member of a shared account, for nobody else; above zero.
    MemberTopUp {
        /// The member, by its subscriber's id.
        subscriber: &'a str,
        /// How much.
        amount: Money,
    },
    /// A bundle of units for a member of a shared account.
    MemberAllowance {
        /// The member, by its subscriber's id.
        subscriber: &'a str,
        /// The bundle, by its name.
        allowance: &'a str,
    },
}

/// Money or an allowance for an account.
#[derive(Debug)]
pub struct CreditCommand<'a> {
    /// The account.
    pub account: AccountId,
    /// What it gets.
    pub kind: CreditKind<'a>,
    /// Currency of the money; `None` for allowances.
    pub currency: Option<Currency>,
    /// The caller's idempotency key, unique for the account.
    pub request_id: &'a str,
}

/// A new account.
#[derive(Debug)]
pub struct AccountSpec<'a> {
    /// Its id.
    pub id: AccountId,
    /// Its currency.
    pub currency: Currency,
    /// Opening amount of the main bucket.
    pub balance: Money,
    /// How far below zero it may go.
    pub credit_limit: Money,
    /// Red list.
    pub never_stop: bool,
    /// Allowances it starts with.
    pub allowances: Vec<&'a Allowance>,
}

/// A new subscriber.
#[derive(Debug)]
pub struct SubscriberSpec {
    /// The account it uses.
    pub account: AccountId,
    /// The subscriber.
    pub subscriber: Subscriber,
}
