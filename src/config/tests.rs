//! The shipped files load; each kind of mistake is told with its place and what would be right.

use std::path::{Path, PathBuf};

use super::*;
use crate::units::Money;

const NO_VARIABLES: [(&str, &str); 0] = [];

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name)
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Some(Path::new("t.toml")), &NO_VARIABLES)
}

/// The whole report on a text.
fn report(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

fn with(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::parse("", None, &VariableList(variables))
}

struct VariableList<'a>(&'a [(&'a str, &'a str)]);

impl Environment for VariableList<'_> {
    fn variables(&self) -> Vec<(OsString, OsString)> {
        self.0.variables()
    }
}

#[test]
fn documented_defaults_are_the_defaults() {
    let loaded = Config::load(Some(&shipped("tollgate.toml")), &NO_VARIABLES).unwrap();
    let mut expected = Config::default();
    expected.catalog.file = shipped("demo/catalog.toml");
    assert_eq!(loaded, expected);
}

// tests: B-180
#[test]
fn the_registered_ports_are_the_defaults() {
    let diameter = Diameter::default();
    let ports = |listen: &Listen| listen.endpoints().iter().map(|endpoint| endpoint.address.port()).collect::<Vec<_>>();
    assert_eq!((ports(&diameter.listen), ports(&diameter.tls.listen)), (vec![3868], vec![5868]));
    let other = parse("[diameter.tls]\nlisten = \"[::1]:5658\"\n").unwrap();
    assert_eq!(ports(&other.diameter.tls.listen), [5658]);
}

#[test]
fn tables_inside_a_section_are_checked_and_overridden_key_by_key() {
    let text = "[diameter.tls]\nlisen = 1\nlisten = \"x\"\n";
    assert_eq!(
        report(text),
        "t.toml:2:1: unknown key `lisen`; did you mean `listen`?\n\
         t.toml:3:1: `listen`: `x` is not an address and a port such as 127.0.0.1:3868 or [::1]:3868"
    );
    assert_eq!(report("[diameter]\ntls = 1\n"), "t.toml:2:1: write `[diameter.tls]` and the keys below it");
    let config = with(&[("TOLLGATE__DIAMETER__TLS__LISTEN", "127.0.0.1:1")]).unwrap();
    assert_eq!(config.diameter.tls.listen, "127.0.0.1:1".parse::<std::net::SocketAddr>().unwrap().into());
    assert_eq!(
        with(&[("TOLLGATE__DIAMETER__TLS__KEI", "x")]).unwrap_err().to_string(),
        "TOLLGATE__DIAMETER__TLS__KEI: unknown key `kei` in [diameter.tls]; did you mean `key`?"
    );
}

#[test]
fn how_peers_are_reached_must_make_sense() {
    let text = "[diameter]\nidle_secs = 60\npeers = [\n{ origin_host = \"*.a.example\", connect = \"a\" },\n\
                { origin_host = \"b.example\", tls = true },\n{ origin_host = \"OCS1.tollgate.example\", connect = \"c\" },\n\
                { origin_host = \"d.example\", connect = \"d:x\" },\n]\n[diameter.tls]\nlisten = []\n";
    assert_eq!(
        report(text),
        "t.toml:7:1: peer 4: `d:x` is not `host`, `host:port`, `[address]:port` or a URI `aaa://host:port`"
    );
    assert_eq!(
        report(&text.replace("d:x", "d:1").replace("listen = []", "key = \"k\"\nlisten = \"sctp://[::1]:1\"")),
        "t.toml:2:1: `idle_secs` is 60, must be 0 (never) or 300 to 86400\n\
         t.toml:4:32: peer `*.a.example`: `connect` needs the one Origin-Host that answers there, not a pattern\n\
         t.toml:5:30: peer `b.example`: `tls` needs certificates: fill in [diameter.tls]\n\
         t.toml:6:42: peer `OCS1.tollgate.example` is this node itself\n\
         t.toml:9:11: `certificate` is empty: TLS needs `certificate`, `key` and `ca`, or none of them\n\
         t.toml:9:11: `ca` is empty: TLS needs `certificate`, `key` and `ca`, or none of them\n\
         t.toml:11:1: `listen`: TLS goes over TCP only; DTLS over SCTP is not built in"
    );
}

#[test]
fn limits_of_approval_must_make_sense() {
    let config = with(&[("TOLLGATE__APPROVAL__CHANGES", "0"), ("TOLLGATE__APPROVAL__MONEY", "0.5")]).unwrap();
    let half = Money::from_micros(500_000);
    let needed = |changes, micros| config.approval.is_needed(changes, Money::from_micros(micros));
    assert_eq!((config.approval.changes, config.approval.money, config.approval.expires_hours), (0, half, 72));
    assert_eq!([needed(0, 500_000), needed(1, 0), needed(0, 500_001)], [false, true, true]);
    assert_eq!(
        report("[approval]\nmoney = \"-1.00\"\nexpires_hours = 721\n"),
        "t.toml:2:1: `money` is -1.00, must not be below 0\n\
         t.toml:3:1: `expires_hours` is 721, must be 1 to 720"
    );
}

#[test]
fn documented_file_names_every_key() {
    let text = fs::read_to_string(shipped("tollgate.toml")).unwrap();
    let written: toml::Table = text.parse().unwrap();
    let all = toml::Table::try_from(Config::default()).unwrap();
    for (section, keys) in &all {
        let (keys, written) = (keys.as_table().unwrap(), written[section].as_table().unwrap());
        assert_eq!(keys.keys().collect::<Vec<_>>(), written.keys().collect::<Vec<_>>(), "[{section}]");
    }
}

#[test]
fn demo_and_bench_load_and_differ_in_subscribers_only() {
    let demo = Config::load(Some(&shipped("demo/tollgate.toml")), &NO_VARIABLES).unwrap();
    let mut bench = Config::load(Some(&shipped("bench/tollgate.toml")), &NO_VARIABLES).unwrap();
    assert_eq!((demo.seed.subscribers, demo.seed.balance), (10_000, Money::from_micros(100_000_000)));
    assert_eq!((bench.seed.subscribers, bench.seed.balance), (100_000, Money::from_micros(1_000_000_000_000)));
    assert_eq!(bench.catalog.file, shipped("bench/../demo/catalog.toml"));
    assert_eq!(demo.catalog.file, shipped("demo/catalog.toml"));
    bench.seed = demo.seed.clone();
    bench.catalog = demo.catalog.clone();
    bench.store.directory = demo.store.directory.clone();
    assert_eq!(bench, demo);
}

#[test]
fn unknown_keys_and_sections_name_the_nearest() {
    let text = "[diameter]\nlisen = \"127.0.0.1:1\"\n\n[stor]\npartitions = 4\n[http]\n  zebra = 1\n";
    assert_eq!(
        report(text),
        "t.toml:2:1: unknown key `lisen`; did you mean `listen`?\n\
         t.toml:4:2: unknown section `stor`; did you mean `store`?\n\
         t.toml:7:3: unknown key `zebra`; known: listen"
    );
}

#[test]
fn wrong_types_are_all_reported() {
    let text = "[store]\npartitions = \"many\"\nsegment_mb = -1\n[seed]\nbalance = \"1.2.3\"\n[log]\nformat = \"xml\"\n\
                [diameter]\nlisten = \"localhost\"\npeers = [1]\n";
    assert_eq!(
        report(text),
        "t.toml:2:1: `partitions`: invalid type: string \"many\", expected u16\n\
         t.toml:3:1: `segment_mb`: invalid value: integer `-1`, expected u64\n\
         t.toml:5:1: `balance`: `1.2.3` is not an amount: write a plain decimal number such as 12.34\n\
         t.toml:7:1: `format`: unknown variant `xml`, expected `text` or `json`\n\
         t.toml:9:1: `listen`: `localhost` is not an address and a port such as 127.0.0.1:3868 or [::1]:3868\n\
         t.toml:10:1: `peers`: write a list of tables, each `{ origin_host = \"...\" }`"
    );
}

#[test]
fn peers_are_checked_one_by_one() {
    let text = "[[diameter.peers]]\norigin_host = \"a.example\"\nprofil = \"generic\"\n\
                [[diameter.peers]]\nprofile = \"generic\"\n\
                [[diameter.peers]]\norigin_host = \"b.example\"\nprofile = \"zte\"\n";
    assert_eq!(
        report(text),
        "t.toml:3:1: unknown key `profil`; did you mean `profile`?\n\
         t.toml:4:1: peer 2: missing field `origin_host`\n\
         t.toml:6:1: peer 3: unknown variant `zte`, expected one of `generic`, `open5gs`, `magma`, `cisco`, `nokia`, \
         `huawei`"
    );
    let text = "[diameter]\npeers = [{ origin_host = \"*\" }, { origin_host = \"a\" }, { origin_host = \"A\" }]\n";
    assert_eq!(
        report(text),
        "t.toml:2:12: peer `*`: write a host or realm name: letters, digits, `.`, `-` and `_`\n\
         t.toml:2:58: peer `A` is listed twice"
    );
}

#[test]
fn broken_syntax_names_its_place() {
    let report = report("[store]\npartitions = \n");
    assert!(report.starts_with("t.toml:2:14: "), "{report}");
    assert_eq!(parse("[store]\n[store]\n").unwrap_err().problems().len(), 1);
}

#[test]
fn rules_are_reported_together_with_their_lines() {
    let text = "[diameter]\nwatchdog_secs = 5\norigin_host = \"\"\n[store]\npartitions = 5000\nsession_memory_secs = 10\n\
                [events]\npush = \"sink:1\"\n[seed]\nfirst_imsi = \"46x\"\nbalance = \"-1\"\n";
    assert_eq!(
        report(text),
        "t.toml:2:1: `watchdog_secs` is 5, must be 6 to 3600\n\
         t.toml:3:1: `origin_host` is ``: is empty\n\
         t.toml:5:1: `partitions` is 5000, must be 0 to 4096\n\
         t.toml:6:1: `session_memory_secs` is 10, must be 240 to 86400\n\
         t.toml:8:1: `push` is `sink:1`: write https://HOST:PORT, or http:// on loopback, or \"\" for none\n\
         t.toml:10:1: `first_imsi` is `46x`, must be 1 to 18 digits\n\
         t.toml:11:1: `balance` is -1.00, must not be negative"
    );
}

#[test]
fn grpc_beyond_loopback_needs_tls_and_callers() {
    let text = "[grpc]\nlisten = \"0.0.0.0:50051\"\n";
    assert_eq!(
        report(text),
        "t.toml:2:1: `listen` is 0.0.0.0:50051: the API moves money, so without TLS it listens on loopback only: fill in \
         [grpc.tls], or listen on 127.0.0.1 or [::1]"
    );
    let tls = "[grpc.tls]\ncertificate = \"c\"\nkey = \"k\"\n";
    assert_eq!(
        report(&format!("{text}{tls}")),
        "t.toml:2:1: `listen` is 0.0.0.0:50051: beyond loopback the API serves only whom it knows: add [[grpc.caller]] for \
         each, with its role"
    );
    let caller = "[[grpc.caller]]\nname = \"a\"\nrole = \"care\"\ntoken_env = \"A\"\n";
    assert!(report(&format!("{text}{caller}")).contains("without TLS it listens on loopback only"));
    assert!(parse(&format!("{text}{tls}{caller}")).is_ok());
    for loopback in ["[::1]:50051", "127.0.0.1:0", "127.1.2.3:1"] {
        assert!(parse(&format!("[grpc]\nlisten = \"{loopback}\"\n")).is_ok(), "{loopback}");
    }
    assert!(report("[grpc]\nlisten = \"[::]:50051\"\n").contains("loopback only"));
}

#[test]
fn callers_must_be_who_they_seem() {
    let text = "[grpc.tls]\nclient_ca = \"ca\"\n\
                [[grpc.caller]]\nname = \"crm\"\nrole = \"care\"\ncertificate = \"crm.example\"\n\
                [[grpc.caller]]\nname = \"CRM\"\nroles = [\"care\"]\nrole = \"operator\"\ncertificate = \"Crm.example\"\n\
                [[grpc.caller]]\nname = \"local\"\ncertificate = \"*.example\"\n\
                [[grpc.caller]]\nname = \"a b\"\nrole = \"auditor\"\ntoken_file = \"\"\ntoken_env = \"TOLLGATE__X\"\n\
                [[grpc.caller]]\nname = \"idle\"\nrole = \"auditor\"\n";
    assert_eq!(
        report(text),
        "t.toml:1:7: `certificate` is empty: TLS needs `certificate` and `key`, or neither of them\n\
         t.toml:1:7: `key` is empty: TLS needs `certificate` and `key`, or neither of them\n\
         t.toml:8:1: caller `CRM`: is listed twice\n\
         t.toml:9:1: caller `CRM`: write `role` or `roles`, not both\n\
         t.toml:11:1: caller `CRM`: caller `crm` has the same `certificate`\n\
         t.toml:12:1: caller `local`: `role` is missing: self-service, provisioning, care, operator, auditor\n\
         t.toml:13:1: caller `local`: `name` is one that the API itself gives: choose another\n\
         t.toml:14:1: caller `local`: `certificate` is `*.example`: write the one name that its certificate has\n\
         t.toml:16:1: caller `a b`: `name` must be 1 to 64 letters, digits, `.`, `-`, `_` and `@`\n\
         t.toml:18:1: caller `a b`: `token_file` is empty\n\
         t.toml:19:1: caller `a b`: there is `token_file` already: leave one of them out\n\
         t.toml:19:1: caller `a b`: `token_env` is `TOLLGATE__X`: name a variable, and none that begins with TOLLGATE__\n\
         t.toml:21:1: caller `idle`: nothing proves who it is: write `certificate`, `token_file` or `token_env`"
    );
    assert_eq!(
        report("[[grpc.caller]]\nname = \"a\"\nrole = \"care\"\ncertificate = \"a\"\n"),
        "t.toml:4:1: caller `a`: `certificate` needs an authority that it comes from: fill in `client_ca` of [grpc.tls]"
    );
    assert_eq!(
        report("[grpc.tls]\ncertificate = \"c\"\nkey = \"k\"\nclient_ca = \"ca\"\n"),
        "t.toml:4:1: `client_ca`: no caller proves itself by a certificate: give a [[grpc.caller]] its `certificate`, or \
         leave this out"
    );
    assert_eq!(
        report(
            "[grpc]\ncaller = [{ name = \"a\", role = \"root\" }, { role = \"care\" }, { name = \"b\", rol = 1 }]\n"
        ),
        "t.toml:2:11: caller 1: unknown variant `root`, expected one of `self-service`, `provisioning`, `care`, `operator`, \
         `auditor`\n\
         t.toml:2:42: caller 2: missing field `name`\n\
         t.toml:2:75: unknown key `rol`; did you mean `role`?"
    );
    assert_eq!(
        report("[grpc]\ncaller = 1\n"),
        "t.toml:2:1: `caller`: write a list of tables, each `{ name = \"...\" }`"
    );
}

#[test]
fn secrets_are_not_written_down_and_not_repeated() {
    let told = report("[[grpc.caller]]\nname = \"a\"\ntoken = \"s3cret\"\n[events]\npush_token = \"s3cret\"\n");
    assert_eq!(
        told,
        "t.toml:3:1: unknown key `token`: secrets are not written here; `token_file` names a file, `token_env` an \
         environment variable\n\
         t.toml:5:1: unknown key `push_token`: secrets are not written here; `push_token_file` names a file, \
         `push_token_env` an environment variable"
    );
}

#[test]
fn tokens_are_looked_at_and_not_told() {
    const TOKEN: &str = "0123456789abcdef0123456789abcdef";
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.toml");
    fs::write(directory.path().join("catalog.toml"), "").unwrap();
    fs::write(directory.path().join("open"), TOKEN).unwrap();
    fs::set_permissions(directory.path().join("open"), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let caller =
        |name: &str, token: &str| format!("[[grpc.caller]]\nname = \"{name}\"\nrole = \"care\"\ntoken_{token}\"\n");
    let text = caller("a", "env = \"A")
        + &caller("b", "env = \"B")
        + &caller("c", "file = \"open")
        + &caller("d", "env = \"D");
    fs::write(&path, text + "[events]\npush_token_env = \"PUSH\"\n").unwrap();
    let variables = [("A", TOKEN), ("B", TOKEN), ("PUSH", "short")];
    let told = Config::load(Some(&path), &variables).unwrap_err().to_string();
    assert!(!told.contains(TOKEN), "{told}");
    let told = told.replace(directory.path().to_str().unwrap(), "");
    assert_eq!(
        told,
        "/t.toml:5:1: caller `b`: its token is that of caller `a`\n\
         /t.toml:12:1: caller `c`: `token_file`: /open: everyone on this machine may open it (mode 644): chmod o= /open\n\
         /t.toml:16:1: caller `d`: `token_env`: the variable D is not set\n\
         /t.toml:18:1: `push_token_env`: the variable PUSH holds 5 octets, must be at least 32: make one with `openssl rand \
         -hex 32`"
    );
}

#[test]
fn events_leave_this_machine_over_tls_only() {
    let text = "[events]\npush = \"http://sink.example:1\"\npush_token_file = \"f\"\npush_token_env = \"E\"\n";
    assert_eq!(
        report(text),
        "t.toml:2:1: `push` is `http://sink.example:1`: events name subscribers, so they go in clear on loopback only: write \
         https:// and fill in [events.push_tls]\n\
         t.toml:4:1: `push_token_env`: there is `push_token_file` already: leave one of them out"
    );
    assert_eq!(
        report("[events]\npush = \"https://sink.example:1\"\n[events.push_tls]\nkey = \"k\"\n"),
        "t.toml:3:9: `ca` is empty: https:// needs the authority that the sink's certificate comes from\n\
         t.toml:3:9: `certificate` is empty: write `certificate` and `key`, or neither"
    );
    assert!(parse("[events]\npush = \"http://127.0.0.1:1\"\n").is_ok());
    assert!(parse("[events]\npush = \"https://sink.example:1\"\n[events.push_tls]\nca = \"ca\"\n").is_ok());
}

#[test]
fn variables_override_and_are_toml_where_they_can_be() {
    let config = with(&[
        ("TOLLGATE__DIAMETER__LISTEN", "[\"127.0.0.1:1\", \"[::1]:2\"]"),
        ("TOLLGATE__DIAMETER__PEERS", "[{ origin_host = \"a.example\", profile = \"nokia\" }]"),
        ("TOLLGATE__DIAMETER__ACCEPT_UNKNOWN_PEERS", "true"),
        ("TOLLGATE__HTTP__LISTEN", "127.0.0.1:9"),
        ("TOLLGATE__STORE__DIRECTORY", "/srv/t"),
        ("TOLLGATE__STORE__PARTITIONS", "8"),
        ("TOLLGATE__SEED__BALANCE", "12.50"),
        ("TOLLGATE__SEED__FIRST_IMSI", "1234"),
        ("TOLLGATE__LOG__FORMAT", "\"json\""),
        ("TOLLGATE_INTEROP", "required"),
    ])
    .unwrap();
    assert_eq!(config.diameter.listen.endpoints().len(), 2);
    assert_eq!(config.diameter.peers[0].profile, Profile::Nokia);
    assert!(config.diameter.accept_unknown_peers);
    assert_eq!(config.http.listen, "127.0.0.1:9".parse().unwrap());
    assert_eq!((config.store.directory.as_path(), config.store.partitions), (Path::new("/srv/t"), 8));
    assert_eq!(config.seed.balance, "12.5".parse().unwrap());
    assert_eq!(config.seed.first_imsi, "1234");
    assert_eq!(config.log.format, LogFormat::Json);
}

#[test]
fn variables_that_are_wrong_are_named() {
    let error = with(&[
        ("TOLLGATE__DIAMETER__LISEN", "1"),
        ("TOLLGATE__DIAMETR__LISTEN", "1"),
        ("TOLLGATE__STORE", "x"),
        ("TOLLGATE__STORE__PARTITIONS", "many"),
    ])
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "TOLLGATE__DIAMETER__LISEN: unknown key `lisen` in [diameter]; did you mean `listen`?\n\
         TOLLGATE__DIAMETR__LISTEN: unknown section `diametr`; did you mean `diameter`?\n\
         TOLLGATE__STORE: write TOLLGATE__SECTION__KEY\n\
         TOLLGATE__STORE__PARTITIONS: `partitions`: invalid type: string \"many\", expected u16"
    );
    let error = with(&[("TOLLGATE__STORE__PARTITIONS", "5000")]).unwrap_err();
    assert_eq!(error.to_string(), "TOLLGATE__STORE__PARTITIONS: `partitions` is 5000, must be 0 to 4096");
}

#[test]
fn a_missing_file_is_named() {
    let error = Config::load(Some(Path::new("no/such.toml")), &NO_VARIABLES).unwrap_err();
    assert!(error.to_string().starts_with("no/such.toml: cannot be read: "), "{error}");
}

#[test]
fn peers_match_by_name_before_pattern_and_by_the_longer_pattern() {
    let text = "[diameter]\npeers = [{ origin_host = \"*.example\", profile = \"cisco\" }, { origin_host = \
                \"*.pgw.example\", profile = \"open5gs\" }, { origin_host = \"A.pgw.example\", profile = \"nokia\" }]\n";
    let mut diameter = parse(text).unwrap().diameter;
    let profile = |host: &str| diameter.peer(host).map(|peer| peer.profile);
    assert_eq!(profile("a.PGW.example"), Some(Profile::Nokia));
    assert_eq!(profile("b.pgw.example"), Some(Profile::Open5gs));
    assert_eq!(profile("c.example"), Some(Profile::Cisco));
    for refused in ["example", ".example", "badexample", "é.invalid", "\u{e9}xample", ""] {
        assert_eq!(profile(refused), None, "{refused}");
    }
    assert_eq!(diameter.peer("b.pgw.example").unwrap().switches().reauthorise_by, ReauthoriseBy::Validity);
    assert_eq!(diameter.peer("c.example").unwrap().switches().reauthorise_by, ReauthoriseBy::Rar);
    diameter.accept_unknown_peers = true;
    assert_eq!(diameter.peer("stranger"), Some(Peer::generic("stranger")));
}

#[test]
fn every_switch_of_a_peer_is_documented_with_its_value() {
    let text = fs::read_to_string(shipped("tollgate.toml")).unwrap();
    let values = toml::Table::try_from(switches_of_generic()).unwrap();
    for key in Overrides::KEYS {
        let line = format!("#   {key} = {}", values[*key]);
        assert!(text.contains(&line), "config/tollgate.toml lacks `{line}`");
    }
}

/// The values of the generic profile, as an entry would write them.
fn switches_of_generic() -> toml::Table {
    let all = Overrides::all_of(Switches::default());
    toml::Table::try_from(all).unwrap()
}

#[test]
fn switches_of_a_peer_are_checked_like_keys() {
    let text = "[[diameter.peers]]\norigin_host = \"a\"\nany_relm = true\n\
                [[diameter.peers]]\norigin_host = \"b\"\nany_realm = 1\n\
                [[diameter.peers]]\norigin_host = \"c\"\nreauthorise_by = \"asr\"\n";
    assert_eq!(
        report(text),
        "t.toml:3:1: unknown key `any_relm`; did you mean `any_realm`?\n\
         t.toml:4:1: peer 2: invalid type: integer `1`, expected a boolean\n\
         t.toml:7:1: peer 3: unknown variant `asr`, expected `rar` or `validity`"
    );
}

#[test]
fn no_text_panics() {
    use proptest::prelude::*;
    proptest!(|(text in "\\PC{0,80}|(\\[(store|diameter|seed)\\]\n)?[a-z_]{1,12} ?= ?[\\[{\"0-9a-z}\\].]{0,12}\n?")| {
        let _ = parse(&text);
    });
}
