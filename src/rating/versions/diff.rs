//! What is different between two catalogs, for people. By their texts, so that nothing a catalog can say is left out.

use std::collections::BTreeMap;

use toml::{Table, Value};

/// Differences that are told; of more, how many they are.
const DIFFERENCES_MAX: usize = 1_000;

/// The differences between two catalogs, a line each: `service internet: price "0.01" -> "0.02"`. Empty if they say the same,
/// however they are written.
pub fn differences(old: &str, new: &str) -> Vec<String> {
    // Both were compiled once. What is no TOML any more has nothing in it.
    let read = |text: &str| text.parse::<Table>().unwrap_or_default();
    let mut found = Vec::new();
    tables("", &read(old), &read(new), &mut found);
    if found.len() > DIFFERENCES_MAX {
        let more = found.len() - DIFFERENCES_MAX;
        found.truncate(DIFFERENCES_MAX);
        found.push(format!("and {more} more"));
    }
    found
}

fn tables(place: &str, old: &Table, new: &Table, found: &mut Vec<String>) {
    let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for key in keys {
        match (old.get(key), new.get(key)) {
            (Some(old), Some(new)) if old == new => {}
            (Some(Value::Table(old)), Some(Value::Table(new))) => tables(&format!("{place}{key}: "), old, new, found),
            (old, new) if [old, new].into_iter().flatten().all(is_sections) => {
                sections(place, key, entries(old), entries(new), found);
            }
            (Some(old), Some(new)) => found.push(format!("{place}{key} {old} -> {new}")),
            (Some(old), None) => found.push(format!("{place}{key} {old} removed")),
            (None, Some(new)) => found.push(format!("{place}{key} {new} added")),
            (None, None) => {}
        }
    }
}

/// `[[service]]` and its like: told apart by their names, or else by their places.
fn sections(place: &str, kind: &str, old: Vec<&Table>, new: Vec<&Table>, found: &mut Vec<String>) {
    let (old, new) = (named(&old), named(&new));
    for (name, table) in &old {
        match new.get(name) {
            Some(other) => tables(&format!("{place}{kind} {name}: "), table, other, found),
            None => found.push(format!("{place}{kind} {name} removed")),
        }
    }
    for (name, table) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
        let terms: Vec<String> = table.iter().map(|(key, value)| format!("{key} = {value}")).collect();
        found.push(format!("{place}{kind} {name} added: {}", terms.join(", ")));
    }
}

fn named<'t>(list: &[&'t Table]) -> BTreeMap<String, &'t Table> {
    let mut named = BTreeMap::new();
    for (index, table) in list.iter().enumerate() {
        let text = |key: &str| table.get(key).and_then(Value::as_str);
        let name = match (text("service"), text("name")) {
            // A tariff's name is its service's own.
            (Some(service), Some(name)) => format!("{service}/{name}"),
            (_, Some(name)) => name.to_owned(),
            _ => format!("#{}", index + 1),
        };
        // The name of two is no name.
        let name = if named.contains_key(&name) { format!("{name} #{}", index + 1) } else { name };
        named.insert(name, *table);
    }
    named
}

fn is_sections(value: &Value) -> bool {
    value.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(Value::is_table))
}

fn entries(value: Option<&Value>) -> Vec<&Table> {
    value.and_then(Value::as_array).map_or_else(Vec::new, |list| list.iter().filter_map(Value::as_table).collect())
}
