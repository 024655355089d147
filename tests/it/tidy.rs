//! The house is as `src/ARCHITECTURE.md` says: who may know whom.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Modules of the crate that each module may name, besides itself and the vocabulary.
const MAY_USE: &[(&str, &[&str])] = &[
    ("diameter", &[]),
    ("rating", &[]),
    ("charging", &["rating"]),
    ("mapping", &["diameter", "charging", "rating", "journal"]),
    ("journal", &["charging", "rating"]),
    ("store", &["charging", "rating", "journal"]),
    ("config", &["rating"]),
    ("telemetry", &["config", "journal", "store", "charging", "rating"]),
    ("server", &["diameter", "rating", "charging", "mapping", "journal", "store", "config", "telemetry"]),
    ("api", &["charging", "rating", "journal", "store", "config", "telemetry"]),
    ("load", &["diameter"]),
    ("bench", &["diameter", "charging", "rating", "mapping", "journal", "store", "telemetry", "load"]),
    ("cli", &["diameter", "charging", "rating", "journal", "store", "config", "api", "app", "telemetry"]),
];
const VOCABULARY: &[&str] = &["units", "ids", "time", "few"];

/// Crates that a module must not name: what it has no business with.
const MUST_NOT_USE: &[(&str, &[&str])] = &[
    ("diameter", &["tokio", "tonic", "metrics", "tracing", "prost", "dashmap"]),
    ("rating", &["tokio", "tonic", "metrics", "tracing", "prost", "dashmap"]),
    ("charging", &["tokio", "tonic", "metrics", "tracing", "prost", "dashmap", "rust_decimal", "std::sync::Mutex"]),
    ("mapping", &["tokio", "tonic", "metrics", "tracing", "prost", "dashmap"]),
    ("journal", &["metrics", "tracing", "dashmap"]),
    ("store", &["tonic", "metrics", "tracing"]),
    ("config", &["tokio", "tonic", "metrics"]),
];

/// What nobody but the named modules may do.
const ONLY: &[(&str, &[&str])] = &[
    ("SystemTime", &["time", "load", "journal", "telemetry", "api", "cli"]),
    ("std::fs", &["journal", "config", "cli", "app", "load", "bench", "telemetry"]),
    ("DashMap", &["store", "server"]),
    ("ArcSwap", &["store", "telemetry"]),
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The part of a file that is not tests and not comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("").to_owned();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Files of the crate that are compiled into the product: all but those behind `#[cfg(test)] mod name;`.
fn product(directory: &Path) -> Vec<PathBuf> {
    let all = files(directory);
    let mut tests: Vec<PathBuf> = Vec::new();
    for path in files(&source()) {
        let text = fs::read_to_string(&path).unwrap();
        let mut lines = text.lines().map(str::trim);
        while let Some(line) = lines.next() {
            let declared = if line == "#[cfg(test)]" { lines.next() } else { None };
            let Some(name) = declared.and_then(|line| line.split_once("mod ")?.1.strip_suffix(';')) else { continue };
            let parent = path.parent().unwrap();
            let stem = path.file_stem().unwrap().to_str().unwrap();
            let base = if matches!(stem, "mod" | "lib" | "main") { parent.to_owned() } else { parent.join(stem) };
            tests.extend([base.join(format!("{name}.rs")), base.join(name)]);
        }
    }
    all.into_iter().filter(|path| !tests.iter().any(|test| path.starts_with(test))).collect()
}

/// Names that follow `crate::` in a text, also inside `use crate::{a, b::c}`.
fn crate_names(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 1;
            let mut item = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 1 => {
                        names.insert(first(&item));
                        item.clear();
                        continue;
                    }
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
                item.push(c);
            }
            names.insert(first(&item));
        } else {
            names.insert(first(rest));
        }
    }
    names.remove("");
    names
}

fn first(path: &str) -> String {
    path.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn the_arrows_between_modules_are_those_of_the_table() {
    let mut wrong = Vec::new();
    for (module, allowed) in MAY_USE {
        let files = product(&source().join(module));
        assert!(!files.is_empty(), "{module} is gone");
        for path in &files {
            for name in crate_names(&code(path)) {
                let known = name == *module || allowed.contains(&name.as_str()) || VOCABULARY.contains(&name.as_str());
                if !known {
                    wrong.push(format!("{}: {module} must not know {name}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

// tests: G-162
#[test]
fn modules_keep_to_their_crates() {
    let mut wrong = Vec::new();
    for (module, forbidden) in MUST_NOT_USE {
        for path in &product(&source().join(module)) {
            let code = code(path);
            for name in *forbidden {
                if code.contains(&format!("{name}::")) || code.contains(&format!("use {name};")) {
                    wrong.push(format!("{}: {module} must not use {name}", path.display()));
                }
            }
        }
    }
    for (name, allowed) in ONLY {
        for path in &product(&source()) {
            let module = path.strip_prefix(source()).unwrap().components().next().unwrap();
            let module = module.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned();
            if !allowed.contains(&module.as_str()) && code(path).contains(name) {
                wrong.push(format!("{}: only {allowed:?} may use {name}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_top_level_is_what_it_should_be() {
    let expected = ["Cargo.toml", "Cargo.lock", "src", "proto", "config", "benches", "tests", "docker", "README.md"];
    for entry in fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        let generated = matches!(name.as_str(), "target" | "data" | "proptest-regressions");
        assert!(
            name.starts_with('.') || generated || expected.contains(&name.as_str()),
            "{name} is not part of the house"
        );
    }
}

/// What a caller changes is audited: the API changes nothing by itself.
#[test]
fn the_api_changes_data_only_in_the_name_of_its_caller() {
    let changes = ["account_command", "credit", "create_subscriber", "session_command", "forget_consumer"];
    let mut by_caller = 0;
    for path in product(&source().join("api")) {
        let code: String = code(&path).split_whitespace().collect();
        for change in changes {
            assert!(!code.contains(&format!("store.{change}(")), "{}: {change} without a caller", path.display());
        }
        by_caller += code.matches("self.by(").count();
    }
    assert!(by_caller >= 6, "only {by_caller} calls change data");
}

/// A tool that was forgotten, a float for money, a panic by intention: none of them in the product.
#[test]
fn nothing_forbidden_is_in_the_source() {
    let mut wrong = Vec::new();
    for path in &product(&source()) {
        let module = path.strip_prefix(source()).unwrap().to_string_lossy().into_owned();
        for (number, line) in code(path).lines().enumerate() {
            let floats = ["charging", "rating", "mapping", "units"].iter().any(|m| module.starts_with(m));
            if floats && (line.contains("f64") || line.contains("f32")) {
                wrong.push(format!("{}:{}: a float near money", path.display(), number + 1));
            }
            for word in ["todo!(", "unimplemented!(", "dbg!(", ".unwrap()", "panic!("] {
                if line.contains(word) {
                    wrong.push(format!("{}:{}: {word}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
