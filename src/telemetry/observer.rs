//! What the store does, as metrics.
//!
//! The one file of `telemetry` that knows `store`, `charging` and `rating`: somebody has to turn what happened into
//! numbers, and those modules know no metrics.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use metrics::Counter;

use super::{MoneyMetrics, UnitMetrics, names};
use crate::{
    charging::{ClosingCause, Credited, Event, EventAction, HistoryKind, Measure, Notice, NoticeKind, State, Step},
    ids::{AccountId, SessionNo},
    journal::Disk,
    rating::Catalog,
    store::{Observer, Store},
    time::Timestamp,
    units::{Money, UnitKind},
};

/// Counts what happens. It runs under a partition's lock, half a million times a second: every handle is resolved when it
/// is made, services are found by the address of their name, and nothing is allocated, formatted or locked.
pub struct MetricsObserver {
    services: ArcSwap<Services>,
    /// Of names that are not this catalog's, by the number of their unit's kind.
    other_services: [UnitMetrics; 3],
    /// Of the catalog's currency, which is that of all accounts.
    money: MoneyMetrics,
    thresholds: ArcSwap<Vec<(Arc<str>, Counter)>>,
    /// In the order of [`cause_index`].
    closed: [Counter; 7],
    expired: Counter,
    top_ups: Counter,
    credit_stops: Counter,
    reconnects: Counter,
    orphan_usage: Counter,
    late_usage: Counter,
    refunds: Counter,
    retransmissions: Counter,
    conflicts: Counter,
    started: Instant,
    /// The second in which a conflict was last logged.
    conflict_logged: AtomicU64,
    altered: Counter,
    altered_logged: AtomicU64,
}

/// The counters of the services of the catalogs that are charged by.
#[derive(Default)]
struct Services {
    /// Ordered by the address of the service's name in its catalog.
    counters: Vec<(usize, UnitMetrics)>,
    /// The names, which keep those addresses taken.
    names: Vec<Arc<str>>,
}

/// Names of services that have counters, of all catalogs together: publications have an end to what they may take. What is
/// beyond that is counted as "other".
const NAMES_MAX: usize = 100_000;

impl MetricsObserver {
    /// Counters for a catalog, the very one that the store gets. Make it after [`super::init`]: handles resolved before
    /// count into nothing.
    pub fn new(catalog: &Catalog) -> Self {
        let new = Self {
            services: ArcSwap::default(),
            other_services: [UnitKind::Octets, UnitKind::Seconds, UnitKind::Events]
                .map(|kind| UnitMetrics::of_service("other", kind)),
            money: MoneyMetrics::of_currency(catalog.currency().code()),
            thresholds: ArcSwap::default(),
            closed: ["terminated", "refused", "expired", "lost", "main_ended", "client_restarted", "withdrawn"]
                .map(|cause| metrics::counter!(names::SESSIONS_CLOSED, "cause" => cause)),
            expired: metrics::counter!(names::SESSIONS_EXPIRED),
            top_ups: metrics::counter!(names::TOP_UPS),
            credit_stops: metrics::counter!(names::CREDIT_STOPS),
            reconnects: metrics::counter!(names::RECONNECTS),
            orphan_usage: metrics::counter!(names::ORPHAN_USAGE),
            late_usage: metrics::counter!(names::LATE_USAGE),
            refunds: metrics::counter!(names::REFUNDS),
            retransmissions: metrics::counter!(names::RETRANSMISSIONS),
            conflicts: metrics::counter!(names::IDENTITY_CONFLICTS),
            started: Instant::now(),
            conflict_logged: AtomicU64::new(0),
            altered: metrics::counter!(names::ALTERED_REPETITIONS),
            altered_logged: AtomicU64::new(0),
        };
        new.know(catalog);
        new
    }

    /// One line a second: a client that does such things may do them with every request.
    fn is_first_in_second(&self, logged: &AtomicU64) -> bool {
        let second_now = self.started.elapsed().as_secs() + 1;
        logged.swap(second_now, Relaxed) != second_now
    }

    /// Resolves what a catalog's services and thresholds are counted by.
    fn know(&self, catalog: &Catalog) {
        let known = self.services.load();
        let (mut counters, mut names) = (known.counters.clone(), known.names.clone());
        let is_known = |name: &Arc<str>| known.counters.binary_search_by_key(&address(name), |(at, _)| *at).is_ok();
        let new = catalog.services().iter().filter(|service| !is_known(&service.name));
        for service in new.take(NAMES_MAX.saturating_sub(names.len())) {
            counters.push((address(&service.name), UnitMetrics::of_service(&service.name, service.kind)));
            names.push(Arc::clone(&service.name));
        }
        counters.sort_unstable_by_key(|(address, _)| *address);
        self.services.store(Arc::new(Services { counters, names }));
        let mut thresholds = (**self.thresholds.load()).clone();
        for threshold in catalog.thresholds() {
            if thresholds.len() < NAMES_MAX && thresholds.iter().all(|(known, _)| *known != threshold.name) {
                let name = threshold.name.to_string();
                let counter = metrics::counter!(names::THRESHOLDS, "threshold" => name);
                thresholds.push((Arc::clone(&threshold.name), counter));
            }
        }
        self.thresholds.store(Arc::new(thresholds));
    }

    fn steps(&self, steps: &[Step]) {
        let mut charged = 0i64;
        let services = self.services.load();
        for step in steps {
            // Money that the client rated itself is no unit, and what has no price is not charged.
            if let Measure::Units(kind) = step.measure
                && !step.service.is_empty()
                && (step.granted > 0 || step.used > 0)
            {
                let service = services.of(&step.service).unwrap_or(&self.other_services[kind as usize]);
                service.granted(step.granted);
                service.charged(step.used);
            }
            charged = charged.saturating_add(step.charged.micros());
        }
        if charged > 0 {
            self.money.charged(Money::from_micros(charged));
        }
    }

    fn credited(&self, event: &Credited) {
        match event.kind {
            HistoryKind::TopUp | HistoryKind::Voucher => {
                self.top_ups.increment(1);
                self.money.credited(Money::from_micros(event.amount));
            }
            HistoryKind::Adjustment => self.money.credited(Money::from_micros(event.amount)),
            _ => {}
        }
    }

    fn notice(&self, notice: &Notice) {
        match &notice.kind {
            // Counted with the credit.
            NoticeKind::TopUp { .. } => {}
            NoticeKind::Limit { .. }
            | NoticeKind::Product { .. }
            | NoticeKind::Life { .. }
            | NoticeKind::CycleClosed { .. } => {}
            NoticeKind::CreditStop => self.credit_stops.increment(1),
            NoticeKind::Reconnect => self.reconnects.increment(1),
            NoticeKind::Overdraft { excess } => self.money.overdraft(*excess),
            NoticeKind::Threshold { name, .. } => {
                // A catalog has a handful.
                let thresholds = self.thresholds.load();
                let known = thresholds.iter().find(|(known, _)| Arc::ptr_eq(known, name) || known == name);
                if let Some((_, counter)) = known {
                    counter.increment(1);
                }
            }
        }
    }
}

impl Observer for MetricsObserver {
    fn happened(&self, event: &Event, _: &Catalog) {
        match event {
            Event::Interrogated(event) => {
                self.steps(&event.steps);
            }
            Event::EventCharged(event) if event.action == EventAction::Refund => {
                let money = event.steps.iter().fold(Money::ZERO, |sum, step| sum.saturating_add(step.charged));
                self.money.credited(money);
                self.refunds.increment(1);
            }
            Event::EventCharged(event) => self.steps(&event.steps),
            Event::Credited(event) => self.credited(event),
            Event::OrphanUsage(event) => {
                let charged = |step: &Step| !step.service.is_empty() || step.charged != Money::ZERO;
                if event.steps.iter().any(charged) {
                    self.late_usage.increment(1);
                }
                // Without steps nothing was charged, and what has no price was not either.
                if event.steps.is_empty() || !event.steps.iter().all(charged) {
                    self.orphan_usage.increment(1);
                }
                self.steps(&event.steps);
            }
            Event::AccountCreated { .. }
            | Event::SubscriberCreated { .. }
            | Event::StateChanged { .. }
            | Event::AccountChanged(_)
            | Event::VouchersCreated { .. }
            | Event::VoucherMarked { .. }
            | Event::VouchersBlocked { .. }
            | Event::ReAuthorise { .. }
            | Event::Abort { .. }
            | Event::ClientState { .. }
            | Event::SessionClosed { .. } => {}
        }
        event.notices().iter().for_each(|notice| self.notice(notice));
    }

    fn published(&self, catalog: &Catalog) {
        self.know(catalog);
    }

    fn session_ended(&self, cause: ClosingCause) {
        self.closed[cause_index(cause)].increment(1);
        if cause == ClosingCause::Expired {
            self.expired.increment(1);
        }
    }

    fn repeated(&self) {
        self.retransmissions.increment(1);
    }

    fn altered(&self, account: Option<AccountId>) {
        self.altered.increment(1);
        if self.is_first_in_second(&self.altered_logged) {
            let account = account.map_or(0, |account| account.0);
            tracing::warn!(
                account,
                "a request has the numbers of an earlier one and other content: answered as before"
            );
        }
    }

    fn conflict(&self, first: AccountId, second: AccountId) {
        self.conflicts.increment(1);
        if self.is_first_in_second(&self.conflict_logged) {
            tracing::warn!(first = first.0, second = second.0, "the identities of a request name two accounts");
        }
    }
}

impl Services {
    fn of(&self, name: &Arc<str>) -> Option<&UnitMetrics> {
        let found = self.counters.binary_search_by_key(&address(name), |(address, _)| *address).ok()?;
        Some(&self.counters.get(found)?.1)
    }
}

fn address(name: &Arc<str>) -> usize {
    Arc::as_ptr(name).addr()
}

const fn cause_index(cause: ClosingCause) -> usize {
    match cause {
        ClosingCause::Terminated => 0,
        ClosingCause::Refused => 1,
        ClosingCause::Expired => 2,
        ClosingCause::Lost => 3,
        ClosingCause::MainEnded => 4,
        ClosingCause::ClientRestarted => 5,
        ClosingCause::Withdrawn => 6,
    }
}

/// Accounts of one partition that are counted as due: requests wait for the count.
const DUE_COUNTED_MAX: usize = 1_000;

/// Sessions of one partition that are looked at each time for how long they have been silent: some 0.2 ms, for which requests
/// wait. A round over a million in 64 partitions takes half a minute.
const SILENT_LOOKED_AT: usize = 1_024;

/// What was told before, and where the round over all sessions stands.
#[derive(Debug, Default)]
pub struct Told {
    /// Consumers that have gauges: those that are forgotten since lag no more.
    consumers: BTreeSet<Box<str>>,
    rounds: Vec<Round>,
    events_given_up: u64,
    is_held_back: bool,
}

/// A round over the sessions of a partition.
#[derive(Debug, Default, Clone, Copy)]
struct Round {
    place: Option<(Timestamp, SessionNo)>,
    /// Since when the one is silent that is so for longest, as far as this round has come, and of the one before.
    so_far: Option<Timestamp>,
    before: Option<Timestamp>,
}

impl Round {
    fn go_on(&mut self, state: &State) {
        let (found, place) = state.silent_since(self.place, SILENT_LOOKED_AT);
        self.so_far = [self.so_far, found].into_iter().flatten().min();
        self.place = place;
        if place.is_none() {
            self.before = self.so_far.take();
        }
    }

    fn oldest(&self) -> Option<Timestamp> {
        [self.so_far, self.before].into_iter().flatten().min()
    }
}

/// Sets the gauges of the store's state and of event delivery. For every few seconds: it locks each partition in turn,
/// for a moment.
pub fn gauges<D: Disk>(store: &Store<D>, told: &mut Told) {
    let (mut accounts, mut sessions, mut reserved, mut violations) = (0usize, 0usize, 0i128, 0u32);
    let (mut accounts_max, mut sessions_max, mut due) = (0usize, 0usize, 0usize);
    let (mut remembered, mut remembered_max, mut partition) = ([0usize; 3], 0, 0usize);
    let now = store.clock().now();
    store.for_each_state(|state| {
        remembered = std::array::from_fn(|index| remembered[index].max(state.remembered()[index]));
        remembered_max = state.remembered_max();
        told.rounds.resize(told.rounds.len().max(partition + 1), Round::default());
        told.rounds[partition].go_on(state);
        partition += 1;
        let (accounts_here, sessions_here, _) = state.sizes();
        accounts += accounts_here;
        sessions += sessions_here;
        accounts_max = accounts_max.max(accounts_here);
        sessions_max = sessions_max.max(sessions_here);
        reserved += state.reserved_money();
        due += state.due_accounts(now, DUE_COUNTED_MAX).len();
        violations += u32::from(state.discrepancy() != 0);
    });
    let currency = store.catalog().currency().code().to_owned();
    let catalogs = store.catalogs();
    let now = store.clock().now();
    metrics::gauge!(names::CATALOG_VERSION).set(f64::from(catalogs.at(now).number()));
    metrics::gauge!(names::CATALOGS_PENDING).set(catalogs.pending(now) as f64);
    metrics::gauge!(names::ACCOUNTS).set(accounts as f64);
    metrics::gauge!(names::ACCOUNTS_DUE).set(due as f64);
    metrics::gauge!(names::SESSIONS_LIVE).set(sessions as f64);
    metrics::gauge!(names::PARTITION_ACCOUNTS_MAX).set(accounts_max as f64);
    metrics::gauge!(names::PARTITION_SESSIONS_MAX).set(sessions_max as f64);
    metrics::gauge!(names::RESERVED_MONEY, "currency" => currency).set(reserved as f64);
    // At least so many accounts: a partition keeps one sum for all of its.
    metrics::gauge!(names::BALANCE_IDENTITY_VIOLATIONS).set(f64::from(violations));

    let oldest = told.rounds.iter().filter_map(Round::oldest).min();
    metrics::gauge!(names::OLDEST_RESERVATION).set(oldest.map_or(0.0, |at| now.since(at).as_secs_f64()));
    for (what, count) in ["sessions", "events", "credits"].into_iter().zip(remembered) {
        metrics::gauge!(names::REMEMBERED, "what" => what).set(count as f64);
    }
    metrics::gauge!(names::REMEMBERED_MAX).set(remembered_max as f64);
    tell_clock(store.clock().held_back(), &mut told.is_held_back);

    for (trail, waiting) in ["records", "audit"].into_iter().zip(store.waiting_for_trails()) {
        metrics::gauge!(names::TRAIL_BACKLOG, "trail" => trail).set(waiting as f64);
    }

    metrics::gauge!(names::EVENT_BACKLOG).set(store.outbox().len() as f64);
    let set = |name: &str, events: usize, age: f64| {
        metrics::gauge!(names::EVENT_LAG_EVENTS, "consumer" => name.to_owned()).set(events as f64);
        metrics::gauge!(names::EVENT_LAG_SECONDS, "consumer" => name.to_owned()).set(age);
    };
    let mut forgotten = std::mem::take(&mut told.consumers);
    for consumer in store.outbox().consumers() {
        let age = consumer.oldest.map_or(0.0, |notice| now.since(notice.at).as_secs_f64());
        set(&consumer.name, consumer.behind, age);
        forgotten.remove(&consumer.name);
        told.consumers.insert(consumer.name);
    }
    forgotten.iter().for_each(|name| set(name, 0, 0.0));
    tell_given_up(store.outbox().given_up(), &mut told.events_given_up);
}

fn tell_clock(held_back: Duration, was: &mut bool) {
    metrics::gauge!(names::CLOCK_HELD_BACK).set(held_back.as_secs_f64());
    let is = !held_back.is_zero();
    if is && !*was {
        tracing::error!(
            seconds = held_back.as_secs(),
            "the system's clock has jumped ahead and is followed slowly, so that nothing is forgotten or ended early; if the \
             new time is right, restart the node"
        );
    }
    *was = is;
}

fn tell_given_up(events: u64, told: &mut u64) {
    metrics::counter!(names::EVENTS_GIVEN_UP).absolute(events);
    if events > *told {
        let more = events - *told;
        tracing::error!(more, "events were given up that a consumer had not acknowledged: more than events.keep_max");
    }
    *told = events;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        charging::{OrphanUsage, RequestKind, Verdict},
        ids::{BucketId, QuotaKey, SessionId},
    };

    const CATALOG: &str = include_str!("../../config/demo/catalog.toml");

    fn step(service: &Arc<str>, measure: Measure) -> Step {
        Step {
            key: QuotaKey::default(),
            service: Arc::clone(service),
            measure,
            used: 7,
            rated: 7,
            charged: Money::from_micros(5),
            granted: 11,
            validity_secs: 0,
            final_units: false,
            refused: false,
            ..Step::default()
        }
    }

    #[test]
    fn what_happens_is_counted_by_service() {
        let metrics = super::super::init().unwrap();
        // A name of its own: other tests count as well.
        let catalog = Catalog::from_toml(&CATALOG.replace("\"business\"", "\"observed\"")).unwrap();
        let observer = MetricsObserver::new(&catalog);
        let octets = Measure::Units(UnitKind::Octets);
        let known = &catalog.service_by_name("observed").unwrap().name;
        let unknown: Arc<str> = "somewhere else".into();
        observer.steps(&[
            step(known, octets),
            step(known, octets),
            step(&unknown, octets),
            step(known, Measure::Money),
        ]);
        observer.steps(&[step(&"".into(), octets)]);
        let credited = Credited {
            at: crate::time::Timestamp::EPOCH,
            account: AccountId(1),
            kind: HistoryKind::TopUp,
            bucket: BucketId::MAIN,
            amount: 9,
            new_bucket: None,
            request_id: "".into(),
            reason: "".into(),
            balance: Money::ZERO,
            reauthorise: Vec::new(),
            notices: Vec::new(),
            life: None,
            gifts: Vec::new(),
            catalog: 0,
        };
        observer.happened(&Event::Credited(Box::new(credited)), &catalog);
        observer.session_ended(ClosingCause::Lost);
        observer.conflict(AccountId(1), AccountId(2));
        observer.altered(None);
        let text = metrics.render();
        assert!(text.contains("tollgate_granted_units_total{kind=\"octets\",service=\"observed\"} 22\n"), "{text}");
        assert!(text.contains("tollgate_charged_units_total{kind=\"octets\",service=\"observed\"} 14\n"));
        assert!(text.contains("tollgate_charged_units_total{kind=\"octets\",service=\"other\"} 7\n"));
        for series in [
            "sessions_closed_total{cause=\"lost\"} ",
            "identity_conflicts_total ",
            "top_ups_total ",
            "altered_repetitions_total ",
        ] {
            assert!(text.contains(&format!("tollgate_{series}")), "{series}");
        }
    }

    // tests: C-90
    #[test]
    fn late_usage_that_was_charged_is_no_orphan() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let catalog = Catalog::from_toml(CATALOG).unwrap();
        let priced = || step(&catalog.service_by_name("internet").unwrap().name, Measure::Units(UnitKind::Octets));
        let unpriced = || Step { charged: Money::ZERO, ..step(&"".into(), Measure::Units(UnitKind::Octets)) };
        metrics::with_local_recorder(&recorder, || {
            let observer = MetricsObserver::new(&catalog);
            let told = |orphans: u32, late: u32| {
                let text = recorder.handle().render();
                for (name, count) in [("orphan", orphans), ("late", late)] {
                    assert!(
                        text.contains(&format!("\ntollgate_{name}_usage_total {count}\n")),
                        "{name} {count}: {text}"
                    );
                }
            };
            let reported = |steps| observer.happened(&Event::OrphanUsage(Box::new(orphan(steps))), &catalog);
            reported(vec![]);
            told(1, 0);
            reported(vec![priced()]);
            told(1, 1);
            // Some of it has no price: that is for people to look at.
            reported(vec![priced(), unpriced()]);
            told(2, 2);
            reported(vec![unpriced()]);
            told(3, 2);
        });
    }

    fn orphan(steps: Vec<Step>) -> OrphanUsage {
        OrphanUsage {
            at: crate::time::Timestamp::EPOCH,
            account: None,
            session_id: SessionId::new(b"gw;1"),
            sub_session: 0,
            context: "".into(),
            kind: RequestKind::Update,
            number: 1,
            usage: Vec::new(),
            steps,
            verdict: Verdict::default(),
            notices: Vec::new(),
            begun: Vec::new(),
            catalog: 0,
            reheld: Vec::new(),
        }
    }
}
