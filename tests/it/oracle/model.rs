//! The oracle's account: one unit of usage after another, each paid by the first bucket that can.
//!
//! What sessions hold is the engine's choice, and told to the oracle; what usage costs, who pays for it, and how many units
//! can be paid for is the oracle's own.

use std::collections::BTreeMap;

use super::{
    list::{Kind, Limit, List, Period, Price, Service, Then},
    meter::{Meter, WHOLE, capped},
};

pub(super) type Id = u32;
/// The main balance.
pub(super) const MAIN: Id = 1;
const MAIN_PRIORITY: u32 = 1_000;
/// The engine may reckon with reports that come so much later than a grant's end, in seconds.
const SOON: u64 = 600;
/// What one who is never stopped can pay.
const ENDLESS: i128 = (i64::MAX / 1_000) as i128;

#[derive(Debug, Clone)]
pub(super) struct Bucket {
    pub(super) id: Id,
    /// `None` = money.
    pub(super) units: Option<Kind>,
    pub(super) amount: i128,
    pub(super) priority: u32,
    pub(super) expires: Option<u64>,
    /// Empty = all that count its unit.
    pub(super) services: Vec<String>,
}

/// What is held of each bucket: by sessions that have nothing to do with a request, and by what it reports of.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) others: BTreeMap<Id, i128>,
    pub(super) released: BTreeMap<Id, i128>,
    /// What others may add to counters.
    pub(super) counters: BTreeMap<Counter, i128>,
    /// What the quotas that give back could have added to them.
    pub(super) of_counters: BTreeMap<Counter, i128>,
}

impl Held {
    /// Further quotas give back what they held.
    pub(super) fn give_back(&mut self, own: &Self) {
        for (id, amount) in &own.released {
            *self.others.entry(*id).or_default() -= amount;
            *self.released.entry(*id).or_default() += amount;
        }
        for (place, amount) in &own.of_counters {
            *self.counters.entry(place.clone()).or_default() -= amount;
        }
    }
}

/// Its name, and the start of its span.
pub(super) type Counter = (String, u64);

/// Who pays.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Payment {
    pub(super) units: u64,
    pub(super) rated: u64,
    pub(super) cost: i128,
    pub(super) draws: BTreeMap<Id, i128>,
}

/// Under which terms units were granted.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    pub(super) tariff: Option<String>,
    /// What the client was told of: when, and the tariff from then on.
    pub(super) change: Option<(u64, Option<String>)>,
    /// What is charged of the price, in hundredths of a percent.
    pub(super) keep: u64,
}

#[derive(Debug, Default)]
pub(super) struct Quota {
    /// By tariff (empty = the service's own price), and whether it is the uplink's.
    pub(super) rated: BTreeMap<(String, bool), u64>,
    pub(super) from_allowance: u64,
    pub(super) charged: i128,
    pub(super) granted: Option<Terms>,
}

#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) access: Option<u8>,
    /// By rating group.
    pub(super) quotas: BTreeMap<u32, Quota>,
}

/// What one service reports in a request.
#[derive(Debug, Clone, Default)]
pub(super) struct Report {
    pub(super) group: u32,
    /// On no side of a change, before it and behind it: units, and those of them that came from the user.
    pub(super) used: Option<(u64, u64)>,
    pub(super) before: Option<(u64, u64)>,
    pub(super) after: Option<(u64, u64)>,
}

pub(super) struct Model {
    pub(super) list: List,
    meters: BTreeMap<(String, String, bool), Meter>,
    pub(super) buckets: Vec<Bucket>,
    pub(super) credit_limit: i128,
    pub(super) never_stop: bool,
    pub(super) cycle_day: i64,
    pub(super) sessions: BTreeMap<String, Session>,
    pub(super) counters: BTreeMap<Counter, i128>,
    /// Since when it has the product.
    pub(super) bought: u64,
    pub(super) now: u64,
}

/// How usage is priced: which meter, where it stands, what is charged of it, and the caps behind it.
pub(super) struct Quote<'m> {
    sides: Vec<(&'m Meter, u64, u64)>,
    /// How much has reached the cap, its amount, and what is charged beyond.
    caps: Vec<(i128, i128, u64)>,
    /// What limits still allow; `None` = no limit refuses.
    room: Option<i128>,
    /// Others may move a counter of its tiers before these units are used, or a span may end: the engine must then hold for
    /// the worst that can come, which the oracle does not know.
    pub(super) may_move: bool,
}

impl Quote<'_> {
    pub(super) fn is_free(&self) -> bool {
        self.sides.iter().all(|(meter, _, keep)| meter.is_free() || *keep == 0)
    }

    /// What so many more units cost, by the dearer price if there are two.
    fn cost(&self, units: u64) -> i128 {
        let price = self.sides.iter().map(|(meter, before, keep)| meter.charge(*before, units, *keep)).max().unwrap();
        self.caps.iter().fold(price, |money, (reached, cap, part)| {
            capped(reached + money, *cap, *part) - capped(*reached, *cap, *part)
        })
    }

    /// A cap was reached behind which nothing is charged.
    pub(super) fn is_capped_to_nothing(&self) -> bool {
        self.caps.iter().any(|(reached, cap, part)| *part == 0 && reached >= cap)
    }

    /// Changes only where the cost may.
    fn blocks(&self, units: u64) -> usize {
        self.sides.iter().map(|(meter, before, _)| meter.blocks(before + units)).sum()
    }
}

impl Model {
    pub(super) fn new(list: &List, balance: i64, now: u64) -> Self {
        let mut meters = BTreeMap::new();
        for service in &list.services {
            let own = [("", &service.price)];
            let tariffs = service.tariffs.iter().map(|tariff| (&*tariff.name, &tariff.price));
            for (tariff, price) in own.into_iter().chain(tariffs) {
                let key = |up| (service.name.clone(), tariff.to_string(), up);
                meters.insert(key(false), Meter::new(price));
                if let Some(up) = price.up {
                    meters.insert(key(true), Meter::uplink(price, up));
                }
            }
        }
        let main = Bucket {
            id: MAIN,
            units: None,
            amount: balance.into(),
            priority: MAIN_PRIORITY,
            expires: None,
            services: Vec::new(),
        };
        Self {
            list: list.clone(),
            meters,
            buckets: vec![main],
            credit_limit: 0,
            never_stop: false,
            cycle_day: 1,
            sessions: BTreeMap::new(),
            counters: BTreeMap::new(),
            bought: now,
            now,
        }
    }

    /// Puts a bucket at its place in the order of consumption: priority, soonest expiry, first come.
    pub(super) fn add_bucket(&mut self, bucket: Bucket) {
        self.buckets.push(bucket);
        self.buckets.sort_by_key(|bucket| (bucket.priority, bucket.expires.unwrap_or(u64::MAX), bucket.id));
    }

    pub(super) fn bucket(&mut self, id: Id) -> &mut Bucket {
        self.buckets.iter_mut().find(|bucket| bucket.id == id).unwrap()
    }

    /// What can be taken from a bucket without touching what others hold. Of an expired one that is what was held for this.
    fn available(&self, bucket: &Bucket, held: &Held) -> i128 {
        let free = bucket.amount - held.others.get(&bucket.id).unwrap_or(&0);
        if bucket.expires.is_some_and(|expires| self.now >= expires) {
            return free.min(*held.released.get(&bucket.id).unwrap_or(&0)).max(0);
        }
        match bucket.id {
            MAIN if self.never_stop => ENDLESS,
            MAIN => (free + self.credit_limit).max(0),
            _ => free.max(0),
        }
    }

    /// Finds who pays, unit by unit. `all`: what nobody can pay goes to the main balance.
    pub(super) fn pay(&self, service: &Service, quote: &Quote<'_>, held: &Held, want: u64, all: bool) -> Payment {
        if quote.is_free() {
            return Payment { units: want, ..Payment::default() };
        }
        let takes = |bucket: &&Bucket| match bucket.units {
            None => true,
            Some(kind) => {
                kind == service.kind && (bucket.services.is_empty() || bucket.services.contains(&service.name))
            }
        };
        let mut sources: Vec<(&Bucket, i128)> =
            self.buckets.iter().filter(takes).map(|bucket| (bucket, self.available(bucket, held))).collect();
        let mut payment = Payment::default();
        let mut next: Option<(usize, i128)> = None;
        while payment.units < want {
            let blocks = quote.blocks(payment.rated + 1);
            let cost = next.filter(|known| known.0 == blocks).map_or_else(|| quote.cost(payment.rated + 1), |it| it.1);
            next = Some((blocks, cost));
            let mut purse = 0;
            let payer = sources.iter_mut().find(|(bucket, left)| {
                if bucket.units.is_some() {
                    return *left > 0;
                }
                purse += *left;
                cost <= quote.room.map_or(purse, |room| purse.min(room))
            });
            match payer {
                Some((bucket, left)) if bucket.units.is_some() => {
                    *left -= 1;
                    *payment.draws.entry(bucket.id).or_default() += 1;
                }
                Some(_) => payment.rated += 1,
                None if all => payment.rated += 1,
                None => break,
            }
            payment.units += 1;
        }
        payment.cost = quote.cost(payment.rated);
        let mut due = payment.cost;
        for (bucket, left) in sources.iter().filter(|(bucket, _)| bucket.units.is_none() && bucket.id != MAIN) {
            let taken = due.min(*left);
            if taken > 0 {
                payment.draws.insert(bucket.id, taken);
                due -= taken;
            }
        }
        if due > 0 {
            payment.draws.insert(MAIN, due);
        }
        payment
    }

    fn meter(&self, service: &Service, tariff: Option<&str>, up: bool) -> &Meter {
        &self.meters[&(service.name.clone(), tariff.unwrap_or("").to_string(), up)]
    }

    /// The counter that a price's tiers go by, if it is not the session.
    fn tier_counter(&self, price: &Price, moment: u64) -> Option<Counter> {
        let (name, period) = price.counter.as_ref()?;
        Some((format!("tiers/{name}"), self.span(*period, moment).0))
    }

    fn counter(&self, limit: &Limit, moment: u64) -> Counter {
        (limit.name.clone(), self.span(limit.period, moment).0)
    }

    /// Where usage of a moment is counted: in its own span while that is open, else in the one that runs.
    fn span(&self, period: Period, moment: u64) -> (u64, u64) {
        let own = self.list.span(period, self.cycle_day, moment);
        if own.1 + self.list.late_usage > self.now { own } else { self.list.span(period, self.cycle_day, self.now) }
    }

    fn counted(&self, counter: &Counter) -> i128 {
        *self.counters.get(counter).unwrap_or(&0)
    }

    fn includes(services: &[String], service: &Service) -> bool {
        if services.is_empty() { service.counted } else { services.contains(&service.name) }
    }

    /// What is charged of a service's price at a moment: the largest discount counts.
    pub(super) fn keep(&self, service: &Service, moment: u64) -> u64 {
        if moment < self.bought {
            return WHOLE;
        }
        let given = self.list.discounts.iter().filter(|discount| {
            Self::includes(&discount.services, service)
                && discount.window.is_none_or(|window| self.list.is_in(&window, moment))
        });
        WHOLE - given.map(|discount| discount.points).max().unwrap_or(0)
    }

    /// Those of the plan, and of the product since it was bought.
    fn limits_of<'m>(&'m self, service: &'m Service, moment: u64) -> impl Iterator<Item = &'m Limit> {
        let held = if moment < self.bought { self.list.plan_limits } else { self.list.limits.len() };
        self.list.limits[..held].iter().filter(|limit| Self::includes(&limit.services, service))
    }

    /// The quote for usage at a moment, by this tariff.
    pub(super) fn quote<'m>(
        &'m self,
        service: &'m Service,
        quota: &Quota,
        sides: &[(Option<&str>, bool)],
        keep: u64,
        moment: u64,
        held: &Held,
    ) -> Quote<'m> {
        let side = |(tariff, up): &(Option<&str>, bool)| {
            let meter = self.meter(service, *tariff, *up);
            let before = match self.tier_counter(meter.price(), moment) {
                Some(counter) => self.counted(&counter) as u64,
                None => *quota.rated.get(&(tariff.unwrap_or("").to_string(), *up)).unwrap_or(&0),
            };
            (meter, before, keep)
        };
        let caps = self.limits_of(service, moment).filter_map(|limit| match limit.then {
            Then::Charge(part) => Some((self.counted(&self.counter(limit, moment)), i128::from(limit.amount), part)),
            _ => None,
        });
        let refusing = self.limits_of(service, moment).filter(|limit| limit.then == Then::Refuse && !self.never_stop);
        let room = refusing.map(|limit| self.room(limit, moment, held)).min();
        Quote { sides: sides.iter().map(side).collect(), caps: caps.collect(), room, may_move: false }
    }

    /// What a limit allows beside what others hold.
    fn room(&self, limit: &Limit, moment: u64, held: &Held) -> i128 {
        let counter = self.counter(limit, moment);
        let reserved = held.counters.get(&counter).unwrap_or(&0);
        (i128::from(limit.amount) - self.counted(&counter) - reserved).max(0)
    }

    /// The quote for units that may be used until later. A cap that is passed is taken to be just reached: how its rounding
    /// will stand by then, nobody knows.
    pub(super) fn quote_of_grant<'m>(
        &'m self,
        service: &'m Service,
        quota: &Quota,
        sides: &[(Option<&str>, bool)],
        keep: u64,
        moment: u64,
        held: &Held,
    ) -> Quote<'m> {
        let mut quote = self.quote(service, quota, sides, keep, moment, held);
        for (reached, cap, _) in &mut quote.caps {
            *reached = (*reached).min(*cap);
        }
        let ends_soon = |period: Period| {
            let ends = self.span(period, moment).1;
            (ends - moment).min(ends + self.list.late_usage - self.now) <= service.validity + SOON
        };
        let limits = self.limits_of(service, moment).filter(|limit| limit.then != Then::Notify);
        let counters = quote.sides.iter().filter_map(|(meter, ..)| meter.price().counter.as_ref());
        quote.may_move = limits.into_iter().any(|limit| ends_soon(limit.period))
            || counters.into_iter().any(|(name, period)| {
                let counter = (format!("tiers/{name}"), self.span(*period, moment).0);
                ends_soon(*period) || *held.counters.get(&counter).unwrap_or(&0) > 0
            });
        quote
    }

    /// Charges units by a price, and counts them.
    fn charge(
        &mut self,
        held: &mut Held,
        quota: &mut Quota,
        service: &Service,
        (tariff, up): (Option<&str>, bool),
        keep: u64,
        (units, moment, all): (u64, u64, bool),
    ) -> Option<Payment> {
        let quote = self.quote(service, quota, &[(tariff, up)], keep, moment, held);
        let payment = self.pay(service, &quote, held, units, all);
        if payment.units < units {
            return None;
        }
        if quote.is_free() {
            return Some(payment);
        }
        let mut counts = Vec::new();
        if let Some(counter) = self.tier_counter(quote.sides[0].0.price(), moment) {
            counts.push((counter, i128::from(payment.rated)));
        }
        let (meter, before, _) = quote.sides[0];
        let mut money = meter.charge(before, payment.rated, keep);
        let mut caps = quote.caps.iter();
        for limit in self.limits_of(service, moment) {
            if matches!(limit.then, Then::Charge(_)) {
                let (reached, cap, part) = *caps.next().unwrap();
                counts.push((self.counter(limit, moment), money));
                money = capped(reached + money, cap, part) - capped(reached, cap, part);
            }
        }
        for limit in self.limits_of(service, moment).filter(|limit| !matches!(limit.then, Then::Charge(_))) {
            counts.push((self.counter(limit, moment), money));
        }
        for (counter, amount) in counts {
            *self.counters.entry(counter).or_default() += amount;
        }
        for (id, amount) in &payment.draws {
            self.bucket(*id).amount -= amount;
            let released = held.released.entry(*id).or_default();
            *released = (*released - amount).max(0);
        }
        *quota.rated.entry((tariff.unwrap_or("").to_string(), up)).or_default() += payment.rated;
        quota.from_allowance += payment.units - payment.rated;
        quota.charged += payment.cost;
        Some(payment)
    }

    /// Charges what a service reports. The grant that it was used under is gone.
    pub(super) fn report(&mut self, held: &mut Held, session: &str, access: Option<u8>, moment: u64, report: &Report) {
        let service = self.list.service(report.group).clone();
        let open = self.sessions.entry(session.into()).or_default();
        // What was used is rated by the conditions before this request; in the first one by its own.
        let access = open.access.or(access);
        let mut quota = open.quotas.remove(&report.group).unwrap_or_default();
        let terms = quota.granted.take();
        let keep = terms.as_ref().map_or_else(|| self.keep(&service, moment), |terms| terms.keep);
        for ((units, up), tariff) in self.parts(&service, report, terms, access, moment) {
            let up = if service.tariff(tariff.as_deref()).up.is_some() { up.min(units) } else { 0 };
            for (units, up) in [(up, true), (units - up, false)] {
                if units > 0 {
                    let how = (units, moment, true);
                    self.charge(held, &mut quota, &service, (tariff.as_deref(), up), keep, how);
                }
            }
        }
        self.sessions.get_mut(session).unwrap().quotas.insert(report.group, quota);
    }

    /// What was used by which tariff, in the order of time.
    fn parts(
        &self,
        service: &Service,
        report: &Report,
        terms: Option<Terms>,
        access: Option<u8>,
        moment: u64,
    ) -> Vec<((u64, u64), Option<String>)> {
        let tariff_at = |secs| self.list.tariff_at(service, access, secs).map(String::from);
        let timed = service.tariffs.iter().any(|tariff| tariff.window.is_some());
        if service.continuous && timed {
            let sides = [report.used, report.before, report.after];
            let total: u64 = sides.iter().flatten().map(|(units, _)| units).sum();
            let mut parts: Vec<((u64, u64), Option<String>)> = Vec::new();
            for second in moment - total..moment {
                let tariff = tariff_at(second);
                match parts.last_mut() {
                    Some((units, last)) if *last == tariff => units.0 += 1,
                    _ => parts.push(((1, 0), tariff)),
                }
            }
            return parts;
        }
        let (old, change) = match terms {
            Some(terms) => (terms.tariff, terms.change),
            None => (tariff_at(moment), None),
        };
        let (at, new) = change.map_or_else(|| (u64::MAX, old.clone()), |(at, new)| (at, new));
        let whole = if moment >= at { &new } else { &old };
        let sides = [(report.used, whole), (report.before, &old), (report.after, &new)];
        let mut parts: Vec<_> =
            sides.into_iter().filter_map(|(units, tariff)| Some((units?, tariff.clone()))).collect();
        if service.tariffs.is_empty() {
            let sum = parts.iter().fold((0, 0), |sum, (units, _)| (sum.0 + units.0, sum.1 + units.1));
            parts = vec![(sum, None)];
        }
        parts
    }

    /// Whether an event costs nothing, whoever asks.
    pub(super) fn event_is_free(&self, held: &Held, group: u32, moment: u64) -> bool {
        let service = self.list.service(group);
        let tariff = self.list.tariff_at(service, None, moment);
        let keep = self.keep(service, moment);
        let quote = self.quote(service, &Quota::default(), &[(tariff, false)], keep, moment, held);
        quote.is_free() || quote.is_capped_to_nothing()
    }

    /// Whether an event moves a counter of tiers in which others hold: what they hold may get dearer by it, and the engine
    /// then refuses what the account can pay for alone.
    pub(super) fn event_moves_others(&self, held: &Held, group: u32, moment: u64) -> bool {
        let service = self.list.service(group);
        let tariff = self.list.tariff_at(service, None, moment);
        let counter = self.tier_counter(self.meter(service, tariff, false).price(), moment);
        counter.is_some_and(|counter| *held.counters.get(&counter).unwrap_or(&0) > 0)
    }

    /// A one-time event; `None` = it cannot be paid.
    pub(super) fn event(&mut self, held: &mut Held, group: u32, units: u64, moment: u64) -> Option<Payment> {
        let service = self.list.service(group).clone();
        let tariff = self.list.tariff_at(&service, None, moment).map(String::from);
        let keep = self.keep(&service, moment);
        let how = (units, moment, false);
        self.charge(held, &mut Quota::default(), &service, (tariff.as_deref(), false), keep, how)
    }
}
