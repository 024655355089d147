use super::*;

#[test]
fn what_is_appended_is_read_back_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    {
        let disk = FileDisk::open(directory.path()).unwrap();
        let mut open = open(&disk);
        assert_eq!((open.epoch, open.last), (Epoch(1), Position(0)));
        assert_eq!(open.append(&[b"one", b"", b"three"]).unwrap(), Position(3));
        assert_eq!(open.append(&[]).unwrap(), Position(3));
        assert_eq!(open.append(&[b"four"]).unwrap(), Position(4));
    }
    let disk = FileDisk::open(directory.path()).unwrap();
    let mut open = open(&disk);
    assert_eq!((open.epoch, open.last), (Epoch(2), Position(4)));
    assert_eq!(open.journal.torn_tail(), None);
    assert_eq!(open.read(0).unwrap(), [&b"one"[..], b"", b"three", b"four"]);
    assert_eq!(open.read(3).unwrap(), [b"four"]);
    assert!(open.read(4).unwrap().is_empty());
    assert!(matches!(open.read(5), Err(JournalError::Missing { after: Position(5), last: Position(4) })));
}

#[test]
fn a_directory_has_one_owner() {
    let directory = tempfile::tempdir().unwrap();
    let first = FileDisk::open(directory.path().join("a/b")).unwrap();
    let second = FileDisk::open(directory.path().join("a/b"));
    assert!(matches!(second, Err(JournalError::Locked { .. })), "{second:?}");
    drop(first);
    FileDisk::open(directory.path().join("a/b")).unwrap();
}

#[test]
fn appends_of_another_epoch_are_fenced() {
    let disk = MemoryDisk::new();
    let mut open = open(&disk);
    open.append(&[b"one"]).unwrap();
    let (next, last) = open.journal.takeover().unwrap();
    let refused = open.append(&[b"two"]);
    assert!(matches!(refused, Err(AppendError::Fenced { epoch: Epoch(1), current: Epoch(2) })), "{refused:?}");
    let refused = open.journal.append(next, Position(7), &batch(&[b"two"]));
    assert!(matches!(refused, Err(AppendError::OutOfOrder { expected: Position(7), last: Position(1) })));
    assert_eq!(open.journal.append(next, last, &batch(&[b"two"])).unwrap(), Position(2));
}

#[test]
fn nobody_appends_before_taking_over() {
    let disk = MemoryDisk::new();
    let epoch = open(&disk).epoch;
    let mut journal = LocalJournal::open(disk, SMALL).unwrap();
    let refused = journal.append(epoch, Position(0), &batch(&[b"one"]));
    assert!(matches!(refused, Err(AppendError::Fenced { .. })));
}

#[test]
fn segments_follow_one_another_and_are_trimmed_whole() {
    for prepare_ahead in [false, true] {
        let disk = MemoryDisk::new();
        let mut open = open_with(&disk, Options { prepare_ahead, ..SMALL }).unwrap();
        for position in 1..=60 {
            open.append(&[&record(position)]).unwrap();
        }
        let all = names(&disk);
        assert!(all.len() > 5, "{all:?}");
        assert_eq!(open.read(0).unwrap(), records(1..=60));

        open.journal.trim(Position(30)).unwrap();
        let (epoch, last) = (open.epoch, open.last);
        drop(open.journal);
        let left = names(&disk);
        assert!(left.len() < all.len() && left.len() > 1, "{left:?}");
        assert_eq!(left, all[all.len() - left.len()..]);

        let mut open = open_with(&disk, SMALL).unwrap();
        assert_eq!((open.epoch, open.last), (Epoch(epoch.0 + 1), last));
        assert_eq!(open.read(30).unwrap(), records(31..=60));
        assert!(matches!(open.read(0), Err(JournalError::Trimmed { .. })));
    }
}

#[test]
fn everything_may_be_trimmed_but_the_last_segment() {
    let disk = MemoryDisk::new();
    let mut first = open(&disk);
    for position in 1..=60 {
        first.append(&[&record(position)]).unwrap();
    }
    first.journal.trim(Position(60)).unwrap();
    assert_eq!(names(&disk).len(), 1);
    first.append(&[&record(61)]).unwrap();
    drop(first);
    assert_eq!(open(&disk).read(60).unwrap(), [record(61)]);
}

#[test]
fn a_segment_used_again_shows_nothing_of_its_former_life() {
    let disk = MemoryDisk::new();
    let mut open = open(&disk);
    let mut reused = 0;
    for position in 1..=300 {
        open.append(&[&record(position)]).unwrap();
        open.journal.trim(Position(position)).unwrap();
        // A look at every state, through the eyes of a restart.
        let copy = copy(&disk);
        let newest = names(&copy).pop().unwrap();
        let stale = copy.contents(&newest).unwrap();
        let mut again = super::open(&copy);
        assert_eq!((again.last, again.journal.torn_tail()), (Position(position), None));
        assert_eq!(again.read(position - 1).unwrap(), [record(position)]);
        reused += usize::from(stale[stale.len() / 2..].iter().any(|&byte| byte != 0) && stale[512..1024] == [0; 512]);
    }
    assert!(reused > 5, "no segment was used again: {reused}");
}

#[test]
fn a_segment_used_again_is_clean_from_the_start() {
    for steps in 0..400 {
        let disk = MemoryDisk::new();
        let mut first = open(&disk);
        disk.halt_after(steps);
        for position in 1..=100 {
            // A step is done or not done here, never half: nothing is torn.
            if first.append(&[&record(position)]).is_err() || first.journal.trim(Position(position)).is_err() {
                break;
            }
        }
        assert_eq!(open(&disk.kill()).journal.torn_tail(), None, "after {steps} steps");
    }
}

#[test]
fn a_large_batch_gets_a_segment_of_its_own() {
    let disk = MemoryDisk::new();
    let mut first = open(&disk);
    let large = vec![7; 20_000];
    first.append(&[b"small"]).unwrap();
    first.append(&[&large]).unwrap();
    first.append(&[b"after"]).unwrap();
    assert_eq!(names(&disk).len(), 3);
    drop(first);
    assert_eq!(open(&disk).read(1).unwrap(), [&large[..], b"after"]);
}

#[test]
fn short_writes_are_completed() {
    let disk = MemoryDisk::new();
    disk.short_writes(100);
    let mut first = open(&disk);
    for position in 1..=20 {
        first.append(&[&record(position)]).unwrap();
    }
    assert_eq!(open(&disk.crash(1)).read(0).unwrap(), records(1..=20));
}

/// The same files on another disk.
pub(super) fn copy(disk: &MemoryDisk) -> MemoryDisk {
    let copy = MemoryDisk::new();
    for name in disk.list().unwrap() {
        copy.put(&name, disk.contents(&name).unwrap());
    }
    copy
}
