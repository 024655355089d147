//! `[[service]]`: what is sold, and how quota for it is handed out.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use super::{
    contexts::Contexts,
    granting::Granting,
    pools,
    prices::{self, Counters, PriceText},
    section::{self, Field, Section},
};
use crate::{
    rating::{
        catalog::{ContextServices, ServiceKey},
        price::Price,
        problem::{Problems, Span, quoted},
        service::{ContextId, Service, ServiceId},
    },
    units::UnitKind,
};

/// What numbers of 16 bits name, with room to spare; a price list for people has tens.
const SERVICES_MAX: usize = 10_000;

/// The services as read. [`ServiceId`]s count those without problems, and mean something only if there are none.
#[derive(Default)]
pub(super) struct Services<'a> {
    pub(super) list: Vec<Service>,
    /// Whether each of them goes by the user's clock, where that is known (spec G-94).
    pub(super) user_zone: Vec<bool>,
    pub(super) keys: Vec<(ServiceKey, ServiceId)>,
    /// By context.
    pub(super) of_contexts: Vec<ContextServices>,
    /// What tiers are counted by.
    pub(super) counters: Counters,
    by_name: BTreeMap<&'a str, Declared>,
}

/// A service by its name, whether or not the rest of it could be read.
#[derive(Clone)]
pub(super) struct Declared {
    span: Span,
    context: Option<ContextId>,
    /// Its place in [`Services::list`], if it could be read.
    pub(super) id: Option<ServiceId>,
}

impl<'a> Services<'a> {
    pub(super) fn read(root: &mut Section<'a>, contexts: &Contexts<'a>, problems: &mut Problems<'_>) -> Self {
        let sections = root.sections("service", "[[service]]", problems);
        if sections.is_empty() {
            problems.add(&root.span, "a catalog needs at least one [[service]] with a price");
        }
        let mut services = Self::default();
        let mut keys = BTreeMap::new();
        let (mut unreachable, mut pooled) = (Vec::new(), Vec::new());
        for (index, mut section) in sections.into_iter().enumerate() {
            if index == SERVICES_MAX {
                problems.add(&section.span, format!("a catalog has at most {SERVICES_MAX} services"));
                break;
            }
            // At most SERVICES_MAX, which fits.
            let id = ServiceId(services.list.len() as u16);
            let text = ServiceText::read(&mut section, contexts, &mut services.counters, problems);
            services.declare(&text, id, problems);
            if let Some(key) = text.key() {
                let (key_span, written) = text.key_text(&section);
                match keys.entry(key) {
                    Entry::Occupied(first) => {
                        let line = problems.line(first.get());
                        problems.add(&key_span, format!("line {line} has {written} in the same context already"));
                    }
                    Entry::Vacant(free) if text.has_key() => {
                        free.insert(key_span);
                        services.keys.push((key, id));
                    }
                    Entry::Vacant(_) => unreachable.extend(text.name.clone()),
                }
            }
            let (pool, user_zone) = (text.granting.pool.clone(), text.user_zone);
            if let Some(service) = text.service(id) {
                pooled.extend(pool.map(|pool| (services.list.len(), pool)));
                services.list.push(service);
                services.user_zone.push(user_zone);
            }
            section.finish(problems);
        }
        services.keys.sort();
        pools::resolve(&mut services.list, &pooled, problems);
        services.resolve(contexts, problems);
        services.check_reachable(contexts, &unreachable, problems);
        services
    }

    /// The service with this name; if there is none, that is a problem of `field`.
    pub(super) fn find(&self, field: &Field<&str>, problems: &mut Problems<'_>) -> Option<&Declared> {
        let found = self.by_name.get(field.value);
        if found.is_none() {
            let hint = problems.hint(field.value, self.by_name.keys().copied());
            problems.add(&field.span, format!("there is no service {}{hint}", quoted(field.value)));
        }
        found
    }

    /// The service that a declaration stands for, if it could be read.
    pub(super) fn service(&self, declared: &Declared) -> Option<&Service> {
        self.list.get(usize::from(declared.id?.0))
    }

    fn declare(&mut self, text: &ServiceText<'a>, id: ServiceId, problems: &mut Problems<'_>) {
        let Some(name) = &text.name else { return };
        match self.by_name.entry(name.value) {
            Entry::Occupied(first) => {
                let line = problems.line(&first.get().span);
                problems.add(&name.span, format!("line {line} has a service {} already", quoted(name.value)));
            }
            Entry::Vacant(free) => {
                let id = text.is_complete().then_some(id);
                free.insert(Declared { span: name.span.clone(), context: text.context, id });
            }
        }
    }

    /// Turns the names of default and fallback services into numbers.
    fn resolve(&mut self, contexts: &Contexts<'a>, problems: &mut Problems<'_>) {
        for (index, context) in contexts.list.iter().enumerate() {
            let mut of_context = |field: &Option<Field<&str>>| {
                let field = field.as_ref()?;
                let declared = self.find(field, problems)?;
                if declared.context.is_some_and(|other| usize::from(other.0) != index) {
                    let message = format!("service {} belongs to another context", quoted(field.value));
                    problems.add(&field.span, format!("{message}: name one of {}", quoted(context.name)));
                }
                declared.id
            };
            let (default, fallback) = (of_context(&context.default), of_context(&context.fallback));
            self.of_contexts.push(ContextServices { default, fallback });
        }
    }

    /// Every context needs a service, and every service a way to reach it.
    fn check_reachable(&self, contexts: &Contexts<'a>, without_key: &[Field<&'a str>], problems: &mut Problems<'_>) {
        let named = |name: &str| {
            let fields = contexts.list.iter().flat_map(|context| [&context.default, &context.fallback]);
            fields.flatten().any(|field| field.value == name)
        };
        for name in without_key.iter().filter(|name| !named(name.value)) {
            let right =
                "give it a `rating_group` or a `service_identifier`, or make it its context's `default_service`";
            problems.add(&name.span, format!("no request reaches service {}: {right}", quoted(name.value)));
        }
        for (index, context) in contexts.list.iter().enumerate() {
            let used = |service: &Declared| service.context.is_some_and(|id| usize::from(id.0) == index);
            if !context.name.is_empty() && !self.by_name.values().any(used) {
                let name = quoted(context.name);
                problems.add(&context.span, format!("context {name} has no service: add a [[service]] for it"));
            }
        }
    }
}

/// One section as far as it could be read.
struct ServiceText<'a> {
    name: Option<Field<&'a str>>,
    context: Option<ContextId>,
    rating_group: Option<Field<u32>>,
    service_identifier: Option<Field<u32>>,
    price: Option<(UnitKind, Price)>,
    uplink: Option<Price>,
    slice: Option<u64>,
    validity_secs: u32,
    short_validity_secs: u32,
    threshold_percent: u8,
    restricted_validity_secs: u32,
    counted: bool,
    granting: Granting,
    continuous: bool,
    user_zone: bool,
}

impl<'a> ServiceText<'a> {
    fn read(
        section: &mut Section<'a>,
        contexts: &Contexts<'a>,
        counters: &mut Counters,
        problems: &mut Problems<'_>,
    ) -> Self {
        let name = section.require("name", "name = \"internet\"", problems, section::name);
        let context = section.require("context", "context = \"data\"", problems, section::name);
        let context = context.and_then(|field| {
            let found = contexts.find(field.value);
            if found.is_none() {
                let hint = problems.hint(field.value, contexts.names());
                problems.add(&field.span, format!("there is no context {}{hint}", quoted(field.value)));
            }
            found
        });
        let rating_group = section.get("rating_group", problems, section::number(0, u32::MAX));
        let service_identifier = section.get("service_identifier", problems, section::number(0, u32::MAX));
        let named = name.as_ref().map_or("", |field| field.value);
        let (price, slice) = prices(section, named, counters, problems);
        let (price, uplink) =
            price.map(|text| (text.price.map(|price| (text.kind, price)), text.uplink)).unwrap_or_default();
        let mut seconds = |key, least, default| {
            section.get(key, problems, section::duration(least)).map_or(default, |field| field.value)
        };
        let validity_secs = seconds("validity", 60, 3_600);
        let short_validity_secs = seconds("short_validity", 1, 60);
        let restricted_validity_secs = seconds("restricted_validity", 60, 300);
        let threshold = section.get("threshold_percent", problems, section::number(0, 50));
        let counted = section.get("counted", problems, section::truth);
        let kind = price.as_ref().map(|(kind, _)| *kind);
        let granting = Granting::read(section, kind, slice, problems);
        let continuous = section.get("continuous", problems, section::truth);
        if let Some(field) = continuous.as_ref().filter(|field| field.value && kind != Some(UnitKind::Seconds)) {
            problems
                .add(&field.span, "only time is used continuously: `continuous` is for a service that counts seconds");
        }
        let user_zone = section.get("user_time_zone", problems, section::truth);
        Self {
            name,
            context,
            rating_group,
            service_identifier,
            price,
            uplink,
            slice,
            validity_secs,
            short_validity_secs,
            // At most 50.
            threshold_percent: threshold.map_or(20, |field| field.value as u8),
            restricted_validity_secs,
            counted: counted.is_none_or(|field| field.value),
            // A client that is told how time is consumed does not consume all of it (spec C-60, G-65, G-70).
            continuous: continuous
                .map_or(kind == Some(UnitKind::Seconds) && granting.counts_all_time(), |field| field.value),
            granting,
            user_zone: user_zone.is_some_and(|field| field.value),
        }
    }

    fn has_key(&self) -> bool {
        self.rating_group.is_some() || self.service_identifier.is_some()
    }

    fn key(&self) -> Option<ServiceKey> {
        let number = |field: &Option<Field<u32>>| field.as_ref().map(|field| field.value);
        Some((self.context?, number(&self.rating_group), number(&self.service_identifier)))
    }

    /// Where the key stands, and how to speak of it.
    fn key_text(&self, section: &Section<'_>) -> (Span, String) {
        let fields = [("rating group", &self.rating_group), ("service identifier", &self.service_identifier)];
        let present: Vec<_> = fields.iter().filter_map(|(word, field)| Some((word, field.as_ref()?))).collect();
        let words: Vec<String> = present.iter().map(|(word, field)| format!("{word} {}", field.value)).collect();
        let span = present.first().map_or(section.span.clone(), |(_, field)| field.span.clone());
        (span, words.join(" with "))
    }

    fn is_complete(&self) -> bool {
        self.name.is_some() && self.context.is_some() && self.price.is_some() && self.slice.is_some()
    }

    fn service(self, id: ServiceId) -> Option<Service> {
        let (kind, price) = self.price?;
        Some(Service {
            id,
            name: Arc::from(self.name?.value),
            context: self.context?,
            rating_group: self.rating_group.map(|field| field.value),
            service_identifier: self.service_identifier.map(|field| field.value),
            kind,
            price,
            slice: self.slice?,
            validity_secs: self.validity_secs,
            short_validity_secs: self.short_validity_secs,
            threshold_percent: self.threshold_percent,
            minimum_grant: self.granting.minimum_grant,
            slice_max: self.granting.slice_max,
            quota_holding_secs: self.granting.quota_holding_secs,
            consumption_secs: self.granting.consumption_secs,
            time_mechanism: self.granting.time_mechanism,
            envelopes: self.granting.envelopes,
            // Known when all services of the pool are.
            pool: None,
            announcement: self.granting.announcement,
            cost_unit: self.granting.cost_unit,
            final_action: self.granting.final_action,
            restricted_validity_secs: self.restricted_validity_secs,
            counted: self.counted,
            continuous: self.continuous,
            uplink: self.uplink,
            tariffs: None,
        })
    }
}

/// Reads price and slice together: they must count the same thing.
fn prices(
    section: &mut Section<'_>,
    name: &str,
    counters: &mut Counters,
    problems: &mut Problems<'_>,
) -> (Option<PriceText>, Option<u64>) {
    let slice = section.get("slice", problems, section::quantity);
    if prices::is_free(section, problems) {
        if !section.has("slice") {
            problems.add(
                &section.span,
                "a free service needs `slice`, such as `slice = \"10 MB\"`: it says what is counted",
            );
        }
        let price = slice.as_ref().map(|field| PriceText::free(field.value.0));
        return (price, slice.map(|field| field.value.1));
    }
    let Some(price) = prices::price(section, name, counters, problems) else { return (None, None) };
    let kind = price.kind;
    if let Some(field) = slice.as_ref().filter(|field| field.value.0 != kind) {
        let other = field.value.0;
        problems.add(&field.span, format!("`slice` counts {other} and `per` counts {kind}: they must be the same"));
    }
    (Some(price), Some(slice.map_or_else(|| default_slice(kind), |field| field.value.1)))
}

/// The slice of a service that says nothing about it.
const fn default_slice(kind: UnitKind) -> u64 {
    match kind {
        UnitKind::Octets => 10_000_000,
        UnitKind::Seconds => 60,
        UnitKind::Events => 1,
    }
}
