//! A stream of whatever transport becomes a connection.

use std::{net::SocketAddr, sync::Arc};

use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

use super::{
    Shared,
    admission::Certificate,
    closing::Closing,
    connection::{self, Link, Role},
    one_by_one::OneByOne,
    registry::Place,
};
use crate::config::Transport;

/// A connection that is about to be served: whose it is.
pub(super) struct Guest {
    pub(super) address: SocketAddr,
    pub(super) place: Place,
    pub(super) role: Role,
}

/// Serves a connection without TLS.
pub(super) async fn plain(
    shared: Arc<Shared>,
    stream: TcpStream,
    transport: Transport,
    Guest { address, place, role }: Guest,
) -> (Closing, bool) {
    let local = stream.local_addr().map(|address| address.ip()).ok();
    let (reader, writer) = stream.into_split();
    match transport {
        Transport::Tcp => {
            let link = Link { reader, writer, address, local, certificate: None, place };
            connection::run(shared, link, role).await
        }
        Transport::Sctp => {
            let link = Link { reader, writer: OneByOne::new(writer), address, local, certificate: None, place };
            connection::run(shared, link, role).await
        }
    }
}

/// Serves a connection with TLS. `certificate` = whose name is yet to be compared with the Origin-Host.
pub(super) async fn secured(
    shared: Arc<Shared>,
    stream: TlsStream<TcpStream>,
    certificate: Option<Certificate>,
    Guest { address, place, role }: Guest,
) -> (Closing, bool) {
    let local = stream.get_ref().0.local_addr().map(|address| address.ip()).ok();
    let (reader, writer) = tokio::io::split(stream);
    connection::run(shared, Link { reader, writer, address, local, certificate, place }, role).await
}
