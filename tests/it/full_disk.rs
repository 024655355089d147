//! Disks that are full, and that fail: the real server on real file systems of a limited size.

use std::{
    fs::File,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::Ordering,
    time::Instant,
};

use tokio::sync::watch;

use crate::{
    kill9::{files_are_sound, trails_are_whole},
    process::{PATIENCE, Process, configure},
    tools::{available, required},
    witness::{ACCOUNTS, OPENING, Witness},
};

/// Room for the segments that are kept ready, and some more.
const SIZE_MB: u64 = 24;

/// A file system of a limited size; gone when this is dropped.
struct Mounted {
    at: PathBuf,
    /// Also holds the image, where there is one.
    _directory: tempfile::TempDir,
}

impl Mounted {
    /// `None` where this process may not mount anything, unless it must.
    fn tmpfs() -> Option<Self> {
        Self::new(|_, at| vec![command("mount", &["-t", "tmpfs", "-o", &format!("size={SIZE_MB}m"), "tollgate", at])])
    }

    /// The same with a journal of its own and real syncs, on a loop device.
    fn ext4() -> Option<Self> {
        Self::new(|image, at| {
            File::create(image).unwrap().set_len(SIZE_MB << 20).unwrap();
            vec![command("mkfs.ext4", &["-q", "-m", "0", image]), command("mount", &["-o", "loop", image, at])]
        })
    }

    fn new(commands: impl FnOnce(&str, &str) -> Vec<Command>) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let (image, at) = (directory.path().join("image"), directory.path().join("mounted"));
        std::fs::create_dir(&at).unwrap();
        for mut command in commands(image.to_str().unwrap(), at.to_str().unwrap()) {
            let done = command.output().map(|output| (output.status.success(), output.stderr));
            if !matches!(done, Ok((true, _))) {
                let why =
                    done.map_or_else(|error| error.to_string(), |(_, told)| String::from_utf8_lossy(&told).into());
                assert!(!required(), "TOLLGATE_INTEROP=required, but {command:?} fails: {why}");
                eprintln!("skipped: {command:?} fails here: {why}");
                return None;
            }
        }
        Some(Self { at, _directory: directory })
    }

    /// Writes until there is no room for one more octet.
    fn fill_up(&self) {
        let mut ballast = File::create(self.ballast()).unwrap();
        for piece in [1 << 20, 4_096, 1] {
            while ballast.write_all(&vec![7; piece]).is_ok() {}
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.at.join("ballast")
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: also when a test that failed has left something open.
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}

fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// Waits, with an end, until something is so.
async fn until(what: &str, server: &Process, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}; the server says\n{}", server.log());
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// The value of a metric without labels, or the sum over them.
fn metric(server: &Process, name: &str) -> f64 {
    let page = server.get("/metrics");
    let of = |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
    page.lines().filter(|line| of(line)).map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

const SHORT: &str = "tollgate_store_short_of_space";

async fn fills_up_and_goes_on(mounted: &Mounted, seed: u64) {
    let directory = mounted.at.as_path();
    configure(directory, ACCOUNTS, OPENING, "[records]\nenabled = true\nformat = \"both\"\nrotate_bytes = 65536\n");
    let mut server = Process::start(directory);
    let addresses = server.serving();
    let mut witness = Witness::new(seed);
    let refusals = witness.take_refusals();
    assert_eq!((metric(&server, SHORT), server.readyz().unwrap().0), (0.0, 200));

    mounted.fill_up();
    let (answered, _count) = watch::channel(0);
    let (stop, stopped) = watch::channel(false);
    let filling = async {
        let all_kinds =
            || [&refusals.begins, &refusals.top_ups].into_iter().all(|count| count.load(Ordering::Relaxed) > 50);
        until("refused for want of room", &server, all_kinds).await;
        until("told for want of room", &server, || {
            let failed = ["tollgate_checkpoint_failures_total", "tollgate_trail_failures_total"];
            metric(&server, SHORT) == 1.0 && failed.into_iter().all(|name| metric(&server, name) > 0.0)
        })
        .await;
        stop.send(true).unwrap();
    };
    // It ends when all that was asked is answered.
    tokio::join!(witness.load(addresses, answered, stopped), filling);
    let full = witness.answered;
    assert!(full > 0);
    assert_eq!(refusals.others.load(Ordering::Relaxed), 0, "what had begun was refused before the reserve was reached");
    assert!(metric(&server, "tollgate_store_free_bytes") < 3.0 * f64::from(1 << 20));
    let (code, text) = server.readyz().unwrap();
    assert!(code == 503 && text.starts_with("short of space"), "{code} {text}");
    assert!(server.get("/healthz").starts_with("short of space"));
    assert!(metric(&server, "tollgate_requests_refused_total") > 50.0);
    files_are_sound(directory, "while it is full");

    mounted.make_room();
    until("room again", &server, || metric(&server, SHORT) == 0.0).await;
    assert_eq!(server.readyz().unwrap().0, 200);
    let (answered, mut count) = watch::channel(0);
    let (stop, stopped) = watch::channel(false);
    let serving = async {
        count.wait_for(|answered| *answered >= 500).await.unwrap();
        stop.send(true).unwrap();
    };
    tokio::join!(witness.load(addresses, answered, stopped), serving);
    until("the trails are written", &server, || metric(&server, "tollgate_trail_backlog_lines") == 0.0).await;
    witness.verify(addresses, "after it was full").await;
    trails_are_whole(addresses.grpc, &directory.join("data"), "after it was full").await;
    server.terminate();
    let (status, log) = tokio::task::spawn_blocking(|| server.ended()).await.unwrap();
    assert!(status.success() && !log.contains("stopped at once"), "{log}");
    files_are_sound(directory, "after it was stopped");

    let mut server = Process::start(directory);
    let addresses = server.serving();
    witness.verify(addresses, "after a restart").await;
    trails_are_whole(addresses.grpc, &directory.join("data"), "after a restart").await;
    witness.finish(addresses).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_tmpfs_refuses_what_is_new_and_is_gone_on_with() {
    if let Some(mounted) = Mounted::tmpfs() {
        fills_up_and_goes_on(&mounted, 21).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_ext4_refuses_what_is_new_and_is_gone_on_with() {
    if let Some(mounted) = Mounted::ext4() {
        fills_up_and_goes_on(&mounted, 22).await;
    }
}

/// On a full disk a server is killed, and does not start in a state that is not whole: it says why, and starts when there is
/// room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_on_a_full_disk_loses_nothing() {
    let Some(mounted) = Mounted::tmpfs() else { return };
    let directory = mounted.at.as_path();
    configure(directory, ACCOUNTS, OPENING, "");
    let mut server = Process::start(directory);
    let addresses = server.serving();
    let mut witness = Witness::new(23);
    let refusals = witness.take_refusals();
    mounted.fill_up();
    let (answered, _count) = watch::channel(0);
    let (_stop, stopped) = watch::channel(false);
    let killing = async {
        until("refused", &server, || refusals.begins.load(Ordering::Relaxed) > 20).await;
        server.kill();
    };
    tokio::join!(witness.load(addresses, answered, stopped), killing);
    // No segment is ready any more whose room a start could have.
    let (status, log) = tokio::task::spawn_blocking({
        let server = Process::start(directory);
        move || server.ended()
    })
    .await
    .unwrap();
    assert!(status.code() == Some(1) && log.contains("No space left on device"), "{log}");
    mounted.make_room();
    let mut server = Process::start(directory);
    let addresses = server.serving();
    witness.verify(addresses, "after a kill on a full disk").await;
    witness.finish(addresses).await;
}

/// The system refuses to sync: the process ends, and nothing was answered that it does not know afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_sync_fails_answers_end() {
    // Where it may trace, that is.
    if !available("strace", &["-qq", "-f", "-e", "trace=fdatasync", "true"]) {
        return;
    }
    for error in ["EIO", "ENOSPC"] {
        let directory = tempfile::tempdir().unwrap();
        configure(directory.path(), ACCOUNTS, OPENING, "");
        let mut server = Process::start(directory.path());
        let addresses = server.serving();
        let mut witness = Witness::new(24);
        let (answered, mut count) = watch::channel(0);
        let (_stop, stopped) = watch::channel(false);
        let inject = format!("inject=fdatasync:error={error}");
        let failing = async {
            count.wait_for(|answered| *answered >= 300).await.unwrap();
            let mut strace = command("strace", &["-qq", "-f", "-e", "trace=fdatasync", "-e", &inject, "-p"]);
            strace.arg(server.id().to_string()).stdout(Stdio::null()).stderr(Stdio::null());
            strace.spawn().unwrap()
        };
        // The load ends when the connections do.
        let (_, mut strace) = tokio::join!(witness.load(addresses, answered, stopped), failing);
        let (status, log) = tokio::task::spawn_blocking(|| server.ended()).await.unwrap();
        // It ends with what it traces.
        strace.wait().unwrap();
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(log.contains("what is not durable must not be answered"), "{log}");
        assert!(witness.open() > 0, "everything was answered");
        let mut server = Process::start(directory.path());
        let addresses = server.serving();
        witness.verify(addresses, "after the failure").await;
        files_are_sound(directory.path(), "after the failure");
        witness.finish(addresses).await;
    }
}
