//! Each rule that concerns this server has a test that names it, and the table of them is up to date.
//!
//! `tests/it/rules/rules.tsv` lists the rules: id, status, title, and why it does not apply. The numbers are those of the
//! reference that the code cites: B (base protocol), C (credit control), G (3GPP), I (real clients); with V a test vector,
//! with F a worked flow. Y (Sy) is no part of this product yet. A test names the rules that it checks directly above
//! itself, `// tests: C-34, B-12`; so does a case of the charging tables, `# tests: C-34`.
//!
//! `UPDATE_RULES=1 cargo test --test it rules` writes `tests/it/rules/coverage.md`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// Tests that are skipped where a recording or another program is not there: none of them is the only test of a rule.
const SOMETIMES_SKIPPED: &[&str] = &[
    "tests/it/captures.rs",
    "tests/it/erlang.rs",
    "tests/it/external.rs",
    "tests/it/freediameter.rs",
    "tests/it/worked_flows.rs",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Applicable,
    NotApplicable,
}

#[derive(Debug)]
struct Rule {
    id: String,
    status: Status,
    title: String,
    /// Why it does not apply.
    reason: String,
}

/// A rule that a test names.
#[derive(Debug)]
struct Mark {
    rule: String,
    /// Below the top level.
    file: String,
    /// The function, or the case of a table.
    test: String,
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn list_file() -> PathBuf {
    top().join("tests/it/rules/rules.tsv")
}

fn table_file() -> PathBuf {
    top().join("tests/it/rules/coverage.md")
}

/// Whether a word has the form of a rule's id: `B-12`, `C-F3`, `G-V20`.
fn is_id(word: &str) -> bool {
    let Some((letter, number)) = word.split_once('-') else { return false };
    let number = number.strip_prefix(['V', 'F']).unwrap_or(number);
    matches!(letter, "B" | "C" | "G" | "I" | "Y") && !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit())
}

fn rules() -> Vec<Rule> {
    let text = fs::read_to_string(list_file()).unwrap();
    let rules = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let [id, status, title, reason] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("`{line}` has not four columns");
        };
        let status = match status {
            "applicable" => Status::Applicable,
            "not-applicable" => Status::NotApplicable,
            _ => panic!("{id}: `{status}` is no status"),
        };
        assert!(is_id(id), "`{id}` is no rule");
        assert!(!title.is_empty() && title.len() <= 80, "{id} needs a short title");
        assert_eq!(
            status == Status::NotApplicable,
            !reason.is_empty(),
            "{id}: a reason says why a rule does not apply"
        );
        Rule { id: id.into(), status, title: title.into(), reason: reason.into() }
    });
    rules.collect()
}

/// Every file below `directory` whose name ends so.
fn files(directory: &Path, ends: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ends));
        } else if path.extension().is_some_and(|extension| ends.iter().any(|end| extension == *end)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The rules that a mark names; anything else in it is an error.
fn named(words: &str, at: &str) -> Vec<String> {
    let words = words.split([' ', ',', '(', ')', ';']).filter(|word| !word.is_empty());
    words.inspect(|word| assert!(is_id(word), "{at}: `{word}` is no rule")).map(str::to_owned).collect()
}

/// The test below a mark: attributes and comments may stand between, and one of them makes it a test.
fn test_below<'a>(lines: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut is_test = false;
    for line in lines.map(str::trim_start) {
        if line.starts_with("#[") {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            if line.starts_with("#[ignore") {
                return None;
            }
        } else if !line.starts_with("//") {
            let name = line.trim_start_matches("async ").strip_prefix("fn ")?;
            return Some(name.split(['(', '<']).next().unwrap_or(name)).filter(|_| is_test);
        }
    }
    None
}

fn marks() -> Vec<Mark> {
    let mut marks = Vec::new();
    for directory in ["src", "tests/it"] {
        for path in files(&top().join(directory), &["rs", "txt"]) {
            let file = path.strip_prefix(top()).unwrap().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).unwrap();
            let is_table = file.ends_with(".txt");
            let prefix = if is_table { "# tests:" } else { "// tests:" };
            for (number, line) in text.lines().enumerate() {
                let Some(words) = line.trim_start().strip_prefix(prefix) else { continue };
                let at = format!("{file}:{}", number + 1);
                let mut below = text.lines().skip(number + 1);
                let test = if is_table {
                    below.next().and_then(|line| line.strip_prefix("= ")).map(str::trim)
                } else {
                    test_below(below)
                };
                let test = test.unwrap_or_else(|| panic!("{at}: the mark is not directly above a test that runs"));
                let rules = named(words, &at);
                assert!(!rules.is_empty(), "{at}: the mark names nothing");
                marks.extend(rules.into_iter().map(|rule| Mark { rule, file: file.clone(), test: test.into() }));
            }
        }
    }
    marks
}

/// What is wrong with the list and the tests together.
fn complaints(rules: &[Rule], marks: &[Mark]) -> Vec<String> {
    let mut wrong = Vec::new();
    let known: BTreeMap<&str, &Rule> = rules.iter().map(|rule| (rule.id.as_str(), rule)).collect();
    if known.len() != rules.len() {
        wrong.push("a rule is listed twice".to_owned());
    }
    for Mark { rule, file, test } in marks {
        match known.get(rule.as_str()) {
            None => wrong.push(format!("{file}:{test} names {rule}, which is no rule")),
            Some(rule) if rule.status == Status::NotApplicable => {
                wrong.push(format!("{file}:{test} names {}, which is listed as not applicable", rule.id));
            }
            Some(_) => {}
        }
    }
    for rule in rules {
        let mut tests = marks.iter().filter(|mark| mark.rule == rule.id);
        let always = tests.any(|mark| !SOMETIMES_SKIPPED.contains(&mark.file.as_str()));
        if rule.status == Status::Applicable && !always {
            wrong.push(format!("{} ({}) applies and has no test that always runs", rule.id, rule.title));
        }
    }
    wrong
}

/// The table, as people read it.
fn table(rules: &[Rule], marks: &[Mark]) -> String {
    let count = |status| rules.iter().filter(|rule| rule.status == status).count();
    let mut out = format!(
        "# Rules and the tests that name them\n\n\
         Made by `UPDATE_RULES=1 cargo test --test it rules`; the list is `rules.tsv`. Rules of Sy (Y) are not here: Sy is no\n\
         part of this product yet.\n\n\
         {} rules apply and are tested, {} do not apply.\n",
        count(Status::Applicable),
        count(Status::NotApplicable),
    );
    let chapters = [("B", "Base protocol"), ("C", "Credit control"), ("G", "3GPP"), ("I", "Real clients")];
    for (letter, title) in chapters {
        let _ =
            write!(out, "\n## {title}\n\n| rule | title | tests, or why it does not apply |\n| --- | --- | --- |\n");
        for rule in rules.iter().filter(|rule| rule.id.starts_with(letter)) {
            let tests: BTreeSet<String> = marks
                .iter()
                .filter(|mark| mark.rule == rule.id)
                .map(|mark| format!("{}:{}", mark.file, mark.test.replace('|', "/")))
                .collect();
            let tests = tests.into_iter().collect::<Vec<_>>().join("<br>");
            let last = match rule.status {
                Status::NotApplicable => format!("does not apply: {}", rule.reason),
                Status::Applicable => tests,
            };
            let _ = writeln!(out, "| {} | {} | {last} |", rule.id, rule.title.replace('|', "/"));
        }
    }
    out
}

#[test]
fn every_rule_that_applies_has_a_test() {
    let (rules, marks) = (rules(), marks());
    if std::env::var_os("UPDATE_RULES").is_some() {
        fs::write(table_file(), table(&rules, &marks)).unwrap();
    }
    let wrong = complaints(&rules, &marks);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let written = fs::read_to_string(table_file()).unwrap_or_default();
    assert!(
        written == table(&rules, &marks),
        "tests/it/rules/coverage.md is out of date: UPDATE_RULES=1 cargo test --test it rules"
    );
}

/// The id that a line of the reference defines: in bold, in the first column of a table, or at the start of a list's item.
fn defined(line: &str) -> Option<&str> {
    let line = line.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches('.').trim_start();
    let rest = ["- **", "**", "| ", "- "].iter().find_map(|start| line.strip_prefix(start))?;
    rest.split([' ', '*']).next().filter(|word| is_id(word))
}

/// The reference lies beside the checkout where it is written; elsewhere this is skipped.
#[test]
fn the_list_has_every_rule_of_the_reference() {
    let directory = top().join("../shared/spec");
    if !directory.is_dir() {
        eprintln!("skipped: {} is not there", directory.display());
        return;
    }
    let mut reference = BTreeSet::new();
    for path in files(&directory, &["md"]) {
        let text = fs::read_to_string(path).unwrap();
        reference.extend(text.lines().filter_map(defined).filter(|id| !id.starts_with('Y')).map(str::to_owned));
    }
    let listed: BTreeSet<String> = rules().into_iter().map(|rule| rule.id).collect();
    let of = |some: &BTreeSet<String>, others| some.difference(others).cloned().collect::<Vec<_>>().join(" ");
    let (gone, new) = (of(&listed, &reference), of(&reference, &listed));
    assert!(gone.is_empty() && new.is_empty(), "listed, but no rule: {gone}; rules that are not listed: {new}");
}

/// The checks above do find what they are for.
#[test]
fn what_is_wrong_is_found() {
    let rule = |id: &str, status| Rule { id: id.into(), status, title: "a rule".into(), reason: String::new() };
    let mark = |rule: &str, file: &str| Mark { rule: rule.into(), file: file.into(), test: "a_test".into() };
    let rules = [rule("B-1", Status::Applicable), rule("B-2", Status::NotApplicable)];
    assert!(complaints(&rules, &[mark("B-1", "src/a.rs")]).is_empty());
    for wrong in [
        vec![],
        vec![mark("B-1", "tests/it/captures.rs")],
        vec![mark("B-1", "src/a.rs"), mark("B-2", "src/a.rs")],
        vec![mark("B-1", "src/a.rs"), mark("B-3", "src/a.rs")],
    ] {
        assert_eq!(complaints(&rules, &wrong).len(), 1, "{wrong:?}");
    }
    assert!(["B-1", "C-F12", "G-V20", "I-15"].iter().all(|word| is_id(word)));
    assert!(["B1", "B-", "B-V", "D-1", "B-1.", "b-1", "C-1x"].iter().all(|word| !is_id(word)));
    let below = |text: &'static str| test_below(text.lines());
    assert_eq!(below("/// Words.\n#[tokio::test]\nasync fn it_works() {"), Some("it_works"));
    assert_eq!(below("#[test]\nfn it_works<T>() {"), Some("it_works"));
    assert_eq!(below("fn helper() {"), None);
    assert_eq!(below("#[test]\n#[ignore]\nfn it_works() {"), None);
    assert_eq!(below("#[test]\n\nlet x = 1;"), None);
}
