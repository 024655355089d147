//! Sessions of which more is to be told than one line has room for.

use tollgate::charging::{
    Breakdown, Detail, HistoryKind, HistoryLine, PAID_MAX, PARTS_MAX, Paid, Record, RecordKind, UsedService,
};

use super::{AccountId, Money, Table, fs};
use crate::{explained, survival};

/// Two sessions count for the same tiers, and take turns: no report goes on where the one before it ended.
const TIERS: &str = r#"
currency = "EUR"

[[context]]
name = "data"
service_context_id = "32251@3gpp.org"

[[service]]
name = "tiered"
context = "data"
rating_group = 1
price = "0.10"
per = "1 MB"
tiers = [{ from = "400 MB", price = "0.05", per = "3 MB" }]
tier_period = "cycle"
slice = "10 MB"
validity = "1 h"
"#;

const SECONDS: &str = r#"
currency = "EUR"

[[context]]
name = "data"
service_context_id = "32251@3gpp.org"

[[service]]
name = "tiered"
context = "data"
rating_group = 1
price = "0.01"
per = "1 s"
slice = "1 h"
validity = "1 h"
"#;

const MB: u64 = 1_000_000;

fn table(source: &str, account: &str) -> Table {
    let mut table = Table::new(source);
    table.state.keep_records();
    table.run(account);
    table
}

fn of_tables() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/charging_tables/catalog.toml")).unwrap()
}

/// The usage records of sessions that were made since the last call, and whether the session went on.
fn usage(table: &mut Table) -> Vec<(bool, UsedService)> {
    let usage = |record: Record| match record.kind {
        RecordKind::Usage(usage) => Some((usage.cause.is_none(), usage.service)),
        _ => None,
    };
    table.state.take_records().into_iter().filter_map(usage).collect()
}

/// Explains all, also after a checkpoint and after a replay, and sees that records and history tell the same.
fn check(table: &Table, records: &[(bool, UsedService)]) {
    let versions = |number| Some(&*table.catalogs.get(number)?.catalog);
    explained::all_exact(&table.state, &versions);
    survival::survives_a_checkpoint(&table.state, table.retention);
    table.replay();
    let history = table.state.account(AccountId(1)).unwrap().history.iter();
    let line = |line: &HistoryLine<'_>| (line.units, line.units_from_allowance, -line.amount, line.read_detail());
    let record = |used: &UsedService| {
        (used.used, used.from_allowance, used.charged, used.breakdown.as_deref().cloned().map(Detail::Charge))
    };
    let told: Vec<_> = history.filter(|it| it.kind == HistoryKind::Usage).map(|it| line(&it)).collect();
    let recorded: Vec<_> = records.iter().filter(|(_, used)| used.used > 0).map(|(_, used)| record(used)).collect();
    // An account keeps its latest lines only.
    assert!(!told.is_empty() && recorded.ends_with(&told), "{} lines, {} records", told.len(), recorded.len());
}

fn breakdowns(records: &[(bool, UsedService)]) -> Vec<&Breakdown> {
    records.iter().filter_map(|(_, used)| used.breakdown.as_deref()).collect()
}

#[test]
fn a_session_of_many_parts_is_told_in_several_lines_and_each_is_explained() {
    let reports = 2 * PARTS_MAX + 5;
    let mut table = table(TIERS, "account 1 1000.00");
    table.run("ccr-i S1 1 0 rg=1 want");
    table.run("ccr-i S2 1 0 rg=1 want");
    for number in 1..=reports {
        table.run(&format!("ccr-u S1 1 {number} rg=1 used=1MB want"));
        table.run(&format!("ccr-u S2 1 {number} rg=1 used=1MB want"));
    }
    let mut records = usage(&mut table);
    assert_eq!(records.iter().map(|(goes_on, _)| *goes_on).collect::<Vec<_>>(), [true; 4], "two of each session");
    assert!(breakdowns(&records).iter().all(|known| known.parts.len() == PARTS_MAX), "none before it is full");
    check(&table, &records);
    // Of those that run, a line tells what has come since.
    let (session, last) = (table.state.sessions().next().unwrap(), reports as u64 - 2 * PARTS_MAX as u64);
    assert_eq!(HistoryLine::usage(session, &session.quotas[0], table.now).units, last * MB);

    table.run(&format!("ccr-t S1 1 {} rg=1 used=1MB", reports + 1));
    table.run(&format!("ccr-t S2 1 {}", reports + 1));
    records.extend(usage(&mut table));
    assert_eq!(
        records[4..].iter().map(|(goes_on, used)| (*goes_on, used.used)).collect::<Vec<_>>(),
        [(false, (last + 1) * MB), (false, last * MB)]
    );
    check(&table, &records);
    // 400 MB at 0.10, and the others at a third of 0.05.
    let used = 2 * reports as u64 + 1;
    let price = Money::from_micros(400 * 100_000 + ((used - 400) * 50_000).div_ceil(3) as i64);
    assert_eq!(records.iter().map(|(_, used)| used.used).sum::<u64>(), used * MB);
    assert_eq!(records.iter().fold(Money::ZERO, |sum, (_, used)| sum.saturating_add(used.charged)), price);
    assert_eq!(table.state.recorded().0, i128::from(price.micros()));
}

#[test]
fn a_session_that_a_thousand_allowances_paid_for_tells_of_each() {
    const ALLOWANCES: usize = 1_001;
    let mut table = table(&of_tables(), "account 1 10.00");
    table.run("ccr-i S1 1 0 rg=10 want");
    for number in 1..=ALLOWANCES {
        table.run(&format!("give 1 data-20 gift-{number}"));
        table.run(&format!("ccr-u S1 1 {number} rg=10 used=20MiB want"));
    }
    table.run(&format!("ccr-t S1 1 {} rg=10", ALLOWANCES + 1));
    let records = usage(&mut table);
    let paid: Vec<_> = breakdowns(&records).iter().flat_map(|known| &known.paid).collect();
    assert_eq!(records.len(), ALLOWANCES.div_ceil(PAID_MAX));
    assert_eq!(paid.len(), ALLOWANCES);
    assert!(paid.iter().all(|paid| paid.bucket != Paid::OTHERS && paid.amount == 20 << 20), "{paid:?}");
    check(&table, &records);
}

#[test]
fn of_what_one_report_empties_beyond_that_the_sum_is_told() {
    let mut table = table(&of_tables(), "account 1 10.00");
    table.run("subscriber 1 anna 8613900000001");
    table.run("set-member 1 m1 anna own-first");
    // As many as an account may have, of everybody and of one: main is among them.
    for number in 1..PAID_MAX {
        table.run(&format!("give 1 data-20 shared-{number}"));
        table.run(&format!("give 1 data-20 own-{number} for anna"));
    }
    table.run("ccr-i S1 1 0 as anna rg=10 want");
    table.run(&format!("ccr-u S1 1 1 as anna rg=10 used={}MiB want", 2 * 20 * (PAID_MAX - 1)));
    table.run("ccr-t S1 1 2 as anna rg=10");
    let records = usage(&mut table);
    let [known] = breakdowns(&records)[..] else { panic!("{records:?}") };
    assert_eq!(known.paid.len(), PAID_MAX + 1);
    assert_eq!((known.paid[PAID_MAX].bucket, known.paid[PAID_MAX].amount), (Paid::OTHERS, 62 * (20 << 20)));
    check(&table, &records);
}

#[test]
fn where_another_unit_is_counted_another_line_begins() {
    let mut table = table(TIERS, "account 1 1000.00");
    table.run("ccr-i S1 1 0 rg=1 want");
    table.run("ccr-u S1 1 1 rg=1 used=5MB want");
    table.publish(SECONDS, 0, "change");
    table.run("ccr-u S1 1 2 rg=1 used=1MB want");
    table.run("ccr-u S1 1 3 rg=1 used=30s want");
    table.run("ccr-t S1 1 4 rg=1 used=40s");
    let records = usage(&mut table);
    let told: Vec<_> = records.iter().map(|(goes_on, used)| (*goes_on, used.used, used.charged.to_string())).collect();
    assert_eq!(told, [(true, 6 * MB, "0.60".to_owned()), (false, 70, "0.70".to_owned())]);
    check(&table, &records);
}
