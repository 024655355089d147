//! Every metric by name, with its kind and what it means. Base units are in the names; money is in micro-units
//! (10^-6) of its currency.

/// What kind of series a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, but for restarts.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts of observations by size.
    Histogram,
}

/// A metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// One sentence for people, labels in braces.
    pub help: &'static str,
}

/// Settings that [`BOUNDS_HIT`] tells of.
pub const BOUNDS: &[&str] = &[
    "message_octets_max",
    "avp_depth_max",
    "avps_max",
    "services_max",
    "in_flight_max",
    "account_sessions_max",
    "session_quotas_max",
];

macro_rules! metrics {
    ($($constant:ident = $kind:ident $name:literal, $help:literal;)*) => {
        $(#[doc = $help] pub const $constant: &str = $name;)*

        /// All metrics.
        pub const ALL: &[Metric] = &[$(Metric { name: $name, kind: Kind::$kind, help: $help }),*];
    };
}

metrics! {
    // The process.
    READY = Gauge "tollgate_ready", "1 while requests are served, else 0";
    BUILD_INFO = Gauge "tollgate_build_info", "Always 1; the release is in {version}";
    MEMORY_RESIDENT = Gauge "tollgate_memory_resident_bytes", "Memory of the process that is in RAM";
    RECOVERY_SECONDS = Gauge "tollgate_recovery_seconds", "How long the last start took to rebuild its state";
    RECOVERY_RECORDS = Gauge "tollgate_recovery_records", "Journal records that the last start replayed";

    // Diameter connections.
    CONNECTIONS = Gauge "tollgate_connections", "Open Diameter connections";
    CONNECTIONS_ACCEPTED = Counter "tollgate_connections_accepted_total", "Diameter connections that finished the capabilities exchange";
    CONNECTIONS_REFUSED = Counter "tollgate_connections_refused_total", "Diameter connections refused, by {reason}: too_many, peer_connections, tls, security, identity, unknown_peer, application, capabilities, election or handshake";
    CONNECTIONS_CLOSED = Counter "tollgate_connections_closed_total", "Open Diameter connections that have ended, by {reason}: disconnected, gone, silent, idle, replaced, frame or write";
    CONNECTION_ATTEMPTS = Counter "tollgate_connection_attempts_total", "Times that a configured peer was called, by {peer} and {result}: connected, unreachable, timeout, tls, refused or given_up; a connection is counted when it has ended";
    PEER_CONNECTED = Gauge "tollgate_peer_connected", "1 while a configured {peer} that this node calls is connected, whoever called, else 0";
    FRAME_ERRORS = Counter "tollgate_frame_errors_total", "Connections closed for octets that are no Diameter message, by {reason}";

    // Requests.
    REQUESTS = Counter "tollgate_requests_total", "Requests answered, by {command}, {type}, command level {result_code} and {peer}";
    REQUEST_DURATION = Histogram "tollgate_request_duration_seconds", "From request read to durable answer handed to the connection, by {type}";
    REQUESTS_IN_FLIGHT = Gauge "tollgate_requests_in_flight", "Requests being worked on";
    REQUESTS_REFUSED = Counter "tollgate_requests_refused_total", "Requests answered DIAMETER_TOO_BUSY without work, by {reason} (backlog, delay, space or busy) and {type}";
    OVERLOAD_LEVEL = Gauge "tollgate_overload_level", "What is refused because the journal is behind or short of room: 0 nothing, 1 new sessions and events, 2 also updates that ask for units, 3 everything";
    BOUNDS_HIT = Counter "tollgate_bounds_hit_total", "Requests that were larger or more than a setting allows, by {bound}: the setting's name";
    RETRANSMISSIONS = Counter "tollgate_retransmissions_total", "Requests seen before and answered as before";
    QUOTAS_REFUSED = Counter "tollgate_quotas_refused_total", "Rating groups refused inside an accepted request, by {result_code}";
    REAUTHORISATIONS = Counter "tollgate_reauthorisations_total", "Re-Auth-Requests sent, by {result}: result code of the answer, timeout or unreachable";

    ABORTS = Counter "tollgate_aborts_total", "Abort-Session-Requests sent, by {result}: result code of the answer, timeout or unreachable";
    ALTERED_REPETITIONS = Counter "tollgate_altered_repetitions_total", "Requests with the numbers of an earlier one and other content: answered as before, not charged";
    CLIENT_RESTARTS = Counter "tollgate_client_restarts_total", "Clients that said by Origin-State-Id that they have lost their sessions";

    // Usage and money.
    GRANTED_UNITS = Counter "tollgate_granted_units_total", "Units granted, by {kind} and {service}";
    CHARGED_UNITS = Counter "tollgate_charged_units_total", "Units reported and charged, by {kind} and {service}";
    CHARGED_MONEY = Counter "tollgate_charged_money_micros_total", "Money charged, by {currency}";
    CREDITED_MONEY = Counter "tollgate_credited_money_micros_total", "Money credited by top-ups and positive adjustments, by {currency}";
    OVERDRAFTS = Counter "tollgate_overdrafts_total", "Reports that took an account beyond its limit";
    OVERDRAFT_MONEY = Counter "tollgate_overdraft_money_micros_total", "Money beyond the limit, by {currency}";
    ORPHAN_USAGE = Counter "tollgate_orphan_usage_total", "Usage reports of sessions that are not known; recorded, not charged (or not all of it)";
    LATE_USAGE = Counter "tollgate_late_usage_total", "Usage reports of ended sessions that were charged all the same";
    REFUNDS = Counter "tollgate_refunds_total", "Refunds by network elements (repetitions not counted)";
    TOP_UPS = Counter "tollgate_top_ups_total", "Top-ups that credited money (repetitions not counted)";
    CREDIT_STOPS = Counter "tollgate_credit_stops_total", "Accounts stopped because their money ran out";
    RECONNECTS = Counter "tollgate_reconnects_total", "Stopped accounts brought back by a credit";
    THRESHOLDS = Counter "tollgate_thresholds_total", "Thresholds of the catalog that accounts crossed, by {threshold}";

    // State.
    ACCOUNTS = Gauge "tollgate_accounts", "Accounts";
    SUBSCRIBERS = Gauge "tollgate_subscribers", "Subscribers";
    SESSIONS_LIVE = Gauge "tollgate_sessions_live", "Open credit-control sessions";
    ACCOUNTS_DUE = Gauge "tollgate_accounts_due", "Accounts for which a renewal, the end of a cycle or the like is due and not done; at most 1,000 of a partition are counted";
    ACCOUNTS_CAUGHT_UP = Counter "tollgate_accounts_caught_up_total", "Accounts for which such a thing was done in the background";
    SESSIONS_EXPIRED = Counter "tollgate_sessions_expired_total", "Sessions closed by supervision because nothing was heard";
    SESSIONS_CLOSED = Counter "tollgate_sessions_closed_total", "Sessions closed, by {cause}: terminated, refused, expired, lost, main_ended or client_restarted";
    IDENTITY_CONFLICTS = Counter "tollgate_identity_conflicts_total", "Requests refused because their identities name two accounts";
    RESERVED_MONEY = Gauge "tollgate_reserved_money_micros", "Money reserved for running sessions, by {currency}";
    OLDEST_RESERVATION = Gauge "tollgate_oldest_reservation_seconds", "How long nothing has been heard of the session that still holds money or units and has been silent for longest; a round over all sessions takes up to a minute";
    REMEMBERED = Gauge "tollgate_remembered", "What is remembered of requests, so that none counts twice, in the partition that has most, by {what}: sessions, events or credits";
    REMEMBERED_MAX = Gauge "tollgate_remembered_max", "How much of each may be remembered in a partition, by store.remembered_max; then new sessions, events and credits are refused";
    CLOCK_HELD_BACK = Gauge "tollgate_clock_held_back_seconds", "How far this node keeps behind the system's clock, which has jumped ahead: it follows by a sixteenth of the time that passes; a restart takes the new time at once";
    BALANCE_IDENTITY_VIOLATIONS = Gauge "tollgate_balance_identity_violations", "Accounts whose credits less debits differ from what they hold; anything but 0 is a defect";
    PARTITION_ACCOUNTS_MAX = Gauge "tollgate_partition_accounts_max", "Accounts in the fullest partition";
    PARTITION_SESSIONS_MAX = Gauge "tollgate_partition_sessions_max", "Open sessions in the partition that has most";

    CATALOG_VERSION = Gauge "tollgate_catalog_version", "Version of the catalog that is in force";
    CATALOGS_PENDING = Gauge "tollgate_catalogs_pending", "Versions of the catalog that wait for their time";

    // Journal.
    JOURNAL_SYNC_SECONDS = Histogram "tollgate_journal_sync_seconds", "One fdatasync of the journal";
    JOURNAL_BATCH_RECORDS = Histogram "tollgate_journal_batch_records", "Records made durable by one sync";
    JOURNAL_RECORDS = Counter "tollgate_journal_records_total", "Records written";
    JOURNAL_BYTES = Counter "tollgate_journal_bytes_total", "Octets written";
    JOURNAL_POSITION = Gauge "tollgate_journal_position", "Position up to which the journal is durable";
    JOURNAL_SINCE_CHECKPOINT = Gauge "tollgate_journal_since_checkpoint_bytes", "Journal that the next start would replay";
    JOURNAL_FAILURES = Counter "tollgate_journal_failures_total", "Writes or syncs that failed; the process stops answering at the first";
    STORE_FREE_BYTES = Gauge "tollgate_store_free_bytes", "Octets free on the file systems of the store, its usage records and its audit trail, by {directory}: store, records or audit";
    STORE_SHORT_OF_SPACE = Gauge "tollgate_store_short_of_space", "1 while the disk has no room for the next segment of the journal, so that new sessions and events and changes over the API are refused, else 0";
    CHECKPOINT_SECONDS = Gauge "tollgate_checkpoint_seconds", "How long the last checkpoint took";
    CHECKPOINT_BYTES = Gauge "tollgate_checkpoint_bytes", "Size of the last checkpoint";
    CHECKPOINT_TIMESTAMP = Gauge "tollgate_checkpoint_timestamp_seconds", "Unix time of the last finished checkpoint";
    CHECKPOINT_FAILURES = Counter "tollgate_checkpoint_failures_total", "Checkpoints that failed";

    // Usage records and the audit trail.
    TRAIL_BACKLOG = Gauge "tollgate_trail_backlog_lines", "Lines of {trail} (records or audit) that wait to be written to files; with records.queue_max of them no new sessions are taken on";
    TRAIL_LINES = Counter "tollgate_trail_lines_total", "Lines of usage records and of the audit trail written";
    BULK_CHANGES = Counter "tollgate_bulk_changes_total", "Changes of bulk changes that were executed, refused ones included";
    TRAIL_FAILURES = Counter "tollgate_trail_failures_total", "Writes of usage records or of the audit trail that failed; each is tried again, and no checkpoint is taken meanwhile";
    AUDIT_LINES_MISSING = Gauge "tollgate_audit_lines_missing", "Lines of the audit trail that were gone from its files at the last start; anything but 0 means that somebody removed them";

    // Business events and the API.
    EVENT_BACKLOG = Gauge "tollgate_event_backlog_events", "Events kept for delivery";
    EVENTS_GIVEN_UP = Counter "tollgate_events_given_up_total", "Events that a consumer has not acknowledged and that were dropped because there were more than events.keep_max; the consumer is told at its next subscription";
    EVENT_LAG_EVENTS = Gauge "tollgate_event_lag_events", "Events that {consumer} has not acknowledged";
    EVENT_LAG_SECONDS = Gauge "tollgate_event_lag_seconds", "Age of the oldest event that {consumer} has not acknowledged";
    EVENT_PUSH_FAILURES = Counter "tollgate_event_push_failures_total", "Pushed batches that the sink did not accept; each is sent again";
    GRPC_REFUSED = Counter "tollgate_grpc_refused_total", "gRPC calls and connections refused at the door, by {reason} and {caller}: none = nobody that is known";
    API_REQUESTS = Counter "tollgate_api_requests_total", "gRPC calls, by {method} and status {code}";
}
