//! `from`, `to` and `days`: the window of time in which something applies.

use toml::de::DeValue;

use super::section::{self, Field, Section};
use crate::rating::{
    calendar::{DAY_SECS, Days, Holidays, Hours},
    problem::Problems,
    settings::Settings,
};

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Reads `from`, `to` and `days`; `None` if there are none of them.
pub(super) fn hours(section: &mut Section<'_>, settings: &Settings, problems: &mut Problems<'_>) -> Option<Hours> {
    let from = section.get("from", problems, |value| time_of_day(value, DAY_SECS - 1));
    let to = section.get("to", problems, |value| time_of_day(value, DAY_SECS));
    let listed = section.list("days", problems, |value| day(value, &settings.holidays));
    let days = listed.iter().fold(0, |days, day| days | day);
    let second = |field: &Option<Field<u32>>, default| field.as_ref().map_or(default, |field| field.value);
    let hours = Hours {
        from: second(&from, 0),
        to: second(&to, DAY_SECS),
        days: if days == 0 { Days::ALL } else { Days(days) },
    };
    match &to {
        Some(field) if hours.from == hours.to || hours.to == 0 => {
            let right = "write \"24:00\" for the end of the day; a time past midnight ends on the next day";
            problems.add(&field.span, format!("it ends as soon as it begins: {right}"));
            None
        }
        _ => (from.is_some() || to.is_some() || days != 0).then_some(hours),
    }
}

/// `20:00`, up to `24:00` where that makes sense; in seconds.
fn time_of_day(value: &DeValue<'_>, most: u32) -> Result<u32, String> {
    let text = section::text(value)?;
    let two = |text: &str| (text.len() == 2).then(|| text.parse::<u32>().ok()).flatten();
    let read = text.split_once(':').and_then(|(hour, minute)| Some((two(hour)?, two(minute)?)));
    read.filter(|(_, minute)| *minute < 60)
        .map(|(hour, minute)| hour * 3_600 + minute * 60)
        .filter(|second| *second <= most)
        .ok_or_else(|| "write a time of day such as \"06:30\", in quotes".into())
}

/// A bit for each kind of day.
fn day(value: &DeValue<'_>, holidays: &Holidays) -> Result<u8, String> {
    match section::text(value)? {
        "workdays" => Ok(0b001_1111),
        "weekend" => Ok(0b110_0000),
        "holiday" if holidays.0.is_empty() => {
            Err("say which days are holidays, at the top of the catalog: `holidays = [\"2026-10-01\"]`".into())
        }
        "holiday" => Ok(Days::HOLIDAY.0),
        text => DAYS.iter().position(|day| *day == text).map(|index| 1 << index).ok_or_else(|| {
            format!("write \"workdays\", \"weekend\" or some of \"{}\" and \"holiday\"", DAYS.join("\", \""))
        }),
    }
}
