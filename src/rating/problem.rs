//! What is wrong in a catalog's text, with its place and a way to put it right.

use std::{fmt, ops::Range};

/// A catalog with more problems than this shows the first ones: nobody reads more before mending those.
const PROBLEMS_MAX: usize = 100;

/// More than this is not even noted, which bounds the work on a catalog that is wrong everywhere.
const NOTED_MAX: usize = 1_000;

/// A hint is looked for among this many known words.
const HINT_WORDS_MAX: usize = 1_000;

/// Text of the catalog is quoted in messages up to this many characters.
const QUOTE_CHARS_MAX: usize = 40;

/// Something wrong in a catalog's text, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The line, from 1.
    pub line: u32,
    /// The character in the line, from 1.
    pub column: u32,
    /// What is wrong and what would be right; one line.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

/// A range of octets of the text.
pub(super) type Span = Range<usize>;

/// Gathers problems while a text is read.
pub(super) struct Problems<'t> {
    text: &'t str,
    /// Where each line begins.
    lines: Vec<usize>,
    found: Vec<Problem>,
}

impl<'t> Problems<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, lines, found: Vec::new() }
    }

    /// Notes a problem with the text that begins at `span`.
    pub(super) fn add(&mut self, span: &Span, message: impl Into<String>) {
        if self.found.len() == NOTED_MAX {
            return;
        }
        let (line, column) = self.place(span);
        self.found.push(Problem { line, column, message: message.into() });
    }

    /// The line of `span`, from 1.
    pub(super) fn line(&self, span: &Span) -> u32 {
        u32::try_from(self.line_index(span)).unwrap_or(u32::MAX)
    }

    /// `; did you mean ...?` if one of the `known` is close to `word`, else a list of them if it is short, else
    /// nothing.
    pub(super) fn hint<'k>(&self, word: &str, known: impl IntoIterator<Item = &'k str>) -> String {
        if self.found.len() >= PROBLEMS_MAX { String::new() } else { hint(word, known) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All of them in order of place, up to [`PROBLEMS_MAX`].
    pub(super) fn finish(mut self) -> Vec<Problem> {
        self.found.sort();
        self.found.dedup();
        self.found.truncate(PROBLEMS_MAX);
        self.found
    }

    /// The line, from 1: the first begins at 0, so at least one does not begin after `span`.
    fn line_index(&self, span: &Span) -> usize {
        self.lines.partition_point(|start| *start <= span.start).max(1)
    }

    fn place(&self, span: &Span) -> (u32, u32) {
        let at = span.start.min(self.text.len());
        let line = self.line_index(span);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        let before = self.text.get(start..at).map_or(at - start, |text| text.chars().count());
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        (narrow(line), narrow(before + 1))
    }
}

/// The text between back quotes, control characters escaped and not too long.
pub(super) fn quoted(text: &str) -> String {
    format!("`{}`", shortened(text))
}

/// The text with control characters escaped and not too long.
pub(super) fn shortened(text: &str) -> String {
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    let mut short: String = text.chars().take(QUOTE_CHARS_MAX).map(escape).collect();
    if text.chars().nth(QUOTE_CHARS_MAX).is_some() {
        short.push('…');
    }
    short
}

fn hint<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    let known: Vec<&str> = known.into_iter().take(HINT_WORDS_MAX).collect();
    let closest = known.iter().map(|candidate| (distance(word, candidate), candidate)).min();
    match closest {
        Some((steps, candidate)) if steps <= 1 + candidate.len() / 4 => {
            format!("; did you mean {}?", quoted(candidate))
        }
        _ if (1..=20).contains(&known.len()) => {
            let list: Vec<String> = known.iter().map(|candidate| quoted(candidate)).collect();
            format!("; known: {}", list.join(", "))
        }
        _ => String::new(),
    }
}

/// How many characters must be put in, taken out or replaced to make one word the other (Levenshtein). Words are
/// compared up to [`QUOTE_CHARS_MAX`] characters, which bounds the work.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(QUOTE_CHARS_MAX).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().take(QUOTE_CHARS_MAX).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (to, above) in b.iter().zip(row.iter_mut().skip(1)) {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = *above;
            left = replaced.min(left + 1).min(*above + 1);
            *above = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}
