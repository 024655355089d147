//! `[[discount]]`: a part of the price that is taken off, for some services, at some times.

use super::{
    super::{
        hours,
        names::Names,
        section::{self, Section},
        services::Services,
    },
    terms,
};
use crate::rating::{offer::Discount, problem::Problems, settings::Settings};

/// Every rating of a request walks those of its account.
const DISCOUNTS_MAX: usize = 100;

/// All of the price, in hundredths of a percent.
const ALL: u16 = 10_000;

/// Reads all discounts, and all names, also of those that could not be read.
pub(super) fn discounts<'a>(
    root: &mut Section<'a>,
    services: &Services<'a>,
    settings: &Settings,
    problems: &mut Problems<'_>,
) -> (Vec<Discount>, Names<'a>) {
    let mut names = Names::new("a discount", DISCOUNTS_MAX);
    let mut discounts = Vec::new();
    for mut section in root.sections("discount", "[[discount]]", problems) {
        let name = section.require("name", "name = \"night-half\"", problems, section::name);
        let name = name.filter(|name| names.add(name, problems));
        let percent = section.require("percent", "percent = \"20\"", problems, terms::percent(1, ALL));
        let scope = terms::scope(&mut section, services, Some("discount"), problems);
        let hours = hours::hours(&mut section, settings, problems);
        section.finish(problems);
        let (Some(name), Some(percent)) = (name, percent) else { continue };
        discounts.push(Discount { name: name.value.into(), basis_points: percent.value, scope, hours });
    }
    (discounts, names)
}
