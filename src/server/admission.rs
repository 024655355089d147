//! Who may come in: by name, and by certificate where there is one (spec B-146, B-181).

use std::{net::SocketAddr, sync::Arc};

use rustls::{
    client::verify_server_name,
    pki_types::{CertificateDer, ServerName},
    server::ParsedCertificate,
};

use super::Shared;
use crate::{
    config,
    diameter::{RequestError, ResultCode, peer::Admission},
};

/// The certificate that a peer has shown: its authority and its validity are checked, its names are not.
#[derive(Debug)]
pub(super) struct Certificate(CertificateDer<'static>);

impl Certificate {
    /// The peer's own, which is the first of those that it has shown. TLS here demands one.
    pub(super) fn of(shown: Option<&[CertificateDer<'_>]>) -> Option<Self> {
        Some(Self(shown?.first()?.clone().into_owned()))
    }

    /// Whether one of its names (SAN dNSName) is a host's; `*.domain` stands for each host one label below the domain.
    fn is_of(&self, host: &str) -> bool {
        let names = ParsedCertificate::try_from(&self.0);
        let (Ok(names), Ok(host)) = (names, ServerName::try_from(host)) else { return false };
        verify_server_name(&names, &host).is_ok()
    }
}

/// The rule for a connection without TLS: all such connections share it.
pub(super) fn without_tls(config: &config::Diameter) -> Admission {
    let config = config.clone();
    Admission::Rule(Arc::new(move |host| match config.peer(host) {
        None => Err(Admission::unknown_peer()),
        Some(peer) if peer.needs_tls() => {
            Err(RequestError::new(ResultCode::NO_COMMON_SECURITY, "this peer comes over TLS, or not at all"))
        }
        Some(_) => Ok(()),
    }))
}

/// The rule for one connection.
pub(super) fn of(shared: &Arc<Shared>, address: SocketAddr, certificate: Option<Certificate>) -> Admission {
    let Some(certificate) = certificate else { return shared.admission.clone() };
    let shared = Arc::clone(shared);
    Admission::Rule(Arc::new(move |host| {
        if shared.config.peer(host).is_none() {
            return Err(Admission::unknown_peer());
        }
        if !certificate.is_of(host) {
            tracing::warn!(%address, host, "the peer's certificate is not for the Origin-Host that it gives itself");
            let message = "the certificate is not for this Origin-Host";
            return Err(RequestError::new(ResultCode::UNABLE_TO_COMPLY, message));
        }
        Ok(())
    }))
}
