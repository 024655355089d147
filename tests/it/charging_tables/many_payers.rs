//! One session that empties more buckets than are told apart.

use tollgate::charging::{Detail, PAID_MAX, Paid};

use super::{Table, fs};
use crate::{explained, survival};

const ALLOWANCES: i64 = 1_001;

#[test]
fn a_session_that_a_thousand_allowances_paid_for_survives_a_restart() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/charging_tables/catalog.toml");
    let mut table = Table::new(&fs::read_to_string(path).unwrap());
    table.run("account 1 10.00");
    table.run("ccr-i S1 1 0 rg=10 want");
    for number in 1..=ALLOWANCES {
        table.run(&format!("give 1 data-20 gift-{number}"));
        table.run(&format!("ccr-u S1 1 {number} rg=10 used=20MiB want"));
    }
    let check = |table: &Table| {
        survival::survives_a_checkpoint(&table.state, table.retention);
        explained::all_exact(&table.state, &|number| Some(&*table.catalogs.get(number)?.catalog));
    };
    let session = table.state.sessions().next().unwrap();
    let breakdown = session.quotas[0].breakdown.as_deref().unwrap();
    assert_eq!(breakdown.paid.len(), PAID_MAX + 1);
    assert_eq!(breakdown.paid[PAID_MAX].bucket, Paid::OTHERS);
    assert_eq!(breakdown.paid.iter().map(|paid| paid.amount).sum::<i64>(), ALLOWANCES * 20 * 1024 * 1024);
    assert_eq!(Detail::read(&breakdown.write()), Some(Detail::Charge(breakdown.clone())));
    check(&table);
    table.run(&format!("ccr-t S1 1 {} rg=10", ALLOWANCES + 1));
    check(&table);
    table.replay();
}
