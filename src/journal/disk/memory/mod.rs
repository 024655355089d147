//! A disk in memory that knows what is durable, crashes on request and fails on request.

use std::{
    collections::BTreeMap,
    io::{self, IoSlice},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use self::{
    chance::Chance,
    content::{Content, Inode},
    machine::Machine,
};
use super::{Disk, DiskFile};

mod chance;
mod content;
mod machine;

/// A directory in memory, for tests and simulations. Clones are handles of the same one.
///
/// It keeps apart what was written and what was synced. [`crash`](Self::crash) is a loss of power: the machine of this
/// handle is down for good, and the disk that survives is returned.
#[derive(Debug, Clone, Default)]
pub struct MemoryDisk {
    machine: Arc<Mutex<Machine>>,
    names: Arc<Mutex<Names>>,
}

/// An open file of a [`MemoryDisk`].
#[derive(Debug, Clone)]
pub struct MemoryFile {
    disk: MemoryDisk,
    inode: Inode,
}

impl MemoryDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Power is lost. Of what was not synced, each sector may be old or new, and each creation, renaming and removal
    /// may have happened or not, as the seed decides.
    #[must_use]
    pub fn crash(&self, seed: u64) -> Self {
        lock(&self.machine).down = true;
        let mut chance = Chance(seed);
        let names = lock(&self.names);
        let mut surviving = names.durable.clone();
        for change in &names.unsynced {
            if chance.half() {
                change.apply(&mut surviving);
            }
        }
        let files = surviving.iter().map(|(name, inode)| (name.clone(), lock(inode).after_crash(&mut chance)));
        Self::holding(files.collect())
    }

    /// The process dies, the machine does not: everything written is still there, and what was not synced can still be
    /// lost by a later [`crash`](Self::crash).
    #[must_use]
    pub fn kill(&self) -> Self {
        lock(&self.machine).down = true;
        Self { machine: Arc::default(), names: self.names.clone() }
    }

    /// The nth sync of a file from now fails (1 is the next); what it should have made durable never is by later syncs.
    pub fn fail_sync(&self, nth: u64) {
        lock(&self.machine).syncs_left = Some(nth);
    }

    /// After this many more bytes the disk is full: the write that crosses the line is short, the next ones fail.
    pub fn fill_after(&self, bytes: u64) {
        lock(&self.machine).space_left = Some(bytes);
    }

    /// All files together hold no more than this many bytes from now on, as on a file system that writes in place: what makes
    /// a file longer is cut short or fails, and removing one makes room.
    pub fn hold_at_most(&self, bytes: u64) {
        lock(&self.machine).capacity = Some(bytes);
    }

    /// Whether there is no room for new names: no file can be made or renamed, but removed.
    pub fn fill_names(&self, full: bool) {
        lock(&self.machine).names_full = full;
    }

    /// No write takes more than this many bytes at once.
    pub fn short_writes(&self, bytes: usize) {
        lock(&self.machine).write_max = Some(bytes);
    }

    /// After this many more changes (writes, syncs, creations, renames, removals) the machine is down, as before a
    /// [`crash`](Self::crash) at that very step.
    pub fn halt_after(&self, operations: u64) {
        lock(&self.machine).operations_left = Some(operations);
    }

    /// Whether the machine of this handle is down, whatever put it down.
    pub fn is_down(&self) -> bool {
        lock(&self.machine).down
    }

    /// How many changes were asked for so far.
    pub fn operations(&self) -> u64 {
        lock(&self.machine).operations
    }

    /// The content of a file, synced or not.
    pub fn contents(&self, name: &str) -> Option<Vec<u8>> {
        lock(&self.names).current.get(name).map(|inode| lock(inode).current.clone())
    }

    /// Puts a file there, durable at once: for tests that damage what is on disk.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let inode = Content::durable(bytes);
        let mut names = lock(&self.names);
        names.current.insert(name.to_owned(), inode.clone());
        names.durable.insert(name.to_owned(), inode);
    }

    fn holding(files: BTreeMap<String, Vec<u8>>) -> Self {
        let disk = Self::new();
        for (name, bytes) in files {
            disk.put(&name, bytes);
        }
        disk
    }

    fn change(&self, change: NameChange) -> io::Result<()> {
        let mut machine = lock(&self.machine);
        machine.begin_change()?;
        if machine.names_full && !matches!(change, NameChange::Unlink { .. }) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        drop(machine);
        let mut names = lock(&self.names);
        change.apply(&mut names.current);
        names.unsynced.push(change);
        Ok(())
    }

    fn free_of_capacity(&self) -> Option<u64> {
        let capacity = lock(&self.machine).capacity?;
        let held: u64 = lock(&self.names).current.values().map(|inode| lock(inode).current.len() as u64).sum();
        Some(capacity.saturating_sub(held))
    }

    fn inode(&self, name: &str) -> io::Result<Inode> {
        lock(&self.machine).alive()?;
        lock(&self.names).current.get(name).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for MemoryDisk {
    type File = MemoryFile;

    fn create(&self, name: &str) -> io::Result<MemoryFile> {
        let inode = Inode::default();
        self.change(NameChange::Link { name: name.to_owned(), inode: inode.clone() })?;
        Ok(MemoryFile { disk: self.clone(), inode })
    }

    fn open(&self, name: &str) -> io::Result<MemoryFile> {
        Ok(MemoryFile { disk: self.clone(), inode: self.inode(name)? })
    }

    fn list(&self) -> io::Result<Vec<String>> {
        lock(&self.machine).alive()?;
        Ok(lock(&self.names).current.keys().cloned().collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let inode = self.inode(from)?;
        self.change(NameChange::Rename { from: from.to_owned(), to: to.to_owned(), inode })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.inode(name)?;
        self.change(NameChange::Unlink { name: name.to_owned() })
    }

    fn sync_dir(&self) -> io::Result<()> {
        lock(&self.machine).begin_change()?;
        let mut names = lock(&self.names);
        names.durable = names.current.clone();
        names.unsynced.clear();
        Ok(())
    }

    fn free(&self) -> io::Result<Option<u64>> {
        lock(&self.machine).alive()?;
        Ok(self.free_of_capacity())
    }
}

impl DiskFile for MemoryFile {
    fn length(&self) -> io::Result<u64> {
        lock(&self.disk.machine).alive()?;
        Ok(lock(&self.inode).current.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        lock(&self.disk.machine).alive()?;
        let content = lock(&self.inode);
        let rest = usize::try_from(offset).ok().and_then(|offset| content.current.get(offset..)).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        bytes.truncate(lock(&self.disk.machine).begin_write(bytes.len())?);
        if let Some(free) = self.disk.free_of_capacity() {
            // Bytes that are there already are written over.
            let held = (lock(&self.inode).current.len() as u64).saturating_sub(offset);
            let taken = (bytes.len() as u64).min(held.saturating_add(free));
            if taken == 0 && !bytes.is_empty() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            bytes.truncate(taken as usize);
        }
        lock(&self.inode).write(offset as usize, &bytes);
        Ok(bytes.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        let begun = lock(&self.disk.machine).begin_sync();
        match begun {
            Ok(()) => lock(&self.inode).sync(),
            Err(_) => lock(&self.inode).lose(),
        }
        begun
    }
}

#[derive(Debug, Default)]
struct Names {
    current: BTreeMap<String, Inode>,
    durable: BTreeMap<String, Inode>,
    unsynced: Vec<NameChange>,
}

#[derive(Debug)]
enum NameChange {
    Link { name: String, inode: Inode },
    Rename { from: String, to: String, inode: Inode },
    Unlink { name: String },
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, Inode>) {
        match self {
            Self::Link { name, inode } => drop(names.insert(name.clone(), inode.clone())),
            Self::Rename { from, to, inode } => {
                names.remove(from);
                names.insert(to.clone(), inode.clone());
            }
            Self::Unlink { name } => drop(names.remove(name)),
        }
    }
}

/// A panic of another thread leaves nothing half done here that a test would not see.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
