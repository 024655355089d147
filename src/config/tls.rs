//! TLS of Diameter connections: whose certificate this node shows, and whose it believes.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use serde::{Deserialize, Serialize};

use super::Listen;

/// `[diameter.tls]`: off as long as `certificate` is empty. Both sides show certificates, always (spec B-181).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// Addresses where TLS comes before any Diameter message (spec B-180).
    pub listen: Listen,
    /// This node's certificate, and those between it and its authority: PEM, this node's first.
    pub certificate: PathBuf,
    /// Its private key: PEM.
    pub key: PathBuf,
    /// Certificates of the authorities that peers' certificates come from: PEM.
    pub ca: PathBuf,
}

impl Default for Tls {
    fn default() -> Self {
        let listen = super::sections::loopback(DIAMETERS_PORT).into();
        Self { listen, certificate: PathBuf::new(), key: PathBuf::new(), ca: PathBuf::new() }
    }
}

/// The registered port of Diameter over TLS (erratum 3997 of RFC 6733, spec B-180).
pub const DIAMETERS_PORT: u16 = 5868;

/// Certificates and key, read and found to fit each other.
#[derive(Clone)]
pub struct TlsKeys {
    /// For connections that come.
    pub server: Arc<ServerConfig>,
    /// For connections that we open.
    pub client: Arc<ClientConfig>,
}

/// The key is nobody's to see.
impl fmt::Debug for TlsKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsKeys")
    }
}

/// A file that cannot be used: the key of the configuration that names it, and what is wrong.
pub type BadFile = (&'static str, String);

impl Tls {
    /// Whether TLS is configured.
    pub fn is_on(&self) -> bool {
        !self.certificate.as_os_str().is_empty()
    }

    /// Each of the files, by its key.
    pub(super) fn files(&mut self) -> [(&'static str, &mut PathBuf); 3] {
        [("certificate", &mut self.certificate), ("key", &mut self.key), ("ca", &mut self.ca)]
    }

    /// Reads the files.
    ///
    /// # Errors
    /// The first that cannot be read, is not what it should be, or does not fit the others.
    pub fn load(&self) -> Result<TlsKeys, BadFile> {
        let certificates = certificates("certificate", &self.certificate)?;
        let key = read("key", &self.key)?;
        let key = PrivateKeyDer::from_pem_slice(&key)
            .map_err(|_| bad("key", &self.key, "has no private key in PEM form (-----BEGIN PRIVATE KEY-----)"))?;
        let mut authorities = RootCertStore::empty();
        for authority in self::certificates("ca", &self.ca)? {
            authorities.add(authority).map_err(|error| bad("ca", &self.ca, error))?;
        }
        let authorities = Arc::new(authorities);
        let provider = Arc::new(ring::default_provider());
        let unusable = |error: rustls::Error| match error {
            rustls::Error::InconsistentKeys(_) => bad("key", &self.key, "is not the key of `certificate`"),
            error => bad("certificate", &self.certificate, error),
        };
        let server = server(&provider, &authorities, certificates.clone(), key.clone_key());
        let client = client(&provider, authorities, certificates, key);
        Ok(TlsKeys { server: Arc::new(server.map_err(unusable)?), client: Arc::new(client.map_err(unusable)?) })
    }
}

fn server(
    provider: &Arc<CryptoProvider>,
    authorities: &Arc<RootCertStore>,
    certificates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(authorities), Arc::clone(provider))
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates, key)
}

fn client(
    provider: &Arc<CryptoProvider>,
    authorities: Arc<RootCertStore>,
    certificates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ClientConfig, rustls::Error> {
    ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(authorities)
        .with_client_auth_cert(certificates, key)
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, BadFile> {
    let text = read(key, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(bad(key, path, "has no certificate in PEM form (-----BEGIN CERTIFICATE-----)")),
    }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, BadFile> {
    fs::read(path).map_err(|error| bad(key, path, format_args!("cannot be read: {error}")))
}

fn bad(key: &'static str, path: &Path, why: impl fmt::Display) -> BadFile {
    (key, format!("`{key}`: {}: {why}", path.display()))
}
