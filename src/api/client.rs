//! The way of a gRPC client: TLS and a bearer token, for the push of events and for the verbs of the command line.

use std::{io, sync::Arc};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, pki_types::ServerName},
};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue, errors::InvalidMetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{self, Certificate, ClientTlsConfig, Endpoint, Identity},
};

use crate::config::{ClientPems, Secret};

/// A connection on which every call shows who calls.
pub type Channel = InterceptedService<transport::Channel, Bearer>;

/// Puts the token into every call, if there is one.
#[derive(Debug, Clone, Default)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Bearer {
    /// The token that is shown, if any.
    ///
    /// # Errors
    /// It cannot be written into a header; a [`Secret`] can.
    pub fn new(token: Option<&Secret>) -> Result<Self, InvalidMetadataValue> {
        let header = |token: &Secret| -> Result<_, InvalidMetadataValue> {
            let mut value: MetadataValue<Ascii> = format!("Bearer {}", token.expose()).parse()?;
            // Not for `Debug`, and not for the compression's tables.
            value.set_sensitive(true);
            Ok(value)
        };
        token.map(header).transpose().map(Self)
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// Where a URL leads, and what is shown and believed there if it is `https://`.
///
/// # Errors
/// It is no URL, or the files cannot be used after all.
pub fn endpoint(url: &str, pems: Option<ClientPems>) -> Result<Endpoint, transport::Error> {
    let endpoint = Endpoint::from_shared(url.to_owned())?;
    let Some(ClientPems { ca, identity, .. }) = pems else { return Ok(endpoint) };
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca));
    endpoint.tls_config(match identity {
        Some((certificate, key)) => tls.identity(Identity::from_pem(certificate, key)),
        None => tls,
    })
}

/// What a client of HTTP/2 begins with (RFC 9113 section 3.4), and empty settings.
const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Whether a server takes the certificate that it is shown. With TLS 1.3 a client is ready before the server has looked at it,
/// and a call that is made then only finds its connection closed: so a connection is made on which nothing is asked, until
/// the server says something.
///
/// # Errors
/// There is no server, one of the two does not believe the other, or the server says nothing and closes.
pub async fn prove(endpoint: &Endpoint, tls: Arc<ClientConfig>) -> io::Result<()> {
    let uri = endpoint.uri();
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(443))).await?;
    let mut stream = TlsConnector::from(tls).connect(name, stream).await?;
    // It may have closed already; why, is in what it sent.
    let sent = stream.write_all(HELLO).await;
    stream.read_u8().await.and(sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn the_token_is_in_every_call_and_in_no_print() {
        let secret = Secret::from_variable("T", &[("T", TOKEN)]).unwrap();
        let mut bearer = Bearer::new(Some(&secret)).unwrap();
        let request = bearer.call(Request::new(())).unwrap();
        assert_eq!(request.metadata().get("authorization").unwrap(), &format!("Bearer {TOKEN}"));
        let printed = format!("{bearer:?} {request:?}");
        assert!(!printed.contains("0123456789"), "{printed}");
        assert!(Bearer::default().call(Request::new(())).unwrap().metadata().is_empty());
    }
}
