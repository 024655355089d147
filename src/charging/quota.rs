//! Quotas: what a session may use of one service.

use std::sync::Arc;

pub(super) use super::ledger::{Allocation, BALANCE_MAX, Demand, Ledger};
use super::{Breakdown, Bucket, BucketKind, Draw, MemberNo, Step};
use crate::{
    few::Few,
    ids::QuotaKey,
    rating::{BasisPoints, Discount, Service},
    time::Timestamp,
    units::{Money, UnitKind},
};

/// What a quota counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measure {
    /// Service units of one kind, which the server rates.
    Units(UnitKind),
    /// Micro-units of money, which the client rated itself (spec C-15).
    Money,
}

impl Default for Measure {
    fn default() -> Self {
        Self::Units(UnitKind::Octets)
    }
}

/// What a session holds and has used of one service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Quota {
    /// Its key in the session.
    pub key: QuotaKey,
    /// The service of the catalog it was last rated as.
    pub service: Arc<str>,
    /// What it counts.
    pub measure: Measure,
    /// The outstanding grant.
    pub granted: u64,
    /// What the outstanding grant reserves.
    pub holds: Few<Draw>,
    /// All usage reported in the session.
    pub used: u64,
    /// The part of `used` that was charged to money by the service's own price: the price is a function of this.
    pub rated: u64,
    /// The same for each other tariff that it was rated by.
    pub rated_by: Vec<RatedBy>,
    /// The part of `used` that allowances paid for.
    pub from_allowance: u64,
    /// Money charged in the session.
    pub charged: Money,
    /// The Validity-Time of the outstanding grant, 0 if there is none.
    pub validity_secs: u32,
    /// The outstanding grant is the last that the account can pay.
    pub final_units: bool,
    /// The last request for units was refused for want of credit.
    pub refused: bool,
    /// Under which terms the outstanding grant was made; `None` = the service's own price, and no change is near.
    pub terms: Option<Arc<Terms>>,
    /// The pool that the outstanding grant draws from, which holds what it reserves.
    pub pool: Option<u32>,
    /// Where slices grow: by which one the outstanding grant was made.
    pub grown: Option<Box<Grown>>,
    /// The version of the catalog that the outstanding grant was made by; 0 = from before versions had numbers.
    pub catalog: u32,
    /// The outstanding grant was made before the session's user had terms as a member: its usage is charged without them.
    pub without_terms: bool,
    /// What was charged since `told` is made of, where that is not all by one price from the main bucket.
    pub breakdown: Option<Box<Breakdown>>,
    /// What the history and the usage records tell of it already, while the session runs.
    pub told: Option<Box<Told>>,
}

/// The usage of a quota that lines tell of: the next line tells what has come since.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told {
    /// Of [`Quota::used`].
    pub used: u64,
    /// Of [`Quota::rated`].
    pub rated: u64,
    /// Of [`Quota::rated_by`].
    pub rated_by: Vec<RatedBy>,
    /// Of [`Quota::from_allowance`].
    pub from_allowance: u64,
    /// Of [`Quota::charged`].
    pub charged: Money,
}

/// A slice that may grow (spec G-116).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grown {
    /// Units; a grant may have been less.
    pub slice: u64,
    /// When it was granted.
    pub at: Timestamp,
}

/// Usage that a tariff of the service was charged for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RatedBy {
    /// The tariff's name in the catalog.
    pub tariff: Arc<str>,
    /// Units charged to money.
    pub units: u64,
}

/// The price that a grant was made at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Terms {
    /// The tariff in force; `None` = the service's own price.
    pub tariff: Option<Arc<str>>,
    /// The change that the client was told of (Tariff-Time-Change).
    pub change: Option<TariffChange>,
    /// What is taken off.
    pub discount: Option<Given>,
}

/// A discount that usage is charged by, whenever it is reported: it was granted so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Its name in the catalog.
    pub name: Arc<str>,
    /// In hundredths of a percent: 1 to 10,000.
    pub basis_points: u16,
}

impl Given {
    pub(super) fn of(discount: &Discount) -> Self {
        Self { name: Arc::clone(&discount.name), basis_points: discount.basis_points }
    }

    /// The part of a price that is charged.
    pub(super) fn keep(given: Option<&Self>) -> BasisPoints {
        given.map_or(BasisPoints::WHOLE, |given| BasisPoints::less(given.basis_points))
    }
}

/// A tariff change within the life of a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TariffChange {
    /// When.
    pub at: Timestamp,
    /// The tariff from then on; `None` = the service's own price.
    pub tariff: Option<Arc<str>>,
}

/// What the quotas of a session hold together (G-S-U-Pool, spec C-170..C-175).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// G-S-U-Pool-Identifier.
    pub id: u32,
    /// What it reserves.
    pub holds: Few<Draw>,
}

impl Quota {
    /// Units that were charged to money by a tariff; `None` = by the service's own price.
    pub(super) fn rated_as(&self, tariff: Option<&Arc<str>>) -> u64 {
        match tariff {
            None => self.rated,
            Some(name) => self.rated_by.iter().find(|rated| rated.tariff == *name).map_or(0, |rated| rated.units),
        }
    }

    /// Counts units that were charged to money by a tariff; `None` = by the service's own price.
    pub(super) fn add_rated(&mut self, tariff: Option<&Arc<str>>, units: u64) {
        match tariff {
            None => self.rated = self.rated.saturating_add(units),
            Some(tariff) => self.add_rated_by(tariff, units),
        }
    }

    /// Counts units that a tariff other than the service's own price was charged for.
    fn add_rated_by(&mut self, tariff: &Arc<str>, units: u64) {
        if let Some(rated) = self.rated_by.iter_mut().find(|rated| rated.tariff == *tariff) {
            rated.units = rated.units.saturating_add(units);
        } else if units > 0 {
            self.rated_by.push(RatedBy { tariff: Arc::clone(tariff), units });
        }
    }

    /// What no line tells of yet.
    pub fn untold(&self) -> Told {
        let none = Told::default();
        let told = self.told.as_deref().unwrap_or(&none);
        let by = |tariff: &Arc<str>| told.rated_by.iter().find(|by| by.tariff == *tariff).map_or(0, |by| by.units);
        let rated_by = self.rated_by.iter().map(|rated| RatedBy {
            tariff: Arc::clone(&rated.tariff),
            units: rated.units.saturating_sub(by(&rated.tariff)),
        });
        Told {
            used: self.used.saturating_sub(told.used),
            rated: self.rated.saturating_sub(told.rated),
            rated_by: rated_by.filter(|rated| rated.units > 0).collect(),
            from_allowance: self.from_allowance.saturating_sub(told.from_allowance),
            charged: self.charged.saturating_sub(told.charged),
        }
    }

    /// Whether there is anything that no line tells of yet.
    pub fn is_untold(&self) -> bool {
        self.used > self.told.as_ref().map_or(0, |told| told.used)
    }

    /// Whether a step's charge needs a line of its own: this one is full, or counts something else.
    pub(super) fn needs_line(&self, step: &Step) -> bool {
        let is_full = || self.breakdown.as_ref().is_some_and(|known| known.is_full());
        self.is_untold() && (self.measure != step.measure || step.used > 0 && is_full())
    }

    /// From now on something else is counted: the price begins anew. What was charged stays.
    pub(super) fn count(&mut self, measure: Measure) {
        (self.measure, self.used, self.rated, self.from_allowance) = (measure, 0, 0, 0);
        self.rated_by.clear();
        if let Some(told) = &mut self.told {
            **told = Told { charged: told.charged, ..Told::default() };
        }
    }

    /// A line tells of all that was used until now.
    pub(super) fn tell(&mut self, member: MemberNo) {
        let Self { used, rated, from_allowance, charged, .. } = *self;
        let rated_by = self.rated_by.clone();
        self.told = Some(Box::new(Told { used, rated, rated_by, from_allowance, charged }));
        self.breakdown = Some(Box::new(Breakdown { member, ..Breakdown::default() }));
    }

    /// Whether a credit to the account should make the client ask again.
    pub fn wants_credit(&self) -> bool {
        self.final_units || self.refused
    }
}

/// How usage becomes money.
#[derive(Debug, Clone, Copy)]
pub(super) enum Tariff<'a> {
    /// By the catalog.
    Service(&'a Service),
    /// The client says the sum.
    Money,
}

impl Tariff<'_> {
    pub(super) fn measure(&self) -> Measure {
        match self {
            Self::Service(service) => Measure::Units(service.kind),
            Self::Money => Measure::Money,
        }
    }

    /// The service's name in the catalog.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Service(service) => &service.name,
            Self::Money => "money",
        }
    }

    /// Whether a bucket may pay for the service. A credit pool counts money alone.
    pub(super) fn takes(&self, bucket: &Bucket) -> bool {
        match bucket.kind {
            BucketKind::Money => true,
            BucketKind::Units(kind) => {
                self.measure() == Measure::Units(kind)
                    && !matches!(self, Self::Service(service) if service.pool.is_some())
                    && (bucket.services.is_empty() || bucket.services.iter().any(|name| **name == *self.name()))
            }
        }
    }
}
