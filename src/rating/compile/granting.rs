//! The keys of `[[service]]` that say how quota is handed out, beyond price and slice.

use std::sync::Arc;

use toml::de::DeValue;

use super::section::{self, Field, Section};
use crate::{
    rating::{
        filter_rule,
        problem::Problems,
        service::{Announcement, EnvelopeReporting, FinalAction, TimeMechanism},
    },
    units::UnitKind,
};

/// Redirect-Server-Address goes into every answer that carries it.
const REDIRECT_OCTETS_MAX: usize = 255;
/// Restriction rules, and filter names, of one service: they go into every answer that restricts.
const RESTRICTIONS_MAX: usize = 16;
/// One restriction rule, or the name of a filter.
const RESTRICTION_OCTETS_MAX: usize = 255;
/// Cost-Unit: a word.
const COST_UNIT_OCTETS_MAX: usize = 32;

/// What these keys say.
pub(super) struct Granting {
    pub(super) minimum_grant: u64,
    pub(super) slice_max: Option<u64>,
    pub(super) quota_holding_secs: Option<u32>,
    pub(super) consumption_secs: Option<u32>,
    pub(super) time_mechanism: Option<TimeMechanism>,
    pub(super) envelopes: Option<EnvelopeReporting>,
    pub(super) final_action: FinalAction,
    pub(super) pool: Option<Field<u32>>,
    pub(super) announcement: Option<Announcement>,
    pub(super) cost_unit: Option<Arc<str>>,
}

impl Granting {
    /// Reads them for a service that counts `kind`, as far as that is known, in slices of `slice`.
    pub(super) fn read(
        section: &mut Section<'_>,
        kind: Option<UnitKind>,
        slice: Option<u64>,
        problems: &mut Problems<'_>,
    ) -> Self {
        let minimum = section.get("minimum_grant", problems, section::quantity);
        let most = section.get("slice_max", problems, section::quantity);
        for (key, field) in [("minimum_grant", &minimum), ("slice_max", &most)] {
            let Some(field) = field else { continue };
            if let Some(kind) = kind.filter(|kind| *kind != field.value.0) {
                let other = field.value.0;
                problems.add(&field.span, format!("`{key}` counts {other} and the price counts {kind}"));
            }
        }
        if let (Some(most), Some(slice)) = (&most, slice)
            && most.value.1 < slice
        {
            problems.add(&most.span, "`slice_max` is less than `slice`, from which grants grow");
        }
        if let (Some(minimum), Some(slice)) = (&minimum, slice)
            && minimum.value.1 > slice
        {
            problems.add(&minimum.span, "`minimum_grant` is more than `slice`: nothing would ever be granted");
        }
        let quota_holding_secs = section.get("quota_holding", problems, section::duration(0)).map(|field| field.value);
        let (consumption_secs, time_mechanism) = time(section, kind, problems);
        let envelopes = section.get("envelopes", problems, envelopes).map(|field| field.value);
        let final_action = final_action(section, problems);
        let pool = section.get("pool", problems, section::number(0, u32::MAX));
        let announcement = announcement(section, problems);
        let cost_unit = section.get("cost_unit", problems, cost_unit).map(|field| field.value);
        Self {
            minimum_grant: minimum.map_or(0, |field| field.value.1),
            slice_max: most.map(|field| field.value.1),
            quota_holding_secs,
            consumption_secs,
            time_mechanism,
            envelopes,
            final_action,
            pool,
            announcement,
            cost_unit,
        }
    }
}

/// How time is consumed (spec G-65, G-70): the one or the other way, and only where time is counted.
fn time(
    section: &mut Section<'_>,
    kind: Option<UnitKind>,
    problems: &mut Problems<'_>,
) -> (Option<u32>, Option<TimeMechanism>) {
    let consumption = section.get("consumption_time", problems, section::duration(0));
    let continuous = section.get("time_quota", problems, |value| match section::text(value)? {
        "discrete" => Ok(false),
        "continuous" => Ok(true),
        _ => Err("write \"discrete\" or \"continuous\"".into()),
    });
    let base = section.get("base_interval", problems, section::duration(1));
    if section.has("time_quota") != section.has("base_interval") {
        let right = "`time_quota` and `base_interval` go together, such as `time_quota = \"discrete\"` with \
                     `base_interval = \"1 min\"`";
        problems.add(&section.span, right);
    }
    if let (Some(consumption), true) = (&consumption, section.has("time_quota")) {
        problems.add(&consumption.span, "`time_quota` takes the place of `consumption_time`: take one out");
    }
    for key in ["consumption_time", "time_quota"] {
        if section.has(key) && kind.is_some_and(|kind| kind != UnitKind::Seconds) {
            problems.add(&section.key_span(key), format!("`{key}` is for services that count time"));
        }
    }
    let mechanism = continuous.zip(base);
    let mechanism = mechanism.map(|(kind, base)| TimeMechanism { continuous: kind.value, base_secs: base.value });
    (consumption.map(|field| field.value), mechanism)
}

fn envelopes(value: &DeValue<'_>) -> Result<EnvelopeReporting, String> {
    match section::text(value)? {
        "plain" => Ok(EnvelopeReporting::Plain),
        "volume" => Ok(EnvelopeReporting::Volume),
        "events" => Ok(EnvelopeReporting::Events),
        "both" => Ok(EnvelopeReporting::Both),
        _ => Err("write \"plain\", \"volume\", \"events\" or \"both\"".into()),
    }
}

/// What comes after the final units: one thing (spec C-80).
fn final_action(section: &mut Section<'_>, problems: &mut Problems<'_>) -> FinalAction {
    let redirect = section.get("redirect_to", problems, redirect);
    let rules = section.texts("restrict_to", problems);
    let filters = section.texts("restrict_filters", problems);
    for rule in &rules {
        if rule.value.len() > RESTRICTION_OCTETS_MAX {
            problems.add(&rule.span, format!("a rule has at most {RESTRICTION_OCTETS_MAX} octets"));
        } else if let Err(problem) = filter_rule::check(rule.value) {
            problems.add(&rule.span, format!("in `restrict_to`: {problem}"));
        }
    }
    for filter in filters.iter().filter(|filter| filter.value.len() > RESTRICTION_OCTETS_MAX) {
        problems.add(&filter.span, format!("the name of a filter has at most {RESTRICTION_OCTETS_MAX} octets"));
    }
    for list in [&rules, &filters] {
        if let Some(first) = list.get(RESTRICTIONS_MAX) {
            problems.add(&first.span, format!("a service has at most {RESTRICTIONS_MAX} of these"));
        }
    }
    let restricts = section.has("restrict_to") || section.has("restrict_filters");
    if restricts && section.has("redirect_to") {
        let message = "a user is redirected or restricted, not both: `redirect_to`, or `restrict_to` with \
                       `restrict_filters`";
        problems.add(&section.key_span("redirect_to"), message);
    }
    match redirect {
        Some(redirect) => redirect.value,
        None if restricts => {
            let texts = |list: Vec<Field<&str>>| list.into_iter().map(|field| Arc::from(field.value)).collect();
            FinalAction::Restrict { rules: texts(rules), filters: texts(filters) }
        }
        None => FinalAction::Terminate,
    }
}

/// Where the user is sent.
fn redirect(value: &DeValue<'_>) -> Result<FinalAction, String> {
    let address = section::text(value)?;
    if address.len() > REDIRECT_OCTETS_MAX || !address.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(format!("write a URL, SIP URI or IP address of up to {REDIRECT_OCTETS_MAX} ASCII characters"));
    }
    Ok(FinalAction::Redirect { address: Arc::from(address) })
}

/// What is played when the final units end (spec G-88).
fn announcement(section: &mut Section<'_>, problems: &mut Problems<'_>) -> Option<Announcement> {
    let id = section.get("announcement", problems, section::number(0, u32::MAX));
    let before = section.get("announcement_before_end", problems, section::duration(0));
    if let (Some(before), false) = (&before, section.has("announcement")) {
        problems.add(&before.span, "`announcement_before_end` says when: `announcement = 1` says what is played");
    }
    let before_end_secs = before.map_or(0, |field| field.value);
    Some(Announcement { id: id?.value, before_end_secs })
}

fn cost_unit(value: &DeValue<'_>) -> Result<Arc<str>, String> {
    let text = section::text(value)?;
    if text.len() > COST_UNIT_OCTETS_MAX {
        return Err(format!("write a word of up to {COST_UNIT_OCTETS_MAX} octets, such as \"minute\""));
    }
    Ok(Arc::from(text))
}
