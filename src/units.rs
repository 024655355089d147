//! Money and service units as types of their own, with checked arithmetic only.
//!
//! Money is an integer count of micro-units (10^-6) of a currency; units are octets, seconds or events. Nothing here, and
//! nothing that handles money, is a floating point number.

use std::{fmt, ops::Neg, str::FromStr};

/// Micro-units in one unit of a currency.
pub const MICROS: i64 = 1_000_000;

/// An amount of money in micro-units (10^-6) of a currency that the context knows (the account's).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(i64);

impl Money {
    /// No money.
    pub const ZERO: Self = Self(0);
    /// The largest amount that any single credit, price or limit may have: a thousandth of what fits, so that sums of
    /// a thousand of them still fit.
    pub const MAX_INPUT: Self = Self(i64::MAX / 1_000);

    /// From a count of micro-units.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The count of micro-units.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Sum, or `None` on overflow.
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// Difference, or `None` on overflow.
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }

    /// Sum that stops at the ends of the range. Only for limits and displays, never for a balance.
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Difference that stops at the ends of the range. Only for limits and displays, never for a balance.
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Whether it is below zero.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Whether it is above zero.
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }
}

impl Neg for Money {
    type Output = Self;

    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

/// Writes a plain decimal number with at least two fractional digits: `12.30`, `-0.000001`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let micros = self.0.unsigned_abs();
        let whole = micros / MICROS as u64;
        let fraction = format!("{:06}", micros % MICROS as u64);
        let digits = fraction.trim_end_matches('0').len().max(2);
        write!(f, "{sign}{whole}.{}", &fraction[..digits])
    }
}

/// Why a text is not an amount of money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not a plain decimal number.
    #[error("`{0}` is not an amount: write a plain decimal number such as 12.34")]
    NotANumber(String),
    /// More than six fractional digits.
    #[error("`{0}` has more than six fractional digits")]
    TooFine(String),
    /// Beyond [`Money::MAX_INPUT`].
    #[error("`{0}` is out of range (at most {max})", max = Money::MAX_INPUT)]
    OutOfRange(String),
}

/// Reads a plain decimal number with at most six fractional digits, up to [`Money::MAX_INPUT`] either side of zero.
impl FromStr for Money {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let not_a_number = || MoneyError::NotANumber(text.chars().take(40).collect());
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !plain(whole) || !plain(fraction) || digits.ends_with('.') {
            return Err(not_a_number());
        }
        if fraction.len() > 6 {
            return Err(MoneyError::TooFine(text.chars().take(40).collect()));
        }
        let out_of_range = || MoneyError::OutOfRange(text.chars().take(40).collect());
        let whole: i64 = whole.parse().map_err(|_| out_of_range())?;
        let micros = format!("{fraction:0<6}").parse::<i64>().map_err(|_| not_a_number())?;
        let value = whole.checked_mul(MICROS).and_then(|w| w.checked_add(micros)).ok_or_else(out_of_range)?;
        if value > Self::MAX_INPUT.0 {
            return Err(out_of_range());
        }
        Ok(Self(if negative { -value } else { value }))
    }
}

/// What a number of service units counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UnitKind {
    /// Octets of user traffic (CC-Total-Octets).
    Octets,
    /// Seconds of service (CC-Time).
    Seconds,
    /// Service-specific units: messages, events (CC-Service-Specific-Units).
    Events,
}

impl UnitKind {
    /// The word for it: `octets`, `seconds`, `events`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Octets => "octets",
            Self::Seconds => "seconds",
            Self::Events => "events",
        }
    }
}

impl fmt::Display for UnitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A number of service units of one kind. Units of different kinds do not add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Units {
    /// What is counted.
    pub kind: UnitKind,
    /// How many.
    pub amount: u64,
}

impl Units {
    /// `amount` octets.
    pub const fn octets(amount: u64) -> Self {
        Self { kind: UnitKind::Octets, amount }
    }

    /// `amount` seconds.
    pub const fn seconds(amount: u64) -> Self {
        Self { kind: UnitKind::Seconds, amount }
    }

    /// `amount` events.
    pub const fn events(amount: u64) -> Self {
        Self { kind: UnitKind::Events, amount }
    }

    /// Sum, or `None` on overflow or when the kinds differ.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        if self.kind != other.kind {
            return None;
        }
        self.amount.checked_add(other.amount).map(|amount| Self { amount, ..self })
    }
}

impl fmt::Display for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.kind)
    }
}

/// `ceil(numerator / denominator)` for a non-negative numerator and a positive denominator: the one rounding function.
///
/// Prices round up, to the micro-unit, and so do reservations; since a price is a function of cumulative usage this
/// happens once per session and rating group (spec C-57).
pub const fn div_ceil(numerator: i128, denominator: i128) -> i128 {
    debug_assert!(numerator >= 0 && denominator > 0);
    let quotient = numerator / denominator;
    if numerator % denominator == 0 { quotient } else { quotient + 1 }
}

/// An ISO 4217 currency: the alphabetic code for people, the number for Diameter (Currency-Code, RFC 8506 8.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency([u8; 3]);

/// Alphabetic and numeric codes of the currencies in use (ISO 4217).
const CURRENCIES: &[(&str, u32)] = &[
    ("AED", 784),
    ("AUD", 36),
    ("BDT", 50),
    ("BRL", 986),
    ("CAD", 124),
    ("CHF", 756),
    ("CNY", 156),
    ("CZK", 203),
    ("DKK", 208),
    ("EGP", 818),
    ("EUR", 978),
    ("GBP", 826),
    ("HKD", 344),
    ("HUF", 348),
    ("IDR", 360),
    ("ILS", 376),
    ("INR", 356),
    ("JPY", 392),
    ("KES", 404),
    ("KRW", 410),
    ("MXN", 484),
    ("MYR", 458),
    ("NGN", 566),
    ("NOK", 578),
    ("NZD", 554),
    ("PHP", 608),
    ("PKR", 586),
    ("PLN", 985),
    ("RON", 946),
    ("SAR", 682),
    ("SEK", 752),
    ("SGD", 702),
    ("THB", 764),
    ("TRY", 949),
    ("TWD", 901),
    ("TZS", 834),
    ("UAH", 980),
    ("UGX", 800),
    ("USD", 840),
    ("VND", 704),
    ("ZAR", 710),
];

impl Currency {
    /// The alphabetic code, such as `CNY`.
    pub fn code(&self) -> &str {
        // Only made from the ASCII codes of the table.
        std::str::from_utf8(&self.0).unwrap_or("???")
    }

    /// The numeric code, such as 156.
    pub fn number(self) -> u32 {
        CURRENCIES.iter().find(|(code, _)| code.as_bytes() == self.0).map_or(0, |(_, number)| *number)
    }

    /// The currency with this numeric code, if it is known.
    pub fn from_number(number: u32) -> Option<Self> {
        CURRENCIES.iter().find(|(_, n)| *n == number).and_then(|(code, _)| code.parse().ok())
    }
}

/// The text is not the alphabetic code of a known currency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a known ISO 4217 currency code such as EUR")]
pub struct CurrencyError(String);

impl FromStr for Currency {
    type Err = CurrencyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (CURRENCIES.iter().any(|(code, _)| *code == text), text.as_bytes().first_chunk::<3>()) {
            (true, Some(code)) => Ok(Self(*code)),
            _ => Err(CurrencyError(text.chars().take(10).collect())),
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_reads_and_writes_plain_decimals() {
        for (text, micros, written) in [
            ("0", 0, "0.00"),
            ("12.34", 12_340_000, "12.34"),
            ("-0.5", -500_000, "-0.50"),
            ("0.000001", 1, "0.000001"),
            ("100", 100_000_000, "100.00"),
        ] {
            let money: Money = text.parse().unwrap();
            assert_eq!(money.micros(), micros);
            assert_eq!(money.to_string(), written);
        }
    }

    #[test]
    fn money_refuses_what_is_not_an_exact_amount() {
        for text in ["", "-", ".", "1.", ".5", "1e3", "0x1", "1,0", " 1", "+1", "--1", "NaN"] {
            assert!(matches!(text.parse::<Money>(), Err(MoneyError::NotANumber(_))), "{text}");
        }
        assert!(matches!("0.0000001".parse::<Money>(), Err(MoneyError::TooFine(_))));
        for text in ["9223372036854775807", "99999999999999999999", "9223372036854.775808"] {
            assert!(matches!(text.parse::<Money>(), Err(MoneyError::OutOfRange(_))), "{text}");
        }
    }

    #[test]
    fn units_of_different_kinds_do_not_add_up() {
        assert_eq!(Units::octets(1).checked_add(Units::octets(2)), Some(Units::octets(3)));
        assert_eq!(Units::octets(1).checked_add(Units::seconds(2)), None);
        assert_eq!(Units::octets(u64::MAX).checked_add(Units::octets(1)), None);
    }

    #[test]
    fn currencies_have_both_codes() {
        let yuan: Currency = "CNY".parse().unwrap();
        assert_eq!((yuan.number(), yuan.code()), (156, "CNY"));
        assert_eq!(Currency::from_number(978).unwrap().code(), "EUR");
        assert_eq!(Currency::from_number(1), None);
        assert!("cny".parse::<Currency>().is_err());
    }
}
