//! The connection of a verb to its server.

use std::{
    hash::{BuildHasher, RandomState},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, anyhow};
use clap::Args;
use tonic::{
    Response, Status,
    transport::{Channel, Endpoint},
};

use crate::api::{
    code_name,
    v1::{
        account_service_client::AccountServiceClient, balance_service_client::BalanceServiceClient,
        catalog_service_client::CatalogServiceClient, event_service_client::EventServiceClient,
        product_service_client::ProductServiceClient, session_service_client::SessionServiceClient,
    },
};

/// Where the server is when nothing is said.
pub const DEFAULT_SERVER: &str = "http://127.0.0.1:50051";
/// A server that is not reached in this time is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Which server a verb asks, and how it tells the answer.
#[derive(Debug, Clone, Args)]
pub struct Connection {
    /// URL of the server's gRPC API
    #[arg(long, env = "TOLLGATE_SERVER", default_value = DEFAULT_SERVER, value_name = "URL", global = true)]
    pub server: String,
    /// Write JSON, one object a line
    #[arg(long, global = true)]
    pub json: bool,
}

/// Clients of all services on one connection.
pub(super) struct Client(Channel);

impl Client {
    pub(super) async fn connect(connection: &Connection) -> anyhow::Result<Self> {
        let server = &connection.server;
        let endpoint =
            Endpoint::from_shared(server.clone()).with_context(|| format!("--server: `{server}` is no URL"))?;
        let channel = endpoint.connect_timeout(CONNECT_TIMEOUT).connect().await;
        let hint = || format!("cannot reach {server}: is the server running? (--server or TOLLGATE_SERVER names it)");
        Ok(Self(channel.with_context(hint)?))
    }

    pub(super) fn accounts(&self) -> AccountServiceClient<Channel> {
        AccountServiceClient::new(self.0.clone())
    }

    pub(super) fn balances(&self) -> BalanceServiceClient<Channel> {
        BalanceServiceClient::new(self.0.clone())
    }

    pub(super) fn catalog(&self) -> CatalogServiceClient<Channel> {
        CatalogServiceClient::new(self.0.clone())
    }

    pub(super) fn products(&self) -> ProductServiceClient<Channel> {
        ProductServiceClient::new(self.0.clone())
    }

    pub(super) fn sessions(&self) -> SessionServiceClient<Channel> {
        SessionServiceClient::new(self.0.clone())
    }

    pub(super) fn events(&self) -> EventServiceClient<Channel> {
        EventServiceClient::new(self.0.clone())
    }
}

/// The answer of a call, or its status as a readable error.
pub(super) fn answer<T>(result: Result<Response<T>, Status>) -> anyhow::Result<T> {
    result.map(Response::into_inner).map_err(|status| refusal(&status))
}

/// A status as one line: code and message.
pub(super) fn refusal(status: &Status) -> anyhow::Error {
    anyhow!("{}: {}", code_name(status.code()), status.message())
}

/// A request id that nobody else makes.
pub(super) fn new_request_id() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // The standard hasher is seeded by chance.
    let chance = RandomState::new().hash_one(std::process::id());
    format!("cli-{:x}-{chance:016x}", since.as_millis())
}
