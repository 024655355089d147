//! Words and amounts that several sections share.

use std::sync::Arc;

use toml::de::DeValue;

use super::super::{
    section::{self, Section},
    services::Services,
};
use crate::{
    rating::{
        offer::{Period, Scope},
        problem::{Problems, quoted},
        service::Service,
    },
    units::{MICROS, Money},
};

/// Each use of a limit or discount searches its services; more than these are nearly all, which is said by naming none.
const SCOPE_SERVICES_MAX: usize = 100;

/// Windows are whole in the life of a session, and at least as long as a look at a velocity takes.
const PERIOD_SECS: std::ops::RangeInclusive<u32> = 60..=31_622_400;

/// Thousands of them still add up in 64 bits.
const AMOUNT_MAX: Money = Money::from_micros(1_000_000_000 * MICROS);

/// What an amount may be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Least {
    Zero,
    AboveZero,
}

/// An amount of money that is not below zero.
pub(super) fn amount(least: Least) -> impl FnOnce(&DeValue<'_>) -> Result<Money, String> {
    move |value| {
        let amount = section::money(value)?;
        match least {
            _ if amount > AMOUNT_MAX => Err(format!("an amount is at most {AMOUNT_MAX}")),
            Least::Zero if amount.is_negative() => Err("an amount is not below zero".into()),
            Least::AboveZero if !amount.is_positive() => Err("write an amount above zero, or leave it out".into()),
            _ => Ok(amount),
        }
    }
}

/// `"day"`, `"week"`, `"cycle"` or a length of time.
pub(super) fn period(value: &DeValue<'_>) -> Result<Period, String> {
    match section::text(value)? {
        "day" => Ok(Period::Day),
        "week" => Ok(Period::Week),
        "cycle" => Ok(Period::Cycle),
        _ => section::duration(u64::from(*PERIOD_SECS.start()))(value)
            .ok()
            .filter(|secs| PERIOD_SECS.contains(secs))
            .map(Period::Seconds)
            .ok_or_else(|| {
                "write \"day\", \"week\", \"cycle\" or a time from 1 min to 366 d, such as \"10 min\"".into()
            }),
    }
}

/// A percentage from `least` to `most`, all three in hundredths of a percent; written as text, such as `"12.5"`.
pub(super) fn percent(least: u16, most: u16) -> impl Fn(&DeValue<'_>) -> Result<u16, String> {
    move |value| {
        let text = section::text(value)?;
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits =
            |text: &str, most: usize| (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        let read = || {
            let fits = digits(whole, 3) && digits(fraction, 2);
            let hundredths = format!("{fraction:0<2}").parse::<u16>().ok().filter(|_| fits)?;
            Some(whole.parse::<u16>().ok()? * 100 + hundredths)
        };
        read().filter(|percent| (least..=most).contains(percent)).ok_or_else(|| {
            let (least, most) = (shown(least), shown(most));
            format!(
                "write a percentage from {least} to {most}, with at most two digits after the point, such as \"20\""
            )
        })
    }
}

fn shown(basis_points: u16) -> String {
    match (basis_points / 100, basis_points % 100) {
        (whole, 0) => whole.to_string(),
        (whole, rest) => format!("{whole}.{rest:02}"),
    }
}

/// The services that a section lists, each of which must cost something. `repriced` says what happens to their price, if that
/// is so: services of a credit pool have one price only.
pub(super) fn scope<'a>(
    section: &mut Section<'a>,
    services: &Services<'a>,
    repriced: Option<&str>,
    problems: &mut Problems<'_>,
) -> Scope {
    let listed = section.texts("services", problems);
    if let Some(first) = listed.get(SCOPE_SERVICES_MAX) {
        let right = "name none, which means all that are counted";
        problems.add(&first.span, format!("`services` names at most {SCOPE_SERVICES_MAX}: {right}"));
        return Scope::default();
    }
    if let (false, Some(repriced)) = (section.has("services"), repriced)
        && let Some(pooled) = services.list.iter().find(|service| service.counted && service.pool.is_some())
    {
        let message = format!("{}: it can have no {repriced}, so name the others in `services`", in_pool(pooled));
        problems.add(&section.span, message);
    }
    let mut names: Vec<Arc<str>> = Vec::new();
    for field in listed {
        let Some(service) = services.find(&field, problems).and_then(|declared| services.service(declared)) else {
            continue;
        };
        if service.is_free() {
            problems.add(&field.span, format!("service {} is free: it never counts here", quoted(field.value)));
        }
        if let (true, Some(repriced)) = (service.pool.is_some(), repriced) {
            problems.add(&field.span, format!("{}: it can have no {repriced}", in_pool(service)));
        }
        if names.contains(&service.name) {
            problems.add(&field.span, format!("service {} is named twice", quoted(field.value)));
        }
        names.push(Arc::clone(&service.name));
    }
    Scope { services: names.into() }
}

fn in_pool(service: &Service) -> String {
    format!("service {} draws from a credit pool, which counts by one price", quoted(&service.name))
}
