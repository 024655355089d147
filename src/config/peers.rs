//! Diameter clients that may connect, and what is known of their ways.

use serde::{Deserialize, Serialize};

use super::{Diameter, Target};

/// A client, or all clients that a pattern fits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// The Origin-Host, or `*.` and a domain: every host below it. `*` alone is not a pattern; see
    /// [`Diameter::accept_unknown_peers`].
    pub origin_host: String,
    /// What kind of element it is.
    #[serde(default)]
    pub profile: Profile,
    /// How its sessions are re-authorised; absent = what the profile needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reauthorise_by: Option<ReauthoriseBy>,
    /// Where it listens, if this node is to connect to it; needs an `origin_host` that is no pattern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect: Option<Target>,
    /// Whether it must use TLS, and is called with it (spec B-181).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tls: bool,
}

/// A kind of network element: selects how an answer is put where elements differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// By the standard.
    #[default]
    Generic,
    /// Open5GS SMF.
    Open5gs,
    /// Magma session manager.
    Magma,
    /// Cisco ASR5x00.
    Cisco,
    /// Nokia 7750.
    Nokia,
    /// Huawei PGW.
    Huawei,
}

/// How a running session is made to ask again after a top-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReauthoriseBy {
    /// By a Re-Auth-Request.
    Rar,
    /// By a short Validity-Time in every grant that may have to be followed up: for clients that ignore RAR (I-15).
    Validity,
}

impl Peer {
    /// A peer about which nothing is said but its name.
    pub fn generic(origin_host: &str) -> Self {
        Self {
            origin_host: origin_host.to_owned(),
            profile: Profile::Generic,
            reauthorise_by: None,
            connect: None,
            tls: false,
        }
    }

    /// How its sessions are re-authorised.
    pub fn reauthorise_by(&self) -> ReauthoriseBy {
        self.reauthorise_by.unwrap_or(match self.profile {
            // Answers RAR with 2001 and then does nothing (I-15).
            Profile::Open5gs => ReauthoriseBy::Validity,
            _ => ReauthoriseBy::Rar,
        })
    }

    /// Whether its requests are served whatever Destination-Host they name. Magma's session manager names its own federation
    /// gateway in the first request of a session.
    pub fn any_destination(&self) -> bool {
        self.profile == Profile::Magma
    }

    /// Whether it stands for many hosts.
    pub(super) fn is_pattern(&self) -> bool {
        self.domain().is_some()
    }

    /// The domain of a pattern `*.domain`.
    fn domain(&self) -> Option<&str> {
        self.origin_host.strip_prefix("*.")
    }

    /// Whether a pattern fits a host. Diameter identities compare without regard to case (RFC 6733 4.3.1).
    fn fits(&self, host: &str) -> bool {
        let Some(domain) = self.domain() else { return self.origin_host.eq_ignore_ascii_case(host) };
        let Some(split) = host.len().checked_sub(domain.len() + 1) else { return false };
        // Bytes, since the host is a stranger's text and the split may fall inside a character.
        let (label, rest) = host.as_bytes().split_at(split);
        !label.is_empty() && rest[0] == b'.' && rest[1..].eq_ignore_ascii_case(domain.as_bytes())
    }
}

impl Diameter {
    /// The entry that a client's Origin-Host falls under: its own name before patterns, longer patterns first.
    /// With `accept_unknown_peers` every other client is a generic one; `None` = refuse it.
    pub fn peer(&self, origin_host: &str) -> Option<Peer> {
        let best = |peer: &&Peer| (peer.domain().is_none(), peer.origin_host.len());
        let found = self.peers.iter().filter(|peer| peer.fits(origin_host)).max_by_key(best).cloned();
        found.or_else(|| self.accept_unknown_peers.then(|| Peer::generic(origin_host)))
    }
}
