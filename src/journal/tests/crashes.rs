//! What was promised survives, whatever happens to the rest.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Deed {
    Append { records: u64 },
    Trim { behind: u64 },
    Reopen,
    Down { power: bool, seed: u64, after: u64 },
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        8 => (0..9_u64).prop_map(|records| Deed::Append { records }),
        2 => (0..20_u64).prop_map(|behind| Deed::Trim { behind }),
        1 => Just(Deed::Reopen),
        4 => (any::<bool>(), any::<u64>(), 0..12_u64).prop_map(|(power, seed, after)| Deed::Down { power, seed, after }),
    ];
    prop::collection::vec(deed, 1..80)
}

/// What an outside witness knows.
#[derive(Debug, Default)]
struct Witness {
    durable: u64,
    /// Handed to the journal and not confirmed; may have survived all the same, as a whole batch.
    in_flight: u64,
    trimmed: u64,
    epoch: Epoch,
}

impl Witness {
    /// Starts over on what is left of a disk, and holds it to what was promised. Fails only on a machine that is down.
    fn restart(&mut self, disk: &MemoryDisk) -> Result<Open<MemoryDisk>, JournalError> {
        let mut open = open_with(disk, SMALL)?;
        assert!(open.epoch > self.epoch, "an epoch came twice");
        self.epoch = open.epoch;
        assert!(
            open.last.0 == self.durable || open.last.0 == self.durable + self.in_flight,
            "durable {} in flight {} found {}",
            self.durable,
            self.in_flight,
            open.last
        );
        (self.durable, self.in_flight) = (open.last.0, 0);
        assert_eq!(open.read(self.trimmed).unwrap(), records(self.trimmed + 1..=self.durable));
        // What was trimmed is there or not, but never in part.
        if self.trimmed > 0 {
            let whole = open.read(0);
            assert!(matches!(whole, Ok(_) | Err(JournalError::Trimmed { .. })), "{whole:?}");
            assert!(open.append(&[]).is_ok(), "a reader's mistake does not poison");
        }
        Ok(open)
    }

    fn append(&mut self, open: &mut Open<MemoryDisk>, count: u64) -> Result<(), AppendError> {
        let batch: Vec<_> = records(self.durable + 1..=self.durable + count);
        self.in_flight = count;
        self.durable = open.append(&batch.iter().map(Vec::as_slice).collect::<Vec<_>>())?.0;
        self.in_flight = 0;
        Ok(())
    }
}

/// Until the machine or the process goes down, appends; then restarts on what is left.
fn down(
    witness: &mut Witness,
    disk: &MemoryDisk,
    mut open: Open<MemoryDisk>,
    power: bool,
    seed: u64,
    after: u64,
) -> (MemoryDisk, Open<MemoryDisk>) {
    disk.halt_after(after);
    for count in (1..6).cycle().take(40) {
        if witness.append(&mut open, count).is_err() {
            break;
        }
    }
    drop(open);
    let mut disk = if power { disk.crash(seed) } else { disk.kill() };
    // The restart may itself be cut short, more than once; what it found and told nobody is promised to nobody.
    for step in 0..seed % 4 {
        disk.halt_after(seed / 4 % 9 + step);
        let _ = witness.restart(&disk);
        disk = if seed >> step & 16 == 0 { disk.crash(seed.rotate_left(step as u32 + 1)) } else { disk.kill() };
    }
    let open = witness.restart(&disk).expect("nothing but torn writes happened");
    (disk, open)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_durable_record_survives(deeds in deeds()) {
        let mut disk = MemoryDisk::new();
        let mut witness = Witness::default();
        let mut open = witness.restart(&disk).unwrap();
        for deed in deeds {
            match deed {
                Deed::Append { records } => witness.append(&mut open, records).unwrap(),
                Deed::Trim { behind } => {
                    witness.trimmed = witness.trimmed.max(witness.durable.saturating_sub(behind));
                    open.journal.trim(Position(witness.trimmed)).unwrap();
                }
                Deed::Reopen => {
                    drop(open);
                    open = witness.restart(&disk).unwrap();
                }
                Deed::Down { power, seed, after } => (disk, open) = down(&mut witness, &disk, open, power, seed, after),
            }
        }
    }
}

#[test]
fn a_new_store_survives_a_crash_at_any_step() {
    for steps in 0..40 {
        for seed in 0..8 {
            let disk = MemoryDisk::new();
            disk.halt_after(steps);
            let mut witness = Witness::default();
            if let Ok(mut open) = witness.restart(&disk) {
                let _ = witness.append(&mut open, 3);
            }
            // An epoch that nobody was told of may come again.
            witness.epoch = Epoch(0);
            let disk = disk.crash(seed);
            let mut open = witness.restart(&disk).unwrap();
            witness.append(&mut open, 2).unwrap();
        }
    }
}

#[test]
fn after_a_failed_sync_nothing_is_promised_and_nothing_promised_is_lost() {
    for seed in 0..50 {
        let disk = MemoryDisk::new();
        let mut witness = Witness::default();
        let mut open = witness.restart(&disk).unwrap();
        witness.append(&mut open, 5).unwrap();
        disk.fail_sync(1);
        assert!(matches!(witness.append(&mut open, 3), Err(AppendError::Io(JournalError::Io { .. }))));
        assert!(matches!(open.append(&[b"x"]), Err(AppendError::Io(JournalError::Poisoned(_)))));
        assert!(matches!(open.journal.takeover(), Err(JournalError::Poisoned(_))));
        assert!(matches!(open.journal.trim(Position(1)), Err(JournalError::Poisoned(_))));
        assert!(matches!(open.read(0), Err(JournalError::Poisoned(_))));
        drop(open);
        // The process restarts and finds the batch in the system's memory; then power is lost.
        let disk = disk.kill();
        let mut open = witness.restart(&disk).unwrap();
        assert_eq!(open.last, Position(8));
        witness.append(&mut open, 1).unwrap();
        let disk = disk.crash(seed);
        assert_eq!(witness.restart(&disk).unwrap().last, Position(9));
    }
}

#[test]
fn a_full_disk_loses_nothing_and_is_gone_on_with_in_place() {
    for space in (0..6000).step_by(97) {
        let disk = MemoryDisk::new();
        let mut witness = Witness::default();
        let mut open = witness.restart(&disk).unwrap();
        witness.append(&mut open, 4).unwrap();
        disk.fill_after(space);
        let mut stuck = 0;
        while witness.append(&mut open, 4).is_ok() {}
        for _ in 0..3 {
            stuck += usize::from(matches!(witness.append(&mut open, 4), Err(AppendError::NoRoom(_))));
        }
        assert_eq!((stuck, open.journal.room().space()), (3, Space::Reserved), "{space}");
        if space % 2 == 0 {
            disk.fill_after(u64::MAX);
            witness.append(&mut open, 4).unwrap();
            assert_eq!(open.journal.room().space(), Space::Enough, "{space}");
        }
        drop(open);
        let disk = disk.crash(space);
        witness.restart(&disk).unwrap();
    }
}

#[test]
fn a_sync_that_fails_on_a_full_disk_is_as_final_as_any() {
    let disk = MemoryDisk::new();
    let mut open = open(&disk);
    open.append(&[b"one"]).unwrap();
    disk.fill_after(100);
    assert!(matches!(open.append(&[b"two"]), Err(AppendError::NoRoom(_))));
    disk.fill_after(u64::MAX);
    disk.fail_sync(1);
    assert!(matches!(open.append(&[b"two"]), Err(AppendError::Io(JournalError::Io { .. }))));
    assert!(matches!(open.append(&[b"two"]), Err(AppendError::Io(JournalError::Poisoned(_)))));
}
