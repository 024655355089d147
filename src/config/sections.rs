//! The sections of the configuration and their defaults.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{Listen, Peer, PushTls, Tls};
use crate::units::Money;

pub(super) const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// `[diameter]`: the Diameter node and the bounds of its connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Diameter {
    /// Addresses without TLS.
    pub listen: Listen,
    /// TLS.
    pub tls: Tls,
    /// This node's Origin-Host.
    pub origin_host: String,
    /// This node's Origin-Realm.
    pub origin_realm: String,
    /// Further realms whose requests are served here.
    pub realms: Vec<String>,
    /// Other nodes whose sessions are kept here too: a request that names one of them is served (spec B-133).
    pub sibling_hosts: Vec<String>,
    /// Product-Name in the capabilities exchange.
    pub product_name: String,
    /// Clients that may connect.
    pub peers: Vec<Peer>,
    /// Whether clients that no entry of `peers` fits may connect.
    pub accept_unknown_peers: bool,
    /// Whether an unknown AVP with the M bit is refused (5001), as the standard says, or ignored, as live networks need.
    pub strict_mandatory_avps: bool,
    /// Octets of one message, header included.
    pub message_octets_max: usize,
    /// Groups within groups (spec B-33).
    pub avp_depth_max: usize,
    /// AVPs of one message, members of groups included.
    pub avps_max: u32,
    /// Multiple-Services-Credit-Control of one request.
    pub services_max: usize,
    /// Connections at a time.
    pub connections_max: usize,
    /// Connections of one client at a time: of one Origin-Host, or of one `connect` (spec B-162).
    pub connections_per_peer: usize,
    /// Requests of one connection that are being worked on at a time.
    pub in_flight_max: usize,
    /// Records that may wait to become durable before new sessions are refused (3004); at twice that, updates that ask for
    /// units are, at four times everything.
    pub overload_backlog: u64,
    /// From accepted connection to CER.
    pub handshake_secs: u64,
    /// Silence after which a watchdog request is sent (Tw of RFC 3539).
    pub watchdog_secs: u64,
    /// How long a connection that a client has opened may carry nothing but watchdogs before it is ended; 0 = for ever
    /// (spec B-170).
    pub idle_secs: u64,
    /// Pause before a peer with `connect` is called again (Tc, spec B-163).
    pub reconnect_secs: u64,
    /// How long an answered Re-Auth-Request waits for its CCR-U before it is repeated once (C-102); the same for an
    /// Abort-Session-Request and its CCR-T.
    pub reauthorise_wait_secs: u64,
    /// How long after a client's restart (Origin-State-Id) the sessions that it has left behind are closed (B-191).
    pub restart_grace_secs: u64,
}

impl Default for Diameter {
    fn default() -> Self {
        Self {
            listen: loopback(3868).into(),
            tls: Tls::default(),
            origin_host: "ocs1.tollgate.example".into(),
            origin_realm: "tollgate.example".into(),
            realms: Vec::new(),
            sibling_hosts: Vec::new(),
            product_name: "Tollgate".into(),
            peers: Vec::new(),
            accept_unknown_peers: false,
            strict_mandatory_avps: false,
            message_octets_max: 65_536,
            avp_depth_max: 16,
            avps_max: 4_096,
            services_max: 256,
            connections_max: 1_024,
            connections_per_peer: 16,
            in_flight_max: 4_096,
            overload_backlog: 60_000,
            handshake_secs: 10,
            watchdog_secs: 30,
            idle_secs: 0,
            reconnect_secs: 30,
            reauthorise_wait_secs: 30,
            restart_grace_secs: 30,
        }
    }
}

/// `[http]`: `/metrics`, `/healthz`, `/readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Address.
    pub listen: SocketAddr,
}

impl Default for Http {
    fn default() -> Self {
        Self { listen: loopback(9_464) }
    }
}

/// `[store]`: durable state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// Directory of journal and checkpoints, relative to the working directory.
    pub directory: PathBuf,
    /// Number of partitions, 1 to 4,096; fixed when the store is created. 0 = the store's own, or that of new stores.
    pub partitions: u16,
    /// Size of a journal segment.
    pub segment_mb: u64,
    /// Journal written since the last checkpoint that starts the next one.
    pub checkpoint_journal_mb: u64,
    /// How long the last answer of a closed session is remembered for retransmissions (B-96), and the session itself for
    /// late usage (C-90).
    pub session_memory_secs: u64,
    /// What becomes of usage that is reported after its session was closed, while that is remembered (C-90).
    pub late_usage: LateUsage,
    /// How long event requests are remembered for late retransmissions (C-143).
    pub event_memory_hours: u64,
    /// How long request ids of top-ups and adjustments are remembered.
    pub request_id_days: u64,
    /// Ended sessions, events and credits that may be remembered, of each so many in all partitions together. With more in a
    /// partition, new ones are refused there: what is forgotten early could be charged twice.
    pub remembered_max: usize,
    /// Lines of history kept per account.
    pub history_entries: usize,
    /// Supervision time of a session in which no Validity-Time was granted (Tcc, C-72).
    pub default_session_secs: u64,
    /// Running sessions of one account.
    pub account_sessions_max: usize,
    /// Quotas that may be granted in one session.
    pub session_quotas_max: usize,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            directory: "data".into(),
            partitions: 0,
            segment_mb: 64,
            checkpoint_journal_mb: 256,
            session_memory_secs: 300,
            late_usage: LateUsage::Record,
            event_memory_hours: 24,
            request_id_days: 30,
            remembered_max: 20_000_000,
            history_entries: 8,
            default_session_secs: 86_400,
            account_sessions_max: 256,
            session_quotas_max: 256,
        }
    }
}

/// What becomes of usage that is reported after its session was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LateUsage {
    /// Written down, with a metric.
    #[default]
    Record,
    /// Also charged to the account that the session was charged to, once.
    Charge,
}

/// `[records]`: usage records (CDRs) in files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Records {
    /// Whether they are kept.
    pub enabled: bool,
    /// Directory of the files, relative to the working directory; empty = `records` in the store's.
    pub directory: PathBuf,
    /// As what they are written.
    pub format: RecordFormat,
    /// Longest file.
    pub rotate_bytes: u64,
    /// A file holds records of one such span of time, counted from 1970; 0 = of any.
    pub rotate_secs: u64,
    /// Records that may wait to be written before new sessions and events are refused (3004).
    pub queue_max: usize,
}

impl Default for Records {
    fn default() -> Self {
        Self {
            enabled: false,
            directory: PathBuf::new(),
            format: RecordFormat::Jsonl,
            rotate_bytes: 64 << 20,
            rotate_secs: 3_600,
            queue_max: 1_000_000,
        }
    }
}

/// As what usage records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordFormat {
    /// One JSON object a line.
    #[default]
    Jsonl,
    /// A table.
    Csv,
    /// Both, side by side.
    Both,
}

/// `[audit]`: the audit trail in files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// Whether it is written to files; it is in the journal in any case.
    pub enabled: bool,
    /// Directory of the files, relative to the working directory; empty = `audit` in the store's.
    pub directory: PathBuf,
    /// Longest file.
    pub rotate_bytes: u64,
    /// A file holds lines of one such span of time, counted from 1970; 0 = of any.
    pub rotate_secs: u64,
}

impl Default for Audit {
    fn default() -> Self {
        Self { enabled: true, directory: PathBuf::new(), rotate_bytes: 64 << 20, rotate_secs: 86_400 }
    }
}

/// `[approval]`: what a second person must approve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Approval {
    /// Changes of one bulk change, or vouchers of an allowance in one batch, that need no approval.
    pub changes: u64,
    /// Money that one bulk change, adjustment, transfer, opening of an account or batch of vouchers may move without approval, in
    /// the catalog's currency.
    #[serde(serialize_with = "money_text", deserialize_with = "money")]
    pub money: Money,
    /// How long a bulk change waits for approval.
    pub expires_hours: u64,
}

impl Default for Approval {
    fn default() -> Self {
        // What one person can still check and undo by hand; over a weekend, and a day more.
        Self { changes: 100, money: Money::from_micros(10_000 * crate::units::MICROS), expires_hours: 72 }
    }
}

impl Approval {
    /// Whether so many changes, or so much money (without signs), need a second person's approval.
    pub fn is_needed(&self, changes: u64, money: Money) -> bool {
        changes > self.changes || money > self.money
    }
}

/// `[catalog]`: the price list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Catalog {
    /// The catalog's file, relative to the configuration file's directory.
    pub file: PathBuf,
}

impl Default for Catalog {
    fn default() -> Self {
        Self { file: "catalog.toml".into() }
    }
}

/// `[events]`: business events for provisioning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Events {
    /// URL of a `ProvisioningSink` to push events to; empty = none.
    pub push: String,
    /// TLS of the way there: `https://`.
    pub push_tls: PushTls,
    /// The file of the bearer token that is shown there; empty = none.
    pub push_token_file: PathBuf,
    /// The environment variable of that token; empty = none.
    pub push_token_env: String,
    /// Longest pause between two tries to push.
    pub retry_max_secs: u64,
    /// Events in one pushed batch.
    pub batch_max: usize,
    /// Events kept for subscribers that resume.
    pub keep: usize,
    /// Events kept at most, also those that a consumer has not acknowledged: beyond that the oldest are given up.
    pub keep_max: usize,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            push: String::new(),
            push_tls: PushTls::default(),
            push_token_file: PathBuf::new(),
            push_token_env: String::new(),
            retry_max_secs: 60,
            batch_max: 100,
            keep: 100_000,
            keep_max: 1_000_000,
        }
    }
}

/// `[seed]`: subscribers that an empty store starts with; more of them later are added. Subscriber `i` of `0..subscribers`
/// has account id `i + 1`, MSISDN `first_msisdn + i` and IMSI `first_imsi + i`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Seed {
    /// How many.
    pub subscribers: u64,
    /// E.164 number of subscriber 0, digits only.
    pub first_msisdn: String,
    /// IMSI of subscriber 0.
    pub first_imsi: String,
    /// Opening balance of each, in the catalog's currency.
    #[serde(serialize_with = "money_text", deserialize_with = "money")]
    pub balance: Money,
}

impl Default for Seed {
    fn default() -> Self {
        Self {
            subscribers: 0,
            first_msisdn: "8613900000000".into(),
            first_imsi: "460000000000000".into(),
            balance: Money::from_micros(100 * crate::units::MICROS),
        }
    }
}

fn money_text<S: Serializer>(money: &Money, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(money)
}

fn money<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Money, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

/// `[log]`: logs, on standard error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Text or JSON.
    pub format: LogFormat,
    /// A level, or directives such as `info,tollgate::server=debug`.
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".into() }
    }
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}
