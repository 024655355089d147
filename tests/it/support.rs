//! A node in a scratch directory, on free ports of the loopback interface.

use std::{net::SocketAddr, path::Path, sync::Arc};

use tempfile::TempDir;
use tollgate::{
    app::Node,
    cli::gateway::Gateway,
    config::{Config, Listen},
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
    config.diameter.listen = Listen::One(any);
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
        let account = self.node.store.account(tollgate::ids::AccountId(account)).unwrap();
        let account = self.node.store.mark().admit(account).unwrap_or_else(|_| panic!("not durable yet"));
        (account.balance().micros(), account.reserved().micros())
    }
}
