//! Addresses: where to listen, and whom to call.

use std::{fmt, net::SocketAddr, slice, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// One address or several, written `"127.0.0.1:3868"` or `["127.0.0.1:3868", "sctp://[::1]:3868"]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Listen {
    /// One address.
    One(Endpoint),
    /// Several addresses.
    Many(Vec<Endpoint>),
}

/// An address of this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// Transport.
    pub transport: Transport,
    /// Address and port.
    pub address: SocketAddr,
}

/// What carries Diameter (RFC 6733 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Transport {
    /// TCP.
    #[default]
    Tcp,
    /// SCTP, one socket for each association. Only in builds with the feature `sctp`.
    Sctp,
}

/// Where a peer listens: `host`, `host:port`, `[::1]:port`, each also after `sctp://`; or a DiameterURI such as
/// `aaas://host:5868;transport=tcp` (RFC 6733 4.3.1, spec B-47).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Transport.
    pub transport: Transport,
    /// A name, or an address without brackets.
    pub host: String,
    /// `None` = the port registered for Diameter over this transport, with or without TLS.
    pub port: Option<u16>,
    /// TLS is demanded: `aaas://`.
    pub tls: bool,
}

const SCTP_PREFIX: &str = "sctp://";

impl Listen {
    /// The addresses.
    pub fn endpoints(&self) -> &[Endpoint] {
        match self {
            Self::One(endpoint) => slice::from_ref(endpoint),
            Self::Many(endpoints) => endpoints,
        }
    }
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Self {
        Self::One(address.into())
    }
}

/// TCP.
impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self { transport: Transport::Tcp, address }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.transport.prefix(), self.address)
    }
}

impl Transport {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Tcp => "",
            Self::Sctp => SCTP_PREFIX,
        }
    }

    fn split(text: &str) -> (Self, &str) {
        text.strip_prefix(SCTP_PREFIX).map_or((Self::Tcp, text), |rest| (Self::Sctp, rest))
    }

    /// Why this build cannot use it.
    pub(super) const fn problem(self) -> Option<&'static str> {
        match self {
            Self::Sctp if !cfg!(feature = "sctp") => {
                Some("this build has no SCTP: build it with `--features sctp`, or leave `sctp://` out")
            }
            Self::Tcp | Self::Sctp => None,
        }
    }

    /// Why this machine cannot use it.
    #[cfg(feature = "sctp")]
    pub(super) fn problem_here(self) -> Option<String> {
        let socket = |protocol| socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, Some(protocol));
        let error = match self {
            Self::Tcp => return None,
            Self::Sctp => socket(IPPROTO_SCTP).err()?,
        };
        Some(format!("this machine has no SCTP ({error}): load the kernel's module `sctp`, or leave `sctp://` out"))
    }

    /// Why this machine cannot use it: without the feature there is nothing to ask.
    #[cfg(not(feature = "sctp"))]
    pub(super) const fn problem_here(self) -> Option<String> {
        None
    }
}

/// RFC 9260.
#[cfg(feature = "sctp")]
pub const IPPROTO_SCTP: socket2::Protocol = socket2::Protocol::SCTP;

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (transport, address) = Transport::split(text);
        let address = address
            .parse()
            .map_err(|_| format!("`{text}` is not an address and a port such as 127.0.0.1:3868 or [::1]:3868"))?;
        Ok(Self { transport, address })
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not `host`, `host:port`, `[address]:port` or a URI `aaa://host:port`");
        let (transport, tls, place) = match text.split_once("://") {
            Some((scheme @ ("aaa" | "aaas"), rest)) => {
                let (place, options) = rest.split_once(';').unwrap_or((rest, ""));
                (transport_of(options).ok_or_else(wrong)?, scheme == "aaas", place)
            }
            _ => {
                let (transport, place) = Transport::split(text);
                (transport, false, place)
            }
        };
        let (host, port) = match place.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
                let port = if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or_else(wrong)?) };
                (host, port)
            }
            None => match place.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (place, None),
            },
        };
        let port = port.map(|port| port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)).transpose()?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
        if host.is_empty() || !host.chars().all(allowed) {
            return Err(wrong());
        }
        Ok(Self { transport, host: host.to_owned(), port, tls })
    }
}

/// What the options of a DiameterURI say: TCP unless another transport is named; nothing but Diameter is spoken.
fn transport_of(options: &str) -> Option<Transport> {
    let mut transport = Transport::Tcp;
    for option in options.split(';').filter(|option| !option.is_empty()) {
        match option {
            "transport=tcp" => transport = Transport::Tcp,
            "transport=sctp" => transport = Transport::Sctp,
            "protocol=diameter" => {}
            _ => return None,
        }
    }
    Some(transport)
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tls { "aaas://" } else { self.transport.prefix() })?;
        match (self.host.contains(':'), self.port) {
            (true, Some(port)) => write!(f, "[{}]:{port}", self.host)?,
            (true, None) => write!(f, "[{}]", self.host)?,
            (false, Some(port)) => write!(f, "{}:{port}", self.host)?,
            (false, None) => f.write_str(&self.host)?,
        }
        if self.tls && self.transport == Transport::Sctp { f.write_str(";transport=sctp") } else { Ok(()) }
    }
}

/// What is wrong is told of the address that is wrong, which serde's own way for such types does not.
impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let endpoint = |value: &toml::Value| match value.as_str() {
            Some(text) => text.parse(),
            None => Err("not an address such as \"127.0.0.1:3868\", nor a list of them".to_owned()),
        };
        let listen = match toml::Value::deserialize(deserializer)? {
            toml::Value::Array(list) => list.iter().map(endpoint).collect::<Result<_, _>>().map(Self::Many),
            value => endpoint(&value).map(Self::One),
        };
        listen.map_err(D::Error::custom)
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_names_or_addresses_with_or_without_a_port() {
        for (text, transport, host, port) in [
            ("pgw.example", Transport::Tcp, "pgw.example", None),
            ("pgw.example:3870", Transport::Tcp, "pgw.example", Some(3870)),
            ("192.0.2.1:1", Transport::Tcp, "192.0.2.1", Some(1)),
            ("[2001:db8::1]:3868", Transport::Tcp, "2001:db8::1", Some(3868)),
            ("sctp://[::1]", Transport::Sctp, "::1", None),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target, Target { transport, host: host.into(), port, tls: false });
            assert_eq!(target.to_string(), text);
        }
        for wrong in [
            "",
            ":3868",
            "a b",
            "a:",
            "a:0",
            "a:x",
            "a:70000",
            "[::1",
            "[::1]3868",
            "tcp://a",
            "::1",
            "aaa://",
            "aaa://a;transport=udp",
        ] {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
    }

    // tests: B-47
    #[test]
    fn a_diameter_uri_has_defaults() {
        for (text, transport, port, tls) in [
            ("aaa://dra.example", Transport::Tcp, None, false),
            ("aaa://dra.example:6666;transport=tcp;protocol=diameter", Transport::Tcp, Some(6666), false),
            ("aaa://dra.example;transport=sctp", Transport::Sctp, None, false),
            ("aaas://dra.example:5868;protocol=diameter", Transport::Tcp, Some(5868), true),
            ("aaas://dra.example;transport=sctp", Transport::Sctp, None, true),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target, Target { transport, host: "dra.example".into(), port, tls });
            assert_eq!(target.to_string().parse::<Target>().unwrap(), target);
        }
        // RADIUS and TACACS+ are other programs' business, and UDP is none of Diameter's.
        for wrong in ["aaa://a;transport=udp", "aaa://a;protocol=radius", "aaaa://a", "aaas://[::1"] {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn endpoints_read_as_they_are_written() {
        assert_eq!("sctp://[::1]:3868".parse::<Endpoint>().unwrap().to_string(), "sctp://[::1]:3868");
    }
}
