//! A usage record as the line of the history that it was: to be explained when the history has it no more.

use super::records::{RecordLine, micros};
use crate::{
    charging::{HistoryKind, HistoryLine},
    time::Timestamp,
    units::{Money, UnitKind},
};

impl RecordLine {
    /// The line of the history that this is of; `None` = there was none, or a figure is none.
    pub fn history_line(&self) -> Option<HistoryLine<'static>> {
        let kind = match &*self.kind {
            "session" | "event" | "late" | "orphan" => HistoryKind::Usage,
            "refund" => HistoryKind::Refund,
            "opening" => HistoryKind::Opening,
            "top_up" => HistoryKind::TopUp,
            "adjustment" => HistoryKind::Adjustment,
            "allowance" => HistoryKind::Allowance,
            "fee" => HistoryKind::Fee,
            "gift" => HistoryKind::Gift,
            "roll_over" => HistoryKind::RollOver,
            "expired" => HistoryKind::Expired,
            "transfer_out" => HistoryKind::TransferOut,
            "transfer_in" => HistoryKind::TransferIn,
            "voucher" => HistoryKind::Voucher,
            _ => return None,
        };
        let money = |text: &str| i64::try_from(micros(text)?).ok();
        let amount = money(&self.credited)?.checked_sub(money(&self.debited)?)?;
        let unit_kind = match self.unit.as_deref() {
            Some("octets") => Some(UnitKind::Octets),
            Some("seconds") => Some(UnitKind::Seconds),
            Some("events") => Some(UnitKind::Events),
            _ => None,
        };
        let service = self.service.as_ref().or(self.name.as_ref()).or(self.reason.as_ref());
        Some(HistoryLine {
            units: unit_kind.map_or(0, |_| self.units.unwrap_or(0).unsigned_abs()),
            unit_kind,
            units_from_allowance: self.from_allowance.unwrap_or(0),
            service: service.cloned().unwrap_or_default().into(),
            rating_group: self.rating_group.unwrap_or(0),
            session_id: self.session_id.clone().map(|id| id.into_bytes().into()),
            request_id: self.request_id.clone().unwrap_or_default().into(),
            catalog: self.catalog.unwrap_or(0),
            detail: self.detail.as_ref().map(|text| octets(text).unwrap_or_default().into()),
            ..HistoryLine::money(moment(&self.at)?, kind, Money::from_micros(amount))
        })
    }
}

/// A moment as the files have it: `2026-01-31T12:00:00.000Z`.
fn moment(text: &str) -> Option<Timestamp> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    // Years begin in March, so that the day that some have more is their last.
    let years = year.checked_sub(u64::from(month <= 2))?;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day.checked_sub(1)?;
    let days = (365 * years + years / 4 - years / 100 + years / 400 + of_year).checked_sub(719_468)?;
    let secs = days * 86_400 + number(11, 13)? * 3_600 + number(14, 16)? * 60 + number(17, 19)?;
    Some(Timestamp::from_millis(secs * 1_000 + number(20, 23)?))
}

/// What hexadecimal digits stand for. What cannot be read is as good as nothing: it explains nothing.
fn octets(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn moments_are_read_as_they_are_written(millis in 0u64..4_000_000_000_000) {
            let at = Timestamp::from_millis(millis);
            prop_assert_eq!(moment(&at.to_string()), Some(at));
        }
    }

    #[test]
    fn a_record_is_the_line_that_it_was_of() {
        let record = RecordLine {
            at: "2026-03-01T00:00:00.250Z".into(),
            kind: "session".into(),
            debited: "0.05".into(),
            credited: "0.00".into(),
            unit: Some("octets".into()),
            units: Some(5_000_000),
            service: Some("internet".into()),
            catalog: Some(3),
            detail: Some("0500ff".into()),
            ..RecordLine::default()
        };
        let line = record.history_line().unwrap();
        assert_eq!((line.at.millis(), line.amount.micros(), line.units), (1_772_323_200_250, -50_000, 5_000_000));
        assert_eq!((&*line.service, line.catalog, line.detail.as_deref()), ("internet", 3, Some(&[5, 0, 255][..])));
        let begin = RecordLine { kind: "begin".into(), ..record.clone() };
        assert_eq!(begin.history_line(), None);
        let broken = RecordLine { debited: "0,05".into(), ..record };
        assert_eq!(broken.history_line(), None);
    }
}
