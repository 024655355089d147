//! `[[context]]`: which requests the catalog is about.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::section::{self, Field, Section};
use crate::rating::{
    catalog::{ContextTable, specification_number},
    failure::{FailurePolicy, OnFailure},
    problem::{Problems, Span, quoted},
    service::{ContextId, Service},
    settings::{ContextSettings, Domain},
};

/// More contexts than 3GPP has numbers and an operator has systems.
const CONTEXTS_MAX: usize = 1_000;

/// A Service-Context-Id has a handful of elements; this bounds what each request is compared with.
const CONTEXT_NAME_OCTETS_MAX: usize = 255;

/// The contexts as read. [`ContextId`]s count the sections of the text.
#[derive(Default)]
pub(super) struct Contexts<'a> {
    pub(super) list: Vec<ContextText<'a>>,
    by_name: BTreeMap<&'a str, (ContextId, Span)>,
    pub(super) table: ContextTable,
}

/// What of a context waits for the services to be read.
pub(super) struct ContextText<'a> {
    /// Empty if it is missing, wrong or taken.
    pub(super) name: &'a str,
    pub(super) span: Span,
    pub(super) default: Option<Field<&'a str>>,
    pub(super) fallback: Option<Field<&'a str>>,
    pub(super) failure: FailurePolicy,
    domain: Option<Domain>,
    /// One of its names is of a specification of calls.
    calls: bool,
}

impl<'a> Contexts<'a> {
    pub(super) fn read(root: &mut Section<'a>, problems: &mut Problems<'_>) -> Self {
        let sections = root.sections("context", "[[context]]", problems);
        if sections.is_empty() {
            problems
                .add(&root.span, "a catalog needs at least one [[context]] with services, to which requests belong");
        }
        let mut contexts = Self::default();
        let mut names = Names::default();
        for mut section in sections {
            if contexts.list.len() == CONTEXTS_MAX {
                problems.add(&section.span, format!("a catalog has at most {CONTEXTS_MAX} contexts"));
                break;
            }
            // At most CONTEXTS_MAX, which fits.
            let id = ContextId(contexts.list.len() as u16);
            let name = section.require("name", "name = \"data\"", problems, section::name);
            let name = name.filter(|name| contexts.declare(id, name, problems));
            let (by_rule, exact) = (section.texts("service_context_id", problems), section.texts("aliases", problems));
            if !section.has("service_context_id") && !section.has("aliases") {
                let example = "service_context_id = \"32251@3gpp.org\"";
                problems.add(
                    &section.span,
                    format!("[[context]] needs `{example}` or `aliases`, or no request reaches it"),
                );
            }
            by_rule.iter().for_each(|name| names.add(id, name, true, problems));
            exact.iter().for_each(|name| names.add(id, name, false, problems));
            let numbers = || by_rule.iter().chain(&exact).filter_map(|name| specification_number(name.value));
            let domains = || numbers().filter_map(Domain::of_specification);
            let domain = section.get("domain", problems, domain).map(|field| field.value).or_else(|| domains().next());
            let calls = domains().chain(domain).any(Domain::has_calls);
            let default = section.get("default_service", problems, section::name);
            let fallback = section.get("fallback_service", problems, section::name);
            let (span, name) = (section.span.clone(), name.map_or("", |name| name.value));
            let failure = failure_policy(&mut section, problems);
            contexts.list.push(ContextText { name, span, default, fallback, failure, domain, calls });
            section.finish(problems);
        }
        contexts.table = names.table();
        contexts
    }

    /// What requests of each context are read for.
    pub(super) fn settings(&self, services: &[Service]) -> Vec<ContextSettings> {
        let of_context = |(index, context): (usize, &ContextText<'_>)| {
            let mut services = services.iter().filter(|service| usize::from(service.context.0) == index);
            let priced = services.any(|service| service.tariffs.as_deref().is_some_and(|it| it.read_attributes()));
            ContextSettings { domain: context.domain, priced_by_attributes: priced, calls: context.calls }
        };
        self.list.iter().enumerate().map(of_context).collect()
    }

    /// The context with this name.
    pub(super) fn find(&self, name: &str) -> Option<ContextId> {
        self.by_name.get(name).map(|(id, _)| *id)
    }

    /// The names that there are.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.by_name.keys().copied()
    }

    /// Whether the name is new.
    fn declare(&mut self, id: ContextId, name: &Field<&'a str>, problems: &mut Problems<'_>) -> bool {
        if let Some((_, first)) = self.by_name.get(name.value) {
            let line = problems.line(first);
            problems.add(&name.span, format!("line {line} has a context {} already", quoted(name.value)));
            return false;
        }
        self.by_name.insert(name.value, (id, name.span.clone()));
        true
    }
}

/// What clients are told to do when they cannot reach us (spec C-150..C-154).
fn failure_policy(section: &mut Section<'_>, problems: &mut Problems<'_>) -> FailurePolicy {
    let handling = section.get("failure_handling", problems, |value| match section::text(value)? {
        "terminate" => Ok(OnFailure::Terminate),
        "continue" => Ok(OnFailure::Continue),
        "retry-and-terminate" => Ok(OnFailure::RetryAndTerminate),
        _ => Err("write \"terminate\", \"continue\" or \"retry-and-terminate\"".into()),
    });
    let failover = section.get("session_failover", problems, section::truth);
    let debiting = section.get("direct_debiting_failure_handling", problems, |value| match section::text(value)? {
        "terminate-or-buffer" => Ok(false),
        "continue" => Ok(true),
        _ => Err("write \"terminate-or-buffer\" or \"continue\"".into()),
    });
    FailurePolicy {
        handling: handling.map_or(OnFailure::default(), |field| field.value),
        session_failover: failover.is_some_and(|field| field.value),
        direct_debiting_continue: debiting.map(|field| field.value),
    }
}

/// The Service-Context-Ids of all contexts.
#[derive(Default)]
struct Names<'a> {
    by_text: BTreeMap<&'a str, Span>,
    exact: Vec<(Box<str>, ContextId)>,
    numbers: Vec<([u8; 5], ContextId)>,
}

impl<'a> Names<'a> {
    /// Adds a name: `by_rule`, a bare `NNNNN@3gpp.org` stands for all that end in it.
    fn add(&mut self, id: ContextId, name: &Field<&'a str>, by_rule: bool, problems: &mut Problems<'_>) {
        let text = name.value;
        if text.len() > CONTEXT_NAME_OCTETS_MAX || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            let right = format!("a Service-Context-Id has up to {CONTEXT_NAME_OCTETS_MAX} octets and no spaces");
            problems.add(&name.span, format!("{}: {right}", quoted(text)));
            return;
        }
        if let Some(first) = self.by_text.get(text) {
            let line = problems.line(first);
            problems
                .add(&name.span, format!("line {line} names {} already: a name leads to one context", quoted(text)));
            return;
        }
        self.by_text.insert(text, name.span.clone());
        let number = specification_number(text).filter(|number| by_rule && text == bare(*number));
        self.numbers.extend(number.map(|number| (number, id)));
        // Most send the bare name, which is found sooner as it stands.
        self.exact.push((text.into(), id));
    }

    fn table(mut self) -> ContextTable {
        self.exact.sort_by(|(a, _), (b, _)| a.len().cmp(&b.len()).then_with(|| a.as_bytes().cmp(b.as_bytes())));
        self.numbers.sort();
        ContextTable { exact: self.exact, numbers: self.numbers }
    }
}

/// What the requests of a context with names of its own are about.
fn domain(value: &DeValue<'_>) -> Result<Domain, String> {
    match section::text(value)? {
        "ps" => Ok(Domain::Ps),
        "ims" => Ok(Domain::Ims),
        "sms" => Ok(Domain::Sms),
        "mms" => Ok(Domain::Mms),
        "vcs" => Ok(Domain::Vcs),
        _ => Err("write \"ps\", \"ims\", \"sms\", \"mms\" or \"vcs\"".into()),
    }
}

/// `NNNNN@3gpp.org` in the one spelling that stands for the rule.
fn bare(number: [u8; 5]) -> String {
    format!("{}@3gpp.org", String::from_utf8_lossy(&number))
}
