//! The configuration: one TOML file, every key overridable by the environment, every mistake named with its place.
//!
//! Keys and defaults are documented in `config/tollgate.toml`. The variable `TOLLGATE__SECTION__KEY` replaces the key
//! `section.key`; its value is read as a TOML value, and as plain text where it is none.

mod document;
mod grpc;
mod grpc_rules;
mod listen;
mod peer_rules;
mod peers;
mod problem;
mod push;
mod secret;
mod sections;
mod switches;
#[cfg(test)]
mod tests;
mod tls;
mod validate;

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

pub use grpc::{Grpc, GrpcCaller, GrpcTls, Role};
#[cfg(feature = "sctp")]
pub use listen::IPPROTO_SCTP;
pub use listen::{Endpoint, Listen, Target, Transport};
pub use peers::{Peer, Profile};
pub use problem::{ConfigError, Place, Problem};
pub use push::{PushTls, in_clear_beyond_loopback, is_https};
pub use secret::{SECRET_OCTETS_MAX, SECRET_OCTETS_MIN, Secret};
pub use sections::{
    Approval, Audit, Catalog, Diameter, Events, Http, LateUsage, Log, LogFormat, RecordFormat, Records, Seed, Store,
};
pub use switches::{Overrides, ReauthoriseBy, ServicesRead, Switches};
pub use tls::{BadFile, ClientPems, DIAMETERS_PORT, NamedFile, Tls, TlsKeys};

use document::Document;

/// Where the configuration is looked for when no path is given on the command line.
pub const DEFAULT_PATH: &str = "config/tollgate.toml";

/// Variables with this prefix override keys of the file.
pub const VARIABLE_PREFIX: &str = "TOLLGATE__";

/// Everything that can be configured. A missing section or key has its default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The Diameter node.
    pub diameter: Diameter,
    /// The gRPC API.
    pub grpc: Grpc,
    /// The HTTP endpoint of metrics and health.
    pub http: Http,
    /// Where and how state is kept.
    pub store: Store,
    /// Usage records.
    pub records: Records,
    /// The audit trail.
    pub audit: Audit,
    /// What a second person must approve.
    pub approval: Approval,
    /// The price list.
    pub catalog: Catalog,
    /// Business events for provisioning.
    pub events: Events,
    /// Subscribers that an empty store starts with.
    pub seed: Seed,
    /// Logs.
    pub log: Log,
}

impl Config {
    /// Reads the file (none = defaults only), applies the environment's overrides and checks the whole.
    ///
    /// `catalog.file` and the files of TLS and of tokens come back resolved against the directory of the file. The latter are
    /// read, to see that they are in order; the former must be there.
    ///
    /// # Errors
    ///
    /// Every problem that was found, each with its place.
    pub fn load(path: Option<&Path>, environment: &dyn Environment) -> Result<Self, ConfigError> {
        let text = match path {
            Some(path) => fs::read_to_string(path).map_err(|error| ConfigError::unreadable(path, &error))?,
            None => String::new(),
        };
        let (mut config, document) = Self::read(&text, path, environment)?;
        let directory = path.and_then(Path::parent).unwrap_or(Path::new(""));
        config.catalog.file = directory.join(&config.catalog.file);
        if config.diameter.tls.is_on() {
            config.diameter.tls.files().into_iter().for_each(|(_, file)| *file = directory.join(&*file));
        }
        config.grpc.resolve(directory);
        config.events.resolve(directory);
        let problems = config.problems_here(environment);
        let problems: Vec<_> = problems.into_iter().map(|p| document.locate(&p.key, p.message)).collect();
        if problems.is_empty() { Ok(config) } else { Err(ConfigError::new(problems)) }
    }

    /// Like [`Config::load`] for a text at hand; `path` is only named in problems, paths stay as written, and no other file
    /// is read.
    ///
    /// # Errors
    ///
    /// Every problem that was found, each with its place.
    pub fn parse(text: &str, path: Option<&Path>, environment: &dyn Environment) -> Result<Self, ConfigError> {
        Self::read(text, path, environment).map(|(config, _)| config)
    }

    fn read(text: &str, path: Option<&Path>, environment: &dyn Environment) -> Result<(Self, Document), ConfigError> {
        let mut document = Document::parse(text, path).map_err(ConfigError::new)?;
        let mut problems = document.override_from(environment);
        problems.extend(document.check_keys_and_types());
        if !problems.is_empty() {
            return Err(ConfigError::new(problems));
        }
        let config = document.config().map_err(|problem| ConfigError::new(vec![problem]))?;
        let problems: Vec<_> = config.problems().into_iter().map(|p| document.locate(&p.key, p.message)).collect();
        if problems.is_empty() { Ok((config, document)) } else { Err(ConfigError::new(problems)) }
    }

    /// A problem at the place where a key such as `diameter.peers.0` was written, for whoever finds one in the values.
    pub fn problem_at(path: Option<&Path>, environment: &dyn Environment, key: &str, message: String) -> Problem {
        let text = path.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        match Document::parse(&text, path) {
            Ok(mut document) => {
                // Its problems would have been told before.
                document.override_from(environment);
                document.locate(key, message)
            }
            Err(_) => Problem { place: Place::Defaults, message },
        }
    }

    /// The catalog's path.
    pub fn catalog_path(&self) -> &Path {
        &self.catalog.file
    }

    /// The store's directory.
    pub fn store_directory(&self) -> PathBuf {
        self.store.directory.clone()
    }

    /// The directory of usage records.
    pub fn records_directory(&self) -> PathBuf {
        self.beside_store(&self.records.directory, "records")
    }

    /// The directory of the audit trail.
    pub fn audit_directory(&self) -> PathBuf {
        self.beside_store(&self.audit.directory, "audit")
    }

    fn beside_store(&self, directory: &Path, name: &str) -> PathBuf {
        if directory.as_os_str().is_empty() { self.store.directory.join(name) } else { directory.to_owned() }
    }
}

/// Where environment variables come from: the process in production, a list in tests.
pub trait Environment {
    /// All variables, in any order.
    fn variables(&self) -> Vec<(OsString, OsString)>;
}

/// The environment of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEnvironment;

impl Environment for SystemEnvironment {
    fn variables(&self) -> Vec<(OsString, OsString)> {
        std::env::vars_os().collect()
    }
}

/// A fixed list of variables; `&[]` is an empty environment.
impl Environment for [(&str, &str)] {
    fn variables(&self) -> Vec<(OsString, OsString)> {
        self.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect()
    }
}

/// A fixed list of variables.
impl<const N: usize> Environment for [(&str, &str); N] {
    fn variables(&self) -> Vec<(OsString, OsString)> {
        self.as_slice().variables()
    }
}
