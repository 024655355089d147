//! The server over real connections, where a test must reach inside of it.

mod slow_disk;
mod virtual_time;

use std::{
    path::Path,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use bytes::BytesMut;
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
};

use super::{
    Server,
    outgoing::{self, Ahead, Outgoing, Queue, Refused, WriterEnd},
};
use crate::{
    charging::{AccountSpec, Answer, Answered, Command, RequestKind, Verdict},
    cli::gateway::Gateway,
    config,
    diameter::{
        CreditControlAnswer, CreditControlRequest, Frame, Identity, ResultCode,
        credit_control::RequestType,
        frame::{MESSAGE_MAX_DEFAULT, split},
    },
    ids::AccountId,
    journal::{Commit, FileDisk, Pending},
    mapping::ClientTraits,
    rating::Catalog,
    store::{Settings, SilentObserver, Store},
    telemetry,
    time::{Clock, SystemClock},
    units::Money,
};

/// Nothing here takes long; a test that waits for what never comes ends.
const PATIENCE: Duration = Duration::from_secs(10);
const MSISDN: &str = "8613900000000";

fn server(directory: &Path) -> Server {
    server_with(directory, config::Diameter::default(), |_| {})
}

/// A server with the demo's price list that accepts everyone.
fn server_with(directory: &Path, config: config::Diameter, on_commit: impl FnMut(&Commit) + Send + 'static) -> Server {
    server_at(directory, Arc::new(SystemClock), config, on_commit)
}

/// The same by another clock.
fn server_at(
    directory: &Path,
    clock: Arc<dyn Clock>,
    config: config::Diameter,
    on_commit: impl FnMut(&Commit) + Send + 'static,
) -> Server {
    let disk = FileDisk::open(directory).unwrap();
    let settings = Settings { partitions: 1, segment_bytes: 1 << 20, outbox_keep: 10, ..Settings::default() };
    let catalog = Arc::new(Catalog::from_toml(include_str!("../../config/demo/catalog.toml")).unwrap());
    let observer = Arc::new(SilentObserver);
    let store = Store::open(disk, settings, catalog, clock, observer, on_commit, |_| {}).unwrap().0;
    let config = config::Diameter { accept_unknown_peers: true, ..config };
    Server::new(Arc::new(store), &config, None)
}

/// Reads one message's hop-by-hop id.
async fn next(stream: &mut TcpStream, buffer: &mut BytesMut) -> u32 {
    let read = async {
        loop {
            if let Some(frame) = split(buffer, MESSAGE_MAX_DEFAULT).unwrap() {
                return frame.header().hop_by_hop;
            }
            assert!(stream.read_buf(buffer).await.unwrap() > 0, "the stream has ended");
        }
    };
    tokio::time::timeout(PATIENCE, read).await.expect("nothing came")
}

#[tokio::test]
async fn a_refusal_does_not_wait_for_what_is_not_durable() {
    let directory = tempfile::tempdir().unwrap();
    let server = server(directory.path());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (_reader, writer) = listener.accept().await.unwrap().0.into_split();
    let queue = Arc::new(Queue::default());
    let writing = outgoing::write(Arc::clone(&server.0), Arc::clone(&queue), writer, Arc::new(OnceLock::new()));
    let writing = tokio::spawn(writing);

    let identity = Identity { host: "gw.example".into(), realm: "example".into() };
    let message = |id| {
        let mut request = CreditControlRequest::new(b"s", &identity, "example", RequestType::Initial);
        request.hop_by_hop = id;
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        bytes
    };
    let answer = Arc::new(Answer::bare(RequestKind::Initial, 0, Verdict::UserUnknown));
    let (kind, received) = (telemetry::RequestKind::Initial, Instant::now());
    let decision = |id, position| Outgoing::Decision {
        request: Frame::from_bytes(message(id).into()).unwrap(),
        answered: Pending::new(
            Answered { answer: Arc::clone(&answer), currency: None, repeated: false, refund: None },
            position,
        ),
        client: ClientTraits::default(),
        kind,
        received,
    };
    let refusal = |id| {
        let mut ahead = Ahead::default();
        ahead.refuse(Refused { kind, result_code: 3004, received }, |bytes| bytes.extend(message(id)));
        ahead
    };

    let store = &server.0.store;
    let last = store.last_position();
    assert!(queue.push(
        &mut vec![decision(1, last), decision(2, last.next()), Outgoing::Message(message(3))],
        &mut Ahead::default()
    ));
    let mut buffer = BytesMut::new();
    assert_eq!(next(&mut peer, &mut buffer).await, 1);
    // The writer waits for the second decision, and refusals pass it, one by one.
    for id in [4, 5] {
        assert!(queue.push(&mut Vec::new(), &mut refusal(id)));
        assert_eq!(next(&mut peer, &mut buffer).await, id);
    }
    let account = AccountSpec {
        id: AccountId(1),
        currency: "CNY".parse().unwrap(),
        balance: Money::ZERO,
        credit_limit: Money::ZERO,
        never_stop: false,
        allowances: Vec::new(),
    };
    drop(store.account_command(AccountId(1), &Command::CreateAccount(account)));
    assert_eq!(next(&mut peer, &mut buffer).await, 2);
    assert_eq!(next(&mut peer, &mut buffer).await, 3);
    assert!(queue.push(&mut vec![Outgoing::Close], &mut refusal(6)));
    assert_eq!(next(&mut peer, &mut buffer).await, 6);
    let end = tokio::time::timeout(PATIENCE, writing).await.unwrap().unwrap();
    assert!(matches!(end, WriterEnd::Closed));
}
