//! The versions of the catalog: published and withdrawn through the journal, read by every request without a lock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

use super::Store;
use crate::{
    charging::State,
    journal::{
        Disk, Pending, Position,
        record::{self, Audit},
        snapshot::CatalogsSnapshot,
    },
    rating::{Catalog, Catalogs, Problem, Publication, RunningSessions, VERSIONS_KEPT, Version},
    time::Timestamp,
    units::Currency,
};

/// Versions that may wait for their time: an operator plans some ahead, not hundreds.
pub const PENDING_MAX: usize = 16;
/// Who publishes the configured file.
const CONFIGURATION: &str = "configuration";

/// A catalog to be published.
#[derive(Debug, Clone)]
pub struct Publish {
    /// Compiled.
    pub catalog: Arc<Catalog>,
    /// When it comes into force; `None` = at once.
    pub activates: Option<Timestamp>,
    /// What becomes of sessions that run then.
    pub sessions: RunningSessions,
    /// Who publishes it.
    pub by: Box<str>,
    /// Why.
    pub reason: Box<str>,
    /// The caller's idempotency key, not empty.
    pub request_id: Box<str>,
}

/// What became of a publication or a withdrawal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// As it stands now.
    pub publication: Arc<Publication>,
    /// It had been done before; nothing changed.
    pub repeated: bool,
}

/// Why a catalog was not published or withdrawn; nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// All accounts are in another currency.
    #[error("the catalog is in {given}, but this store is in {store}: it stays with its currency")]
    Currency {
        /// Of the store.
        store: Currency,
        /// Of the catalog.
        given: Currency,
    },
    /// What was charged cannot be charged anew.
    #[error("the activation, {activates}, is in the past: it is {now}")]
    Past {
        /// Wanted.
        activates: Timestamp,
        /// Now.
        now: Timestamp,
    },
    /// As many wait as may.
    #[error("{PENDING_MAX} versions wait for their time already: withdraw one, or wait until one is in force")]
    TooManyPending,
    /// The request id was used for something else.
    #[error("request id `{0}` was used before for something else")]
    RequestIdReused(Box<str>),
    /// There is no such version, or it is no longer kept.
    #[error("there is no version {0}")]
    Unknown(u32),
    /// It is or was in force.
    #[error("version {0} is in force or was: publish another one in its place")]
    InForce(u32),
}

/// The versions of a store.
#[derive(Debug)]
pub(super) struct Shelf {
    current: ArcSwap<Catalogs>,
    /// The record that changed something here last. One publication at a time.
    last: Mutex<Position>,
}

/// What the audit trail says of a publication, if a caller made it.
pub(super) type AuditOf<'a> = Option<&'a dyn Fn(&Publication) -> Audit>;

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, Position> {
        // The versions are replaced as a whole: a panic elsewhere does not spoil them.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<D: Disk> Store<D> {
    /// All versions of the catalog, as they are now.
    pub fn catalogs(&self) -> Arc<Catalogs> {
        self.shelf.current.load_full()
    }

    /// The same for a moment's look, on the way of every request.
    pub(super) fn catalogs_now(&self) -> arc_swap::Guard<Arc<Catalogs>> {
        self.shelf.current.load()
    }

    /// What was published, for those who are told of it: it may leave when it is durable.
    pub fn published(&self) -> Pending<Arc<Catalogs>> {
        let last = self.shelf.lock();
        Pending::new(self.catalogs(), *last)
    }

    /// The version of the catalog that is in force.
    pub fn version(&self) -> Version {
        self.catalogs_now().at(self.clock.now()).clone()
    }

    /// Publishes a catalog. The same request again changes nothing, and tells what became of the first.
    ///
    /// # Errors
    /// It cannot be published like that; nothing has changed.
    pub fn publish(&self, publish: Publish) -> Pending<Result<Published, PublishError>> {
        self.publish_by(publish, None)
    }

    pub(super) fn publish_by(&self, publish: Publish, audit: AuditOf<'_>) -> Pending<Result<Published, PublishError>> {
        let mut last = self.shelf.lock();
        let catalogs = self.catalogs();
        let now = catalogs.publication_time(self.clock.now());
        if let Some(known) = catalogs.publications().iter().find(|known| known.request_id == publish.request_id) {
            let same = known.text == *publish.catalog.text()
                && known.sessions == publish.sessions
                && known.reason == publish.reason
                && publish.activates.unwrap_or(known.published) == known.activates;
            let known = Published { publication: Arc::clone(known), repeated: true };
            return self.pending(if same { Ok(known) } else { Err(PublishError::RequestIdReused(publish.request_id)) });
        }
        let (store, given) = (catalogs.at(now).catalog.currency(), publish.catalog.currency());
        let activates = publish.activates.unwrap_or(now);
        if given != store {
            return self.pending(Err(PublishError::Currency { store, given }));
        }
        if activates < now {
            return self.pending(Err(PublishError::Past { activates, now }));
        }
        if activates > now && catalogs.pending(now) >= PENDING_MAX {
            return self.pending(Err(PublishError::TooManyPending));
        }
        let publication = Publication {
            number: catalogs.next_number(),
            text: Arc::clone(publish.catalog.text()),
            published: now,
            activates,
            sessions: publish.sessions,
            by: publish.by,
            reason: publish.reason,
            request_id: publish.request_id,
            withdrawn: None,
        };
        let version = Version::new(publication, publish.catalog);
        let (publication, position) = self.put(&mut last, &catalogs, version, now, audit);
        Pending::new(Ok(Published { publication, repeated: false }), position)
    }

    /// Takes back a version that is not in force yet. The same again changes nothing.
    ///
    /// # Errors
    /// There is no such version, or it is too late; nothing has changed.
    pub fn withdraw(&self, number: u32) -> Pending<Result<Published, PublishError>> {
        self.withdraw_by(number, None)
    }

    pub(super) fn withdraw_by(&self, number: u32, audit: AuditOf<'_>) -> Pending<Result<Published, PublishError>> {
        let mut last = self.shelf.lock();
        let now = self.clock.now();
        let catalogs = self.catalogs();
        let Some(known) = catalogs.publication(number) else {
            return self.pending(Err(PublishError::Unknown(number)));
        };
        if known.withdrawn.is_some() {
            return self.pending(Ok(Published { publication: Arc::clone(known), repeated: true }));
        }
        if !known.is_pending(now) {
            return self.pending(Err(PublishError::InForce(number)));
        }
        let mut bytes = Vec::new();
        record::encode_withdrawn(number, now, &mut bytes);
        let rest = Arc::new(catalogs.withdrawn(number, now));
        let publication = Arc::new(Publication { withdrawn: Some(now), ..(**known).clone() });
        let position = self.append_audited(bytes, audit.map(|audit| audit(&publication)), || {
            self.shelf.current.store(rest);
        });
        *last = position;
        Pending::new(Ok(Published { publication, repeated: false }), position)
    }

    /// Journals a version and puts it on the shelf.
    fn put(
        &self,
        last: &mut Position,
        catalogs: &Catalogs,
        version: Version,
        now: Timestamp,
        audit: AuditOf<'_>,
    ) -> (Arc<Publication>, Position) {
        let publication = Arc::clone(&version.publication);
        let mut bytes = Vec::new();
        record::encode_published(&publication, &mut bytes);
        self.observer.published(&version.catalog);
        let all = self.without_unneeded(catalogs.with(version), now);
        // No request may go by it whose record comes before this one.
        let position = self.append_audited(bytes, audit.map(|audit| audit(&publication)), || {
            self.shelf.current.store(Arc::new(all));
        });
        *last = position;
        (publication, position)
    }

    /// Journals a record with who caused it, if that was a caller, and makes it true.
    fn append_audited(&self, mut bytes: Vec<u8>, audit: Option<Audit>, then: impl FnOnce()) -> Position {
        if let Some(audit) = &audit {
            record::encode_audit(audit, &mut bytes);
        }
        self.appender.append(&bytes, |position| {
            then();
            if let Some(audit) = audit {
                self.trails.push_audit(position, audit);
            }
        })
    }

    /// Looks at every session only when there is something to be dropped: it takes each partition's lock for a while.
    fn without_unneeded(&self, catalogs: Catalogs, now: Timestamp) -> Catalogs {
        if catalogs.publications().len() <= VERSIONS_KEPT {
            return catalogs;
        }
        let mut used = std::collections::BTreeSet::new();
        self.for_each_state(|state| used.extend(numbers_used(state)));
        catalogs.pruned(now, |number| used.contains(&number))
    }

    /// At the start: what the configured file says comes into force if the store is new, or if the file has changed since
    /// it was last published. Else what was published stays in force.
    pub(super) fn publish_configured(&self, configured: Option<Version>) {
        let Some(version) = configured else { return };
        let mut last = self.shelf.lock();
        let catalogs = self.catalogs();
        let now = version.publication.published;
        self.put(&mut last, &catalogs, version, now, None);
    }

    pub(super) fn catalogs_snapshot(&self) -> CatalogsSnapshot {
        let last = self.shelf.lock();
        let publications = self.catalogs().publications().iter().map(|known| (**known).clone()).collect();
        CatalogsSnapshot { position: last.0, publications }
    }
}

fn numbers_used(state: &State) -> impl Iterator<Item = u32> {
    state.sessions().flat_map(|session| {
        let granted = session.quotas.iter().filter(|quota| quota.granted > 0).map(|quota| quota.catalog);
        // What running sessions were charged by is to be explained when they end.
        let parts = session.quotas.iter().filter_map(|quota| quota.breakdown.as_deref()).flat_map(|known| &known.parts);
        granted.chain([session.catalog]).chain(parts.map(|part| part.catalog))
    })
}

/// What a recovery finds of the versions, by number.
#[derive(Debug, Default)]
pub(super) struct Found {
    publications: std::collections::BTreeMap<u32, Publication>,
    last: Position,
}

impl Found {
    pub(super) fn restore(&mut self, snapshot: CatalogsSnapshot) {
        self.last = Position(snapshot.position);
        self.publications = snapshot.publications.into_iter().map(|known| (known.number, known)).collect();
    }

    pub(super) fn published(&mut self, position: Position, publication: Publication) {
        // The checkpoint that the replay began with may have it already, or have dropped it since.
        if position > self.last {
            self.last = position;
            self.publications.insert(publication.number, publication);
        }
    }

    pub(super) fn withdrawn(&mut self, position: Position, number: u32, at: Timestamp) {
        if position > self.last {
            self.last = position;
            if let Some(known) = self.publications.get_mut(&number) {
                known.withdrawn = Some(at);
            }
        }
    }

    /// The versions, and what of the configured catalog is to be published now.
    ///
    /// # Errors
    /// A version that is or will be in force is no catalog for this build.
    pub(super) fn shelve(
        self,
        configured: Arc<Catalog>,
        now: Timestamp,
    ) -> Result<(Shelf, Option<Version>), (u32, Vec<Problem>)> {
        // As for any publication: `Catalogs::publication_time`.
        let now = self.publications.values().map(|known| known.published).fold(now, Timestamp::max);
        let known = self.publications.values().rfind(|known| known.is_from_file());
        let is_new = known.is_none_or(|known| known.text != *configured.text());
        let number = self.publications.keys().next_back().map_or(1, |last| last.saturating_add(1));
        let new = is_new.then(|| {
            let publication = Publication {
                number,
                text: Arc::clone(configured.text()),
                published: now,
                activates: now,
                sessions: RunningSessions::Change,
                by: CONFIGURATION.into(),
                reason: "the configured file".into(),
                request_id: "".into(),
                withdrawn: None,
            };
            Version::new(publication, configured)
        });
        let (mut versions, mut texts) = (Vec::new(), Vec::new());
        // One in force already needs no catalog once the configured one takes its place.
        let needed = |place: (Timestamp, u32)| place >= self.in_force(now) && (new.is_none() || place.0 > now);
        for publication in self.publications.values() {
            if publication.withdrawn.is_some() {
                texts.push(publication.clone());
                continue;
            }
            match Version::compile(publication.clone()) {
                Ok(version) => versions.push(version),
                Err(problems) if needed((publication.activates, publication.number)) => {
                    return Err((publication.number, problems));
                }
                // Nobody goes by it any more; sessions that did go by what is in force.
                Err(_) => texts.push(publication.clone()),
            }
        }
        let mut versions = versions.into_iter();
        let first = versions.next().or_else(|| new.clone());
        // Without any there is a new one: nothing was ever published, or nothing of it can be read.
        let Some(first) = first else { return Err((0, Vec::new())) };
        let all = versions.fold(Catalogs::new(first), |all, version| all.with(version));
        let all = texts.into_iter().fold(all, |all, text| all.with_text(text));
        Ok((Shelf { current: ArcSwap::from_pointee(all), last: Mutex::new(self.last) }, new))
    }

    /// The place of the version in force.
    fn in_force(&self, now: Timestamp) -> (Timestamp, u32) {
        let active = self.publications.values().filter(|known| known.withdrawn.is_none() && known.activates <= now);
        active.map(|known| (known.activates, known.number)).max().unwrap_or_default()
    }
}
