//! Who may call the API, over real connections: certificates, tokens, roles, and what is told of those who may not.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Output,
    sync::{Arc, Mutex},
};

use rcgen::{CertificateParams, DnType, SanType, date_time_ymd};
use tokio::net::TcpListener;
use tollgate::{
    api::{
        client::{Bearer, Channel, endpoint},
        v1::{
            self,
            provisioning_sink_server::{ProvisioningSink, ProvisioningSinkServer},
        },
    },
    app::Node,
    config::{ClientPems, Config, GrpcCaller, Role, Secret},
};
use tonic::{
    Code, Request, Response, Status,
    client::Grpc,
    transport::{Certificate, Identity, Server, ServerTlsConfig},
};

use crate::{
    process::{self, Process},
    support::{self, DEMO_CATALOG, TestNode},
    tls::{Authority, Papers},
};

/// Every method of the API, and which roles may call it.
const TABLE: &str = "
    method                              self-service provisioning care operator auditor
    v1.AccountService/CreateAccount          -            x         -      x       -
    v1.AccountService/CreateSubscriber       -            x         -      x       -
    v1.AccountService/GetAccount             x            x         x      x       x
    v1.AccountService/SetAccountState        -            x         -      x       -
    v1.BalanceService/TopUp                  x            -         -      x       -
    v1.BalanceService/GrantAllowance         -            x         x      x       -
    v1.BalanceService/Adjust                 -            -         x      x       -
    v1.BalanceService/ListHistory            x            -         x      x       x
    v1.BalanceService/ExplainCharges         -            -         x      x       x
    v1.CatalogService/ValidateCatalog        -            -         -      x       -
    v1.CatalogService/Price                  x            x         x      x       x
    v1.ProductService/ListProducts           x            x         x      x       x
    v1.ProductService/BuyProduct             x            x         x      x       -
    v1.ProductService/ChangeProduct          x            x         x      x       -
    v1.ProductService/CancelProduct          x            x         x      x       -
    v1.ProductService/ListSubscriptions      x            x         x      x       x
    v1.ProductService/SetCycleDay            -            x         -      x       -
    v1.SessionService/ListSessions           -            -         x      x       x
    v1.SessionService/ReAuthorise            -            -         -      x       -
    v1.SessionService/TerminateSession       -            -         -      x       -
    v1.BulkService/SubmitBulk                -            x         x      x       -
    v1.BulkService/ApproveBulk               -            x         x      x       -
    v1.BulkService/RejectBulk                -            x         x      x       -
    v1.BulkService/GetBulk                   -            x         x      x       x
    v1.BulkService/ListBulks                 -            x         x      x       x
    v1.EventService/Subscribe                -            x         -      x       x
    v1.EventService/Acknowledge              -            x         -      x       -
    v1.EventService/ForgetConsumer           -            x         -      x       -
";
const ADJUST: &str = "/tollgate.v1.BalanceService/Adjust";
const GET: &str = "/tollgate.v1.AccountService/GetAccount";
const HEALTH: &str = "/grpc.health.v1.Health/Check";
const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

/// An authority, and the files of a test.
pub(crate) struct Desk {
    authority: Authority,
    files: tempfile::TempDir,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let desk = Self { authority: Authority::new(), files: tempfile::tempdir().unwrap() };
        desk.write("ca.pem", &desk.authority.pem());
        desk.papers("server", &desk.authority.certify(&["localhost", "127.0.0.1"]));
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn papers(&self, name: &str, papers: &Papers) {
        self.write(&format!("{name}.pem"), &papers.certificate);
        self.write(&format!("{name}.key"), &papers.key);
    }

    /// The token of a caller of this name.
    pub(crate) fn token(&self, name: &str) -> String {
        let token = format!("{name}-{}", "0123456789abcdef".repeat(2));
        self.write(&format!("{name}.token"), &format!("{token}\n"));
        token
    }

    pub(crate) fn with_token(&self, name: &str, role: Role) -> GrpcCaller {
        self.token(name);
        GrpcCaller { token_file: Some(self.path(&format!("{name}.token"))), ..caller(name, role) }
    }

    fn secure(&self, config: &mut Config) {
        let tls = &mut config.grpc.tls;
        (tls.certificate, tls.key) = (self.path("server.pem"), self.path("server.key"));
        tls.client_ca = self.path("ca.pem");
    }

    async fn node(&self, callers: Vec<GrpcCaller>, change: impl FnOnce(&mut Config)) -> TestNode {
        TestNode::start(DEMO_CATALOG, |config| {
            self.secure(config);
            config.grpc.caller = callers;
            change(config);
        })
        .await
    }

    /// A connection over TLS with these papers and this token.
    async fn channel(&self, node: &TestNode, papers: Option<&str>, token: Option<&str>) -> Channel {
        self.try_channel(node, papers, token).await.unwrap()
    }

    async fn try_channel(
        &self,
        node: &TestNode,
        papers: Option<&str>,
        token: Option<&str>,
    ) -> Result<Channel, tonic::transport::Error> {
        let files = papers.map(|name| (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key"))));
        let identity = files.as_ref().map(|(cert, key)| (("cert", cert.as_path()), ("key", key.as_path())));
        let pems = ClientPems::read(("ca", &self.path("ca.pem")), identity).unwrap();
        let url = format!("https://localhost:{}", node.node.grpc.port());
        let channel = endpoint(&url, Some(pems)).unwrap().connect().await?;
        Ok(Channel::new(channel, bearer(token)))
    }
}

pub(crate) fn caller(name: &str, role: Role) -> GrpcCaller {
    GrpcCaller {
        name: name.to_owned(),
        role: Some(role),
        roles: Vec::new(),
        certificate: None,
        token_file: None,
        token_env: None,
    }
}

fn with_certificate(name: &str, role: Role, certificate: &str) -> GrpcCaller {
    GrpcCaller { certificate: Some(certificate.to_owned()), ..caller(name, role) }
}

fn bearer(token: Option<&str>) -> Bearer {
    let secret = token.map(|token| Secret::from_variable("T", &[("T", token)]).unwrap());
    Bearer::new(secret.as_ref()).unwrap()
}

pub(crate) async fn in_clear(address: SocketAddr, token: Option<&str>) -> Channel {
    let channel = endpoint(&format!("http://{address}"), None).unwrap().connect().await.unwrap();
    Channel::new(channel, bearer(token))
}

/// Calls with an empty message. Of a stream only the beginning is waited for.
async fn call(channel: &Channel, path: &str) -> Result<(), Status> {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    grpc.server_streaming(Request::new(()), path.parse().unwrap(), codec).await.map(drop)
}

async fn code(channel: &Channel, path: &str) -> Code {
    call(channel, path).await.map_or_else(|status| status.code(), |()| Code::Ok)
}

#[track_caller]
fn refused(result: Result<(), Status>, code: Code, message: &str) {
    let status = result.unwrap_err();
    assert_eq!((status.code(), status.message()), (code, message));
}

#[tokio::test]
async fn each_role_may_what_the_table_says_and_no_more() {
    let desk = Desk::new();
    let name = |role: Role| format!("a-{}", role.name());
    let callers = Role::ALL.iter().map(|role| desk.with_token(&name(*role), *role)).collect();
    let node = desk.node(callers, |_| {}).await;
    let mut lines = TABLE.lines().map(str::split_whitespace).filter(|line| line.clone().next().is_some());
    let roles: Vec<&str> = lines.next().unwrap().skip(1).collect();
    assert_eq!(roles, Role::ALL.map(Role::name));
    let mut channels = Vec::new();
    for role in Role::ALL {
        channels.push(desk.channel(&node, None, Some(&desk.token(&name(role)))).await);
    }
    let mut count = 0;
    for mut line in lines {
        let method = format!("/tollgate.{}", line.next().unwrap());
        for (role, channel) in Role::ALL.iter().zip(&channels) {
            let result = call(channel, &method).await;
            match line.next().unwrap() {
                "x" => {
                    let code = result.map_or_else(|status| status.code(), |()| Code::Ok);
                    let refused = [Code::PermissionDenied, Code::Unauthenticated, Code::Unimplemented];
                    assert!(!refused.contains(&code), "{role:?} {method}: {code:?}");
                }
                _ => {
                    let status = result.unwrap_err();
                    assert_eq!(status.code(), Code::PermissionDenied, "{role:?} {method}: {status:?}");
                    let named = format!("caller `{}` ({}) may not call {}", name(*role), role.name(), &method[1..]);
                    assert!(status.message().starts_with(&named), "{}", status.message());
                }
            }
            count += 1;
        }
    }
    assert_eq!(count, 28 * 5);
    for channel in &channels {
        assert_eq!(code(channel, HEALTH).await, Code::Ok);
        assert_eq!(code(channel, REFLECTION).await, Code::Ok);
        refused(
            call(channel, "/tollgate.v1.BalanceService/Gift").await,
            Code::Unimplemented,
            "there is no such method",
        );
    }
    let message =
        "caller `a-auditor` (auditor) may not call tollgate.v1.BalanceService/Adjust: it is for care, operator";
    refused(call(&channels[4], ADJUST).await, Code::PermissionDenied, message);
}

#[tokio::test]
async fn a_caller_with_several_roles_may_what_any_of_them_may() {
    let desk = Desk::new();
    let mut both = desk.with_token("both", Role::Care);
    (both.role, both.roles) = (None, vec![Role::Auditor, Role::SelfService]);
    let node = desk.node(vec![both], |config| config.grpc.tls.client_ca = PathBuf::new()).await;
    let channel = desk.channel(&node, None, Some(&desk.token("both"))).await;
    assert_eq!(code(&channel, "/tollgate.v1.BalanceService/TopUp").await, Code::InvalidArgument);
    assert_eq!(code(&channel, "/tollgate.v1.SessionService/ListSessions").await, Code::Ok);
    assert_eq!(code(&channel, ADJUST).await, Code::PermissionDenied);
}

#[tokio::test]
async fn a_certificate_proves_who_calls() {
    let desk = Desk::new();
    let named = |change: fn(&mut CertificateParams)| desk.authority.certify_as(&[], change);
    desk.papers("dns", &desk.authority.certify(&["other.example", "Crm.example"]));
    desk.papers("common", &named(|params| params.distinguished_name.push(DnType::CommonName, "Provisioning 1")));
    desk.papers(
        "uri",
        &named(|params| {
            params.subject_alt_names.push(SanType::URI("spiffe://example/audit".try_into().unwrap()));
        }),
    );
    desk.papers("stranger", &desk.authority.certify(&["pgw.example"]));
    desk.papers("wild", &desk.authority.certify(&["*.example"]));
    let callers = vec![
        with_certificate("crm", Role::Care, "crm.example"),
        with_certificate("hlr", Role::Provisioning, "Provisioning 1"),
        with_certificate("audit", Role::Auditor, "spiffe://example/audit"),
    ];
    let node = desk.node(callers, |_| {}).await;
    for (papers, adjusts, creates) in [("dns", true, false), ("common", false, true), ("uri", false, false)] {
        let channel = desk.channel(&node, Some(papers), None).await;
        assert_eq!(code(&channel, GET).await, Code::InvalidArgument, "{papers}");
        let denied = |allowed| if allowed { Code::InvalidArgument } else { Code::PermissionDenied };
        assert_eq!(code(&channel, ADJUST).await, denied(adjusts), "{papers}");
        assert_eq!(code(&channel, "/tollgate.v1.AccountService/CreateAccount").await, denied(creates), "{papers}");
    }
    for (papers, why) in [
        (Some("stranger"), "the certificate is for pgw.example, rcgen self signed cert, which no caller is known by"),
        (Some("wild"), "the certificate is for *.example, rcgen self signed cert, which no caller is known by"),
        (None, "who calls? neither a client certificate nor `authorization: Bearer TOKEN` came with the call"),
    ] {
        let channel = desk.channel(&node, papers, None).await;
        for path in [GET, ADJUST, REFLECTION, "/tollgate.v1.BalanceService/Gift"] {
            refused(call(&channel, path).await, Code::Unauthenticated, why);
        }
        // Probes ask without.
        assert_eq!(code(&channel, HEALTH).await, Code::Ok, "{papers:?}");
    }
}

/// TLS 1.3 lets a client believe that all is well until it reads.
async fn turned_away(desk: &Desk, node: &TestNode, papers: &str) -> String {
    let told = |error: &dyn std::error::Error| {
        let mut chain = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            chain = format!("{chain}: {error}");
            source = error.source();
        }
        chain
    };
    match desk.try_channel(node, Some(papers), None).await {
        Err(error) => told(&error),
        // Not even what is for everyone.
        Ok(channel) => told(&call(&channel, HEALTH).await.unwrap_err()),
    }
}

#[tokio::test]
async fn an_expired_or_foreign_certificate_gets_no_connection() {
    let desk = Desk::new();
    desk.papers("crm", &desk.authority.certify(&["crm.example"]));
    let expired = |params: &mut CertificateParams| {
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    };
    desk.papers("expired", &desk.authority.certify_as(&["crm.example"], expired));
    let early = |params: &mut CertificateParams| params.not_before = date_time_ymd(2999, 1, 1);
    desk.papers("early", &desk.authority.certify_as(&["crm.example"], early));
    desk.papers("foreign", &Authority::new().certify(&["crm.example"]));
    let node = desk.node(vec![with_certificate("crm", Role::Care, "crm.example")], |_| {}).await;
    // The foreign authority has the name of ours, and another key.
    for (papers, alert) in
        [("expired", "CertificateExpired"), ("early", "CertificateExpired"), ("foreign", "DecryptError")]
    {
        let told = turned_away(&desk, &node, papers).await;
        assert!(told.contains(&format!("received fatal alert: {alert}")), "{papers}: {told}");
    }
    // Nor does one who does not speak TLS at all.
    let channel = endpoint(&format!("http://{}", node.node.grpc), None).unwrap().connect().await;
    if let Ok(channel) = channel {
        let result = call(&Channel::new(channel, bearer(None)), HEALTH).await;
        assert!(result.is_err(), "an answer in clear");
    }
    let good = desk.channel(&node, Some("crm"), None).await;
    assert_eq!(code(&good, ADJUST).await, Code::InvalidArgument);
}

#[tokio::test]
async fn who_needs_both_shows_both() {
    let desk = Desk::new();
    desk.papers("ops", &desk.authority.certify(&["ops.example"]));
    desk.papers("crm", &desk.authority.certify(&["crm.example"]));
    let ops = GrpcCaller { certificate: Some("ops.example".into()), ..desk.with_token("ops", Role::Operator) };
    let token = desk.token("ops");
    let node = desk.node(vec![ops, with_certificate("crm", Role::Care, "crm.example")], |_| {}).await;
    let both = desk.channel(&node, Some("ops"), Some(&token)).await;
    assert_eq!(code(&both, ADJUST).await, Code::InvalidArgument);
    for (papers, token, why) in [
        (None, Some(token.as_str()), "the token alone is not enough: its caller shows its certificate, too"),
        (Some("crm"), Some(&token), "the token alone is not enough: its caller shows its certificate, too"),
        (Some("ops"), None, "the certificate alone is not enough: its caller shows its token, too"),
    ] {
        let channel = desk.channel(&node, papers, token).await;
        refused(call(&channel, ADJUST).await, Code::Unauthenticated, why);
    }
}

#[tokio::test]
async fn reflection_is_for_everyone_only_where_the_configuration_says_so() {
    let desk = Desk::new();
    for public in [false, true] {
        let callers = vec![desk.with_token("shop", Role::SelfService)];
        // Tokens do in clear, on loopback.
        let node = TestNode::start(DEMO_CATALOG, |config| {
            (config.grpc.caller, config.grpc.public_reflection) = (callers, public);
        })
        .await;
        let stranger = in_clear(node.node.grpc, None).await;
        let expected = if public { Code::Ok } else { Code::Unauthenticated };
        assert_eq!(code(&stranger, REFLECTION).await, expected);
        assert_eq!(code(&stranger, &REFLECTION.replace("v1", "v1alpha")).await, expected);
        assert_eq!(code(&stranger, GET).await, Code::Unauthenticated);
        let shop = in_clear(node.node.grpc, Some(&desk.token("shop"))).await;
        assert_eq!(code(&shop, REFLECTION).await, Code::Ok);
        assert_eq!(code(&shop, GET).await, Code::InvalidArgument);
    }
}

#[tokio::test]
async fn without_callers_whoever_is_on_this_machine_is_the_operator() {
    let node = TestNode::demo().await;
    let anyone = in_clear(node.node.grpc, None).await;
    for path in [GET, ADJUST, "/tollgate.v1.CatalogService/ValidateCatalog"] {
        assert!(![Code::Unauthenticated, Code::PermissionDenied].contains(&code(&anyone, path).await), "{path}");
    }
    assert_eq!(code(&anyone, REFLECTION).await, Code::Ok);
    refused(call(&anyone, "/x.Y/Z").await, Code::Unimplemented, "there is no such method");
}

#[tokio::test]
async fn who_tries_tokens_is_not_listened_to_for_a_while() {
    let desk = Desk::new();
    desk.papers("crm", &desk.authority.certify(&["crm.example"]));
    let callers = vec![desk.with_token("shop", Role::SelfService), with_certificate("crm", Role::Care, "crm.example")];
    let node = desk.node(callers, |_| {}).await;
    let right = desk.channel(&node, None, Some(&desk.token("shop"))).await;
    assert_eq!(code(&right, GET).await, Code::InvalidArgument);
    for number in 0..10 {
        let guess = format!("shop-{number}{}", "0123456789abcdef".repeat(2));
        let channel = desk.channel(&node, None, Some(&guess)).await;
        refused(call(&channel, GET).await, Code::Unauthenticated, "the token is no caller's");
    }
    // Not even the right one: else the eleventh guess would still be told from a wrong one.
    let status = call(&right, GET).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().starts_with("too many wrong credentials from this address: try again in "), "{status:?}");
    // A certificate cannot be guessed.
    let crm = desk.channel(&node, Some("crm"), None).await;
    assert_eq!(code(&crm, GET).await, Code::InvalidArgument);
}

#[tokio::test]
async fn a_node_does_not_start_in_the_open() {
    let desk = Desk::new();
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let start = async |change: &dyn Fn(&mut Config)| {
        let directory = tempfile::tempdir().unwrap();
        let mut config = support::config(directory.path(), DEMO_CATALOG, 1);
        config.grpc.listen = everywhere;
        change(&mut config);
        match Node::start(config).await {
            Ok(node) => node.stop().await.map(|()| String::new()).unwrap(),
            Err(error) => format!("{error:#}"),
        }
    };
    let told = start(&|_| {}).await;
    assert!(told.contains("`listen` is 0.0.0.0:0: the API moves money, so without TLS"), "{told}");
    let told = start(&|config| config.grpc.caller = vec![desk.with_token("shop", Role::SelfService)]).await;
    assert!(told.contains("so without TLS it listens on loopback only"), "{told}");
    let told = start(&|config| desk.secure(config)).await;
    assert!(told.contains("beyond loopback the API serves only whom it knows"), "{told}");
    let told = start(&|config| {
        desk.secure(config);
        config.grpc.caller = vec![with_certificate("crm", Role::Care, "crm.example")];
    })
    .await;
    assert_eq!(told, "");
}

/// `tollgate` with these words and variables.
pub(crate) fn tollgate(words: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.args(words).envs(variables.iter().copied()).output().unwrap()
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn verbs_prove_who_calls() {
    let desk = Desk::new();
    desk.papers("crm", &desk.authority.certify(&["crm.example"]));
    desk.papers(
        "expired",
        &desk.authority.certify_as(&["crm.example"], |params| {
            (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        }),
    );
    desk.write("foreign.pem", &Authority::new().pem());
    let callers = vec![desk.with_token("shop", Role::SelfService), with_certificate("crm", Role::Care, "crm.example")];
    let node = desk.node(callers, |_| {}).await;
    let (token, wrong) = (desk.token("shop"), "wrong-wrong-wrong-wrong-wrong-wrong-");
    let url = format!("https://localhost:{}", node.node.grpc.port());
    let path = |name: &str| desk.path(name).to_str().unwrap().to_owned();
    let (ca, foreign) = (path("ca.pem"), path("foreign.pem"));
    let (cert, key, file) = (path("crm.pem"), path("crm.key"), path("shop.token"));
    let expired = (path("expired.pem"), path("expired.key"));
    let secured = ["--server", &url, "--ca", &ca];
    let run = |verb: &[&str], more: &[&str], variables: &[(&str, &str)]| tollgate(&[verb, more].concat(), variables);
    let get = ["account", "get", "8613900000001"];
    let adjust = ["adjust", "8613900000001", "1.00", "--reason", "test"];

    let by_file = run(&get, &[&secured[..], &["--token-file", &file]].concat(), &[]);
    assert!(by_file.status.success(), "{}", said(&by_file));
    assert!(run(&get, &secured, &[("TOLLGATE_TOKEN", &token)]).status.success());
    let by_certificate = [&secured[..], &["--cert", &cert, "--key", &key]].concat();
    let adjusted = run(&adjust, &by_certificate, &[]);
    assert!(adjusted.status.success(), "{}", said(&adjusted));
    assert_eq!(node.balance(2).0, 101_000_000);

    let elsewhere = "http://192.0.2.1:50051";
    for (more, variables, told) in [
        (vec![], vec![], "UNAUTHENTICATED: who calls? neither a client certificate nor".to_owned()),
        (vec![], vec![("TOLLGATE_TOKEN", wrong)], "UNAUTHENTICATED: the token is no caller's".into()),
        (
            vec![],
            vec![("TOLLGATE_TOKEN", "short")],
            "TOLLGATE_TOKEN: the variable TOLLGATE_TOKEN holds 5 octets".into(),
        ),
        (vec!["--token-file", "/none"], vec![], "--token-file: /none: cannot be read: ".into()),
        (vec!["--cert", &cert], vec![], "--cert needs its private key: --key FILE".into()),
        (vec!["--key", &key], vec![], "--key needs its certificate: --cert FILE".into()),
        (
            vec!["--cert", &cert, "--key", &expired.1],
            vec![],
            format!("`--key`: {}: is not the key of `--cert`", expired.1),
        ),
        (vec!["--cert", &expired.0, "--key", &expired.1], vec![], "CertificateExpired".into()),
        (vec!["--ca", &foreign], vec![], "invalid peer certificate: ".into()),
        (vec!["--ca", &key], vec![], format!("`--ca`: {key}: has no certificate in PEM form")),
        (
            vec!["--server", "http://127.0.0.1:1"],
            vec![],
            "--ca is for https://, and --server is http://127.0.0.1:1".into(),
        ),
    ] {
        // What comes later on the line counts.
        let more: Vec<&str> = match more.first() {
            Some(&"--ca") => [&["--server", &url][..], &more].concat(),
            Some(&"--server") => [&more[..], &["--ca", &ca]].concat(),
            _ => [&secured[..], &more].concat(),
        };
        let output = run(&get, &more, &variables);
        let line = said(&output);
        assert!(!output.status.success() && line.contains(&told), "{more:?}: {line}");
        assert!(!line.contains(wrong) && line.lines().count() == 1, "{line}");
    }
    let denied = run(&adjust, &[&secured[..], &["--token-file", &file]].concat(), &[]);
    assert!(
        said(&denied).contains("PERMISSION_DENIED: caller `shop` (self-service) may not call"),
        "{}",
        said(&denied)
    );
    let plain = run(&get, &["--server", elsewhere], &[("TOLLGATE_TOKEN", &token)]);
    assert!(said(&plain).contains("http://192.0.2.1:50051 would carry the token in clear"), "{}", said(&plain));
    let without = run(&get, &["--server", &url], &[]);
    assert!(said(&without).contains("needs --ca FILE"), "{}", said(&without));
    // Help shows values of variables; not this one.
    let help = tollgate(&["account", "get", "--help"], &[("TOLLGATE_TOKEN", &token)]);
    let help = String::from_utf8_lossy(&help.stdout);
    assert!(help.contains("TOLLGATE_TOKEN") && !help.contains(&token), "{help}");
}

/// Writes the configuration of a process with TLS and two callers; `listen` is without port.
fn configure(desk: &Desk, directory: &Path, grpc: &str) {
    let path = |name: &str| desk.path(name).to_str().unwrap().to_owned();
    let callers = format!(
        "level = \"trace\"\n[grpc.tls]\ncertificate = \"{}\"\nkey = \"{}\"\nclient_ca = \"{}\"\n\
         [[grpc.caller]]\nname = \"crm\"\nrole = \"care\"\ncertificate = \"crm.example\"\n\
         [[grpc.caller]]\nname = \"shop\"\nrole = \"self-service\"\ntoken_env = \"SHOP_TOKEN\"\n",
        path("server.pem"),
        path("server.key"),
        path("ca.pem")
    );
    process::configure(directory, 2, "1.00", &callers);
    let file = directory.join("tollgate.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("[grpc]\nlisten = \"127.0.0.1:0\"", grpc)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_counts_refusals_and_tells_no_secrets() {
    let (desk, directory) = (Desk::new(), tempfile::tempdir().unwrap());
    desk.papers("crm", &desk.authority.certify(&["crm.example"]));
    configure(&desk, directory.path(), "[grpc]\nlisten = \"127.0.0.1:0\"");
    let (token, wrong) = (desk.token("shop"), "wrong-wrong-wrong-wrong-wrong-wrong-");
    let mut process = Process::of(process::command_with(directory.path(), &[("SHOP_TOKEN", &token)]));
    let grpc = process.serving().grpc;
    let url = format!("https://localhost:{}", grpc.port());
    let ca = desk.path("ca.pem");
    let pems = || ClientPems::read(("ca", &ca), None).unwrap();
    let channel = endpoint(&url, Some(pems())).unwrap().connect().await.unwrap();
    let with = |token| Channel::new(channel.clone(), bearer(token));
    assert_eq!(code(&with(Some(&token)), GET).await, Code::InvalidArgument);
    assert_eq!(code(&with(Some(&token)), ADJUST).await, Code::PermissionDenied);
    assert_eq!(code(&with(Some(wrong)), ADJUST).await, Code::Unauthenticated);
    assert_eq!(code(&with(None), "/x.Y/8613900000001").await, Code::Unauthenticated);

    let denied = process.line("gRPC call refused: caller `shop`");
    assert_eq!(
        (&denied["caller"], &denied["method"], &denied["reason"]),
        (&"shop".into(), &"tollgate.v1.BalanceService/Adjust".into(), &"role".into())
    );
    assert!(denied["address"].as_str().unwrap().starts_with("127.0.0.1:"), "{denied}");
    let unknown = process.line("gRPC call refused: the token is no caller's");
    assert_eq!((&unknown["caller"], &unknown["reason"]), (&"none".into(), &"wrong_token".into()));
    let stranger = process.line("gRPC call refused: who calls?");
    assert_eq!((&stranger["method"], &stranger["reason"]), (&"unknown".into(), &"no_credentials".into()));

    let metrics = process.get("/metrics");
    for line in [
        "tollgate_grpc_refused_total{reason=\"role\",caller=\"shop\"} 1",
        "tollgate_grpc_refused_total{reason=\"wrong_token\",caller=\"none\"} 1",
        "tollgate_grpc_refused_total{reason=\"no_credentials\",caller=\"none\"} 1",
    ] {
        assert!(metrics.lines().any(|told| told == line), "no `{line}` in\n{metrics}");
    }
    process.terminate();
    let (status, log) = process.ended();
    assert!(status.success() && log.contains("TRACE"), "{log}");
    for secret in [token.as_str(), wrong, "8613900000001"] {
        assert!(!log.contains(secret) && !metrics.contains(secret), "{secret} is in\n{log}\n{metrics}");
    }
}

#[test]
fn check_and_serve_refuse_the_same() {
    let (desk, directory) = (Desk::new(), tempfile::tempdir().unwrap());
    let file = directory.path().join("tollgate.toml");
    let file = file.to_str().unwrap();
    let token = desk.token("shop");
    process::configure(directory.path(), 1, "1.00", "");
    let text = fs::read_to_string(file).unwrap();
    fs::write(file, text.replace("[grpc]\nlisten = \"127.0.0.1:0\"", "[grpc]\nlisten = \"0.0.0.0:0\"")).unwrap();
    for verb in ["check", "serve"] {
        let output = tollgate(&[verb, "--config", file], &[]);
        let told = said(&output);
        assert!(!output.status.success() && told.contains("tollgate.toml:5:1: `listen` is 0.0.0.0:0: "), "{told}");
    }
    configure(&desk, directory.path(), "[grpc]\nlisten = \"0.0.0.0:0\"");
    for verb in ["check", "serve"] {
        let output = tollgate(&[verb, "--config", file], &[]);
        let told = said(&output);
        let why = "caller `shop`: `token_env`: the variable SHOP_TOKEN is not set";
        assert!(!output.status.success() && told.contains(why), "{told}");
    }
    let output = tollgate(&["check", "--config", file], &[("SHOP_TOKEN", &token)]);
    assert!(output.status.success(), "{}", said(&output));
    let text = fs::read_to_string(file).unwrap();
    for (right, wrong, told) in [
        ("server.key", "ca.pem", "`key`: {}: has no private key in PEM form"),
        ("server.key", "other.key", "`key`: {}: is not the key of `certificate`"),
        ("server.pem", "none.pem", "`certificate`: {}: cannot be read: "),
        ("ca.pem", "server.key", "`client_ca`: {}: has no certificate in PEM form"),
    ] {
        desk.papers("other", &desk.authority.certify(&["localhost"]));
        fs::write(file, text.replace(desk.path(right).to_str().unwrap(), desk.path(wrong).to_str().unwrap())).unwrap();
        let output = tollgate(&["check", "--config", file], &[("SHOP_TOKEN", &token)]);
        let told = told.replace("{}", desk.path(wrong).to_str().unwrap());
        assert!(!output.status.success() && said(&output).contains(&told), "{told}: {}", said(&output));
    }
}

/// A sink that writes down who has delivered.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<(String, bool)>>>);

#[tonic::async_trait]
impl ProvisioningSink for Sink {
    async fn deliver(&self, request: Request<v1::DeliverRequest>) -> Result<Response<v1::DeliverResponse>, Status> {
        let token = request.metadata().get("authorization").map(|value| value.to_str().unwrap().to_owned());
        let shown = request.peer_certs().is_some_and(|certificates| !certificates.is_empty());
        self.0.lock().unwrap().push((token.unwrap_or_default(), shown));
        Ok(Response::new(v1::DeliverResponse {}))
    }
}

#[tokio::test]
async fn events_are_pushed_over_tls_with_certificate_and_token() {
    let desk = Desk::new();
    desk.papers("ocs", &desk.authority.certify(&["ocs1.tollgate.example"]));
    let token = desk.token("push");
    let read = |name: &str| fs::read(desk.path(name)).unwrap();
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(read("server.pem"), read("server.key")))
        .client_ca_root(Certificate::from_pem(read("ca.pem")));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let sink = Sink::default();
    let server = Server::builder().tls_config(tls).unwrap().add_service(ProvisioningSinkServer::new(sink.clone()));
    let serving = tokio::spawn(server.serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener)));
    let node = TestNode::start(DEMO_CATALOG, |config| {
        let events = &mut config.events;
        events.push = format!("https://localhost:{port}");
        events.push_token_file = desk.path("push.token");
        events.push_tls.ca = desk.path("ca.pem");
        (events.push_tls.certificate, events.push_tls.key) = (desk.path("ocs.pem"), desk.path("ocs.key"));
    })
    .await;
    node.top_up(1, 1_000_000, "receipt-1");
    let wait = async {
        while sink.0.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(process::PATIENCE, wait).await.expect("nothing was pushed");
    assert_eq!(sink.0.lock().unwrap()[0], (format!("Bearer {token}"), true));
    serving.abort();
}
