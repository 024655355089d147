//! Keeps segments ready, so that no commit waits for one to be made.
//!
//! A new segment is filled with zeros, a piece at a time. A trimmed one is used again as it is, which spares the disk that
//! work: only its first sector is cleared. What it still holds is harmless, because a batch's checksum begins with the
//! first position of its segment, and because every batch is written with a sector of zeros behind it.
//!
//! That the disk is full is met here first: while no segment is ready and none can be made, the journal is short of room, and
//! it is tried again and again.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{
    Disk, Position,
    disk::{SECTOR, fill_with_zeros},
    room::{Room, is_want_of_room, of_sync},
    segment::{Segment, name_of, numbered},
};

/// Trimmed segments kept for use: enough for the time between two checkpoints of a busy store, at 64 MiB each.
const SPARES_MAX: usize = 4;

/// How often it is looked whether a disk that was full has room for a segment again: soon enough for whoever waits for it, and
/// it costs one question to the file system.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// A segment without a position.
#[derive(Debug)]
pub(super) struct Spare<F> {
    name: String,
    file: F,
    length: u64,
}

/// The segments ready for use.
pub(super) struct Stock<D: Disk> {
    ready: VecDeque<Spare<D::File>>,
    /// Jobs given to the thread and not yet done.
    outstanding: usize,
    /// Why trimmed files could not be removed.
    trouble: Option<io::Error>,
    workshop: Workshop<D>,
    thread: Option<Thread<D>>,
}

struct Thread<D: Disk> {
    jobs: Sender<Job<D::File>>,
    done: Receiver<Done<D::File>>,
    handle: JoinHandle<()>,
}

enum Job<F> {
    Prepare,
    Retire(Arc<Segment<F>>, Keep),
}

enum Done<F> {
    Prepared(io::Result<Spare<F>>),
    Retired(io::Result<Option<Spare<F>>>),
}

type Keep = bool;

impl<D: Disk> Stock<D> {
    /// Clears away what an earlier process had in stock. With a thread of its own, work is done ahead; else when needed.
    pub(super) fn new(disk: D, segment_bytes: u64, ahead: bool, room: Room) -> io::Result<Self> {
        for name in disk.list()? {
            if numbered(&name, "spare-", ".log").is_some() {
                disk.remove(&name)?;
            }
        }
        let workshop = Workshop { disk, segment_bytes, made: 0, room };
        let thread = if ahead { Some(Thread::spawn(workshop.clone())?) } else { None };
        Ok(Self { ready: VecDeque::new(), outstanding: 0, trouble: None, workshop, thread })
    }

    /// Gives the segment that begins with a position its name and its place in the directory, durably.
    pub(super) fn take(&mut self, first: Position, bytes: u64) -> io::Result<Segment<D::File>> {
        let Spare { name, file, length } = self.find(bytes)?;
        let disk = &self.workshop.disk;
        let own = name_of(first);
        if let Err(error) = disk.rename(&name, &own) {
            self.workshop.room.spare_made();
            self.ready.push_front(Spare { name, file, length });
            return Err(error);
        }
        disk.sync_dir().map_err(of_sync)?;
        Ok(Segment { first, name: own, file, length })
    }

    /// Has one made if there is none, ahead of need: so that it is known in time when there is no room for it.
    pub(super) fn look_ahead(&mut self) {
        if self.thread.is_none() && self.ready.is_empty() {
            // Tried again when one is needed, as the thread's are.
            self.ready.extend(self.workshop.prepare_next().ok());
        }
        self.stock_up(1);
    }

    /// Has as many made as are kept: at the start, when there is time for it. Memory for a new file's pages can be slow to
    /// come by, and under load everyone would wait for it.
    pub(super) fn fill(&mut self) {
        self.stock_up(SPARES_MAX);
    }

    fn stock_up(&mut self, wanted: usize) {
        self.collect();
        let Some(thread) = &self.thread else { return };
        while self.ready.len() + self.outstanding < wanted && thread.jobs.send(Job::Prepare).is_ok() {
            self.outstanding += 1;
        }
    }

    /// Frees or keeps a segment that nobody needs any more. Segments must come oldest first.
    pub(super) fn retire(&mut self, segment: Arc<Segment<D::File>>) -> io::Result<()> {
        self.collect();
        if let Some(error) = self.trouble.take() {
            return Err(error);
        }
        let fits = segment.length == self.workshop.segment_bytes;
        let keep = fits && self.ready.len() + self.outstanding < SPARES_MAX;
        match &self.thread {
            Some(thread) => {
                thread.jobs.send(Job::Retire(segment, keep)).map_err(|_| thread_gone())?;
                self.outstanding += 1;
            }
            None => self.ready.extend(self.workshop.retire(segment, keep)?),
        }
        Ok(())
    }

    fn find(&mut self, bytes: u64) -> io::Result<Spare<D::File>> {
        if bytes > self.workshop.segment_bytes {
            return self.workshop.prepare("spare-00000000000000000000.log".to_owned(), bytes);
        }
        loop {
            self.collect();
            if let Some(spare) = self.ready.pop_front() {
                self.workshop.room.spare_taken();
                return Ok(spare);
            }
            let Some(thread) = &self.thread else {
                self.ready.push_back(self.workshop.prepare_next()?);
                continue;
            };
            if self.workshop.room.is_short() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            if self.outstanding == 0 {
                thread.jobs.send(Job::Prepare).map_err(|_| thread_gone())?;
                self.outstanding += 1;
            }
            let done = thread.done.recv().map_err(|_| thread_gone())?;
            self.outstanding = self.outstanding.saturating_sub(1);
            match done {
                Done::Prepared(Err(error)) => return Err(error),
                done => self.put_away(done),
            }
        }
    }

    fn collect(&mut self) {
        while let Some(done) = self.thread.as_ref().and_then(|thread| thread.done.try_recv().ok()) {
            self.outstanding = self.outstanding.saturating_sub(1);
            self.put_away(done);
        }
    }

    fn put_away(&mut self, done: Done<D::File>) {
        match done {
            Done::Prepared(Ok(spare)) | Done::Retired(Ok(Some(spare))) => self.ready.push_back(spare),
            // Tried again when one is needed; the disk may have room by then.
            Done::Prepared(Err(_)) | Done::Retired(Ok(None)) => {}
            Done::Retired(Err(error)) => self.trouble = Some(error),
        }
    }
}

impl<D: Disk> Drop for Stock<D> {
    fn drop(&mut self) {
        if let Some(Thread { jobs, done, handle }) = self.thread.take() {
            drop((jobs, done));
            // A panic there has left at most an unfinished spare.
            let _ = handle.join();
        }
    }
}

impl<D: Disk> Thread<D> {
    fn spawn(mut workshop: Workshop<D>) -> io::Result<Self> {
        let (jobs, work) = channel();
        let (results, done) = channel();
        let handle = thread::Builder::new().name("journal-stock".to_owned()).spawn(move || {
            loop {
                let wait = if workshop.room.is_short() { RETRY_EVERY } else { Duration::MAX };
                let result = match work.recv_timeout(wait) {
                    // Nobody asks while nothing is taken on.
                    Err(RecvTimeoutError::Timeout) => match workshop.prepare_next() {
                        made @ Ok(_) => Done::Prepared(made),
                        Err(_) => continue,
                    },
                    Err(RecvTimeoutError::Disconnected) => return,
                    Ok(Job::Prepare) => Done::Prepared(workshop.prepare_next()),
                    Ok(Job::Retire(segment, keep)) => Done::Retired(workshop.retire(segment, keep)),
                };
                // Oldest first, without a gap: after a failure no younger segment may go.
                let failed = matches!(result, Done::Retired(Err(_)));
                if results.send(result).is_err() || failed {
                    return;
                }
            }
        })?;
        Ok(Self { jobs, done, handle })
    }
}

#[derive(Clone)]
struct Workshop<D> {
    disk: D,
    segment_bytes: u64,
    made: u64,
    room: Room,
}

impl<D: Disk> Workshop<D> {
    fn prepare_next(&mut self) -> io::Result<Spare<D::File>> {
        let name = self.next_name();
        let made = self.prepare(name, self.segment_bytes);
        match &made {
            Ok(_) => self.room.spare_made(),
            Err(error) if is_want_of_room(error) => self.room.spare_lacks(),
            Err(_) => {}
        }
        made
    }

    fn prepare(&self, name: String, length: u64) -> io::Result<Spare<D::File>> {
        // Asked first: what is tried in vain takes meanwhile what checkpoints and trails need.
        if self.disk.free()?.is_some_and(|free| free < length) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = self.disk.create(&name)?;
        if let Err(error) = fill_with_zeros(&file, 0, length) {
            // Best effort, as at the next start.
            let _ = self.disk.remove(&name);
            return Err(error);
        }
        Ok(Spare { name, file, length })
    }

    /// Each step is durable before the next: neither may a younger segment vanish before an older one, nor may a segment
    /// that still has its name lose its first sector.
    fn retire(&mut self, segment: Arc<Segment<D::File>>, keep: Keep) -> io::Result<Option<Spare<D::File>>> {
        let unread = Arc::try_unwrap(segment);
        let Segment { name, file, length, .. } = match unread {
            Ok(segment) if keep => segment,
            Ok(Segment { name, .. }) => return self.remove(&name),
            Err(read) => return self.remove(&read.name),
        };
        let spare = self.next_name();
        // Some file systems need room also for a name, or to write over what is there: the file itself is what they can have.
        let renamed = match self.disk.rename(&name, &spare) {
            Err(error) if is_want_of_room(&error) => return self.remove(&name),
            renamed => renamed.and_then(|()| self.disk.sync_dir()),
        };
        match renamed.and_then(|()| fill_with_zeros(&file, 0, SECTOR)) {
            Err(error) if is_want_of_room(&error) => return self.remove(&spare),
            filled => filled?,
        }
        self.room.spare_made();
        Ok(Some(Spare { name: spare, file, length }))
    }

    fn remove(&self, name: &str) -> io::Result<Option<Spare<D::File>>> {
        self.disk.remove(name)?;
        self.disk.sync_dir()?;
        Ok(None)
    }

    fn next_name(&mut self) -> String {
        self.made += 1;
        format!("spare-{:020}.log", self.made)
    }
}

fn thread_gone() -> io::Error {
    io::Error::other("the thread that prepares segments has ended")
}
