//! Usage records as rows of a table (RFC 4180, but for lines that end in LF), and back.

use serde_json::{Map, Value};

use super::records::{RecordLine, TariffUnits};

/// The columns, in order: where they change, another file is begun. Those with `true` hold numbers.
const COLUMNS: [(&str, bool); 32] = [
    ("cursor", false),
    ("partition", true),
    ("at", false),
    ("kind", false),
    ("account", true),
    ("currency", false),
    ("debited", false),
    ("credited", false),
    ("balance", false),
    ("session_id", false),
    ("sub_session", true),
    ("context", false),
    ("origin_host", false),
    ("request_number", true),
    ("opened", false),
    ("cause", false),
    ("rating_group", true),
    ("service_identifier", true),
    ("service", false),
    ("unit", false),
    ("units", true),
    ("from_allowance", true),
    (TARIFFS, false),
    ("bucket", true),
    ("name", false),
    ("request_id", false),
    ("reason", false),
    ("catalog", true),
    ("detail", false),
    ("subscriber", false),
    ("identity", false),
    (CONDITIONS, false),
];
const TARIFFS: &str = "tariffs";
const CONDITIONS: &str = "conditions";

/// The first line of a file.
pub(super) fn head() -> String {
    format!("{},crc", COLUMNS.map(|(name, _)| name).join(","))
}

/// A line as a row.
pub(super) fn row(line: &RecordLine) -> String {
    let members = match serde_json::to_value(line) {
        Ok(Value::Object(members)) => members,
        // A struct of text and numbers is an object.
        _ => Map::new(),
    };
    let tariff = |one: &TariffUnits| format!("{}:{}", one.tariff, one.units);
    let tariffs = line.tariffs.iter().map(tariff).collect::<Vec<_>>().join(";");
    let cell = |(name, _): (&str, bool)| match members.get(name) {
        None => String::new(),
        Some(_) if name == TARIFFS => escaped(&tariffs),
        Some(Value::String(text)) => escaped(text),
        Some(other) => escaped(&other.to_string()),
    };
    let cells = COLUMNS.map(cell).join(",");
    let crc = crc32c::crc32c(cells.as_bytes());
    format!("{cells},{crc:08x}")
}

/// Whether a row fits its checksum (CRC-32C of what is before it).
pub(super) fn is_whole(row: &str) -> bool {
    without_crc(row).is_some()
}

/// A row without its last column; `None` = that does not fit. Rows from before there was a checksum have none.
fn without_crc(row: &str) -> Option<&str> {
    let has_crc = cells(row).is_some_and(|cells| cells.len() > COLUMNS.len());
    let Some((rest, crc)) = row.rsplit_once(',').filter(|_| has_crc) else { return Some(row) };
    (crc == format!("{:08x}", crc32c::crc32c(rest.as_bytes()))).then_some(rest)
}

fn escaped(text: &str) -> String {
    // A line is a row: whatever would end it does not get into it.
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// A row as a line; `None` = it is no row of this table.
pub(super) fn read(row: &str) -> Option<RecordLine> {
    let cells = cells(without_crc(row)?)?;
    if cells.len() != COLUMNS.len() {
        return None;
    }
    let mut members = Map::new();
    for ((name, is_number), cell) in COLUMNS.into_iter().zip(cells) {
        let value = match name {
            _ if cell.is_empty() => continue,
            TARIFFS => cell.split(';').map(tariff).collect::<Option<Value>>()?,
            CONDITIONS => serde_json::from_str(&cell).ok()?,
            _ if is_number => serde_json::from_str(&cell).ok().filter(Value::is_number)?,
            _ => Value::String(cell),
        };
        members.insert(name.to_owned(), value);
    }
    serde_json::from_value(Value::Object(members)).ok()
}

fn tariff(text: &str) -> Option<Value> {
    let (tariff, units) = text.rsplit_once(':')?;
    Some(serde_json::json!({ "tariff": tariff, "units": units.parse::<u64>().ok()? }))
}

/// The cells of a row; `None` = its quotes are not in pairs.
pub fn cells(row: &str) -> Option<Vec<String>> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut rest = row.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, quoted) {
            ('"', true) if rest.peek() == Some(&'"') => {
                rest.next();
                cell.push('"');
            }
            ('"', true) => quoted = false,
            ('"', false) if cell.is_empty() => quoted = true,
            ('"', false) => return None,
            (',', false) => cells.push(std::mem::take(&mut cell)),
            (c, _) => cell.push(c),
        }
    }
    cells.push(cell);
    (!quoted).then_some(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_another_table_is_none() {
        let line = RecordLine {
            cursor: "7.0".into(),
            at: "2026-01-01T00:00:00.000Z".into(),
            kind: "event".into(),
            debited: "1".into(),
            credited: "0".into(),
            reason: Some("a, \"b\"".into()),
            ..RecordLine::default()
        };
        let row = row(&line);
        assert_eq!(read(&row).as_ref(), Some(&line));
        let old = row.rsplit_once(',').unwrap().0;
        assert_eq!(read(old).as_ref(), Some(&line), "from before there was a checksum");
        assert_eq!(read(old.strip_suffix(',').unwrap()), None, "too few");
        for at in 0..row.len() {
            let mut bytes = row.clone().into_bytes();
            bytes[at] ^= 1;
            assert_eq!(String::from_utf8(bytes).ok().and_then(|row| read(&row)), None, "flipped at {at}");
        }
        assert_eq!(read(&format!("{row},")), None, "too many");
    }
}
