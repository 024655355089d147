//! The composition root: configuration in, a running node out. Used by `main`, by the demo and by tests alike.

use std::{
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

mod space;

use crate::{
    api,
    charging::{AccountSpec, Command, Retention, Subscriber, SubscriberSpec},
    cli,
    config::{self, Config},
    ids::{AccountId, Identity, IdentityKind},
    journal::{Commit, FileDisk, Space},
    rating::{CATALOG_OCTETS_MAX, Catalog, Publication, Version},
    server::Server,
    store::{Place, RecordFormat, RecordsAt, RecoveryReport, Rotation, Settings, Store, way_out},
    telemetry::{self, Health, HealthState, MetricsObserver, names},
    time::{Clock, SystemClock},
};

/// How often is looked for transfers that a crash left on their way.
const TRANSFERS_EVERY: Duration = Duration::from_secs(1);
/// How often supervision looks for sessions that have run out.
const EXPIRY_EVERY: Duration = Duration::from_secs(1);
/// How often is looked for accounts that something is due for by itself.
const CATCH_UP_EVERY: Duration = Duration::from_millis(16);
/// Accounts that are looked after each time. Those are 4,000 in a second: a million cycles close in about four minutes, and
/// requests that come meanwhile notice next to nothing of it (`benches/close.rs`).
const CATCH_UP_AT_ONCE: usize = 64;
/// How often changes of bulk changes are executed, and how many each time: 10,000 in a second, so that the largest takes ten
/// seconds, and the disk and the processor have time for requests between.
const BULKS_EVERY: Duration = Duration::from_millis(100);
const BULK_CHANGES_AT_ONCE: usize = 1_000;
/// After a start, how long gateways have to come back (Tc is 30 s, spec B-163) and report, before supervision ends sessions
/// whose time ran out meanwhile.
const EXPIRY_GRACE: Duration = Duration::from_secs(60);
/// How often gauges are brought up to date.
const GAUGES_EVERY: Duration = Duration::from_secs(2);
/// How often it is looked whether a checkpoint is due.
const CHECKPOINT_LOOK_EVERY: Duration = Duration::from_secs(1);
/// After a failed one, how long until the next is tried: it reads the whole state and writes until the disk is full.
const CHECKPOINT_RETRY_AFTER: Duration = Duration::from_secs(10);
/// How often usage records and the audit trail are written: each time costs a sync of their files.
const TRAILS_EVERY: Duration = Duration::from_millis(250);
/// After a failure, how long until they are tried again.
const TRAILS_RETRY_AFTER: Duration = Duration::from_secs(2);
/// How long background work may take to end when the node stops.
const STOP_WAIT: Duration = Duration::from_secs(10);

/// A node that serves.
pub struct Node {
    /// Diameter addresses that it listens on.
    pub diameter: Vec<SocketAddr>,
    /// Diameter addresses where TLS comes first.
    pub diameter_tls: Vec<SocketAddr>,
    /// gRPC address.
    pub grpc: SocketAddr,
    /// HTTP address: metrics and health.
    pub http: SocketAddr,
    /// The store.
    pub store: Arc<Store>,
    /// Its health, as `/readyz` tells it.
    pub health: Health,
    /// What recovery found.
    pub recovery: RecoveryReport,
    server: Server,
    stop: watch::Sender<bool>,
    /// Ends with the Diameter side.
    accepting: Vec<JoinHandle<()>>,
    /// gRPC and the push of events: they end before the store.
    api: Vec<JoinHandle<()>>,
    /// Timers, gauges, checkpoints and HTTP: they end last.
    background: Vec<JoinHandle<()>>,
    stop_background: watch::Sender<bool>,
}

impl Node {
    /// Starts a node: HTTP first, so that `/readyz` can tell of a long recovery, then the store, then what serves.
    ///
    /// # Errors
    /// The catalog is wrong, files are damaged or in use, or an address is taken: the message says which.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let metrics = telemetry::init().context("metrics")?;
        let health = Health::new();
        let (stop_background, stopped) = watch::channel(false);
        let http_listener = bind(config.http.listen, "http.listen").await?;
        let http = http_listener.local_addr()?;
        tracing::info!(%http, "starting: health and metrics are told from now on");
        let serve = telemetry::http::serve(http_listener, metrics, health.clone(), until(stopped.clone()));
        let mut background = vec![tokio::spawn(async move {
            if let Err(error) = serve.await {
                tracing::error!(%error, "HTTP has ended");
            }
        })];
        let catalog = read_catalog(config.catalog_path()).map_err(|problems| anyhow::anyhow!(problems.join("\n")))?;
        cli::check::unfit(&config, &catalog)?;
        let catalog = Arc::new(catalog);
        let (store, recovery) = open_store(&config, catalog, &health).await?;
        let version = store.version();
        // What was published over the API may have been fit for other peers than are configured now.
        cli::check::unfit(&config, &version.catalog)?;
        tell_version(&version);
        seed(&store, &config.seed).await?;

        let tls = &config.diameter.tls;
        let keys = tls.is_on().then(|| tls.load()).transpose();
        let keys = keys.map_err(|(_, message)| anyhow::anyhow!("diameter.tls: {message}"))?;
        let server = Server::new(Arc::clone(&store), &config.diameter, keys);
        let mut diameter = Vec::new();
        let mut accepting = Vec::new();
        let mut diameter_tls = Vec::new();
        let listeners = server.listen().map_err(|(place, error)| anyhow::Error::new(error).context(place))?;
        for listener in listeners {
            if listener.tls { &mut diameter_tls } else { &mut diameter }.push(listener.address);
            let server = server.clone();
            accepting.push(tokio::spawn(async move { server.accept(listener).await }));
        }
        let calling = server.clone();
        accepting.push(tokio::spawn(async move { calling.call().await }));
        let asking = server.clone();
        accepting.push(tokio::spawn(async move { asking.reauthorise().await }));

        let (stop, stopped_api) = watch::channel(false);
        let grpc_listener = bind(config.grpc.listen, "grpc.listen").await?;
        let grpc = grpc_listener.local_addr()?;
        let published = config.clone();
        let fits = move |catalog: &Catalog| cli::check::unfit(&published, catalog).map_err(|unfit| unfit.to_string());
        let services = api::Api::new(Arc::clone(&store), health.clone()).publishing_only(fits);
        let services = services.approving(config.approval.clone());
        let refusals: Arc<dyn api::access::AuditSink> = Arc::new(api::RefusalTrail(Arc::clone(&store)));
        let access = api::access::Access::load(&config.grpc, &config::SystemEnvironment, Some(refusals));
        let access = access.map_err(anyhow::Error::msg)?;
        let serving = api::serve(grpc_listener, access, services, until(stopped_api.clone()));
        let mut api_tasks = vec![tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "gRPC has ended");
            }
        })];
        if !config.events.push.is_empty() {
            let push = api::push::run(Arc::clone(&store), config.events.clone(), until(stopped_api));
            api_tasks.push(tokio::spawn(async move {
                if let Err(error) = push.await {
                    tracing::error!(%error, "events are pushed no more");
                }
            }));
        }
        health.set(HealthState::Ready);
        background.extend(start_background(&store, &config.store, &health, &stopped));
        Ok(Self {
            diameter,
            diameter_tls,
            grpc,
            http,
            store,
            health,
            recovery,
            server,
            stop,
            accepting,
            api: api_tasks,
            background,
            stop_background,
        })
    }

    /// Diameter connections, open or on their way.
    pub fn connections(&self) -> usize {
        self.server.connections()
    }

    /// Whether a Diameter peer has an open connection, by its Origin-Host.
    pub fn is_connected(&self, origin_host: &str) -> bool {
        self.server.is_connected(origin_host)
    }

    /// Waits until the journal fails: from then on nothing can be promised, and the process must end.
    pub async fn failed(&self) -> String {
        let fatal = self.store.mark().failed().await;
        let reason = fatal.to_string();
        metrics::counter!(names::JOURNAL_FAILURES).increment(1);
        self.health.set(HealthState::Failed(reason.clone()));
        reason
    }

    /// Ends in order, bounded in time: no new connections, DPR to peers, what was asked is answered, sync, checkpoint.
    ///
    /// # Errors
    /// Not everything could be made durable; what was not durable has not been answered.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.health.set(HealthState::Draining);
        self.server.stop().await;
        self.stop.send_replace(true);
        end_all(self.accepting).await;
        end_all(self.api).await;
        let store = Arc::clone(&self.store);
        let last = tokio::task::spawn_blocking(move || {
            // Without one nothing is lost: the journal is whole. Where there is no room, it would wait for what may never be.
            if store.room().space() > Space::Enough {
                tracing::warn!("no checkpoint at the end: there is no room on the disk");
            } else if let Err(error) = store.checkpoint() {
                tracing::warn!(%error, "no checkpoint at the end");
            }
            store.shutdown()
        });
        let position = last.await.context("the last sync")?.context("the last sync")?;
        self.stop_background.send_replace(true);
        end_all(self.background).await;
        tracing::info!(position = position.0, "stopped");
        Ok(())
    }
}

/// Runs a node until a signal or a failure, then ends it.
///
/// # Errors
/// It could not start, the journal failed, or it could not end in order.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let node = Node::start(config).await?;
    tracing::info!(
        diameter = ?node.diameter,
        diameter_tls = ?node.diameter_tls,
        grpc = %node.grpc,
        http = %node.http,
        accounts = node.store.totals().accounts,
        "tollgate serves"
    );
    tokio::select! {
        signal = ended_by_signal() => {
            tracing::info!(signal = signal?, "stopping");
            node.stop().await
        }
        reason = node.failed() => anyhow::bail!("stopped at once, because what is not durable must not be answered: {reason}"),
    }
}

async fn ended_by_signal() -> anyhow::Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}

async fn bind(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("{key} = \"{address}\""))
}

/// Resolves when the flag turns true, or nobody can turn it any more.
async fn until(mut flag: watch::Receiver<bool>) {
    let _ = flag.wait_for(|flag| *flag).await;
}

async fn end_all(tasks: Vec<JoinHandle<()>>) {
    let deadline = Instant::now() + STOP_WAIT;
    for mut task in tasks {
        let left = deadline.saturating_duration_since(Instant::now());
        if tokio::time::timeout(left, &mut task).await.is_err() {
            task.abort();
        }
    }
}

/// Reads and compiles a price list.
///
/// # Errors
/// Every problem, one line each: `file:line:column: message`.
pub fn read_catalog(path: &Path) -> Result<Catalog, Vec<String>> {
    let unreadable = |why: &dyn std::fmt::Display| vec![format!("{}: {why}", path.display())];
    let metadata = std::fs::metadata(path).map_err(|error| unreadable(&format_args!("cannot be read: {error}")))?;
    // Asked before it is read: a path may name anything.
    if metadata.len() > CATALOG_OCTETS_MAX as u64 {
        return Err(unreadable(&format_args!("is longer than {CATALOG_OCTETS_MAX} octets")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(&format_args!("cannot be read: {error}")))?;
    Catalog::from_toml(&text).map_err(|problems| {
        let line = |problem: &crate::rating::Problem| {
            format!("{}:{}:{}: {}", path.display(), problem.line, problem.column, problem.message)
        };
        problems.iter().map(line).collect()
    })
}

async fn open_store(
    config: &Config,
    catalog: Arc<Catalog>,
    health: &Health,
) -> anyhow::Result<(Arc<Store>, RecoveryReport)> {
    health.set(HealthState::Recovering { done_bytes: 0, total_bytes: 0 });
    let settings = settings(config);
    let named = config.clone();
    let opened = tokio::task::spawn_blocking(move || -> anyhow::Result<_> {
        let place = place(&named)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let observer = Arc::new(MetricsObserver::new(&catalog));
        let progress = |records: u64| tracing::info!(records, "recovering");
        let on_commit = CommitMetrics::new().into_observer();
        Store::open(place, settings, catalog, clock, observer, on_commit, progress).map_err(|error| {
            let directory = named.store_directory();
            match error.is_damage() {
                true => {
                    let way = way_out(error.damaged_file(), &FileDisk::look(&directory), settings, &directory);
                    anyhow::anyhow!("{error}\n{way}")
                }
                false => error.into(),
            }
        })
    });
    let directory = config.store_directory();
    let (store, report) =
        opened.await.context("recovery")?.with_context(|| format!("store.directory = \"{}\"", directory.display()))?;
    if let Some(torn) = &report.torn_tail {
        tracing::warn!(
            ?torn,
            "the end of the journal was an unfinished write, which nothing had been answered from; cut off"
        );
    }
    metrics::gauge!(names::AUDIT_LINES_MISSING).set(report.audit_missing as f64);
    if report.audit_missing > 0 {
        tracing::error!(
            lines = report.audit_missing,
            "the end of the audit trail is gone from its files: look for who did that"
        );
    }
    metrics::gauge!(names::RECOVERY_SECONDS).set(report.took.as_secs_f64());
    metrics::gauge!(names::RECOVERY_RECORDS).set(report.replayed as f64);
    tracing::info!(
        seconds = report.took.as_secs_f64(),
        records = report.replayed,
        accounts = report.accounts,
        sessions = report.sessions,
        "recovered"
    );
    Ok((Arc::new(store), report))
}

/// The store's directories.
fn place(config: &Config) -> anyhow::Result<Place<FileDisk>> {
    let disk = FileDisk::open(config.store_directory())?;
    let (records, audit) = (&config.records, &config.audit);
    let format = match records.format {
        config::RecordFormat::Jsonl => RecordFormat::Json,
        config::RecordFormat::Csv => RecordFormat::Csv,
        config::RecordFormat::Both => RecordFormat::Both,
    };
    let rotation = |bytes: u64, secs: u64| Rotation { bytes, secs };
    let open = |is_on: bool, directory: std::path::PathBuf| is_on.then(|| FileDisk::open(directory)).transpose();
    let records_disk = open(records.enabled, config.records_directory()).context("records.directory")?;
    let audit_disk = open(audit.enabled, config.audit_directory()).context("audit.directory")?;
    Ok(Place {
        disk,
        records: records_disk.map(|disk| RecordsAt {
            disk,
            format,
            rotation: rotation(records.rotate_bytes, records.rotate_secs),
            queue_max: records.queue_max,
        }),
        audit: audit_disk.map(|disk| (disk, rotation(audit.rotate_bytes, audit.rotate_secs))),
    })
}

/// Opens the store of a configuration whose server does not run, for a command that looks into it.
///
/// # Errors
/// The catalog is wrong, or files are damaged or in use.
pub async fn open_offline(config: &Config) -> anyhow::Result<Arc<Store>> {
    let catalog = read_catalog(config.catalog_path()).map_err(|problems| anyhow::anyhow!(problems.join("\n")))?;
    let (store, _) = open_store(config, Arc::new(catalog), &Health::new()).await?;
    Ok(store)
}

/// How the store of a configuration is set up.
pub fn settings(config: &Config) -> Settings {
    let store = &config.store;
    Settings {
        partitions: store.partitions,
        segment_bytes: store.segment_mb << 20,
        retention: Retention {
            session_secs: store.session_memory_secs,
            event_secs: store.event_memory_hours.saturating_mul(3_600),
            request_id_secs: store.request_id_days.saturating_mul(86_400),
            remembered_max: store.remembered_max.div_ceil(usize::from(store.partitions).max(1)),
            history_entries: store.history_entries,
            session_default_secs: store.default_session_secs,
            account_sessions_max: store.account_sessions_max,
            session_quotas_max: store.session_quotas_max,
            restart_grace_secs: config.diameter.restart_grace_secs,
            charge_late_usage: store.late_usage == config::LateUsage::Charge,
            ..Retention::default()
        },
        outbox_keep: config.events.keep,
        outbox_keep_max: config.events.keep_max,
    }
}

/// Handles for what each commit tells.
struct CommitMetrics {
    seconds: metrics::Histogram,
    batch: metrics::Histogram,
    records: metrics::Counter,
    bytes: metrics::Counter,
}

impl CommitMetrics {
    fn new() -> Self {
        Self {
            seconds: metrics::histogram!(names::JOURNAL_SYNC_SECONDS),
            batch: metrics::histogram!(names::JOURNAL_BATCH_RECORDS),
            records: metrics::counter!(names::JOURNAL_RECORDS),
            bytes: metrics::counter!(names::JOURNAL_BYTES),
        }
    }

    fn into_observer(self) -> impl FnMut(&Commit) + Send + 'static {
        move |commit| {
            self.seconds.record(commit.took.as_secs_f64());
            self.batch.record(f64::from(commit.records));
            self.records.increment(u64::from(commit.records));
            self.bytes.increment(commit.bytes as u64);
            WRITTEN.fetch_add(commit.bytes as u64, std::sync::atomic::Ordering::Relaxed);
        }
    }
}

/// Bytes of journal written by this process, for the decision when to checkpoint. A process has one store; tests that have
/// several only checkpoint more often.
static WRITTEN: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

/// Fills an empty store with subscribers, through the same door as everyone. A start that was cut short in the middle of
/// it is made up for: what is there already stays as it is.
async fn seed(store: &Arc<Store>, seed: &config::Seed) -> anyhow::Result<()> {
    let seeded = |i: u64| !store.identities_of(AccountId(i)).is_empty();
    let begun = || store.account(AccountId(1)).is_some();
    // The last subscriber is there when all are.
    if seed.subscribers == 0 || seeded(seed.subscribers) || store.totals().accounts > 0 && !begun() {
        return Ok(());
    }
    let started = Instant::now();
    let (store, seed) = (Arc::clone(store), seed.clone());
    let count = seed.subscribers;
    tokio::task::spawn_blocking(move || -> anyhow::Result<()> {
        let number = |text: &str, key: &str| -> anyhow::Result<u64> {
            text.parse().with_context(|| format!("seed.{key} = \"{text}\" is not a number"))
        };
        let (msisdn, imsi) = (number(&seed.first_msisdn, "first_msisdn")?, number(&seed.first_imsi, "first_imsi")?);
        let width = seed.first_imsi.len();
        for i in 0..seed.subscribers {
            let account = AccountId(i + 1);
            let spec = AccountSpec {
                id: account,
                currency: store.catalog().currency(),
                balance: seed.balance,
                credit_limit: crate::units::Money::ZERO,
                never_stop: false,
                allowances: Vec::new(),
            };
            // Positions grow: the last one covers all.
            drop(store.account_command(account, &Command::CreateAccount(spec)));
            let identities = [
                Identity::new(IdentityKind::E164, &(msisdn + i).to_string())?,
                Identity::new(IdentityKind::Imsi, &format!("{:0width$}", imsi + i))?,
            ];
            let subscriber = Subscriber { id: "1".into(), identities: identities.into() };
            drop(store.create_subscriber(SubscriberSpec { account, subscriber }));
        }
        store.mark().wait_for_blocking(store.last_position())?;
        Ok(())
    })
    .await
    .context("seeding")??;
    tracing::info!(subscribers = count, seconds = started.elapsed().as_secs_f64(), "seeded");
    Ok(())
}

/// Timers that drive what happens by itself.
fn start_background(
    store: &Arc<Store>,
    config: &config::Store,
    health: &Health,
    stopped: &watch::Receiver<bool>,
) -> [JoinHandle<()>; 9] {
    let expiring = Arc::clone(store);
    let started = Instant::now();
    let expiry = every(EXPIRY_EVERY, stopped.clone(), move || {
        if started.elapsed() < EXPIRY_GRACE || has_reserve_only(&expiring) {
            return;
        }
        let ended = expiring.expire_sessions();
        if ended > 0 {
            tracing::info!(sessions = ended, "supervision ended sessions that nothing was heard of");
        }
    });
    let swept = Arc::clone(store);
    let sweeps = every(EXPIRY_EVERY, stopped.clone(), move || {
        if has_reserve_only(&swept) {
            return;
        }
        let closed = swept.close_left_behind();
        if closed > 0 {
            tracing::info!(sessions = closed, "closed: their clients have restarted without them");
        }
    });
    let late = Arc::clone(store);
    let turns = every(CATCH_UP_EVERY, stopped.clone(), move || {
        // An account that is used is caught up with before.
        if late.room().space() > Space::Enough {
            return;
        }
        let done = late.catch_up_accounts(CATCH_UP_AT_ONCE);
        metrics::counter!(names::ACCOUNTS_CAUGHT_UP).increment(done as u64);
    });
    let sent = Arc::clone(store);
    let transfers = every(TRANSFERS_EVERY, stopped.clone(), move || {
        if has_reserve_only(&sent) {
            return;
        }
        let vouchers = sent.resume_vouchers();
        if vouchers > 0 {
            tracing::info!(vouchers, "vouchers that were being redeemed were taken up again");
        }
        let resumed = sent.resume_transfers();
        if resumed > 0 {
            tracing::info!(accounts = resumed, "transfers that were on their way were taken up again");
        }
    });
    let gauged = Arc::clone(store);
    let mut told = telemetry::observer::Told::default();
    let mut in_force = store.version().number();
    let gauges = every(GAUGES_EVERY, stopped.clone(), move || {
        telemetry::observer::gauges(&gauged, &mut told);
        let version = gauged.version();
        if version.number() != in_force {
            in_force = version.number();
            tell_version(&version);
        }
    });
    let (checkpointed, limit) = (Arc::clone(store), config.checkpoint_journal_mb << 20);
    let mut done = WRITTEN.load(std::sync::atomic::Ordering::Relaxed);
    let mut not_before = Instant::now();
    let checkpoints = every(CHECKPOINT_LOOK_EVERY, stopped.clone(), move || {
        let written = WRITTEN.load(std::sync::atomic::Ordering::Relaxed);
        metrics::gauge!(names::JOURNAL_SINCE_CHECKPOINT).set((written - done) as f64);
        // It may free segments: worth trying where there is no room for more of them.
        let helps = written > done && checkpointed.room().space() > Space::Enough;
        if (written - done >= limit || helps) && Instant::now() >= not_before {
            if checkpoint(&checkpointed) {
                done = written;
            } else {
                not_before = Instant::now() + CHECKPOINT_RETRY_AFTER;
            }
        }
    });
    let written = Arc::clone(store);
    let mut not_before = Instant::now();
    let trails = every(TRAILS_EVERY, stopped.clone(), move || {
        if Instant::now() >= not_before && !write_trails(&written) {
            not_before = Instant::now() + TRAILS_RETRY_AFTER;
        }
    });
    let changed = Arc::clone(store);
    let bulks = every(BULKS_EVERY, stopped.clone(), move || {
        if changed.room().space() > Space::Enough {
            return;
        }
        let expired = changed.expire_bulks();
        if expired > 0 {
            tracing::warn!(bulks = expired, "bulk changes that nobody has approved in time are dropped");
        }
        let executed = changed.run_bulks(BULK_CHANGES_AT_ONCE);
        metrics::counter!(names::BULK_CHANGES).increment(executed as u64);
    });
    let room = every(space::LOOK_EVERY, stopped.clone(), space::watch(store, health.clone()));
    [expiry, sweeps, turns, transfers, gauges, checkpoints, trails, bulks, room]
}

/// Whether what room there is belongs to what has been taken on: what happens by itself can wait.
fn has_reserve_only(store: &Store) -> bool {
    store.room().space() == Space::Reserved
}

fn tell_version(version: &Version) {
    let Publication { number, activates, by, reason, .. } = &*version.publication;
    tracing::info!(version = number, since = %activates, %by, %reason, "catalog in force");
}

/// Whether they are written.
fn write_trails(store: &Store) -> bool {
    let written = store.write_trails();
    let done = written.is_ok();
    match written {
        Ok(lines) => metrics::counter!(names::TRAIL_LINES).increment(lines as u64),
        Err(error) => {
            metrics::counter!(names::TRAIL_FAILURES).increment(1);
            tracing::error!(%error, "usage records or the audit trail could not be written; they wait");
        }
    }
    done
}

/// Whether there is one more.
fn checkpoint(store: &Store) -> bool {
    let written = store.checkpoint_beside_traffic();
    let done = written.is_ok();
    match written {
        Ok(report) => {
            metrics::gauge!(names::CHECKPOINT_SECONDS).set(report.took.as_secs_f64());
            metrics::gauge!(names::CHECKPOINT_BYTES).set(report.bytes as f64);
            metrics::gauge!(names::CHECKPOINT_TIMESTAMP).set(SystemClock.now().secs() as f64);
            tracing::info!(
                position = report.position.0,
                bytes = report.bytes,
                seconds = report.took.as_secs_f64(),
                longest_pause_ms = report.longest_pause.as_secs_f64() * 1_000.0,
                "checkpoint"
            );
        }
        Err(error) => {
            metrics::counter!(names::CHECKPOINT_FAILURES).increment(1);
            tracing::error!(%error, "a checkpoint failed; the journal goes on");
        }
    }
    done
}

/// Calls something that may block, again and again, until the node stops.
fn every(
    period: Duration,
    mut stopped: watch::Receiver<bool>,
    mut work: impl FnMut() + Send + 'static,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => return,
                _ = ticks.tick() => {}
            }
            let finished = tokio::task::spawn_blocking(move || {
                work();
                work
            });
            // The work panicked: there is nothing to go on with.
            let Ok(again) = finished.await else { return };
            work = again;
        }
    })
}
