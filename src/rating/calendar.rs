//! Times of day and days of the week, by the clock on the wall.
//!
//! What that clock shows decides, on the days too when it is put forward or back: a window from 02:30 begins at 03:00 on the
//! day on which there is no 02:30, and an hour that comes twice is priced the same both times.
//!
//! A holiday is a kind of day of its own: it is not the day of the week that it falls on. Windows for `mon` leave out a Monday
//! that is a holiday, windows for `holiday` have only such days, and windows that name no days have every day.

use std::sync::Arc;

use jiff::{
    SignedDuration, Timestamp as Instant, ToSpan as _,
    civil::{Date, DateTime},
    tz::{AmbiguousOffset, Offset, TimeZone},
};

use super::offer::Period;
use crate::time::Timestamp;

/// Seconds of a day by the clock on the wall.
pub(super) const DAY_SECS: u32 = 86_400;

/// Windows repeat every week; a day more covers a clock that is put back meanwhile.
const HORIZON_SECS: u64 = 8 * DAY_SECS as u64;

/// Holidays break into the week up to so many days ahead; no quota lives longer.
const HOLIDAYS_AHEAD_DAYS: i64 = 366;

/// A window of time on some kinds of days. One that ends before it begins goes on past midnight and belongs to the day
/// on which it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hours {
    /// Second of the day, 0 to 86,399.
    pub(super) from: u32,
    /// Second of the day, 1 to 86,400; not included, and never the same as `from`.
    pub(super) to: u32,
    /// On which days it begins.
    pub(super) days: Days,
}

/// Kinds of days: bit 0 is Monday, bit 7 is a holiday.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Days(pub(super) u8);

impl Days {
    pub(super) const ALL: Self = Self(0xff);
    pub(super) const HOLIDAY: Self = Self(0x80);

    fn has(self, day: Date, holidays: &Holidays) -> bool {
        let kind = if holidays.has(day) { Self::HOLIDAY.0 } else { 1 << day.weekday().to_monday_zero_offset() };
        self.0 & kind != 0
    }
}

/// The operator's calendar: days, ascending.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Holidays(pub(super) Arc<[Date]>);

impl Holidays {
    fn has(&self, day: Date) -> bool {
        self.0.binary_search(&day).is_ok()
    }

    /// The last one that is not before `day` and at most [`HOLIDAYS_AHEAD_DAYS`] after it.
    fn last_ahead(&self, day: Date) -> Option<Date> {
        let end = day.saturating_add(HOLIDAYS_AHEAD_DAYS.days());
        self.0.iter().rev().find(|holiday| **holiday <= end).copied().filter(|holiday| *holiday >= day)
    }
}

impl Hours {
    /// Whether the clock on the wall is in the window.
    pub(super) fn include(&self, local: DateTime, holidays: &Holidays) -> bool {
        let second = i32::from(local.hour()) * 3_600 + i32::from(local.minute()) * 60 + i32::from(local.second());
        let second = second.unsigned_abs();
        let today = || self.days.has(local.date(), holidays);
        let yesterday = || local.date().yesterday().is_ok_and(|day| self.days.has(day, holidays));
        if self.from < self.to {
            (self.from..self.to).contains(&second) && today()
        } else {
            (second >= self.from && today()) || (second < self.to && yesterday())
        }
    }
}

/// The zone of a user whose offset from UTC is known, in minutes; `None` for an offset that no clock has.
pub(super) fn user_zone(minutes: i16) -> Option<TimeZone> {
    Offset::from_seconds(i32::from(minutes) * 60).ok().map(TimeZone::fixed)
}

/// What the clock on the wall shows; `None` beyond the year 9999.
pub(super) fn local(zone: &TimeZone, at: Timestamp) -> Option<DateTime> {
    instant(at).map(|at| zone.to_datetime(at))
}

/// When the span of a period that a moment lies in begins and ends. Beyond the year 9999, where there is no calendar, a day
/// of 86,400 seconds.
pub(super) fn span(zone: &TimeZone, period: Period, cycle_day: u8, at: Timestamp) -> (Timestamp, Timestamp) {
    let window = |secs: u64| {
        let start = at.millis() / 1_000 / secs * secs;
        (Timestamp::from_secs(start), Timestamp::from_secs(start).plus_secs(secs))
    };
    let days = || {
        let today = local(zone, at)?.date();
        let (first, next) = match period {
            Period::Seconds(_) => return None,
            Period::Day => (today, today.tomorrow().ok()?),
            Period::Week => {
                let monday = today.checked_sub(i64::from(today.weekday().to_monday_zero_offset()).days()).ok()?;
                (monday, monday.checked_add(7.days()).ok()?)
            }
            Period::Cycle => {
                let this = today.with().day(cycle_day.clamp(1, 28) as i8).build().ok()?;
                let first = if this <= today { this } else { this.checked_sub(1.month()).ok()? };
                (first, first.checked_add(1.month()).ok()?)
            }
        };
        Some((midnight(zone, first)?, midnight(zone, next)?))
    };
    match period {
        Period::Seconds(secs) => window(u64::from(secs.max(1))),
        Period::Day | Period::Week | Period::Cycle => days().unwrap_or_else(|| window(u64::from(DAY_SECS))),
    }
}

/// How many days a span of time touches, by the clock on the wall; at least 1. A day that it ends with the first moment of
/// is none. Beyond the year 9999 days have 86,400 seconds.
pub(super) fn days(zone: &TimeZone, from: Timestamp, until: Timestamp) -> u64 {
    let last = Timestamp::from_millis(until.millis().saturating_sub(1)).max(from);
    let by_calendar = || {
        let (first, last) = (local(zone, from)?.date(), local(zone, last)?.date());
        u64::try_from(first.until(last).ok()?.get_days()).ok()
    };
    by_calendar().unwrap_or_else(|| last.since(from).as_secs() / u64::from(DAY_SECS)) + 1
}

/// The first moment of a day; of two midnights the first one, and where the clock jumps over it, the jump.
fn midnight(zone: &TimeZone, day: Date) -> Option<Timestamp> {
    let start = day.to_zoned(zone.clone()).ok()?.start_of_day().ok()?;
    u64::try_from(start.timestamp().as_millisecond()).ok().map(Timestamp::from_millis)
}

/// All moments after `after`, up to and with `until`, at which one of the windows may begin or end, in order; some may
/// change nothing. Windows repeat every week, so a week is as far as it looks; a week after the last holiday, where holidays
/// matter.
pub(super) fn boundaries<'h>(
    zone: &TimeZone,
    windows: impl Iterator<Item = &'h Hours> + Clone,
    holidays: &Holidays,
    after: Timestamp,
    until: Timestamp,
) -> Vec<Timestamp> {
    let until = until.min(horizon(zone, windows.clone(), holidays, after));
    let (Some(first), Some(last)) = (instant(after), instant(until)) else { return Vec::new() };
    let mut moments: Vec<Instant> =
        zone.following(first).map(|it| it.timestamp()).take_while(|at| *at <= last).collect();
    // A window that began yesterday may end today, and the clock may have been put back over midnight.
    let mut day = zone.to_datetime(first).date().saturating_sub(1.day());
    let last_day = zone.to_datetime(last).date().saturating_add(1.day());
    while day <= last_day {
        for second in windows.clone().flat_map(|hours| [hours.from, hours.to]) {
            let local = day.to_datetime(jiff::civil::Time::midnight());
            let local = local.saturating_add(SignedDuration::from_secs(i64::from(second)));
            // The same reading of the clock may come twice, or not at all.
            let offsets = match zone.to_ambiguous_timestamp(local).offset() {
                AmbiguousOffset::Unambiguous { offset } => [Some(offset), None],
                AmbiguousOffset::Fold { before, after } => [Some(before), Some(after)],
                // The clock jumps over it: the jump is among the moments already.
                AmbiguousOffset::Gap { .. } => [None, None],
            };
            moments.extend(offsets.into_iter().flatten().filter_map(|offset| offset.to_timestamp(local).ok()));
        }
        match day.tomorrow() {
            Ok(tomorrow) => day = tomorrow,
            Err(_) => break,
        }
    }
    moments.retain(|moment| *moment > first && *moment <= last);
    moments.sort_unstable();
    moments.dedup();
    moments.iter().filter_map(|at| u64::try_from(at.as_millisecond()).ok().map(Timestamp::from_millis)).collect()
}

/// When everything that windows can do after a moment has been seen.
fn horizon<'h>(
    zone: &TimeZone,
    mut windows: impl Iterator<Item = &'h Hours>,
    holidays: &Holidays,
    after: Timestamp,
) -> Timestamp {
    let by_kind = windows.any(|hours| hours.days != Days::ALL);
    // A window that began yesterday, on a holiday, may still be open.
    let first = local(zone, after).map(|local| local.date().saturating_sub(1.day()));
    let last = first.filter(|_| by_kind).and_then(|first| midnight(zone, holidays.last_ahead(first)?));
    last.unwrap_or(after).max(after).plus_secs(HORIZON_SECS)
}

fn instant(at: Timestamp) -> Option<Instant> {
    Instant::from_millisecond(i64::try_from(at.millis()).ok()?).ok()
}

#[cfg(test)]
mod tests;
