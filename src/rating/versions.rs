//! Versions of the price list: each is in force from its activation until that of the next one.

mod diff;

use std::{iter, sync::Arc};

pub use self::diff::differences;
use super::{Catalog, Problem};
use crate::time::Timestamp;

/// Versions that are kept although nobody goes by them any more, for explanations and comparisons: with a new one every
/// day, those of longer than a year, in which a charge may be disputed.
pub const VERSIONS_KEPT: usize = 400;

/// What sessions that run when a version comes into force go by from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunningSessions {
    /// The version that they have, to their end.
    Finish,
    /// The new version, from their next request on. What they were granted before is charged as it was granted.
    Change,
}

/// A price list that was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Counted from 1 and never used twice.
    pub number: u32,
    /// The catalog, as it was written.
    pub text: Arc<str>,
    /// When it was published.
    pub published: Timestamp,
    /// When it comes into force.
    pub activates: Timestamp,
    /// What becomes of running sessions then.
    pub sessions: RunningSessions,
    /// Who published it.
    pub by: Box<str>,
    /// Why.
    pub reason: Box<str>,
    /// The caller's idempotency key; empty = it came from the configured file.
    pub request_id: Box<str>,
    /// When it was withdrawn: it never comes into force.
    pub withdrawn: Option<Timestamp>,
}

impl Publication {
    /// Whether it came from the configured file.
    pub fn is_from_file(&self) -> bool {
        self.request_id.is_empty()
    }

    /// Whether it has yet to come into force.
    pub fn is_pending(&self, now: Timestamp) -> bool {
        self.withdrawn.is_none() && self.activates > now
    }
}

/// A publication with its compiled catalog.
#[derive(Debug, Clone)]
pub struct Version {
    /// What was published.
    pub publication: Arc<Publication>,
    /// The same, compiled.
    pub catalog: Arc<Catalog>,
}

impl Version {
    /// Compiles a publication.
    ///
    /// # Errors
    /// The text is no catalog: every problem, never none.
    pub fn compile(publication: Publication) -> Result<Self, Vec<Problem>> {
        let catalog = Arc::new(Catalog::from_toml(&publication.text)?);
        Ok(Self::new(publication, catalog))
    }

    /// A publication and what its text compiles to.
    pub fn new(publication: Publication, catalog: Arc<Catalog>) -> Self {
        Self { publication: Arc::new(publication), catalog }
    }

    /// Its number.
    pub fn number(&self) -> u32 {
        self.publication.number
    }

    fn place(&self) -> (Timestamp, u32) {
        (self.publication.activates, self.publication.number)
    }

    fn is_active(&self, now: Timestamp) -> bool {
        self.publication.activates <= now
    }
}

/// All versions that may still be asked for. Immutable: a publication makes another one.
#[derive(Debug, Clone)]
pub struct Catalogs {
    /// The one that comes first in time: there is always one.
    oldest: Version,
    /// The others, by activation, then number. None of all these is withdrawn.
    later: Vec<Version>,
    /// Everything, by number, also what is withdrawn, and what this build can no longer compile.
    publications: Vec<Arc<Publication>>,
}

impl Catalogs {
    /// One version.
    pub fn new(version: Version) -> Self {
        let publications = vec![Arc::clone(&version.publication)];
        Self { oldest: version, later: Vec::new(), publications }
    }

    /// The same and one more version. A number that is there already is replaced.
    #[must_use]
    pub fn with(&self, version: Version) -> Self {
        let others = self.versions().filter(|other| other.number() != version.number()).cloned();
        let mut versions: Vec<Version> = others.chain([version.clone()]).collect();
        versions.sort_by_key(Version::place);
        let oldest = versions.remove(0);
        Self { oldest, later: versions, publications: self.noted(version.publication) }
    }

    /// The same and a publication that nobody can go by: withdrawn, or not compiled.
    #[must_use]
    pub fn with_text(&self, publication: Publication) -> Self {
        Self { publications: self.noted(Arc::new(publication)), ..self.clone() }
    }

    fn noted(&self, publication: Arc<Publication>) -> Vec<Arc<Publication>> {
        let mut all = self.publications.clone();
        all.retain(|other| other.number != publication.number);
        let place = all.partition_point(|other| other.number < publication.number);
        all.insert(place, publication);
        all
    }

    /// The same without a version that was not yet in force; its text is kept. Unchanged if there is no such version.
    #[must_use]
    pub fn withdrawn(&self, number: u32, at: Timestamp) -> Self {
        let Some(known) = self.publication(number).filter(|known| known.withdrawn.is_none()) else {
            return self.clone();
        };
        // The oldest is in force, or the only one.
        if self.oldest.number() == number {
            return self.clone();
        }
        let mut rest = self.clone();
        rest.later.retain(|version| version.number() != number);
        rest.with_text(Publication { withdrawn: Some(at), ..(**known).clone() })
    }

    /// The same without what nobody needs any more: beside the latest [`VERSIONS_KEPT`] and what is or will be in force,
    /// only what `is_used` says.
    #[must_use]
    pub fn pruned(&self, now: Timestamp, is_used: impl Fn(u32) -> bool) -> Self {
        let current = self.at(now).place();
        let surplus = self.publications.len().saturating_sub(VERSIONS_KEPT);
        let first_kept = self.publications.get(surplus).map_or(u32::MAX, |publication| publication.number);
        let stays = |publication: &Publication| {
            publication.number >= first_kept
                || publication.withdrawn.is_none() && (publication.activates, publication.number) >= current
                || is_used(publication.number)
        };
        let mut versions = self.versions().filter(|version| stays(&version.publication)).cloned();
        // The one in force stays, so that there is one.
        let oldest = versions.next().unwrap_or_else(|| self.oldest.clone());
        let later = versions.collect();
        let publications = self.publications.iter().filter(|publication| stays(publication)).cloned().collect();
        Self { oldest, later, publications }
    }

    /// The version in force at a moment: the last one that was activated; before any was, the first.
    pub fn at(&self, now: Timestamp) -> &Version {
        self.later.iter().rev().find(|version| version.is_active(now)).unwrap_or(&self.oldest)
    }

    /// The version that a running session goes by, which went by number `known` so far: it stays with that until one comes
    /// into force that changes running sessions. The same whenever, and however often, it is asked. A number that is not
    /// there any more, or 0, goes by the version in force.
    pub fn for_session(&self, known: u32, now: Timestamp) -> &Version {
        let current = self.at(now);
        if current.number() == known {
            return current;
        }
        let Some(own) = self.get(known) else { return current };
        let mut later = self.versions().filter(|version| version.place() > own.place() && version.is_active(now));
        later.rfind(|version| version.publication.sessions == RunningSessions::Change).unwrap_or(own)
    }

    /// The version with this number, if it is kept and can be gone by.
    pub fn get(&self, number: u32) -> Option<&Version> {
        self.versions().find(|version| version.number() == number)
    }

    /// All versions that can be gone by, in the order in which they come into force.
    pub fn versions(&self) -> impl DoubleEndedIterator<Item = &Version> {
        iter::once(&self.oldest).chain(&self.later)
    }

    /// Everything that was published and is kept, by number.
    pub fn publications(&self) -> &[Arc<Publication>] {
        &self.publications
    }

    /// What was published under a number, if it is kept.
    pub fn publication(&self, number: u32) -> Option<&Arc<Publication>> {
        let place = self.publications.binary_search_by_key(&number, |publication| publication.number).ok()?;
        self.publications.get(place)
    }

    /// The number of the next publication.
    pub fn next_number(&self) -> u32 {
        self.publications.last().map_or(1, |last| last.number.saturating_add(1))
    }

    /// The moment of a new publication: now, or that of the last one if the clock was set back since. So what is published
    /// later, to be in force at once, comes into force later.
    pub fn publication_time(&self, now: Timestamp) -> Timestamp {
        self.publications.iter().map(|known| known.published).fold(now, Timestamp::max)
    }

    /// Versions that have yet to come into force.
    pub fn pending(&self, now: Timestamp) -> usize {
        self.versions().filter(|version| !version.is_active(now)).count()
    }
}

#[cfg(test)]
mod tests;
