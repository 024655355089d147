//! Diameter clients that may connect, and what is known of their ways.

use serde::{Deserialize, Serialize};

use super::{Diameter, Overrides, Switches, Target};

/// A client, or all clients that a pattern fits. That it has no other keys is checked where the file is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// The Origin-Host, or `*.` and a domain: every host below it. `*` alone is not a pattern; see
    /// [`Diameter::accept_unknown_peers`].
    pub origin_host: String,
    /// What kind of element it is.
    #[serde(default)]
    pub profile: Profile,
    /// Whether an unknown AVP with the M bit is refused (spec B-24); absent = [`Diameter::strict_mandatory_avps`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict_mandatory_avps: Option<bool>,
    /// Where it listens, if this node is to connect to it; needs an `origin_host` that is no pattern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect: Option<Target>,
    /// Whether it must use TLS, and is called with it (spec B-181); see [`Peer::needs_tls`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tls: bool,
    /// Where it differs from its profile.
    #[serde(flatten)]
    pub overrides: Overrides,
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

impl Peer {
    /// Keys of an entry beside those of its switches.
    pub(super) const KEYS: &[&str] = &["origin_host", "profile", "strict_mandatory_avps", "connect", "tls"];

    /// A peer about which nothing is said but its name.
    pub fn generic(origin_host: &str) -> Self {
        Self {
            origin_host: origin_host.to_owned(),
            profile: Profile::Generic,
            strict_mandatory_avps: None,
            connect: None,
            tls: false,
            overrides: Overrides::default(),
        }
    }

    /// How it is served: its profile, and what its entry says otherwise.
    pub fn switches(&self) -> Switches {
        self.overrides.over(self.profile.switches())
    }

    /// Whether it must use TLS: `tls` says so, or the URI where it is called.
    pub fn needs_tls(&self) -> bool {
        self.tls || self.connect.as_ref().is_some_and(|target| target.tls)
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
