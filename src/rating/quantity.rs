//! Quantities as people write them: `1 MB`, `90 s`, `3 events`; and back.

use crate::units::UnitKind;

/// The largest quantity in a catalog: 10^15 units (a petabyte, 30 million years) is beyond any grant or allowance, and
/// keeps every product of a price within 128 bits.
pub const QUANTITY_MAX: u64 = 1_000_000_000_000_000;

/// What a unit's name stands for.
struct Unit {
    name: &'static str,
    kind: UnitKind,
    factor: u64,
}

/// Names of units, in each kind from the smallest to the largest; the first name of a size is the one written.
const UNITS: &[Unit] = &[
    unit("B", UnitKind::Octets, 1),
    unit("kB", UnitKind::Octets, 1_000),
    unit("KiB", UnitKind::Octets, 1 << 10),
    unit("MB", UnitKind::Octets, 1_000_000),
    unit("MiB", UnitKind::Octets, 1 << 20),
    unit("GB", UnitKind::Octets, 1_000_000_000),
    unit("GiB", UnitKind::Octets, 1 << 30),
    unit("TB", UnitKind::Octets, 1_000_000_000_000),
    unit("TiB", UnitKind::Octets, 1 << 40),
    unit("s", UnitKind::Seconds, 1),
    unit("min", UnitKind::Seconds, 60),
    unit("h", UnitKind::Seconds, 3_600),
    unit("d", UnitKind::Seconds, 86_400),
    unit("event", UnitKind::Events, 1),
    unit("events", UnitKind::Events, 1),
];

const fn unit(name: &'static str, kind: UnitKind, factor: u64) -> Unit {
    Unit { name, kind, factor }
}

/// What a quantity looks like, for messages.
pub(super) const EXPECTED: &str = "a whole number and a unit, such as \"1 MB\" (10^6 octets), \"1 MiB\" (2^20 octets), \
                                   \"1 s\", \"1 min\", \"1 h\", \"1 d\" or \"1 event\"";

/// Reads a whole number and a unit, with or without a space between: 1 to [`QUANTITY_MAX`] units. The error is what is
/// wrong, without the text itself.
pub(super) fn read(text: &str) -> Result<(UnitKind, u64), String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, name) = (&text[..split], text[split..].trim_start_matches(' '));
    if number.is_empty() || name.is_empty() {
        return Err(format!("write {EXPECTED}"));
    }
    let Some(unit) = UNITS.iter().find(|unit| unit.name == name) else {
        let close = UNITS.iter().find(|unit| unit.name.eq_ignore_ascii_case(name));
        let hint = close.map(|unit| format!("did you mean `{}`? ", unit.name)).unwrap_or_default();
        return Err(format!("{hint}write {EXPECTED}"));
    };
    let amount = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit.factor));
    match amount {
        Some(amount @ 1..=QUANTITY_MAX) => Ok((unit.kind, amount)),
        _ => Err(format!("a quantity is between 1 and {QUANTITY_MAX} {}", unit.kind)),
    }
}

/// The quantity with the unit that makes its number smallest: `1 MB`, `90 s`.
pub(super) fn write(kind: UnitKind, amount: u64) -> String {
    let (number, name) = shortest(kind, amount);
    format!("{number} {name}")
}

/// The quantity after the word "per": `MB` for one, `10 MB` for ten.
pub(super) fn write_per(kind: UnitKind, amount: u64) -> String {
    match shortest(kind, amount) {
        (1, name) => name.into(),
        (number, name) => format!("{number} {name}"),
    }
}

fn shortest(kind: UnitKind, amount: u64) -> (u64, &'static str) {
    if kind == UnitKind::Events {
        return (amount, if amount == 1 { "event" } else { "events" });
    }
    let fits = |unit: &&Unit| unit.kind == kind && amount > 0 && amount.is_multiple_of(unit.factor);
    match UNITS.iter().rev().find(fits) {
        Some(unit) => (amount / unit.factor, unit.name),
        None => (amount, kind.name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_and_written() {
        for (text, kind, amount, written) in [
            ("1 MB", UnitKind::Octets, 1_000_000, "1 MB"),
            ("1MiB", UnitKind::Octets, 1_048_576, "1 MiB"),
            ("100 kB", UnitKind::Octets, 100_000, "100 kB"),
            ("1024 KiB", UnitKind::Octets, 1_048_576, "1 MiB"),
            ("1500 MB", UnitKind::Octets, 1_500_000_000, "1500 MB"),
            ("17 B", UnitKind::Octets, 17, "17 B"),
            ("1 TB", UnitKind::Octets, 1_000_000_000_000, "1 TB"),
            ("90 s", UnitKind::Seconds, 90, "90 s"),
            ("60 s", UnitKind::Seconds, 60, "1 min"),
            ("48 h", UnitKind::Seconds, 172_800, "2 d"),
            ("1 event", UnitKind::Events, 1, "1 event"),
            ("3 events", UnitKind::Events, 3, "3 events"),
        ] {
            assert_eq!(read(text), Ok((kind, amount)), "{text}");
            assert_eq!(write(kind, amount), written);
        }
        assert_eq!(write_per(UnitKind::Octets, 1_000_000), "MB");
        assert_eq!(write_per(UnitKind::Events, 10), "10 events");
    }

    #[test]
    fn what_is_not_a_quantity_is_told_what_would_be() {
        for text in [
            "",
            "1",
            "MB",
            "1.5 MB",
            "-1 MB",
            "1 parsec",
            "1  ",
            "0 MB",
            "1 M\u{e9}",
            "99999999999999999999 B",
            "2000 TB",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read("1 Mb").unwrap_err().starts_with("did you mean `MB`? write a whole number and a unit"));
        assert!(read("0 s").unwrap_err().contains("between 1 and"));
    }
}
