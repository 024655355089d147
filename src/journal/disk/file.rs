use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, IoSlice},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Disk, DiskFile};
use crate::journal::JournalError;

const LOCK: &str = "lock";

/// A directory of the file system. Holds its lock: while any clone lives, nobody else can open it.
#[derive(Debug, Clone)]
pub struct FileDisk {
    directory: Arc<Path>,
    /// Locked; the system releases it with the last handle, however the process ends. `None` = only read.
    lock: Option<Arc<File>>,
}

impl FileDisk {
    /// Opens a directory, creating it if need be, and locks it.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, JournalError> {
        let directory = directory.into();
        let name = directory.display().to_string();
        create_durably(&directory).map_err(JournalError::io(&name))?;
        let options = OpenOptions::new().create(true).truncate(false).write(true).clone();
        let lock = options.open(directory.join(LOCK)).map_err(JournalError::io(&name))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { directory: directory.into(), lock: Some(Arc::new(lock)) }),
            Err(TryLockError::WouldBlock) => Err(JournalError::Locked { directory }),
            Err(TryLockError::Error(error)) => Err(JournalError::io(&name)(error)),
        }
    }

    /// A directory that somebody else may have locked, for reading what only grows.
    pub fn look(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into().into(), lock: None }
    }
}

impl Disk for FileDisk {
    type File = File;

    fn create(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create(true).truncate(true).open(self.directory.join(name))
    }

    fn open(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).write(self.lock.is_some()).open(self.directory.join(name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            // A name that is not text is none of ours.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.directory.join(from), self.directory.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.directory.join(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }

    fn free(&self) -> io::Result<Option<u64>> {
        let found = rustix::fs::statvfs(&*self.directory)?;
        // Some file systems have no end, and say so by this.
        let has_end = found.f_blocks > 0;
        Ok(has_end.then(|| found.f_bavail.saturating_mul(found.f_frsize)))
    }
}

impl DiskFile for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(rustix::io::pwritev(self, parts, offset)?)
    }

    fn sync_data(&self) -> io::Result<()> {
        File::sync_data(self)
    }
}

/// Creates a directory and the ones above it, each durable in the one that holds it.
fn create_durably(directory: &Path) -> io::Result<()> {
    if directory.as_os_str().is_empty() || directory.is_dir() {
        return Ok(());
    }
    let parent = directory.parent().unwrap_or(Path::new(""));
    create_durably(parent)?;
    fs::create_dir(directory)?;
    File::open(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })?.sync_all()
}
