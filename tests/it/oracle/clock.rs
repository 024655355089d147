//! The oracle's calendar: counted day by day, in zones that never change their clocks.

use super::list::{List, Period, Service, Tariff, Window};

const DAY: u64 = 86_400;

/// `2026-01-31`, counted up from 1970-01-01.
pub(super) fn date(day: i64) -> String {
    let (year, month, day) = civil(day);
    format!("{year}-{month:02}-{day:02}")
}

fn civil(mut day: i64) -> (i64, i64, i64) {
    let mut year = 1970;
    loop {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        for (month, days) in [31, 28 + i64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31].iter().enumerate() {
            if day < *days {
                return (year, month as i64 + 1, day + 1);
            }
            day -= days;
        }
        year += 1;
    }
}

impl List {
    /// The day and the minute of the day that the operator's clock shows.
    fn shown(&self, secs: u64) -> (i64, u64) {
        let local = secs.checked_add_signed(self.zone_hours * 3_600).unwrap();
        ((local / DAY) as i64, local % DAY / 60)
    }

    /// 0 is Monday; a holiday is 7.
    fn kind_of_day(&self, day: i64) -> u32 {
        // 1970-01-01 was a Thursday.
        if self.holidays.contains(&day) { 7 } else { (day + 3).rem_euclid(7) as u32 }
    }

    pub(super) fn is_in(&self, window: &Window, secs: u64) -> bool {
        let (day, minute) = self.shown(secs);
        let begins_on = |day: i64| window.days.is_none_or(|days| days & (1 << self.kind_of_day(day)) != 0);
        if window.from < window.to {
            (window.from..window.to).contains(&minute) && begins_on(day)
        } else {
            (minute >= window.from && begins_on(day)) || (minute < window.to && begins_on(day - 1))
        }
    }

    /// The first tariff that fits.
    pub(super) fn tariff_at<'l>(&self, service: &'l Service, access: Option<u8>, secs: u64) -> Option<&'l str> {
        let fits = |tariff: &&Tariff| {
            tariff.window.is_none_or(|window| self.is_in(&window, secs))
                && tariff.access.is_none_or(|needed| access == Some(needed))
        };
        service.tariffs.iter().find(fits).map(|tariff| &*tariff.name)
    }

    /// The first second after `secs`, at most `within` later, from which on another tariff holds.
    pub(super) fn change_after<'l>(
        &self,
        service: &'l Service,
        access: Option<u8>,
        secs: u64,
        within: u64,
    ) -> Option<(u64, Option<&'l str>)> {
        let now = self.tariff_at(service, access, secs);
        // Clocks change tariffs with the minute.
        let minutes = (secs / 60 + 1..).map(|minute| minute * 60).take_while(|at| *at <= secs + within);
        let mut later = minutes.map(|at| (at, self.tariff_at(service, access, at)));
        later.find(|(_, tariff)| *tariff != now)
    }

    /// The span of a period that a moment lies in: where it begins and ends, in seconds.
    pub(super) fn span(&self, period: Period, cycle_day: i64, secs: u64) -> (u64, u64) {
        if let Period::Secs(length) = period {
            let begins = secs / length * length;
            return (begins, begins + length);
        }
        let begins = |day: i64| match period {
            Period::Week => (day + 3).rem_euclid(7) == 0,
            Period::Cycle => civil(day).2 == cycle_day,
            _ => true,
        };
        let (today, _) = self.shown(secs);
        let first = (0..).map(|back| today - back).find(|day| *day < 0 || begins(*day)).unwrap();
        let next = (today + 1..).find(|day| begins(*day)).unwrap();
        let midnight = |day: i64| (day * DAY as i64 - self.zone_hours * 3_600).max(0) as u64;
        (midnight(first), midnight(next))
    }
}
