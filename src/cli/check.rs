//! `check`: is the configuration, and the catalog that it names, in order? `serve` asks the same before it starts.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    app,
    config::{Config, DEFAULT_PATH, Environment, Peer, Profile, ReauthoriseBy},
    rating::Catalog,
    units::UnitKind,
};

/// What gateways send for packet-switched data.
const PS_CONTEXT: &str = "32251@3gpp.org";
/// Some clients ask no sooner than this, others would do nothing else (interop.md).
const VALIDITY_SECS_MIN: u32 = 5;

/// Configuration and catalog, both in order.
#[derive(Debug, Clone)]
pub struct CheckReport {
    /// The file that was read; `None` = defaults and environment only.
    pub path: Option<PathBuf>,
    /// The configuration.
    pub config: Config,
    /// The price list.
    pub catalog: Arc<Catalog>,
}

/// A few lines for people.
impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => writeln!(f, "{}: in order", path.display())?,
            None => writeln!(f, "no configuration file: defaults and environment, in order")?,
        }
        let (catalog, path) = (&self.catalog, self.config.catalog_path().display());
        let counts = [
            (catalog.services().len(), "services"),
            (catalog.allowances().count(), "allowances"),
            (catalog.thresholds().len(), "thresholds"),
            (catalog.products().len(), "products"),
            (catalog.plans().len(), "plans"),
            (catalog.limits().len(), "limits"),
            (catalog.discounts().len(), "discounts"),
            (catalog.gifts().len(), "gifts"),
        ];
        let counts: Vec<String> = counts.iter().map(|(count, what)| format!("{count} {what}")).collect();
        write!(f, "{path}: in order: {}, prices in {}", counts.join(", "), catalog.currency())
    }
}

/// Reads and checks everything. Without a path the default one is read if it is there.
///
/// # Errors
/// Every problem, one line each: `file:line:column: message`.
pub fn check(config_path: Option<&Path>, environment: &dyn Environment) -> Result<CheckReport, Vec<String>> {
    let default = Path::new(DEFAULT_PATH);
    let path = config_path.or_else(|| default.exists().then_some(default));
    let config = Config::load(path, environment)
        .map_err(|error| error.problems().iter().map(ToString::to_string).collect::<Vec<_>>())?;
    check_loaded(path, config, environment)
}

fn check_loaded(
    path: Option<&Path>,
    config: Config,
    environment: &dyn Environment,
) -> Result<CheckReport, Vec<String>> {
    let catalog = app::read_catalog(config.catalog_path())?;
    unfit(&config, &catalog).map_err(|unfit| unfit.located(path, environment))?;
    Ok(CheckReport { path: path.map(Path::to_owned), config, catalog: Arc::new(catalog) })
}

/// Configuration and catalog do not fit together.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(|(key, message)| format!("{key}: {message}")).collect::<Vec<_>>().join("\n"))]
pub struct Unfit(Vec<(String, String)>);

impl Unfit {
    /// One line for each problem: `file:line:column: message`.
    pub fn located(self, path: Option<&Path>, environment: &dyn Environment) -> Vec<String> {
        let locate =
            |(key, message): (String, String)| Config::problem_at(path, environment, &key, message).to_string();
        self.0.into_iter().map(locate).collect()
    }
}

/// Whether the catalog has what the peers of the configuration need.
///
/// # Errors
/// Each peer that it does not fit, and what would be right.
pub fn unfit(config: &Config, catalog: &Catalog) -> Result<(), Unfit> {
    let mut problems = Vec::new();
    for (index, peer) in config.diameter.peers.iter().enumerate() {
        let problem = match peer.profile {
            Profile::Open5gs => open5gs_problem(catalog),
            _ => None,
        };
        for problem in problem.into_iter().chain(validity_problem(peer, catalog)) {
            problems.push((format!("diameter.peers.{index}"), format!("peer `{}`: {problem}", peer.origin_host)));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Unfit(problems)) }
}

/// Open5GS names no rating group, so that only one service is for it (spec I-9); and it counts octets and seconds only: of
/// any other grant it takes no notice, which is a service without limit (spec I-2).
fn open5gs_problem(catalog: &Catalog) -> Option<String> {
    let right = "name a service of octets or seconds in `default_service`";
    let Some(context) = catalog.context(PS_CONTEXT) else {
        return Some(format!("Open5GS sends {PS_CONTEXT}, and the catalog has no context for it"));
    };
    match catalog.service(context, None, None) {
        None => Some(format!("Open5GS names no rating group, and the context of {PS_CONTEXT} has no default: {right}")),
        Some(service) if service.kind == UnitKind::Events => Some(format!(
            "Open5GS takes a grant of events for no limit at all, and service `{}` counts them: {right}",
            service.name
        )),
        Some(_) => None,
    }
}

/// A short Validity-Time takes the place of a Re-Auth-Request (spec I-15): so it must be short, and not so short that the
/// client asks all the time.
fn validity_problem(peer: &Peer, catalog: &Catalog) -> Option<String> {
    if peer.switches().reauthorise_by != ReauthoriseBy::Validity {
        return None;
    }
    let unfit = |short: u32, long: u32| short < VALIDITY_SECS_MIN || short >= long;
    let service =
        catalog.services().iter().find(|service| unfit(service.short_validity_secs, service.validity_secs))?;
    Some(format!(
        "its sessions ask again after `short_validity`, which for service `{}` is {} s: it must be at least \
         {VALIDITY_SECS_MIN} s and shorter than the service's `validity`, {} s",
        service.name, service.short_validity_secs, service.validity_secs
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const NO_VARIABLES: [(&str, &str); 0] = [];

    #[test]
    fn the_shipped_configurations_are_in_order() {
        for file in ["config/tollgate.toml", "config/demo/tollgate.toml", "config/bench/tollgate.toml"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            let report = check(Some(&path), &NO_VARIABLES).unwrap();
            assert!(report.to_string().contains("prices in CNY"), "{report}");
        }
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/demo/tollgate.toml");
        let report = check(Some(&demo), &NO_VARIABLES).unwrap().to_string();
        let sold =
            "11 services, 4 allowances, 2 thresholds, 4 products, 1 plans, 2 limits, 1 discounts, 0 gifts, prices";
        assert!(report.contains(sold), "{report}");
    }

    #[test]
    fn problems_say_file_line_and_column() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("tollgate.toml");
        fs::write(&config, "[grpc]\nlisten = 5\nlistem = 6\n").unwrap();
        let problems = check(Some(&config), &NO_VARIABLES).unwrap_err();
        assert!(problems.iter().any(|problem| problem.contains("tollgate.toml:3:1: ")), "{problems:?}");

        fs::write(&config, "[catalog]\nfile = \"prices.toml\"\n").unwrap();
        let problems = check(Some(&config), &NO_VARIABLES).unwrap_err();
        assert!(problems[0].contains("tollgate.toml:2:1: `file`: "), "{problems:?}");
        assert!(problems[0].contains("prices.toml: cannot be read"), "{problems:?}");

        fs::write(directory.path().join("prices.toml"), "currency = \"CNY\"\nprice = 1\n").unwrap();
        let problems = check(Some(&config), &NO_VARIABLES).unwrap_err();
        assert!(problems.iter().any(|problem| problem.contains("prices.toml:2:1: ")), "{problems:?}");
    }

    #[test]
    fn subscribers_to_start_with_have_the_catalogs_currency() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("tollgate.toml");
        fs::write(&config, "[catalog]\nfile = \"prices.toml\"\n[seed]\nsubscribers = 1\n").unwrap();
        let demo = include_str!("../../config/demo/catalog.toml");
        fs::write(directory.path().join("prices.toml"), demo.replacen("\"CNY\"", "\"EUR\"", 1)).unwrap();
        let report = check(Some(&config), &NO_VARIABLES).unwrap();
        assert!(report.to_string().contains("prices in EUR"), "{report}");
    }

    // tests: I-2, I-9, I-15
    #[test]
    fn a_catalog_that_does_not_fit_a_peer_is_refused_at_the_peer() {
        let demo = include_str!("../../config/demo/catalog.toml");
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("tollgate.toml");
        let checked = |profile: &str, catalog: &str| {
            let peers = "[[diameter.peers]]\norigin_host = \"other.example\"\n";
            let peer = format!("[[diameter.peers]]\norigin_host = \"smf.example\"\n{profile}\n");
            fs::write(&config, format!("{peers}{peer}[catalog]\nfile = \"prices.toml\"\n")).unwrap();
            fs::write(directory.path().join("prices.toml"), catalog).unwrap();
            check(Some(&config), &NO_VARIABLES).err()
        };
        let open5gs = "profile = \"open5gs\"";
        assert_eq!(checked(open5gs, demo), None);
        let without_default = demo
            .replacen("default_service = \"internet\"\nfallback_service = \"other-data\"", "", 1)
            .replacen("name = \"other-data\"", "name = \"other-data\"\nrating_group = 77", 1);
        let clicks = "[[service]]\nname = \"clicks\"\ncontext = \"data\"\nprice = \"0.01\"\nper = \"1 event\"\n";
        let of_events = demo.replacen("default_service = \"internet\"", "default_service = \"clicks\"", 1) + clicks;
        let without_context = demo.replace("[\"32251@3gpp.org\", ", "[");
        let too_long = demo.replacen("validity = \"1 h\"", "validity = \"60 s\"", 1);
        let too_short = demo.replacen("validity = \"1 h\"", "validity = \"1 h\"\nshort_validity = \"2 s\"", 1);
        for (profile, catalog, right) in [
            (open5gs, &without_default, "has no default"),
            (open5gs, &of_events, "service `clicks` counts them"),
            (open5gs, &without_context, "has no context for it"),
            (open5gs, &too_long, "shorter than the service's `validity`, 60 s"),
            ("reauthorise_by = \"validity\"", &too_short, "is 2 s"),
        ] {
            assert_ne!(catalog, demo);
            let problems = checked(profile, catalog).expect(right);
            assert!(
                problems[0].contains("tollgate.toml:3:") && problems[0].contains("peer `smf.example`"),
                "{problems:?}"
            );
            assert!(problems[0].contains(right) && problems.len() == 1, "{problems:?}");
        }
        // Nobody minds who does not depend on it.
        for catalog in [&without_default, &too_long, &too_short] {
            assert_eq!(checked("profile = \"nokia\"", catalog), None);
        }
    }
}
