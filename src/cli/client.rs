//! The connection of a verb to its server.

use std::{
    error::Error as _,
    hash::{BuildHasher, RandomState},
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use tokio::time::timeout;
use tonic::{Response, Status};

use crate::{
    api::{
        client::{Bearer, Channel, endpoint, prove},
        code_name,
        v1::{
            account_service_client::AccountServiceClient, audit_service_client::AuditServiceClient,
            balance_service_client::BalanceServiceClient, bulk_service_client::BulkServiceClient,
            catalog_service_client::CatalogServiceClient, event_service_client::EventServiceClient,
            product_service_client::ProductServiceClient, record_service_client::RecordServiceClient,
            session_service_client::SessionServiceClient, voucher_service_client::VoucherServiceClient,
        },
    },
    config::{ClientPems, Environment, Secret, SystemEnvironment, in_clear_beyond_loopback, is_https},
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
    /// Authority that the certificate of an https:// server comes from, PEM
    #[arg(long, env = "TOLLGATE_CA", value_name = "FILE", global = true)]
    pub ca: Option<PathBuf>,
    /// Certificate that proves who calls, PEM
    #[arg(long, env = "TOLLGATE_CERT", value_name = "FILE", global = true)]
    pub cert: Option<PathBuf>,
    /// Private key of --cert, PEM
    #[arg(long, env = "TOLLGATE_KEY", value_name = "FILE", global = true)]
    pub key: Option<PathBuf>,
    /// File of the bearer token that proves who calls; the token itself may be in the variable TOLLGATE_TOKEN
    #[arg(long, env = "TOLLGATE_TOKEN_FILE", value_name = "FILE", global = true)]
    pub token_file: Option<PathBuf>,
    /// Write JSON, one object a line
    #[arg(long, global = true)]
    pub json: bool,
}

/// Clients of all services on one connection.
#[derive(Clone)]
pub(super) struct Client(Channel);

/// The variable that may hold the token itself. It is no argument's variable: help would print its value.
const TOKEN_VARIABLE: &str = "TOLLGATE_TOKEN";

impl Connection {
    /// What is shown and believed; `None` = the server is called in clear.
    fn pems(&self) -> anyhow::Result<Option<ClientPems>> {
        let server = &self.server;
        if !is_https(server) {
            let given = [("--ca", &self.ca), ("--cert", &self.cert), ("--key", &self.key)];
            return match given.into_iter().find(|(_, file)| file.is_some()) {
                Some((option, _)) => bail!("{option} is for https://, and --server is {server}"),
                None => Ok(None),
            };
        }
        let Some(ca) = &self.ca else {
            bail!("{server} needs --ca FILE: the authority that the server's certificate comes from");
        };
        let identity = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => Some((("--cert", cert.as_path()), ("--key", key.as_path()))),
            (None, None) => None,
            (Some(_), None) => bail!("--cert needs its private key: --key FILE"),
            (None, Some(_)) => bail!("--key needs its certificate: --cert FILE"),
        };
        ClientPems::read(("--ca", ca), identity).map(Some).map_err(|(_, why)| anyhow!(why))
    }

    /// The token that is shown, if there is one.
    fn token(&self, environment: &dyn Environment) -> anyhow::Result<Option<Secret>> {
        let (from, token) = match &self.token_file {
            Some(file) => ("--token-file", Secret::from_file(file)),
            None if environment.variables().iter().any(|(name, _)| name == TOKEN_VARIABLE) => {
                (TOKEN_VARIABLE, Secret::from_variable(TOKEN_VARIABLE, environment))
            }
            None => return Ok(None),
        };
        if in_clear_beyond_loopback(&self.server) {
            bail!("{from}: {} would carry the token in clear: write https://", self.server);
        }
        token.map(Some).map_err(|why| anyhow!("{from}: {why}"))
    }
}

impl Client {
    pub(super) async fn connect(connection: &Connection) -> anyhow::Result<Self> {
        let server = &connection.server;
        let (pems, token) = (connection.pems()?, connection.token(&SystemEnvironment)?);
        let shown = pems.as_ref().filter(|pems| pems.identity.is_some()).map(|pems| Arc::clone(&pems.tls));
        let endpoint = endpoint(server, pems).with_context(|| format!("--server: `{server}` is no URL"))?;
        // Over TLS the reason follows; it need not be the server's absence.
        let question = if is_https(server) { "" } else { ": is the server running?" };
        let hint = || format!("cannot reach {server}{question} (--server or TOLLGATE_SERVER names it)");
        if let Some(tls) = shown {
            timeout(CONNECT_TIMEOUT, prove(&endpoint, tls)).await.with_context(hint)?.with_context(hint)?;
        }
        let channel = endpoint.connect_timeout(CONNECT_TIMEOUT).connect().await;
        Ok(Self(Channel::new(channel.with_context(hint)?, Bearer::new(token.as_ref())?)))
    }

    pub(super) fn accounts(&self) -> AccountServiceClient<Channel> {
        AccountServiceClient::new(self.0.clone())
    }

    pub(super) fn vouchers(&self) -> VoucherServiceClient<Channel> {
        VoucherServiceClient::new(self.0.clone())
    }

    pub(super) fn balances(&self) -> BalanceServiceClient<Channel> {
        BalanceServiceClient::new(self.0.clone())
    }

    pub(super) fn bulks(&self) -> BulkServiceClient<Channel> {
        BulkServiceClient::new(self.0.clone())
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

    pub(super) fn records(&self) -> RecordServiceClient<Channel> {
        RecordServiceClient::new(self.0.clone())
    }

    pub(super) fn audit(&self) -> AuditServiceClient<Channel> {
        AuditServiceClient::new(self.0.clone())
    }
}

/// The answer of a call, or its status as a readable error.
pub(super) fn answer<T>(result: Result<Response<T>, Status>) -> anyhow::Result<T> {
    result.map(Response::into_inner).map_err(|status| refusal(&status))
}

/// A status as one line: code and message, and what has led to it on this side, such as a TLS alert.
pub(super) fn refusal(status: &Status) -> anyhow::Error {
    let mut line = format!("{}: {}", code_name(status.code()), status.message());
    let mut source = status.source();
    while let Some(error) = source {
        let told = error.to_string();
        if !line.contains(&told) {
            line.push_str(": ");
            line.push_str(&told);
        }
        source = error.source();
    }
    anyhow!(line)
}

/// A request id that nobody else makes.
pub(super) fn new_request_id() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // The standard hasher is seeded by chance.
    let chance = RandomState::new().hash_one(std::process::id());
    format!("cli-{:x}-{chance:016x}", since.as_millis())
}
