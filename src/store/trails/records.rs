//! Usage records as lines, written and read back.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::{
    ConditionsLine, Cursor, Disk, JournalError, LineKind, LineReader, Position, RecordFormat, Rotation, Sink, hex,
    table,
};
use crate::{
    charging::{ClosingCause, EventAction, HistoryKind, Measure, Record, RecordKind, UsedService, User},
    ids::{Identity, PartitionId},
    journal::{
        FileDisk,
        lines::{Line, LineFiles},
    },
    rating::Attributes,
    time::Timestamp,
    units::Money,
};

/// What names of the files begin with.
const STEM: &str = "usage";

/// What waits to become a line.
#[derive(Debug)]
pub(super) enum Item {
    Record(PartitionId, Record),
    /// Nothing was kept of what a partition had moved until then.
    Begin {
        at: Timestamp,
        partition: PartitionId,
        debited: i128,
        credited: i128,
    },
}

/// A line: the columns of the table, and the members of the JSON object. Money is a decimal number as text, moments are
/// UTC; what does not apply is left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordLine {
    /// Grows strictly.
    pub cursor: String,
    /// The partition of the store that the account lives in.
    pub partition: u16,
    /// When it was settled.
    pub at: String,
    /// `session`, `event`, `refund`, `late`, `orphan`; `opening`, `top_up`, `adjustment`, `allowance`; `begin` = records
    /// were not kept before: how much had been settled by then.
    pub kind: String,
    /// Who paid.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub account: Option<u64>,
    /// ISO 4217 code.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub currency: Option<String>,
    /// Money that left the account.
    pub debited: String,
    /// Money that came in.
    pub credited: String,
    /// Money of the account afterwards.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub balance: Option<String>,
    /// Session-Id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub session_id: Option<String>,
    /// CC-Sub-Session-Id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sub_session: Option<u64>,
    /// Service-Context-Id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub context: Option<String>,
    /// Origin-Host of the client.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub origin_host: Option<String>,
    /// CC-Request-Number, where there is no session.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request_number: Option<u32>,
    /// When the session opened.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub opened: Option<String>,
    /// Why it ended: `terminated`, `refused`, `expired`, `lost`, `main_ended`, `client_restarted`, `withdrawn`; `partial` = the
    /// session goes on, and another record tells what comes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cause: Option<String>,
    /// Rating-Group.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rating_group: Option<u32>,
    /// Service-Identifier.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub service_identifier: Option<u32>,
    /// The service of the catalog.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub service: Option<String>,
    /// What is counted: `octets`, `seconds`, `events`; `money` = micro-units that the network element rated itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unit: Option<String>,
    /// Units used, or given back; of an allowance those given.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub units: Option<i64>,
    /// The part that allowances paid for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from_allowance: Option<u64>,
    /// Units charged to money, by tariff. In a table: `name:units;name:units`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub tariffs: Vec<TariffUnits>,
    /// The bucket that changed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bucket: Option<u32>,
    /// Name of the allowance.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// The caller's idempotency key.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request_id: Option<String>,
    /// Why, for adjustments.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// The version of the catalog that it was last rated by.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub catalog: Option<u32>,
    /// What it is made of, where that is more than the record says: the compact form of `charging::Detail`, in hexadecimal
    /// digits. `tollgate explain --record CURSOR` reads it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
    /// Who used it: the subscriber's id in the account.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub subscriber: Option<String>,
    /// The first identity of that subscriber, such as its MSISDN.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub identity: Option<String>,
    /// What a price may depend on, as far as it is known. In a table: the same JSON object.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub conditions: Option<Box<ConditionsLine>>,
}

/// Units that a tariff was charged for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TariffUnits {
    /// The tariff; empty = the service's own price.
    pub tariff: String,
    /// Units.
    pub units: u64,
}

/// Writes lines of one or both formats.
pub(super) struct RecordSink<D: Disk> {
    json: Option<LineFiles<D>>,
    csv: Option<LineFiles<D>>,
}

impl<D: Disk> RecordSink<D> {
    /// Opens the files. `durable` = lines up to this record were all in them once.
    pub(super) fn open(
        disk: &D,
        format: RecordFormat,
        rotation: Rotation,
        durable: Position,
    ) -> Result<Self, JournalError> {
        let open = |wanted: bool, kind: LineKind| {
            wanted.then(|| LineFiles::open(disk.clone(), kind, rotation, durable)).transpose()
        };
        Ok(Self { json: open(format != RecordFormat::Csv, json())?, csv: open(format != RecordFormat::Json, csv())? })
    }
}

impl<D: Disk> Sink<Item> for RecordSink<D> {
    fn write(&mut self, items: &[(Cursor, Item)]) -> Result<(), JournalError> {
        let lines: Vec<_> = items.iter().map(|(cursor, item)| (*cursor, at(item), line_of(*cursor, item))).collect();
        let formats = [(&mut self.json, to_json as fn(&RecordLine) -> String), (&mut self.csv, table::row)];
        for (files, write) in formats {
            let Some(files) = files else { continue };
            let line = |(cursor, at, line): &(_, _, _)| Line { cursor: *cursor, at: *at, text: write(line) };
            files.write(&lines.iter().map(line).collect::<Vec<_>>())?;
        }
        Ok(())
    }

    fn last(&self) -> Option<Cursor> {
        let last = [&self.json, &self.csv].into_iter().flatten().map(LineFiles::last);
        last.min().flatten()
    }
}

/// All that there may be.
pub(super) fn kinds() -> [LineKind; 2] {
    [json(), csv()]
}

fn json() -> LineKind {
    LineKind { stem: STEM, extension: "jsonl", header: None, is_whole: |text| without_crc(text).is_some() }
}

fn csv() -> LineKind {
    LineKind { stem: STEM, extension: "csv", header: Some(table::head()), is_whole: |text| table::is_whole(text) }
}

fn to_json(line: &RecordLine) -> String {
    // Text, numbers and lists of them: nothing that JSON could not hold.
    let mut text = serde_json::to_string(line).unwrap_or_default();
    let crc = crc32c::crc32c(text.as_bytes());
    text.pop();
    format!("{text}{CRC}{crc:08x}\"}}")
}

/// The last member of a line: the checksum (CRC-32C) of the line without it.
const CRC: &str = ",\"crc\":\"";

/// The line without its checksum; `None` = it does not fit that. Lines from before there was one have none.
fn without_crc(text: &str) -> Option<String> {
    let Some((members, crc)) = text.rsplit_once(CRC) else { return Some(text.to_owned()) };
    let line = format!("{members}}}");
    (crc == format!("{:08x}\"}}", crc32c::crc32c(line.as_bytes()))).then_some(line)
}

fn at(item: &Item) -> Timestamp {
    match item {
        Item::Record(_, record) => record.at,
        Item::Begin { at, .. } => *at,
    }
}

fn line_of(cursor: Cursor, item: &Item) -> RecordLine {
    let begun = RecordLine { cursor: cursor.to_string(), at: at(item).to_string(), ..RecordLine::default() };
    let (partition, record) = match item {
        Item::Begin { partition, debited, credited, .. } => {
            let (debited, credited) = (decimal(*debited), decimal(*credited));
            return RecordLine { partition: partition.0, kind: "begin".into(), debited, credited, ..begun };
        }
        Item::Record(partition, record) => (partition, record),
    };
    let line = RecordLine {
        partition: partition.0,
        account: record.payer.map(|payer| payer.account.0),
        currency: record.payer.map(|payer| payer.currency.code().to_owned()),
        debited: record.debited().to_string(),
        credited: record.credited().to_string(),
        balance: record.payer.map(|payer| payer.balance.to_string()),
        ..begun
    };
    match &record.kind {
        RecordKind::Usage(usage) => RecordLine {
            kind: "session".into(),
            session_id: text(&usage.session_id.to_string()),
            sub_session: some(usage.sub_session),
            context: text(&usage.context),
            origin_host: text(&usage.origin_host),
            opened: Some(usage.opened.to_string()),
            cause: Some(usage.cause.map_or("partial", cause).into()),
            conditions: conditions(usage.attributes.as_deref()),
            ..with_service(with_user(line, usage.user.as_ref()), &usage.service)
        },
        RecordKind::Event(event) => RecordLine {
            kind: if event.action == EventAction::Refund { "refund" } else { "event" }.into(),
            session_id: text(&event.session_id.to_string()),
            sub_session: some(event.sub_session),
            request_number: Some(event.number),
            context: text(&event.context),
            conditions: conditions(event.attributes.as_deref()),
            ..with_service(with_user(line, event.user.as_ref()), &event.service)
        },
        RecordKind::Late(late) => RecordLine {
            kind: if late.charged { "late" } else { "orphan" }.into(),
            session_id: text(&late.session_id.to_string()),
            sub_session: some(late.sub_session),
            context: text(&late.context),
            request_number: Some(late.number),
            ..with_service(line, &late.service)
        },
        RecordKind::Account(change) => RecordLine {
            kind: match change.kind {
                HistoryKind::Opening => "opening",
                HistoryKind::TopUp => "top_up",
                HistoryKind::Allowance => "allowance",
                HistoryKind::Fee => "fee",
                HistoryKind::Gift => "gift",
                HistoryKind::RollOver => "roll_over",
                HistoryKind::Expired => "expired",
                HistoryKind::TransferOut => "transfer_out",
                HistoryKind::TransferIn => "transfer_in",
                HistoryKind::Voucher => "voucher",
                HistoryKind::Adjustment | HistoryKind::Usage | HistoryKind::Refund | HistoryKind::Change => {
                    "adjustment"
                }
            }
            .into(),
            unit: (change.measure != Measure::Money).then(|| unit(change.measure).to_owned()),
            units: (change.measure != Measure::Money).then_some(change.amount),
            bucket: Some(change.bucket.0),
            name: text(&change.name),
            request_id: text(&change.request_id),
            reason: text(&change.reason),
            catalog: Some(change.catalog).filter(|number| *number != 0),
            detail: change.detail.as_ref().map(|detail| hex(&detail.write())),
            ..line
        },
    }
}

fn with_service(line: RecordLine, used: &UsedService) -> RecordLine {
    let tariff = |(name, units): &(Option<_>, u64)| TariffUnits {
        tariff: name.as_ref().map_or_else(String::new, |name: &std::sync::Arc<str>| name.to_string()),
        units: *units,
    };
    RecordLine {
        rating_group: used.key.rating_group,
        service_identifier: used.key.service_identifier,
        service: text(&used.service),
        unit: Some(unit(used.measure).to_owned()),
        // No meter counts so far; what does is cut off at the end of the range.
        units: Some(i64::try_from(used.used).unwrap_or(i64::MAX)),
        from_allowance: some(used.from_allowance),
        tariffs: used.rated.iter().map(tariff).collect(),
        catalog: Some(used.catalog).filter(|number| *number != 0),
        detail: used.breakdown.as_ref().map(|breakdown| hex(&breakdown.write())),
        ..line
    }
}

fn with_user(line: RecordLine, user: Option<&User>) -> RecordLine {
    let identity = user.and_then(|user| user.identity.as_ref());
    RecordLine {
        subscriber: user.and_then(|user| text(&user.subscriber)),
        identity: identity.map(Identity::text),
        ..line
    }
}

fn conditions(told: Option<&Attributes>) -> Option<Box<ConditionsLine>> {
    told.map(|told| Box::new(told.into()))
}

fn some(number: u64) -> Option<u64> {
    (number != 0).then_some(number)
}

fn text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn unit(measure: Measure) -> &'static str {
    match measure {
        Measure::Units(kind) => kind.name(),
        Measure::Money => "money",
    }
}

fn cause(cause: ClosingCause) -> &'static str {
    match cause {
        ClosingCause::Terminated => "terminated",
        ClosingCause::Refused => "refused",
        ClosingCause::Expired => "expired",
        ClosingCause::Lost => "lost",
        ClosingCause::MainEnded => "main_ended",
        ClosingCause::ClientRestarted => "client_restarted",
        ClosingCause::Withdrawn => "withdrawn",
    }
}

/// Micro-units as a decimal number, whatever their size.
pub(super) fn decimal(micros: i128) -> String {
    match i64::try_from(micros) {
        Ok(micros) => Money::from_micros(micros).to_string(),
        Err(_) => {
            let (sign, size) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
            format!("{sign}{}.{:06}", size / 1_000_000, size % 1_000_000)
        }
    }
}

/// The reverse of [`decimal`].
pub(in crate::store) fn micros(text: &str) -> Option<i128> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|octet| octet.is_ascii_digit());
    if whole.is_empty() || fraction.len() > 6 || !plain(whole) || !plain(fraction) {
        return None;
    }
    let whole: i128 = whole.parse().ok()?;
    let fraction: i128 = format!("{fraction:0<6}").parse().ok()?;
    whole.checked_mul(1_000_000)?.checked_add(fraction).map(|size| sign * size)
}

/// Which lines are wanted; `None` = any.
#[derive(Debug, Clone, Default)]
pub struct RecordFilter {
    /// Of this account.
    pub account: Option<u64>,
    /// Settled at this moment or later.
    pub from: Option<Timestamp>,
    /// Settled before this moment.
    pub to: Option<Timestamp>,
    /// About this service of the catalog.
    pub service: Option<String>,
}

impl RecordFilter {
    fn takes(&self, line: &RecordLine) -> bool {
        // As text, moments are in the order of time.
        self.account.is_none_or(|account| line.account == Some(account))
            && self.from.is_none_or(|from| line.at >= from.to_string())
            && self.to.is_none_or(|to| line.at < to.to_string())
            && self.service.as_ref().is_none_or(|service| line.service.as_ref() == Some(service))
            && line.kind != "begin"
    }
}

/// Files of usage records, for reading.
#[derive(Debug, Clone)]
pub struct RecordFiles<D: Disk = FileDisk> {
    disk: D,
}

impl RecordFiles {
    /// Those in a directory, whether or not a server writes to it.
    pub fn look(directory: &std::path::Path) -> Self {
        Self { disk: FileDisk::look(directory) }
    }
}

impl<D: Disk> RecordFiles<D> {
    pub(super) fn new(disk: D) -> Self {
        Self { disk }
    }

    /// Lines after a cursor, at most `limit`, and whether there may be more.
    ///
    /// # Errors
    /// The disk refused, or there is a line that is none.
    pub fn page(
        &self,
        filter: &RecordFilter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<(Vec<RecordLine>, bool), JournalError> {
        let mut found = Vec::new();
        let mut more = false;
        self.visit(after, &mut |_, line| {
            if filter.takes(&line) {
                more = found.len() == limit;
                if more {
                    return ControlFlow::Break(());
                }
                found.push(line);
            }
            ControlFlow::Continue(())
        })?;
        Ok((found, more))
    }

    /// Whether all rows of tables are as they were written, where there are tables beside the JSON.
    pub(in crate::store) fn check_tables(&self) -> Result<(), JournalError> {
        let mut bad = None;
        LineReader::new(&self.disk, csv()).visit(None, &mut |file, cursor, text| match table::read(text) {
            Some(_) => ControlFlow::Continue(()),
            None => {
                bad = Some(JournalError::rejected(cursor.position, format!("{file}: no usage record: {text}")));
                ControlFlow::Break(())
            }
        })?;
        bad.map_or(Ok(()), Err)
    }

    /// Visits all lines after a cursor. JSON is read where there is both.
    pub(in crate::store) fn visit(
        &self,
        after: Option<Cursor>,
        visit: &mut dyn FnMut(Cursor, RecordLine) -> ControlFlow<()>,
    ) -> Result<(), JournalError> {
        let reader = LineReader::new(&self.disk, json());
        let is_json = !reader.names()?.is_empty();
        let reader = if is_json { reader } else { LineReader::new(&self.disk, csv()) };
        let mut bad = None;
        reader.visit(after, &mut |file, cursor, text| {
            let read = |text: String| serde_json::from_str(&text).ok();
            let line = if is_json { without_crc(text).and_then(read) } else { table::read(text) };
            match line {
                Some(line) => visit(cursor, line),
                None => {
                    bad = Some(JournalError::rejected(cursor.position, format!("{file}: no usage record: {text}")));
                    ControlFlow::Break(())
                }
            }
        })?;
        bad.map_or(Ok(()), Err)
    }
}
