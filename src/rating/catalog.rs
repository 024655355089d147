//! The compiled catalog: immutable tables, made once and looked up for every request.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use super::{
    calendar, compile,
    failure::FailurePolicy,
    offer::{Discount, Gift, Limit, Offers, Period, Plan, Product},
    problem::Problem,
    service::{Allowance, ContextId, Service, ServiceId, Threshold},
    settings::{ContextSettings, Domain, Indeterminate, Settings},
};
use crate::{
    time::Timestamp,
    units::{Currency, Money},
};

/// A price list, compiled: what is sold, at what price, and how requests find it. Immutable and shared freely.
#[derive(Debug)]
pub struct Catalog {
    pub(super) text: Arc<str>,
    pub(super) currency: Currency,
    pub(super) contexts: ContextTable,
    /// By [`ContextId`].
    pub(super) defaults: Vec<ContextServices>,
    /// By [`ServiceId`].
    pub(super) services: Vec<Service>,
    /// Ordered by key.
    pub(super) keys: Vec<(ServiceKey, ServiceId)>,
    pub(super) services_by_name: BTreeMap<Arc<str>, ServiceId>,
    pub(super) allowances: BTreeMap<Arc<str>, Allowance>,
    pub(super) thresholds: Vec<Threshold>,
    /// The highest of the thresholds that are about money.
    pub(super) low_balance: Option<Money>,
    /// By [`ContextId`].
    pub(super) failure: Vec<FailurePolicy>,
    pub(super) settings: Settings,
    /// By [`ContextId`].
    pub(super) of_contexts: Vec<ContextSettings>,
    pub(super) offers: Offers,
}

/// What a request's keys are matched with. Absent is less than any number.
pub(super) type ServiceKey = (ContextId, Option<u32>, Option<u32>);

/// The services of a context that need no key.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ContextServices {
    /// For requests with neither Rating-Group nor Service-Identifier.
    pub(super) default: Option<ServiceId>,
    /// For requests with keys that no service has.
    pub(super) fallback: Option<ServiceId>,
}

impl Catalog {
    /// Reads and compiles a catalog. The error holds every problem found, ordered by line and column; never empty.
    pub fn from_toml(text: &str) -> Result<Self, Vec<Problem>> {
        compile::compile(text)
    }

    /// The text that it was read from.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The currency of all its prices.
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// The context that a Service-Context-Id names (spec C-4, G-27, I-11); `None` is answered 5031 (spec C-5).
    ///
    /// A name in the catalog that is the same, octet for octet, comes first. Then, if the text ends in `@3gpp.org` (in
    /// any case, and `.` will do for `@`), the five digits before that, back to the previous dot or the start: they
    /// match the catalog's `NNNNN@3gpp.org`. Nothing is read out of the prefix.
    pub fn context(&self, service_context_id: &str) -> Option<ContextId> {
        self.contexts.find(service_context_id)
    }

    /// The service that the keys of a request reach in a context, the most specific first: both keys, the rating group
    /// alone, the service identifier alone; the context's default service if there are no keys (spec I-9). Keys that no
    /// service has, and no keys where there is no default, reach the context's fallback service, or nothing (5031, spec
    /// G-118).
    pub fn service(
        &self,
        context: ContextId,
        rating_group: Option<u32>,
        service_identifier: Option<u32>,
    ) -> Option<&Service> {
        let of_context = self.defaults.get(usize::from(context.0))?;
        let by_key = |rg, si| {
            let found = self.keys.binary_search_by_key(&(context, rg, si), |(key, _)| *key).ok()?;
            Some(self.keys.get(found)?.1)
        };
        let found = match (rating_group, service_identifier) {
            (None, None) => of_context.default,
            (Some(_), Some(_)) => by_key(rating_group, service_identifier)
                .or_else(|| by_key(rating_group, None))
                .or_else(|| by_key(None, service_identifier)),
            _ => by_key(rating_group, service_identifier),
        };
        self.service_by_id(found.or(of_context.fallback)?)
    }

    /// What clients of a context are told to do when they cannot reach us.
    pub fn failure_policy(&self, context: ContextId) -> FailurePolicy {
        self.failure.get(usize::from(context.0)).copied().unwrap_or_default()
    }

    /// Whether Service-Information must be read in this context: a price depends on it, or an emergency call may be told of
    /// there (spec G-29, G-104).
    pub fn reads_attributes(&self, context: ContextId) -> bool {
        let of_context = self.of_contexts.get(usize::from(context.0));
        of_context.is_some_and(|of_context| of_context.priced_by_attributes || of_context.calls)
    }

    /// Whether a price in this context depends on what Service-Information tells.
    pub fn prices_by_attributes(&self, context: ContextId) -> bool {
        self.of_contexts.get(usize::from(context.0)).is_some_and(|of_context| of_context.priced_by_attributes)
    }

    /// The network that a visitor register or a switch with this number belongs to, MCC and MNC (spec G-141).
    pub fn network_of_number(&self, digits: &str) -> Option<&str> {
        let fits = |entry: &&(Box<str>, Box<str>)| digits.starts_with(&*entry.0);
        self.settings.visited_networks.iter().filter(fits).max_by_key(|entry| entry.0.len()).map(|entry| &*entry.1)
    }

    /// The domain of a request of this context: by the number of its specification (spec G-28), else what the catalog says
    /// of the context.
    pub fn domain(&self, context: ContextId, service_context_id: &str) -> Option<Domain> {
        let by_number = specification_number(service_context_id).and_then(Domain::of_specification);
        by_number.or_else(|| self.of_contexts.get(usize::from(context.0))?.domain)
    }

    /// The moment by which a request is rated: the client's Event-Timestamp if it is near enough to our own time, else our
    /// own (spec C-24). And whether the client's was far off.
    pub fn moment(&self, happened: Option<Timestamp>, now: Timestamp) -> (Timestamp, bool) {
        let Settings { event_past_secs, event_future_secs, .. } = self.settings;
        match happened {
            None => (now, false),
            Some(at) if at.plus_secs(event_past_secs) >= now && at <= now.plus_secs(event_future_secs) => (at, false),
            Some(_) => (now, true),
        }
    }

    /// How usage is rated of which the client does not know on which side of a tariff change it was (spec C-62).
    pub fn indeterminate_usage(&self) -> Indeterminate {
        self.settings.indeterminate
    }

    /// Validity-Times that end at a change of tariff are spread over so many seconds after it (spec C-68).
    pub fn validity_jitter_secs(&self) -> u32 {
        self.settings.validity_jitter_secs
    }

    /// A dialled number in its international form, by the dial plan (spec G-103); `None` if it is no number at all.
    pub fn international<'n>(&self, number: &'n str) -> Option<Cow<'n, str>> {
        self.settings.dial_plan.international(number)
    }

    /// The service with this number, which must come from this catalog.
    pub fn service_by_id(&self, id: ServiceId) -> Option<&Service> {
        self.services.get(usize::from(id.0))
    }

    /// The service with this name.
    pub fn service_by_name(&self, name: &str) -> Option<&Service> {
        self.service_by_id(*self.services_by_name.get(name)?)
    }

    /// All services, in the order of the text.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// The allowance with this name.
    pub fn allowance(&self, name: &str) -> Option<&Allowance> {
        self.allowances.get(name)
    }

    /// All allowances, ordered by name.
    pub fn allowances(&self) -> impl Iterator<Item = &Allowance> {
        self.allowances.values()
    }

    /// All thresholds, in the order of the text.
    pub fn thresholds(&self) -> &[Threshold] {
        &self.thresholds
    }

    /// All limits, in the order of the text.
    pub fn limits(&self) -> &[Limit] {
        &self.offers.limits
    }

    /// The limit with this name.
    pub fn limit(&self, name: &str) -> Option<&Limit> {
        self.offers.limits.iter().find(|limit| *limit.name == *name)
    }

    /// All discounts, in the order of the text.
    pub fn discounts(&self) -> &[Discount] {
        &self.offers.discounts
    }

    /// The discount with this name.
    pub fn discount(&self, name: &str) -> Option<&Discount> {
        self.offers.discounts.iter().find(|discount| *discount.name == *name)
    }

    /// All products, in the order of the text.
    pub fn products(&self) -> &[Product] {
        &self.offers.products
    }

    /// The product with this name.
    pub fn product(&self, name: &str) -> Option<&Product> {
        self.offers.products.iter().find(|product| *product.name == *name)
    }

    /// All plans, in the order of the text.
    pub fn plans(&self) -> &[Plan] {
        &self.offers.plans
    }

    /// The plan with this name.
    pub fn plan(&self, name: &str) -> Option<&Plan> {
        self.offers.plans.iter().find(|plan| *plan.name == *name)
    }

    /// What comes with a top-up of so much.
    pub fn gift_for(&self, top_up: Money) -> Option<&Gift> {
        self.offers.gifts.iter().filter(|gift| gift.top_up <= top_up).max_by_key(|gift| gift.top_up)
    }

    /// All gifts, in the order of the text.
    pub fn gifts(&self) -> &[Gift] {
        &self.offers.gifts
    }

    /// When the span of a period that a moment lies in begins and ends, by the operator's clock. `cycle_day` = the day of
    /// the month on which the account's cycles begin, 1 to 28.
    pub fn span(&self, period: Period, cycle_day: u8, at: Timestamp) -> (Timestamp, Timestamp) {
        calendar::span(&self.settings.time_zone, period, cycle_day, at)
    }

    /// How many days by the operator's clock a span of time touches; at least 1.
    pub fn days(&self, from: Timestamp, until: Timestamp) -> u64 {
        calendar::days(&self.settings.time_zone, from, until)
    }

    /// Whether a discount is given at a moment.
    pub fn is_given(&self, discount: &Discount, at: Timestamp) -> bool {
        let Settings { time_zone, holidays, .. } = &self.settings;
        discount
            .hours
            .is_none_or(|hours| calendar::local(time_zone, at).is_some_and(|local| hours.include(local, holidays)))
    }

    /// The first moment after `at`, at most `within_secs` later, from which on a discount is given and was not, or is not
    /// and was.
    pub fn given_changes(&self, discount: &Discount, at: Timestamp, within_secs: u64) -> Option<Timestamp> {
        let now = self.is_given(discount, at);
        let Settings { time_zone, holidays, .. } = &self.settings;
        let until = at.plus_secs(within_secs);
        let moments = calendar::boundaries(time_zone, discount.hours.iter(), holidays, at, until);
        moments.into_iter().find(|moment| self.is_given(discount, *moment) != now)
    }

    /// The balance from which on downwards clients are told that little is left (spec G-80): the highest threshold that is
    /// about money.
    pub fn low_balance(&self) -> Option<Money> {
        self.low_balance
    }
}

/// Finds contexts by name: a search in a sorted list compares lengths first, so that it touches few octets.
#[derive(Debug, Default)]
pub(super) struct ContextTable {
    /// Ordered by length, then octets.
    pub(super) exact: Vec<(Box<str>, ContextId)>,
    /// 3GPP's numbers of specifications (spec G-28) as their five digits, ordered.
    pub(super) numbers: Vec<([u8; 5], ContextId)>,
}

impl ContextTable {
    fn find(&self, name: &str) -> Option<ContextId> {
        let order = |known: &(Box<str>, ContextId)| {
            known.0.len().cmp(&name.len()).then_with(|| known.0.as_bytes().cmp(name.as_bytes()))
        };
        if let Ok(found) = self.exact.binary_search_by(order) {
            return self.exact.get(found).map(|known| known.1);
        }
        let number = specification_number(name)?;
        let found = self.numbers.binary_search_by_key(&number, |known| known.0).ok()?;
        self.numbers.get(found).map(|known| known.1)
    }
}

/// The five digits of `[prefix.]NNNNN@3gpp.org`.
pub(super) fn specification_number(name: &str) -> Option<[u8; 5]> {
    let (prefix, domain) = name.as_bytes().split_last_chunk::<9>()?;
    if !matches!(domain[0], b'@' | b'.') || !domain[1..].eq_ignore_ascii_case(b"3gpp.org") {
        return None;
    }
    let (before, number) = prefix.split_last_chunk::<5>()?;
    let starts_an_element = before.last().is_none_or(|previous| *previous == b'.');
    (starts_an_element && number.iter().all(u8::is_ascii_digit)).then_some(*number)
}
