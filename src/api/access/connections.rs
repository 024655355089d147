//! Connections to the API: TCP, with TLS before it where that is configured, as many as there may be.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::transport::server::Connected;
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, ParsedExtension},
    prelude::FromDer,
};

use super::{
    Access, Peer, Refusal,
    places::{Place, Places},
};

/// How long the other side may take for TLS.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How long a refused client may take to read why.
const PARTING_MAX: Duration = Duration::from_secs(1);
/// And how much it may have sent before: more than the first flight of a client of HTTP/2.
const PARTING_OCTETS_MAX: u64 = 64 * 1024;
/// Connections that are ready and wait for the server to take them.
const READY_MAX: usize = 16;
/// Pause after a connection could not be accepted: out of descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until nobody takes them any more.
pub(in crate::api) fn connections(listener: TcpListener, access: Access) -> impl Stream<Item = io::Result<Connection>> {
    let (sender, receiver) = mpsc::channel(READY_MAX);
    tokio::spawn(accept(listener, access, sender));
    ReceiverStream::new(receiver)
}

type Sender = mpsc::Sender<io::Result<Connection>>;

async fn accept(listener: TcpListener, access: Access, sender: Sender) {
    let places = Places::default();
    let acceptor = access.0.tls.clone().map(TlsAcceptor::from);
    loop {
        let accepted = tokio::select! {
            () = sender.closed() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::error!(%error, "a gRPC connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(place) = places.take(address.ip()) else {
            access.refuse(None, address, "connect", &Refusal::TooManyConnections);
            continue;
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY was not set");
        }
        let (access, acceptor, sender) = (access.clone(), acceptor.clone(), sender.clone());
        tokio::spawn(async move {
            let connection = tokio::select! {
                () = sender.closed() => return,
                connection = welcome(stream, address, acceptor, place) => connection,
            };
            match connection {
                Ok(Some(connection)) => drop(sender.send(Ok(connection)).await),
                Ok(None) => tracing::debug!(%address, "a gRPC connection ended before it began"),
                Err(refusal) => drop(access.refuse(None, address, "connect", &refusal)),
            }
        });
    }
}

/// TLS, where there is any. `None` = the other side has left, as probes of ports do.
async fn welcome(
    stream: TcpStream,
    address: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    place: Place,
) -> Result<Option<Connection>, Refusal> {
    let Some(acceptor) = acceptor else {
        let peer = Peer { address, names: None };
        return Ok(Some(Connection { stream: Box::new(stream), peer, _place: place }));
    };
    let stream = match tokio::time::timeout(HANDSHAKE_MAX, acceptor.accept(stream).into_fallible()).await {
        Ok(Ok(stream)) => stream,
        Ok(Err((error, _))) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Ok(Err((error, stream))) => {
            tokio::spawn(part(stream, place));
            return Err(Refusal::Tls(error.to_string()));
        }
        Err(_) => return Err(Refusal::Tls(format!("not within {} s", HANDSHAKE_MAX.as_secs()))),
    };
    let names = names(&stream)?;
    Ok(Some(Connection { stream: Box::new(stream), peer: Peer { address, names }, _place: place }))
}

/// Closes so that the other side reads why it was refused: closed with octets unread, TCP would reset the connection and with
/// it what is still under way.
async fn part(mut stream: TcpStream, _place: Place) {
    let unread = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(PARTING_OCTETS_MAX), &mut tokio::io::sink()).await
    };
    if let Ok(Err(error)) = tokio::time::timeout(PARTING_MAX, unread).await {
        tracing::debug!(%error, "a refused gRPC connection did not close in order");
    }
}

/// The names of the certificate that was shown: its authority and its validity are checked.
fn names(stream: &TlsStream<TcpStream>) -> Result<Option<Arc<[String]>>, Refusal> {
    let Some(shown) = stream.get_ref().1.peer_certificates().and_then(<[_]>::first) else { return Ok(None) };
    let (_, certificate) =
        X509Certificate::from_der(shown).map_err(|error| Refusal::Tls(format!("the certificate: {error}")))?;
    Ok(Some(names_of(&certificate).into()))
}

/// The subject's common names, and the alternative names that are text.
fn names_of(certificate: &X509Certificate<'_>) -> Vec<String> {
    let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    let alternative = certificate.extensions().iter().flat_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => names.general_names.as_slice(),
        _ => &[],
    });
    let alternative = alternative.filter_map(|name| match name {
        GeneralName::DNSName(name) | GeneralName::URI(name) | GeneralName::RFC822Name(name) => Some(*name),
        _ => None,
    });
    let mut names: Vec<String> = common.chain(alternative).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

/// A connection, secured or not.
pub(in crate::api) struct Connection {
    stream: Box<dyn Octets>,
    peer: Peer,
    /// Given back when the connection ends.
    _place: Place,
}

trait Octets: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Octets for T {}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
