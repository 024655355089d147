//! The server as a process of its own, to be killed.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use crate::support::DEMO_CATALOG;

/// Nothing here takes long; a test that waits for what never comes ends.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running `tollgate serve`.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<serde_json::Value>,
    /// All that it has logged, for messages of failed tests.
    log: Arc<Mutex<String>>,
    /// Health and metrics; there before it serves.
    pub(crate) http: SocketAddr,
}

/// Where it serves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) diameter: SocketAddr,
    pub(crate) grpc: SocketAddr,
}

/// Writes the configuration of a server in a directory: the demo's prices, free ports, `subscribers` with `balance` each
/// (see [`support::config`](crate::support::config)), and checkpoints as often as can be.
pub(crate) fn configure(directory: &Path, subscribers: u64, balance: &str, more: &str) {
    std::fs::write(directory.join("catalog.toml"), DEMO_CATALOG).unwrap();
    let data = directory.join("data");
    let text = format!(
        "[diameter]\nlisten = \"127.0.0.1:0\"\naccept_unknown_peers = true\n\
         [grpc]\nlisten = \"127.0.0.1:0\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
         [store]\ndirectory = {data:?}\npartitions = 8\nsegment_mb = 1\ncheckpoint_journal_mb = 1\n\
         [seed]\nsubscribers = {subscribers}\nbalance = \"{balance}\"\n[log]\nformat = \"json\"\n{more}"
    );
    std::fs::write(directory.join("tollgate.toml"), text).unwrap();
}

impl Process {
    /// Starts a server on a directory and waits until its health can be asked for.
    pub(crate) fn start(directory: &Path) -> Self {
        Self::of(command(directory))
    }

    /// Starts a server and waits until its health can be asked for.
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let lines = read_lines(child.stderr.take().unwrap(), Arc::clone(&log));
        let mut process = Self { child, lines, log, http: SocketAddr::from(([127, 0, 0, 1], 0)) };
        process.http = process.line("starting")["http"].as_str().unwrap().parse().unwrap();
        process
    }

    /// Waits until it serves.
    pub(crate) fn serving(&mut self) -> Addresses {
        let line = self.line("tollgate serves");
        let diameter = line["diameter"].as_str().unwrap().trim_matches(['[', ']']).parse().unwrap();
        Addresses { diameter, grpc: line["grpc"].as_str().unwrap().parse().unwrap() }
    }

    /// Waits for a log line whose message begins so. A long recovery is waited for as long as it tells that it goes on.
    pub(crate) fn line(&mut self, message: &str) -> serde_json::Value {
        let mut deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line["message"].as_str().is_some_and(|text| text.starts_with(message)) => return line,
                Ok(line) if line["message"] == "recovering" => deadline = Instant::now() + PATIENCE,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => panic!("no `{message}` in\n{}", self.log()),
                Err(RecvTimeoutError::Disconnected) => panic!("it ended without `{message}`:\n{}", self.log()),
            }
        }
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Its process id.
    #[cfg(target_os = "linux")]
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for its end. Returns how it ended and what it logged.
    pub(crate) fn ended(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                // The log is whole when its reader has seen the end.
                while self.lines.recv().is_ok() {}
                return (status, self.log());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        panic!("it does not end:\n{}", self.log());
    }

    /// Status code and text of `/readyz`; `None` if nobody listens any more.
    pub(crate) fn readyz(&self) -> Option<(u16, String)> {
        self.try_get("/readyz")
    }

    /// The text of a page that is there.
    pub(crate) fn get(&self, path: &str) -> String {
        let (code, text) = self.try_get(path).unwrap();
        assert_eq!(code, 200, "{path}: {text}");
        text
    }

    fn try_get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(self.http).ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let code = text.split(' ').nth(1)?.parse().ok()?;
        Some((code, text.split_once("\r\n\r\n")?.1.to_owned()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Of a test that failed; one that ended is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `tollgate serve` on the configuration of a directory.
fn command(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.arg("serve").arg("--config").arg(directory.join("tollgate.toml"));
    piped(command)
}

/// The same with variables.
pub(crate) fn command_with(directory: &Path, variables: &[(&str, &str)]) -> Command {
    let mut command = command(directory);
    command.envs(variables.iter().copied());
    command
}

/// The same out of a shell that does something first.
#[cfg(target_os = "linux")]
pub(crate) fn command_in_shell(directory: &Path, first: &str) -> Command {
    let mut command = Command::new("sh");
    let script = format!("{first}; exec \"$0\" serve --config \"$1\"");
    command.arg("-c").arg(script).arg(env!("CARGO_BIN_EXE_tollgate")).arg(directory.join("tollgate.toml"));
    piped(command)
}

fn piped(mut command: Command) -> Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn read_lines(stderr: ChildStderr, log: Arc<Mutex<String>>) -> Receiver<serde_json::Value> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let mut log = log.lock().unwrap();
            log.push_str(&line);
            log.push('\n');
            drop(log);
            // What is no JSON is the last word of a process that could not go on. Nobody may be listening any more.
            let _ = sender.send(serde_json::from_str(&line).unwrap_or_default());
        }
    });
    lines
}
