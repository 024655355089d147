//! Numbers with an exponent, and the kinds of units that they are about (RFC 8506 8.8, 8.32).

use crate::diameter::{
    avp::{Avp, Avps},
    dictionary::{AvpDef, key},
    writer::Writer,
};

use super::group::{Member, enumerated};

/// `digits` x 10^`exponent`: Unit-Value, and the costs and factors of the advice of charge, which have the same members
/// (spec G-87).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct UnitValue {
    /// Value-Digits.
    pub digits: i64,
    /// Exponent; 0 when absent.
    pub exponent: i32,
}

impl UnitValue {
    /// A whole number.
    pub const fn whole(digits: i64) -> Self {
        Self { digits, exponent: 0 }
    }
}

impl<'a> Member<'a> for UnitValue {
    fn read(group: &Avp<'a>) -> Option<Self> {
        let (mut digits, mut exponent) = (None, 0);
        for avp in Avps::new(group.data).map_while(Result::ok) {
            match avp.key() {
                key::VALUE_DIGITS => digits = avp.i64().ok(),
                key::EXPONENT => exponent = avp.i32().ok()?,
                _ => {}
            }
        }
        Some(Self { digits: digits?, exponent })
    }

    fn write(&self, def: &AvpDef, w: &mut Writer<'_>) {
        w.group(def, |w| {
            w.i64(&crate::diameter::dictionary::VALUE_DIGITS, self.digits);
            if self.exponent != 0 {
                w.i32(&crate::diameter::dictionary::EXPONENT, self.exponent);
            }
        });
    }
}

enumerated! {
    /// CC-Unit-Type (RFC 8506 8.32).
    pub enum CcUnitType {
        /// Seconds.
        Time = 0,
        /// Money.
        Money = 1,
        /// Octets both ways.
        TotalOctets = 2,
        /// Octets from the user.
        InputOctets = 3,
        /// Octets to the user.
        OutputOctets = 4,
        /// Events.
        ServiceSpecificUnits = 5,
    }
}
