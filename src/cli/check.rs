//! `check`: is the configuration, and the catalog that it names, in order? `serve` asks the same before it starts.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    app,
    config::{Config, DEFAULT_PATH, Environment},
    rating::Catalog,
    units::Currency,
};

/// The currency of `[seed]`.
const SEED_CURRENCY: &str = "CNY";

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
        let (services, allowances) = (catalog.services().len(), catalog.allowances().count());
        let (thresholds, currency) = (catalog.thresholds().len(), catalog.currency());
        write!(
            f,
            "{path}: in order: {services} services, {allowances} allowances, {thresholds} thresholds, prices in {currency}"
        )
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
    let catalog = app::read_catalog(config.catalog_path())?;
    let currency: Option<Currency> = SEED_CURRENCY.parse().ok();
    if config.seed.subscribers > 0 && currency != Some(catalog.currency()) {
        let (catalog_path, prices) = (config.catalog_path().display(), catalog.currency());
        let why = format!("{catalog_path}: prices are in {prices}, `seed.balance` is in {SEED_CURRENCY}");
        return Err(vec![why]);
    }
    let problems: Vec<_> = app::unserved_peers(&config.diameter.peers, &catalog)
        .into_iter()
        .map(|(key, message)| Config::problem_at(path, environment, &key, message).to_string())
        .collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(CheckReport { path: path.map(Path::to_owned), config, catalog: Arc::new(catalog) })
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
        assert!(problems[0].contains("prices.toml: cannot be read"), "{problems:?}");

        fs::write(directory.path().join("prices.toml"), "currency = \"CNY\"\nprice = 1\n").unwrap();
        let problems = check(Some(&config), &NO_VARIABLES).unwrap_err();
        assert!(problems.iter().any(|problem| problem.contains("prices.toml:2:1: ")), "{problems:?}");
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
