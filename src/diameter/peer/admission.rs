//! Who may connect, by name.

use std::{fmt, sync::Arc};

use crate::diameter::error::{RequestError, ResultCode};

/// Who may connect (spec B-146).
#[derive(Clone)]
pub enum Admission {
    /// Anyone: for demonstrations and closed networks.
    Anyone,
    /// The Origin-Hosts listed here; letter case makes no difference (spec B-46).
    Listed(Arc<[String]>),
    /// The Origin-Hosts that a rule of the caller lets in; others get its error in their CEA.
    Rule(Arc<Rule>),
}

/// Judges an Origin-Host.
pub type Rule = dyn Fn(&str) -> Result<(), RequestError> + Send + Sync;

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.write_str("Anyone"),
            Self::Listed(hosts) => f.debug_tuple("Listed").field(hosts).finish(),
            Self::Rule(_) => f.write_str("Rule"),
        }
    }
}

impl Admission {
    /// The error of a host that no configuration names (spec B-146).
    pub fn unknown_peer() -> RequestError {
        RequestError::new(ResultCode::UNKNOWN_PEER, "Origin-Host is not configured")
    }

    pub(super) fn judge(&self, host: &str) -> Result<(), RequestError> {
        match self {
            Self::Anyone => Ok(()),
            Self::Listed(hosts) if hosts.iter().any(|listed| listed.eq_ignore_ascii_case(host)) => Ok(()),
            Self::Listed(_) => Err(Self::unknown_peer()),
            Self::Rule(rule) => rule(host),
        }
    }
}
