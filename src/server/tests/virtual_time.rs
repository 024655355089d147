//! Connections in virtual time: what watchdogs, idle time and dead connections do to them, without waiting for it.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncWriteExt, DuplexStream},
    sync::mpsc,
    time::Instant as VirtualInstant,
};

use super::*;
use crate::{
    diameter::{
        LocalNode,
        base::{BaseMessage, write_dpa, write_dwa},
        capabilities::{write_cea, write_cer},
        dictionary::command,
        peer::{Effect, Event},
    },
    ids::{PartitionId, SessionId, SessionNo},
    server::{
        connection::{self, Link, Role},
        registry::{Command, Errand, Outcome, SessionRef, What},
        signal::Handle,
    },
    time::Timestamp,
};

const GATEWAY: &str = "gw.example";
/// Longer than Tw with any jitter.
const TW_MAX: Duration = Duration::from_secs(32);
const TW_MIN: Duration = Duration::from_secs(28);

/// Runs with the time of a paused runtime.
struct Paused(VirtualInstant);

impl Clock for Paused {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_767_225_600_000 + self.0.elapsed().as_millis() as u64)
    }
}

fn server(directory: &Path, change: impl FnOnce(&mut config::Diameter)) -> Server {
    let mut config = config::Diameter::default();
    change(&mut config);
    server_at(directory, Arc::new(Paused(VirtualInstant::now())), config, |_| {})
}

/// The gateway's end of a connection.
struct Far {
    stream: DuplexStream,
    buffer: BytesMut,
    local: LocalNode,
    begun: VirtualInstant,
}

impl Far {
    /// A connection on which the gateway has introduced itself.
    async fn connect(server: &Server) -> Self {
        let shared = &server.0;
        let role = Role::Accepted(Handle::new(shared.next_connection()), shared.store.clock().now());
        let mut far = Self::link(server, role);
        let mut cer = Vec::new();
        write_cer(&mut cer, &far.local, 1, 1);
        far.stream.write_all(&cer).await.unwrap();
        far
    }

    /// A connection that the server has opened.
    async fn called(server: &Server) -> Self {
        let handle = Handle::new(server.0.next_connection());
        let effects = server.0.peers.tell(GATEWAY, &handle, Event::Start(handle.id));
        assert_eq!(effects, [Effect::Connect(handle.id)]);
        let mut far = Self::link(server, Role::Called(handle, GATEWAY.into()));
        let cer = far.request(command::CAPABILITIES_EXCHANGE).await;
        let mut cea = Vec::new();
        write_cea(&mut cea, &far.local, &cer.header(), None);
        far.stream.write_all(&cea).await.unwrap();
        far
    }

    fn link(server: &Server, role: Role) -> Self {
        let (stream, near) = tokio::io::duplex(1 << 16);
        let (reader, writer) = tokio::io::split(near);
        let shared = &server.0;
        let link = Link {
            reader,
            writer,
            address: SocketAddr::from(([192, 0, 2, 1], 1)),
            local: None,
            certificate: None,
            place: shared.registry.enter_anyway(),
        };
        tokio::spawn(connection::run(Arc::clone(shared), link, role));
        let identity = Identity { host: GATEWAY.into(), realm: "example".into() };
        let local = LocalNode::gateway(identity, vec!["192.0.2.1".parse().unwrap()]);
        Self { stream, buffer: BytesMut::new(), local, begun: VirtualInstant::now() }
    }

    async fn open(server: &Server) -> Self {
        let mut far = Self::connect(server).await;
        let cea = far.next().await.expect("refused");
        assert_eq!(BaseMessage::parse(&cea).unwrap().result_code, Some(ResultCode::SUCCESS));
        far
    }

    /// The next message; `None`: the server has closed.
    async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = split(&mut self.buffer, MESSAGE_MAX_DEFAULT).unwrap() {
                return Some(frame);
            }
            if self.stream.read_buf(&mut self.buffer).await.unwrap() == 0 {
                return None;
            }
        }
    }

    async fn request(&mut self, command: u32) -> Frame {
        let frame = self.next().await.expect("closed");
        assert!(frame.header().flags.is_request());
        assert_eq!(frame.header().command, command);
        frame
    }

    async fn answer_watchdog(&mut self, request: &Frame) {
        let mut dwa = Vec::new();
        write_dwa(&mut dwa, &self.local, &request.header());
        self.stream.write_all(&dwa).await.unwrap();
    }

    fn age(&self) -> Duration {
        self.begun.elapsed()
    }
}

// tests: B-165 B-166 B-167
#[tokio::test(start_paused = true)]
async fn a_silent_gateway_is_watched_suspected_and_closed() {
    let directory = tempfile::tempdir().unwrap();
    let server = server(directory.path(), |_| {});
    let mut far = Far::open(&server).await;
    far.request(command::DEVICE_WATCHDOG).await;
    assert!((TW_MIN..=TW_MAX).contains(&far.age()), "{:?}", far.age());
    assert!(far.next().await.is_none());
    assert!((TW_MIN * 3..=TW_MAX * 3).contains(&far.age()), "{:?}", far.age());
}

// tests: B-162
#[tokio::test(start_paused = true)]
async fn a_gateway_whose_old_connection_is_dead_gets_in_when_that_has_shown() {
    let directory = tempfile::tempdir().unwrap();
    let server = server(directory.path(), |config| config.connections_per_peer = 1);
    let mut old = Far::open(&server).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(Far::connect(&server).await.next().await.is_none(), "the old one may be alive");
    // It is asked at once, and says nothing until Tw is over.
    old.request(command::DEVICE_WATCHDOG).await;
    assert!(old.age() < Duration::from_secs(6), "{:?}", old.age());
    assert!(Far::connect(&server).await.next().await.is_none());
    tokio::time::sleep(TW_MAX).await;
    let mut new = Far::open(&server).await;
    assert!(old.next().await.is_none());
    new.request(command::DEVICE_WATCHDOG).await;
}

// tests: B-170 B-171
#[tokio::test(start_paused = true)]
async fn a_connection_that_carries_nothing_is_ended_when_that_is_set() {
    let directory = tempfile::tempdir().unwrap();
    let server = server(directory.path(), |config| config.idle_secs = 300);
    let metrics = telemetry::init().unwrap();
    let mut far = Far::open(&server).await;
    let dpr = loop {
        let request = far.next().await.expect("closed");
        if request.header().command == command::DISCONNECT_PEER {
            break request;
        }
        far.answer_watchdog(&request).await;
    };
    assert!((300..302).contains(&far.age().as_secs()), "{:?}", far.age());
    assert_eq!(BaseMessage::parse(&dpr).unwrap().disconnect_cause, Some(2));
    let mut dpa = Vec::new();
    write_dpa(&mut dpa, &far.local, &dpr.header());
    far.stream.write_all(&dpa).await.unwrap();
    assert!(far.next().await.is_none());
    assert!(metrics.render().contains("tollgate_connections_closed_total{reason=\"idle\"}"));
}

/// An RAR for the gateway, and what becomes of it.
fn rar() -> (Command, mpsc::Receiver<(SessionRef, u64, Outcome)>) {
    let (outcomes, receiver) = mpsc::channel(1);
    let errand = Errand { session: (PartitionId(0), SessionNo(1)), round: 1, outcomes };
    let session = SessionId::new(b"gw.example;1;1");
    let (host, realm) = (GATEWAY.into(), "example".into());
    let what = What::ReAuthorise { group: None };
    (Command { what, session, sub_session: 0, host, realm, errand }, receiver)
}

// tests: B-135 B-167
#[tokio::test(start_paused = true)]
async fn what_was_asked_of_a_silent_connection_is_asked_over_another() {
    let directory = tempfile::tempdir().unwrap();
    let server = server(directory.path(), |_| {});
    let mut other = Far::open(&server).await;
    let mut silent = Far::open(&server).await;
    let registry = &server.0.registry;
    let (command, mut outcome) = rar();
    assert!(registry.send(GATEWAY, command));
    silent.request(command::RE_AUTH).await;
    // The other one is alive.
    let lost = loop {
        tokio::select! {
            lost = outcome.recv() => break lost.unwrap().2,
            watchdog = other.request(command::DEVICE_WATCHDOG) => other.answer_watchdog(&watchdog).await,
        }
    };
    assert_eq!(lost, Outcome::Lost);
    assert!(silent.age() < TW_MAX * 2, "{:?}", silent.age());
    let (command, _outcome) = rar();
    assert!(registry.send(GATEWAY, command));
    other.request(command::RE_AUTH).await;
    // What was silent speaks, and is a way again.
    let watchdog = silent.request(command::DEVICE_WATCHDOG).await;
    silent.answer_watchdog(&watchdog).await;
    let mut cer = Vec::new();
    write_cer(&mut cer, &silent.local, 2, 2);
    silent.stream.write_all(&cer).await.unwrap();
    assert!(silent.next().await.is_some(), "a CEA, so the DWA was read before");
    let (command, _outcome) = rar();
    assert!(registry.send(GATEWAY, command));
    silent.request(command::RE_AUTH).await;
}

/// Long enough for the server to take in what was sent.
async fn a_moment() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

// tests: B-163 B-168
#[tokio::test(start_paused = true)]
async fn a_peer_that_was_called_again_is_asked_when_it_has_proved_itself() {
    let directory = tempfile::tempdir().unwrap();
    let server = server(directory.path(), |_| {});
    server.0.peers.will_call(GATEWAY);
    let ask = || server.0.registry.send(GATEWAY, rar().0);
    let mut first = Far::called(&server).await;
    a_moment().await;
    assert!(ask(), "the first is trusted at once");
    first.request(command::RE_AUTH).await;
    drop(first);
    a_moment().await;
    let mut second = Far::called(&server).await;
    for _ in 0..3 {
        let watchdog = second.request(command::DEVICE_WATCHDOG).await;
        assert!(!ask());
        second.answer_watchdog(&watchdog).await;
    }
    a_moment().await;
    assert!(ask());
    second.request(command::RE_AUTH).await;
    assert!((TW_MIN * 2..=TW_MAX * 2).contains(&second.age()), "{:?}", second.age());
}
