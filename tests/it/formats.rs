//! Stores of every format that ever landed open with today's code, and have what the binary that wrote them found in them.

use std::{fs, path::Path, sync::Arc};

use tollgate::{
    charging::{CreditCommand, CreditKind, Retention},
    ids::AccountId,
    journal::FileDisk,
    rating::Catalog,
    store::{AuditTrail, Place, RecordFormat, RecordsAt, Rotation, Settings, SilentObserver, Store, inspect},
    time::{ManualClock, Timestamp},
    units::Money,
};

const ROTATION: Rotation = Rotation { bytes: 1 << 20, secs: 0 };

fn settings() -> Settings {
    Settings {
        partitions: 4,
        segment_bytes: 1 << 20,
        retention: Retention::default(),
        outbox_keep: 100_000,
        outbox_keep_max: 1_000_000,
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

#[test]
fn stores_of_all_formats_open_and_are_what_they_were() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut opened = Vec::new();
    for entry in fs::read_dir(&fixtures).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let Some(version) = name.strip_prefix("store-v") else { continue };
        let expected: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(entry.path().join("expected.json")).unwrap()).unwrap();
        let catalog =
            Arc::new(Catalog::from_toml(&fs::read_to_string(entry.path().join("catalog.toml")).unwrap()).unwrap());
        let scratch = tempfile::tempdir().unwrap();
        let data = scratch.path().join("data");
        copy(&entry.path().join("data"), &data);
        holds(&data, &catalog, &expected);
        used_again(&data, &catalog, &expected);
        opened.push(version.to_owned());
    }
    opened.sort();
    assert_eq!(opened, ["1"], "one for each version that landed");
}

/// Totals, without a change of anything; and what was written is chained as it was.
fn holds(data: &Path, catalog: &Arc<Catalog>, expected: &serde_json::Value) {
    let found = inspect(&FileDisk::look(data), settings(), catalog, |_| {}).unwrap();
    let money = |micros: i128| Money::from_micros(i64::try_from(micros).unwrap()).to_string();
    let found = serde_json::json!({
        "partitions": found.partitions, "oldest": found.oldest.0, "last": found.last.0, "torn_tail": null,
        "checkpoints": found.checkpoints.iter().map(|it| it.0).collect::<Vec<_>>(), "replayed": found.replayed,
        "accounts": found.accounts, "sessions": found.sessions, "credited": money(found.credited),
        "debited": money(found.debited), "balances": money(found.balances), "reserved": money(found.reserved),
        "compared_from": found.compared_from.map(|it| it.0), "currency": "CNY", "ok": true,
    });
    assert_eq!(found, *expected);
    assert!(found["sessions"].as_u64() > Some(0), "sessions were running");
    assert!(AuditTrail::look(&data.join("audit")).verify(None).unwrap().lines > 0);
}

/// A start takes it over: requests from before are known, new ones add up, and the next start has all of it.
fn used_again(data: &Path, catalog: &Arc<Catalog>, expected: &serde_json::Value) {
    let open = || {
        let disk = |name: &str| FileDisk::open(data.join(name)).unwrap();
        let records =
            RecordsAt { disk: disk("records"), format: RecordFormat::Json, rotation: ROTATION, queue_max: 1_000_000 };
        let place = Place { disk: disk(""), records: Some(records), audit: Some((disk("audit"), ROTATION)) };
        // The moment of the fixture's last record and some more, wherever the clock of this machine stands.
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_795_467_000)));
        Store::open(place, settings(), Arc::clone(catalog), clock, Arc::new(SilentObserver), |_| {}, |_| {}).unwrap()
    };
    let top_up = |store: &Store, id: &str, account: u64, amount: i64| {
        let kind = CreditKind::TopUp(Money::from_micros(amount));
        let currency = Some(store.catalog().currency());
        let done = store.credit(CreditCommand { account: AccountId(account), kind, currency, request_id: id });
        store.mark().wait_for_blocking(done.position()).unwrap();
        store.mark().admit(done).unwrap().into_inner().unwrap().repeated
    };
    let balances =
        |store: &Store| Money::from_micros(i64::try_from(store.totals().balance_micros).unwrap()).to_string();
    let (store, report) = open();
    assert_eq!(report.audit_missing, 0);
    assert_eq!(serde_json::json!(report.sessions), expected["sessions"]);
    for (number, amount) in [(1, 1_500_000), (2, 2_500_000), (3, 3_500_000), (4, 4_500_000)] {
        assert!(top_up(&store, &format!("fixture-{number}"), number + 1, amount), "known: {number}");
    }
    let before = balances(&store);
    assert_eq!(before, expected["balances"].as_str().unwrap());
    assert!(!top_up(&store, "fixture-5", 1, 1_000_000));
    let after = balances(&store);
    assert_ne!(before, after);
    store.checkpoint().unwrap();
    store.shutdown().unwrap();
    drop(store);
    let (store, _) = open();
    assert!(top_up(&store, "fixture-5", 1, 1_000_000));
    assert_eq!(balances(&store), after);
    assert!(store.reconcile().unwrap().is_exact());
}

/// Downwards there is no way: who reads what a later version wrote would read it wrongly.
#[test]
fn a_store_of_a_later_format_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store-v1");
    copy(&fixture.join("data"), scratch.path());
    let catalog = Arc::new(Catalog::from_toml(&fs::read_to_string(fixture.join("catalog.toml")).unwrap()).unwrap());
    let mut meta = fs::read(scratch.path().join("meta")).unwrap();
    meta[4..8].copy_from_slice(&2u32.to_le_bytes());
    let body = meta.len() - 4;
    let crc = crc32c::crc32c(&meta[..body]).to_le_bytes();
    meta[body..].copy_from_slice(&crc);
    fs::write(scratch.path().join("meta"), meta).unwrap();
    let told = "the store has format 2, this version reads and writes format 1: it was written by a later version of \
                tollgate; start that one, or restore a backup from before";
    let refused = inspect(&FileDisk::look(scratch.path()), settings(), &catalog, |_| {}).unwrap_err();
    assert_eq!(refused.to_string(), told);
    let disk = FileDisk::open(scratch.path()).unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let opened = Store::open(disk, settings(), catalog, clock, Arc::new(SilentObserver), |_| {}, |_| {});
    assert_eq!(opened.map(|_| ()).unwrap_err().to_string(), told);
}
