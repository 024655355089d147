//! Looks at the files of a journal and changes none: to verify, dump and copy them, also beside a running server.

use std::sync::Arc;

use super::{
    Disk, JournalError, Position, TornTail, Visit, epoch,
    read::Segments,
    recovery::look_for_end,
    sealed,
    segment::{self, Segment},
};

/// The journal as it was at some moment. What a running server adds later is not in it.
pub struct Look<D: Disk> {
    /// Oldest first; never empty.
    segments: Vec<Arc<Segment<D::File>>>,
    oldest: Position,
    last: Position,
    torn: Option<TornTail>,
    /// Damage in records before those that are wanted is passed over.
    past_damage: bool,
}

/// One file of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentFile {
    /// Its name.
    pub name: String,
    /// The position of its first record.
    pub first: Position,
    /// Its length; it is made full of zeros before it is written.
    pub bytes: u64,
}

impl<D: Disk> Look<D> {
    /// Finds the beginning and the end.
    ///
    /// # Errors
    /// There is no journal, or its last segment is damaged.
    pub fn open(disk: &D) -> Result<Self, JournalError> {
        // Before the end is looked for: whoever writes beside us notes later positions.
        let sealed = sealed::load(disk)?;
        let look = Self::up_to(disk, Position::ZERO)?;
        let Some(segment) = look.segments.last() else { return Ok(look) };
        let end = look_for_end(segment, sealed)?;
        // It is stored before anything of it is written.
        if end.epoch > epoch::load(disk)? {
            return Err(epoch::behind(end.epoch));
        }
        let (last, torn) = (end.last, end.torn);
        Ok(Self { last, torn, past_damage: false, ..look })
    }

    /// Only up to a record: whether what follows is damaged does not count, nor is what comes before those that are read.
    ///
    /// # Errors
    /// There is no journal.
    pub fn up_to(disk: &D, last: Position) -> Result<Self, JournalError> {
        let segments = segment::open_all(disk)?;
        let Some(first) = segments.first() else {
            let what = "the journal's directory has no segment";
            return Err(JournalError::io(what)(std::io::ErrorKind::NotFound.into()));
        };
        let oldest = first.first;
        Ok(Self { segments: segments.into_iter().map(Arc::new).collect(), oldest, last, torn: None, past_damage: true })
    }

    /// The last record that can be read after this one, before damage or the end; this one, if there is none.
    ///
    /// # Errors
    /// There is no journal.
    pub fn whole_after(disk: &D, after: Position) -> Result<Position, JournalError> {
        let everything = Self::up_to(disk, Position(u64::MAX))?;
        let mut last = after;
        // It ends in an error in any case: there are not so many records.
        let _ = everything.read(last, &mut |position, _| {
            last = position;
            Ok(())
        });
        Ok(last)
    }

    /// The last record that is known to have been durable, whether it can be read or not.
    pub fn known_end(disk: &D) -> Position {
        let sealed = sealed::load(disk).unwrap_or_default();
        let segments = segment::open_all(disk).unwrap_or_default();
        let end = segments.last().and_then(|last| look_for_end(last, Position::ZERO).ok());
        end.map_or(sealed, |end| end.last.max(sealed))
    }

    /// The oldest record that is there.
    pub fn oldest(&self) -> Position {
        self.oldest
    }

    /// The last one.
    pub fn last(&self) -> Position {
        self.last
    }

    /// A batch at the end that is not whole: a crash interrupted it, or it is being written. Nothing in it was answered.
    pub fn torn_tail(&self) -> Option<&TornTail> {
        self.torn.as_ref()
    }

    /// The files, oldest first.
    pub fn files(&self) -> impl Iterator<Item = SegmentFile> {
        self.segments.iter().map(|it| SegmentFile { name: it.name.clone(), first: it.first, bytes: it.length })
    }

    /// Visits every record after a position, in order, with everything checked that can be.
    ///
    /// # Errors
    /// Records are missing or damaged, or the visitor refuses one.
    pub fn read(&self, after: Position, visit: Visit<'_>) -> Result<(), JournalError> {
        Segments::new(self.segments.clone()).read_with(self.past_damage, after, self.last, visit)
    }
}
