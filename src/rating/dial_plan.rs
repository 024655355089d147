//! How numbers are dialled where the operator is, so that they can be compared (spec G-103).

use std::borrow::Cow;

/// The longest number that is looked at: E.164 has 15 digits, with what is dialled before them.
const NUMBER_OCTETS_MAX: usize = 64;

/// What is dialled before a number. All texts are digits; an empty one is not used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct DialPlan {
    /// The country: what an international number of a subscriber begins with.
    pub(super) country_code: Box<str>,
    /// Dialled before a national number: `0` in most countries.
    pub(super) national_prefix: Box<str>,
    /// Dialled before an international number: `00` in most countries.
    pub(super) international_prefix: Box<str>,
}

impl DialPlan {
    /// A number in its international form, digits only, without `+`. What is none, such as a short code or a name, stays
    /// as it is; `None` if nothing is left or it is too long for any number.
    pub(super) fn international<'n>(&self, number: &'n str) -> Option<Cow<'n, str>> {
        if number.len() > NUMBER_OCTETS_MAX {
            return None;
        }
        let (plus, rest) = number.strip_prefix('+').map_or((false, number), |rest| (true, rest));
        // Visual separators of RFC 3966.
        let separated = rest.bytes().any(|b| matches!(b, b'-' | b'.' | b'(' | b')' | b' '));
        let digits: Cow<'n, str> = if separated {
            rest.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')' | ' ')).collect::<String>().into()
        } else {
            rest.into()
        };
        if digits.is_empty() {
            return None;
        }
        if plus || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Some(digits);
        }
        if let Some(rest) = after(&digits, &self.international_prefix) {
            return Some(Cow::Owned(rest.to_owned()));
        }
        if let Some(rest) = after(&digits, &self.national_prefix) {
            return Some(Cow::Owned(format!("{}{rest}", self.country_code)));
        }
        Some(digits)
    }
}

/// What follows a prefix that is in use, if anything does.
fn after<'n>(digits: &'n str, prefix: &str) -> Option<&'n str> {
    digits.strip_prefix(prefix).filter(|rest| !prefix.is_empty() && !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    // tests: G-103
    #[test]
    fn numbers_become_international() {
        let plan =
            DialPlan { country_code: "49".into(), national_prefix: "0".into(), international_prefix: "00".into() };
        for (dialled, number) in [
            ("+491700000001", Some("491700000001")),
            ("+49-170-0000001", Some("491700000001")),
            ("0049 170 0000001", Some("491700000001")),
            ("01700000001", Some("491700000001")),
            ("(0170) 0000001", Some("491700000001")),
            // Without a prefix it is taken as it is: messages have international numbers without `+`.
            ("491700000001", Some("491700000001")),
            ("112", Some("112")),
            ("0", Some("0")),
            ("alice", Some("alice")),
            ("+", None),
            ("", None),
            (&"1".repeat(65), None),
        ] {
            assert_eq!(plan.international(dialled).as_deref(), number, "{dialled}");
        }
        assert_eq!(DialPlan::default().international("01700000001").as_deref(), Some("01700000001"));
    }
}
