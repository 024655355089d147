//! A torn tail is cut off, all other damage refuses to start.

use super::{segments::copy, *};

const ROOMY: Options = Options { segment_bytes: 16 << 10, prepare_ahead: false };

/// A disk with batches in one segment, and where each begins and ends in it.
fn batches(count: u64) -> (MemoryDisk, String, Vec<(usize, usize)>) {
    let disk = MemoryDisk::new();
    let mut open = open_with(&disk, ROOMY).unwrap();
    let mut ranges = Vec::new();
    let mut start = 0;
    for number in 0..count {
        let records = records(number * 3 + 1..=number * 3 + 3);
        let records: Vec<_> = records.iter().map(Vec::as_slice).collect();
        open.append(&records).unwrap();
        let end = start + 32 + records.iter().map(|record| 4 + record.len()).sum::<usize>();
        ranges.push((start, end));
        start = end.next_multiple_of(512);
    }
    let name = names(&disk).pop().unwrap();
    (disk, name, ranges)
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_off() {
    let (disk, name, ranges) = batches(4);
    let &(start, end) = ranges.last().unwrap();
    let whole = disk.contents(&name).unwrap();
    for at in start..end {
        let truncated = whole[..at].to_vec();
        let mut zeroed = truncated.clone();
        zeroed.resize(whole.len(), 0);
        if zeroed == whole {
            continue; // The last bytes were zeros.
        }
        for bytes in [truncated, zeroed] {
            let disk = copy(&disk);
            disk.put(&name, bytes);
            let mut open = open_with(&disk, ROOMY).unwrap();
            assert_eq!(open.last, Position(9), "torn at {at}");
            assert_eq!(open.read(0).unwrap(), records(1..=9), "torn at {at}");
            let torn = open.journal.torn_tail().cloned();
            let expected = (at > start).then_some((name.clone(), start as u64));
            let found = torn.filter(|torn| torn.bytes > 0).map(|torn| (torn.file, torn.offset));
            assert!(found == expected || at < start + 32, "torn at {at}: {found:?}");
            // What was cut off does not come back behind what comes next.
            assert!(disk.contents(&name).unwrap()[start..].iter().all(|&byte| byte == 0));
            open.append(&[b"next"]).unwrap();
            drop(open);
            assert_eq!(open_with(&disk.crash(at as u64), ROOMY).unwrap().read(9).unwrap(), [b"next"]);
        }
    }
}

#[test]
fn a_tail_that_lost_its_beginning_does_not_come_back() {
    let (disk, name, ranges) = batches(4);
    let &(start, _) = ranges.last().unwrap();
    let mut bytes = disk.contents(&name).unwrap();
    bytes[start..start + 512].fill(0);
    disk.put(&name, bytes);
    assert_eq!(open_with(&disk, ROOMY).unwrap().last, Position(9));
    assert!(disk.contents(&name).unwrap()[start..].iter().all(|&byte| byte == 0));
}

#[test]
fn a_flipped_bit_in_an_earlier_batch_refuses() {
    let (disk, name, ranges) = batches(4);
    let whole = disk.contents(&name).unwrap();
    for &(start, end) in &ranges[..3] {
        for at in start..end {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            let disk = copy(&disk);
            disk.put(&name, bytes);
            match LocalJournal::open(disk, ROOMY).map(|_| ()) {
                Err(JournalError::Corrupt { file, offset, .. }) => {
                    assert_eq!((file, offset), (name.clone(), start as u64))
                }
                other => panic!("flipped at {at}: {other:?}"),
            }
        }
    }
}

/// What is there of a journal that was sealed at its end, by a takeover.
fn sealed() -> (MemoryDisk, String, (usize, usize)) {
    let (disk, name, ranges) = batches(4);
    open_with(&disk, ROOMY).unwrap();
    (disk, name, *ranges.last().unwrap())
}

#[test]
fn the_last_batch_is_no_torn_write_once_it_is_sealed() {
    let (disk, name, (start, end)) = sealed();
    let whole = disk.contents(&name).unwrap();
    let unsealed = copy(&disk);
    unsealed.remove("sealed").unwrap();
    for at in start..end {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        let mut zeroed = whole.clone();
        zeroed[at..].fill(0);
        if zeroed == whole {
            continue; // The last bytes were zeros.
        }
        for bytes in [flipped, zeroed, whole[..at].to_vec()] {
            let disk = copy(&disk);
            disk.put(&name, bytes.clone());
            match LocalJournal::open(disk.clone(), ROOMY).map(|_| ()) {
                Err(JournalError::Corrupt { file, offset, expected }) => {
                    assert_eq!((file, offset), (name.clone(), start as u64));
                    assert!(expected.ends_with("records up to 12 were durable"), "{expected}");
                }
                other => panic!("damaged at {at}: {other:?}"),
            }
            assert_eq!(disk.contents(&name).unwrap(), bytes, "who refuses changes nothing");
            assert!(matches!(Look::open(&disk).map(|_| ()), Err(JournalError::Corrupt { .. })));
            // A store from before, of which nothing is known.
            let disk = copy(&unsealed);
            disk.put(&name, bytes);
            assert_eq!(open_with(&disk, ROOMY).unwrap().last, Position(9));
        }
    }
}

#[test]
fn damage_to_the_seal_itself_refuses() {
    let (disk, ..) = sealed();
    let whole = disk.contents("sealed").unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        for bytes in [bytes, whole[..at].to_vec(), [&whole[..], &[0]].concat()] {
            let disk = copy(&disk);
            disk.put("sealed", bytes);
            let refused = LocalJournal::open(disk, ROOMY).map(|_| ());
            assert!(matches!(&refused, Err(JournalError::Corrupt { file, .. }) if file == "sealed"), "{refused:?}");
        }
    }
}

#[test]
fn a_missing_last_segment_refuses_once_it_is_sealed() {
    let disk = MemoryDisk::new();
    let mut first = open(&disk);
    for position in 1..=30 {
        first.append(&[&record(position)]).unwrap();
    }
    let unsealed = copy(&disk);
    first.journal.seal().unwrap();
    drop(first);
    let all = names(&disk);
    disk.remove(all.last().unwrap()).unwrap();
    let refused = LocalJournal::open(disk, SMALL).map(|_| ());
    let before = &all[all.len() - 2];
    assert!(matches!(&refused, Err(JournalError::Corrupt { file, .. }) if file == before), "{refused:?}");
    unsealed.remove(all.last().unwrap()).unwrap();
    assert!(open(&unsealed).last < Position(30), "nobody knows of it");
}

#[test]
fn damage_in_an_earlier_segment_refuses_when_it_is_read() {
    let disk = MemoryDisk::new();
    let mut open = open(&disk);
    for position in 1..=30 {
        open.append(&[&record(position)]).unwrap();
    }
    drop(open);
    let all = names(&disk);
    for name in &all[..all.len() - 1] {
        let whole = disk.contents(name).unwrap();
        let used = whole.iter().rposition(|&byte| byte != 0).unwrap() + 1;
        for at in 0..used {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            if !whole[at..(at / 512 + 1) * 512].iter().any(|&byte| byte != 0) {
                continue; // Padding.
            }
            let disk = copy(&disk);
            disk.put(name, bytes);
            match super::open(&disk).read(0) {
                Err(JournalError::Corrupt { file, .. }) => assert_eq!(file, *name),
                other => panic!("{name} flipped at {at}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_missing_segment_refuses() {
    let disk = MemoryDisk::new();
    let mut open = open(&disk);
    for position in 1..=60 {
        open.append(&[&record(position)]).unwrap();
    }
    drop(open);
    let all = names(&disk);

    let gap = copy(&disk);
    gap.remove(&all[1]).unwrap();
    assert!(matches!(super::open(&gap).read(0), Err(JournalError::Corrupt { file, .. }) if file == all[0]));

    let headless = copy(&disk);
    headless.remove(&all[0]).unwrap();
    assert!(matches!(super::open(&headless).read(0), Err(JournalError::Trimmed { after: Position(0), .. })));

    let tailless = copy(&disk);
    tailless.remove(all.last().unwrap()).unwrap();
    assert!(matches!(super::open(&tailless).read(60), Err(JournalError::Missing { after: Position(60), .. })));

    let empty = copy(&disk);
    all.iter().for_each(|name| empty.remove(name).unwrap());
    assert!(matches!(LocalJournal::open(empty, SMALL).map(|_| ()), Err(JournalError::Corrupt { .. })));
}

#[test]
fn a_lost_or_damaged_epoch_refuses() {
    let disk = MemoryDisk::new();
    open(&disk).append(&[b"one"]).unwrap();
    for damage in [None, Some(b"short".to_vec()), Some(vec![1; 12])] {
        let disk = copy(&disk);
        match damage {
            None => disk.remove("epoch").unwrap(),
            Some(bytes) => disk.put("epoch", bytes),
        }
        let refused = LocalJournal::open(disk, SMALL).map(|_| ());
        assert!(matches!(&refused, Err(JournalError::Corrupt { file, .. }) if file == "epoch"), "{refused:?}");
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..3000), at in 0..6000_usize) {
        let (disk, name, _) = batches(4);
        let mut content = disk.contents(&name).unwrap();
        let at = at.min(content.len());
        content.splice(at..(at + bytes.len()).min(16 << 10), bytes.clone());
        disk.put(&name, content);
        disk.put("journal-99999999999999999999.log", bytes.clone());
        disk.put("journal-18446744073709551615.log", bytes.clone());
        let _ = open_with(&disk, ROOMY).map(|mut open| open.read(0));
        disk.put("checkpoint-00000000000000000001.tgc", bytes);
        if let Ok(Some(mut reader)) = checkpoint::latest(&disk) {
            while let Ok(true) = reader.next_chunk(&mut Vec::new()) {}
        }
    }
}
