//! Voucher codes: digits that a person types, and the key that is kept in their place.

use std::hash::Hasher as _;

use siphasher::sip128::{Hasher128 as _, SipHasher13};

/// Digits of a code: fifteen that nobody can guess, and a check digit, so that a slip of the finger is told from a guess.
pub const VOUCHER_DIGITS: usize = 16;

/// Stands for a voucher's code. Whoever reads the store's files without its secret cannot tell the code from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VoucherKey(pub u64, pub u64);

/// A voucher's code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VoucherCode([u8; VOUCHER_DIGITS]);

/// A text is no voucher code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VoucherCodeError {
    /// Not sixteen digits.
    #[error("a voucher code has {VOUCHER_DIGITS} digits")]
    Length,
    /// The last digit does not fit the others: mistyped.
    #[error("the code is mistyped: its check digit does not fit")]
    Check,
}

impl VoucherCode {
    /// A new code from a number that nobody can guess; of its digits the last fifteen count.
    pub fn new(random: u64) -> Self {
        let mut digits = [0; VOUCHER_DIGITS];
        let mut rest = random;
        for digit in digits.iter_mut().take(VOUCHER_DIGITS - 1) {
            *digit = (rest % 10) as u8;
            rest /= 10;
        }
        digits[VOUCHER_DIGITS - 1] = check_digit(&digits);
        Self(digits)
    }

    /// A code as a person wrote it: blanks and hyphens do not matter.
    ///
    /// # Errors
    /// It is not sixteen digits, or mistyped.
    pub fn read(text: &str) -> Result<Self, VoucherCodeError> {
        let mut digits = [0; VOUCHER_DIGITS];
        let mut count = 0;
        for c in text.chars().filter(|c| !matches!(c, ' ' | '-')) {
            let digit = c.to_digit(10).ok_or(VoucherCodeError::Length)?;
            // A digit is below ten.
            *digits.get_mut(count).ok_or(VoucherCodeError::Length)? = digit as u8;
            count += 1;
        }
        if count < VOUCHER_DIGITS {
            return Err(VoucherCodeError::Length);
        }
        if digits[VOUCHER_DIGITS - 1] != check_digit(&digits) { Err(VoucherCodeError::Check) } else { Ok(Self(digits)) }
    }

    /// The key that it is kept by, under the store's secret.
    pub fn key(&self, [first, second]: [u64; 2]) -> VoucherKey {
        let mut hasher = SipHasher13::new_with_keys(first, second);
        hasher.write(b"voucher");
        hasher.write(&self.0);
        let hash = hasher.finish128();
        VoucherKey(hash.h1, hash.h2)
    }

    /// In groups of four digits.
    pub fn written(&self) -> String {
        let digit = |(place, digit): (usize, &u8)| {
            let gap = if place > 0 && place % 4 == 0 { "-" } else { "" };
            format!("{gap}{digit}")
        };
        self.0.iter().enumerate().map(digit).collect()
    }
}

/// A code is money: it does not get into logs.
impl std::fmt::Debug for VoucherCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VoucherCode(..)")
    }
}

/// Luhn's (ISO/IEC 7812-1, annex B) over all digits but the last.
fn check_digit(digits: &[u8; VOUCHER_DIGITS]) -> u8 {
    let sum: u32 = digits[..VOUCHER_DIGITS - 1]
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(*digit) * if place % 2 == 0 { 2 } else { 1 };
            digit / 10 + digit % 10
        })
        .sum();
    ((10 - sum % 10) % 10) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_it_was_written_and_a_slip_is_seen() {
        let code = VoucherCode::new(123_456_789_012_345);
        let written = code.written();
        assert_eq!(written.len(), VOUCHER_DIGITS + 3);
        assert!(VoucherCode::read(&written) == Ok(code));
        assert!(VoucherCode::read(&written.replace('-', "")) == Ok(code));
        assert_eq!(VoucherCode::read("1234").err(), Some(VoucherCodeError::Length));
        assert_eq!(VoucherCode::read(&format!("{written}0")).err(), Some(VoucherCodeError::Length));
        for place in 0..VOUCHER_DIGITS {
            let mut wrong = code;
            wrong.0[place] = (wrong.0[place] + 1) % 10;
            assert_eq!(VoucherCode::read(&wrong.written()).err(), Some(VoucherCodeError::Check), "digit {place}");
        }
        assert_ne!(code.key([1, 2]), code.key([1, 3]));
        assert_eq!(format!("{code:?}"), "VoucherCode(..)");
    }

    #[test]
    fn the_check_digit_is_that_of_a_known_number() {
        // The example of ISO/IEC 7812-1, filled up with zeros in front: 7992739871, check digit 3.
        let mut digits = [0; VOUCHER_DIGITS];
        digits[5..15].copy_from_slice(&[7, 9, 9, 2, 7, 3, 9, 8, 7, 1]);
        assert_eq!(check_digit(&digits), 3);
    }
}
