//! `[grpc]`: the API, whom it lets in, and what each may do.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::ServerConfig;
use serde::{Deserialize, Serialize};

use super::{BadFile, Environment, Secret, sections::loopback, tls};

/// `[grpc]`: the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grpc {
    /// Address; beyond loopback only with TLS and callers.
    pub listen: SocketAddr,
    /// Whether server reflection answers those who are no caller, too.
    pub public_reflection: bool,
    /// TLS.
    pub tls: GrpcTls,
    /// Who may call; empty = whoever reaches the address, which is on loopback then, is the operator.
    pub caller: Vec<GrpcCaller>,
}

impl Default for Grpc {
    fn default() -> Self {
        Self { listen: loopback(50_051), public_reflection: false, tls: GrpcTls::default(), caller: Vec::new() }
    }
}

/// `[grpc.tls]`: off as long as `certificate` is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GrpcTls {
    /// This node's certificate, and those between it and its authority: PEM, this node's first.
    pub certificate: PathBuf,
    /// Its private key: PEM.
    pub key: PathBuf,
    /// Certificates of the authorities that callers' certificates come from: PEM. Empty = nobody is asked for one.
    pub client_ca: PathBuf,
}

/// A system that may call, how it proves itself, and what it may do. What it has of certificate and token it must show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrpcCaller {
    /// What it is called in logs, metrics and the audit trail.
    pub name: String,
    /// Its role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Its roles, if it has several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Role>,
    /// The common name of its certificate's subject, or one of the certificate's alternative names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The file of its bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// The environment variable of its bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_env: Option<String>,
}

/// What a caller may do; which calls that are says the table of methods in `api/access`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A shop or an app, for the subscribers themselves: sees an account, pays in, redeems vouchers, buys products.
    SelfService,
    /// The network's provisioning: accounts, subscribers, members, states and terms, what they bought, the stream of events.
    Provisioning,
    /// Customer care: sees all about an account, explains it and puts it right.
    Care,
    /// Runs the system: everything.
    Operator,
    /// Sees everything, changes nothing.
    Auditor,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::SelfService, Self::Provisioning, Self::Care, Self::Operator, Self::Auditor];

    /// As the configuration writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SelfService => "self-service",
            Self::Provisioning => "provisioning",
            Self::Care => "care",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
        }
    }
}

impl GrpcTls {
    /// Whether TLS is configured.
    pub fn is_on(&self) -> bool {
        !self.certificate.as_os_str().is_empty()
    }

    /// Reads the files. A caller is asked for its certificate and may come without one: it may have a token.
    ///
    /// # Errors
    /// The first file that cannot be read, is not what it should be, or does not fit the others.
    pub fn load(&self) -> Result<Arc<ServerConfig>, BadFile> {
        let Self { certificate, key, client_ca } = self;
        tls::api_server(("certificate", certificate), ("key", key), ("client_ca", client_ca)).map(Arc::new)
    }
}

impl GrpcCaller {
    /// Keys of an entry.
    pub(super) const KEYS: &[&str] = &["name", "role", "roles", "certificate", "token_file", "token_env"];

    /// All its roles.
    pub fn all_roles(&self) -> Vec<Role> {
        self.role.iter().chain(&self.roles).copied().collect()
    }

    /// Its token; `None` = it has none.
    ///
    /// # Errors
    /// The key that names the token, and why there is none.
    pub fn token(&self, environment: &dyn Environment) -> Result<Option<Secret>, BadFile> {
        token(("token_file", self.token_file.as_deref()), ("token_env", self.token_env.as_deref()), environment)
    }
}

impl Grpc {
    /// Relative paths begin at the directory of the configuration file.
    pub(super) fn resolve(&mut self, directory: &Path) {
        let Self { tls: GrpcTls { certificate, key, client_ca }, caller, .. } = self;
        let tokens = caller.iter_mut().filter_map(|caller| caller.token_file.as_mut());
        [certificate, key, client_ca].into_iter().chain(tokens).for_each(|file| tls::resolve(file, directory));
    }
}

/// The secret that one of two keys names.
pub(super) fn token(
    (file_key, file): (&'static str, Option<&Path>),
    (variable_key, variable): (&'static str, Option<&str>),
    environment: &dyn Environment,
) -> Result<Option<Secret>, BadFile> {
    let read = match (file, variable) {
        (Some(file), _) => Secret::from_file(file).map_err(|why| (file_key, format!("`{file_key}`: {why}"))),
        (None, Some(variable)) => Secret::from_variable(variable, environment)
            .map_err(|why| (variable_key, format!("`{variable_key}`: {why}"))),
        (None, None) => return Ok(None),
    };
    read.map(Some)
}
