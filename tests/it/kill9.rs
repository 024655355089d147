//! `kill -9` in the middle of everything, seen from outside.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use crate::{
    dice::Dice,
    process::{PATIENCE, Process, configure},
    witness::{ACCOUNTS, OPENING, Witness},
};

/// When the server is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// So many answers after the start.
    Answers(u64),
    /// While a checkpoint is being written.
    Checkpoint,
    /// When the next file of usage records has been begun.
    Rotation,
    /// While a backup is being made beside it.
    Backup,
}

/// Rounds that a plain `cargo test` plays. TOLLGATE_SOAK_ROUNDS says how many else: 20 before a change lands, 200 and more now
/// and then.
const ROUNDS: u64 = 3;
/// Every so many rounds, and after the last, the files are read as well, each from its beginning: the witness holds the server to
/// its answers in every round.
const FILES_EVERY: u64 = 5;
/// Rounds between two lines of progress.
const PROGRESS_EVERY: u64 = 10;

fn rounds() -> u64 {
    std::env::var("TOLLGATE_SOAK_ROUNDS").ok().map_or(ROUNDS, |rounds| rounds.parse().unwrap())
}

impl Moment {
    fn of(round: u64, dice: &mut Dice) -> Self {
        match round % 6 {
            1 => Self::Checkpoint,
            3 => Self::Rotation,
            5 => Self::Backup,
            _ => Self::Answers(100 + dice.below(1_000)),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Answers(_) => "under load",
            Self::Checkpoint => "in a checkpoint",
            Self::Rotation => "at a rotation of usage records",
            Self::Backup => "beside a backup",
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_outlives_kill_9_and_nothing_happens_twice() {
    let directory = tempfile::tempdir().unwrap();
    let records = "[records]\nenabled = true\nformat = \"both\"\nrotate_bytes = 65536\n";
    configure(directory.path(), ACCOUNTS, OPENING, records);
    let seed = std::env::var("TOLLGATE_SEED").ok().map_or(1, |seed| seed.parse().unwrap());
    let mut dice = Dice(seed);
    let mut witness = Witness::new(seed);
    let mut kills: BTreeMap<&str, u64> = BTreeMap::new();
    let begun = Instant::now();
    let mut server = Process::start(directory.path());
    let mut addresses = server.serving();
    for round in 0..rounds() {
        let moment = Moment::of(round, &mut dice);
        let at = format!("seed {seed}, round {round}, {moment:?}");
        let (answered, count) = watch::channel(0);
        let (_stop, stopped) = watch::channel(false);
        let killer = async {
            let backup = wait_for(moment, count, directory.path()).await;
            server.kill();
            backup
        };
        let ((), backup) = tokio::join!(witness.load(addresses, answered, stopped), killer);
        *kills.entry(moment.name()).or_default() += 1;
        if let Some(mut backup) = backup {
            // It reads only what is durable, so that it cannot miss who wrote it.
            let status = tokio::task::spawn_blocking(move || backup.0.wait().map(|status| (status, backup.1)));
            assert!(status.await.unwrap().unwrap().0.success(), "{at}: the backup failed");
        }
        let looks_at_files = round % FILES_EVERY == 0 || round + 1 == rounds();
        if looks_at_files {
            files_are_sound(directory.path(), &at);
        }
        // Some starts end before they have served.
        for _ in 0..dice.below(3) {
            let early = Process::start(directory.path());
            std::thread::sleep(Duration::from_micros(dice.below(80_000)));
            let recovered = early.log().contains("\"recovered\"");
            early.kill();
            *kills.entry(if recovered { "at the start" } else { "in recovery" }).or_default() += 1;
        }
        server = Process::start(directory.path());
        addresses = server.serving();
        witness.verify(addresses, &at).await;
        if looks_at_files {
            trails_are_whole(addresses.grpc, &directory.path().join("data"), &at).await;
            // Also beside the running server; and so is a copy that is made beside it.
            files_are_sound(directory.path(), &at);
            let copy = tempfile::tempdir().unwrap();
            let to = copy.path().to_str().unwrap();
            let backed_up = told(directory.path(), &["backup", "--to", to], &at);
            assert!(backed_up.contains("\"lines\":"), "{at}: {backed_up}");
        }
        if (round + 1) % PROGRESS_EVERY == 0 {
            let (all, answered): (u64, _) = (kills.values().sum(), witness.answered);
            println!("{} rounds, {all} kills, {answered} answers, {} s", round + 1, begun.elapsed().as_secs());
        }
    }
    assert!(witness.answered > 0 && witness.unanswered > 0, "nobody was killed in the middle of anything");
    witness.finish(addresses).await;
    let all: u64 = kills.values().sum();
    println!("{} rounds in {} s, {all} kills survived:", rounds(), begun.elapsed().as_secs());
    kills.iter().for_each(|(moment, count)| println!("  {count:4} {moment}"));
    println!(
        "{} requests answered under load, {} on their way when the server died",
        witness.answered, witness.unanswered
    );
}

/// `verify` and `journal verify` find nothing, whatever state the files were left in.
pub(crate) fn files_are_sound(directory: &Path, at: &str) {
    for verb in [&["verify"][..], &["journal", "verify"], &["journal", "stats"]] {
        told(directory, verb, at);
    }
}

/// What a verb says of the store of a directory.
fn told(directory: &Path, verb: &[&str], at: &str) -> String {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tollgate"));
    let config = directory.join("tollgate.toml");
    let output = command.args(verb).arg("--json").arg("--config").arg(config).output().unwrap();
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("\"last\":"), "{at}: {verb:?}: {said}{complained}");
    said.into_owned()
}

/// Every usage record is there once, and so is every line of the audit trail.
pub(crate) async fn trails_are_whole(grpc: std::net::SocketAddr, store: &Path, at: &str) {
    use tollgate::{
        api::v1::{
            GetAuditHeadRequest, ReconcileRecordsRequest, audit_service_client::AuditServiceClient,
            record_service_client::RecordServiceClient,
        },
        store::{AuditTrail, Cursor, RecordFiles, RecordFilter},
    };
    let url = format!("http://{grpc}");
    let mut records = RecordServiceClient::connect(url.clone()).await.unwrap();
    let done = records.reconcile_records(ReconcileRecordsRequest {}).await.unwrap().into_inner();
    assert!(done.exact, "{at}: {done:#?}");
    let (lines, _) =
        RecordFiles::look(&store.join("records")).page(&RecordFilter::default(), None, usize::MAX).unwrap();
    let cursors: Vec<Cursor> = lines.iter().map(|line| line.cursor.parse().unwrap()).collect();
    assert!(cursors.len() > 100 && cursors.is_sorted_by(|a, b| a < b), "{at}: {} records", cursors.len());
    let mut audit = AuditServiceClient::connect(url).await.unwrap();
    let head = audit.get_audit_head(GetAuditHeadRequest {}).await.unwrap().into_inner();
    let verified = AuditTrail::look(&store.join("audit")).verify(Some((head.line, &head.hash)));
    assert!(verified.is_ok(), "{at}: {verified:?}");
}

/// Waits for a moment. Returns the backup that is being made then, and where it goes.
async fn wait_for(
    moment: Moment,
    mut answered: watch::Receiver<u64>,
    directory: &Path,
) -> Option<(Child, tempfile::TempDir)> {
    let store = directory.join("data");
    let named = |at: PathBuf, beginning: &'static str, end: &'static str| {
        let old = files(&at, beginning, end);
        tokio::task::spawn_blocking(move || wait_for_file(&old, &at, beginning, end))
    };
    match moment {
        Moment::Answers(count) => {
            // The sender is there as long as the load is.
            let _ = answered.wait_for(|answered| *answered >= count).await;
        }
        Moment::Checkpoint => named(store, "checkpoint-", ".tmp").await.unwrap(),
        Moment::Rotation => named(store.join("records"), "usage-", ".jsonl").await.unwrap(),
        Moment::Backup => {
            let _ = answered.wait_for(|answered| *answered >= 100).await;
            let copy = tempfile::tempdir().unwrap();
            let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
            command.arg("backup").arg("--to").arg(copy.path()).arg("--config").arg(directory.join("tollgate.toml"));
            command.stdout(Stdio::null()).stderr(Stdio::null());
            let appears = named(copy.path().to_owned(), "", "");
            let backup = command.spawn().unwrap();
            appears.await.unwrap();
            return Some((backup, copy));
        }
    }
    None
}

/// Waits until a file of such a name appears that was not there: a draft of a killed server stays until the next is begun.
fn wait_for_file(old: &BTreeSet<String>, directory: &Path, beginning: &str, end: &str) {
    let deadline = Instant::now() + PATIENCE;
    while files(directory, beginning, end).is_subset(old) {
        assert!(Instant::now() < deadline, "no new {beginning}*{end} in {}", directory.display());
        std::thread::sleep(Duration::from_micros(100));
    }
}

fn files(directory: &Path, beginning: &str, end: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.starts_with(beginning) && name.ends_with(end)).collect()
}

/// A server that dies while it creates its first subscribers goes on with them at the next start.
#[tokio::test]
async fn seeding_goes_on_after_a_kill() {
    use tollgate::{app::Node, ids::AccountId};
    let directory = tempfile::tempdir().unwrap();
    // As a server leaves it that was killed after the third of eight.
    let node = Node::start(crate::support::config(directory.path(), crate::support::DEMO_CATALOG, 3)).await.unwrap();
    node.stop().await.unwrap();
    let node = Node::start(crate::support::config(directory.path(), crate::support::DEMO_CATALOG, 8)).await.unwrap();
    assert_eq!((node.store.totals().accounts, node.store.identities()), (8, 16));
    assert_eq!(node.store.identities_of(AccountId(8)).len(), 2);
    node.stop().await.unwrap();
}
