//! What the top of a catalog says beside what it sells: clocks, networks, how numbers are dialled.

use std::{collections::BTreeMap, ops::RangeInclusive};

use jiff::{
    civil::Date,
    tz::{TimeZone, TimeZoneDatabase},
};
use toml::de::DeValue;

use super::section::{self, Section};
use crate::rating::{
    calendar::Holidays,
    dial_plan::DialPlan,
    problem::{Problems, quoted},
    settings::{Indeterminate, Settings},
    tariff::Network,
};

/// Requests of yesterday may still come after a failure; what is older is not believed (spec C-24).
const EVENT_PAST_SECS: u32 = 86_400;

/// Clocks differ by less than this (spec C-24).
const EVENT_FUTURE_SECS: u32 = 300;

/// Spreading beyond this would charge too much by the tariff that has ended.
const JITTER_MAX_SECS: u32 = 600;

/// Decades of them; every look at a window's days is a search among them.
const HOLIDAYS_MAX: usize = 1_000;

/// Country codes and prefixes have up to three or four digits.
const PREFIX_DIGITS_MAX: usize = 8;

/// E.164 has no longer numbers.
const NUMBER_DIGITS_MAX: usize = 15;

/// Reads all of it.
pub(super) fn settings(root: &mut Section<'_>, problems: &mut Problems<'_>) -> Settings {
    let time_zone = root.get("time_zone", problems, time_zone).map_or(TimeZone::UTC, |field| field.value);
    let home_networks = root.list("home_networks", problems, network).into();
    let mut seconds = |key, default| root.get(key, problems, section::duration(1)).map_or(default, |field| field.value);
    let event_past_secs = seconds("event_time_past", EVENT_PAST_SECS).into();
    let event_future_secs = seconds("event_time_future", EVENT_FUTURE_SECS).into();
    let jitter = root.get("validity_jitter", problems, |value| {
        section::duration(1)(value)
            .ok()
            .filter(|secs| *secs <= JITTER_MAX_SECS)
            .ok_or_else(|| format!("write a time from 1 s to {JITTER_MAX_SECS} s, such as \"30 s\""))
    });
    let indeterminate = root.get("indeterminate_usage", problems, |value| match section::text(value)? {
        "dearer" => Ok(Indeterminate::Dearer),
        "before" => Ok(Indeterminate::Before),
        "after" => Ok(Indeterminate::After),
        _ => Err("write \"dearer\", \"before\" or \"after\": which tariff counts around a change".into()),
    });
    Settings {
        dial_plan: dial_plan(root, problems),
        event_past_secs,
        event_future_secs,
        indeterminate: indeterminate.map_or_else(Indeterminate::default, |field| field.value),
        validity_jitter_secs: jitter.map_or(0, |field| field.value),
        time_zone,
        holidays: holidays(root, problems),
        home_networks,
        visited_networks: visited_networks(root, problems),
    }
}

/// Days such as `2026-10-01`, each once.
fn holidays(root: &mut Section<'_>, problems: &mut Problems<'_>) -> Holidays {
    let mut days = BTreeMap::new();
    for field in root.texts("holidays", problems) {
        if days.len() == HOLIDAYS_MAX {
            problems.add(&field.span, format!("a catalog has at most {HOLIDAYS_MAX} holidays"));
            break;
        }
        // The parser also takes other ways to write a day, and moments.
        let plain = field.value.len() == "2026-10-01".len() && field.value.is_ascii();
        match field.value.parse::<Date>() {
            Ok(day) if plain => {
                if let Some(first) = days.insert(day, field.span.clone()) {
                    let line = problems.line(&first);
                    problems.add(&field.span, format!("line {line} has {day} already"));
                }
            }
            _ => problems.add(
                &field.span,
                format!("in `holidays`, {}: write a day such as \"2026-10-01\", in quotes", quoted(field.value)),
            ),
        }
    }
    Holidays(days.into_keys().collect())
}

/// `"4917" = "26201"`: what numbers begin with, and the network.
fn visited_networks(root: &mut Section<'_>, problems: &mut Problems<'_>) -> Vec<(Box<str>, Box<str>)> {
    let Some(section) = root.section("visited_networks", "[visited_networks]", problems) else { return Vec::new() };
    let mut networks = Vec::new();
    for (prefix, value, span) in section.entries() {
        let digits = |text: &str, lengths: RangeInclusive<usize>| {
            lengths.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
        };
        match section::text(value) {
            Ok(network) if digits(prefix, 1..=NUMBER_DIGITS_MAX) && digits(network, 5..=6) => {
                networks.push((prefix.into(), network.into()));
            }
            _ => problems
                .add(&span, "write what numbers begin with and their MCC and MNC, such as `\"4917\" = \"26201\"`"),
        }
    }
    networks
}

/// `26201`, `262` or `262*`: MCC and MNC, or what they begin with.
pub(super) fn network(value: &DeValue<'_>) -> Result<Network, String> {
    let text = section::text(value)?;
    let (digits, open) = text.strip_suffix('*').map_or((text, false), |digits| (digits, true));
    match digits.len() {
        _ if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) => {}
        3 => return Ok(Network::Begins(digits.into())),
        1..=6 if open => return Ok(Network::Begins(digits.into())),
        5 | 6 => return Ok(Network::Is(digits.into())),
        _ => {}
    }
    Err("write a country (MCC) such as \"262\", a network (MCC and MNC) such as \"26201\", or what it begins with, such \
         as \"2620*\""
        .into())
}

/// A zone of the IANA database that is built in: the same on every machine.
fn time_zone(value: &DeValue<'_>) -> Result<TimeZone, String> {
    let name = section::text(value)?;
    TimeZoneDatabase::bundled()
        .get(name)
        .map_err(|_| "write a name of the IANA database, such as \"Europe/Berlin\"".into())
}

fn dial_plan(root: &mut Section<'_>, problems: &mut Problems<'_>) -> DialPlan {
    let Some(mut section) = root.section("dial_plan", "[dial_plan]", problems) else { return DialPlan::default() };
    let country_code = section.require("country_code", "country_code = \"49\"", problems, digits);
    let national_prefix = section.get("national_prefix", problems, digits);
    let international_prefix = section.get("international_prefix", problems, digits);
    section.finish(problems);
    let text = |field: Option<section::Field<&str>>| field.map_or_else(Box::default, |field| field.value.into());
    DialPlan {
        country_code: text(country_code),
        national_prefix: text(national_prefix),
        international_prefix: text(international_prefix),
    }
}

fn digits<'a>(value: &'a DeValue<'a>) -> Result<&'a str, String> {
    let text = section::text(value)?;
    let fits = text.len() <= PREFIX_DIGITS_MAX && text.bytes().all(|b| b.is_ascii_digit());
    fits.then_some(text).ok_or_else(|| format!("write up to {PREFIX_DIGITS_MAX} digits in quotes"))
}
