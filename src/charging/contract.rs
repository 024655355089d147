//! What an account's plan and products say of its usage: limits, caps and discounts, and where usage is counted.

use std::sync::Arc;

use super::{
    Account, AccountState, Cycle, Draw, LifeStep, LimitStep, Measure, MemberNo, Notice, NoticeKind, Subscription,
    ledger::{Counting, Ledger, Place, TIERS},
    members,
    quota::Tariff,
    rate::{Cap, Counted, Meter, Priced, Share, Side},
};
use crate::{
    rating::{AfterLimit, BasisPoints, Catalog, Discount, Limit, Period, Price, Service, TierBasis},
    time::Timestamp,
    units::UnitKind,
};

/// A client reports so many seconds after the end of its quota's Validity-Time at the latest. Spans are longer.
const REPORT_DELAY_SECS: u64 = 10;

/// What counting is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It has happened: all of it is counted.
    Usage,
    /// It happens now, or not at all.
    Event,
    /// It may happen within so many seconds.
    Grant(u32),
}

/// What holds for an account, or a member of it, at the moment of a request.
pub(super) struct Contract<'a> {
    catalog: &'a Catalog,
    account: &'a Account,
    member: MemberNo,
    /// By the client's clock, as usage is.
    moment: Timestamp,
    late_secs: u64,
    cycle_day: u8,
    /// In the order of the catalog, each with the moment from which on it may hold no longer.
    limits: Vec<(&'a Limit, Option<Timestamp>)>,
    discounts: Vec<&'a Discount>,
}

impl<'a> Contract<'a> {
    pub(super) fn of(catalog: &'a Catalog, account: &'a Account, member: MemberNo, moment: Timestamp) -> Self {
        let mut contract = Self {
            catalog,
            account,
            member,
            moment,
            late_secs: 0,
            cycle_day: 1,
            limits: Vec::new(),
            discounts: Vec::new(),
        };
        let Some(profile) = account.profile.as_deref() else { return contract };
        contract.cycle_day = profile.cycle_day();
        let plan = profile.plan.as_deref().and_then(|name| catalog.plan(name));
        contract.late_secs = plan.map_or(0, |plan| plan.late_usage_secs);
        let whose = |subscription: &&Subscription| [MemberNo::SHARED, member].contains(&subscription.member);
        let held = || {
            let holding = profile.subscriptions.iter().filter(|it| it.holds(moment)).filter(whose);
            holding.filter_map(|it| Some((catalog.product(&it.product)?, it)))
        };
        let plan_limits = plan.map_or(&[][..], |plan| &plan.limits);
        for limit in catalog.limits() {
            if plan_limits.contains(&limit.name) {
                contract.limits.push((limit, None));
                continue;
            }
            let ends = held().filter(|(product, _)| product.limits.contains(&limit.name)).map(|(_, it)| sure_until(it));
            // Of several products that have it the one that stays longest.
            if let Some(ends) = ends.reduce(|one, other| one.zip(other).map(|(one, other)| one.max(other))) {
                contract.limits.push((limit, ends));
            }
        }
        let given = |discount: &&Discount| held().any(|(product, _)| product.discounts.contains(&discount.name));
        contract.discounts.extend(catalog.discounts().iter().filter(given));
        contract
    }

    /// The largest discount that is given on a service at the moment.
    pub(super) fn discount(&self, service: &Service) -> Option<&'a Discount> {
        let given =
            |discount: &&&'a Discount| discount.scope.includes(service) && self.catalog.is_given(discount, self.moment);
        // Of equal ones the first.
        let given = self.discounts.iter().filter(given).copied();
        given.reduce(|best, next| if next.basis_points > best.basis_points { next } else { best })
    }

    /// When discounts on a service begin or end within so many seconds, if they do.
    pub(super) fn discounts_change(&self, service: &Service, within_secs: u32) -> Option<Timestamp> {
        let discounts = self.discounts.iter().filter(|discount| discount.scope.includes(service));
        discounts.filter_map(|discount| self.catalog.given_changes(discount, self.moment, u64::from(within_secs))).min()
    }

    /// The price of usage at a part, where it stands: after what the quota has used, or what the counter of its tiers
    /// counts.
    pub(super) fn used_at(
        &self,
        ledger: &mut Ledger<'_>,
        priced: Priced<'a>,
        kind: UnitKind,
        keep: BasisPoints,
        rated: u64,
    ) -> Side<'a> {
        let counting = self.of_tiers(priced.price, kind);
        let counter = counting.map(|counting| ledger.counter(counting, self.catalog, self.moment));
        let rated = counter.map_or(rated, |place| units(ledger.counted(place).0));
        Side { keep, counter, ..Side::new(priced.price, rated) }
    }

    /// The price of units that may be used within so many seconds. Where its tiers count what others use too, it may stand
    /// anywhere by then; and near the end of a span, in the next one.
    pub(super) fn granted_at(
        &self,
        ledger: &mut Ledger<'_>,
        priced: Priced<'a>,
        kind: UnitKind,
        keep: BasisPoints,
        rated: u64,
        validity_secs: u32,
    ) -> Granted<'a> {
        let Some(counting) = self.of_tiers(priced.price, kind) else {
            let now = Side { keep, directed: priced.is_directed(), ..Side::new(priced.price, rated) };
            return Granted { now, next: None, until_secs: None };
        };
        let Near { now, next, until_secs } = self.near(ledger, counting, Purpose::Grant(validity_secs));
        let side = |place| {
            let (used, reserved) = ledger.counted(place);
            let latest = units(used.saturating_add(reserved));
            let directed = priced.is_directed();
            Side { keep, latest, directed, counter: Some(place), ..Side::new(priced.price, units(used)) }
        };
        // A report is counted in one span as a whole.
        Granted { now: side(now), next: next.map(|next| Side { mixes: false, ..side(next) }), until_secs }
    }

    /// The price of units that a quota holds already: where its tiers go by counters, in each of those that it holds in.
    pub(super) fn held_at(
        &self,
        ledger: &Ledger<'_>,
        priced: Priced<'a>,
        kind: UnitKind,
        keep: BasisPoints,
        rated: u64,
        holds: &[Draw],
    ) -> Vec<Side<'a>> {
        let Some(counting) = self.of_tiers(priced.price, kind) else {
            return vec![Side { keep, directed: priced.is_directed(), ..Side::new(priced.price, rated) }];
        };
        let held = ledger.held_in(counting, holds).enumerate();
        held.map(|(nth, (place, others))| {
            let used = ledger.counted(place).0;
            let latest = units(used.saturating_add(others));
            // A report is counted in one span as a whole.
            let (mixes, directed) = (nth == 0, priced.is_directed());
            Side { keep, latest, mixes, directed, counter: Some(place), ..Side::new(priced.price, units(used)) }
        })
        .collect()
    }

    /// The limits, caps and shares that usage counts in.
    pub(super) fn counted(&self, ledger: &mut Ledger<'_>, tariff: Tariff<'_>, purpose: Purpose) -> Counted {
        let mut counted = Counted::default();
        for (limit, until) in &self.limits {
            if !self.is_about(limit, tariff, purpose) {
                continue;
            }
            let amount = limit.amount.micros();
            let near = self.near(ledger, self.of_limit(limit), purpose);
            let used = ledger.counted(near.now).0.max(0);
            match (limit.then, purpose) {
                (AfterLimit::Charge(part), Purpose::Grant(validity_secs)) => {
                    // It must hold for as long as the grant may be used, or nobody can rely on it. In another span nothing
                    // has reached it yet.
                    let ends = self.moment.plus_secs(u64::from(validity_secs) + REPORT_DELAY_SECS);
                    let used = if near.next.is_some() { 0 } else { used.min(amount) };
                    if until.is_none_or(|until| ends < until) {
                        counted.caps.push(Cap { place: None, used, amount, part });
                    }
                }
                (AfterLimit::Charge(part), Purpose::Usage | Purpose::Event) => {
                    counted.caps.push(Cap { place: Some(near.now), used, amount, part });
                }
                (then, _) => {
                    let cuts = self.cuts(then, used >= amount, purpose);
                    if cuts || !matches!(purpose, Purpose::Grant(_)) {
                        counted.add_limit(&near, |place| Meter { place, amount, cuts });
                    }
                }
            }
        }
        self.shares(ledger, tariff, purpose, &mut counted);
        if let (Some(cycle), Purpose::Usage | Purpose::Event) = (self.cycle(), purpose) {
            let place = ledger.cycle_counter(cycle);
            counted.limits.push(Meter { place, amount: i64::MAX, cuts: false });
        }
        counted
    }

    /// The billing cycle that usage belongs to, if the account has billing cycles.
    fn cycle(&self) -> Option<&'a Cycle> {
        self.account.profile.as_deref()?.cycle_at(self.moment)
    }

    /// What must be told of limits after debits.
    pub(super) fn notices(&self, ledger: &Ledger<'_>, now: Timestamp) -> Vec<Notice> {
        let mut notices = Vec::new();
        let mut tell =
            |kind| notices.push(Notice { account: self.account.id, at: now, balance: ledger.balance(), kind });
        let mut suspends = false;
        for (limit, _) in &self.limits {
            for (counter, after) in ledger.risen(&limit.name, Measure::Money) {
                let (member, before) = (counter.member, counter.used);
                let crossed = |percent: u8| {
                    let level = i128::from(limit.amount.micros()) * i128::from(percent);
                    i128::from(before) * 100 < level && level <= i128::from(after) * 100
                };
                for percent in limit.reminders.iter().copied().filter(|percent| crossed(*percent)) {
                    tell(NoticeKind::Limit { name: Arc::clone(&limit.name), percent, member, step: LimitStep::Told });
                }
                // One that has refused already was told to be reached.
                if crossed(100) && !counter.refused {
                    let step = self.step(limit.then);
                    suspends |= step == LimitStep::Suspended;
                    tell(NoticeKind::Limit { name: Arc::clone(&limit.name), percent: 100, member, step });
                }
            }
        }
        if suspends && matches!(self.account.state, AccountState::Active | AccountState::Stopped) {
            tell(NoticeKind::Life { step: LifeStep::Suspended, until: None });
        }
        notices
    }

    fn step(&self, then: AfterLimit) -> LimitStep {
        match then {
            AfterLimit::Notify => LimitStep::Told,
            AfterLimit::Refuse | AfterLimit::Stop if self.account.never_stop => LimitStep::Told,
            AfterLimit::Refuse | AfterLimit::Charge(_) => LimitStep::Reached,
            AfterLimit::Stop => LimitStep::Suspended,
        }
    }

    /// Whether no more than the amount of a limit is granted, or charged to money while something else can pay. One that
    /// stops the account lets it come to its amount, and only then grants no more.
    fn cuts(&self, then: AfterLimit, is_reached: bool, purpose: Purpose) -> bool {
        !self.account.never_stop
            && match then {
                AfterLimit::Refuse => true,
                AfterLimit::Stop => is_reached && purpose != Purpose::Usage,
                AfterLimit::Notify | AfterLimit::Charge(_) => false,
            }
    }

    /// Money that the client rates itself is nobody's service: limits for all services count it.
    fn is_about(&self, limit: &Limit, tariff: Tariff<'_>, purpose: Purpose) -> bool {
        match tariff {
            Tariff::Money => limit.scope.services.is_empty(),
            Tariff::Service(service) => {
                // What one quota of a pool does not use another may.
                let pool = service.pool.filter(|_| matches!(purpose, Purpose::Grant(_)));
                let of_pool = |other: &Service| other.pool.is_some_and(|it| pool.is_some_and(|pool| pool.id == it.id));
                let in_pool = |other: &Service| of_pool(other) && limit.scope.includes(other);
                limit.scope.includes(service) || pool.is_some() && self.catalog.services().iter().any(in_pool)
            }
        }
    }

    /// What a member may take of what is shared: of money, and of units where the service counts them.
    fn shares(&self, ledger: &mut Ledger<'_>, tariff: Tariff<'_>, purpose: Purpose, counted: &mut Counted) {
        let profile = self.account.profile.as_deref().filter(|_| self.member != MemberNo::SHARED);
        let Some(member) = profile.and_then(|profile| profile.member(self.member)) else { return };
        let counts = |measure: Measure| measure == Measure::Money || measure == tariff.measure();
        for limit in member.limits.iter().filter(|limit| counts(limit.measure)) {
            let name = members::period_name(limit.period);
            let counting = self.counting(members::COUNTED, &name, self.member, limit.measure, limit.period);
            let near = self.near(ledger, counting, purpose);
            let (measure, amount, cuts) = (limit.measure, limit.amount, !self.account.never_stop);
            counted.add_share(&near, |place| Share { measure, meter: Meter { place, amount, cuts } });
        }
    }

    fn of_limit<'n>(&self, limit: &'n Limit) -> Counting<'n> {
        let member = if limit.by_member { self.member } else { MemberNo::SHARED };
        self.counting("", &limit.name, member, Measure::Money, limit.period)
    }

    /// `None` = the quota counts for itself.
    fn of_tiers(&self, price: &'a Price, kind: UnitKind) -> Option<Counting<'a>> {
        let TierBasis::Counter { name, period } = price.tier_basis() else { return None };
        Some(self.counting(TIERS, name, MemberNo::SHARED, Measure::Units(kind), *period))
    }

    fn near(&self, ledger: &mut Ledger<'_>, what: Counting<'_>, purpose: Purpose) -> Near {
        let now = ledger.counter(what, self.catalog, self.moment);
        let Purpose::Grant(validity_secs) = purpose else { return Near { now, next: None, until_secs: None } };
        let latest = u64::from(validity_secs) + REPORT_DELAY_SECS;
        if self.accepts_secs(ledger, now) > latest {
            return Near { now, next: None, until_secs: None };
        }
        let next = ledger.counter(what, self.catalog, ledger.span(now).0);
        let until = self.accepts_secs(ledger, next).saturating_sub(REPORT_DELAY_SECS);
        Near { now, next: Some(next), until_secs: Some(u32::try_from(until).unwrap_or(u32::MAX).max(1)) }
    }

    /// For how long usage is counted in a span: until it ends by the client's clock, or closes by ours.
    fn accepts_secs(&self, ledger: &Ledger<'_>, place: Place) -> u64 {
        let (ends, closes) = ledger.span(place);
        ends.since(self.moment).min(closes.since(ledger.now())).as_secs()
    }

    fn counting<'n>(
        &self,
        prefix: &'static str,
        name: &'n str,
        member: MemberNo,
        measure: Measure,
        period: Period,
    ) -> Counting<'n> {
        let (cycle_day, late_secs) = (self.cycle_day, self.late_secs);
        Counting { prefix, name, member, measure, period, cycle_day, late_secs }
    }
}

/// Where something that happens within some time is counted.
pub(super) struct Near {
    /// In the span of the moment.
    pub(super) now: Place,
    /// In the one after it, if that may begin before.
    pub(super) next: Option<Place>,
    /// The quota must end within so many seconds, for further spans hold nothing for it.
    pub(super) until_secs: Option<u32>,
}

/// The price of units that may be used within some time.
pub(super) struct Granted<'a> {
    pub(super) now: Side<'a>,
    /// In the next span of its counter.
    pub(super) next: Option<Side<'a>>,
    /// See [`Near::until_secs`].
    pub(super) until_secs: Option<u32>,
}

/// Until when a product surely holds: at the end of its period a fee may be missing.
fn sure_until(subscription: &Subscription) -> Option<Timestamp> {
    [subscription.renews, subscription.ends].into_iter().flatten().min()
}

fn units(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
