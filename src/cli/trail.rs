//! What verbs about trails (usage records, the audit trail) and lists have in common: spans of time, cursors, pages.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use crate::{store::Cursor, time::Timestamp};

/// Items asked for at a time.
const PAGE_SIZE: u32 = 500;

/// Which lines of a trail, and where they are read.
#[derive(Debug, Clone, Args)]
pub(super) struct Part {
    #[command(flatten)]
    span: Span,
    /// After this cursor
    #[arg(long, default_value = "", hide_default_value = true, value_name = "CURSOR")]
    after: String,
    /// At most so many
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    pub(super) limit: usize,
    /// Read the files in this directory instead of asking the server
    #[arg(long, value_name = "DIR")]
    pub(super) directory: Option<PathBuf>,
}

/// A span of time.
#[derive(Debug, Clone, Args)]
pub(super) struct Span {
    /// From this moment on, such as 2026-01-31 or 2026-01-31T12:00:00Z (UTC)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<Timestamp>,
    /// Before this moment
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Option<Timestamp>,
}

impl Span {
    /// As the messages have it: milliseconds, 0 = any.
    pub(super) fn millis(&self) -> [i64; 2] {
        [self.from, self.to].map(|at| at.map_or(0, |at| i64::try_from(at.millis()).unwrap_or(i64::MAX)))
    }
}

impl Part {
    /// See [`Span::millis`].
    pub(super) fn millis(&self) -> [i64; 2] {
        self.span.millis()
    }

    pub(super) fn ends(&self) -> [Option<Timestamp>; 2] {
        [self.span.from, self.span.to]
    }

    pub(super) fn cursor(&self) -> anyhow::Result<Option<Cursor>> {
        (!self.after.is_empty()).then(|| self.after.parse()).transpose().context("--after")
    }

    /// Asks for its lines, page by page.
    pub(super) async fn ask<T>(
        &self,
        page: impl AsyncFnMut(u32, String) -> anyhow::Result<(Vec<T>, String)>,
    ) -> anyhow::Result<Vec<T>> {
        pages(self.limit, self.after.clone(), page).await
    }
}

/// Asks for at most `limit` items, page by page, from a page token on. `page` asks for so many after a token, and tells the
/// next one.
pub(super) async fn pages<T>(
    limit: usize,
    mut token: String,
    mut page: impl AsyncFnMut(u32, String) -> anyhow::Result<(Vec<T>, String)>,
) -> anyhow::Result<Vec<T>> {
    let mut items = Vec::new();
    loop {
        let size = u32::try_from(limit - items.len()).unwrap_or(u32::MAX).min(PAGE_SIZE);
        if size == 0 {
            return Ok(items);
        }
        let (more, next) = page(size, token).await?;
        items.extend(more);
        // A server may tell more than it was asked for.
        items.truncate(limit);
        if next.is_empty() {
            return Ok(items);
        }
        token = next;
    }
}

/// A day or a second (UTC): when it begins, and when the next one does; in milliseconds.
pub(super) fn day_or_second(text: &str) -> Result<(u64, u64), String> {
    let from = moment(text)?.millis();
    let length = if text.parse::<jiff::Timestamp>().is_ok() { 1_000 } else { 86_400_000 };
    Ok((from, from.saturating_add(length)))
}

/// A moment as people write it: a date, or a date and time, UTC unless it says another offset.
pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    let date = || text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    let at = text.parse::<jiff::Timestamp>().ok().or_else(|| date().map(|date| date.timestamp()));
    let millis = at.and_then(|at| u64::try_from(at.as_millisecond()).ok());
    millis
        .map(Timestamp::from_millis)
        .ok_or_else(|| format!("`{text}` is no moment: write 2026-01-31 or 2026-01-31T12:00:00+08:00"))
}
