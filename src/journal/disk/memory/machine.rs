use std::io;

/// What fails, and when.
#[derive(Debug, Default)]
pub(super) struct Machine {
    pub(super) down: bool,
    pub(super) operations: u64,
    pub(super) operations_left: Option<u64>,
    pub(super) syncs_left: Option<u64>,
    pub(super) space_left: Option<u64>,
    /// What all files together may have.
    pub(super) capacity: Option<u64>,
    /// No file can be made or renamed for want of room.
    pub(super) names_full: bool,
    pub(super) write_max: Option<usize>,
}

impl Machine {
    pub(super) fn alive(&self) -> io::Result<()> {
        if self.down { Err(io::Error::other("this machine is down")) } else { Ok(()) }
    }

    pub(super) fn begin_change(&mut self) -> io::Result<()> {
        self.down |= self.operations_left == Some(0);
        self.alive()?;
        self.operations += 1;
        self.operations_left = self.operations_left.map(|left| left - 1);
        Ok(())
    }

    pub(super) fn begin_write(&mut self, length: usize) -> io::Result<usize> {
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

    pub(super) fn begin_sync(&mut self) -> io::Result<()> {
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
