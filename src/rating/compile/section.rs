//! Reads a table of the catalog key by key, and notes what is wrong with each.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    rating::{
        problem::{Problems, Span, quoted, shortened},
        quantity,
    },
    units::{Money, MoneyError, UnitKind},
};

/// Names are short words, because people type them and they are stored with every balance.
const NAME_CHARS_MAX: usize = 64;

/// Lists of conditions are walked with every request that they are about.
const LIST_MAX: usize = 1_000;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Field<T> {
    pub(super) value: T,
    pub(super) span: Span,
}

/// One table: `[[service]]` and the like, or the top of the file.
pub(super) struct Section<'a> {
    /// What the table is called in messages: `[[service]]`.
    title: &'static str,
    table: &'a DeTable<'a>,
    pub(super) span: Span,
    /// The keys asked for so far: all that are allowed, when reading is done.
    known: Vec<&'a str>,
}

impl<'a> Section<'a> {
    pub(super) fn new(title: &'static str, table: &'a DeTable<'a>, span: Span) -> Self {
        Self { title, table, span, known: Vec::new() }
    }

    /// Whether the key is there, right or wrong.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The value of `key` through `read`, whose error says what would be right.
    pub(super) fn get<T>(
        &mut self,
        key: &'static str,
        problems: &mut Problems<'_>,
        read: impl FnOnce(&'a DeValue<'a>) -> Result<T, String>,
    ) -> Option<Field<T>> {
        self.known.push(key);
        let found = self.table.get(key)?;
        match read(found.get_ref()) {
            Ok(value) => Some(Field { value, span: found.span() }),
            Err(right) => {
                problems.add(&found.span(), format!("`{key} = {}`: {right}", shown(found.get_ref())));
                None
            }
        }
    }

    /// As [`Section::get`], for a key that must be there; `example` is a whole line.
    pub(super) fn require<T>(
        &mut self,
        key: &'static str,
        example: &str,
        problems: &mut Problems<'_>,
        read: impl FnOnce(&'a DeValue<'a>) -> Result<T, String>,
    ) -> Option<Field<T>> {
        if !self.has(key) {
            problems.add(&self.span, format!("{} needs `{key}`, such as `{example}`", self.title));
        }
        self.get(key, problems, read)
    }

    /// The texts of a list (or of a single text), each with its place.
    pub(super) fn texts(&mut self, key: &'a str, problems: &mut Problems<'_>) -> Vec<Field<&'a str>> {
        self.known.push(key);
        let Some(found) = self.table.get(key) else { return Vec::new() };
        let mut texts = Vec::new();
        let mut read = |item: &'a Spanned<DeValue<'a>>| match text(item.get_ref()) {
            Ok(value) => texts.push(Field { value, span: item.span() }),
            Err(right) => problems.add(&item.span(), format!("in `{key}`, {}: {right}", shown(item.get_ref()))),
        };
        match found.get_ref() {
            DeValue::Array(items) if items.is_empty() => {
                problems.add(&found.span(), format!("`{key} = []`: name at least one, or leave it out"));
            }
            DeValue::Array(items) => items.iter().for_each(read),
            _ => read(found),
        }
        texts
    }

    /// The values of a list (or a single value), each read by `read`, whose error says what would be right.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        problems: &mut Problems<'_>,
        read: impl Fn(&'a DeValue<'a>) -> Result<T, String>,
    ) -> Vec<T> {
        self.known.push(key);
        let Some(found) = self.table.get(key) else { return Vec::new() };
        let mut values = Vec::new();
        let mut take = |item: &'a Spanned<DeValue<'a>>| match read(item.get_ref()) {
            Ok(value) => values.push(value),
            Err(right) => problems.add(&item.span(), format!("in `{key}`, {}: {right}", shown(item.get_ref()))),
        };
        match found.get_ref() {
            DeValue::Array(items) if items.is_empty() => {
                problems.add(&found.span(), format!("`{key} = []`: name at least one, or leave it out"));
            }
            DeValue::Array(items) if items.len() > LIST_MAX => {
                problems.add(&found.span(), format!("`{key}` has more than {LIST_MAX} values"));
            }
            DeValue::Array(items) => items.iter().for_each(take),
            _ => take(found),
        }
        values
    }

    /// The values of a list (or a single value) as they are, each with its place.
    pub(super) fn items(&mut self, key: &'static str, problems: &mut Problems<'_>) -> Vec<(&'a DeValue<'a>, Span)> {
        self.known.push(key);
        let Some(found) = self.table.get(key) else { return Vec::new() };
        match found.get_ref() {
            DeValue::Array(items) if items.is_empty() => {
                problems.add(&found.span(), format!("`{key} = []`: name at least one, or leave it out"));
                Vec::new()
            }
            DeValue::Array(items) => items.iter().map(|item| (item.get_ref(), item.span())).collect(),
            value => vec![(value, found.span())],
        }
    }

    /// The tables of a list (or a single table), each of which looks like `example`.
    pub(super) fn tables(&mut self, key: &'static str, example: &str, problems: &mut Problems<'_>) -> Vec<Section<'a>> {
        let mut tables = Vec::new();
        for (value, span) in self.items(key, problems) {
            match value {
                DeValue::Table(table) => tables.push(Section::new(key, table, span)),
                _ => problems.add(&span, format!("in `{key}`, {}: write `{example}`", shown(value))),
            }
        }
        tables
    }

    /// The table `[key]`, if there is one.
    pub(super) fn section(
        &mut self,
        key: &'static str,
        title: &'static str,
        problems: &mut Problems<'_>,
    ) -> Option<Section<'a>> {
        self.known.push(key);
        let found = self.table.get(key)?;
        match found.get_ref() {
            DeValue::Table(table) => Some(Section::new(title, table, found.span())),
            _ => {
                problems.add(&found.span(), format!("`{key}` is a table: write `{title}`"));
                None
            }
        }
    }

    /// The tables of an array `[[key]]`.
    pub(super) fn sections(
        &mut self,
        key: &'static str,
        title: &'static str,
        problems: &mut Problems<'_>,
    ) -> Vec<Section<'a>> {
        self.known.push(key);
        let Some((name, found)) = self.table.get_key_value(key) else { return Vec::new() };
        let DeValue::Array(items) = found.get_ref() else {
            problems.add(&name.span(), format!("write `{title}` with two pairs of brackets: there may be several"));
            return Vec::new();
        };
        let mut sections = Vec::new();
        for item in items {
            match item.get_ref() {
                DeValue::Table(table) => sections.push(Section::new(title, table, item.span())),
                _ => problems.add(&item.span(), format!("`{key}` is a list of tables: write `{title}`")),
            }
        }
        sections
    }

    /// Where `key` stands, with its name.
    pub(super) fn key_span(&self, key: &str) -> Span {
        self.table.get_key_value(key).map_or(self.span.clone(), |(name, _)| name.span())
    }

    /// All keys and their values, for a table whose keys are free, with the places of the keys.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, &'a DeValue<'a>, Span)> + use<'a> {
        self.table.iter().map(|(name, value)| (&**name.get_ref(), value.get_ref(), name.span()))
    }

    /// The value of `key` as it is.
    pub(super) fn value(&self, key: &str) -> Option<&'a DeValue<'a>> {
        self.table.get(key).map(Spanned::get_ref)
    }

    /// Where the value of `key` stands.
    pub(super) fn value_span(&self, key: &str) -> Option<Span> {
        self.table.get(key).map(Spanned::span)
    }

    /// Notes every key that nothing asked for.
    pub(super) fn finish(self, problems: &mut Problems<'_>) {
        for name in self.table.keys() {
            let key: &str = name.get_ref();
            if !self.known.contains(&key) {
                let hint = problems.hint(key, self.known.iter().copied());
                problems.add(&name.span(), format!("unknown key {} in {}{hint}", quoted(key), self.title));
            }
        }
    }
}

/// The value as it may be written, shortened.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("\"{}\"", shortened(text)),
        DeValue::Integer(number) => shortened(&number.to_string()),
        DeValue::Float(number) => shortened(number.as_str()),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(moment) => moment.to_string(),
        DeValue::Array(_) => "[…]".into(),
        DeValue::Table(_) => "{…}".into(),
    }
}

/// Any text that is not empty.
pub(super) fn text<'a>(value: &'a DeValue<'a>) -> Result<&'a str, String> {
    match value {
        DeValue::String(text) if text.is_empty() => Err("must not be empty".into()),
        DeValue::String(text) => Ok(text),
        DeValue::Integer(_) | DeValue::Float(_) => Err(format!("write it in quotes: \"{}\"", shown(value))),
        _ => Err("write text in quotes".into()),
    }
}

/// A name: letters, digits, `-`, `_` and `.`, without spaces.
pub(super) fn name<'a>(value: &'a DeValue<'a>) -> Result<&'a str, String> {
    let name = text(value)?;
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if !plain || name.len() > NAME_CHARS_MAX {
        return Err(format!(
            "a name has up to {NAME_CHARS_MAX} letters (a to z), digits, `-`, `_` or `.`, and no spaces"
        ));
    }
    Ok(name)
}

/// `true` or `false`.
pub(super) fn truth(value: &DeValue<'_>) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| "write true or false, without quotes".into())
}

/// A whole number from `least` to `most`.
pub(super) fn number(least: u32, most: u32) -> impl FnOnce(&DeValue<'_>) -> Result<u32, String> {
    move |value| {
        let read = value.as_integer().and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok());
        read.filter(|number| (least..=most).contains(number))
            .ok_or_else(|| format!("write a whole number from {least} to {most}, without quotes"))
    }
}

/// A quantity of any kind.
pub(super) fn quantity(value: &DeValue<'_>) -> Result<(UnitKind, u64), String> {
    match value {
        DeValue::String(text) => quantity::read(text),
        _ => Err(format!("write {}", quantity::EXPECTED)),
    }
}

/// A length of time from `least` seconds to what 32 bits hold.
pub(super) fn duration(least: u64) -> impl FnOnce(&DeValue<'_>) -> Result<u32, String> {
    move |value| {
        let expected = format!("write a time of at least {least} s, such as \"1 h\" (s, min, h or d)");
        match quantity(value) {
            // A quantity is never nothing; a time may be, where it switches something off.
            _ if least == 0 && value.as_str() == Some("0 s") => Ok(0),
            Ok((UnitKind::Seconds, secs)) if secs >= least => u32::try_from(secs).map_err(|_| expected),
            _ => Err(expected),
        }
    }
}

/// An amount of money, of either sign.
pub(super) fn money(value: &DeValue<'_>) -> Result<Money, String> {
    let text = text(value)?;
    text.parse().map_err(|error: MoneyError| error.to_string())
}
