//! Tests of the journal as a whole.

use super::*;

mod checkpoints;
mod crashes;
mod damage;
mod full_disk;
mod group_commit;
mod measure;
mod segments;
mod store;

/// Segments small enough that a test fills several.
const SMALL: Options = Options { segment_bytes: 4096, prepare_ahead: false };

/// A journal and its writer's epoch and last position.
struct Open<D: Disk> {
    journal: LocalJournal<D>,
    epoch: Epoch,
    last: Position,
}

fn open<D: Disk>(disk: &D) -> Open<D> {
    open_with(disk, SMALL).unwrap()
}

fn open_with<D: Disk>(disk: &D, options: Options) -> Result<Open<D>, JournalError> {
    let mut journal = LocalJournal::open(disk.clone(), options)?;
    let (epoch, last) = journal.takeover()?;
    Ok(Open { journal, epoch, last })
}

impl<D: Disk> Open<D> {
    fn append(&mut self, records: &[&[u8]]) -> Result<Position, AppendError> {
        self.last = self.journal.append(self.epoch, self.last, &batch(records))?;
        Ok(self.last)
    }

    fn read(&mut self, after: u64) -> Result<Vec<Vec<u8>>, JournalError> {
        let mut records = Vec::new();
        self.journal.read_from(Position(after), &mut |position, record| {
            assert_eq!(position.0, after + records.len() as u64 + 1);
            records.push(record.to_vec());
            Ok(())
        })?;
        Ok(records)
    }
}

fn batch(records: &[&[u8]]) -> Batch {
    let mut batch = Batch::new();
    records.iter().for_each(|record| batch.push(record));
    batch
}

/// A record that tells its position, of a length that varies with it.
fn record(position: u64) -> Vec<u8> {
    let length = 8 + (position * 37 % 300) as usize;
    position.to_le_bytes().into_iter().cycle().take(length).collect()
}

fn records(positions: std::ops::RangeInclusive<u64>) -> Vec<Vec<u8>> {
    positions.map(record).collect()
}

fn names(disk: &impl Disk) -> Vec<String> {
    let mut names = disk.list().unwrap();
    names.retain(|name| name.starts_with("journal-"));
    names.sort();
    names
}
