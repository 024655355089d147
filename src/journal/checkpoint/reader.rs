use super::{CHUNK_MAX, END, FOOTER, MAGIC, footer, name_of, positions};
use crate::journal::{Disk, DiskFile, JournalError, Position};

/// The newest complete checkpoint; `None` if there never was one. One that is damaged is an error: older state is not
/// silently taken for the newest.
pub fn latest<D: Disk>(disk: &D) -> Result<Option<CheckpointReader<D::File>>, JournalError> {
    let Some(position) = positions(disk)?.pop() else { return Ok(None) };
    CheckpointReader::open(disk, position).map(Some)
}

/// All complete checkpoints, oldest first: the newest, and one to fall back on.
pub fn all<D: Disk>(disk: &D) -> Result<Vec<CheckpointReader<D::File>>, JournalError> {
    positions(disk)?.into_iter().map(|position| CheckpointReader::open(disk, position)).collect()
}

/// Reads a checkpoint chunk by chunk. Its state is to be trusted only when the last chunk has been read without error.
#[derive(Debug)]
pub struct CheckpointReader<F> {
    name: String,
    file: F,
    position: Position,
    offset: u64,
    /// Where the footer begins.
    end: u64,
    chunks: u64,
    crc_of_crcs: u32,
}

impl<F: DiskFile> CheckpointReader<F> {
    /// The position the state is of: the journal is to be read from here.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The name of the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The length of the file, for those who show progress.
    pub fn bytes(&self) -> u64 {
        self.end + FOOTER as u64
    }

    /// Reads the next chunk into a buffer, in place of what that held. `false` when all have been read and add up.
    pub fn next_chunk(&mut self, chunk: &mut Vec<u8>) -> Result<bool, JournalError> {
        chunk.clear();
        if self.offset == self.end {
            return self.check_footer().map(|()| false);
        }
        let start = self.offset;
        let mut head = [0; 8];
        self.read(&mut head, "a chunk's length and checksum")?;
        let [l0, l1, l2, l3, crc @ ..] = head;
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if length > CHUNK_MAX || length as u64 > self.end.saturating_sub(self.offset) {
            return Err(self.corrupt(start, "a chunk's length that fits the file"));
        }
        chunk.resize(length, 0);
        self.read(chunk, "a chunk")?;
        if crc32c::crc32c(chunk).to_le_bytes() != crc {
            return Err(self.corrupt(start, "a chunk that fits its checksum"));
        }
        self.chunks += 1;
        self.crc_of_crcs = crc32c::crc32c_append(self.crc_of_crcs, &crc);
        Ok(true)
    }

    /// The checkpoint of a position.
    ///
    /// # Errors
    /// There is none, or it is damaged.
    pub fn open<D: Disk<File = F>>(disk: &D, position: Position) -> Result<Self, JournalError> {
        let name = name_of(position);
        let file = disk.open(&name).map_err(JournalError::io(&name))?;
        let length = file.length().map_err(JournalError::io(&name))?;
        let Some(end) = length.checked_sub(FOOTER as u64) else {
            return Err(JournalError::corrupt(&name, 0, "a checkpoint, which is longer than this file"));
        };
        let mut reader = Self { name, file, position, offset: 0, end, chunks: 0, crc_of_crcs: 0 };
        let mut magic = [0; MAGIC.len()];
        reader.read(&mut magic, "the magic")?;
        if magic != MAGIC {
            return Err(reader.corrupt(0, "the magic of a checkpoint"));
        }
        let found = reader.footer()?;
        if found[..4] != END.to_le_bytes() || found[24..] != crc32c::crc32c(&found[..24]).to_le_bytes() {
            return Err(reader.corrupt(end, "the footer of a complete checkpoint"));
        }
        if found[12..20] != position.0.to_le_bytes() {
            return Err(reader.corrupt(end, &format!("the footer of a checkpoint at {position}, as the file is named")));
        }
        Ok(reader)
    }

    fn check_footer(&self) -> Result<(), JournalError> {
        if self.footer()? == footer(self.chunks, self.position, self.crc_of_crcs) {
            return Ok(());
        }
        let (chunks, position) = (self.chunks, self.position);
        Err(self.corrupt(self.end, &format!("a footer for position {position} and the {chunks} chunks before it")))
    }

    fn footer(&self) -> Result<[u8; FOOTER], JournalError> {
        let mut bytes = [0; FOOTER];
        self.file.read_full_at(self.end, &mut bytes).map_err(JournalError::io(&self.name))?;
        Ok(bytes)
    }

    /// Fills a buffer with bytes that come before the footer.
    fn read(&mut self, buffer: &mut [u8], what: &str) -> Result<(), JournalError> {
        let wanted = buffer.len() as u64;
        if wanted > self.end.saturating_sub(self.offset) {
            return Err(self.corrupt(self.offset, what));
        }
        let read = self.file.read_full_at(self.offset, buffer).map_err(JournalError::io(&self.name))?;
        if read < buffer.len() {
            return Err(self.corrupt(self.offset, what));
        }
        self.offset += wanted;
        Ok(())
    }

    fn corrupt(&self, offset: u64, expected: &str) -> JournalError {
        JournalError::corrupt(&self.name, offset, expected)
    }
}
