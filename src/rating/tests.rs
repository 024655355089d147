//! The catalog from its text to its look-ups.

use proptest::prelude::*;

use super::*;
use crate::units::{Money, UnitKind};

const DEMO: &str = include_str!("../../config/demo/catalog.toml");

/// A small catalog without problems, for changing one thing at a time. Line numbers matter to the tests.
const SMALL: &str = r#"currency = "EUR"
[[context]]
name = "data"
service_context_id = "32251@3gpp.org"
default_service = "internet"
[[service]]
name = "internet"
context = "data"
rating_group = 1
price = "0.01"
per = "1 MB"
[[allowance]]
name = "gigabyte"
amount = "1 GB"
services = ["internet"]
[[threshold]]
name = "low"
money = "5.00"
"#;

fn demo() -> Catalog {
    Catalog::from_toml(DEMO).unwrap()
}

/// The problems of a text, as `line:column message`.
fn problems(text: &str) -> Vec<String> {
    let problems = Catalog::from_toml(text).unwrap_err();
    assert!(!problems.is_empty());
    problems.iter().map(|problem| format!("{}:{} {}", problem.line, problem.column, problem.message)).collect()
}

#[test]
fn the_demo_catalog_keeps_its_contract() {
    let catalog = demo();
    assert_eq!(catalog.currency().code(), "CNY");
    let data = catalog.context("32251@3gpp.org").unwrap();
    let internet = catalog.service(data, Some(1), None).unwrap();
    assert_eq!((&*internet.name, internet.kind, internet.slice), ("internet", UnitKind::Octets, 10_000_000));
    assert_eq!((internet.validity_secs, internet.short_validity_secs, internet.threshold_percent), (3_600, 60, 20));
    assert_eq!(internet.price.cost(5_000_000), Ok("0.05".parse().unwrap()));
    assert_eq!(catalog.service_by_id(internet.id), Some(internet));
    assert_eq!(catalog.service_by_name("internet"), Some(internet));

    let music = catalog.service(data, Some(3), None).unwrap();
    assert!(music.price.is_free() && music.kind == UnitKind::Octets && !music.counted);
    let voice = catalog.service_by_name("voice").unwrap();
    assert_eq!(voice.price.cost(61), Ok("0.30".parse().unwrap()));
    let sms = catalog.service_by_name("sms").unwrap();
    assert_eq!((sms.slice, sms.price.cost(1)), (1, Ok("0.10".parse().unwrap())));

    let gigabyte = catalog.allowance("data-1gb").unwrap();
    assert_eq!((gigabyte.amount, gigabyte.validity_secs), (1_000_000_000, Some(2_592_000)));
    assert_eq!(gigabyte.rating_groups, [1]);
    assert!(gigabyte.covers(internet) && !gigabyte.covers(music) && !gigabyte.covers(voice));
    assert_eq!(catalog.allowances().count(), 4);
    let kinds: Vec<_> = catalog.thresholds().iter().map(|threshold| threshold.kind).collect();
    assert_eq!(kinds, [ThresholdKind::Money(Money::from_micros(5_000_000)), ThresholdKind::AllowancePercent(80)]);
}

/// Contexts and rating groups of recorded traffic all find a service.
// tests: C-4, I-9, I-11, G-27
#[test]
fn recorded_traffic_finds_its_services() {
    let catalog = demo();
    for (context, rating_group, service_identifier, service) in [
        ("32251@3gpp.org", Some(3), None, "music"),
        ("32251@3gpp.org", Some(2), None, "video"),
        ("32251@3gpp.org", None, None, "internet"),
        ("6.32251@3gpp.org", Some(99), None, "mobile-tv"),
        ("8.32251@3gpp.org", Some(199), Some(199), "business"),
        ("gprs@cmcc.com", Some(2_000_000_009), None, "wap"),
        ("32251@3gpp.org", Some(101), None, "self-care"),
        ("302.220.8.32251@3gpp.org", Some(4_711), None, "other-data"),
        ("Ericsson_OCS_V1_0.0.0.7.32251@3gpp.org", None, Some(5), "other-data"),
        ("SCP-NBI.206.10.S2F3@mobistar.be", Some(600), None, "voice"),
        ("ext.001.01.15.32260@3gpp.org", Some(1), Some(2), "voice"),
        ("12.32276@3gpp.org", None, None, "voice"),
        ("nas45.32274@3gpp.org", None, Some(1), "sms"),
        ("Comverse.DCI", None, None, "content"),
    ] {
        let id = catalog.context(context).unwrap_or_else(|| panic!("{context}"));
        let found = catalog.service(id, rating_group, service_identifier).map(|service| &*service.name);
        assert_eq!(found, Some(service), "{context} {rating_group:?} {service_identifier:?}");
    }
}

// tests: G-26, G-27, I-11, C-5
#[test]
fn contexts_match_exactly_or_by_their_number() {
    let catalog = demo();
    let data = catalog.context("32251@3gpp.org");
    for name in ["01.262.12.32251@3gpp.org", "14.32251@3GPP.ORG", "8.32251.3gpp.org", ".32251@3gpp.org"] {
        assert_eq!(catalog.context(name), data, "{name}");
    }
    for name in [
        "",
        "@",
        "@3gpp.org",
        "3gpp.org",
        "1@3gpp.org",
        "132251@3gpp.org",
        "8-32251@3gpp.org",
        "32251@3gpp.org.evil",
        "32251@3gpp.com",
        "32259@3gpp.org",
        "GPRS@cmcc.com",
        "x.gprs@cmcc.com",
        "32251 @3gpp.org",
        "é2251@3gpp.org",
    ] {
        assert_eq!(catalog.context(name), None, "{name}");
    }
}

#[test]
fn an_exact_name_comes_before_the_rule() {
    let text = format!(
        "{SMALL}[[context]]\nname = \"roaming\"\naliases = [\"9.32251@3gpp.org\"]\n[[service]]\nname = \"roaming\"\n\
         context = \"roaming\"\nrating_group = 1\nprice = \"1\"\nper = \"1 MB\"\n"
    );
    let catalog = Catalog::from_toml(&text).unwrap();
    let service = |name| &*catalog.service(catalog.context(name).unwrap(), Some(1), None).unwrap().name;
    assert_eq!((service("9.32251@3gpp.org"), service("8.32251@3gpp.org")), ("roaming", "internet"));
}

// tests: C-4, I-9
#[test]
fn the_most_specific_service_wins() {
    let service = |name: &str, keys: &str| {
        format!("[[service]]\nname = \"{name}\"\ncontext = \"data\"\n{keys}\nfree = true\nslice = \"1 MB\"\n")
    };
    let text = [
        SMALL.to_owned(),
        service("both", "rating_group = 1\nservice_identifier = 7"),
        service("identifier", "service_identifier = 7"),
        service("zero", "rating_group = 0"),
    ];
    let catalog = Catalog::from_toml(&text.concat()).unwrap();
    let context = catalog.context("32251@3gpp.org").unwrap();
    for (rating_group, service_identifier, name) in [
        (Some(1), Some(7), Some("both")),
        (Some(1), Some(8), Some("internet")),
        (Some(1), None, Some("internet")),
        (Some(2), Some(7), Some("identifier")),
        (None, Some(7), Some("identifier")),
        (None, Some(8), None),
        (Some(0), None, Some("zero")),
        (Some(2), None, None),
        (None, None, Some("internet")),
    ] {
        let found = catalog.service(context, rating_group, service_identifier).map(|service| &*service.name);
        assert_eq!(found, name, "{rating_group:?} {service_identifier:?}");
    }
}

// tests: I-5, G-60, G-61
#[test]
fn thresholds_are_less_than_grants() {
    let mut service = demo().service_by_name("internet").unwrap().clone();
    for (granted, left) in
        [(10_000_000, Some(2_000_000)), (5, Some(1)), (4, None), (0, None), (u64::MAX, Some(u32::MAX))]
    {
        assert_eq!(service.threshold_for(granted), left, "{granted}");
    }
    service.threshold_percent = 50;
    assert_eq!((service.threshold_for(2), service.threshold_for(1)), (Some(1), None));
    service.threshold_percent = 0;
    assert_eq!(service.threshold_for(1_000), None);
}

#[test]
fn redirect_addresses_have_types() {
    for (address, code) in
        [("10.0.0.1", 0), ("2001:db8::1", 1), ("http://topup.example/", 2), ("sip:topup@example", 3), ("sips:a", 3)]
    {
        assert_eq!(FinalAction::Redirect { address: address.into() }.redirect_address_type(), Some(code), "{address}");
    }
    assert_eq!(FinalAction::Terminate.redirect_address_type(), None);
}

#[test]
fn every_mistake_is_told_with_its_place() {
    assert!(Catalog::from_toml(SMALL).is_ok());
    for (right, wrong, expected) in [
        // The shape of the text.
        ("price = \"0.01\"", "price = ", "10:9 "),
        ("price = \"0.01\"", "price = \"0.01\"\nprice = \"0.02\"", "11:1 duplicate key"),
        ("price = \"0.01\"", "prise = \"0.01\"", "10:1 unknown key `prise` in [[service]]; did you mean `price`?"),
        ("[[threshold]]", "[[treshold]]", "16:3 unknown key `treshold` in the catalog; did you mean `threshold`?"),
        ("[[threshold]]", "[threshold]", "16:2 write `[[threshold]]` with two pairs of brackets: there may be several"),
        // Currency and names.
        ("currency = \"EUR\"", "", "1:1 the catalog needs `currency`, such as `currency = \"EUR\"`"),
        ("\"EUR\"", "\"eur\"", "1:12 `currency = \"eur\"`: `eur` is not a known ISO 4217 currency code such as EUR"),
        ("\"EUR\"", "978", "1:12 `currency = 978`: write it in quotes: \"978\""),
        ("name = \"low\"", "name = \"too low\"", "17:8 `name = \"too low\"`: a name has up to 64 letters (a to z)"),
        ("name = \"low\"", "", "16:1 [[threshold]] needs `name`, such as `name = \"low-balance\"`"),
        ("name = \"low\"", "name = \"\"", "17:8 `name = \"\"`: must not be empty"),
        // Contexts.
        ("service_context_id = \"32251@3gpp.org\"", "", "2:1 [[context]] needs `service_context_id = "),
        ("\"32251@3gpp.org\"", "[]", "4:22 `service_context_id = []`: name at least one, or leave it out"),
        ("\"32251@3gpp.org\"", "[\"a\", 7]", "4:28 in `service_context_id`, 7: write it in quotes: \"7\""),
        ("\"32251@3gpp.org\"", "[\"a\", \"a\"]", "4:28 line 4 names `a` already: a name leads to one context"),
        ("\"32251@3gpp.org\"", "\"32251 @3gpp.org\"", "4:22 `32251 @3gpp.org`: a Service-Context-Id has up to 255"),
        (
            "service = \"internet\"",
            "service = \"internt\"",
            "5:19 there is no service `internt`; did you mean `internet`?",
        ),
        ("context = \"data\"", "context = \"date\"", "8:11 there is no context `date`; did you mean `data`?"),
        // Keys of services.
        (
            "rating_group = 1",
            "rating_group = -1",
            "9:16 `rating_group = -1`: write a whole number from 0 to 4294967295",
        ),
        ("rating_group = 1", "rating_group = \"1\"", "9:16 `rating_group = \"1\"`: write a whole number from 0"),
        // Prices.
        ("price = \"0.01\"", "price = 0.01", "10:9 `price = 0.01`: write it in quotes: \"0.01\""),
        ("price = \"0.01\"", "price = \"0,01\"", "10:9 `price = \"0,01\"`: write a price from 0 to 1000000 in quotes"),
        ("price = \"0.01\"", "price = \"-1\"", "10:9 `price = \"-1\"`: write a price from 0 to 1000000"),
        ("price = \"0.01\"", "price = \"1000001\"", "10:9 `price = \"1000001\"`: write a price from 0 to 1000000"),
        (
            "price = \"0.01\"",
            "price = \"0.0000000000001\"",
            "10:9 `price = \"0.0000000000001\"`: a price has at most 12",
        ),
        ("price = \"0.01\"", "", "6:1 [[service]] needs `price`, such as `price = \"0.01\"` or `free = true`"),
        ("per = \"1 MB\"", "", "6:1 [[service]] needs `per`, such as `per = \"1 MB\"`"),
        (
            "per = \"1 MB\"",
            "per = \"1 Mb\"",
            "11:7 `per = \"1 Mb\"`: did you mean `MB`? write a whole number and a unit, such as \"1 MB\" (10^6 octets)",
        ),
        ("per = \"1 MB\"", "per = \"1 MB\"\nblock = \"1 s\"", "12:9 `block` counts seconds and `per` counts octets"),
        ("per = \"1 MB\"", "per = \"1 MB\"\nslice = \"1 event\"", "12:9 `slice` counts events and `per` counts octets"),
        ("per = \"1 MB\"", "per = \"1 MB\"\nsetup = \"-1\"", "12:9 a setup fee is between 0 and 1000000"),
        ("per = \"1 MB\"", "per = \"1 MB\"\nfree = true", "10:1 `free = true` and `price` do not go together"),
        ("price = \"0.01\"\nper = \"1 MB\"", "free = true", "6:1 a free service needs `slice`, such as"),
        // How quota is handed out.
        (
            "per = \"1 MB\"",
            "per = \"1 MB\"\nvalidity = \"30 s\"",
            "12:12 `validity = \"30 s\"`: write a time of at least 60 s",
        ),
        ("per = \"1 MB\"", "per = \"1 MB\"\nvalidity = 60", "12:12 `validity = 60`: write a time of at least 60 s"),
        (
            "per = \"1 MB\"",
            "per = \"1 MB\"\nthreshold_percent = 51",
            "12:21 `threshold_percent = 51`: write a whole number from 0 to 50",
        ),
        (
            "per = \"1 MB\"",
            "per = \"1 MB\"\nredirect_to = \"a b\"",
            "12:15 `redirect_to = \"a b\"`: write a URL, SIP URI or IP",
        ),
        ("per = \"1 MB\"", "per = \"1 MB\"\nslice_max = \"1 MB\"", "12:13 `slice_max` is less than `slice`"),
        ("per = \"1 MB\"", "per = \"1 MB\"\nminimum_grant = \"1 GB\"", "12:17 `minimum_grant` is more than `slice`"),
        (
            "per = \"1 MB\"",
            "per = \"1 MB\"\nconsumption_time = \"9 s\"",
            "12:1 `consumption_time` is for services that count time",
        ),
        (
            "per = \"1 MB\"",
            "per = \"1 MB\"\ntime_quota = \"discrete\"",
            "6:1 `time_quota` and `base_interval` go together",
        ),
        (
            "per = \"1 MB\"",
            "per = \"1 MB\"\nenvelopes = \"all\"",
            "12:13 `envelopes = \"all\"`: write \"plain\", \"volume\"",
        ),
        (
            "per = \"1 MB\"",
            "per = \"1 MB\"\nannouncement_before_end = \"9 s\"",
            "12:27 `announcement_before_end` says when",
        ),
        (
            "per = \"1 MB\"",
            "per = \"1 MB\"\nrestrict_to = \"permit in tcp from any to any\"",
            "12:15 in `restrict_to`: `tcp` stands where the rule needs `ip` or a protocol number",
        ),
        (
            "per = \"1 MB\"",
            "per = \"1 MB\"\nredirect_to = \"http://a\"\nrestrict_filters = \"walled\"",
            "12:1 a user is redirected or restricted, not both",
        ),
        // Credit pools count money, by the unit.
        (
            "per = \"1 MB\"",
            "per = \"1 MB\"\npool = 1\nblock = \"1 kB\"",
            "12:8 service `internet` is priced by the block",
        ),
        ("per = \"1 MB\"", "per = \"1 MB\"\npool = 1\nsetup = \"1\"", "12:8 service `internet` has a `setup` fee"),
        (
            "price = \"0.01\"\nper = \"1 MB\"",
            "free = true\nslice = \"1 MB\"\npool = 1",
            "12:8 service `internet` is free",
        ),
        (
            "per = \"1 MB\"",
            "per = \"1 MB\"\npool = 1",
            "16:13 service `internet` draws from a credit pool, which counts money",
        ),
        (
            "per = \"1 MB\"",
            "per = \"1 MB\"\ncounted = \"no\"",
            "12:11 `counted = \"no\"`: write true or false, without quotes",
        ),
        // Allowances and thresholds.
        ("amount = \"1 GB\"", "", "12:1 [[allowance]] needs `amount`, such as `amount = \"1 GB\"`"),
        (
            "amount = \"1 GB\"",
            "amount = \"100 min\"",
            "15:13 service `internet` counts octets, which `amount` does not",
        ),
        (
            "services = [\"internet\"]",
            "services = [\"internot\"]",
            "15:13 there is no service `internot`; did you mean",
        ),
        (
            "services = [\"internet\"]",
            "services = [\"internet\", \"internet\"]",
            "15:25 service `internet` is named twice",
        ),
        ("rating_group = 1", "", "15:13 service `internet` has no `rating_group`, by which an allowance knows"),
        ("money = \"5.00\"", "money = 5", "18:9 `money = 5`: write it in quotes: \"5\""),
        ("money = \"5.00\"", "", "16:1 [[threshold]] needs one of `money = \"5.00\"` and `allowance_percent = 80`"),
        (
            "money = \"5.00\"",
            "allowance_percent = 0",
            "18:21 `allowance_percent = 0`: write a whole number from 1 to 100",
        ),
    ] {
        assert!(SMALL.contains(right), "{right}");
        let found = problems(&SMALL.replace(right, wrong));
        assert!(found.iter().any(|problem| problem.starts_with(expected)), "{wrong}\n{expected}\n{found:#?}");
    }
}

#[test]
fn what_is_there_twice_is_told_with_the_first_line() {
    for (added, expected) in [
        ("[[context]]\nname = \"data\"\naliases = [\"x\"]\n", "20:8 line 3 has a context `data` already"),
        (
            "[[context]]\nname = \"b\"\naliases = [\"32251@3gpp.org\"]\n\
             [[service]]\nname = \"b\"\ncontext = \"b\"\nrating_group = 1\nprice = \"1\"\nper = \"1 s\"\n",
            "21:12 line 4 names `32251@3gpp.org` already",
        ),
        ("[[context]]\nname = \"b\"\naliases = [\"x\"]\n", "19:1 context `b` has no service: add a [[service]] for it"),
        (
            "[[service]]\nname = \"internet\"\ncontext = \"data\"\nrating_group = 2\nprice = \"1\"\nper = \"1 s\"\n",
            "20:8 line 7 has a service `internet` already",
        ),
        (
            "[[service]]\nname = \"b\"\ncontext = \"data\"\nrating_group = 1\nprice = \"1\"\nper = \"1 s\"\n",
            "22:16 line 9 has rating group 1 in the same context already",
        ),
        (
            "[[service]]\nname = \"b\"\ncontext = \"data\"\nprice = \"1\"\nper = \"1 s\"\n",
            "20:8 no request reaches service `b`: give it a `rating_group`",
        ),
        ("[[allowance]]\nname = \"gigabyte\"\namount = \"1 s\"\n", "20:8 line 13 has an allowance `gigabyte` already"),
        ("[[threshold]]\nname = \"low\"\nmoney = \"1\"\n", "20:8 line 17 has a threshold `low` already"),
    ] {
        let found = problems(&format!("{SMALL}{added}"));
        assert_eq!(found.len(), 1, "{added}\n{found:#?}");
        assert!(found[0].starts_with(expected), "{expected}\n{found:#?}");
    }
}

#[test]
fn all_problems_are_found_in_one_pass_and_in_order() {
    let text = SMALL
        .replace("\"EUR\"", "\"EURO\"")
        .replace("rating_group = 1", "rating_group = 1.5")
        .replace("1 MB", "1 parsec")
        .replace("\"5.00\"", "\"five\"");
    let lines: Vec<u32> = Catalog::from_toml(&text).unwrap_err().iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [1, 9, 11, 18]);
    assert_eq!(
        problems(""),
        [
            "1:1 a catalog needs at least one [[context]] with services, to which requests belong",
            "1:1 a catalog needs at least one [[service]] with a price",
            "1:1 the catalog needs `currency`, such as `currency = \"EUR\"`",
        ]
    );
}

#[test]
fn columns_count_characters() {
    let text = SMALL.replace("[\"internet\"]", "[\"größe\", \"internot\"]");
    assert!(problems(&text).iter().any(|problem| problem.starts_with("15:22 there is no service `internot`")));
}

/// What takes long or much memory is refused or bounded.
#[test]
fn huge_catalogs_stay_bounded() {
    assert!(problems(&" ".repeat(CATALOG_OCTETS_MAX + 1))[0].contains("longer than"));
    assert!(!problems(&"[".repeat(100_000)).is_empty());
    let mut text = SMALL.to_owned();
    for i in 0..11_000 {
        text += &format!("[[service]]\nname = \"s{i}\"\ncontext = \"data\"\nrating_group = {i}\nprise = 1\n");
    }
    assert_eq!(problems(&text).len(), 100);
    let line = format!("service = [{}]", "{ name = \"a\", x = 1 },".repeat(40_000));
    assert_eq!(problems(&line).len(), 100);
}

/// One change of a text: a span replaced by something else, which may break the text anywhere.
fn mutated(text: &str, at: usize, length: usize, with: &str) -> String {
    let boundary = |mut at: usize| {
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = boundary(at % (text.len() + 1));
    let end = boundary((start + length).min(text.len()));
    format!("{}{with}{}", &text[..start], &text[end..])
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        let _ = Catalog::from_toml(&text);
    }

    #[test]
    fn no_mutation_of_the_demo_panics(
        changes in prop::collection::vec(
            (
                0usize..DEMO.len(),
                0usize..40,
                prop_oneof![
                    "[\\[\\]{}\"'=.,#\\n 0-9a-zA-Z_-]{0,6}",
                    Just("99999999999999999999".to_owned()),
                    Just("[[service]]\n".to_owned()),
                    Just("é\u{0}".to_owned()),
                    Just("\"\"".to_owned()),
                ],
            ),
            1..6,
        ),
    ) {
        let text = changes.iter().fold(DEMO.to_owned(), |text, (at, length, with)| mutated(&text, *at, *length, with));
        match Catalog::from_toml(&text) {
            Ok(catalog) => {
                for service in (0..12).filter_map(|id| catalog.service_by_id(ServiceId(id))) {
                    let _ = service.price.charge(service.slice, u64::MAX);
                    prop_assert!(service.threshold_for(service.slice).is_none_or(|left| u64::from(left) < service.slice));
                }
            }
            Err(problems) => {
                prop_assert!(!problems.is_empty());
                prop_assert!(problems.is_sorted_by_key(|problem| (problem.line, problem.column)));
                prop_assert!(problems.iter().all(|problem| !problem.message.contains('\n')));
            }
        }
    }

    // tests: I-5, G-60, G-61
    #[test]
    fn a_threshold_is_at_most_half_of_the_grant(granted: u64, percent in 0u8..=50) {
        let mut service = demo().service_by_name("internet").unwrap().clone();
        service.threshold_percent = percent;
        let left = service.threshold_for(granted);
        prop_assert!(left.is_none_or(|left| left > 0 && u64::from(left) <= granted / 2));
    }
}
