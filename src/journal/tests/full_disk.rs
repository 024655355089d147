//! A disk that is full, and that has room again.

use super::*;

const SEGMENT: u64 = SMALL.segment_bytes;

/// Waits for what another thread does, in at most half a minute.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !is_so() {
        assert!(begun.elapsed().as_secs() < 30, "never {what}");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

fn committer(disk: &MemoryDisk, prepare_ahead: bool) -> Committer {
    let Open { journal, epoch, last } = open_with(disk, Options { prepare_ahead, ..SMALL }).unwrap();
    Committer::start(journal, epoch, last, |_| {}).unwrap()
}

fn held(disk: &MemoryDisk) -> u64 {
    disk.list().unwrap().iter().map(|name| disk.contents(name).unwrap().len() as u64).sum()
}

/// Appends one record after the other, each alone, until there is no room for everything any more. Where another thread
/// prepares the next segment, it is waited for: it would hear of the lack of room as late as it is given the processor.
fn append_while_enough(committer: &Committer, prepare_ahead: bool) -> Position {
    let room = committer.room();
    let mut last = committer.mark().current();
    while room.space() == Space::Enough {
        last = committer.appender().append(&record(last.next().0), |_| {});
        committer.mark().wait_for_blocking(last).unwrap();
        until("prepared", || !prepare_ahead || room.has_looked_ahead(SEGMENT));
    }
    last
}

#[test]
fn the_next_segment_tells_that_the_disk_is_full_and_that_it_has_room_again() {
    for prepare_ahead in [false, true] {
        let disk = MemoryDisk::new();
        // The present segment, one more, and half of a third.
        disk.hold_at_most(2 * SEGMENT + SEGMENT / 2);
        let committer = committer(&disk, prepare_ahead);
        let (appender, mark, room) = (committer.appender(), committer.mark(), committer.room().clone());
        let told = append_while_enough(&committer, prepare_ahead);
        assert!(names(&disk).len() == 2, "{:?}", names(&disk));
        assert!(held(&disk) <= 2 * SEGMENT + SMALL_FILES, "a piece of a segment is left: {}", held(&disk));
        // Half a segment is left: it goes on, down to the reserve and to the last sector.
        let mut spaces = vec![room.space()];
        let mut last = told;
        loop {
            last = appender.append(&record(last.next().0), |_| {});
            until("durable or stuck", || mark.current() == last || room.is_stuck());
            spaces.push(room.space());
            if mark.current() < last {
                break;
            }
        }
        assert!(last.0 - told.0 >= 2, "{told} to {last}");
        assert!(
            spaces.is_sorted() && spaces[0] == Space::Short && spaces.last() == Some(&Space::Reserved),
            "{spaces:?}"
        );
        // What waits is gone on with, and so is everything after it.
        let after = appender.append(&record(last.next().0), |_| {});
        disk.hold_at_most(u64::MAX);
        assert_eq!(mark.wait_for_blocking(after), Ok(after));
        until("room", || room.space() == Space::Enough);
        committer.shutdown().unwrap();
        assert_eq!(open(&disk.crash(3)).read(0).unwrap(), records(1..=after.0));
    }
}

/// Meta and epoch.
const SMALL_FILES: u64 = 100;

/// Nothing is asked of the journal meanwhile, as nothing is taken on.
#[test]
fn room_is_found_while_nothing_happens() {
    let disk = MemoryDisk::new();
    disk.hold_at_most(2 * SEGMENT + SEGMENT / 2);
    let committer = committer(&disk, true);
    append_while_enough(&committer, true);
    disk.hold_at_most(4 * SEGMENT);
    until("room", || committer.room().space() == Space::Enough);
}

#[test]
fn what_a_checkpoint_makes_superfluous_is_room() {
    for stuck in [false, true] {
        let disk = MemoryDisk::new();
        disk.hold_at_most(3 * SEGMENT + SEGMENT / 2);
        let committer = committer(&disk, true);
        let (appender, mark) = (committer.appender(), committer.mark());
        let mut last = append_while_enough(&committer, true);
        while stuck && !committer.room().is_stuck() {
            last = appender.append(&record(last.next().0), |_| {});
            until("durable or stuck", || mark.current() == last || committer.room().is_stuck());
        }
        appender.trim(Position(mark.current().0));
        assert_eq!(mark.wait_for_blocking(last), Ok(last));
        until("room", || committer.room().space() == Space::Enough);
        assert!(held(&disk) <= 3 * SEGMENT + SMALL_FILES);
    }
}

#[test]
fn a_journal_that_waits_for_room_can_be_shut_down_and_promises_nothing() {
    let disk = MemoryDisk::new();
    let committer = committer(&disk, true);
    let (appender, mark) = (committer.appender(), committer.mark());
    let good = appender.append(&record(1), |_| {});
    mark.wait_for_blocking(good).unwrap();
    disk.fill_after(10);
    let waiting = appender.append(&record(2), |_| {});
    until("stuck", || committer.room().space() == Space::Reserved);
    assert!(matches!(committer.shutdown(), Err(Fatal::Failed(_))));
    assert!(matches!(mark.wait_for_blocking(waiting), Err(Fatal::Failed(_))));
    assert_eq!(mark.current(), good);
    disk.fill_after(u64::MAX);
    assert_eq!(open(&disk).read(0).unwrap(), records(1..=1));
}

/// A write over what is there needs room on some file systems.
#[test]
fn a_batch_waits_where_writing_in_place_needs_room() {
    let disk = MemoryDisk::new();
    let committer = committer(&disk, true);
    let (appender, mark) = (committer.appender(), committer.mark());
    for round in 0..40 {
        disk.fill_after(round * 37);
        for _ in 0..3 {
            appender.append(&record(appender.last().next().0), |_| {});
        }
        let last = appender.last();
        until("durable or stuck", || mark.current() == last || committer.room().is_stuck());
        disk.fill_after(u64::MAX);
        assert_eq!(mark.wait_for_blocking(last), Ok(last));
    }
    assert_eq!(mark.fatal(), None);
    drop(committer);
    assert_eq!(open(&disk.crash(1)).read(0).unwrap(), records(1..=120));
}

#[test]
fn a_batch_that_needs_a_segment_of_its_own_waits_for_it() {
    let disk = MemoryDisk::new();
    disk.hold_at_most(5 * SEGMENT + SEGMENT / 2);
    let committer = committer(&disk, true);
    let (appender, mark) = (committer.appender(), committer.mark());
    until("all segments that there is room for", || held(&disk) >= 5 * SEGMENT);
    let large = appender.append(&vec![7; 3 * SEGMENT as usize], |_| {});
    until("stuck", || committer.room().is_stuck());
    disk.hold_at_most(12 * SEGMENT);
    assert_eq!(mark.wait_for_blocking(large), Ok(large));
}

#[test]
fn a_checkpoint_that_finds_no_room_leaves_nothing() {
    let disk = MemoryDisk::new();
    let write = || {
        let mut writer = CheckpointWriter::begin(disk.clone(), Position(7))?;
        (0..4).try_for_each(|_| writer.chunk(&[1; 1000]))?;
        writer.commit(Position(7))
    };
    for room in [0, 3, 4, 100, 1_500, 4_030, 4_050] {
        disk.hold_at_most(room);
        let error = write().unwrap_err();
        assert!(error.is_want_of_room(), "{room}: {error}");
        assert_eq!(disk.list().unwrap(), [""; 0], "{room}");
    }
    disk.hold_at_most(u64::MAX);
    write().unwrap();
    assert_eq!(checkpoint::positions(&disk).unwrap(), [Position(7)]);
}

#[test]
fn whatever_a_sync_says_it_is_no_want_of_room() {
    use std::io::{Error, ErrorKind};
    for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
        assert!(room::is_want_of_room(&kind.into()));
        assert!(!room::is_want_of_room(&room::of_sync(kind.into())));
    }
    assert!(!room::is_want_of_room(&Error::other("on fire")));
}

#[test]
fn by_hand_a_step_that_finds_no_room_is_tried_again_at_its_place() {
    let disk = MemoryDisk::new();
    let Open { journal, epoch, last } = open(&disk);
    let mut committer = Committer::by_hand(journal, epoch, last);
    let (appender, mark) = (committer.appender(), committer.mark());
    disk.fill_after(10);
    appender.append(&record(1), |_| {});
    assert_eq!([committer.step(), committer.step()], [Stepped::NoRoom; 2]);
    assert_eq!((mark.current(), mark.fatal(), committer.room().space()), (Position(0), None, Space::Reserved));
    appender.append(&record(2), |_| {});
    disk.fill_after(u64::MAX);
    assert_eq!(
        [committer.step(), committer.step(), committer.step()],
        [Stepped::Committed, Stepped::Committed, Stepped::Nothing]
    );
    disk.fill_after(0);
    appender.append(&record(3), |_| {});
    assert!(matches!(committer.shutdown(), Err(Fatal::Failed(_))));
    assert_eq!(open(&disk.crash(3)).read(0).unwrap(), records(1..=2));
}
