//! A disk in memory that knows what is durable, crashes on request and fails on request.

use std::{
    collections::BTreeMap,
    io::{self, IoSlice},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Disk, DiskFile, SECTOR};

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
    machine: Arc<Mutex<Machine>>,
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

    /// The process dies, the machine does not: everything written is still there.
    #[must_use]
    pub fn kill(&self) -> Self {
        lock(&self.machine).down = true;
        let names = lock(&self.names);
        Self::holding(names.current.iter().map(|(name, inode)| (name.clone(), lock(inode).current.clone())).collect())
    }

    /// The nth sync of a file from now fails (1 is the next); what it should have made durable never is by later syncs.
    pub fn fail_sync(&self, nth: u64) {
        lock(&self.machine).syncs_left = Some(nth);
    }

    /// After this many more bytes the disk is full: the write that crosses the line is short, the next ones fail.
    pub fn fill_after(&self, bytes: u64) {
        lock(&self.machine).space_left = Some(bytes);
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
        lock(&self.machine).begin_change()?;
        let mut names = lock(&self.names);
        change.apply(&mut names.current);
        names.unsynced.push(change);
        Ok(())
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
        Ok(MemoryFile { machine: self.machine.clone(), inode })
    }

    fn open(&self, name: &str) -> io::Result<MemoryFile> {
        Ok(MemoryFile { machine: self.machine.clone(), inode: self.inode(name)? })
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
}

impl DiskFile for MemoryFile {
    fn length(&self) -> io::Result<u64> {
        lock(&self.machine).alive()?;
        Ok(lock(&self.inode).current.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        lock(&self.machine).alive()?;
        let content = lock(&self.inode);
        let rest = usize::try_from(offset).ok().and_then(|offset| content.current.get(offset..)).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        bytes.truncate(lock(&self.machine).begin_write(bytes.len())?);
        lock(&self.inode).write(offset as usize, &bytes);
        Ok(bytes.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        let begun = lock(&self.machine).begin_sync();
        match begun {
            Ok(()) => lock(&self.inode).sync(),
            Err(_) => lock(&self.inode).lose(),
        }
        begun
    }
}

/// What fails, and when.
#[derive(Debug, Default)]
struct Machine {
    down: bool,
    operations: u64,
    operations_left: Option<u64>,
    syncs_left: Option<u64>,
    space_left: Option<u64>,
    write_max: Option<usize>,
}

impl Machine {
    fn alive(&self) -> io::Result<()> {
        if self.down { Err(io::Error::other("this machine is down")) } else { Ok(()) }
    }

    fn begin_change(&mut self) -> io::Result<()> {
        self.down |= self.operations_left == Some(0);
        self.alive()?;
        self.operations += 1;
        self.operations_left = self.operations_left.map(|left| left - 1);
        Ok(())
    }

    fn begin_write(&mut self, length: usize) -> io::Result<usize> {
        self.begin_change()?;
        let length = length.min(self.write_max.unwrap_or(usize::MAX));
        let Some(space) = &mut self.space_left else { return Ok(length) };
        if *space == 0 && length > 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let taken = (*space).min(length as u64);
        *space -= taken;
        Ok(taken as usize)
    }

    fn begin_sync(&mut self) -> io::Result<()> {
        self.begin_change()?;
        let Some(left) = &mut self.syncs_left else { return Ok(()) };
        *left = left.saturating_sub(1);
        if *left > 0 {
            return Ok(());
        }
        self.syncs_left = None;
        Err(io::Error::other("the sync failed"))
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

type Inode = Arc<Mutex<Content>>;

#[derive(Debug, Default)]
struct Content {
    current: Vec<u8>,
    durable: Vec<u8>,
    /// What each sector has held since the last sync, by its number.
    unsynced: BTreeMap<usize, Vec<Version>>,
}

#[derive(Debug)]
struct Version {
    bytes: Vec<u8>,
    /// A sync of it has failed: the system took it for clean then, and will not write it again.
    lost: bool,
}

impl Content {
    fn durable(bytes: Vec<u8>) -> Inode {
        Arc::new(Mutex::new(Self { current: bytes.clone(), durable: bytes, unsynced: BTreeMap::new() }))
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if bytes.is_empty() {
            return;
        }
        self.current.resize(self.current.len().max(end), 0);
        self.current[offset..end].copy_from_slice(bytes);
        for sector in offset / SECTOR_SIZE..=(end - 1) / SECTOR_SIZE {
            let until = ((sector + 1) * SECTOR_SIZE).min(self.current.len());
            let bytes = self.current[sector * SECTOR_SIZE..until].to_vec();
            self.unsynced.entry(sector).or_default().push(Version { bytes, lost: false });
        }
    }

    fn sync(&mut self) {
        self.durable.resize(self.current.len(), 0);
        let durable = &mut self.durable;
        self.unsynced.retain(|&sector, versions| match versions.last() {
            Some(last) if !last.lost => {
                put_sector(durable, sector, &last.bytes);
                false
            }
            _ => true,
        });
    }

    fn lose(&mut self) {
        self.unsynced.values_mut().flatten().for_each(|version| version.lost = true);
    }

    fn after_crash(&self, chance: &mut Chance) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        let (short, long) = (self.durable.len(), self.current.len());
        bytes.resize(if chance.half() { long } else { short + chance.below(long - short + 1) }, 0);
        for (&sector, versions) in &self.unsynced {
            // 0 is what was durable before.
            if let Some(version) = chance.below(versions.len() + 1).checked_sub(1) {
                put_sector(&mut bytes, sector, &versions[version].bytes);
            }
        }
        bytes
    }
}

const SECTOR_SIZE: usize = SECTOR as usize;

fn put_sector(bytes: &mut [u8], sector: usize, content: &[u8]) {
    let start = (sector * SECTOR_SIZE).min(bytes.len());
    let end = (start + content.len()).min(bytes.len());
    bytes[start..end].copy_from_slice(&content[..end - start]);
}

/// Chance that a seed replays (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound.max(1) as u64) as usize
    }

    fn half(&mut self) -> bool {
        self.below(2) == 0
    }
}

/// A panic of another thread leaves nothing half done here that a test would not see.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
