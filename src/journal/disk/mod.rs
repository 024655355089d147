//! What the journal asks of a disk: one directory of files, and three kinds of it.

use std::io::{self, IoSlice};

mod file;
mod memory;

pub use self::{file::FileDisk, memory::MemoryDisk};

/// What a disk writes whole or not at all. Batches begin on such a border, so that a torn write never harms the one before.
pub const SECTOR: u64 = 512;

/// One directory. Clones are handles of the same one.
pub trait Disk: Clone + Send + Sync + 'static {
    /// An open file.
    type File: DiskFile;

    /// Creates a file, or empties the one of that name. Durable by name only after [`sync_dir`](Self::sync_dir).
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Opens an existing file.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// The names of all files, in no order.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Renames, replacing whatever has the new name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a name. Open files stay readable.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes creations, renames and removals durable.
    fn sync_dir(&self) -> io::Result<()>;

    /// Bytes that more can be written; `None` = nobody knows. Others may write there too, so it is an estimate.
    fn free(&self) -> io::Result<Option<u64>> {
        Ok(None)
    }
}

/// An open file, read and written at offsets.
pub trait DiskFile: Send + Sync + 'static {
    /// Its length in bytes.
    fn length(&self) -> io::Result<u64>;

    /// Reads at an offset; 0 at the end of the file.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes the parts one after the other, in one call if the disk can; returns how many bytes were taken.
    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Makes the content durable, and the length as far as the content needs it.
    fn sync_data(&self) -> io::Result<()>;

    /// Writes all of the parts.
    fn write_all_at(&self, mut offset: u64, mut parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        IoSlice::advance_slices(&mut parts, 0);
        while !parts.is_empty() {
            match self.write_at(offset, parts) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    offset += written as u64;
                    IoSlice::advance_slices(&mut parts, written);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads as much as there is, up to the buffer's length.
    fn read_full_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_at(offset + filled as u64, &mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

/// How much is zeroed between two syncs: a commit that comes in between waits for no more than this.
const ZERO_STEP: usize = 1 << 20;

static ZEROS: [u8; ZERO_STEP] = [0; ZERO_STEP];

/// `length` zeros, at most [`ZERO_STEP`].
pub(super) fn zeros(length: u64) -> &'static [u8] {
    &ZEROS[..(length.min(ZERO_STEP as u64)) as usize]
}

/// Overwrites a range with zeros, growing the file if need be, and syncs it.
pub(super) fn fill_with_zeros(file: &impl DiskFile, from: u64, to: u64) -> io::Result<()> {
    let mut offset = from;
    while offset < to {
        let step = zeros(to - offset);
        file.write_all_at(offset, &mut [IoSlice::new(step)])?;
        file.sync_data()?;
        offset += step.len() as u64;
    }
    Ok(())
}

/// The whole of a small file; `None` if there is none of that name.
pub(super) fn read_small(disk: &impl Disk, name: &str) -> io::Result<Option<Vec<u8>>> {
    /// Meta and epoch are some tens of bytes; whatever is longer is not one of them, and its beginning will not parse.
    const SMALL_MAX: usize = 4096;
    let file = match disk.open(name) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = vec![0; SMALL_MAX];
    let length = file.read_full_at(0, &mut bytes)?;
    bytes.truncate(length);
    Ok(Some(bytes))
}

/// Puts a small file in place, so that a crash leaves either what was before or this.
pub(super) fn replace_small(disk: &impl Disk, name: &str, bytes: &[u8]) -> io::Result<()> {
    let draft = format!("{name}.tmp");
    let file = disk.create(&draft)?;
    file.write_all_at(0, &mut [IoSlice::new(bytes)])?;
    file.sync_data()?;
    disk.rename(&draft, name)?;
    disk.sync_dir()
}
