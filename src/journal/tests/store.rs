use super::{segments::copy, *};

const META: Meta = Meta { format: 1, partitions: 16, origin: Origin { state_id: 5, secret: [6, 7] } };

#[test]
fn what_is_fixed_stays() {
    let disk = MemoryDisk::new();
    assert_eq!(Meta::open_or_create(&disk, META).unwrap(), META);
    assert_eq!(Meta::open_or_create(&disk.crash(3), META).unwrap(), META);
    let disk = copy_of(META);
    let refused = Meta::open_or_create(&disk, Meta { partitions: 8, ..META }).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the store was created with 16 partitions, but 8 are configured; it can't be changed"
    );
    let refused = Meta::open_or_create(&disk, Meta { format: 2, ..META }).unwrap_err();
    assert!(matches!(refused, JournalError::Format { stored: 1, supported: 2 }));
}

#[test]
fn a_store_without_meta_is_not_taken_for_a_new_one() {
    let disk = MemoryDisk::new();
    open(&disk);
    assert!(matches!(Meta::open_or_create(&disk, META), Err(JournalError::Corrupt { .. })));
}

#[test]
fn damaged_meta_refuses() {
    let disk = copy_of(META);
    let whole = disk.contents("meta").unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        for bytes in [bytes, whole[..at].to_vec()] {
            let disk = copy(&disk);
            disk.put("meta", bytes);
            assert!(matches!(Meta::open_or_create(&disk, META), Err(JournalError::Corrupt { .. })), "at {at}");
        }
    }
}

fn copy_of(meta: Meta) -> MemoryDisk {
    let disk = MemoryDisk::new();
    Meta::open_or_create(&disk, meta).unwrap();
    copy(&disk)
}
