//! The keys of a price: what they make, and what is said when they are wrong.

use proptest::prelude::*;

use crate::rating::{Catalog, Period, Price, Service, TierBasis};

const BASE: &str = r#"currency = "EUR"
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
"#;

/// With these lines from line 12 on.
fn catalog(lines: &str) -> Catalog {
    Catalog::from_toml(&format!("{BASE}{lines}")).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn internet(catalog: &Catalog) -> &Service {
    catalog.service_by_name("internet").unwrap()
}

fn cost(price: &Price, total: u64) -> String {
    price.cost(total).unwrap().to_string()
}

/// Another service, in a section of its own.
fn service(name: &str, lines: &str) -> String {
    format!(
        "[[service]]\nname = \"{name}\"\ncontext = \"data\"\nrating_group = 2\nprice = \"0.02\"\nper = \"1 MB\"\n{lines}\n"
    )
}

fn counter(name: &str, period: Period) -> TierBasis {
    TierBasis::Counter { name: name.into(), period }
}

#[test]
fn tiers_free_units_and_minimum_are_read() {
    let catalog = catalog(
        "free_units = \"10 MB\"\nminimum = \"0.05\"\n\
         tiers = [{ from = \"1 GB\", price = \"0.005\" }, { from = \"2 GB\", price = \"1\", per = \"1 GB\", block = \"10 MB\" }]\n",
    );
    let price = &internet(&catalog).price;
    for (total, expected) in [
        (1, "0.05"),
        (15_000_001, "0.06"),
        (1_000_000_000, "9.90"),
        (1_000_000_001, "9.905"),
        (2_000_000_000, "14.90"),
        (2_000_000_001, "14.91"),
    ] {
        assert_eq!(cost(price, total), expected, "{total}");
    }
    assert_eq!(price.tier_basis(), &TierBasis::Session);
}

#[test]
fn tables_of_tiers_are_read_too() {
    let catalog = catalog("block = \"100 kB\"\n[[service.tiers]]\nfrom = \"1 GB\"\nprice = \"0\"\n");
    let price = &internet(&catalog).price;
    assert_eq!((cost(price, 1), cost(price, 5_000_000_000)), ("0.001".into(), "10.00".into()));
}

/// What goes on from session to session is counted by the name of the service, or together with others.
#[test]
fn counters_have_names_and_periods() {
    let tier = "tiers = [{ from = \"1 GB\", price = \"0.005\" }]\n";
    let text = format!("{tier}tier_period = \"week\"\n")
        + &service("video", "free_units = \"1 GB\"\ntier_period = \"cycle\"\ntier_counter = \"total\"")
        + &service("music", "tier_period = \"cycle\"\ntier_counter = \"total\"").replace("= 2", "= 3")
        + "[[tariff]]\nservice = \"internet\"\nname = \"roaming\"\nserving_network = \"2620*\"\nprice = \"0.1\"\nper = \"1 MB\"\n\
           free_units = \"1 MB\"\ntier_period = \"week\"\n";
    let catalog = catalog(&text);
    let internet = internet(&catalog);
    let of = |name| catalog.service_by_name(name).unwrap().price.tier_basis().clone();
    assert_eq!(internet.price.tier_basis(), &counter("internet", Period::Week));
    assert_eq!(internet.tariffs()[0].price.tier_basis(), &counter("internet", Period::Week));
    assert_eq!((of("video"), of("music")), (counter("total", Period::Cycle), counter("total", Period::Cycle)));
    let session = self::catalog(&format!("{tier}tier_period = \"session\"\n"));
    assert_eq!(self::internet(&session).price.tier_basis(), &TierBasis::Session);
    let day = self::catalog(&format!("{tier}tier_period = \"day\"\n"));
    assert_eq!(self::internet(&day).price.tier_basis(), &counter("internet", Period::Day));
}

#[test]
fn the_uplink_has_its_own_price() {
    let catalog = catalog(
        "block = \"100 kB\"\nsetup = \"1\"\nprice_up = \"0.1\"\n[[tariff]]\nservice = \"internet\"\nname = \"night\"\n\
         from = \"22:00\"\nprice = \"0.1\"\nper = \"1 MB\"\nprice_up = \"0\"\n[[tariff]]\nservice = \"internet\"\n\
         name = \"morning\"\nfrom = \"05:00\"\nto = \"06:00\"\nfree = true\n",
    );
    let service = internet(&catalog);
    assert_eq!(cost(service.uplink_price().unwrap(), 1), "0.01", "by the same block, without the setup fee");
    assert!(service.tariffs()[0].uplink_price().unwrap().is_free());
    assert_eq!(service.tariffs()[1].uplink_price(), None);
    let free = BASE.replace("\"0.01\"", "\"0\"");
    assert!(!internet(&Catalog::from_toml(&format!("{free}price_up = \"0.01\"\n")).unwrap()).is_free());
    assert!(internet(&Catalog::from_toml(&format!("{free}price_up = \"0\"\n")).unwrap()).is_free());
}

/// What is wrong is told with its place and what would be right.
#[test]
fn problems_of_prices() {
    for (lines, expected) in [
        ("minimum = \"-1\"", "line 12, column 11: a minimum charge is between 0 and 1000000"),
        ("minimum = 1", "line 12, column 11: `minimum = 1`: write it in quotes: \"1\""),
        ("free_units = \"5 s\"", "line 12, column 14: `free_units` counts seconds and `per` counts octets"),
        (
            "free_units = \"1500 kB\"",
            "line 12, column 14: 1500 kB is no multiple of 1 MB: where the price changes, a block ends by the price before",
        ),
        ("tiers = []", "line 12, column 9: `tiers = […]`: write a list such as `tiers = [{ from = \"1 GB\""),
        ("tiers = \"1 GB\"", "line 12, column 9: `tiers = \"1 GB\"`: write a list such as"),
        ("tiers = [1]", "line 12, column 10: in `tiers`: write a list such as"),
        ("tiers = [{ price = \"1\" }]", "line 12, column 10: a tier needs `from`, such as `from = \"1 GB\"`"),
        ("tiers = [{ from = \"1 GB\" }]", "line 12, column 10: a tier needs `price`, such as `price = \"0.005\"`"),
        (
            "tiers = [{ from = \"1 GB\", price = \"1\", fee = \"1\" }]",
            "line 12, column 40: unknown key `fee` in a tier; known: `from`, `price`, `per`, `block`",
        ),
        (
            "tiers = [{ from = \"1 h\", price = \"1\" }]",
            "line 12, column 19: `from` counts seconds and the service counts octets: they must be the same",
        ),
        (
            "tiers = [{ from = \"1 GB\", price = \"1\", per = \"1 s\" }]",
            "line 12, column 46: `per` counts seconds and the service counts octets: they must be the same",
        ),
        (
            "tiers = [{ from = \"1 GB\", price = \"1\", block = \"1 s\" }]",
            "line 12, column 48: `block` counts seconds and the service counts octets: they must be the same",
        ),
        (
            "tiers = [{ from = \"2 GB\", price = \"1\" }, { from = \"1 GB\", price = \"1\" }]",
            "line 12, column 51: a tier begins after the one before it, and after the free units: list them in ascending",
        ),
        (
            "free_units = \"1 GB\"\ntiers = [{ from = \"1 GB\", price = \"1\" }]",
            "line 13, column 19: a tier begins after the one before it, and after the free units",
        ),
        (
            "tiers = [{ from = \"100 kB\", price = \"1\" }]",
            "line 12, column 19: 100 kB is no multiple of 1 MB: where the price changes",
        ),
        (
            "tiers = [{ from = \"1 MB\", price = \"1\", block = \"3 kB\" }]",
            "line 12, column 19: 1 MB is no multiple of 3 kB: where the price changes",
        ),
        (
            "tiers = [{ from = \"1 MB\", price = \"0.01\", per = \"999999999989 B\" }, \
             { from = \"2 MB\", price = \"0.01\", per = \"999999999961 B\" }]",
            "line 12, column 94: the tier from 2 MB does not fit exactly together with those before it: choose a `block`",
        ),
        (
            "tiers = [{ from = \"1 MB\", price = \"2000000\" }]",
            "line 12, column 35: `price = \"2000000\"`: write a price",
        ),
        (
            "tier_period = \"month\"",
            "line 12, column 15: `tier_period = \"month\"`: write \"session\", \"day\", \"week\" or \"cycle\"",
        ),
        ("tier_period = \"day\"", "line 12, column 15: there is nothing to count by the day: give it `tiers`"),
        (
            "tier_counter = \"total\"",
            "line 12, column 16: a `tier_counter` goes on from session to session: say when it begins anew, such as",
        ),
        (
            "tier_counter = \"total\"\ntier_period = \"session\"",
            "line 12, column 16: a `tier_counter` goes on from session to session",
        ),
        ("tier_counter = \"to tal\"", "line 12, column 16: `tier_counter = \"to tal\"`: a name has up to 64 letters"),
        (
            "setup = \"1\"\nfree_units = \"1 MB\"\ntier_period = \"week\"",
            "line 12, column 9: `setup` falls due in every session, which this price does not count: leave it out, or count \
             by the session instead of by the week",
        ),
        (
            "minimum = \"1\"\nfree_units = \"1 MB\"\ntier_period = \"week\"",
            "line 12, column 11: `minimum` falls due in every session",
        ),
        ("price_up = 1", "line 12, column 12: `price_up = 1`: write it in quotes"),
        (
            "pool = 1\nfree_units = \"1 MB\"",
            "line 12, column 8: service `internet` has tiers, free units or a minimum charge",
        ),
        (
            "pool = 1\nminimum = \"1\"",
            "line 12, column 8: service `internet` has tiers, free units or a minimum charge",
        ),
        ("pool = 1\nprice_up = \"1\"", "line 12, column 8: service `internet` has a price of its own for the uplink"),
        (
            "free = true\nslice = \"1 MB\"",
            "line 10, column 1: `free = true` and `price` do not go together: take one out",
        ),
    ] {
        problem(&format!("{BASE}{lines}\n"), expected);
    }
    let twenty_one = "{ from = \"1 GB\", price = \"1\" }, ".repeat(21);
    problem(
        &format!("{BASE}tiers = [{twenty_one}]\n"),
        "line 12, column 9: `tiers = […]`: a price has at most 20 tiers",
    );
    let seconds = BASE.replace("1 MB", "1 min");
    problem(
        &format!("{seconds}price_up = \"1\"\n"),
        "line 12, column 12: only octets have an uplink: `price_up` is not for what counts seconds",
    );
    let free = BASE.replace("price = \"0.01\"\nper = \"1 MB\"", "free = true\nslice = \"1 MB\"");
    for key in ["minimum = \"1\"", "free_units = \"1 MB\"", "tiers = []", "tier_period = \"day\"", "price_up = \"1\""] {
        let name = key.split(' ').next().unwrap();
        problem(
            &format!("{free}{key}\n"),
            &format!("line 12, column 1: `free = true` and `{name}` do not go together"),
        );
    }
}

/// A counter counts one thing over one period, in whichever services and tariffs.
#[test]
fn problems_of_counters() {
    let first = "free_units = \"1 MB\"\ntier_period = \"day\"\ntier_counter = \"total\"\n";
    let others = service("video", "free_units = \"1 MB\"\ntier_period = \"week\"\ntier_counter = \"total\"");
    problem(
        &format!("{BASE}{first}{others}"),
        "line 23, column 16: line 14 counts octets by the day as `total`: count the same, or give this one a `tier_counter`",
    );
    let calls = others.replace("MB", "min").replace("week", "day");
    problem(&format!("{BASE}{first}{calls}"), "line 23, column 16: line 14 counts octets by the day as `total`");
    let tariff = "[[tariff]]\nservice = \"internet\"\nname = \"night\"\nfrom = \"22:00\"\nprice = \"1\"\nper = \"1 MB\"\n\
                  free_units = \"1 MB\"\ntier_period = \"cycle\"\n";
    let own = "free_units = \"1 MB\"\ntier_period = \"day\"\n";
    problem(&format!("{BASE}{own}{tariff}"), "line 21, column 15: line 13 counts octets by the day as `internet`");
}

#[track_caller]
fn problem(text: &str, expected: &str) {
    let found: Vec<String> = Catalog::from_toml(text).unwrap_err().iter().map(ToString::to_string).collect();
    assert!(found.iter().any(|problem| problem.starts_with(expected)), "{text}\n{expected}\n{found:#?}");
}

/// Figures that fit together, and some that do not.
fn quantity() -> impl Strategy<Value = String> {
    (prop_oneof![Just(1u64), 1u64..20, any::<u64>()], prop_oneof![9 => Just("MB"), 3 => Just("B"), 1 => Just("s")])
        .prop_map(|(number, unit)| format!("{number} {unit}"))
}

proptest! {
    /// Whatever is written, it is a price that never costs less for more, or a problem that is told.
    #[test]
    fn no_figures_panic(
        tiers in prop::collection::vec((quantity(), "[0-9]{1,8}(.[0-9]{1,13})?", quantity()), 0..5),
        free in quantity(), minimum in "-?[0-9]{1,8}", totals in prop::collection::vec(any::<u64>(), 2..10),
    ) {
        let tier = |(from, price, block): &(String, String, String)| {
            format!("{{ from = \"{from}\", price = \"{price}\", block = \"{block}\" }}")
        };
        let tiers: Vec<String> = tiers.iter().map(tier).collect();
        let lines = format!("free_units = \"{free}\"\nminimum = \"{minimum}\"\ntiers = [{}]\n", tiers.join(", "));
        match Catalog::from_toml(&format!("{BASE}{lines}")) {
            Ok(catalog) => {
                let mut totals = totals;
                totals.sort_unstable();
                let costs: Vec<_> = totals.iter().filter_map(|total| internet(&catalog).price.cost(*total).ok()).collect();
                prop_assert!(costs.is_sorted());
            }
            Err(problems) => prop_assert!(problems.iter().all(|problem| problem.line >= 12), "{problems:?}"),
        }
    }
}
