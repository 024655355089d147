//! `[[tariff]]`: prices of a service that apply under conditions.

use std::{collections::BTreeMap, sync::Arc};

use toml::de::DeValue;

use super::{
    hours,
    prices::{self, Counters, PriceText},
    section::{self, Section},
    services::Services,
    settings::network,
    zones::{PREFIX_DIGITS_MAX, Zones},
};
use crate::{
    rating::{
        attributes::Role,
        problem::{Problems, Span, quoted},
        settings::Settings,
        tariff::{Conditions, Network, Prefixes, Tariff, Tariffs},
    },
    units::UnitKind,
};

/// As many as there are services at most.
const TARIFFS_MAX: usize = 10_000;

/// They are walked with every request for their service.
const SERVICE_TARIFFS_MAX: usize = 100;

/// What a tariff's zones and prefixes may be together: they are walked with every request for its service.
const PREFIXES_MAX: usize = 10_000;

/// 3GPP-RAT-Types by name (spec G-91).
pub(in crate::rating) const ACCESS: &[(&str, u8)] = &[
    ("UTRAN", 1),
    ("GERAN", 2),
    ("WLAN", 3),
    ("GAN", 4),
    ("HSPA+", 5),
    ("EUTRAN", 6),
    ("virtual", 7),
    ("NB-IoT", 8),
    ("LTE-M", 9),
    ("NR", 10),
    ("NG-RAN", 51),
];

/// SM-Message-Types and Message-Types of MMS by name (spec G-121, G-131).
pub(in crate::rating) const MESSAGE_TYPES: &[(&str, u32)] = &[
    ("sms-submission", 0),
    ("sms-delivery-report", 1),
    ("mms-send", 1),
    ("mms-retrieve", 5),
    ("mms-delivery-report", 7),
    ("mms-forward", 10),
];

pub(in crate::rating) const ROLES: &[(&str, Role)] =
    &[("originating", Role::Originating), ("terminating", Role::Terminating), ("forwarding", Role::Forwarding)];

/// Reads all tariffs into their services.
pub(super) fn tariffs<'a>(
    root: &mut Section<'a>,
    services: &mut Services<'_>,
    zones: &Zones<'a>,
    settings: &Settings,
    problems: &mut Problems<'_>,
) {
    // By place of the service in the list.
    let mut of_services: BTreeMap<usize, Vec<Tariff>> = BTreeMap::new();
    let mut names: BTreeMap<(&str, &str), Span> = BTreeMap::new();
    for (index, mut section) in root.sections("tariff", "[[tariff]]", problems).into_iter().enumerate() {
        if index == TARIFFS_MAX {
            problems.add(&section.span, format!("a catalog has at most {TARIFFS_MAX} tariffs"));
            break;
        }
        let service = section.require("service", "service = \"internet\"", problems, section::name);
        let name = section.require("name", "name = \"night\"", problems, section::name);
        let place = service.as_ref().and_then(|field| services.find(field, problems)?.id).map(|id| usize::from(id.0));
        let of_service = place.and_then(|place| services.list.get(place));
        if let (Some(name), true) = (&service, of_service.is_some_and(|service| service.pool.is_some())) {
            let message = "draws from a credit pool, which counts by one price: it can have no tariffs";
            problems.add(&name.span, format!("service {} {message}", quoted(name.value)));
        }
        let kind = of_service.map(|service| service.kind);
        let named = service.as_ref().map_or("", |field| field.value);
        let price = price(&mut section, kind, named, &mut services.counters, problems);
        let conditions = conditions(&mut section, zones, settings, problems);
        if conditions == Conditions::default() && problems.is_empty() {
            let right = "give it a condition, such as `from = \"20:00\"`, or change the price of the service itself";
            problems.add(&section.span, format!("this tariff applies always: {right}"));
        }
        let (span, title) = (section.span.clone(), (service.as_ref(), name.as_ref()));
        section.finish(problems);
        let (Some(service), Some(name)) = title else { continue };
        if let Some(first) = names.insert((service.value, name.value), name.span.clone()) {
            let line = problems.line(&first);
            problems
                .add(&name.span, format!("line {line} has a tariff {} of this service already", quoted(name.value)));
        }
        let (Some(place), Some(price)) = (place, price) else { continue };
        let of_service = of_services.entry(place).or_default();
        if of_service.len() == SERVICE_TARIFFS_MAX {
            problems.add(&span, format!("a service has at most {SERVICE_TARIFFS_MAX} tariffs"));
            break;
        }
        let Some(price_of_units) = price.price else { continue };
        of_service.push(Tariff { name: name.value.into(), price: price_of_units, uplink: price.uplink, conditions });
    }
    for (place, list) in of_services {
        let Some(service) = services.list.get_mut(place) else { continue };
        let user_zone = services.user_zone.get(place).copied().unwrap_or_default();
        let (zone, holidays) = (settings.time_zone.clone(), settings.holidays.clone());
        let mut tariffs = Tariffs { list, zone, user_zone, holidays, triggers: Arc::new([]) };
        tariffs.triggers = triggers(&tariffs).into();
        service.tariffs = Some(Box::new(tariffs));
    }
}

/// The price counts what the service counts.
fn price(
    section: &mut Section<'_>,
    kind: Option<UnitKind>,
    service: &str,
    counters: &mut Counters,
    problems: &mut Problems<'_>,
) -> Option<PriceText> {
    if prices::is_free(section, problems) {
        return kind.map(PriceText::free);
    }
    let span = section.span.clone();
    let price = prices::price(section, service, counters, problems)?;
    let counts = price.kind;
    if let Some(kind) = kind.filter(|kind| *kind != counts) {
        let span = section.value_span("per").unwrap_or(span);
        problems.add(&span, format!("`per` counts {counts} and the service counts {kind}: they must be the same"));
    }
    Some(price)
}

fn conditions<'a>(
    section: &mut Section<'a>,
    zones: &Zones<'a>,
    settings: &Settings,
    problems: &mut Problems<'_>,
) -> Conditions {
    Conditions {
        hours: hours::hours(section, settings, problems),
        access: section.list("access", problems, |value| named(value, ACCESS, u8::try_from)),
        networks: networks(section, zones, settings, problems),
        areas: section.list("area", problems, |value| number(value, u32::MAX.into()).map(|it| it as u32)),
        cells: section.list("cell", problems, |value| number(value, i64::MAX as u64)),
        apns: section.list("apn", problems, apn),
        called: called(section, zones, problems),
        roles: section.list("role", problems, |value| named(value, ROLES, |_| Err(()))),
        message_types: section.list("message_type", problems, |value| named(value, MESSAGE_TYPES, Ok::<u32, ()>)),
        size: size(section, problems),
    }
}

/// The Trigger-Types of what the tariffs of a service depend on (spec G-52, G-53).
fn triggers(tariffs: &Tariffs) -> Vec<u32> {
    let any = |depends: fn(&Conditions) -> bool| tariffs.list.iter().any(|tariff| depends(&tariff.conditions));
    let mut triggers = Vec::new();
    let mut arm = |armed: bool, kinds: &[u32]| triggers.extend(kinds.iter().filter(|_| armed));
    // CHANGE_IN_RAT
    arm(any(|it| !it.access.is_empty()), &[4]);
    // CHANGE_IN_UE_TIMEZONE
    arm(tariffs.user_zone && tariffs.is_timed(), &[5]);
    // CHANGEINLOCATION_MCC and _MNC
    arm(any(|it| !it.networks.is_empty()), &[30, 31]);
    // CHANGEINLOCATION_LAC and _TAC
    arm(any(|it| !it.areas.is_empty()), &[33, 35]);
    // CHANGEINLOCATION_CellId and _ECGI
    arm(any(|it| !it.cells.is_empty()), &[34, 36]);
    triggers.sort_unstable();
    triggers
}

fn networks<'a>(
    section: &mut Section<'a>,
    zones: &Zones<'a>,
    settings: &Settings,
    problems: &mut Problems<'_>,
) -> Vec<Network> {
    let own = &settings.home_networks;
    let read = |value: &DeValue<'_>| match section::text(value)? {
        "home" | "roaming" if own.is_empty() => {
            Err("say what your own networks are, at the top of the catalog: `home_networks = [\"26201\"]`".into())
        }
        "home" => Ok(Network::Home(Arc::clone(own))),
        "roaming" => Ok(Network::Roaming(Arc::clone(own))),
        text => match zones.of_networks(text) {
            Some(zone) => zone.map(Network::Zone),
            None => network(value).map_err(|right| format!("{right}; or \"home\", \"roaming\" or \"zone:NAME\"")),
        },
    };
    let listed = section.list("serving_network", problems, read);
    let zones =
        listed.iter().map(|network| if let Network::Zone(Prefixes(zone, _)) = network { zone.len() } else { 1 });
    check_prefixes(section, "serving_network", zones.sum(), problems);
    listed
}

fn called<'a>(section: &mut Section<'a>, zones: &Zones<'a>, problems: &mut Problems<'_>) -> Vec<Prefixes> {
    let listed = section.list("called", problems, |value| prefixes(value, zones));
    check_prefixes(section, "called", listed.iter().map(|prefixes| prefixes.0.len()).sum(), problems);
    listed
}

fn check_prefixes(section: &Section<'_>, key: &str, prefixes: usize, problems: &mut Problems<'_>) {
    if prefixes > PREFIXES_MAX {
        problems.add(&section.key_span(key), format!("`{key}` has more than {PREFIXES_MAX} prefixes with its zones"));
    }
}

/// One of the words, or its number.
fn named<T: Copy, E>(
    value: &DeValue<'_>,
    words: &[(&str, T)],
    by_number: impl Fn(u32) -> Result<T, E>,
) -> Result<T, String> {
    let read = match value {
        DeValue::String(text) => words.iter().find(|(word, _)| word == text).map(|(_, value)| *value),
        _ => number(value, u32::MAX.into()).ok().and_then(|number| by_number(number as u32).ok()),
    };
    read.ok_or_else(|| {
        let list: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        format!("write one of {}", list.join(", "))
    })
}

fn number(value: &DeValue<'_>, most: u64) -> Result<u64, String> {
    let read = value.as_integer().and_then(|number| u64::from_str_radix(number.as_str(), number.radix()).ok());
    read.filter(|number| *number <= most).ok_or_else(|| format!("write a whole number up to {most}, without quotes"))
}

/// As it is compared: without the operator's part, in lower case (spec G-91).
fn apn(value: &DeValue<'_>) -> Result<Box<str>, String> {
    let text = section::text(value)?;
    if text.to_ascii_lowercase().ends_with(".gprs") {
        return Err("leave out what follows the name: `.mnc001.mcc262.gprs` is cut off before it is compared".into());
    }
    Ok(text.to_ascii_lowercase().into())
}

/// One prefix, or the zone that is named.
fn prefixes(value: &DeValue<'_>, zones: &Zones<'_>) -> Result<Prefixes, String> {
    let text = section::text(value)?;
    if let Some(zone) = zones.of_numbers(text) {
        return zone;
    }
    let digits = text.len() <= PREFIX_DIGITS_MAX && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| Prefixes([text.into()].into(), None)).ok_or_else(|| {
        format!(
            "write what numbers begin with, in international form, up to {PREFIX_DIGITS_MAX} digits without `+`; or \
             \"zone:NAME\""
        )
    })
}

fn size(section: &mut Section<'_>, problems: &mut Problems<'_>) -> Option<(u64, u64)> {
    fn octets(value: &DeValue<'_>) -> Result<u64, String> {
        match section::quantity(value)? {
            (UnitKind::Octets, octets) => Ok(octets),
            _ => Err("a message has a size in octets, such as \"100 kB\"".into()),
        }
    }
    let least = section.get("min_size", problems, octets);
    let most = section.get("max_size", problems, octets);
    let range = (least.as_ref().map_or(0, |field| field.value), most.as_ref().map_or(u64::MAX, |field| field.value));
    if let Some(field) = most.as_ref().filter(|_| range.0 > range.1) {
        problems.add(&field.span, "`max_size` is less than `min_size`: no message fits");
    }
    (least.is_some() || most.is_some()).then_some(range)
}
