//! Addresses to listen on: one, or a list.

use std::{net::SocketAddr, slice};

use serde::{Deserialize, Serialize};

/// One address or several, written `"127.0.0.1:3868"` or `["127.0.0.1:3868", "[::1]:3868"]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "not an address such as \"127.0.0.1:3868\", nor a list of them")]
pub enum Listen {
    /// One address.
    One(SocketAddr),
    /// Several addresses.
    Many(Vec<SocketAddr>),
}

impl Listen {
    /// The addresses.
    pub fn addresses(&self) -> &[SocketAddr] {
        match self {
            Self::One(address) => slice::from_ref(address),
            Self::Many(addresses) => addresses,
        }
    }
}
