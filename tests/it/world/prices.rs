//! The price list of the world, and what usage costs by it, reckoned by other means than the product's.

use std::sync::{Arc, OnceLock};

use tollgate::rating::Catalog;

/// Rating groups of sessions; the first is also what events are charged by.
pub(super) const GROUPS: [u32; 2] = [1, 2];

const CATALOG: &str = r#"
currency = "CNY"
[[context]]
name = "data"
service_context_id = "32251@3gpp.org"
[[service]]
name = "internet"
context = "data"
rating_group = 1
price = "0.01"
per = "1 MB"
block = "100 kB"
slice = "10 MB"
validity = "10 min"
[[service]]
name = "odd"
context = "data"
rating_group = 2
price = "0.000007"
per = "3 B"
block = "7 B"
slice = "30 kB"
validity = "20 min"
[[threshold]]
name = "low"
money = "0.05"
"#;

pub(super) fn catalog() -> Arc<Catalog> {
    static COMPILED: OnceLock<Arc<Catalog>> = OnceLock::new();
    Arc::clone(COMPILED.get_or_init(|| Arc::new(Catalog::from_toml(CATALOG).unwrap())))
}

/// What so many octets of each group cost together in one session, in micro-units: begun blocks count whole, and what is
/// left of a micro-unit counts as one.
pub(super) fn cost(octets: [u64; 2]) -> i64 {
    let internet = octets[0].div_ceil(100_000) * 1_000;
    let odd = (octets[1].div_ceil(7) * 7 * 7).div_ceil(3);
    (internet + odd) as i64
}
