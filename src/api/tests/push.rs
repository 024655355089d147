//! Push to a sink that comes and goes.

use std::sync::Mutex;

use tokio_stream::wrappers::TcpListenerStream;
use tonic::Request;

use super::{
    v1::provisioning_sink_server::{ProvisioningSink, ProvisioningSinkServer},
    *,
};
use crate::{
    api::push::{self, PUSH_CONSUMER},
    config::Events,
};

/// Provisioning: refuses at first, then takes what comes.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Taken>>);

#[derive(Default)]
struct Taken {
    refuse: u32,
    tries: u32,
    batches: Vec<Vec<u64>>,
}

#[tonic::async_trait]
impl ProvisioningSink for Sink {
    async fn deliver(&self, request: Request<v1::DeliverRequest>) -> Result<Response<v1::DeliverResponse>, Status> {
        let mut taken = self.0.lock().unwrap();
        taken.tries += 1;
        if taken.refuse > 0 {
            taken.refuse -= 1;
            return Err(Status::internal("the HLR is busy"));
        }
        taken.batches.push(request.into_inner().events.iter().map(|event| event.cursor).collect());
        Ok(Response::new(v1::DeliverResponse {}))
    }
}

impl Sink {
    fn refusing(refuse: u32) -> Self {
        Self(Arc::new(Mutex::new(Taken { refuse, ..Taken::default() })))
    }

    fn serve(&self, listener: TcpListener) -> JoinHandle<()> {
        let server = tonic::transport::Server::builder().add_service(ProvisioningSinkServer::new(self.clone()));
        tokio::spawn(async move { server.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap() })
    }

    fn cursors(&self) -> Vec<u64> {
        self.0.lock().unwrap().batches.concat()
    }
}

/// Waits until the sink's acknowledgement of everything is known; it is durable by the time the store is closed.
async fn all_acknowledged(store: &Store) {
    soon(async {
        while store.outbox().acknowledged(PUSH_CONSUMER) != Some(store.outbox().newest()) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn config(address: SocketAddr) -> Events {
    Events { push: format!("http://{address}"), retry_max_secs: 1, batch_max: 3, keep: 1_000, ..Events::default() }
}

fn all_cursors(store: &Store) -> Vec<u64> {
    store.outbox().after(0, usize::MAX, store.mark()).unwrap().iter().map(|(cursor, _)| *cursor).collect()
}

#[tokio::test]
async fn nothing_is_lost_or_reordered() {
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(directory.path()).await;
    node.create(1, "1").await;
    for number in 0..10 {
        node.top_up(1, "1", &format!("r{number}")).await;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let sink = Sink::refusing(2);
    let serving = sink.serve(listener);
    let (stop, stopped) = oneshot::channel::<()>();
    let pushing = tokio::spawn(push::run(Arc::clone(&node.store), config(address), async move { drop(stopped.await) }));
    all_acknowledged(&node.store).await;
    assert_eq!(sink.cursors(), all_cursors(&node.store));
    assert!(sink.0.lock().unwrap().batches.iter().all(|batch| batch.len() <= 3));
    assert_eq!(sink.0.lock().unwrap().tries, 2 + 4);
    // What comes later is pushed at once.
    node.top_up(1, "1", "later").await;
    all_acknowledged(&node.store).await;
    assert_eq!(sink.cursors().len(), 11);
    stop.send(()).unwrap();
    soon(pushing).await.unwrap().unwrap();
    serving.abort();
    node.stop().await;

    // After a restart it goes on where it was, though the sink comes back late and events came before it.
    let node = Node::start(directory.path()).await;
    assert_eq!(node.store.outbox().acknowledged(PUSH_CONSUMER), Some(node.store.outbox().newest()));
    node.top_up(1, "1", "meanwhile").await;
    let (stop, stopped) = oneshot::channel::<()>();
    let reserved = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = reserved.local_addr().unwrap();
    drop(reserved);
    let pushing = tokio::spawn(push::run(Arc::clone(&node.store), config(address), async move { drop(stopped.await) }));
    tokio::task::yield_now().await;
    let sink = Sink::default();
    let serving = sink.serve(TcpListener::bind(address).await.unwrap());
    all_acknowledged(&node.store).await;
    assert_eq!(sink.cursors(), [node.store.outbox().newest()]);
    stop.send(()).unwrap();
    soon(pushing).await.unwrap().unwrap();
    serving.abort();
    node.stop().await;
}

#[tokio::test]
async fn events_wait_for_a_sink_that_is_away() {
    let directory = tempfile::tempdir().unwrap();
    // Fewer are kept than will wait.
    let node = Node::with(open(directory.path(), CATALOG, 2)).await;
    node.create(1, "1").await;
    for number in 0..4 {
        node.top_up(1, "1", &format!("before{number}")).await;
    }
    let reserved = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = reserved.local_addr().unwrap();
    drop(reserved);
    let pushing = tokio::spawn(push::run(Arc::clone(&node.store), config(address), std::future::pending()));
    soon(async {
        while node.store.outbox().acknowledged(PUSH_CONSUMER).is_none_or(|cursor| cursor == 0) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    for number in 0..6 {
        node.top_up(1, "1", &format!("r{number}")).await;
    }
    let sink = Sink::default();
    let serving = sink.serve(TcpListener::bind(address).await.unwrap());
    all_acknowledged(&node.store).await;
    // The two that were kept, and all since.
    assert_eq!(sink.cursors().len(), 8);
    // The journal's end is the end of the push.
    node.store.shutdown().unwrap();
    assert!(matches!(soon(pushing).await.unwrap(), Err(push::PushError::Journal(_))));
    serving.abort();
}

#[tokio::test]
async fn no_endpoint_is_no_push() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), CATALOG, 10);
    soon(push::run(Arc::clone(&store), Events::default(), std::future::pending())).await.unwrap();
    let odd = Events { push: "not a url".into(), ..Events::default() };
    let error = soon(push::run(Arc::clone(&store), odd, std::future::pending())).await.unwrap_err();
    assert!(error.to_string().contains("`not a url`"), "{error}");
    assert_eq!(store.outbox().acknowledged(PUSH_CONSUMER), None);
}
