//! What carries connections: TCP, TLS over it, SCTP where it is built in.

use std::{io, net::SocketAddr, time::Duration};

use rustls::pki_types::ServerName;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::config::{DIAMETERS_PORT, Endpoint, Target, TlsKeys, Transport};

/// The registered port of Diameter (spec B-180).
const DIAMETER_PORT: u16 = 3868;
/// Connections that wait to be accepted: a whole network that comes back at once.
const BACKLOG: i32 = 1_024;

/// An address that this node listens on.
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: TcpListener,
    /// Where it is bound.
    pub address: SocketAddr,
    /// Whether TLS comes before any Diameter message.
    pub tls: bool,
    pub(super) transport: Transport,
}

/// TCP, without TLS.
impl TryFrom<TcpListener> for Listener {
    type Error = io::Error;

    fn try_from(socket: TcpListener) -> io::Result<Self> {
        let address = socket.local_addr()?;
        Ok(Self { socket, address, tls: false, transport: Transport::Tcp })
    }
}

impl Listener {
    /// Listens. `others` are the addresses that are listened on besides: beside `0.0.0.0` an IPv6 socket takes IPv6 only.
    pub(super) fn bind(endpoint: &Endpoint, others: &[Endpoint], tls: bool) -> io::Result<Self> {
        let socket = socket(endpoint.transport, endpoint.address)?;
        socket.set_reuse_address(true)?;
        let same = |other: &Endpoint| other.address.is_ipv4() && other.address.port() == endpoint.address.port();
        if endpoint.address.is_ipv6() && others.iter().any(same) {
            socket.set_only_v6(true)?;
        }
        socket.bind(&endpoint.address.into())?;
        socket.listen(BACKLOG)?;
        let socket = TcpListener::from_std(socket.into())?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address, tls, transport: endpoint.transport })
    }
}

/// Opens a connection to a peer, trying each of its addresses, each for no longer than `patience`.
pub(super) async fn connect(target: &Target, tls: bool, patience: Duration) -> io::Result<TcpStream> {
    let port = target.port.unwrap_or(if tls { DIAMETERS_PORT } else { DIAMETER_PORT });
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in tokio::net::lookup_host((target.host.as_str(), port)).await? {
        match tokio::time::timeout(patience, connect_to(target.transport, address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

async fn connect_to(transport: Transport, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = socket(transport, address)?;
    let stream = tokio::net::TcpSocket::from_std_stream(socket.into()).connect(address).await?;
    if transport == Transport::Tcp {
        stream.set_nodelay(true)?;
    }
    Ok(stream)
}

/// TLS before any Diameter message: the server must show a certificate for the name that is called.
pub(super) async fn secure(keys: &TlsKeys, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    TlsConnector::from(keys.client.clone()).connect(name, stream).await
}

/// A socket that does not block.
fn socket(transport: Transport, address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(protocol(transport)?))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(feature = "sctp")]
fn protocol(transport: Transport) -> io::Result<Protocol> {
    Ok(match transport {
        Transport::Tcp => Protocol::TCP,
        Transport::Sctp => crate::config::IPPROTO_SCTP,
    })
}

#[cfg(not(feature = "sctp"))]
fn protocol(transport: Transport) -> io::Result<Protocol> {
    match transport {
        Transport::Tcp => Ok(Protocol::TCP),
        // The configuration is not accepted.
        Transport::Sctp => Err(io::ErrorKind::Unsupported.into()),
    }
}
