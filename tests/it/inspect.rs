//! What a store's files say of themselves: an inspection finds all damage and all contradiction, and changes nothing.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use tollgate::{
    charging::{AccountSpec, Command, CreditCommand, CreditKind, Retention},
    ids::AccountId,
    journal::{Disk as _, MemoryDisk, Position},
    rating::Catalog,
    store::{CopyError, Directories, InspectError, Inspection, Settings, SilentObserver, Store, Until, copy, inspect},
    time::{ManualClock, Timestamp},
    units::Money,
};

use crate::charging_property::CATALOG;

const ACCOUNTS: u64 = 6;

static PRICES: LazyLock<Arc<Catalog>> = LazyLock::new(|| Arc::new(Catalog::from_toml(CATALOG).unwrap()));

fn settings() -> Settings {
    Settings {
        partitions: 2,
        segment_bytes: 4 << 10,
        retention: Retention::default(),
        outbox_keep: 1_000,
        outbox_keep_max: 1_000_000,
    }
}

fn open(disk: &MemoryDisk) -> Store<MemoryDisk> {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000)));
    let (prices, observer) = (Arc::clone(&PRICES), Arc::new(SilentObserver));
    Store::open(disk.clone(), settings(), prices, clock, observer, |_| {}, |_| {}).unwrap().0
}

/// A store that has ended in order: accounts, then top-ups with checkpoints in between, `count` in each part.
fn used(amount: i64, parts: &[u64]) -> MemoryDisk {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    for account in 1..=ACCOUNTS {
        let spec = AccountSpec {
            id: AccountId(account),
            currency: store.catalog().currency(),
            balance: Money::from_micros(10_000_000),
            credit_limit: Money::ZERO,
            never_stop: false,
            allowances: Vec::new(),
        };
        drop(store.account_command(AccountId(account), &Command::CreateAccount(spec)));
    }
    let mut number = 0;
    for (part, count) in parts.iter().enumerate() {
        if part > 0 {
            store.checkpoint().unwrap();
        }
        for _ in 0..*count {
            number += 1;
            let kind = CreditKind::TopUp(Money::from_micros(amount));
            let (account, request_id) = (AccountId(number % ACCOUNTS + 1), &*format!("t{number}"));
            let done =
                store.credit(CreditCommand { account, kind, currency: Some(store.catalog().currency()), request_id });
            store.mark().wait_for_blocking(done.position()).unwrap();
        }
    }
    drop(store);
    disk
}

fn look(disk: &MemoryDisk) -> Result<Inspection, InspectError> {
    inspect(disk, settings(), &PRICES, |_| {})
}

fn files(disk: &MemoryDisk) -> BTreeMap<String, Vec<u8>> {
    let names = disk.list().unwrap();
    names.into_iter().map(|name| (name.clone(), disk.contents(&name).unwrap())).collect()
}

fn of(files: &BTreeMap<String, Vec<u8>>) -> MemoryDisk {
    let disk = MemoryDisk::new();
    files.iter().for_each(|(name, bytes)| disk.put(name, bytes.clone()));
    disk
}

#[test]
fn a_sound_store_is_consistent_by_two_ways_and_stays_as_it_is() {
    let disk = used(1_000_000, &[10, 20, 30, 40]);
    let before = files(&disk);
    let found = look(&disk).unwrap();
    assert_eq!((found.accounts, found.sessions, found.checkpoints.len()), (ACCOUNTS, 0, 2));
    let credited = i128::from(ACCOUNTS) * 10_000_000 + 100 * 1_000_000;
    assert_eq!((found.credited, found.debited, found.balances, found.reserved), (credited, 0, credited, 0));
    assert_eq!(found.compared_from, Some(found.checkpoints[0]));
    assert_eq!(found.replayed, 40 + 70, "from the newest checkpoint, and from the one before");
    assert_eq!(files(&disk), before);

    let one = look(&used(1, &[5, 5])).unwrap();
    assert_eq!(one.compared_from, Some(Position::ZERO), "the journal is there from its beginning");
    assert_eq!(look(&used(1, &[5])).unwrap().compared_from, None);
    assert!(look(&MemoryDisk::new()).unwrap_err().to_string().starts_with("meta: "));
}

#[test]
fn a_flipped_bit_anywhere_is_found_or_harmless() {
    let disk = used(1_000_000, &[2, 2, 2]);
    let (sound, whole) = (files(&disk), look(&disk).unwrap());
    let (mut found, mut harmless) = (0, 0);
    for (name, bytes) in &sound {
        for (at, &byte) in bytes.iter().enumerate() {
            let mut damaged = sound.clone();
            damaged.get_mut(name).unwrap()[at] ^= 1 << (at % 8);
            match look(&of(&damaged)) {
                Err(error) => {
                    assert!(error.to_string().contains(name.as_str()), "{name} at {at}: {error}");
                    found += 1;
                }
                // Behind the end, in a file that is not used yet, or in what is there twice: nobody was ever answered from
                // there.
                Ok(after) => {
                    let same = Inspection { torn_tail: None, ..after };
                    assert_eq!(same, whole, "{name} at {at}");
                    assert!(name.starts_with("spare-") || name == "meta.copy" || byte == 0, "{name} at {at}");
                    harmless += 1;
                }
            }
        }
    }
    let used: usize = sound.values().map(|bytes| bytes.iter().filter(|byte| **byte != 0).count()).sum();
    assert!(found > used / 2 && harmless > 0, "{found} found, {harmless} harmless, {used} octets in use");
}

#[test]
fn a_checkpoint_of_another_history_is_found() {
    let (one, other) = (files(&used(1_000_000, &[4, 4, 4])), files(&used(1_000_001, &[4, 4, 4])));
    let newest = other.keys().rfind(|name| name.starts_with("checkpoint-")).unwrap();
    let mut mixed = one.clone();
    assert!(mixed.insert(newest.clone(), other[newest].clone()).is_some(), "as many records lead to it");
    let error = look(&of(&mixed)).unwrap_err();
    assert!(matches!(error, InspectError::Differs { .. }), "{error}");
}

#[test]
fn a_missing_file_is_found() {
    let sound = files(&used(1_000_000, &[40, 40, 40]));
    for name in sound.keys().filter(|name| !name.starts_with("spare-")) {
        let mut less = sound.clone();
        less.remove(name);
        let inspected = look(&of(&less));
        // Without the newest checkpoint the one before and the journal lead to the same, and without the older one too.
        let spare = name.starts_with("checkpoint-") || ["meta.copy", "sealed"].contains(&name.as_str());
        assert_eq!(inspected.is_ok(), spare, "{name}: {inspected:?}");
    }
}

fn copied(disk: &MemoryDisk, until: Until) -> Result<MemoryDisk, CopyError> {
    let to = MemoryDisk::new();
    let of = |disk: &MemoryDisk| Directories { store: disk.clone(), records: None, audit: None };
    copy(&of(disk), &of(&to), until, settings(), |_| {}).map(|_| to)
}

#[test]
fn a_copy_is_the_store_as_it_was_at_any_record_it_goes_back_to() {
    let (accounts, parts) = (ACCOUNTS, [10, 20, 30, 40]);
    let disk = used(1_000_000, &parts);
    let whole = look(&disk).unwrap();
    let copy = copied(&disk, Until::End).unwrap();
    let found = look(&copy).unwrap();
    assert_eq!((found.last, found.credited, found.balances), (whole.last, whole.credited, whole.balances));
    // A store like any other: it is opened, used, and remembers what it was told before.
    let store = open(&copy);
    let currency = Some(store.catalog().currency());
    let top_up = |request_id| {
        let kind = CreditKind::TopUp(Money::from_micros(1_000_000));
        store.credit(CreditCommand { account: AccountId(100 % ACCOUNTS + 1), kind, currency, request_id })
    };
    drop((top_up("t100"), top_up("new")));
    store.check().unwrap();
    drop(store);
    assert_eq!(look(&copy).unwrap().credited, whole.credited + 1_000_000);

    // One record for the catalog, one for each account, then one for each top-up.
    let oldest = whole.checkpoints[0];
    for last in oldest.0..=whole.last.0 {
        let found = look(&copied(&disk, Until::Position(Position(last))).unwrap()).unwrap();
        let top_ups = i128::from(last - 1 - accounts);
        assert_eq!((found.last.0, found.credited), (last, i128::from(accounts) * 10_000_000 + top_ups * 1_000_000));
    }
    let early = copied(&disk, Until::Position(Position(oldest.0 - 1))).unwrap_err();
    assert!(matches!(early, CopyError::TooEarly { oldest: told } if told == oldest), "{early}");
    let late = copied(&disk, Until::Position(whole.last.next())).unwrap_err();
    assert!(matches!(late, CopyError::TooLate(last) if last == whole.last), "{late}");
    let moment = |secs| copied(&disk, Until::Moment(Timestamp::from_secs(secs)));
    assert_eq!(look(&moment(1_000_000).unwrap()).unwrap().credited, whole.credited);
    assert!(matches!(moment(999_999), Err(CopyError::TooEarly { .. })));

    // Also when nothing came after the checkpoint, and of a copy of that.
    let idle = used(1_000_000, &[10, 20, 0]);
    let copy = copied(&idle, Until::End).unwrap();
    for disk in [&idle, &copy] {
        let moment = |secs| copied(disk, Until::Moment(Timestamp::from_secs(secs)));
        assert_eq!(look(&moment(1_000_000).unwrap()).unwrap().credited, 90_000_000);
        assert!(matches!(moment(999_999), Err(CopyError::TooEarly { .. })));
    }
}

#[test]
fn what_is_whole_of_a_damaged_store_comes_back() {
    let disk = used(1_000_000, &[10, 20, 30, 40]);
    let (whole, mut damaged) = (look(&disk).unwrap(), files(&disk));
    // After the newest checkpoint, and another segment behind it.
    let name = damaged.keys().rev().filter(|name| name.starts_with("journal-")).nth(1).unwrap().clone();
    damaged.get_mut(&name).unwrap()[40] ^= 1;
    let damaged = of(&damaged);
    assert!(matches!(copied(&damaged, Until::End), Err(CopyError::Recovery(_))));
    let first: u64 = name.strip_prefix("journal-").unwrap().strip_suffix(".log").unwrap().parse().unwrap();
    let saved = look(&copied(&damaged, Until::Position(Position(first - 1))).unwrap()).unwrap();
    assert_eq!(saved.last.0, first - 1);
    assert!(saved.credited < whole.credited);

    // Without the newest checkpoint nothing is lost: the journal after the older one is there.
    let mut damaged = files(&disk);
    let newest = damaged.keys().rfind(|name| name.starts_with("checkpoint-")).unwrap().clone();
    damaged.get_mut(&newest).unwrap()[100] ^= 1;
    let damaged = of(&damaged);
    assert!(look(&damaged).is_err());
    assert_eq!(look(&copied(&damaged, Until::End).unwrap()).unwrap().credited, whole.credited);
}

#[test]
fn a_copy_never_lands_on_anything() {
    let disk = used(1, &[3]);
    let to = used(2, &[3]);
    let before = files(&to);
    let of = |disk: &MemoryDisk| Directories { store: disk.clone(), records: None, audit: None };
    let refused = copy(&of(&disk), &of(&to), Until::End, settings(), |_| {});
    assert!(matches!(refused, Err(CopyError::NotEmpty(_))));
    assert_eq!(files(&to), before);
}
