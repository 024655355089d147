//! Diameter over TLS: who is let in, and by which name.

use std::{net::SocketAddr, path::Path, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};
use tollgate::config::{Config, Peer, SystemEnvironment};

use crate::{
    client::{Client, cer},
    interop_rules::{ccr_of, wanted},
    peers::cea_for,
    support::{DEMO_CATALOG, TestNode},
};

const OCS: &str = "ocs1.tollgate.example";
const INITIAL: u32 = 1;

/// An authority of certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
pub(crate) struct Papers {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn certify(&self, names: &[&str]) -> Papers {
        self.certify_as(names, |_| {})
    }

    /// Names are DNS names and addresses; `change` says what is special.
    pub(crate) fn certify_as(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Papers {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Papers { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem().as_bytes()).unwrap()).unwrap();
        roots
    }
}

impl Papers {
    fn chain(&self) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(self.certificate.as_bytes()).map(Result::unwrap).collect()
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap()
    }
}

/// Writes what `[diameter.tls]` names and names it.
fn equip(config: &mut Config, directory: &Path, authority: &Authority) {
    let papers = authority.certify(&[OCS]);
    let tls = &mut config.diameter.tls;
    tls.listen = SocketAddr::from(([127, 0, 0, 1], 0)).into();
    for (file, name, text) in [
        (&mut tls.certificate, "ocs.pem", papers.certificate),
        (&mut tls.key, "ocs.key", papers.key),
        (&mut tls.ca, "ca.pem", authority.pem()),
    ] {
        *file = directory.join(name);
        std::fs::write(file, text).unwrap();
    }
}

async fn node(authority: &Authority, files: &Path, change: impl FnOnce(&mut Config)) -> TestNode {
    TestNode::start(DEMO_CATALOG, |config| {
        equip(config, files, authority);
        change(config);
    })
    .await
}

/// A client that believes in an authority, with papers of its own or without.
fn connector(authority: &Authority, papers: Option<&Papers>) -> TlsConnector {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(authority.roots());
    TlsConnector::from(Arc::new(match papers {
        Some(papers) => config.with_client_auth_cert(papers.chain(), papers.key()).unwrap(),
        None => config.with_no_client_auth(),
    }))
}

async fn secured(node: &TestNode, connector: &TlsConnector) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(node.node.diameter_tls[0]).await.unwrap();
    connector.connect(ServerName::try_from(OCS).unwrap(), stream).await
}

// tests: B-180 B-181
#[tokio::test]
async fn a_certificate_lets_in_the_host_that_it_names_and_no_other() {
    let (authority, files) = (Authority::new(), tempfile::tempdir().unwrap());
    let node = node(&authority, files.path(), |_| {}).await;
    for (names, host, result) in [
        (&["pgw.example"][..], "pgw.example", 2001),
        (&["other.example", "PGW.example"], "pgw.example", 2001),
        (&["*.pgw.example"], "a.pgw.example", 2001),
        (&["*.pgw.example"], "a.b.pgw.example", 5012),
        (&["*.pgw.example"], "pgw.example", 5012),
        (&["pgw.example"], "smf.example", 5012),
        (&["pgw.example"], "pgw.example.org", 5012),
    ] {
        let connector = connector(&authority, Some(&authority.certify(names)));
        let mut client = Client::over(secured(&node, &connector).await.unwrap());
        let cea = client.ask(&cer(host, "gateways.example")).await;
        assert_eq!(cea.result(), result, "{names:?} {host}");
        if result == 2001 {
            let answer = client.ask(&ccr_of(1, &format!("{host};1;{}", names.len()), INITIAL, 0).with(wanted(1))).await;
            assert_eq!(answer.result(), 2001);
            client.is_served().await;
        } else {
            client.is_closed().await;
        }
    }
}

/// TLS 1.3 lets a client believe that all is well until it reads.
async fn is_turned_away(node: &TestNode, connector: &TlsConnector) {
    let Ok(stream) = secured(node, connector).await else { return };
    let (mut reader, mut writer) = tokio::io::split(stream);
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let _ = writer.write_all(&cer("pgw.example", "gateways.example").octets()).await;
    let mut octets = Vec::new();
    let read = tokio::time::timeout(crate::client::PATIENCE, reader.read_to_end(&mut octets)).await.unwrap();
    assert!(read.is_err() && octets.is_empty(), "{read:?} {octets:?}");
}

// tests: B-181
#[tokio::test]
async fn without_a_certificate_of_the_authority_there_is_no_diameter() {
    let (authority, stranger, files) = (Authority::new(), Authority::new(), tempfile::tempdir().unwrap());
    let node = node(&authority, files.path(), |_| {}).await;
    is_turned_away(&node, &connector(&authority, None)).await;
    is_turned_away(&node, &connector(&authority, Some(&stranger.certify(&["pgw.example"])))).await;
    // Diameter without TLS, where TLS is expected.
    let mut plain = Client::tcp(node.node.diameter_tls[0]).await;
    plain.send(&cer("pgw.example", "gateways.example").octets()).await;
    let stream = &mut plain.into_stream();
    let mut octets = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(stream, &mut octets);
    let _ = tokio::time::timeout(crate::client::PATIENCE, read).await.expect("it stays open");
    assert!(!octets.starts_with(&[1]), "an answer in clear: {octets:02x?}");
    // The node is well.
    let good = connector(&authority, Some(&authority.certify(&["pgw.example"])));
    let mut client = Client::over(secured(&node, &good).await.unwrap());
    assert_eq!(client.ask(&cer("pgw.example", "gateways.example")).await.result(), 2001);
}

// tests: B-149 B-181
#[tokio::test]
async fn a_peer_that_must_use_tls_is_refused_without() {
    let (authority, files) = (Authority::new(), tempfile::tempdir().unwrap());
    let node = node(&authority, files.path(), |config| {
        config.diameter.accept_unknown_peers = false;
        let mut peer = Peer::generic("pgw.example");
        peer.tls = true;
        config.diameter.peers = vec![peer];
    })
    .await;
    let mut plain = Client::tcp(node.diameter()).await;
    assert_eq!(plain.ask(&cer("pgw.example", "gateways.example")).await.result(), 5017);
    plain.is_closed().await;
    for (host, result) in [("pgw.example", 2001), ("smf.example", 3010)] {
        let connector = connector(&authority, Some(&authority.certify(&[host])));
        let mut client = Client::over(secured(&node, &connector).await.unwrap());
        assert_eq!(client.ask(&cer(host, "gateways.example")).await.result(), result);
    }
}

// tests: B-181
#[tokio::test]
async fn a_client_that_begins_no_tls_is_sent_away_in_time() {
    let (authority, files) = (Authority::new(), tempfile::tempdir().unwrap());
    let node = node(&authority, files.path(), |config| config.diameter.handshake_secs = 1).await;
    Client::tcp(node.node.diameter_tls[0]).await.is_closed().await;
}

// tests: B-163 B-181
#[tokio::test]
async fn the_node_calls_a_peer_over_tls_and_checks_its_name() {
    let authority = Authority::new();
    for (name, good) in [("dra.example", true), ("other.example", false)] {
        let files = tempfile::tempdir().unwrap();
        let papers = authority.certify(&[name]);
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authority.roots()), provider.clone());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(papers.chain(), papers.key())
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let node = node(&authority, files.path(), |config| {
            let mut peer = Peer::generic("dra.example");
            (peer.tls, peer.connect) = (true, Some(at.to_string().parse().unwrap()));
            config.diameter.peers = vec![peer];
        })
        .await;
        let (stream, _) = listener.accept().await.unwrap();
        let accepted = TlsAcceptor::from(Arc::new(config)).accept(stream).await;
        if good {
            let mut peer = Client::over(accepted.unwrap());
            let cer = peer.receive().await;
            peer.send(&cea_for(&cer, "dra.example")).await;
            peer.is_served().await;
            assert!(node.node.is_connected("dra.example"));
        } else {
            assert!(accepted.is_err(), "the node takes another's certificate");
            assert!(!node.node.is_connected("dra.example"));
        }
    }
}

#[test]
fn check_says_which_file_is_wrong_and_why() {
    let (authority, directory) = (Authority::new(), tempfile::tempdir().unwrap());
    let (papers, others) = (authority.certify(&[OCS]), authority.certify(&[OCS]));
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    write("ocs.pem", &papers.certificate);
    write("ocs.key", &papers.key);
    write("other.key", &others.key);
    write("ca.pem", &authority.pem());
    write("text.pem", "no certificate");
    // The default catalog: it must be there, and nobody reads it here.
    write("catalog.toml", "");
    let path = directory.path().join("t.toml");
    let check = |[certificate, key, ca]: [&str; 3]| {
        let text = format!(
            "[diameter.tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\nca = \"{ca}\"\n[log]\nlevel = \"info\"\n"
        );
        std::fs::write(&path, text).unwrap();
        let problems = Config::load(Some(&path), &SystemEnvironment).err().map(|error| error.to_string());
        problems.map(|text| text.replace(directory.path().to_str().unwrap(), ""))
    };
    assert_eq!(check(["ocs.pem", "ocs.key", "ca.pem"]), None);
    for (files, problem) in [
        (["none.pem", "ocs.key", "ca.pem"], "/t.toml:2:1: `certificate`: /none.pem: cannot be read: "),
        (["text.pem", "ocs.key", "ca.pem"], "/t.toml:2:1: `certificate`: /text.pem: has no certificate in PEM form"),
        (["ocs.pem", "ocs.pem", "ca.pem"], "/t.toml:3:1: `key`: /ocs.pem: has no private key in PEM form"),
        (["ocs.pem", "other.key", "ca.pem"], "/t.toml:3:1: `key`: /other.key: is not the key of `certificate`"),
        (["ocs.pem", "ocs.key", "ocs.key"], "/t.toml:4:1: `ca`: /ocs.key: has no certificate in PEM form"),
        (["ocs.pem", "", "ca.pem"], "/t.toml:3:1: `key` is empty: TLS needs `certificate`, `key` and `ca`"),
    ] {
        let told = check(files).unwrap_or_default();
        assert!(told.starts_with(problem) && told.lines().count() == 1, "{files:?}: {told}");
    }
}
