//! The numbers of enumerations: one table for both directions.

use super::{RecordError, proto};
use crate::{
    charging::{
        AccountState, BucketKind, BulkStage, BulkVerdict, ClosingCause, EventAction, HistoryKind, LifeStep, LimitStep,
        Measure, PayOrder, ProductStep, RequestKind, Verdict,
    },
    rating::RunningSessions,
    units::UnitKind,
};

/// An enumeration with a number for each of its values.
pub(in crate::journal) trait Numbered: Sized {
    /// The number of this value.
    fn number(self) -> u32;

    /// The value with this number.
    fn from_number(number: i32) -> Result<Self, RecordError>;
}

macro_rules! numbered {
    ($type:ident, $field:literal: $($variant:ident)*) => {
        impl Numbered for $type {
            fn number(self) -> u32 {
                match self {
                    $(Self::$variant => proto::$type::$variant as u32,)*
                }
            }

            fn from_number(number: i32) -> Result<Self, RecordError> {
                match proto::$type::try_from(number) {
                    $(Ok(proto::$type::$variant) => Ok(Self::$variant),)*
                    #[allow(unreachable_patterns, reason = "where every number has a value")]
                    _ => Err(RecordError::BadValue { field: $field, value: i64::from(number) }),
                }
            }
        }
    };
}

numbered!(Verdict, "verdict": Success ServiceDenied CreditLimitReached RatingFailed UserUnknown UnknownSession
    ResourcesExceeded UnableToComply InvalidValue NotApplicable OtherContext UnitNotRated MoneyNotRated TooBusy);
numbered!(RequestKind, "request kind": Initial Update Termination Event);
numbered!(EventAction, "event action": Debit Refund CheckBalance PriceEnquiry);
numbered!(ClosingCause, "closing cause": Terminated Refused Expired Lost MainEnded ClientRestarted
    Withdrawn);
numbered!(AccountState, "account state": Active Stopped Suspended Terminated);
numbered!(BulkStage, "stage of a bulk change": Pending Running Done Rejected Expired);
numbered!(BulkVerdict, "verdict on a bulk change": Approved Rejected Expired);
numbered!(RunningSessions, "running sessions": Finish Change);
numbered!(HistoryKind, "history kind": Usage TopUp Adjustment Allowance Opening Refund Fee Gift RollOver Expired
    TransferOut TransferIn Voucher Change);
numbered!(PayOrder, "order of payment": OwnFirst SharedFirst OwnOnly SharedOnly);
numbered!(LimitStep, "limit step": Told Reached Suspended);
numbered!(ProductStep, "product step": Bought Renewed Paused Ended);
numbered!(LifeStep, "step of life": Activated EndsSoon Lapsed Revived Ended Suspended);

impl Numbered for Measure {
    #[inline]
    fn number(self) -> u32 {
        let measure = match self {
            Self::Units(UnitKind::Octets) => proto::Measure::Octets,
            Self::Units(UnitKind::Seconds) => proto::Measure::Seconds,
            Self::Units(UnitKind::Events) => proto::Measure::Events,
            Self::Money => proto::Measure::Money,
        };
        measure as u32
    }

    fn from_number(number: i32) -> Result<Self, RecordError> {
        Ok(match proto::Measure::try_from(number) {
            Ok(proto::Measure::Octets) => Self::Units(UnitKind::Octets),
            Ok(proto::Measure::Seconds) => Self::Units(UnitKind::Seconds),
            Ok(proto::Measure::Events) => Self::Units(UnitKind::Events),
            Ok(proto::Measure::Money) => Self::Money,
            Err(_) => return Err(RecordError::BadValue { field: "measure", value: i64::from(number) }),
        })
    }
}

impl Numbered for BucketKind {
    fn number(self) -> u32 {
        match self {
            Self::Units(kind) => Measure::Units(kind).number(),
            Self::Money => Measure::Money.number(),
        }
    }

    fn from_number(number: i32) -> Result<Self, RecordError> {
        Measure::from_number(number).map(|measure| match measure {
            Measure::Units(kind) => Self::Units(kind),
            Measure::Money => Self::Money,
        })
    }
}

/// `None` is money.
impl Numbered for Option<UnitKind> {
    fn number(self) -> u32 {
        self.map_or(Measure::Money, Measure::Units).number()
    }

    fn from_number(number: i32) -> Result<Self, RecordError> {
        Measure::from_number(number).map(|measure| match measure {
            Measure::Units(kind) => Some(kind),
            Measure::Money => None,
        })
    }
}
