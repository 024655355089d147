//! What verbs write: JSON objects, one a line, or text for people.

use std::{
    fmt,
    io::{self, Write},
};

use serde_json::Value;

use crate::{api::v1, time::Timestamp};

/// Whoever read standard output has stopped, as `| head` does: there is no more to do, and nothing is wrong.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("nobody reads the output any more")]
pub struct OutputClosed;

/// Writes a line to standard output. `println!` would panic when nobody reads it any more.
///
/// # Errors
/// [`OutputClosed`], or the line could not be written.
pub fn say(line: impl fmt::Display) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => OutputClosed.into(),
        _ => anyhow::Error::new(error).context("writing to standard output"),
    })
}

/// Whoever read the output of a verb has seen enough, as with `| head`: nothing is wrong.
pub(super) fn unless_closed(done: anyhow::Result<()>) -> anyhow::Result<()> {
    let enough = |error: &anyhow::Error| {
        error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    done.or_else(|error| if enough(&error) { Ok(()) } else { Err(error) })
}

/// Writes a line to standard error, as well as that goes: there is nobody else to tell.
pub fn complain(line: impl fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Where a verb writes.
pub(super) struct Output<'o> {
    out: &'o mut dyn Write,
    json: bool,
}

impl<'o> Output<'o> {
    pub(super) fn new(out: &'o mut dyn Write, json: bool) -> Self {
        Self { out, json }
    }

    /// One object: as JSON, or as text.
    pub(super) fn object(&mut self, json: impl FnOnce() -> Value, text: impl FnOnce() -> String) -> io::Result<()> {
        let line = if self.json { json().to_string() } else { text() };
        writeln!(self.out, "{line}")?;
        // Streams are followed as they come.
        self.out.flush()
    }

    /// A list: as JSON one object a line, or as a table.
    pub(super) fn list<T>(
        &mut self,
        items: &[T],
        json: impl Fn(&T) -> Value,
        head: &[&str],
        row: impl Fn(&T) -> Vec<String>,
    ) -> io::Result<()> {
        if self.json {
            return items.iter().try_for_each(|item| writeln!(self.out, "{}", json(item)));
        }
        let rows: Vec<Vec<String>> = items.iter().map(row).collect();
        write!(self.out, "{}", table(head, &rows))
    }
}

/// A table with columns as wide as they need to be; the last is not padded.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let cell = |row: &[String], column: usize| row.get(column).map_or(0, |cell| cell.chars().count());
    let width = |column: usize| {
        let widest = rows.iter().map(|row| cell(row, column)).max().unwrap_or(0);
        widest.max(head[column].chars().count())
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let head: Vec<String> = head.iter().map(|&title| title.to_owned()).collect();
    let mut text = String::new();
    for row in std::iter::once(&head).chain(rows) {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

pub(super) fn money(money: Option<&v1::Money>) -> String {
    money.map_or_else(String::new, |money| format!("{} {}", money.amount, money.currency))
}

pub(super) fn unit_name(kind: v1::UnitKind) -> &'static str {
    match kind {
        v1::UnitKind::Unspecified => "units",
        v1::UnitKind::Octets => "octets",
        v1::UnitKind::Seconds => "seconds",
        v1::UnitKind::Events => "events",
    }
}

pub(super) fn units(units: Option<&v1::Units>) -> String {
    units.map_or_else(String::new, |units| format!("{} {}", units.amount, unit_name(units.kind())))
}

/// Milliseconds since 1970 as UTC.
pub(super) fn moment(millis: i64) -> String {
    Timestamp::from_millis(u64::try_from(millis).unwrap_or(0)).to_string()
}
