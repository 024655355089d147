//! Octets from files: the journal's records, a store's files as a whole, the price list.

use std::{convert::Infallible, sync::LazyLock};

use tollgate::{
    charging::{AccountSpec, Command, Event, Retention, State},
    ids::{AccountId, PartitionId},
    journal::{
        Disk as _, MemoryDisk,
        record::{self, Entry},
        snapshot::{BulksLoader, CatalogsLoader, OutboxLoader, PartitionHeader, PartitionLoader, write_partition},
    },
    rating::{Attributes, Catalog},
    time::Timestamp,
    units::Money,
};

use super::{CATALOG, charging::ACCOUNTS, open};

/// Any octets are a record of the journal or are refused; what was read is written and read as the same.
pub(crate) fn journal_record(octets: &[u8]) {
    let Ok((entry, audit)) = record::decode_audited(octets) else { return };
    let mut out = Vec::new();
    match &entry {
        Entry::Charging { partition, event } => record::encode_event(*partition, event, &mut out),
        Entry::Acknowledged { consumer, cursor, at } => record::encode_acknowledged(consumer, *cursor, *at, &mut out),
        Entry::Forgotten { consumer, at } => record::encode_forgotten(consumer, *at, &mut out),
        Entry::Published(publication) => record::encode_published(publication, &mut out),
        Entry::Withdrawn { number, at } => record::encode_withdrawn(*number, *at, &mut out),
        Entry::BulkSubmitted(bulk) => record::encode_bulk_submitted(bulk, &mut out),
        Entry::BulkDecided { bulk, decision } => record::encode_bulk_decided(*bulk, decision, &mut out),
        Entry::BulkItemEnded { .. } => {
            let audit = audit.unwrap_or_default();
            record::encode_bulk_item_ended(&audit, &mut out);
            let again = record::decode_audited(&out).expect("what was written can be read");
            return assert_eq!(again, (entry, Some(audit)));
        }
        Entry::CallRefused { .. } => {
            let audit = audit.unwrap_or_default();
            record::encode_refused(&audit, &mut out);
            let again = record::decode_audited(&out).expect("what was written can be read");
            return assert_eq!(again, (entry, Some(audit)));
        }
    }
    if let Some(audit) = &audit {
        record::encode_audit(audit, &mut out);
    }
    assert_eq!(record::decode_audited(&out).expect("what was written can be read"), (entry, audit));
}

/// The record of an event, as a seed.
pub(crate) fn record_of(event: &Event) -> Vec<u8> {
    let mut out = Vec::new();
    record::encode_event(PartitionId(0), event, &mut out);
    out
}

/// Any octets are a checkpoint of a partition or are refused; what was read is written, and can be read again.
pub(crate) fn snapshot(octets: &[u8]) {
    let mut outbox = OutboxLoader::default();
    let _ = outbox.load_chunk(octets).map(|()| outbox.finish());
    let mut catalogs = CatalogsLoader::default();
    let _ = catalogs.load_chunk(octets).map(|()| catalogs.finish());
    let mut bulks = BulksLoader::default();
    let _ = bulks.load_chunk(octets).map(|()| bulks.finish());
    let mut loader = PartitionLoader::new(Retention::default());
    if loader.load_chunk(octets).is_err() {
        return;
    }
    let Ok((header, state)) = loader.finish() else { return };
    // What the sums do not show, the invariants may.
    let _ = state.check();
    let mut loader = PartitionLoader::new(Retention::default());
    for chunk in chunks_of(&state, &header) {
        loader.load_chunk(&chunk).expect("what was written can be read");
    }
    // A state that no charging could have made may come back in a form of its own; its sums may not.
    let (again, same) = loader.finish().expect("what was written is whole");
    assert_eq!((again, same.discrepancy()), (header, state.discrepancy()));
}

/// A state as a checkpoint has it.
pub(crate) fn chunks_of(state: &State, header: &PartitionHeader) -> Vec<Vec<u8>> {
    let mut chunks = Vec::new();
    let written = write_partition(state, header, &mut |chunk| {
        chunks.push(chunk.to_vec());
        Ok::<_, Infallible>(())
    });
    let Ok(()) = written;
    chunks
}

/// A disk with a small store, and the names of its files.
static STORED: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| {
    let disk = MemoryDisk::new();
    let store = open(disk.clone()).expect("an empty disk is a new store");
    for account in 1..=ACCOUNTS {
        let spec = AccountSpec {
            id: AccountId(account),
            currency: CATALOG.currency(),
            balance: Money::from_micros(1_000_000),
            credit_limit: Money::ZERO,
            never_stop: false,
            allowances: Vec::new(),
        };
        let _ = store.account_command(AccountId(account), &Command::CreateAccount(spec));
        if account == 2 {
            store.checkpoint().expect("a checkpoint can be written");
        }
    }
    let _ = store.mark().wait_for_blocking(store.last_position());
    let after = disk.kill();
    drop(store);
    let names = after.list().expect("the names are known");
    let file = |name: String| (name.clone(), after.contents(&name).unwrap_or_default());
    names.into_iter().map(file).filter(|(_, content)| !content.is_empty()).collect()
});

/// A store whose files were changed opens as it was, or not at all: what is wrong is found, not guessed. The octets are
/// changes of three: which file, where, what.
pub(crate) fn recovery(octets: &[u8]) {
    let mut files = STORED.clone();
    let mut changed = false;
    for change in octets.chunks_exact(4).take(8) {
        let &[file, high, low, value] = change else { continue };
        let count = files.len();
        let (_, content) = &mut files[usize::from(file) % count];
        // Files are filled up with zeros to their size: the front is where things are.
        let at = usize::from(u16::from_be_bytes([high, low])) % content.len().min(4_096);
        changed |= content[at] != value;
        content[at] = value;
    }
    let disk = MemoryDisk::new();
    for (name, content) in files {
        disk.put(&name, content);
    }
    match open(disk) {
        Some(store) => {
            store.check().expect("what was opened is sound");
            // The end of the journal may have been cut off.
            assert!(store.totals().accounts <= ACCOUNTS as usize);
        }
        None => assert!(changed, "nothing was changed"),
    }
}

/// Any text is a price list or is refused with reasons; one that is accepted can be charged by.
pub(crate) fn catalog(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    match Catalog::from_toml(text) {
        Ok(catalog) => {
            for name in ["32251@3gpp.org", "8.32274@3gpp.org", "x"] {
                let Some(context) = catalog.context(name) else { continue };
                for group in [None, Some(1), Some(u32::MAX)] {
                    let Some(service) = catalog.service(context, group, None) else { continue };
                    for total in [0, 1, service.slice, u64::MAX] {
                        let _ = service.price.cost(total);
                    }
                    let afforded = service.price.affordable(0, Money::from_micros(1_000_000), service.slice);
                    assert!(afforded <= service.slice);
                    if let Ok(cost) = service.price.cost(afforded) {
                        assert!(
                            service.price.is_free() || cost <= Money::from_micros(1_000_000),
                            "{cost} for {afforded}"
                        );
                    }
                }
            }
            offers(&catalog);
        }
        Err(problems) => assert!(!problems.is_empty(), "a refusal has reasons"),
    }
}

/// What is sold beside bare prices leads to what there is, at any time.
fn offers(catalog: &Catalog) {
    let moments = [0, 1_775_210_400, 253_402_300_799, u64::MAX / 1_000].map(Timestamp::from_secs);
    for at in moments {
        for limit in catalog.limits() {
            let (from, to) = catalog.span(limit.period, 28, at);
            assert!(from <= at && (at < to || to == at), "{from} to {to} for {at}");
        }
        for discount in catalog.discounts() {
            let _ = catalog.is_given(discount, at);
        }
        for service in catalog.services() {
            if let Some((then, _)) = service.next_change(&Attributes::default(), at, 40 * 86_400) {
                assert!(then > at, "{then} is not after {at}");
            }
        }
    }
    for product in catalog.products() {
        assert!(product.discounts.iter().all(|name| catalog.discount(name).is_some()));
        assert!(product.limits.iter().all(|name| catalog.limit(name).is_some()));
        assert!(product.allowances.iter().all(|it| catalog.allowance(&it.allowance.name) == Some(&*it.allowance)));
    }
    for plan in catalog.plans() {
        assert!(plan.products.iter().all(|name| catalog.product(name).is_some()));
        assert!(plan.limits.iter().all(|name| catalog.limit(name).is_some()));
        assert!(plan.top_up_validity.is_sorted_by(|less, more| less.0 < more.0));
    }
    for gift in catalog.gifts() {
        assert_eq!(catalog.gift_for(gift.top_up), Some(gift), "every gift can be given");
    }
}
