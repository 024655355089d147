//! TLS: whose certificate this node shows, and whose it believes.

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

/// What TLS calls HTTP/2, which gRPC is spoken over.
const HTTP2: &[u8] = b"h2";
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
        let papers = Papers::read(("certificate", &self.certificate), ("key", &self.key))?;
        let authorities = Arc::new(authorities(("ca", &self.ca))?);
        let provider = Arc::new(ring::default_provider());
        let server = server(&provider, Some(&authorities), Callers::MustShow, &papers);
        let client = client(&provider, authorities, Some(&papers));
        let unusable = |error| papers.unusable(error);
        Ok(TlsKeys { server: Arc::new(server.map_err(unusable)?), client: Arc::new(client.map_err(unusable)?) })
    }
}

/// A key, or an option of a command, that names a file.
pub type NamedFile<'a> = (&'static str, &'a Path);

/// TLS of the API's server. Without authorities nobody is asked for a certificate; with them, whoever shows one must have it
/// from there.
pub(super) fn api_server(
    certificate: NamedFile<'_>,
    key: NamedFile<'_>,
    client_ca: NamedFile<'_>,
) -> Result<ServerConfig, BadFile> {
    let papers = Papers::read(certificate, key)?;
    let asked = !client_ca.1.as_os_str().is_empty();
    let authorities = asked.then(|| authorities(client_ca).map(Arc::new)).transpose()?;
    let provider = Arc::new(ring::default_provider());
    let server = server(&provider, authorities.as_ref(), Callers::MayShow, &papers);
    let mut server = server.map_err(|error| papers.unusable(error))?;
    server.alpn_protocols = vec![HTTP2.to_vec()];
    Ok(server)
}

/// What a gRPC client shows and believes, read and found to fit.
#[derive(Clone)]
pub struct ClientPems {
    /// Certificates of authorities that the server's certificate may come from.
    pub ca: Vec<u8>,
    /// The client's own certificate and its private key.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
    /// Both, ready for a handshake.
    pub tls: Arc<ClientConfig>,
}

/// The key is nobody's to see.
impl fmt::Debug for ClientPems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientPems")
    }
}

impl ClientPems {
    /// Reads the files, each with the name of what names it.
    ///
    /// # Errors
    /// The first that cannot be read, is not what it should be, or does not fit the others.
    pub fn read(ca: NamedFile<'_>, identity: Option<(NamedFile<'_>, NamedFile<'_>)>) -> Result<Self, BadFile> {
        let roots = Arc::new(authorities(ca)?);
        let papers = identity.map(|(certificate, key)| Papers::read(certificate, key)).transpose()?;
        // What fits not is found here, where it can be told by its name.
        let tls = client(&Arc::new(ring::default_provider()), roots, papers.as_ref());
        let mut tls = tls.map_err(|error| match &papers {
            Some(papers) => papers.unusable(error),
            None => bad(ca.0, ca.1, error),
        })?;
        tls.alpn_protocols = vec![HTTP2.to_vec()];
        let again = |(name, path): NamedFile<'_>| read(name, path);
        let identity = identity.map(|(certificate, key)| Ok((again(certificate)?, again(key)?))).transpose()?;
        Ok(Self { ca: read(ca.0, ca.1)?, identity, tls: Arc::new(tls) })
    }
}

/// A certificate and its key, and what names their files.
struct Papers<'a> {
    certificate: NamedFile<'a>,
    key: NamedFile<'a>,
    chain: Vec<CertificateDer<'static>>,
    private: PrivateKeyDer<'static>,
}

impl<'a> Papers<'a> {
    fn read(certificate: NamedFile<'a>, key: NamedFile<'a>) -> Result<Self, BadFile> {
        let chain = certificates(certificate)?;
        let private = PrivateKeyDer::from_pem_slice(&read(key.0, key.1)?)
            .map_err(|_| bad(key.0, key.1, "has no private key in PEM form (-----BEGIN PRIVATE KEY-----)"))?;
        Ok(Self { certificate, key, chain, private })
    }

    fn unusable(&self, error: rustls::Error) -> BadFile {
        let (certificate, key) = (self.certificate, self.key);
        match error {
            rustls::Error::InconsistentKeys(_) => {
                bad(key.0, key.1, format_args!("is not the key of `{}`", certificate.0))
            }
            error => bad(certificate.0, certificate.1, error),
        }
    }
}

/// Whether a client must show a certificate.
enum Callers {
    MustShow,
    MayShow,
}

fn server(
    provider: &Arc<CryptoProvider>,
    authorities: Option<&Arc<RootCertStore>>,
    callers: Callers,
    papers: &Papers<'_>,
) -> Result<ServerConfig, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider)).with_safe_default_protocol_versions()?;
    let builder = match authorities {
        None => builder.with_no_client_auth(),
        Some(authorities) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(authorities), Arc::clone(provider));
            let verifier = match callers {
                Callers::MustShow => verifier,
                Callers::MayShow => verifier.allow_unauthenticated(),
            };
            let verifier = verifier.build().map_err(|error| rustls::Error::General(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    builder.with_single_cert(papers.chain.clone(), papers.private.clone_key())
}

fn client(
    provider: &Arc<CryptoProvider>,
    authorities: Arc<RootCertStore>,
    papers: Option<&Papers<'_>>,
) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(authorities);
    match papers {
        Some(papers) => builder.with_client_auth_cert(papers.chain.clone(), papers.private.clone_key()),
        None => Ok(builder.with_no_client_auth()),
    }
}

fn authorities((key, path): NamedFile<'_>) -> Result<RootCertStore, BadFile> {
    let mut authorities = RootCertStore::empty();
    for authority in certificates((key, path))? {
        authorities.add(authority).map_err(|error| bad(key, path, error))?;
    }
    Ok(authorities)
}

/// A relative path begins at the directory of the configuration file; an empty one names no file.
pub(super) fn resolve(file: &mut PathBuf, directory: &Path) {
    if !file.as_os_str().is_empty() {
        *file = directory.join(&*file);
    }
}

fn certificates((key, path): NamedFile<'_>) -> Result<Vec<CertificateDer<'static>>, BadFile> {
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
