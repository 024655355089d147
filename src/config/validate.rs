//! Rules beyond types: bounds, and keys that must fit together.

use std::ops::RangeInclusive;

use tracing_subscriber::EnvFilter;

use super::{Config, Diameter, Environment, Transport};

/// A rule that is broken, and the key that breaks it.
pub(super) struct Broken {
    pub(super) key: String,
    pub(super) message: String,
}

/// A Diameter message has at least a header; its length field has 24 bits.
const MESSAGE_OCTETS: RangeInclusive<u64> = 4_096..=(1 << 24) - 4;
/// Real requests nest six deep; the reader keeps the way to where it is, and has room for sixteen (B-33).
const AVP_DEPTH: RangeInclusive<u64> = 6..=16;
/// Fewer would refuse ordinary requests; the longest message that can be configured has no more.
const AVPS: RangeInclusive<u64> = 256..=2_097_152;
/// Fewer wait at any moment of a busy day; with four times as many the journal itself makes appenders wait.
const OVERLOAD_BACKLOG: RangeInclusive<u64> = 100..=100_000;
/// Tw below 6 s is forbidden (RFC 3539 3.4.1).
const WATCHDOG_SECS: RangeInclusive<u64> = 6..=3_600;
/// Seconds that a person would wait or a timer run: from 1 to a day.
const SECS: RangeInclusive<u64> = 1..=86_400;
/// Below five minutes an idle connection may not be ended (RFC 6733 5.6, B-170).
const IDLE_SECS: RangeInclusive<u64> = 300..=86_400;
/// Partition numbers are small integers; more partitions than this only cost memory. 0 = the store's own number.
const PARTITIONS: RangeInclusive<u64> = 0..=4_096;
/// Below four minutes a failover's retransmission could be charged twice (B-96).
const SESSION_MEMORY_SECS: RangeInclusive<u64> = 240..=86_400;
/// The newest file is read and written anew at each start; smaller ones than this are many.
const ROTATE_BYTES: RangeInclusive<u64> = 65_536..=1 << 30;
/// From a minute to a year.
const ROTATE_SECS: RangeInclusive<u64> = 60..=31_536_000;
/// After a month nobody knows any more what it was decided on.
const EXPIRES_HOURS: RangeInclusive<u64> = 1..=720;
/// Digits of an E.164 number, and of an IMSI with the room that some networks take.
const DIGITS_MAX: usize = 18;

impl Config {
    /// Every broken rule.
    pub(super) fn problems(&self) -> Vec<Broken> {
        let mut rules = Rules(Vec::new());
        rules.diameter(&self.diameter);
        rules.grpc(self);
        rules.store(self);
        rules.trails(self);
        rules.approval(self);
        rules.events(self);
        rules.seed(self);
        rules.rest(self);
        rules.0
    }
}

impl Config {
    /// Every rule that files which are named break, or that this machine does. Paths are resolved.
    pub(super) fn problems_here(&self, environment: &dyn Environment) -> Vec<Broken> {
        let mut rules = Rules(Vec::new());
        let diameter = &self.diameter;
        let used = diameter.peers.iter().enumerate().filter_map(|(index, peer)| {
            let target = peer.connect.as_ref()?;
            Some((format!("diameter.peers.{index}.connect"), target.transport))
        });
        let used =
            used.chain(diameter.listen.endpoints().iter().map(|at| ("diameter.listen".to_owned(), at.transport)));
        for (key, transport) in used {
            if let Some(problem) = transport.problem_here() {
                rules.broken(&key, problem);
            }
        }
        if diameter.tls.is_on()
            && let Err((key, message)) = diameter.tls.load()
        {
            rules.broken(&format!("diameter.tls.{key}"), message);
        }
        for (key, message) in self.grpc.problems_here(environment) {
            rules.broken(&key, message);
        }
        for (key, message) in self.events.push_problems_here(environment) {
            rules.broken(key, message);
        }
        let catalog = &self.catalog.file;
        if let Err(error) = std::fs::metadata(catalog) {
            rules.broken("catalog.file", format!("`file`: {}: cannot be read: {error}", catalog.display()));
        }
        rules.0
    }
}

struct Rules(Vec<Broken>);

impl Rules {
    fn broken(&mut self, key: &str, message: impl Into<String>) {
        self.0.push(Broken { key: key.to_owned(), message: message.into() });
    }

    fn within(&mut self, key: &str, value: u64, range: RangeInclusive<u64>) {
        if !range.contains(&value) {
            let name = key.rsplit('.').next().unwrap_or(key);
            self.broken(key, format!("`{name}` is {value}, must be {} to {}", range.start(), range.end()));
        }
    }

    fn identity(&mut self, key: &str, value: &str) {
        if let Some(reason) = identity_problem(value) {
            let name = key.rsplit('.').next().unwrap_or(key);
            self.broken(key, format!("`{name}` is `{value}`: {reason}"));
        }
    }

    fn diameter(&mut self, diameter: &Diameter) {
        let calls = diameter.peers.iter().any(|peer| peer.connect.is_some());
        let listens = |listen: &super::Listen| !listen.endpoints().is_empty();
        let in_clear = listens(&diameter.listen);
        let securely = diameter.tls.is_on() && listens(&diameter.tls.listen);
        if !(in_clear || securely || calls) {
            self.broken("diameter.listen", "`listen` is an empty list: name at least one address");
        }
        for endpoint in diameter.listen.endpoints() {
            if let Some(problem) = endpoint.transport.problem() {
                self.broken("diameter.listen", format!("`listen` is {endpoint}: {problem}"));
            }
        }
        self.tls(diameter);
        self.identity("diameter.origin_host", &diameter.origin_host);
        self.identity("diameter.origin_realm", &diameter.origin_realm);
        for (index, realm) in diameter.realms.iter().enumerate() {
            if let Some(reason) = identity_problem(realm) {
                self.broken(&format!("diameter.realms.{index}"), format!("realm `{realm}`: {reason}"));
            }
        }
        for (index, host) in diameter.sibling_hosts.iter().enumerate() {
            if let Some(reason) = identity_problem(host) {
                self.broken(&format!("diameter.sibling_hosts.{index}"), format!("sibling host `{host}`: {reason}"));
            }
        }
        if diameter.product_name.is_empty() {
            self.broken("diameter.product_name", "`product_name` is empty: RFC 6733 requires one");
        }
        for (index, peer) in diameter.peers.iter().enumerate() {
            let name = peer.origin_host.strip_prefix("*.").unwrap_or(&peer.origin_host);
            let key = format!("diameter.peers.{index}.origin_host");
            if let Some(reason) = identity_problem(name) {
                self.broken(&key, format!("peer `{}`: {reason}", peer.origin_host));
            }
            let same = |other: &super::Peer| other.origin_host.eq_ignore_ascii_case(&peer.origin_host);
            if diameter.peers[..index].iter().any(same) {
                self.broken(&key, format!("peer `{}` is listed twice", peer.origin_host));
            }
            for (switch, why) in peer.broken_rules(diameter) {
                let key = format!("diameter.peers.{index}.{switch}");
                self.broken(&key, format!("peer `{}`: {why}", peer.origin_host));
            }
            self.peer_connection(diameter, index);
        }
        self.within("diameter.message_octets_max", diameter.message_octets_max as u64, MESSAGE_OCTETS);
        self.within("diameter.avp_depth_max", diameter.avp_depth_max as u64, AVP_DEPTH);
        self.within("diameter.avps_max", diameter.avps_max.into(), AVPS);
        self.within("diameter.services_max", diameter.services_max as u64, 1..=1_024);
        self.within("diameter.connections_max", diameter.connections_max as u64, 1..=1_000_000);
        self.within("diameter.connections_per_peer", diameter.connections_per_peer as u64, 1..=1_000_000);
        self.within("diameter.in_flight_max", diameter.in_flight_max as u64, 1..=1_000_000);
        self.within("diameter.overload_backlog", diameter.overload_backlog, OVERLOAD_BACKLOG);
        self.within("diameter.handshake_secs", diameter.handshake_secs, SECS);
        self.within("diameter.watchdog_secs", diameter.watchdog_secs, WATCHDOG_SECS);
        if diameter.idle_secs > 0 && !IDLE_SECS.contains(&diameter.idle_secs) {
            let (idle, least, most) = (diameter.idle_secs, IDLE_SECS.start(), IDLE_SECS.end());
            self.broken("diameter.idle_secs", format!("`idle_secs` is {idle}, must be 0 (never) or {least} to {most}"));
        }
        self.within("diameter.reconnect_secs", diameter.reconnect_secs, SECS);
        self.within("diameter.reauthorise_wait_secs", diameter.reauthorise_wait_secs, SECS);
        self.within("diameter.restart_grace_secs", diameter.restart_grace_secs, SECS);
    }

    fn tls(&mut self, diameter: &Diameter) {
        let mut tls = diameter.tls.clone();
        let missing: Vec<_> =
            tls.files().into_iter().filter(|(_, file)| file.as_os_str().is_empty()).map(|(key, _)| key).collect();
        if missing.len() < 3 {
            for key in missing {
                let message = format!("`{key}` is empty: TLS needs `certificate`, `key` and `ca`, or none of them");
                self.broken(&format!("diameter.tls.{key}"), message);
            }
        }
        if diameter.tls.listen.endpoints().iter().any(|endpoint| endpoint.transport == Transport::Sctp) {
            self.broken("diameter.tls.listen", "`listen`: TLS goes over TCP only; DTLS over SCTP is not built in");
        }
    }

    /// How a peer and this node come together.
    fn peer_connection(&mut self, diameter: &Diameter, index: usize) {
        let peer = &diameter.peers[index];
        let (name, key) = (&peer.origin_host, |key: &str| format!("diameter.peers.{index}.{key}"));
        if peer.needs_tls() && !diameter.tls.is_on() {
            let key = if peer.tls { key("tls") } else { key("connect") };
            self.broken(&key, format!("peer `{name}`: `tls` needs certificates: fill in [diameter.tls]"));
        }
        let Some(target) = &peer.connect else { return };
        if peer.is_pattern() {
            let message =
                format!("peer `{name}`: `connect` needs the one Origin-Host that answers there, not a pattern");
            self.broken(&key("connect"), message);
        }
        if name.eq_ignore_ascii_case(&diameter.origin_host) {
            self.broken(&key("connect"), format!("peer `{name}` is this node itself"));
        }
        if let Some(problem) = target.transport.problem() {
            self.broken(&key("connect"), format!("peer `{name}`: `connect` is {target}: {problem}"));
        } else if peer.needs_tls() && target.transport == Transport::Sctp {
            self.broken(
                &key("connect"),
                format!("peer `{name}`: TLS goes over TCP only; DTLS over SCTP is not built in"),
            );
        }
    }

    fn grpc(&mut self, config: &Config) {
        for (key, message) in config.grpc.broken_rules() {
            self.broken(&key, message);
        }
    }

    fn store(&mut self, config: &Config) {
        let store = &config.store;
        if store.directory.as_os_str().is_empty() {
            self.broken("store.directory", "`directory` is empty");
        }
        self.within("store.partitions", store.partitions.into(), PARTITIONS);
        self.within("store.segment_mb", store.segment_mb, 1..=4_096);
        self.within("store.checkpoint_journal_mb", store.checkpoint_journal_mb, 1..=1_048_576);
        self.within("store.session_memory_secs", store.session_memory_secs, SESSION_MEMORY_SECS);
        self.within("store.event_memory_hours", store.event_memory_hours, 24..=8_784);
        self.within("store.request_id_days", store.request_id_days, 1..=3_660);
        self.within("store.remembered_max", store.remembered_max as u64, 10_000..=2_000_000_000);
        self.within("store.history_entries", store.history_entries as u64, 1..=1_000);
        self.within("store.account_sessions_max", store.account_sessions_max as u64, 1..=100_000);
        // Usage is still counted in 4,096 quotas of a session.
        self.within("store.session_quotas_max", store.session_quotas_max as u64, 1..=4_096);
        self.within("store.default_session_secs", store.default_session_secs, 60..=31_536_000);
    }

    fn trails(&mut self, config: &Config) {
        let (records, audit) = (&config.records, &config.audit);
        for (section, bytes, secs) in
            [("records", records.rotate_bytes, records.rotate_secs), ("audit", audit.rotate_bytes, audit.rotate_secs)]
        {
            self.within(&format!("{section}.rotate_bytes"), bytes, ROTATE_BYTES);
            if secs > 0 && !ROTATE_SECS.contains(&secs) {
                let (least, most) = (ROTATE_SECS.start(), ROTATE_SECS.end());
                let message = format!("`rotate_secs` is {secs}, must be 0 (never) or {least} to {most}");
                self.broken(&format!("{section}.rotate_secs"), message);
            }
        }
        // A million records take some 300 MB of memory.
        self.within("records.queue_max", records.queue_max as u64, 1_000..=100_000_000);
        let (records, audit) = (config.records_directory(), config.audit_directory());
        if records == config.store.directory || records == audit {
            self.broken("records.directory", "`directory` is that of the store or of the audit trail: name another");
        }
        if audit == config.store.directory {
            self.broken("audit.directory", "`directory` is that of the store: name another");
        }
    }

    fn approval(&mut self, config: &Config) {
        if config.approval.money.is_negative() {
            let message = format!("`money` is {}, must not be below 0", config.approval.money);
            self.broken("approval.money", message);
        }
        self.within("approval.expires_hours", config.approval.expires_hours, EXPIRES_HOURS);
    }

    fn events(&mut self, config: &Config) {
        let events = &config.events;
        for (key, message) in events.broken_push_rules() {
            self.broken(key, message);
        }
        self.within("events.retry_max_secs", events.retry_max_secs, SECS);
        self.within("events.batch_max", events.batch_max as u64, 1..=10_000);
        self.within("events.keep", events.keep as u64, 1..=100_000_000);
        self.within("events.keep_max", events.keep_max as u64, events.keep as u64..=100_000_000);
    }

    fn seed(&mut self, config: &Config) {
        let seed = &config.seed;
        for (key, value) in [("seed.first_msisdn", &seed.first_msisdn), ("seed.first_imsi", &seed.first_imsi)] {
            let name = key.rsplit('.').next().unwrap_or(key);
            if value.is_empty() || value.len() > DIGITS_MAX || !value.bytes().all(|b| b.is_ascii_digit()) {
                self.broken(key, format!("`{name}` is `{value}`, must be 1 to {DIGITS_MAX} digits"));
            }
        }
        self.within("seed.subscribers", seed.subscribers, 0..=100_000_000);
        if seed.balance.is_negative() {
            self.broken("seed.balance", format!("`balance` is {}, must not be negative", seed.balance));
        }
    }

    fn rest(&mut self, config: &Config) {
        if config.catalog.file.as_os_str().is_empty() {
            self.broken("catalog.file", "`file` is empty");
        }
        if let Err(reason) = EnvFilter::builder().parse(&config.log.level) {
            self.broken("log.level", format!("`level` is `{}`: {reason}", config.log.level));
        }
    }
}

/// Why a text cannot be a DiameterIdentity that this node uses: a host or realm name (RFC 6733 4.3.1).
fn identity_problem(text: &str) -> Option<&'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if text.is_empty() {
        Some("is empty")
    } else if text.len() > 255 {
        Some("is longer than 255 characters")
    } else if !text.bytes().all(allowed) {
        Some("write a host or realm name: letters, digits, `.`, `-` and `_`")
    } else if text.split('.').any(str::is_empty) {
        Some("has an empty label")
    } else {
        None
    }
}
