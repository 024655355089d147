use super::{segments::copy, *};

fn write(disk: &MemoryDisk, position: u64) -> Result<Position, JournalError> {
    let mut writer = CheckpointWriter::begin(disk.clone(), Position(position))?;
    for chunk in chunks(position) {
        writer.chunk(&chunk)?;
    }
    writer.commit(Position(position))
}

fn chunks(position: u64) -> Vec<Vec<u8>> {
    (0..5).map(|chunk| record(position + chunk)).chain([Vec::new()]).collect()
}

fn read(disk: &MemoryDisk) -> Result<Option<u64>, JournalError> {
    let Some(mut reader) = checkpoint::latest(disk)? else { return Ok(None) };
    let (mut all, mut chunk) = (Vec::new(), Vec::new());
    while reader.next_chunk(&mut chunk)? {
        all.push(chunk.clone());
    }
    assert_eq!(all, chunks(reader.position().0));
    Ok(Some(reader.position().0))
}

#[test]
fn the_newest_is_found_and_the_one_before_is_kept() {
    let disk = MemoryDisk::new();
    assert_eq!(read(&disk).unwrap(), None);
    assert_eq!(write(&disk, 10).unwrap(), Position(0));
    assert_eq!(read(&disk).unwrap(), Some(10));
    assert_eq!(write(&disk, 20).unwrap(), Position(10));
    assert_eq!(write(&disk, 30).unwrap(), Position(20));
    assert_eq!(write(&disk, 30).unwrap(), Position(20));
    assert_eq!(read(&disk).unwrap(), Some(30));
    let mut left = disk.list().unwrap();
    left.sort();
    assert_eq!(left, ["checkpoint-00000000000000000020.tgc", "checkpoint-00000000000000000030.tgc"]);
}

#[test]
fn drafts_are_ignored_and_removed() {
    let disk = MemoryDisk::new();
    write(&disk, 10).unwrap();
    let mut abandoned = CheckpointWriter::begin(disk.clone(), Position(20)).unwrap();
    abandoned.chunk(b"half").unwrap();
    drop(abandoned);
    assert_eq!(read(&disk).unwrap(), Some(10));
    write(&disk, 30).unwrap();
    assert!(disk.list().unwrap().iter().all(|name| !name.ends_with(".tmp")));
}

#[test]
fn a_crash_at_any_step_leaves_the_old_or_the_new() {
    let mut seen = std::collections::BTreeSet::new();
    for steps in 0..40 {
        for seed in 0..20 {
            let disk = MemoryDisk::new();
            write(&disk, 10).unwrap();
            write(&disk, 20).unwrap();
            disk.halt_after(steps);
            let written = write(&disk, 30);
            let found = read(&disk.crash(seed)).unwrap();
            assert!(matches!(found, Some(20 | 30)), "{found:?} at {steps} seed {seed}");
            assert!(written.is_err() || found == Some(30));
            seen.insert(found);
        }
    }
    assert_eq!(seen.len(), 2);
}

#[test]
fn a_damaged_newest_refuses() {
    let disk = MemoryDisk::new();
    write(&disk, 10).unwrap();
    write(&disk, 20).unwrap();
    let name = "checkpoint-00000000000000000020.tgc";
    let whole = disk.contents(name).unwrap();
    let flipped = (0..whole.len()).map(|at| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        bytes
    });
    let truncated = (0..whole.len()).map(|at| whole[..at].to_vec());
    for (number, bytes) in flipped.chain(truncated).enumerate() {
        let disk = copy(&disk);
        disk.put(name, bytes);
        let refused = read(&disk);
        assert!(matches!(&refused, Err(JournalError::Corrupt { file, .. }) if file == name), "{number}: {refused:?}");
    }
}
