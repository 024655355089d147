//! Which price applies, under which conditions and when.

use crate::{
    rating::{Attributes, Catalog, Domain, Indeterminate, Role, Service},
    time::Timestamp,
};

const BASE: &str = r#"currency = "EUR"
[[context]]
name = "data"
service_context_id = "32251@3gpp.org"
default_service = "internet"
[[service]]
name = "internet"
context = "data"
rating_group = 1
price = "0.10"
per = "1 MB"
"#;

fn catalog(tariffs: &str) -> Catalog {
    let text = if tariffs.contains("currency") { tariffs.to_owned() } else { format!("{BASE}{tariffs}") };
    Catalog::from_toml(&text).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn internet(catalog: &Catalog) -> &Service {
    catalog.service_by_name("internet").unwrap()
}

/// A tariff of this name with these conditions.
fn tariff(name: &str, conditions: &str) -> String {
    format!("[[tariff]]\nservice = \"internet\"\nname = \"{name}\"\nprice = \"0.20\"\nper = \"1 MB\"\n{conditions}\n")
}

fn at(text: &str) -> Timestamp {
    let instant: jiff::Timestamp = text.parse().unwrap();
    Timestamp::from_millis(instant.as_millisecond() as u64)
}

fn name(service: &Service, attributes: &Attributes, moment: Timestamp) -> String {
    service.tariff_at(attributes, moment).map_or("own".into(), |tariff| tariff.name.to_string())
}

/// The next change, as `moment name`.
fn change(service: &Service, moment: &str, within_secs: u64) -> Option<String> {
    let (then, tariff) = service.next_change(&Attributes::default(), at(moment), within_secs)?;
    Some(format!("{then} {}", tariff.map_or("own", |tariff| &tariff.name)))
}

fn problems(text: &str) -> Vec<String> {
    let problems = Catalog::from_toml(text).unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn a_service_without_tariffs_needs_to_know_nothing() {
    let catalog = catalog("");
    let context = catalog.context("32251@3gpp.org").unwrap();
    assert!(!catalog.reads_attributes(context));
    let service = internet(&catalog);
    assert_eq!(service.tariff_at(&Attributes::default(), at("2026-01-01T00:00:00Z")), None);
    assert_eq!(service.next_change(&Attributes::default(), at("2026-01-01T00:00:00Z"), 1 << 40), None);
    assert_eq!(service.triggers(), [0; 0]);
    let demo = Catalog::from_toml(include_str!("../../../config/demo/catalog.toml")).unwrap();
    assert!(!demo.reads_attributes(demo.context("32251@3gpp.org").unwrap()));
}

/// A window of the day goes past midnight, and belongs to the day on which it began.
#[test]
fn times_of_day() {
    let catalog = catalog(
        &(tariff("late", "from = \"20:00\"\nto = \"06:00\"\ndays = [\"fri\", \"sat\"]")
            + &tariff("evening", "from = \"18:00\"\nto = \"24:00\"")
            + &tariff("sunday", "days = \"sun\"")),
    );
    let service = internet(&catalog);
    let on = |moment| name(service, &Attributes::default(), at(moment));
    // 2026-01-02 is a Friday.
    for (moment, name) in [
        ("2026-01-02T00:00:00Z", "own"),
        ("2026-01-02T17:59:59Z", "own"),
        ("2026-01-02T18:00:00Z", "evening"),
        ("2026-01-02T20:00:00Z", "late"),
        ("2026-01-03T05:59:59Z", "late"),
        ("2026-01-03T06:00:00Z", "own"),
        ("2026-01-04T05:59:59Z", "late"),
        ("2026-01-04T06:00:00Z", "sunday"),
        ("2026-01-04T19:00:00Z", "evening"),
        ("2026-01-05T00:00:00Z", "own"),
        ("2026-01-01T23:59:59.999Z", "evening"),
    ] {
        assert_eq!(on(moment), name, "{moment}");
    }
}

/// What the clock on the wall shows decides, when it is put forward and back too.
// tests: C-60, G-94
#[test]
fn changes_of_the_clock() {
    let text = format!("time_zone = \"Europe/Berlin\"\n{BASE}{}", tariff("night", "from = \"02:30\"\nto = \"06:00\""));
    let catalog = Catalog::from_toml(&text).unwrap();
    let service = internet(&catalog);
    let day = 86_400;
    // Winter, UTC+1.
    assert_eq!(change(service, "2026-01-01T00:00:00Z", day).unwrap(), "2026-01-01T01:30:00.000Z night");
    assert_eq!(change(service, "2026-01-01T01:30:00Z", day).unwrap(), "2026-01-01T05:00:00.000Z own");
    // 2026-03-29: 02:00 becomes 03:00, there is no 02:30.
    assert_eq!(change(service, "2026-03-28T23:00:00Z", day).unwrap(), "2026-03-29T01:00:00.000Z night");
    assert_eq!(change(service, "2026-03-29T01:00:00Z", day).unwrap(), "2026-03-29T04:00:00.000Z own");
    // 2026-10-25: 03:00 becomes 02:00, 02:30 comes twice.
    let mut moment = "2026-10-25T00:00:00Z".to_owned();
    let mut seen = Vec::new();
    for _ in 0..4 {
        let next = change(service, &moment, day).unwrap();
        moment = next.split(' ').next().unwrap().to_owned();
        seen.push(next);
    }
    assert_eq!(
        seen,
        [
            "2026-10-25T00:30:00.000Z night",
            "2026-10-25T01:00:00.000Z own",
            "2026-10-25T01:30:00.000Z night",
            "2026-10-25T05:00:00.000Z own",
        ]
    );
}

#[test]
fn the_next_change_is_one_that_changes_the_price() {
    let catalog = catalog(
        &(tariff("a", "from = \"10:00\"\nto = \"12:00\"")
            + &tariff("b", "from = \"08:00\"\nto = \"11:00\"\ndays = \"mon\"")),
    );
    let service = internet(&catalog);
    // 2026-01-05 is a Monday: b from 8, a from 10 to 12; 11 changes nothing.
    assert_eq!(change(service, "2026-01-05T07:00:00Z", 86_400).unwrap(), "2026-01-05T08:00:00.000Z b");
    assert_eq!(change(service, "2026-01-05T08:00:00Z", 86_400).unwrap(), "2026-01-05T10:00:00.000Z a");
    assert_eq!(change(service, "2026-01-05T10:00:00Z", 86_400).unwrap(), "2026-01-05T12:00:00.000Z own");
    assert_eq!(change(service, "2026-01-05T10:00:00Z", 7_199), None);
    assert_eq!(change(service, "2026-01-05T10:00:00Z", 7_200).unwrap(), "2026-01-05T12:00:00.000Z own");
    // However long the grant lives, a week is looked through.
    let weekly = self::catalog(&tariff("c", "days = \"mon\""));
    assert_eq!(
        change(internet(&weekly), "2026-01-06T00:00:00Z", u64::from(u32::MAX)).unwrap(),
        "2026-01-12T00:00:00.000Z c"
    );
    // No clock shows these.
    assert_eq!(internet(&weekly).tariff_at(&Attributes::default(), Timestamp::from_millis(u64::MAX)), None);
    assert_eq!(internet(&weekly).next_change(&Attributes::default(), Timestamp::from_millis(u64::MAX), 60), None);
}

// tests: G-94
#[test]
fn the_users_clock_counts_where_the_service_says_so() {
    let tariff = tariff("night", "from = \"20:00\"");
    let by_user = catalog(&format!("{BASE}user_time_zone = true\n{tariff}"));
    let by_operator = catalog(&tariff);
    let attributes = Attributes { time_zone: Some(8 * 60), ..Attributes::default() };
    let noon = at("2026-01-01T12:00:00Z");
    assert_eq!(name(internet(&by_user), &attributes, noon), "night");
    assert_eq!(name(internet(&by_user), &Attributes::default(), noon), "own");
    assert_eq!(name(internet(&by_operator), &attributes, noon), "own");
    let (then, _) = internet(&by_user).next_change(&attributes, noon, 86_400).unwrap();
    assert_eq!(then, at("2026-01-01T16:00:00Z"));
    assert_eq!(internet(&by_user).triggers(), [5]);
    assert_eq!(internet(&by_operator).triggers(), [0; 0]);
    let reads = |catalog: &Catalog| catalog.reads_attributes(catalog.context("32251@3gpp.org").unwrap());
    assert!(reads(&by_user) && !reads(&by_operator));
    // An offset that no clock has: the operator's.
    let absurd = Attributes { time_zone: Some(i16::MAX), ..Attributes::default() };
    assert_eq!(name(internet(&by_user), &absurd, noon), "own");
}

/// Each kind of condition, and what must be armed for it.
// tests: G-53, G-91, G-92, G-93
#[test]
fn conditions_of_packet_data() {
    let own = "home_networks = [\"26201\", \"26203\"]\n";
    let text = [
        ("nb", "access = [\"NB-IoT\", 9]"),
        ("abroad", "serving_network = \"roaming\"\naccess = \"NG-RAN\""),
        ("france", "serving_network = [\"208\", \"20810\"]"),
        ("nordic", "serving_network = \"24*\""),
        ("garage", "cell = 257\nserving_network = \"home\""),
        ("village", "area = [1, 2]"),
        ("work", "apn = [\"Corporate.VPN\"]"),
    ];
    let tariffs: String = text.iter().map(|(name, conditions)| tariff(name, conditions)).collect();
    let catalog = catalog(&format!("{own}{BASE}{tariffs}"));
    let service = internet(&catalog);
    let some = Attributes::default;
    for (attributes, expected) in [
        (some(), "own"),
        (Attributes { access: Some(8), ..some() }, "nb"),
        (Attributes { access: Some(9), ..some() }, "nb"),
        (Attributes { access: Some(51), serving_network: Some("310410".into()), ..some() }, "abroad"),
        (Attributes { access: Some(6), serving_network: Some("310410".into()), ..some() }, "own"),
        (Attributes { serving_network: Some("20801".into()), ..some() }, "france"),
        (Attributes { serving_network: Some("24405".into()), ..some() }, "nordic"),
        (Attributes { cell: Some(257), serving_network: Some("26203".into()), ..some() }, "garage"),
        // A network that is not told is the own one.
        (Attributes { cell: Some(257), ..some() }, "garage"),
        (Attributes { cell: Some(257), serving_network: Some("26202".into()), ..some() }, "own"),
        (Attributes { area: Some(2), ..some() }, "village"),
        (Attributes { apn: Some("corporate.vpn".into()), ..some() }, "work"),
    ] {
        assert_eq!(name(service, &attributes, Timestamp::EPOCH), expected, "{attributes:?}");
    }
    assert_eq!(service.triggers(), [4, 30, 31, 33, 34, 35, 36]);
    assert!(catalog.reads_attributes(catalog.context("32251@3gpp.org").unwrap()));
}

/// Zones are names for prefixes, of networks and of numbers; the longest prefix counts as with those written out.
// tests: G-93, G-103
#[test]
fn zones_stand_for_their_prefixes() {
    let zones = "[zones]\neu = [\"262\", \"208\", \"22\"]\neu-numbers = [\"49\", \"33\"]\nnear = \"4930\"\n";
    let catalog = catalog(
        &(tariff("eu", "serving_network = [\"zone:eu\", \"310\"]")
            + &tariff("eu-calls", "called = \"zone:eu-numbers\"")
            + &tariff("near-calls", "called = [\"zone:near\", \"4940\"]")
            + zones),
    );
    let service = internet(&catalog);
    let some = Attributes::default;
    let network = |digits: &str| Attributes { serving_network: Some(digits.into()), ..some() };
    let called = |number: &str| Attributes { other_party: Some(number.into()), ..some() };
    for (attributes, expected) in [
        (network("26202"), "eu"),
        (network("22801"), "eu"),
        (network("310410"), "eu"),
        (network("46000"), "own"),
        (some(), "own"),
        (called("33123"), "eu-calls"),
        (called("49891"), "eu-calls"),
        (called("49301"), "near-calls"),
        (called("49401"), "near-calls"),
        (called("1"), "own"),
    ] {
        assert_eq!(name(service, &attributes, Timestamp::EPOCH), expected, "{attributes:?}");
    }
    assert_eq!(service.triggers(), [30, 31]);
    assert!(catalog.reads_attributes(catalog.context("32251@3gpp.org").unwrap()));
}

#[test]
fn problems_of_zones() {
    for (conditions, zones, expected) in [
        (
            "called = \"zone:eu\"",
            "",
            "\"zone:eu\": there are no zones: add `[zones]` with a line such as `eu = [\"262\"]`",
        ),
        ("called = \"zone:eu\"", "[zones]\nus = \"1\"\n", "\"zone:eu\": there is no such zone; known: `us`"),
        ("serving_network = \"zone:e\"", "[zones]\nus = \"310\"\n", "\"zone:e\": there is no such zone; known: `us`"),
        (
            "serving_network = \"zone:us\"",
            "[zones]\nus = [\"310\", \"1907555\"]\n",
            "this zone has 1907555, and a network (MCC and MNC) has at most 6 digits",
        ),
        ("cell = 1", "[zones]\nus = []\n", "line 19, column 6: `us = []`: name at least one"),
        (
            "cell = 1",
            "[zones]\nus = [\"1\", \"+1\"]\n",
            "line 19, column 12: `+1`: write what MCC and MNC or numbers begin",
        ),
        ("cell = 1", "[zones]\nus = [\"1\", \"2\", \"1\"]\n", "line 19, column 17: `1` is in this zone twice"),
        ("cell = 1", "[zones]\nus = 310\n", "line 19, column 6: in `us`, 310: write it in quotes"),
        ("cell = 1", "[[zones]]\nus = \"310\"\n", "`zones` is a table: write `[zones]`"),
        ("called = \"+49\"", "", "digits without `+`; or \"zone:NAME\""),
    ] {
        let found = problems(&format!("{BASE}{}{zones}", tariff("x", conditions)));
        assert!(found.iter().any(|problem| problem.contains(expected)), "{conditions} {zones}: {found:?}");
    }
    let prefixes = |count: usize| (0..count).map(|n| format!("\"{}\"", 100_000 + n)).collect::<Vec<_>>().join(", ");
    let large = format!("[zones]\nus = [{}]\n", prefixes(1_001));
    let found = problems(&format!("{BASE}{large}"));
    assert!(found[0].contains("a zone has at most 1000 prefixes"), "{found:?}");
    let again = ["\"zone:us\""; 11].join(", ");
    let large = format!("[zones]\nus = [{}]\n", prefixes(1_000));
    let found = problems(&format!("{BASE}{}{large}", tariff("x", &format!("called = [{again}]"))));
    assert!(found[0].contains("`called` has more than 10000 prefixes with its zones"), "{found:?}");
}

/// The first that fits counts; of prefixes the longest.
// tests: G-103, G-105, G-125, G-132
#[test]
fn conditions_of_calls_and_messages() {
    let catalog = catalog(
        &(tariff("incoming", "role = \"terminating\"")
            + &tariff("report", "message_type = \"sms-delivery-report\"")
            + &tariff("germany", "called = \"49\"")
            + &tariff("mobile", "called = [\"4915\", \"4916\", \"4917\"]")
            + &tariff("large", "min_size = \"100 kB\"\nmax_size = \"300 kB\"")
            + &tariff("diverted", "role = \"forwarding\"")),
    );
    let service = internet(&catalog);
    let some = Attributes::default;
    let called = |number: &str| Attributes { other_party: Some(number.into()), ..some() };
    for (attributes, expected) in [
        (called("4930123"), "germany"),
        (called("491700000001"), "mobile"),
        (called("33123"), "own"),
        (Attributes { role: Some(Role::Terminating), ..called("491700000001") }, "incoming"),
        (Attributes { role: Some(Role::Originating), ..called("33123") }, "own"),
        (Attributes { role: Some(Role::Forwarding), ..called("33123") }, "diverted"),
        (Attributes { message_type: Some(1), ..called("491700000001") }, "report"),
        (Attributes { size: Some(99_999), ..some() }, "own"),
        (Attributes { size: Some(100_000), ..some() }, "large"),
        (Attributes { size: Some(300_001), ..some() }, "own"),
    ] {
        assert_eq!(name(service, &attributes, Timestamp::EPOCH), expected, "{attributes:?}");
    }
    assert_eq!(service.triggers(), [0; 0], "nothing that changes within a session");
}

// tests: C-24
#[test]
fn the_clients_clock_is_believed_within_limits() {
    let now = Timestamp::from_secs(1_000_000);
    let secs = Timestamp::from_secs;
    let catalog = catalog("");
    assert_eq!(catalog.moment(None, now), (now, false));
    assert_eq!(catalog.moment(Some(secs(1_000_000 - 86_400)), now), (secs(1_000_000 - 86_400), false));
    assert_eq!(catalog.moment(Some(secs(1_000_000 - 86_401)), now), (now, true));
    assert_eq!(catalog.moment(Some(secs(1_000_300)), now), (secs(1_000_300), false));
    assert_eq!(catalog.moment(Some(secs(1_000_301)), now), (now, true));
    let strict = self::catalog(&format!("event_time_past = \"1 min\"\nevent_time_future = \"1 s\"\n{BASE}"));
    assert_eq!(strict.moment(Some(secs(999_939)), now), (now, true));
    assert_eq!(strict.moment(Some(secs(1_000_002)), now), (now, true));
}

// tests: G-28, G-29, G-104
#[test]
fn contexts_know_their_domains() {
    let text = BASE.replace("service_context_id = \"32251@3gpp.org\"", "aliases = \"gprs@x\"\ndomain = \"ps\"")
        + "[[context]]\nname = \"voice\"\nservice_context_id = [\"32260@3gpp.org\", \"32276@3gpp.org\"]\n\
           default_service = \"call\"\n[[service]]\nname = \"call\"\ncontext = \"voice\"\nprice = \"0.1\"\nper = \"1 min\"\n";
    let catalog = catalog(&text);
    let domain = |name: &str| catalog.domain(catalog.context(name).unwrap(), name);
    assert_eq!(domain("gprs@x"), Some(Domain::Ps));
    assert_eq!(domain("8.32260@3gpp.org"), Some(Domain::Ims));
    assert_eq!(domain("32276@3gpp.org"), Some(Domain::Vcs));
    let reads = |name: &str| catalog.reads_attributes(catalog.context(name).unwrap());
    assert!(!reads("gprs@x"));
    assert!(reads("32260@3gpp.org"), "an emergency call is never refused, whatever the prices depend on");
    assert!(catalog.service_by_name("call").unwrap().continuous);
}

#[test]
fn settings_are_read() {
    let catalog = catalog(&format!(
        "validity_jitter = \"30 s\"\nindeterminate_usage = \"before\"\n{BASE}[dial_plan]\ncountry_code = \"49\"\n\
         national_prefix = \"0\"\n"
    ));
    assert_eq!(catalog.validity_jitter_secs(), 30);
    assert_eq!(catalog.indeterminate_usage(), Indeterminate::Before);
    assert_eq!(catalog.international("0170").as_deref(), Some("49170"));
    let plain = self::catalog("");
    assert_eq!((plain.validity_jitter_secs(), plain.indeterminate_usage()), (0, Indeterminate::Dearer));
}

/// What is wrong is told with its place and what would be right.
#[test]
fn problems_of_tariffs() {
    for (conditions, expected) in [
        ("", "line 12, column 1: this tariff applies always: give it a condition, such as `from = \"20:00\"`"),
        ("from = \"8:00\"", "line 17, column 8: `from = \"8:00\"`: write a time of day such as \"06:30\""),
        ("from = \"24:00\"", "line 17, column 8: `from = \"24:00\"`"),
        ("from = \"08:60\"", "line 17, column 8: `from = \"08:60\"`"),
        ("from = \"08:00\"\nto = \"08:00\"", "line 18, column 6: it ends as soon as it begins"),
        ("to = \"00:00\"", "line 17, column 6: it ends as soon as it begins: write \"24:00\""),
        ("days = [\"mo\"]", "line 17, column 9: in `days`, \"mo\": write \"workdays\", \"weekend\" or some of \"mon\""),
        ("days = []", "line 17, column 8: `days = []`: name at least one"),
        ("access = \"5G\"", "line 17, column 10: in `access`, \"5G\": write one of \"UTRAN\""),
        ("access = 256", "line 17, column 10: in `access`, 256: write one of"),
        ("serving_network = \"roaming\"", "in `serving_network`, \"roaming\": say what your own networks are"),
        ("serving_network = \"26\"", "in `serving_network`, \"26\": write a country (MCC) such as \"262\""),
        ("area = -1", "in `area`, -1: write a whole number up to 4294967295, without quotes"),
        ("apn = \"internet.mnc001.mcc262.gprs\"", "leave out what follows the name"),
        ("called = \"+49\"", "in `called`, \"+49\": write what numbers begin with"),
        ("role = \"caller\"", "in `role`, \"caller\": write one of \"originating\", \"terminating\", \"forwarding\""),
        ("role = 0", "in `role`, 0: write one of"),
        ("message_type = \"sms\"", "in `message_type`, \"sms\": write one of \"sms-submission\""),
        ("max_size = \"5 s\"", "`max_size = \"5 s\"`: a message has a size in octets"),
        ("min_size = \"2 kB\"\nmax_size = \"1 kB\"", "line 18, column 12: `max_size` is less than `min_size`"),
        ("slot = 1", "line 17, column 1: unknown key `slot` in [[tariff]]"),
    ] {
        let found = problems(&format!("{BASE}{}", tariff("x", conditions)));
        assert!(found.iter().any(|problem| problem.contains(expected)), "{conditions}: {found:?}");
    }
    for (text, expected) in [
        (tariff("x", "from = \"08:00\"").replace("1 MB", "1 s"), "`per` counts seconds and the service counts octets"),
        (tariff("x", "from = \"08:00\"").replace("internet", "intranet"), "there is no service `intranet`"),
        (tariff("x", "from = \"08:00\"").repeat(2), "line 14 has a tariff `x` of this service already"),
        (tariff("x", "from = \"08:00\"\nfree = true"), "`free = true` and `price` do not go together"),
    ] {
        let found = problems(&format!("{BASE}{text}"));
        assert!(found.iter().any(|problem| problem.contains(expected)), "{text}: {found:?}");
    }
    for (top, expected) in [
        ("time_zone = \"Berlin\"", "line 1, column 13: `time_zone = \"Berlin\"`: write a name of the IANA database"),
        ("validity_jitter = \"1 h\"", "`validity_jitter = \"1 h\"`: write a time from 1 s to 600 s"),
        ("indeterminate_usage = \"x\"", "write \"dearer\", \"before\" or \"after\""),
        ("event_time_past = 5", "write a time of at least 1 s"),
        ("home_networks = [\"x\"]", "in `home_networks`, \"x\": write a country"),
        ("dial_plan = 1", "`dial_plan` is a table: write `[dial_plan]`"),
    ] {
        let found = problems(&format!("{top}\n{BASE}"));
        assert!(found.iter().any(|problem| problem.contains(expected)), "{top}: {found:?}");
    }
    let continuous = problems(&format!("{BASE}continuous = true\n"));
    assert!(continuous[0].contains("only time is used continuously"), "{continuous:?}");
    let domain = problems(&BASE.replace("default_service", "domain = \"gprs\"\ndefault_service"));
    assert!(domain[0].contains("write \"ps\", \"ims\", \"sms\", \"mms\" or \"vcs\""), "{domain:?}");
}
