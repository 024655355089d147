//! The journal in files of this machine.

use std::{io::IoSlice, sync::Arc};

use super::{
    AppendError, Batch, Disk, DiskFile, Epoch, Journal, JournalError, Position, ReadJournal, TornTail, Visit,
    batch::HEADER,
    disk::{SECTOR, fill_with_zeros, zeros},
    epoch,
    read::Segments,
    recovery,
    room::{Room, of_sync},
    scan::space,
    sealed,
    segment::{self, Segment},
    stock::Stock,
};

/// How a local journal is kept.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The size of a segment; it is zero-filled before use, since a write that needs no allocation syncs in a third of the
    /// time. A batch that is larger gets a segment of its own.
    pub segment_bytes: u64,
    /// Whether a thread makes the next segment while the present one fills. Without, all happens in the caller's
    /// thread, which a simulation wants.
    pub prepare_ahead: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, prepare_ahead: true }
    }
}

/// A journal in segments on a disk.
pub struct LocalJournal<D: Disk> {
    disk: D,
    segments: Segments<D::File>,
    active: Arc<Segment<D::File>>,
    /// Where the next batch goes in the active segment.
    offset: u64,
    last: Position,
    epoch: Epoch,
    /// The epoch is that of a takeover of this process.
    taken: bool,
    stock: Stock<D>,
    room: Room,
    /// What the file of that name says.
    sealed: Position,
    poisoned: Option<String>,
    torn: Option<TornTail>,
}

impl<D: Disk> LocalJournal<D> {
    /// Opens the journal of a disk, or begins one. Cuts off a torn tail; refuses any other damage, and changes nothing then.
    pub fn open(disk: D, options: Options) -> Result<Self, JournalError> {
        let segment_bytes = options.segment_bytes.next_multiple_of(SECTOR);
        let in_directory = || JournalError::io("the journal's directory");
        let room = Room::of_segments(segment_bytes);
        let stock = Stock::new(disk.clone(), segment_bytes, options.prepare_ahead, room.clone());
        let mut stock = stock.map_err(in_directory())?;
        let epoch = epoch::load(&disk)?;
        let mut segments = segment::open_all(&disk)?;
        let mut active = match segments.pop() {
            Some(last) => last,
            None if epoch == Epoch(0) => stock.take(Position(1), segment_bytes).map_err(in_directory())?,
            None => return Err(no_segments()),
        };
        let sealed = sealed::load(&disk)?;
        let end = recovery::find_end(&active, sealed)?;
        if end.epoch > epoch {
            return Err(epoch::behind(end.epoch));
        }
        if active.length < segment_bytes {
            fill_with_zeros(&active.file, active.length, segment_bytes).map_err(JournalError::io(&active.name))?;
            active.length = segment_bytes;
        }
        room.set_left(active.length - end.offset);
        let active = Arc::new(active);
        let list = segments.into_iter().map(Arc::new).chain([active.clone()]).collect();
        Ok(Self {
            disk,
            segments: Segments::new(list),
            active,
            offset: end.offset,
            last: end.last,
            epoch,
            taken: false,
            stock,
            room,
            sealed,
            poisoned: None,
            torn: end.torn,
        })
    }

    /// Begins a journal with a record other than the first, in a directory that has none: for the copy of a store.
    ///
    /// # Errors
    /// The disk refused.
    pub fn begin(disk: D, first: Position, options: Options) -> Result<Self, JournalError> {
        let bytes = options.segment_bytes.next_multiple_of(SECTOR);
        let take = || Stock::new(disk.clone(), bytes, false, Room::default())?.take(first, bytes);
        take().map_err(JournalError::io(&segment::name_of(first)))?;
        Self::open(disk, options)
    }

    /// What was cut off when the journal was opened.
    pub fn torn_tail(&self) -> Option<&TornTail> {
        self.torn.as_ref()
    }

    fn write(&mut self, batch: &Batch) -> Result<(), JournalError> {
        let size = HEADER + batch.bytes();
        let space = space(size);
        if self.offset + space > self.active.length {
            self.rotate(space)?;
        }
        let active = &self.active;
        let header = batch.header(active.first, self.epoch, self.last.next());
        // Zeros up to the next sector, and one sector more where there is room: the clean end.
        let behind = (active.length - self.offset).min(space + SECTOR) - size as u64;
        let mut parts = [IoSlice::new(&header), IoSlice::new(batch.payload()), IoSlice::new(zeros(behind))];
        let written = active.file.write_all_at(self.offset, &mut parts);
        let written = written.and_then(|()| active.file.sync_data().map_err(of_sync));
        written.map_err(JournalError::io(&active.name))?;
        self.offset += space;
        self.last = self.last.plus(u64::from(batch.records()));
        self.room.set_left(active.length - self.offset);
        if self.offset > active.length / 2 {
            self.stock.look_ahead();
        }
        Ok(())
    }

    fn rotate(&mut self, bytes: u64) -> Result<(), JournalError> {
        let first = self.last.next();
        let segment = self.stock.take(first, bytes).map_err(JournalError::io(&segment::name_of(first)))?;
        self.active = Arc::new(segment);
        self.offset = 0;
        self.segments.with(|list| list.push(self.active.clone()));
        Ok(())
    }

    fn usable(&self) -> Result<(), JournalError> {
        self.poisoned.as_ref().map_or(Ok(()), |why| Err(JournalError::Poisoned(why.clone())))
    }

    /// A failed write or sync leaves unknown what is durable: nothing may be built on it.
    fn poisoning<T>(&mut self, result: Result<T, JournalError>) -> Result<T, JournalError> {
        if let Err(error) = &result {
            self.poisoned = Some(error.to_string());
        }
        result
    }
}

impl<D: Disk> Journal for LocalJournal<D> {
    fn takeover(&mut self) -> Result<(Epoch, Position), JournalError> {
        self.usable()?;
        let next = Epoch(self.epoch.0.saturating_add(1));
        // Syncs the directory too: a process that died may have left names there that were not durable yet.
        let stored = epoch::store(&self.disk, next);
        self.poisoning(stored)?;
        (self.epoch, self.taken) = (next, true);
        self.seal()?;
        self.stock.fill();
        Ok((next, self.last))
    }

    fn append(&mut self, epoch: Epoch, expected: Position, batch: &Batch) -> Result<Position, AppendError> {
        self.usable()?;
        if !self.taken || epoch != self.epoch {
            return Err(AppendError::Fenced { epoch, current: self.epoch });
        }
        if expected != self.last {
            return Err(AppendError::OutOfOrder { expected, last: self.last });
        }
        if !batch.is_empty() {
            let written = self.write(batch);
            self.room.set_stuck(written.as_ref().is_err_and(JournalError::is_want_of_room));
            match written {
                // Whatever of it was written is written again, at the same place, or nobody ever sees it.
                Err(full) if full.is_want_of_room() => return Err(AppendError::NoRoom(full)),
                written => self.poisoning(written)?,
            }
        }
        Ok(self.last)
    }

    fn read_from(&mut self, after: Position, visit: Visit<'_>) -> Result<Position, JournalError> {
        self.usable()?;
        self.segments.read(after, self.last, visit)?;
        Ok(self.last)
    }

    fn trim(&mut self, up_to: Position) -> Result<(), JournalError> {
        self.usable()?;
        let unneeded = self.segments.with(|list| {
            let following = list.iter().skip(1).take_while(|segment| segment.first <= up_to.next()).count();
            list.drain(..following).collect::<Vec<_>>()
        });
        for segment in unneeded {
            let name = segment.name.clone();
            let retired = self.stock.retire(segment).map_err(JournalError::io(&name));
            self.poisoning(retired)?;
        }
        Ok(())
    }

    fn seal(&mut self) -> Result<(), JournalError> {
        self.usable()?;
        if self.sealed != self.last {
            sealed::store(&self.disk, self.last)?;
            self.sealed = self.last;
        }
        if self.room.is_short() {
            // The stock's thread looks by itself whether there is room again; without one this is the time for it.
            self.stock.look_ahead();
        }
        Ok(())
    }

    fn reader(&self) -> Arc<dyn ReadJournal> {
        Arc::new(self.segments.clone())
    }

    fn room(&self) -> Room {
        self.room.clone()
    }
}

/// The epoch is stored after the first segment is, so that both are missing only in a new store.
fn no_segments() -> JournalError {
    JournalError::corrupt(&segment::name_of(Position(1)), 0, "a segment, since the store was in use")
}
