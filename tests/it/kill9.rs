//! `kill -9` in the middle of everything, seen from outside.

use std::{
    collections::BTreeSet,
    path::Path,
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
}

/// Rounds that a plain `cargo test` plays; a soak sets TOLLGATE_SOAK_ROUNDS.
const ROUNDS: u64 = 3;

fn rounds() -> u64 {
    std::env::var("TOLLGATE_SOAK_ROUNDS").ok().map_or(ROUNDS, |rounds| rounds.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_outlives_kill_9_and_nothing_happens_twice() {
    let directory = tempfile::tempdir().unwrap();
    let records = "[records]\nenabled = true\nformat = \"both\"\nrotate_bytes = 65536\n";
    configure(directory.path(), ACCOUNTS, OPENING, records);
    let seed = std::env::var("TOLLGATE_SEED").ok().map_or(1, |seed| seed.parse().unwrap());
    let mut dice = Dice(seed);
    let mut witness = Witness::new(seed);
    let mut server = Process::start(directory.path());
    let mut addresses = server.serving();
    for round in 0..rounds() {
        let moment = if round % 3 == 1 { Moment::Checkpoint } else { Moment::Answers(200 + dice.below(1_500)) };
        let at = format!("seed {seed}, round {round}, {moment:?}");
        let (answered, count) = watch::channel(0);
        let (_stop, stopped) = watch::channel(false);
        let path = directory.path().join("data");
        let killer = async {
            wait_for(moment, count, &path).await;
            server.kill();
        };
        tokio::join!(witness.load(addresses, answered, stopped), killer);
        files_are_sound(directory.path(), &at);
        // Some starts end before they have served.
        for _ in 0..dice.below(3) {
            let early = Process::start(directory.path());
            std::thread::sleep(Duration::from_micros(dice.below(30_000)));
            early.kill();
        }
        server = Process::start(directory.path());
        addresses = server.serving();
        witness.verify(addresses, &at).await;
        trails_are_whole(addresses.grpc, &directory.path().join("data"), &at).await;
        // Also beside the running server; and so is a copy that is made beside it.
        files_are_sound(directory.path(), &at);
        let copy = tempfile::tempdir().unwrap();
        let to = copy.path().to_str().unwrap();
        let backed_up = told(directory.path(), &["backup", "--to", to], &at);
        assert!(backed_up.contains("\"lines\":"), "{at}: {backed_up}");
    }
    assert!(witness.answered > 0 && witness.unanswered > 0, "nobody was killed in the middle of anything");
    witness.finish(addresses).await;
    println!(
        "{} rounds: {} requests answered under load, {} on their way when the server died",
        rounds(),
        witness.answered,
        witness.unanswered
    );
}

/// `verify` and `journal verify` find nothing, whatever state the files were left in.
fn files_are_sound(directory: &Path, at: &str) {
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
async fn trails_are_whole(grpc: std::net::SocketAddr, store: &Path, at: &str) {
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

async fn wait_for(moment: Moment, mut answered: watch::Receiver<u64>, store: &Path) {
    match moment {
        Moment::Answers(count) => {
            // The sender is there as long as the load is.
            let _ = answered.wait_for(|answered| *answered >= count).await;
        }
        Moment::Checkpoint => {
            let store = store.to_owned();
            tokio::task::spawn_blocking(move || wait_for_draft(&store)).await.unwrap();
        }
    }
}

/// Waits until a draft of a checkpoint appears that was not there: one of a killed server stays until the next is begun.
fn wait_for_draft(store: &Path) {
    let drafts = || -> BTreeSet<String> {
        let names = std::fs::read_dir(store).unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter(|name| name.starts_with("checkpoint-") && name.ends_with(".tmp")).collect()
    };
    let old = drafts();
    let deadline = Instant::now() + PATIENCE;
    while drafts().is_subset(&old) {
        assert!(Instant::now() < deadline, "no checkpoint is written");
        std::thread::sleep(Duration::from_micros(100));
    }
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
