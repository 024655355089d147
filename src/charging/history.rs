//! The recent history of an account.

use std::{borrow::Cow, fmt};

use super::{Breakdown, Detail, Measure, Quota, Session};
use crate::{
    time::Timestamp,
    units::{Money, UnitKind},
};

/// The most history lines an account keeps in memory, whatever the configuration says.
pub const HISTORY_ENTRIES_MAX: usize = 1_000;

/// What a history line tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryKind {
    /// Usage of a service.
    Usage,
    /// A payment.
    TopUp,
    /// An operator's adjustment.
    Adjustment,
    /// A bundle of units was given.
    Allowance,
    /// Opening balance.
    Opening,
    /// Usage given back.
    Refund,
    /// A fee of a product.
    Fee,
    /// What came with a top-up, or with a product.
    Gift,
    /// Units that went on into a further period.
    RollOver,
    /// What was left when a bucket ran out.
    Expired,
    /// Money sent to another account, or come back from there.
    TransferOut,
    /// Money from another account.
    TransferIn,
    /// A voucher.
    Voucher,
    /// Anything else that was changed.
    Change,
}

/// One line of an account's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryLine<'a> {
    /// When it was settled.
    pub at: Timestamp,
    /// What happened.
    pub kind: HistoryKind,
    /// Money that moved; below zero for a charge.
    pub amount: Money,
    /// Units used or given, and their kind.
    pub units: u64,
    /// Kind of the units; `None` for money.
    pub unit_kind: Option<UnitKind>,
    /// The part of `units` that an allowance paid for.
    pub units_from_allowance: u64,
    /// Service or allowance of the catalog, or an operator's reason.
    pub service: Cow<'a, str>,
    /// Rating-Group, 0 if none.
    pub rating_group: u32,
    /// Session-Id, for usage.
    pub session_id: Option<Cow<'a, [u8]>>,
    /// The caller's request id, for credits.
    pub request_id: Cow<'a, str>,
    /// The version of the catalog that usage was last rated by; 0 = none.
    pub catalog: u32,
    /// What it is made of ([`Detail`] in few octets); `None` = the line says all.
    pub detail: Option<Cow<'a, [u8]>>,
}

impl<'a> HistoryLine<'a> {
    /// A line about money alone.
    pub fn money(at: Timestamp, kind: HistoryKind, amount: Money) -> Self {
        Self {
            at,
            kind,
            amount,
            units: 0,
            unit_kind: None,
            units_from_allowance: 0,
            service: "".into(),
            rating_group: 0,
            session_id: None,
            request_id: "".into(),
            catalog: 0,
            detail: None,
        }
    }

    /// The line of one quota of a session, as it stands: what no line before it tells of.
    pub fn usage(session: &'a Session, quota: &'a Quota, at: Timestamp) -> Self {
        let untold = quota.untold();
        Self {
            units: untold.used,
            unit_kind: unit_kind(quota.measure),
            units_from_allowance: untold.from_allowance,
            service: Cow::Borrowed(&quota.service),
            rating_group: quota.key.rating_group.unwrap_or(0),
            session_id: Some(Cow::Borrowed(session.id.as_bytes())),
            catalog: quota.catalog,
            detail: quota.breakdown.as_deref().map(|known| Cow::Owned(known.write())),
            ..Self::money(at, HistoryKind::Usage, -untold.charged)
        }
    }

    /// What it is made of; `None` = the line says all.
    pub fn read_detail(&self) -> Option<Detail> {
        Detail::read(self.detail.as_deref()?)
    }

    /// The same with what it is made of.
    pub(super) fn with_detail(self, detail: Option<Detail>) -> Self {
        Self { detail: detail.map(|detail| Cow::Owned(detail.write())), ..self }
    }

    /// The same with what a charge is made of.
    pub(super) fn with_breakdown(self, breakdown: Option<&Breakdown>) -> Self {
        Self { detail: breakdown.map(|breakdown| Cow::Owned(breakdown.write())), ..self }
    }

    /// The same, with texts of its own.
    pub fn into_owned(self) -> HistoryLine<'static> {
        HistoryLine {
            service: Cow::Owned(self.service.into_owned()),
            session_id: self.session_id.map(|id| Cow::Owned(id.into_owned())),
            request_id: Cow::Owned(self.request_id.into_owned()),
            detail: self.detail.map(|detail| Cow::Owned(detail.into_owned())),
            ..self
        }
    }
}

pub(super) fn unit_kind(measure: Measure) -> Option<UnitKind> {
    match measure {
        Measure::Units(kind) => Some(kind),
        Measure::Money => None,
    }
}

/// The recent lines of an account, oldest first, one after the other in one piece of memory: there are several for every
/// account, and hardly any is ever read.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct History {
    octets: Vec<u8>,
    lines: usize,
}

impl History {
    /// All lines, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = HistoryLine<'_>> {
        let mut rest = self.octets.as_slice();
        (0..self.lines).map(move |_| read(&mut rest))
    }

    /// All lines in one piece, and how many they are.
    pub(super) fn as_octets(&self) -> (&[u8], usize) {
        (&self.octets, self.lines)
    }

    /// Becomes what [`as_octets`](Self::as_octets) gave, in the memory that it has.
    pub(super) fn restore(&mut self, octets: &[u8], lines: usize) {
        self.octets.clear();
        // Whoever wakes an account is about to add a line.
        self.octets.reserve_exact(octets.len() + LINE_USUAL);
        self.octets.extend_from_slice(octets);
        self.lines = lines;
    }

    /// Adds a line when it is read from a checkpoint.
    pub(crate) fn add(&mut self, line: &HistoryLine<'_>) {
        self.push(line, HISTORY_ENTRIES_MAX);
    }

    /// Forgets all lines, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.octets.clear();
        self.lines = 0;
    }

    /// Adds a line, and drops the oldest so that no more than `keep` remain.
    pub(super) fn push(&mut self, line: &HistoryLine<'_>, keep: usize) {
        if keep == 0 {
            *self = Self::default();
            return;
        }
        let drop = (self.lines + 1).saturating_sub(keep);
        let mut rest = self.octets.as_slice();
        (0..drop).for_each(|_| drop_line(&mut rest));
        let dropped = self.octets.len() - rest.len();
        self.octets.drain(..dropped);
        self.lines = self.lines + 1 - drop;
        write(line, &mut self.octets);
    }
}

impl<'a> FromIterator<HistoryLine<'a>> for History {
    fn from_iter<I: IntoIterator<Item = HistoryLine<'a>>>(lines: I) -> Self {
        let mut history = Self::default();
        lines.into_iter().for_each(|line| history.push(&line, HISTORY_ENTRIES_MAX));
        history
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

// A line: kinds, whether there is a Session-Id and whether there is a detail in one octet, numbers in groups of seven bits,
// then the texts, and the detail's length with the detail.

const KINDS: [HistoryKind; 14] = [
    HistoryKind::Usage,
    HistoryKind::TopUp,
    HistoryKind::Adjustment,
    HistoryKind::Allowance,
    HistoryKind::Opening,
    HistoryKind::Refund,
    HistoryKind::Fee,
    HistoryKind::Gift,
    HistoryKind::RollOver,
    HistoryKind::Expired,
    HistoryKind::TransferOut,
    HistoryKind::TransferIn,
    HistoryKind::Voucher,
    HistoryKind::Change,
];
const UNITS: [Option<UnitKind>; 4] = [None, Some(UnitKind::Octets), Some(UnitKind::Seconds), Some(UnitKind::Events)];
/// Numbers in a line: moment, money, units, units from an allowance, rating group, catalog, lengths of the texts.
const NUMBERS: usize = 9;
/// Octets of a usual line.
const LINE_USUAL: usize = 48;
/// Octets of the longest number.
const NUMBER_MAX: usize = 10;
/// Kinds, the numbers, and the length of a detail.
const HEAD_MAX: usize = 1 + (NUMBERS + 1) * NUMBER_MAX;

fn write(line: &HistoryLine<'_>, out: &mut Vec<u8>) {
    let HistoryLine { at, amount, units, units_from_allowance, rating_group, catalog, .. } = *line;
    let session_id = line.session_id.as_deref().unwrap_or_default();
    let texts = [line.service.as_bytes(), session_id, line.request_id.as_bytes()];
    let [service, session, request] = texts.map(|text| text.len() as u64);
    let micros = (amount.micros() << 1 ^ amount.micros() >> 63) as u64;
    let (group, catalog) = (u64::from(rating_group), u64::from(catalog));
    let numbers = [at.millis(), micros, units, units_from_allowance, group, catalog, service, session, request];
    let kind = KINDS.iter().position(|kind| *kind == line.kind).unwrap_or(0);
    let unit = UNITS.iter().position(|unit| *unit == line.unit_kind).unwrap_or(0);
    let mut head = Head { octets: [0; HEAD_MAX], length: 0 };
    // Four bits of the kind, on both sides of the others.
    let kind = kind & 7 | kind >> 3 << 6 | usize::from(line.detail.is_some()) << 7;
    head.put((kind | unit << 3 | usize::from(line.session_id.is_some()) << 5) as u8);
    numbers.into_iter().for_each(|number| head.number(number));
    let detail = line.detail.as_deref().unwrap_or_default();
    if line.detail.is_some() {
        head.number(detail.len() as u64);
    }
    let head = head.octets.get(..head.length).unwrap_or_default();
    let length = head.len() + texts.iter().map(|text| text.len()).sum::<usize>() + detail.len();
    if out.capacity() - out.len() < length {
        // By a half at most: doubling would leave more unused than used in most accounts.
        out.reserve_exact(length.max(out.len() / 2));
    }
    out.extend_from_slice(head);
    texts.into_iter().for_each(|text| out.extend_from_slice(text));
    out.extend_from_slice(detail);
}

/// The numbers of a line, before its length is known.
struct Head {
    octets: [u8; HEAD_MAX],
    length: usize,
}

impl Head {
    fn put(&mut self, octet: u8) {
        if let Some(place) = self.octets.get_mut(self.length) {
            *place = octet;
            self.length += 1;
        }
    }

    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.put(number as u8 | 0x80);
            number >>= 7;
        }
        self.put(number as u8);
    }
}

/// Reads what [`write`] wrote; there is nothing else to be read.
fn read<'a>(rest: &mut &'a [u8]) -> HistoryLine<'a> {
    let kinds = usize::from(octet(rest));
    let [at, micros, units, units_from_allowance, rating_group, catalog, service, session, request] =
        std::array::from_fn(|_| number(rest));
    let detail = (kinds >> 7 & 1 == 1).then(|| number(rest));
    let service = text(rest, service);
    let session = text(rest, session);
    let request = text(rest, request);
    let detail = detail.map(|length| Cow::Borrowed(text(rest, length)));
    HistoryLine {
        at: Timestamp::from_millis(at),
        kind: KINDS.get(kinds & 7 | kinds >> 3 & 8).copied().unwrap_or(HistoryKind::Usage),
        amount: Money::from_micros((micros >> 1) as i64 ^ -((micros & 1) as i64)),
        units,
        unit_kind: UNITS.get(kinds >> 3 & 3).copied().flatten(),
        units_from_allowance,
        service: Cow::Borrowed(str::from_utf8(service).unwrap_or_default()),
        rating_group: rating_group as u32,
        session_id: (kinds >> 5 & 1 == 1).then_some(Cow::Borrowed(session)),
        request_id: Cow::Borrowed(str::from_utf8(request).unwrap_or_default()),
        catalog: catalog as u32,
        detail,
    }
}

fn drop_line(rest: &mut &[u8]) {
    let kinds = octet(rest);
    let [.., service, session, request]: [u64; NUMBERS] = std::array::from_fn(|_| number(rest));
    let detail = if kinds >> 7 == 1 { number(rest) } else { 0 };
    text(rest, service + session + request + detail);
}

fn octet(rest: &mut &[u8]) -> u8 {
    rest.split_off_first().copied().unwrap_or(0)
}

fn number(rest: &mut &[u8]) -> u64 {
    let (mut number, mut shift) = (0, 0);
    loop {
        let octet = octet(rest);
        number |= u64::from(octet & 0x7f) << shift;
        shift += 7;
        if octet < 0x80 || shift > 63 {
            return number;
        }
    }
}

fn text<'a>(rest: &mut &'a [u8], length: u64) -> &'a [u8] {
    rest.split_off(..length as usize).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, option, prelude::*, sample::select};

    use super::*;

    fn numbers() -> impl Strategy<Value = u64> {
        prop_oneof![0u64..300, any::<u64>(), Just(u64::MAX)]
    }

    fn lines() -> impl Strategy<Value = HistoryLine<'static>> {
        let session_id = option::of(vec(any::<u8>(), 0..200).prop_map(Cow::Owned));
        let text = || ".{0,40}".prop_map(Cow::Owned);
        let kinds = (select(KINDS.as_slice()), select(UNITS.as_slice()));
        let amounts = (numbers(), any::<i64>(), numbers(), numbers(), any::<u32>(), any::<u32>());
        let detail = option::of(vec(any::<u8>(), 0..200).prop_map(Cow::Owned));
        (kinds, amounts, text(), session_id, text(), detail).prop_map(
            |(kinds, amounts, service, session_id, request_id, detail)| HistoryLine {
                at: Timestamp::from_millis(amounts.0),
                kind: kinds.0,
                amount: Money::from_micros(amounts.1),
                units: amounts.2,
                unit_kind: kinds.1,
                units_from_allowance: amounts.3,
                service,
                rating_group: amounts.4,
                session_id,
                request_id,
                catalog: amounts.5,
                detail,
            },
        )
    }

    proptest! {
        #[test]
        fn the_last_lines_are_kept_as_they_were(lines in vec((lines(), 0usize..6), 0..30)) {
            let (mut history, mut model) = (History::default(), Vec::new());
            for (line, keep) in &lines {
                history.push(line, *keep);
                model.push(line.clone());
                model.drain(..model.len().saturating_sub(*keep));
                prop_assert!(history.iter().eq(model.iter().cloned()));
                prop_assert_eq!(&history.iter().collect::<History>(), &history);
            }
        }
    }

    #[test]
    fn a_line_takes_no_more_than_it_must() {
        let at = Timestamp::from_secs(1_790_000_000);
        let mut history = History::default();
        let session_id = b"pgw-3.epc.example;1790000000;00000001";
        for _ in 0..100 {
            let line = HistoryLine {
                units: 5_000_000,
                unit_kind: Some(UnitKind::Octets),
                service: "internet".into(),
                rating_group: 1,
                session_id: Some(session_id.as_slice().into()),
                ..HistoryLine::money(at, HistoryKind::Usage, Money::from_micros(-50_000))
            };
            history.push(&line, 8);
        }
        let texts = "internet".len() + session_id.len();
        assert_eq!(history.octets.len(), 8 * (texts + 20));
        assert!(history.octets.capacity() <= 8 * (texts + 20) * 3 / 2, "{}", history.octets.capacity());
    }
}
