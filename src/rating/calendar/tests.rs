//! Spans of periods, and holidays.

use crate::{
    rating::{Attributes, Catalog, Period},
    time::Timestamp,
};

const BASE: &str = r#"currency = "EUR"
time_zone = "Europe/Berlin"
holidays = ["2026-01-01", "2026-04-03", "2026-04-06"]
[[context]]
name = "data"
service_context_id = "32251@3gpp.org"
[[service]]
name = "internet"
context = "data"
rating_group = 1
price = "0.10"
per = "1 MB"
"#;

fn catalog(more: &str) -> Catalog {
    Catalog::from_toml(&format!("{BASE}{more}")).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn tariff(name: &str, conditions: &str) -> String {
    format!("[[tariff]]\nservice = \"internet\"\nname = \"{name}\"\nprice = \"0.20\"\nper = \"1 MB\"\n{conditions}\n")
}

fn at(text: &str) -> Timestamp {
    let instant: jiff::Timestamp = text.parse().unwrap();
    Timestamp::from_millis(instant.as_millisecond() as u64)
}

/// Name of the tariff at a moment.
fn name(catalog: &Catalog, moment: &str) -> String {
    let service = catalog.service_by_name("internet").unwrap();
    service.tariff_at(&Attributes::default(), at(moment)).map_or("own".into(), |tariff| tariff.name.to_string())
}

/// The changes of tariff after a moment, as `moment name`.
fn changes(catalog: &Catalog, from: &str, within_secs: u64, count: usize) -> Vec<String> {
    let service = catalog.service_by_name("internet").unwrap();
    let mut moment = at(from);
    let next = || {
        let (then, tariff) = service.next_change(&Attributes::default(), moment, within_secs)?;
        moment = then;
        Some(format!("{then} {}", tariff.map_or("own", |tariff| &tariff.name)))
    };
    std::iter::from_fn(next).take(count).collect()
}

/// The clock is put forward on 2026-03-29 and back on 2026-10-25, both Sundays; 2026-01-01 is a Thursday.
#[test]
fn spans_begin_and_end_at_midnights_of_the_operators_clock() {
    let catalog = catalog("");
    for (period, cycle_day, moment, start, end) in [
        // Days of 24, 23 and 25 hours.
        (Period::Day, 1, "2026-01-15T12:00:00Z", "2026-01-14T23:00:00Z", "2026-01-15T23:00:00Z"),
        (Period::Day, 1, "2026-01-14T22:59:59.999Z", "2026-01-13T23:00:00Z", "2026-01-14T23:00:00Z"),
        (Period::Day, 1, "2026-01-14T23:00:00Z", "2026-01-14T23:00:00Z", "2026-01-15T23:00:00Z"),
        (Period::Day, 1, "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
        (Period::Day, 1, "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
        // Weeks from Monday to Monday, one with an hour less, one over the end of a year.
        (Period::Week, 1, "2026-01-15T12:00:00Z", "2026-01-11T23:00:00Z", "2026-01-18T23:00:00Z"),
        (Period::Week, 1, "2026-01-11T22:59:59Z", "2026-01-04T23:00:00Z", "2026-01-11T23:00:00Z"),
        (Period::Week, 1, "2026-03-29T12:00:00Z", "2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z"),
        (Period::Week, 1, "2026-01-01T12:00:00Z", "2025-12-28T23:00:00Z", "2026-01-04T23:00:00Z"),
        // Months by the cycle day, before it, on it and after it; over the end of a year and through February.
        (Period::Cycle, 1, "2026-01-31T22:59:59Z", "2025-12-31T23:00:00Z", "2026-01-31T23:00:00Z"),
        (Period::Cycle, 1, "2026-01-31T23:00:00Z", "2026-01-31T23:00:00Z", "2026-02-28T23:00:00Z"),
        (Period::Cycle, 1, "2024-02-29T12:00:00Z", "2024-01-31T23:00:00Z", "2024-02-29T23:00:00Z"),
        (Period::Cycle, 15, "2026-01-14T12:00:00Z", "2025-12-14T23:00:00Z", "2026-01-14T23:00:00Z"),
        (Period::Cycle, 28, "2026-02-27T22:59:59Z", "2026-01-27T23:00:00Z", "2026-02-27T23:00:00Z"),
        (Period::Cycle, 28, "2026-02-28T12:00:00Z", "2026-02-27T23:00:00Z", "2026-03-27T23:00:00Z"),
        (Period::Cycle, 28, "2026-03-31T12:00:00Z", "2026-03-27T23:00:00Z", "2026-04-27T22:00:00Z"),
        // Days that not all months have count as the 28th, and there is no day 0.
        (Period::Cycle, 31, "2026-03-31T12:00:00Z", "2026-03-27T23:00:00Z", "2026-04-27T22:00:00Z"),
        (Period::Cycle, 0, "2026-01-15T12:00:00Z", "2025-12-31T23:00:00Z", "2026-01-31T23:00:00Z"),
        // Windows of seconds go by no clock.
        (Period::Seconds(600), 1, "2026-03-29T00:59:59Z", "2026-03-29T00:50:00Z", "2026-03-29T01:00:00Z"),
        (Period::Seconds(600), 1, "2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:10:00Z"),
    ] {
        let (from, to) = catalog.span(period, cycle_day, at(moment));
        let expected = (at(start), at(end));
        assert_eq!((from, to), expected, "{period:?} {cycle_day} {moment}: {from} to {to}");
        assert_eq!(catalog.span(period, cycle_day, from), expected, "its first moment");
        let last = Timestamp::from_millis(to.millis() - 1);
        assert_eq!(catalog.span(period, cycle_day, last), expected, "its last moment");
        assert_eq!(catalog.span(period, cycle_day, to).0, to, "the next one follows");
    }
}

/// The clock of this place is put forward over midnight: the day begins where it lands.
#[test]
fn a_day_without_a_midnight_begins_at_the_jump() {
    let catalog = Catalog::from_toml(&BASE.replace("Europe/Berlin", "Africa/Cairo")).unwrap();
    let (from, to) = catalog.span(Period::Day, 1, at("2026-04-24T12:00:00Z"));
    assert_eq!((from, to), (at("2026-04-23T22:00:00Z"), at("2026-04-24T21:00:00Z")));
}

#[test]
fn where_there_is_no_calendar_a_day_has_86_400_seconds() {
    let catalog = catalog("");
    for period in [Period::Day, Period::Week, Period::Cycle, Period::Seconds(60)] {
        let (from, to) = catalog.span(period, 28, Timestamp::from_millis(u64::MAX));
        assert!(from <= to, "{period:?}");
        let (from, to) = catalog.span(period, 28, at("9999-12-30T12:00:00Z"));
        assert!(from <= at("9999-12-30T12:00:00Z") && at("9999-12-30T12:00:00Z") < to, "{period:?}");
    }
    // The year 9999 has an end.
    assert!(catalog.span(Period::Cycle, 1, at("9999-12-30T12:00:00Z")).1 > at("9999-12-30T12:00:00Z"));
}

/// Good Friday 2026-04-03 and Easter Monday 2026-04-06 are in the list.
#[test]
fn a_holiday_is_not_the_day_of_the_week_that_it_falls_on() {
    let catalog = catalog(
        &(tariff("holiday", "days = \"holiday\"")
            + &tariff("work", "days = \"workdays\"\nfrom = \"08:00\"\nto = \"18:00\"")
            + &tariff("mondays", "days = [\"mon\", \"weekend\"]")
            + &tariff("evening", "from = \"20:00\"")),
    );
    for (moment, expected) in [
        ("2026-04-02T10:00:00+02:00", "work"),
        ("2026-04-02T23:59:59+02:00", "evening"),
        ("2026-04-03T00:00:00+02:00", "holiday"),
        ("2026-04-03T10:00:00+02:00", "holiday"),
        ("2026-04-03T21:00:00+02:00", "holiday"),
        ("2026-04-04T00:00:00+02:00", "mondays"),
        ("2026-04-06T19:00:00+02:00", "holiday"),
        ("2026-04-07T10:00:00+02:00", "work"),
        ("2026-04-13T19:00:00+02:00", "mondays"),
    ] {
        assert_eq!(name(&catalog, moment), expected, "{moment}");
    }
    let workdays = self::catalog(&tariff("mondays", "days = \"mon\""));
    assert_eq!(name(&workdays, "2026-04-06T10:00:00+02:00"), "own", "a Monday that is a holiday");
    // What names no days has every day.
    let every = self::catalog(&tariff("evening", "from = \"20:00\""));
    assert_eq!(name(&every, "2026-04-06T21:00:00+02:00"), "evening");
}

/// A window that goes past midnight belongs to the day on which it began, a holiday or not.
#[test]
fn windows_past_midnight_belong_to_the_kind_of_day_on_which_they_began() {
    let catalog = catalog(&tariff("night", "days = [\"thu\", \"holiday\"]\nfrom = \"22:00\"\nto = \"06:00\""));
    for (moment, expected) in [
        ("2026-04-02T05:00:00+02:00", "own"),
        ("2026-04-03T05:00:00+02:00", "night"),
        ("2026-04-04T05:00:00+02:00", "night"),
        ("2026-04-06T05:00:00+02:00", "own"),
        ("2026-04-07T05:00:00+02:00", "night"),
    ] {
        assert_eq!(name(&catalog, moment), expected, "{moment}");
    }
    assert_eq!(
        changes(&catalog, "2026-04-02T12:00:00+02:00", 8 * 86_400, 8),
        [
            // Thursday's, then Good Friday's.
            "2026-04-02T20:00:00.000Z night",
            "2026-04-03T04:00:00.000Z own",
            "2026-04-03T20:00:00.000Z night",
            "2026-04-04T04:00:00.000Z own",
            // Easter Monday's.
            "2026-04-06T20:00:00.000Z night",
            "2026-04-07T04:00:00.000Z own",
            "2026-04-09T20:00:00.000Z night",
            "2026-04-10T04:00:00.000Z own",
        ]
    );
}

/// Usage is split at the midnights before and after a holiday, however far ahead it is.
// tests: C-60
#[test]
fn the_tariff_changes_at_the_midnight_of_a_holiday() {
    let holidays = catalog(&tariff("holiday", "days = \"holiday\""));
    let day = 86_400;
    assert_eq!(
        changes(&holidays, "2026-04-01T12:00:00Z", 8 * day, 9),
        [
            "2026-04-02T22:00:00.000Z holiday",
            "2026-04-03T22:00:00.000Z own",
            "2026-04-05T22:00:00.000Z holiday",
            "2026-04-06T22:00:00.000Z own",
        ]
    );
    // Three months ahead.
    assert_eq!(changes(&holidays, "2026-01-02T12:00:00Z", 120 * day, 1), ["2026-04-02T22:00:00.000Z holiday"]);
    assert_eq!(changes(&holidays, "2026-01-02T12:00:00Z", 90 * day, 1), [""; 0]);
    assert_eq!(changes(&holidays, "2026-04-06T22:00:00Z", 3_650 * day, 1), [""; 0], "the list has ended");
    // A year's holidays hide all Mondays of a fortnight.
    let text = BASE.replace("\"2026-04-06\"", "\"2026-04-06\", \"2026-04-13\"") + &tariff("mondays", "days = \"mon\"");
    let mondays = Catalog::from_toml(&text).unwrap();
    assert_eq!(changes(&mondays, "2026-04-01T12:00:00Z", 30 * day, 1), ["2026-04-19T22:00:00.000Z mondays"]);
}

#[test]
fn discounts_go_by_the_operators_calendar() {
    let catalog = catalog(
        "[[discount]]\nname = \"free-days\"\npercent = \"100\"\ndays = \"holiday\"\n\
         [[discount]]\nname = \"always\"\npercent = \"0.5\"\n",
    );
    let given = |name, moment| catalog.is_given(catalog.discount(name).unwrap(), at(moment));
    assert!(given("free-days", "2026-04-02T22:00:00Z") && given("free-days", "2026-04-03T21:59:59Z"));
    assert!(!given("free-days", "2026-04-02T21:59:59Z") && !given("free-days", "2026-04-03T22:00:00Z"));
    assert!(given("always", "2026-04-02T21:59:59Z"));
    let changes = |name, moment, within_secs| {
        let change = catalog.given_changes(catalog.discount(name).unwrap(), at(moment), within_secs)?;
        Some(change.to_string())
    };
    let month = 30 * 86_400;
    assert_eq!(changes("free-days", "2026-04-02T20:00:00Z", 7_200).as_deref(), Some("2026-04-02T22:00:00.000Z"));
    assert_eq!(changes("free-days", "2026-04-02T20:00:00Z", 7_199), None);
    assert_eq!(changes("free-days", "2026-04-02T22:00:00Z", month).as_deref(), Some("2026-04-03T22:00:00.000Z"));
    assert_eq!(changes("free-days", "2026-03-10T22:00:00Z", month).as_deref(), Some("2026-04-02T22:00:00.000Z"));
    assert_eq!(changes("always", "2026-04-02T22:00:00Z", month), None);
}

#[test]
fn problems_of_holidays() {
    let days = tariff("x", "days = \"holiday\"");
    for (right, wrong, expected) in [
        ("\"2026-04-06\"]", "\"2026-04-31\"]", "line 3, column 41: in `holidays`, `2026-04-31`: write a day such as"),
        ("\"2026-04-06\"]", "\"20260406\"]", "line 3, column 41: in `holidays`, `20260406`: write a day"),
        ("\"2026-04-06\"]", "2026-04-06]", "line 3, column 41: in `holidays`, 2026-04-06: write text in quotes"),
        ("\"2026-04-06\"]", "\"2026-01-01\"]", "line 3, column 41: line 3 has 2026-01-01 already"),
        (
            "holidays = [\"2026-01-01\", \"2026-04-03\", \"2026-04-06\"]",
            "",
            "line 18, column 8: in `days`, \"holiday\": say which days are holidays, at the top of the catalog: `holidays",
        ),
    ] {
        let text = format!("{BASE}{days}").replace(right, wrong);
        let problems = Catalog::from_toml(&text).unwrap_err();
        let found = problems.iter().any(|problem| problem.to_string().starts_with(expected));
        assert!(found, "{wrong}\n{expected}\n{problems:?}");
    }
    let many: Vec<String> = (0..1_001).map(|day| format!("\"{:04}-01-01\"", 2_000 + day)).collect();
    let text = BASE.replace("\"2026-01-01\", \"2026-04-03\", \"2026-04-06\"", &many.join(", "));
    assert!(Catalog::from_toml(&text).unwrap_err()[0].message.contains("at most 1000 holidays"));
}
