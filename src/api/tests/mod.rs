//! The services over a real connection, with a store on a real disk.

mod accounts;
mod balances;
mod catalog;
mod events;
mod life;
mod products;
mod push;
mod server;
mod sessions;
mod trails;
mod vouchers;

use std::{future::Future, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tonic::{Code, Response, Status, transport::Channel};

use super::{Api, ServeError, access::Access, serve, v1};
use crate::{
    charging::{Command, Interrogation, RequestKind, Retention, ServiceRequest, Used, Want},
    config::SystemEnvironment,
    ids::{Identity, IdentityKind, QuotaKey, SessionKey},
    journal::FileDisk,
    rating::Catalog,
    store::{Place, RecordFormat, RecordsAt, Rotation, Settings, SilentObserver, Store},
    telemetry::{Health, HealthState},
    time::SystemClock,
};

pub(crate) const CATALOG: &str = include_str!("../../../config/demo/catalog.toml");
/// Nothing here takes long; a test that waits for what never comes ends.
const PATIENCE: Duration = Duration::from_secs(20);

/// A store with the API in front of it.
pub(crate) struct Node {
    pub(crate) store: Arc<Store>,
    pub(crate) address: SocketAddr,
    pub(crate) health: Health,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), ServeError>>,
}

pub(crate) fn open(directory: &Path, catalog: &str, keep: usize) -> Arc<Store> {
    let disk = |name: &str| FileDisk::open(directory.join(name)).unwrap();
    let rotation = Rotation { bytes: 1 << 20, secs: 0 };
    let place = Place {
        disk: FileDisk::open(directory).unwrap(),
        records: Some(RecordsAt { disk: disk("records"), format: RecordFormat::Both, rotation, queue_max: 1_000 }),
        audit: Some((disk("audit"), rotation)),
    };
    let retention = Retention { history_entries: 100, ..Retention::default() };
    let settings =
        Settings { partitions: 4, segment_bytes: 1 << 20, retention, outbox_keep: keep, outbox_keep_max: 1_000_000 };
    let catalog = Arc::new(Catalog::from_toml(catalog).unwrap());
    let (clock, observer) = (Arc::new(SystemClock), Arc::new(SilentObserver));
    Arc::new(Store::open(place, settings, catalog, clock, observer, |_| {}, |_| {}).unwrap().0)
}

impl Node {
    pub(crate) async fn start(directory: &Path) -> Self {
        Self::with(open(directory, CATALOG, 1_000)).await
    }

    pub(crate) async fn with(store: Arc<Store>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let health = Health::new();
        health.set(HealthState::Ready);
        let (stop, stopped) = oneshot::channel();
        let api = Api::new(Arc::clone(&store), health.clone());
        let access = Access::load(&Default::default(), &SystemEnvironment, None).unwrap();
        let serving = tokio::spawn(serve(listener, access, api, async move { drop(stopped.await) }));
        Self { store, address, health, stop, serving }
    }

    /// Ends the server and closes the store, so that it can be opened again.
    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        soon(self.serving).await.unwrap().unwrap();
        close(self.store).await;
    }

    async fn channel(&self) -> Channel {
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        soon(endpoint.connect()).await.unwrap()
    }

    pub(crate) async fn accounts(&self) -> v1::account_service_client::AccountServiceClient<Channel> {
        v1::account_service_client::AccountServiceClient::new(self.channel().await)
    }

    async fn balances(&self) -> v1::balance_service_client::BalanceServiceClient<Channel> {
        v1::balance_service_client::BalanceServiceClient::new(self.channel().await)
    }

    async fn sessions(&self) -> v1::session_service_client::SessionServiceClient<Channel> {
        v1::session_service_client::SessionServiceClient::new(self.channel().await)
    }

    async fn records(&self) -> v1::record_service_client::RecordServiceClient<Channel> {
        v1::record_service_client::RecordServiceClient::new(self.channel().await)
    }

    async fn audit(&self) -> v1::audit_service_client::AuditServiceClient<Channel> {
        v1::audit_service_client::AuditServiceClient::new(self.channel().await)
    }

    async fn events(&self) -> v1::event_service_client::EventServiceClient<Channel> {
        v1::event_service_client::EventServiceClient::new(self.channel().await)
    }

    /// Account `id` with this balance and the subscriber [`msisdn`]`(id)`.
    pub(crate) async fn create(&self, id: u64, balance: &str) {
        let mut accounts = self.accounts().await;
        accounts.create_account(new_account(id, balance)).await.unwrap();
        accounts.create_subscriber(new_subscriber(id, "line", &[&msisdn(id)])).await.unwrap();
    }

    async fn top_up(&self, account: u64, amount: &str, request_id: &str) {
        let request = top_up(by_id(account), amount, request_id);
        self.balances().await.top_up(request).await.unwrap();
    }

    /// A request of a session of the subscriber of an account, as a gateway would send it.
    pub(crate) async fn interrogate(&self, account: u64, session: &str, kind: RequestKind, number: u32, used: u64) {
        let identity = Identity::new(IdentityKind::E164, &msisdn(account)).unwrap();
        let key = SessionKey::of(session.as_bytes());
        let answered = self.store.charge(&[identity], key, kind, number, |account| {
            Command::Interrogate(Interrogation {
                session_id: session.as_bytes(),
                key,
                account,
                kind,
                number,
                context: self.store.catalog().context("32251@3gpp.org"),
                context_name: "32251@3gpp.org",
                origin_host: "pgw.example",
                origin_realm: "example",
                services: vec![ServiceRequest {
                    key: QuotaKey { rating_group: Some(1), service_identifier: None, ..QuotaKey::default() },
                    used: (used > 0).then_some(Used { octets: used, ..Used::default() }),
                    want: (kind != RequestKind::Termination).then_some(Want::Any),
                    currency: None,
                    unusable: false,
                    ..ServiceRequest::default()
                }],
                at_command_level: false,
                short_validity: false,
                ..Interrogation::default()
            })
        });
        let answered = self.store.mark().durable(answered).await.unwrap();
        assert_eq!(answered.answer.verdict, crate::charging::Verdict::Success);
    }
}

/// Closes a store once nobody else has it.
pub(crate) async fn close(store: Arc<Store>) {
    store.shutdown().unwrap();
    // Tasks of streams and connections end by themselves, a moment after the server.
    soon(async {
        while Arc::strong_count(&store) > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("it takes too long")
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<Response<T>, Status>, code: Code, message: &str) {
    let status = result.unwrap_err();
    assert_eq!(status.code(), code, "{status:?}");
    assert!(status.message().contains(message), "`{}` has no `{message}`", status.message());
}

fn msisdn(id: u64) -> String {
    format!("{}", 8_613_900_000_000 + id)
}

fn e164(number: &str) -> v1::Identity {
    v1::Identity { kind: v1::identity::Kind::E164.into(), value: number.to_owned() }
}

fn by_id(id: u64) -> v1::AccountRef {
    v1::AccountRef { by: Some(v1::account_ref::By::AccountId(id)) }
}

fn by_msisdn(number: &str) -> v1::AccountRef {
    v1::AccountRef { by: Some(v1::account_ref::By::Identity(e164(number))) }
}

fn cny(amount: &str) -> v1::Money {
    v1::Money { currency: "CNY".to_owned(), amount: amount.to_owned() }
}

fn new_account(id: u64, balance: &str) -> v1::CreateAccountRequest {
    v1::CreateAccountRequest {
        account_id: id,
        currency: "CNY".to_owned(),
        initial_balance: Some(cny(balance)),
        ..Default::default()
    }
}

fn new_subscriber(account: u64, name: &str, numbers: &[&str]) -> v1::CreateSubscriberRequest {
    let identities = numbers.iter().map(|number| e164(number)).collect();
    let subscriber = Some(v1::Subscriber { subscriber_id: name.to_owned(), identities });
    v1::CreateSubscriberRequest { account_id: account, subscriber }
}

fn top_up(account: v1::AccountRef, amount: &str, request_id: &str) -> v1::TopUpRequest {
    v1::TopUpRequest {
        account: Some(account),
        amount: Some(cny(amount)),
        request_id: request_id.to_owned(),
        ..Default::default()
    }
}
