//! What a catalog sells: services, allowances, thresholds.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use super::{price::Price, tariff::Tariffs};
use crate::units::{Money, UnitKind};

/// A service context of one compiled catalog. Not stable from one catalog to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContextId(pub(super) u16);

/// A service of one compiled catalog. Not stable from one catalog to the next: what is stored is the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(pub(super) u16);

/// What is rated as one thing: its price and how quota for it is handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its number in this catalog.
    pub id: ServiceId,
    /// Its name: unique in the catalog, and stable.
    pub name: Arc<str>,
    /// The context in which its rating group has its meaning (spec C-4).
    pub context: ContextId,
    /// Its own Rating-Group. A request may have reached it by another key, as the default or the fallback service.
    pub rating_group: Option<u32>,
    /// Its own Service-Identifier.
    pub service_identifier: Option<u32>,
    /// What is counted.
    pub kind: UnitKind,
    /// What it costs.
    pub price: Price,
    /// Units of one grant; at least 1.
    pub slice: u64,
    /// Validity-Time of a whole grant, in seconds; at least 60 (spec G-115).
    pub validity_secs: u32,
    /// Validity-Time of a grant that was cut short while other sessions of the account hold funds, in seconds (spec
    /// C-81); at least 1.
    pub short_validity_secs: u32,
    /// The part of a grant that is left when the client should ask for more, in percent (spec G-60): 0 (none) to 50.
    pub threshold_percent: u8,
    /// Grants below this are not made: what is left is treated as no credit (spec G-117); 0 = any grant is made.
    pub minimum_grant: u64,
    /// Grants to a fast client grow up to this (spec G-116); `None` = every grant is a slice. At least `slice`.
    pub slice_max: Option<u64>,
    /// Quota-Holding-Time in seconds, if one is to be sent; 0 switches the mechanism off at the client (spec G-63).
    pub quota_holding_secs: Option<u32>,
    /// Quota-Consumption-Time in seconds, if one is to be sent; only for time (spec G-65).
    pub consumption_secs: Option<u32>,
    /// How the client counts time, if it is told; only for time (spec G-70).
    pub time_mechanism: Option<TimeMechanism>,
    /// Envelopes that the client is to report (spec G-71).
    pub envelopes: Option<EnvelopeReporting>,
    /// The credit pool that its quotas draw from (spec C-170).
    pub pool: Option<PoolTerms>,
    /// What is played to the user before or when the final units end (spec G-88).
    pub announcement: Option<Announcement>,
    /// Cost-Unit: what costs are told for, such as `minute` (spec C-56).
    pub cost_unit: Option<Arc<str>>,
    /// What the client does when the final units are used.
    pub final_action: FinalAction,
    /// How long the restricted state after a redirect may last, in seconds (spec C-85); at least 60.
    pub restricted_validity_secs: u32,
    /// Whether its usage counts for usage counters (spending, fair use). A zero-rated service may be left out of them.
    pub counted: bool,
    /// It is time that passes whether or not anything is done with it, such as a call's: what was used lies before the
    /// report, so that a change of tariff needs no help of the client (spec C-60).
    pub continuous: bool,
    /// See [`Service::uplink_price`].
    pub(super) uplink: Option<Price>,
    /// Prices under conditions; `None` where there are none, which costs nothing.
    pub(super) tariffs: Option<Box<Tariffs>>,
}

impl Service {
    /// What octets that are reported as uplink (CC-Input-Octets) cost by the service's own price, if that is something
    /// else: a plain price, counted over the uplink octets of the session. All others are charged by [`Service::price`].
    pub fn uplink_price(&self) -> Option<&Price> {
        self.uplink.as_ref()
    }

    /// The threshold to send with a grant of `granted` units: units *left* when the client should ask again. At most
    /// half of the grant, so always less (spec I-5, G-60), and at most `u32::MAX` (spec G-61); `None` if that is 0.
    pub fn threshold_for(&self, granted: u64) -> Option<u32> {
        let left = u128::from(granted) * u128::from(self.threshold_percent.min(50)) / 100;
        // Beyond u32 the cap applies.
        Some(u32::try_from(left).unwrap_or(u32::MAX)).filter(|left| *left > 0)
    }
}

/// What the client does when the final units are used (Final-Unit-Action, spec C-80).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinalAction {
    /// The service ends.
    Terminate,
    /// The user is sent to `address`.
    Redirect {
        /// A URL, SIP URI, IPv4 or IPv6 address; 1 to 255 printable ASCII characters.
        address: Arc<str>,
    },
    /// The user gets through only to what these allow; at least one of them is not empty.
    Restrict {
        /// IPFilterRules, checked (spec B-50).
        rules: Arc<[Arc<str>]>,
        /// Names of filters that the client has.
        filters: Arc<[Arc<str>]>,
    },
}

/// Time-Quota-Mechanism (spec G-70).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeMechanism {
    /// Consecutive intervals with traffic form one envelope; else each is bought as a whole when traffic starts it.
    pub continuous: bool,
    /// Base-Time-Interval in seconds; at least 1.
    pub base_secs: u32,
}

/// Envelope-Reporting (spec G-71), by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum EnvelopeReporting {
    /// Start and end.
    Plain = 1,
    /// With volume.
    Volume = 2,
    /// With events.
    Events = 3,
    /// With both.
    Both = 4,
}

/// How the quotas of a service draw from a credit pool (spec C-170, C-171).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolTerms {
    /// G-S-U-Pool-Identifier.
    pub id: u32,
    /// Pool units for one unit of the service: its price times a factor that all services of the pool share.
    pub multiplier: u64,
}

/// An announcement to the user (Announcement-Information, spec G-88).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcement {
    /// Announcement-Identifier: which one, by the client's numbers.
    pub id: u32,
    /// Time-Indicator: seconds before the end of the quota; 0 = at its end.
    pub before_end_secs: u32,
}

impl FinalAction {
    /// Whether something else than the end of the service comes after the final units: a restricted state.
    pub fn restricts(&self) -> bool {
        !matches!(self, Self::Terminate)
    }

    /// Redirect-Address-Type of the address: 0 IPv4, 1 IPv6, 2 URL, 3 SIP URI (spec C-89). `None` without a redirect.
    pub fn redirect_address_type(&self) -> Option<u32> {
        let Self::Redirect { address } = self else { return None };
        Some(match address {
            address if address.parse::<Ipv4Addr>().is_ok() => 0,
            address if address.parse::<Ipv6Addr>().is_ok() => 1,
            address if address.starts_with("sip:") || address.starts_with("sips:") => 3,
            _ => 2,
        })
    }
}

/// Units that can be sold or given to an account ahead of use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    /// Its name: unique in the catalog, and stable.
    pub name: Arc<str>,
    /// What is counted.
    pub kind: UnitKind,
    /// How many units; at least 1.
    pub amount: u64,
    /// How long it lasts from when it is given, in seconds; `None` is for ever.
    pub validity_secs: Option<u64>,
    /// Lower is used first.
    pub priority: u32,
    /// The rating groups ([`Service::rating_group`], not the key of the request) of the services that it pays for, in
    /// ascending order. Empty means every priced service of its unit.
    pub rating_groups: Vec<u32>,
    /// The names of the services that it pays for, as written; empty exactly when `rating_groups` is.
    pub services: Vec<Arc<str>>,
}

impl Allowance {
    /// Whether it pays for `service`: the unit is the same and the service is named, or none is. Free services are
    /// never paid from it, nor are those of a credit pool, which counts money alone.
    pub fn covers(&self, service: &Service) -> bool {
        let named = self.services.is_empty() || self.services.contains(&service.name);
        self.kind == service.kind && named && !service.is_free() && service.pool.is_none()
    }
}

/// A level whose crossing is told to the provisioning side, once per crossing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Threshold {
    /// Its name: unique in the catalog, and stable.
    pub name: Arc<str>,
    /// What is watched.
    pub kind: ThresholdKind,
}

/// What a [`Threshold`] watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThresholdKind {
    /// The main balance falls below this amount.
    Money(Money),
    /// This much of an allowance is used, in percent: 1 to 100.
    AllowancePercent(u8),
}

impl ThresholdKind {
    /// The amount, if it is about money.
    pub(super) fn money(self) -> Option<Money> {
        match self {
            Self::Money(money) => Some(money),
            Self::AllowancePercent(_) => None,
        }
    }
}
