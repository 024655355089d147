//! Ends and starts of the server as a process: in order, refused, after a failure; and what events make of them.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{
    net::{TcpListener, TcpSocket},
    sync::watch,
};
use tokio_stream::wrappers::TcpListenerStream;
use tollgate::{
    api::v1::{
        self,
        event::Kind,
        event_service_client::EventServiceClient,
        provisioning_sink_server::{ProvisioningSink, ProvisioningSinkServer},
    },
    cli::gateway::Gateway,
    diameter::{Identity, LocalNode, base::write_dpa, dictionary::command},
};
use tonic::{Request, Response, Status};

use crate::{
    process::{self, Addresses, PATIENCE, Process, configure},
    witness::{ACCOUNTS, CONNECTIONS, OPENING, Witness, channel},
};

/// Waits, with an end, until something is so.
async fn until(what: &str, server: &Process, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}; the server says\n{}", server.log());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_loses_nothing_and_leaves_nothing_to_replay() {
    let directory = tempfile::tempdir().unwrap();
    configure(directory.path(), ACCOUNTS, OPENING, "");
    let mut server = Process::start(directory.path());
    let addresses = server.serving();
    assert_eq!(server.readyz().unwrap().0, 200);
    // A gateway that takes its time holds the end up, so that it can be looked at.
    let mut slow = Gateway::connect(addresses.diameter, "slow.example", "gateways.example").await.unwrap();
    let mut witness = Witness::new(7);
    let (answered, mut count) = watch::channel(0);
    let (_stop, stopped) = watch::channel(false);
    let stopping = async {
        count.wait_for(|answered| *answered >= 500).await.unwrap();
        server.terminate();
        let dpr = slow.receive().await.unwrap();
        assert_eq!(dpr.header().command, command::DISCONNECT_PEER);
        let (code, text) = server.readyz().unwrap();
        assert_eq!((code, text.trim()), (503, "draining"));
        let mut dpa = Vec::new();
        let name = Identity { host: "slow.example".into(), realm: "gateways.example".into() };
        write_dpa(&mut dpa, &LocalNode::credit_control(name, Vec::new()), &dpr.header());
        slow.send(&dpa).await.unwrap();
        assert!(slow.receive().await.unwrap_err().to_string().contains("closed the connection"));
    };
    tokio::join!(witness.load(addresses, answered, stopped), stopping);
    assert_eq!(
        (witness.disconnected(), witness.open()),
        (CONNECTIONS, 0),
        "every request was answered, then came the end"
    );
    let (status, log) = tokio::task::spawn_blocking(|| server.ended()).await.unwrap();
    assert_eq!(status.code(), Some(0), "{log}");

    let mut server = Process::start(directory.path());
    let recovered = server.line("recovered");
    assert_eq!(recovered["records"], 0, "the last checkpoint has everything: {recovered}");
    let addresses = server.serving();
    witness.verify(addresses, "after SIGTERM").await;
    witness.finish(addresses).await;
}

/// The catalog is read from a pipe: the start waits for as long as the test wants it to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_not_ready_before_it_serves() {
    let directory = tempfile::tempdir().unwrap();
    configure(directory.path(), 1, OPENING, "");
    let catalog = directory.path().join("catalog.toml");
    let text = std::fs::read_to_string(&catalog).unwrap();
    std::fs::remove_file(&catalog).unwrap();
    assert!(Command::new("mkfifo").arg(&catalog).status().unwrap().success());
    let mut server = Process::start(directory.path());
    assert_eq!(server.readyz().unwrap(), (503, "starting\n".to_owned()));
    std::fs::write(&catalog, text).unwrap();
    server.serving();
    assert_eq!(server.readyz().unwrap(), (200, "ready\n".to_owned()));
}

#[tokio::test]
async fn a_store_has_one_server_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    configure(directory.path(), 1, OPENING, "");
    let mut first = Process::start(directory.path());
    let addresses = first.serving();
    let (status, log) = Process::start(directory.path()).ended();
    assert_eq!(status.code(), Some(1));
    assert!(log.contains("is in use by another process"), "{log}");
    Gateway::connect(addresses.diameter, "gw.example", "gateways.example").await.unwrap();
    first.kill();
    // A dead process holds nothing.
    Process::start(directory.path()).serving();
}

#[test]
fn a_store_keeps_its_currency() {
    let directory = tempfile::tempdir().unwrap();
    configure(directory.path(), 1, OPENING, "");
    let mut server = Process::start(directory.path());
    server.serving();
    server.kill();
    let catalog = directory.path().join("catalog.toml");
    let text = std::fs::read_to_string(&catalog).unwrap();
    std::fs::write(&catalog, text.replace("currency = \"CNY\"", "currency = \"EUR\"")).unwrap();
    let (status, log) = Process::start(directory.path()).ended();
    assert_eq!(status.code(), Some(1));
    assert!(log.contains("account 1 is in CNY, but the catalog is in EUR"), "{log}");
    std::fs::write(&catalog, text).unwrap();
    Process::start(directory.path()).serving();
}

/// The journal's files may grow no more, as on a full disk: the process ends, and nothing was answered that it does not
/// know afterwards.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_journal_fails_answers_end() {
    let directory = tempfile::tempdir().unwrap();
    configure(directory.path(), ACCOUNTS, OPENING, "");
    // Without the trap the signal for files that are too large would end the process: a write is to fail instead.
    let mut server = Process::of(process::command_in_shell(directory.path(), "trap '' XFSZ"));
    let addresses = server.serving();
    let mut witness = Witness::new(11);
    let (answered, mut count) = watch::channel(0);
    let (_stop, stopped) = watch::channel(false);
    let failing = async {
        count.wait_for(|answered| *answered >= 300).await.unwrap();
        let limit = Command::new("prlimit").args(["--fsize=4096", "--pid", &server.id().to_string()]).status();
        assert!(limit.unwrap().success());
    };
    // The load ends when the connections do.
    tokio::join!(witness.load(addresses, answered, stopped), failing);
    let (status, log) = tokio::task::spawn_blocking(|| server.ended()).await.unwrap();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("what is not durable must not be answered"), "{log}");
    assert!(witness.open() > 0, "everything was answered");
    let mut server = Process::start(directory.path());
    let addresses = server.serving();
    witness.verify(addresses, "after the failure").await;
    witness.finish(addresses).await;
}

/// Provisioning in this process: notes what it gets.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<v1::Event>>>);

#[tonic::async_trait]
impl ProvisioningSink for Sink {
    async fn deliver(&self, request: Request<v1::DeliverRequest>) -> Result<Response<v1::DeliverResponse>, Status> {
        self.0.lock().unwrap().extend(request.into_inner().events);
        Ok(Response::new(v1::DeliverResponse {}))
    }
}

impl Sink {
    fn serve(&self, listener: TcpListener) {
        let server = tonic::transport::Server::builder().add_service(ProvisioningSinkServer::new(self.clone()));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    }

    fn newest(&self) -> u64 {
        self.0.lock().unwrap().iter().map(|event| event.cursor).max().unwrap_or(0)
    }
}

/// Follows events after a cursor until the server is gone.
async fn follow(to: Addresses, seen: &mut Vec<v1::Event>) {
    let after_cursor = Some(seen.last().map_or(0, |event| event.cursor));
    let mut client = EventServiceClient::new(channel(to).await);
    let request = v1::SubscribeRequest { after_cursor, ..Default::default() };
    let mut stream = client.subscribe(request).await.unwrap().into_inner();
    while let Ok(Some(response)) = stream.message().await {
        seen.push(response.event.unwrap());
    }
}

/// All events that a server has, from the first to the one that a top-up makes now, of an account that is not stopped: it
/// makes no other.
async fn all_events(to: Addresses, mark: &str) -> Vec<v1::Event> {
    let account = Some(v1::AccountRef { by: Some(v1::account_ref::By::AccountId(ACCOUNTS + 1)) });
    let amount = Some(v1::Money { currency: "CNY".into(), amount: "0.01".into() });
    let request = v1::TopUpRequest { account, amount, request_id: mark.to_owned(), ..Default::default() };
    let mut balances = v1::balance_service_client::BalanceServiceClient::new(channel(to).await);
    balances.top_up(request).await.unwrap();
    let mut client = EventServiceClient::new(channel(to).await);
    let request = v1::SubscribeRequest { after_cursor: Some(0), ..Default::default() };
    let mut stream = client.subscribe(request).await.unwrap().into_inner();
    let mut events = Vec::new();
    loop {
        events.push(stream.message().await.unwrap().unwrap().event.unwrap());
        if top_up_id(events.last().unwrap()) == Some(mark) {
            return events;
        }
    }
}

fn top_up_id(event: &v1::Event) -> Option<&str> {
    match &event.kind {
        Some(Kind::TopUp(top_up)) => Some(&top_up.request_id),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_outlive_kill_9_in_order() {
    let directory = tempfile::tempdir().unwrap();
    // The address of a sink that does not listen yet.
    let mut socket = Some(TcpSocket::new_v4().unwrap());
    socket.as_ref().unwrap().bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = socket.as_ref().unwrap().local_addr().unwrap();
    let push = format!("[events]\npush = \"http://{address}\"\nretry_max_secs = 1\nbatch_max = 10\n");
    configure(directory.path(), ACCOUNTS + 1, OPENING, &push);
    let mut witness = Witness::new(5);
    let mut seen = Vec::new();
    let sink = Sink::default();
    for round in 0..3 {
        let mut server = Process::start(directory.path());
        let addresses = server.serving();
        if round == 1 {
            sink.serve(socket.take().unwrap().listen(16).unwrap());
        }
        let (answered, mut count) = watch::channel(0);
        let (_stop, stopped) = watch::channel(false);
        let before = sink.newest();
        let killer = async {
            count.wait_for(|answered| *answered >= 600).await.unwrap();
            if round > 0 {
                until("the sink gets events", &server, || sink.newest() > before).await;
            }
            server.kill();
        };
        tokio::join!(witness.load(addresses, answered, stopped), follow(addresses, &mut seen), killer);
    }
    let mut server = Process::start(directory.path());
    let addresses = server.serving();
    witness.verify(addresses, "events").await;
    let all = all_events(addresses, "mark").await;

    // What the subscriber saw over three kills is the beginning of all that there is: nothing lost, twice or out of order.
    assert!(seen.len() > 30, "{} events are too few to tell", seen.len());
    for (one, other) in seen.iter().zip(&all) {
        assert_eq!((one.cursor, one.account_id, &one.kind), (other.cursor, other.account_id, &other.kind));
    }
    assert!(seen.len() <= all.len() && all.is_sorted_by(|one, next| one.cursor < next.cursor));
    // Every answered top-up is told once.
    let mut told: BTreeMap<&str, u32> = BTreeMap::new();
    all.iter().filter_map(top_up_id).for_each(|id| *told.entry(id).or_default() += 1);
    assert!(told.values().all(|times| *times == 1), "{told:?}");
    assert!(witness.paid().all(|id| told.contains_key(id)));

    // The sink gets all of them too, in order, some perhaps again.
    let newest = all.last().unwrap().cursor;
    until("the sink has everything", &server, || sink.newest() == newest).await;
    let mut next = 0;
    for event in sink.0.lock().unwrap().iter() {
        let place = all.binary_search_by_key(&event.cursor, |one| one.cursor).expect("an event that is none");
        assert!(place <= next, "event {place} was delivered before event {next}");
        next = next.max(place + 1);
    }
    assert_eq!(next, all.len());

    // How far the sink has come outlives a kill, once it is known: only what is new is delivered then.
    until_acknowledged(addresses).await;
    server.kill();
    sink.0.lock().unwrap().clear();
    let mut server = Process::start(directory.path());
    let all = all_events(server.serving(), "one more").await;
    let newest = all.last().unwrap().cursor;
    until("the sink has one more", &server, || sink.newest() == newest).await;
    let delivered: Vec<u64> = sink.0.lock().unwrap().iter().map(|event| event.cursor).collect();
    assert_eq!(delivered, [newest]);
}

/// Waits until the server has noted durably that the sink has everything.
async fn until_acknowledged(to: Addresses) {
    let mut client = EventServiceClient::new(channel(to).await);
    let deadline = Instant::now() + PATIENCE;
    loop {
        // As the sink would, without a cursor: after what it has acknowledged.
        let request = v1::SubscribeRequest { consumer: "push".into(), ..Default::default() };
        let mut stream = client.subscribe(request).await.unwrap().into_inner();
        match tokio::time::timeout(Duration::from_millis(20), stream.message()).await {
            Err(_) => return,
            Ok(event) => drop(event.unwrap()),
        }
        assert!(Instant::now() < deadline, "the sink's cursor stays behind");
    }
}
