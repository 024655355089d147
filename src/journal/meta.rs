//! What is fixed when a store is created.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher as _, Hasher as _},
    io,
};

use super::{
    Disk, JournalError, checkpoint,
    disk::{read_small, replace_small},
    segment,
};
use crate::time::Timestamp;

const FILE: &str = "meta";
/// The same once more: nothing else in a store says the same, so that without it nothing could be brought back.
const COPY: &str = "meta.copy";
const MAGIC: [u8; 4] = *b"TGM1";

/// Constants of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// The version of everything on disk. It is raised when an earlier version would read wrongly what a later one writes;
    /// what is only added, with field numbers of its own, needs no other. Later formats are refused.
    pub format: u32,
    /// The number of partitions: where an account lives follows from it.
    pub partitions: u16,
    /// What makes this store another than all others.
    pub origin: Origin,
}

/// What makes a store another than all others: chosen when it is created, or first opened by a version that knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Our Origin-State-Id: seconds since 1970 (spec B-192).
    pub state_id: u32,
    /// Known to nobody else: what we give out to be shown again is sealed with it.
    pub secret: [u64; 2],
}

impl Origin {
    /// A new one.
    pub fn new(now: Timestamp) -> Self {
        // The standard library's maps take their keys from the operating system's randomness.
        let random = || RandomState::new().build_hasher().finish();
        // Up to the year 2106; 0 would say nothing.
        let state_id = u32::try_from(now.millis() / 1_000).unwrap_or(u32::MAX).max(1);
        Self { state_id, secret: [random(), random()] }
    }
}

impl Meta {
    /// Compares with what the store was created with, or creates it so. To be called before anything else is opened. The
    /// origin is that of the store.
    pub fn open_or_create(disk: &impl Disk, wanted: Self) -> Result<Self, JournalError> {
        let io = || JournalError::io(FILE);
        let Some(bytes) = read_small(disk, FILE).map_err(io())? else {
            let names = disk.list().map_err(io())?;
            if names.iter().any(|name| segment::first_of(name).is_some() || checkpoint::position_of(name).is_some()) {
                return Err(JournalError::corrupt(FILE, 0, "a file, since there is a journal or a checkpoint"));
            }
            wanted.store(disk)?;
            return Ok(wanted);
        };
        let (stored, is_whole) = Self::decode(&bytes, wanted.origin).ok_or_else(unreadable)?;
        if stored.format != wanted.format {
            return Err(JournalError::Format { stored: stored.format, supported: wanted.format });
        }
        if stored.partitions != wanted.partitions {
            return Err(JournalError::Partitions { stored: stored.partitions, configured: wanted.partitions });
        }
        if !is_whole || read_small(disk, COPY).map_err(JournalError::io(COPY))?.is_none_or(|copy| copy != bytes) {
            stored.store(disk)?;
        }
        Ok(stored)
    }

    /// What a store was created with; nothing is created or changed.
    ///
    /// # Errors
    /// There is no store, or the file is not what it should be.
    pub fn look(disk: &impl Disk) -> Result<Self, JournalError> {
        let stored = read_small(disk, FILE).map_err(JournalError::io(FILE))?;
        let stored = stored.ok_or_else(|| JournalError::io(FILE)(io::ErrorKind::NotFound.into()))?;
        Self::decode(&stored, Origin { state_id: 0, secret: [0; 2] }).map(|(stored, _)| stored).ok_or_else(unreadable)
    }

    /// As [`look`](Self::look); where the file is missing or damaged, by its copy. For bringing back what there is.
    ///
    /// # Errors
    /// Those of the file, if the copy is of no use either.
    pub fn look_at_either(disk: &impl Disk) -> Result<Self, JournalError> {
        Self::look(disk).or_else(|error| {
            let copy = read_small(disk, COPY).ok().flatten();
            let decoded = copy.and_then(|copy| Self::decode(&copy, Origin { state_id: 0, secret: [0; 2] }));
            decoded.map(|(stored, _)| stored).ok_or(error)
        })
    }

    /// Makes a copy no store any more: nothing opens it.
    ///
    /// # Errors
    /// The disk refused.
    pub fn remove(disk: &impl Disk) -> Result<(), JournalError> {
        for name in [FILE, COPY] {
            disk.remove(name).and_then(|()| disk.sync_dir()).map_err(JournalError::io(name))?;
        }
        Ok(())
    }

    /// Makes a copy of the store, by this, whole: until then nothing opens it.
    ///
    /// # Errors
    /// The disk refused.
    pub fn store(self, disk: &impl Disk) -> Result<(), JournalError> {
        for name in [COPY, FILE] {
            replace_small(disk, name, &self.encode()).map_err(JournalError::io(name))?;
        }
        Ok(())
    }

    fn encode(self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.format.to_le_bytes());
        bytes.extend(self.partitions.to_le_bytes());
        bytes.extend(self.origin.state_id.to_le_bytes());
        self.origin.secret.iter().for_each(|half| bytes.extend(half.to_le_bytes()));
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    /// Older files have no origin: they get this one. `false` = it was not there.
    fn decode(bytes: &[u8], new: Origin) -> Option<(Self, bool)> {
        let (body, crc) = bytes.split_last_chunk::<4>()?;
        let (magic, rest) = body.split_first_chunk::<4>()?;
        let (format, rest) = rest.split_first_chunk::<4>()?;
        let (partitions, rest) = rest.split_first_chunk::<2>()?;
        let origin = if rest.is_empty() {
            None
        } else {
            let (state_id, rest) = rest.split_first_chunk::<4>()?;
            let (first, second) = rest.split_first_chunk::<8>()?;
            let secret = [u64::from_le_bytes(*first), u64::from_le_bytes(second.try_into().ok()?)];
            Some(Origin { state_id: u32::from_le_bytes(*state_id), secret })
        };
        let meta = Self {
            format: u32::from_le_bytes(*format),
            partitions: u16::from_le_bytes(*partitions),
            origin: origin.unwrap_or(new),
        };
        let is_sound = *magic == MAGIC && *crc == crc32c::crc32c(body).to_le_bytes();
        is_sound.then_some((meta, origin.is_some()))
    }
}

fn unreadable() -> JournalError {
    JournalError::corrupt(FILE, 0, "magic, format, partitions and their checksum")
}
