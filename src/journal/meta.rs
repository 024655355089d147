//! What is fixed when a store is created.

use super::{
    Disk, JournalError, checkpoint,
    disk::{read_small, replace_small},
    segment,
};

const FILE: &str = "meta";
const MAGIC: [u8; 4] = *b"TGM1";

/// Constants of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// The version of everything on disk.
    pub format: u32,
    /// The number of partitions: where an account lives follows from it.
    pub partitions: u16,
}

impl Meta {
    /// Compares with what the store was created with, or creates it so. To be called before anything else is opened.
    pub fn open_or_create(disk: &impl Disk, wanted: Self) -> Result<Self, JournalError> {
        let io = || JournalError::io(FILE);
        let Some(bytes) = read_small(disk, FILE).map_err(io())? else {
            let names = disk.list().map_err(io())?;
            if names.iter().any(|name| segment::first_of(name).is_some() || checkpoint::position_of(name).is_some()) {
                return Err(JournalError::corrupt(FILE, 0, "a file, since there is a journal or a checkpoint"));
            }
            replace_small(disk, FILE, &wanted.encode()).map_err(io())?;
            return Ok(wanted);
        };
        let stored = Self::decode(&bytes)
            .ok_or_else(|| JournalError::corrupt(FILE, 0, "magic, format, partitions and their checksum"))?;
        if stored.format != wanted.format {
            return Err(JournalError::Format { stored: stored.format, supported: wanted.format });
        }
        if stored.partitions != wanted.partitions {
            return Err(JournalError::Partitions { stored: stored.partitions, configured: wanted.partitions });
        }
        Ok(stored)
    }

    fn encode(self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.format.to_le_bytes());
        bytes.extend(self.partitions.to_le_bytes());
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, crc) = bytes.split_last_chunk::<4>()?;
        let (magic, rest) = body.split_first_chunk::<4>()?;
        let (format, partitions) = rest.split_first_chunk::<4>()?;
        let meta =
            Self { format: u32::from_le_bytes(*format), partitions: u16::from_le_bytes(partitions.try_into().ok()?) };
        (*magic == MAGIC && *crc == crc32c::crc32c(body).to_le_bytes()).then_some(meta)
    }
}
