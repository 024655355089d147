//! Names of things of one kind, which must differ, and which other sections refer to.

use std::collections::BTreeMap;

use super::section::{Field, Section};
use crate::rating::problem::{Problems, Span, quoted};

/// The names of all things of one kind.
pub(super) struct Names<'a> {
    /// With its article: `a limit`.
    what: &'static str,
    most: usize,
    seen: BTreeMap<&'a str, Span>,
}

impl<'a> Names<'a> {
    pub(super) fn new(what: &'static str, most: usize) -> Self {
        Self { what, most, seen: BTreeMap::new() }
    }

    /// Whether the name is new, and there is room for it.
    pub(super) fn add(&mut self, name: &Field<&'a str>, problems: &mut Problems<'_>) -> bool {
        if let Some(first) = self.seen.get(name.value) {
            let line = problems.line(first);
            problems.add(&name.span, format!("line {line} has {} {} already", self.what, quoted(name.value)));
            return false;
        }
        if self.seen.len() == self.most {
            problems.add(&name.span, format!("a catalog has at most {} of these", self.most));
            return false;
        }
        self.seen.insert(name.value, name.span.clone());
        true
    }

    /// Whether there is such a thing, also if the rest of it could not be read; if not, that is a problem of `name`.
    pub(super) fn find(&self, name: &Field<&str>, problems: &mut Problems<'_>) -> bool {
        let found = self.seen.contains_key(name.value);
        if !found {
            let kind = self.what.split_once(' ').map_or(self.what, |(_, kind)| kind);
            let hint = match self.seen.len() {
                0 => format!("; there are none: add a [[{kind}]] with this name"),
                _ => problems.hint(name.value, self.seen.keys().copied()),
            };
            problems.add(&name.span, format!("there is no {kind} {}{hint}", quoted(name.value)));
        }
        found
    }

    /// The names that a list of `section` refers to: each known, each once, at most `most`.
    pub(super) fn list(
        &self,
        section: &mut Section<'a>,
        key: &'static str,
        most: usize,
        problems: &mut Problems<'_>,
    ) -> Vec<Field<&'a str>> {
        let listed = section.texts(key, problems);
        if let Some(first) = listed.get(most) {
            problems.add(&first.span, format!("`{key}` names at most {most}"));
            return Vec::new();
        }
        let mut fields: Vec<Field<&str>> = Vec::new();
        for field in listed {
            if fields.iter().any(|known| known.value == field.value) {
                problems.add(&field.span, format!("{} is named twice in `{key}`", quoted(field.value)));
            } else if self.find(&field, problems) {
                fields.push(field);
            }
        }
        fields
    }
}
