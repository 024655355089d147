//! `[zones]`: names for lists of prefixes, of networks or of numbers, which tariffs name as `zone:NAME`.

use std::collections::{BTreeMap, BTreeSet};

use super::section::{Field, Section};
use crate::rating::{
    problem::{Problems, quoted, shortened},
    tariff::Prefixes,
};

/// E.164 has no longer numbers.
pub(super) const PREFIX_DIGITS_MAX: usize = 15;

/// MCC and MNC.
const NETWORK_DIGITS_MAX: usize = 6;

/// More than there are countries.
const ZONES_MAX: usize = 500;

/// A request for a service whose tariffs name a zone is compared with all of its prefixes.
const ZONE_PREFIXES_MAX: usize = 1_000;

/// All zones by name.
#[derive(Default)]
pub(super) struct Zones<'a> {
    by_name: BTreeMap<&'a str, Prefixes>,
}

impl<'a> Zones<'a> {
    pub(super) fn read(root: &mut Section<'a>, problems: &mut Problems<'_>) -> Self {
        let mut zones = Self::default();
        let Some(mut section) = root.section("zones", "[zones]", problems) else { return zones };
        for (name, _, span) in section.entries() {
            if zones.by_name.len() == ZONES_MAX {
                problems.add(&span, format!("a catalog has at most {ZONES_MAX} zones"));
                break;
            }
            let listed = section.texts(name, problems);
            if let Some(first) = listed.get(ZONE_PREFIXES_MAX) {
                problems.add(&first.span, format!("a zone has at most {ZONE_PREFIXES_MAX} prefixes"));
            }
            zones.by_name.insert(name, prefixes(name, &listed, problems));
        }
        zones
    }

    /// What the numbers of the zone begin with that `text` names; `None` if it names none. The error says what would be right.
    pub(super) fn of_numbers(&self, text: &str) -> Option<Result<Prefixes, String>> {
        Some(self.find(text.strip_prefix("zone:")?))
    }

    /// As [`Zones::of_numbers`], for networks, whose digits are fewer.
    pub(super) fn of_networks(&self, text: &str) -> Option<Result<Prefixes, String>> {
        let zone = self.of_numbers(text)?;
        Some(zone.and_then(|zone| match zone.0.iter().find(|prefix| prefix.len() > NETWORK_DIGITS_MAX) {
            None => Ok(zone),
            Some(prefix) => Err(format!(
                "this zone has {prefix}, and a network (MCC and MNC) has at most {NETWORK_DIGITS_MAX} digits: make a zone \
                 of networks"
            )),
        }))
    }

    fn find(&self, name: &str) -> Result<Prefixes, String> {
        self.by_name.get(name).cloned().ok_or_else(|| match self.by_name.len() {
            0 => format!("there are no zones: add `[zones]` with a line such as `{} = [\"262\"]`", shortened(name)),
            _ => {
                let known: Vec<String> = self.by_name.keys().take(20).map(|name| quoted(name)).collect();
                format!("there is no such zone; known: {}", known.join(", "))
            }
        })
    }
}

/// Those that are digits, ascending.
fn prefixes(zone: &str, listed: &[Field<&str>], problems: &mut Problems<'_>) -> Prefixes {
    let mut prefixes = BTreeSet::new();
    for field in listed.iter().take(ZONE_PREFIXES_MAX) {
        let name = quoted(field.value);
        if field.value.len() > PREFIX_DIGITS_MAX || !field.value.bytes().all(|b| b.is_ascii_digit()) {
            let right = "write what MCC and MNC or numbers begin with";
            problems.add(&field.span, format!("{name}: {right}, up to {PREFIX_DIGITS_MAX} digits without `+`"));
        } else if !prefixes.insert(field.value) {
            problems.add(&field.span, format!("{name} is in this zone twice"));
        }
    }
    Prefixes(prefixes.into_iter().map(Box::from).collect(), Some(zone.into()))
}
