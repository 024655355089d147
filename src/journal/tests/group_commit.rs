use std::{
    sync::{Arc, Mutex, mpsc},
    thread,
};

use super::*;

fn start<D: Disk>(disk: &D) -> Committer {
    let Open { journal, epoch, last } = open(disk);
    Committer::start(journal, epoch, last, |_| {}).unwrap()
}

#[test]
fn positions_are_dense_and_in_the_order_of_the_lock() {
    let disk = MemoryDisk::new();
    let committer = start(&disk);
    let order = Arc::new(Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (appender, order) = (committer.appender(), order.clone());
            scope.spawn(move || {
                for number in 0..500_u64 {
                    let record = [thread.to_le_bytes(), number.to_le_bytes()].concat();
                    appender.append(&record, |position| order.lock().unwrap().push((position, record.clone())));
                }
            });
        }
    });
    assert_eq!(committer.shutdown().unwrap(), Position(2000));
    let order = order.lock().unwrap();
    assert!(order.iter().map(|(position, _)| position.0).eq(1..=2000));
    let read = open(&disk.crash(7)).read(0).unwrap();
    assert!(read.iter().eq(order.iter().map(|(_, record)| record)));
}

#[test]
fn shutdown_drains_and_ends_all_waiting() {
    let disk = MemoryDisk::new();
    let committer = start(&disk);
    let (appender, mark) = (committer.appender(), committer.mark());
    for position in 1..=200 {
        appender.append(&record(position), |_| {});
    }
    assert_eq!(committer.shutdown().unwrap(), Position(200));
    assert_eq!(mark.fatal(), Some(Fatal::ShutDown));
    assert_eq!(mark.wait_for_blocking(Position(200)), Ok(Position(200)));
    let late = appender.append(b"late", |_| {});
    assert_eq!(late, Position(201));
    assert_eq!(mark.wait_for_blocking(late), Err(Fatal::ShutDown));
    assert_eq!(open(&disk).read(0).unwrap(), records(1..=200));
}

/// The position that is sealed on a disk.
fn sealed(disk: &MemoryDisk) -> u64 {
    disk.contents("sealed").map_or(0, |bytes| u64::from_le_bytes(*bytes.first_chunk().unwrap()))
}

#[test]
fn what_is_durable_is_sealed_at_a_stop_and_when_nothing_more_comes() {
    let disk = MemoryDisk::new();
    let committer = start(&disk);
    let (appender, mark) = (committer.appender(), committer.mark());
    for position in 1..=3 {
        mark.wait_for_blocking(appender.append(&record(position), |_| {})).unwrap();
    }
    while sealed(&disk) < 3 {
        thread::sleep(std::time::Duration::from_millis(5));
    }
    appender.append(b"more", |_| {});
    committer.shutdown().unwrap();
    assert_eq!(sealed(&disk), 4);
}

#[test]
fn a_seal_that_fails_harms_nothing() {
    let disk = MemoryDisk::new();
    let mut first = open(&disk);
    first.append(&[b"one"]).unwrap();
    disk.fail_sync(1);
    assert!(first.journal.seal().is_err());
    first.append(&[b"two"]).unwrap();
    first.journal.seal().unwrap();
    assert_eq!(sealed(&disk), 2);
    assert_eq!(open(&disk.crash(3)).last, Position(2));
}

#[test]
fn by_hand_nothing_is_durable_before_its_step() {
    let disk = MemoryDisk::new();
    let Open { journal, epoch, last } = open(&disk);
    let mut committer = Committer::by_hand(journal, epoch, last);
    let (appender, mark) = (committer.appender(), committer.mark());
    assert_eq!(committer.step(), Stepped::Nothing);
    (1..=3).for_each(|position| {
        appender.append(&record(position), |_| {});
    });
    assert_eq!(mark.current(), Position::ZERO);
    assert_eq!(committer.step(), Stepped::Committed);
    assert_eq!(mark.current(), Position(3));
    (4..=5).for_each(|position| {
        appender.append(&record(position), |_| {});
    });
    assert_eq!(committer.shutdown(), Ok(Position(5)));
    assert_eq!(sealed(&disk), 5);
    assert_eq!(open(&disk.crash(3)).read(0).unwrap(), records(1..=5));
    let late = appender.append(b"late", |_| {});
    assert_eq!(mark.wait_for_blocking(late), Err(Fatal::ShutDown));
}

#[test]
fn by_hand_a_failed_step_is_the_last() {
    let disk = MemoryDisk::new();
    let Open { journal, epoch, last } = open(&disk);
    let mut committer = Committer::by_hand(journal, epoch, last);
    disk.fail_sync(1);
    committer.appender().append(&record(1), |_| {});
    assert_eq!(committer.step(), Stepped::Nothing);
    committer.appender().append(&record(2), |_| {});
    assert_eq!(committer.step(), Stepped::Nothing);
    assert!(matches!(committer.shutdown(), Err(Fatal::Failed(_))));
}

#[test]
fn a_failure_is_final() {
    type Fault = fn(&MemoryDisk);
    let faults: [Fault; 2] = [|disk| disk.fail_sync(1), |disk| disk.halt_after(1)];
    for fault in faults {
        let disk = MemoryDisk::new();
        let committer = start(&disk);
        let (appender, mark) = (committer.appender(), committer.mark());
        let good = appender.append(b"good", |_| {});
        assert_eq!(mark.wait_for_blocking(good), Ok(good));
        fault(&disk);
        let bad = appender.append(&[1; 2000], |_| {});
        assert!(matches!(mark.wait_for_blocking(bad), Err(Fatal::Failed(_))));
        for _ in 0..10 {
            appender.append(b"after", |_| {});
        }
        assert_eq!(mark.current(), good);
        assert!(mark.admit(Pending::new((), bad)).is_err());
        assert!(matches!(committer.shutdown(), Err(Fatal::Failed(_))));
        assert_eq!(mark.current(), good);
    }
}

#[test]
fn values_pass_when_their_position_is_durable() {
    let disk = MemoryDisk::new();
    let committer = start(&disk);
    let (appender, mark) = (committer.appender(), committer.mark());
    let nothing_changed = mark.admit(Pending::new("answer", Position::ZERO)).unwrap();
    assert_eq!((*nothing_changed, nothing_changed.position()), ("answer", Position(0)));

    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let position = appender.append(b"change", |_| {});
        let durable = mark.durable(Pending::new(vec![1], position)).await.unwrap();
        assert_eq!(durable.into_inner(), [1]);
        let never = Pending::new((), Position(99));
        assert_eq!(mark.admit(never.clone()), Err(never.clone()));
        let waiting = mark.durable(never);
        drop(committer);
        assert_eq!(waiting.await, Err(Fatal::ShutDown));
        assert_eq!(mark.failed().await, Fatal::ShutDown);
    });
}

#[test]
fn trim_and_read_work_beside_the_writer() {
    let disk = MemoryDisk::new();
    let committer = start(&disk);
    let (appender, mark, reader) = (committer.appender(), committer.mark(), committer.reader());
    for round in 0..20 {
        for position in round * 20 + 1..=round * 20 + 20 {
            appender.append(&record(position), |_| {});
        }
        mark.wait_for_blocking(appender.last()).unwrap();
        appender.trim(Position(round * 20));
        let mut seen = Vec::new();
        let last = reader.read_from(Position(round * 20), &mut |_, record| {
            seen.push(record.to_vec());
            Ok(())
        });
        assert_eq!(last.unwrap(), appender.last());
        assert_eq!(seen, records(round * 20 + 1..=round * 20 + 20));
    }
    committer.shutdown().unwrap();
    assert!(names(&disk).len() < 10);
    let refused = reader.read_from(Position(0), &mut |_, _| Ok(()));
    assert!(matches!(refused, Err(JournalError::Trimmed { after: Position(0), .. })));
}

#[test]
fn a_visitor_may_refuse() {
    let disk = MemoryDisk::new();
    let mut open = open(&disk);
    open.append(&[b"good", b"bad"]).unwrap();
    let refused = open.journal.read_from(Position(0), &mut |position, record| match record {
        b"bad" => Err(JournalError::rejected(position, "not a record")),
        _ => Ok(()),
    });
    assert_eq!(refused.unwrap_err().to_string(), "record 2 can't be used: not a record");
}

#[test]
fn a_record_too_long_ends_the_journal() {
    let committer = start(&MemoryDisk::new());
    let (appender, mark) = (committer.appender(), committer.mark());
    let position = appender.append(&vec![0; RECORD_MAX + 1], |_| {});
    assert!(matches!(mark.wait_for_blocking(position), Err(Fatal::Failed(_))));
}

/// A journal that holds each append until it is told to go on.
struct Held {
    go: mpsc::Receiver<()>,
    last: Position,
    batches: mpsc::Sender<u32>,
}

struct Nothing;

impl ReadJournal for Nothing {
    fn read(&self, _: Position, _: Position, _: Visit<'_>) -> Result<(), JournalError> {
        Ok(())
    }
}

impl Journal for Held {
    fn takeover(&mut self) -> Result<(Epoch, Position), JournalError> {
        Ok((Epoch(1), self.last))
    }

    fn append(&mut self, epoch: Epoch, expected: Position, batch: &Batch) -> Result<Position, AppendError> {
        assert_eq!(expected, self.last);
        self.batches.send(batch.records()).unwrap();
        if self.go.recv().is_err() {
            return Err(AppendError::Fenced { epoch, current: Epoch(2) });
        }
        self.last = Position(expected.0 + u64::from(batch.records()));
        Ok(self.last)
    }

    fn read_from(&mut self, _: Position, _: Visit<'_>) -> Result<Position, JournalError> {
        Ok(self.last)
    }

    fn trim(&mut self, _: Position) -> Result<(), JournalError> {
        Ok(())
    }

    fn reader(&self) -> Arc<dyn ReadJournal> {
        Arc::new(Nothing)
    }
}

#[test]
fn one_batch_is_in_flight_while_the_next_one_fills() {
    let (go, held) = mpsc::channel();
    let (batches, seen) = mpsc::channel();
    let journal = Held { go: held, last: Position(0), batches };
    let committer = Committer::start(journal, Epoch(1), Position(0), |_| {}).unwrap();
    let (appender, mark) = (committer.appender(), committer.mark());
    appender.append(b"1", |_| {});
    assert_eq!(seen.recv(), Ok(1));
    for _ in 0..10 {
        appender.append(b"more", |_| {});
    }
    assert_eq!(mark.current(), Position(0));
    go.send(()).unwrap();
    assert_eq!(mark.wait_for_blocking(Position(1)), Ok(Position(1)));
    assert_eq!(seen.recv(), Ok(10));
    // Fenced: nothing that is not yet durable ever will be.
    drop(go);
    assert!(matches!(mark.wait_for_blocking(Position(11)), Err(Fatal::Fenced(_))));
    assert_eq!(mark.current(), Position(1));
    assert!(matches!(committer.shutdown(), Err(Fatal::Fenced(_))));
}

#[test]
fn after_a_failure_not_even_the_batch_in_flight_becomes_durable() {
    let (go, held) = mpsc::channel();
    let (batches, seen) = mpsc::channel();
    let journal = Held { go: held, last: Position(0), batches };
    let committer = Committer::start(journal, Epoch(1), Position(0), |_| {}).unwrap();
    let (appender, mark) = (committer.appender(), committer.mark());
    let good = appender.append(b"good", |_| {});
    assert_eq!(seen.recv(), Ok(1));
    appender.append(&vec![0; RECORD_MAX + 1], |_| {});
    go.send(()).unwrap();
    assert!(matches!(committer.shutdown(), Err(Fatal::Failed(_))));
    assert_eq!(mark.current(), Position(0));
    assert!(mark.wait_for_blocking(good).is_err());
}

#[test]
fn appenders_wait_when_too_much_is_pending() {
    let (go, held) = mpsc::channel();
    let (batches, seen) = mpsc::channel();
    let journal = Held { go: held, last: Position(0), batches };
    let committer = Committer::start(journal, Epoch(1), Position(0), |_| {}).unwrap();
    let appender = committer.appender();
    appender.append(b"1", |_| {});
    assert_eq!(seen.recv(), Ok(1));
    let large = vec![0; RECORD_MAX];
    appender.append(&large, |_| {});
    appender.append(&large, |_| {});
    let (done, waited) = mpsc::channel();
    let waiting = thread::spawn(move || {
        appender.append(b"4", |position| done.send(position).unwrap());
    });
    assert_eq!(waited.try_recv(), Err(mpsc::TryRecvError::Empty));
    go.send(()).unwrap();
    assert_eq!(seen.recv(), Ok(2));
    assert_eq!(waited.recv(), Ok(Position(4)));
    waiting.join().unwrap();
    go.send(()).unwrap();
    go.send(()).unwrap();
    assert_eq!(committer.shutdown(), Ok(Position(4)));
}

#[test]
fn a_panic_in_the_thread_ends_all_waiting() {
    let Open { journal, epoch, last } = open(&MemoryDisk::new());
    let committer = Committer::start(journal, epoch, last, |_| panic!("on purpose")).unwrap();
    let mark = committer.mark();
    committer.appender().append(b"1", |_| {});
    assert!(matches!(mark.wait_for_blocking(Position(2)), Err(Fatal::Failed(_))));
}
