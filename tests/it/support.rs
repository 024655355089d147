//! A node in a scratch directory, on free ports of the loopback interface.

use std::{net::SocketAddr, path::Path, sync::Arc};

use tempfile::TempDir;
use tollgate::{
    app::Node,
    charging::{
        Account, AccountSpec, AccountState, Command, CreditCommand, CreditKind, Event, OrphanUsage, Subscriber,
        SubscriberSpec,
    },
    cli::gateway::Gateway,
    config::Config,
    ids::{AccountId, Identity, IdentityKind},
    journal::{
        Pending, Position,
        record::{self, Entry},
    },
    units::Money,
};

/// The demo's price list, which the tests charge by unless they bring their own.
pub(crate) const DEMO_CATALOG: &str = include_str!("../../config/demo/catalog.toml");

/// A node under test. Its files go when it is dropped.
pub(crate) struct TestNode {
    pub(crate) node: Node,
    pub(crate) directory: Arc<TempDir>,
}

/// A configuration with every address free and `subscribers` seeded subscribers: number i has account i + 1, MSISDN
/// 8613900000000 + i, IMSI 460000000000000 + i and 100.00 CNY.
pub(crate) fn config(directory: &Path, catalog: &str, subscribers: u64) -> Config {
    let path = directory.join("catalog.toml");
    std::fs::write(&path, catalog).unwrap();
    let mut config = Config::default();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    config.diameter.listen = any.into();
    config.diameter.accept_unknown_peers = true;
    config.grpc.listen = any;
    config.http.listen = any;
    config.catalog.file = path;
    config.store.directory = directory.join("data");
    config.store.partitions = 8;
    config.store.segment_mb = 8;
    config.seed.subscribers = subscribers;
    config.seed.balance = Money::from_micros(100_000_000);
    config
}

impl TestNode {
    /// A fresh node with the demo's price list and ten subscribers.
    pub(crate) async fn demo() -> Self {
        Self::start(DEMO_CATALOG, |_| {}).await
    }

    /// A fresh node with ten subscribers and a changed configuration.
    pub(crate) async fn start(catalog: &str, change: impl FnOnce(&mut Config)) -> Self {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let mut config = config(directory.path(), catalog, 10);
        change(&mut config);
        Self { node: Node::start(config).await.unwrap(), directory }
    }

    /// Where it speaks Diameter.
    pub(crate) fn diameter(&self) -> SocketAddr {
        self.node.diameter[0]
    }

    /// A gateway that is connected to it.
    pub(crate) async fn gateway(&self, host: &str) -> Gateway {
        Gateway::connect(self.diameter(), host, "gateways.example").await.unwrap()
    }

    /// The balance of a seeded account, in micro-units, and what is reserved of it.
    pub(crate) fn balance(&self, account: u64) -> (i64, i64) {
        let account = self.account(account);
        (account.balance().micros(), account.reserved().micros())
    }
    /// An account as it is, all of it durable.
    pub(crate) fn account(&self, account: u64) -> Account {
        self.durable(self.node.store.account(AccountId(account)).unwrap())
    }

    /// A new account with a subscriber, in the catalog's currency. Micro-units.
    pub(crate) fn provision(&self, account: u64, identities: &[(IdentityKind, &str)], balance: i64) {
        let store = &self.node.store;
        let id = AccountId(account);
        let spec = AccountSpec {
            id,
            currency: store.catalog().currency(),
            balance: Money::from_micros(balance),
            credit_limit: Money::ZERO,
            never_stop: false,
            allowances: Vec::new(),
        };
        self.durable(store.account_command(id, &Command::CreateAccount(spec))).unwrap();
        let identities = identities.iter().map(|(kind, text)| Identity::new(*kind, text).unwrap()).collect();
        let subscriber = Subscriber { id: "1".into(), identities };
        self.durable(store.create_subscriber(SubscriberSpec { account: id, subscriber })).unwrap();
    }

    /// Money comes in. Micro-units.
    pub(crate) fn top_up(&self, account: u64, amount: i64, request_id: &str) {
        let store = &self.node.store;
        let kind = CreditKind::TopUp(Money::from_micros(amount));
        let currency = Some(store.catalog().currency());
        let credit = CreditCommand { account: AccountId(account), kind, currency, request_id };
        self.durable(store.credit(credit)).unwrap();
    }

    /// An operator changes the state of an account.
    pub(crate) fn set_state(&self, account: u64, state: AccountState) {
        let account = AccountId(account);
        let command = Command::SetState { account, state, reason: "test" };
        self.durable(self.node.store.account_command(account, &command)).unwrap();
    }

    /// Usage of unknown sessions, as the journal has it.
    pub(crate) fn orphans(&self) -> Vec<OrphanUsage> {
        let mut orphans = Vec::new();
        let mut visit = |_, record: &[u8]| {
            if let Entry::Charging { event: Event::OrphanUsage(usage), .. } = record::decode(record).unwrap() {
                orphans.push(*usage);
            }
            Ok(())
        };
        self.node.store.journal().read_from(Position::ZERO, &mut visit).unwrap();
        orphans
    }

    fn durable<T: std::fmt::Debug>(&self, pending: Pending<T>) -> T {
        let mark = self.node.store.mark();
        mark.wait_for_blocking(pending.position()).unwrap();
        mark.admit(pending).unwrap().into_inner()
    }
}
