//! What clients are told to do when they cannot reach us, by service context (spec C-150..C-154).

/// What a client does when it gets no answer: Credit-Control-Failure-Handling and its kin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FailurePolicy {
    /// Credit-Control-Failure-Handling.
    pub handling: OnFailure,
    /// CC-Session-Failover: a running session may go on with another server, which must share our sessions (spec C-151).
    pub session_failover: bool,
    /// Direct-Debiting-Failure-Handling is CONTINUE (`true`) or TERMINATE_OR_BUFFER; `None` = it is not said (spec C-152).
    pub direct_debiting_continue: Option<bool>,
}

/// What becomes of a service whose charging fails (RFC 8506 8.14).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// It ends.
    #[default]
    Terminate,
    /// It goes on.
    Continue,
    /// It goes on while another server is tried, and ends if that fails too.
    RetryAndTerminate,
}
