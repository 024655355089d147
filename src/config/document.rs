//! The file and the variables as one tree of values, each of which knows where it was written.

use std::{
    collections::HashMap,
    ops::Range,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;
use toml::{
    Spanned, Table, Value,
    de::{DeTable, DeValue},
};

use super::{
    Approval, Audit, Catalog, Config, Diameter, Environment, Events, Grpc, GrpcCaller, Http, Log, Overrides, Peer,
    Place, Problem, Records, Seed, Store, VARIABLE_PREFIX,
    problem::{line_and_column, suggestion},
};

/// A configuration before it is known to be right.
pub(super) struct Document {
    values: Table,
    /// Where the value of a path such as `diameter.peers.0.profile` was written.
    places: HashMap<String, Place>,
}

impl Document {
    /// Reads the text; an error names the place where the syntax breaks.
    pub(super) fn parse(text: &str, path: Option<&Path>) -> Result<Self, Vec<Problem>> {
        let path = path.unwrap_or(Path::new("configuration")).to_owned();
        let place = |span: Range<usize>| {
            let (line, column) = line_and_column(text, span.start);
            Place::File { path: PathBuf::clone(&path), line, column }
        };
        let syntax = |error: &toml::de::Error| Problem {
            place: place(error.span().unwrap_or_default()),
            message: error.message().trim().replace('\n', "; "),
        };
        let (tree, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            return Err(errors.iter().map(syntax).collect());
        }
        let values = text.parse::<Table>().map_err(|error| vec![syntax(&error)])?;
        let mut places = HashMap::new();
        collect_places(tree.get_ref(), "", &place, &mut places);
        Ok(Self { values, places })
    }

    /// Puts the values of variables in place of the file's.
    pub(super) fn override_from(&mut self, environment: &dyn Environment) -> Vec<Problem> {
        let mut variables: Vec<(String, Option<String>)> = environment
            .variables()
            .into_iter()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.into_string().ok()))
            .filter(|(name, _)| name.starts_with(VARIABLE_PREFIX))
            .collect();
        variables.sort();
        let mut problems = Vec::new();
        for (name, value) in variables {
            if let Err(message) = self.override_one(&name, value) {
                problems.push(Problem { place: Place::Variable(name), message });
            }
        }
        problems
    }

    fn override_one(&mut self, name: &str, value: Option<String>) -> Result<(), String> {
        let text = value.ok_or("the value is not UTF-8")?;
        let path = name[VARIABLE_PREFIX.len()..].to_lowercase();
        let schema = schema();
        let (section, key) = path.split_once("__").ok_or("write TOLLGATE__SECTION__KEY")?;
        let known = schema.get(section).and_then(Value::as_table);
        let keys =
            known.ok_or_else(|| format!("unknown section `{section}`{}", suggestion(section, names(&schema))))?;
        // A table inside a section has one more name: TOLLGATE__SECTION__TABLE__KEY.
        let inner = key.split_once("__").and_then(|(table, key)| Some((table, keys.get(table)?.as_table()?, key)));
        let (keys, key, section_name) = match inner {
            Some((table, keys, key)) => (keys, key, format!("{section}.{table}")),
            None => (keys, key, section.to_owned()),
        };
        let default = keys
            .get(key)
            .ok_or_else(|| format!("unknown key `{key}` in [{section_name}]{}", suggestion(key, names(keys))))?;
        let value = read_value(text, default);
        let mut table = self.values.entry(section).or_insert_with(|| Value::Table(Table::new())).as_table_mut();
        if let Some((name, ..)) = inner {
            let empty = || Value::Table(Table::new());
            table = table.and_then(|table| table.entry(name).or_insert_with(empty).as_table_mut());
        }
        // What is no table in the file is reported by the check of types.
        if let Some(table) = table {
            table.insert(key.to_owned(), value);
            let path = format!("{section_name}.{key}");
            self.places.retain(|known, _| !known.starts_with(&format!("{path}.")));
            self.places.insert(path, Place::Variable(name.to_owned()));
        }
        Ok(())
    }

    /// Every key that is unknown and every value of the wrong type.
    pub(super) fn check_keys_and_types(&self) -> Vec<Problem> {
        let schema = schema();
        let mut problems = Vec::new();
        for (section, value) in &self.values {
            let Some(known) = schema.get(section).and_then(Value::as_table) else {
                problems.push(self.unknown(section, section, "section", names(&schema)));
                continue;
            };
            let Some(table) = value.as_table() else {
                problems.push(self.locate(section, format!("write `[{section}]` and the keys below it")));
                continue;
            };
            for (key, value) in table {
                let path = format!("{section}.{key}");
                if !known.contains_key(key) {
                    problems.push(self.unknown(&path, key, "key", names(known)));
                } else if let Some(list) = LISTS.iter().find(|list| list.path == path) {
                    problems.extend(self.check_list(list, value));
                } else if let Some(known) = known[key].as_table() {
                    problems.extend(self.check_table(section, key, value, known));
                } else if let Err(message) = fits_section(section, key, value) {
                    problems.push(self.locate(&path, format!("`{key}`: {message}")));
                }
            }
        }
        problems
    }

    /// A table inside a section.
    fn check_table(&self, section: &str, key: &str, value: &Value, known: &Table) -> Vec<Problem> {
        let path = format!("{section}.{key}");
        let Some(table) = value.as_table() else {
            return vec![self.locate(&path, format!("write `[{path}]` and the keys below it"))];
        };
        let check = |(inner, value): (&String, &Value)| {
            let path = format!("{path}.{inner}");
            if !known.contains_key(inner) {
                return Some(self.unknown(&path, inner, "key", names(known)));
            }
            let alone = Value::Table(Table::from_iter([(inner.clone(), value.clone())]));
            fits_section(section, key, &alone).err().map(|message| self.locate(&path, format!("`{inner}`: {message}")))
        };
        table.iter().filter_map(check).collect()
    }

    fn check_list(&self, list: &List, value: &Value) -> Vec<Problem> {
        let path = list.path;
        let wrong = || {
            let key = path.rsplit('.').next().unwrap_or(path);
            self.locate(path, format!("`{key}`: write a list of tables, each `{{ {} = \"...\" }}`", list.first_key))
        };
        let Some(entries) = value.as_array() else { return vec![wrong()] };
        let mut problems = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let Some(table) = entry.as_table() else { return vec![wrong()] };
            let path = format!("{path}.{index}");
            let keys = || (list.keys)().into_iter();
            let unknown: Vec<_> = table.keys().filter(|key| keys().all(|known| known != key.as_str())).collect();
            if unknown.is_empty()
                && let Err(message) = (list.fits)(table.clone())
            {
                problems.push(self.locate(&path, format!("{} {}: {message}", list.entry, index + 1)));
            }
            problems.extend(unknown.iter().map(|key| self.unknown(&format!("{path}.{key}"), key, "key", keys())));
        }
        problems
    }

    fn unknown<'a>(&self, path: &str, name: &str, what: &str, right: impl IntoIterator<Item = &'a str>) -> Problem {
        if name == "token" || name.ends_with("_token") {
            let message = format!(
                "unknown {what} `{name}`: secrets are not written here; `{name}_file` names a file, `{name}_env` an \
                 environment variable"
            );
            return self.locate(path, message);
        }
        self.locate(path, format!("unknown {what} `{name}`{}", suggestion(name, right)))
    }

    /// The configuration, once keys and types are right.
    pub(super) fn config(&self) -> Result<Config, Problem> {
        self.values
            .clone()
            .try_into()
            .map_err(|error: toml::de::Error| Problem { place: Place::Defaults, message: error.message().to_owned() })
    }

    /// A problem at the place of a path, or of the nearest enclosing thing that was written.
    pub(super) fn locate(&self, path: &str, message: String) -> Problem {
        let mut at = path;
        loop {
            if let Some(place) = self.places.get(at) {
                return Problem { place: place.clone(), message };
            }
            match at.rsplit_once('.') {
                Some((outer, _)) => at = outer,
                None => return Problem { place: Place::Defaults, message },
            }
        }
    }
}

/// All sections and keys: the defaults, written out.
fn schema() -> Table {
    // Every key of the default configuration is a TOML value; the tests load it.
    Table::try_from(Config::default()).unwrap_or_default()
}

/// A key whose value is a list of tables.
struct List {
    path: &'static str,
    /// What an entry is called, and which key it begins with.
    entry: &'static str,
    first_key: &'static str,
    /// Keys of an entry.
    keys: fn() -> Vec<&'static str>,
    /// Whether the values of an entry have the right types.
    fits: fn(Table) -> Result<(), String>,
}

const LISTS: [List; 2] = [
    List {
        path: "diameter.peers",
        entry: "peer",
        first_key: "origin_host",
        keys: || Peer::KEYS.iter().chain(Overrides::KEYS).copied().collect(),
        fits: fits::<Peer>,
    },
    List {
        path: "grpc.caller",
        entry: "caller",
        first_key: "name",
        keys: || GrpcCaller::KEYS.to_vec(),
        fits: fits::<GrpcCaller>,
    },
];

fn names(table: &Table) -> impl Iterator<Item = &str> {
    table.keys().map(String::as_str)
}

/// A variable's value: TOML where it is TOML, plain text elsewhere and wherever the key wants text.
fn read_value(text: String, default: &Value) -> Value {
    match text.parse::<Value>() {
        Ok(value) if !default.is_str() || value.is_str() || value.is_array() => value,
        _ => Value::String(text),
    }
}

/// Whether one key of a section has the right type: a section of that key alone, all others being defaults.
fn fits_section(section: &str, key: &str, value: &Value) -> Result<(), String> {
    let alone = Table::from_iter([(key.to_owned(), value.clone())]);
    match section {
        "diameter" => fits::<Diameter>(alone),
        "grpc" => fits::<Grpc>(alone),
        "http" => fits::<Http>(alone),
        "store" => fits::<Store>(alone),
        "records" => fits::<Records>(alone),
        "audit" => fits::<Audit>(alone),
        "approval" => fits::<Approval>(alone),
        "catalog" => fits::<Catalog>(alone),
        "events" => fits::<Events>(alone),
        "seed" => fits::<Seed>(alone),
        "log" => fits::<Log>(alone),
        _ => Ok(()),
    }
}

fn fits<T: DeserializeOwned>(table: Table) -> Result<(), String> {
    table.try_into::<T>().map(drop).map_err(|error: toml::de::Error| error.message().trim().to_owned())
}

fn collect_places(
    table: &DeTable<'_>,
    prefix: &str,
    place: &dyn Fn(Range<usize>) -> Place,
    places: &mut HashMap<String, Place>,
) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.get_ref().to_string() } else { format!("{prefix}.{}", key.get_ref()) };
        places.insert(path.clone(), place(key.span()));
        collect_value(value, &path, place, places);
    }
}

fn collect_value(
    value: &Spanned<DeValue<'_>>,
    path: &str,
    place: &dyn Fn(Range<usize>) -> Place,
    places: &mut HashMap<String, Place>,
) {
    match value.get_ref() {
        DeValue::Table(table) => collect_places(table, path, place, places),
        DeValue::Array(list) => {
            for (index, element) in list.iter().enumerate() {
                let path = format!("{path}.{index}");
                places.insert(path.clone(), place(element.span()));
                collect_value(element, &path, place, places);
            }
        }
        _ => {}
    }
}
