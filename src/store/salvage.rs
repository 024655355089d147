//! What can be brought back of a damaged store, and the command that does.

use std::path::Path;

use super::{Settings, copy::choose};
use crate::journal::{Disk, Look, Meta, Position, checkpoint};

/// What is whole of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Salvage {
    /// A copy up to this record can be had.
    pub last: Position,
    /// The last record that is known to have been durable; beyond `last` they are lost.
    pub known: Position,
}

/// Looks how far a copy of a damaged store can go: from the newest checkpoint that is whole, or the first record, on.
/// `None` = no state of it can be had any more. Reads the journal once for each checkpoint.
pub fn salvage<D: Disk>(disk: &D, settings: Settings) -> Option<Salvage> {
    let partitions = Meta::look_at_either(disk).ok()?.partitions;
    let settings = Settings { partitions, ..settings };
    let checkpoints = checkpoint::positions(disk).ok()?;
    let starts = checkpoints.iter().rev().copied().chain([Position::ZERO]);
    let end = |start| Look::whole_after(disk, start).ok();
    let can_be_had = |last: &Position| {
        let journal = Look::up_to(disk, *last)?;
        let chosen = choose(disk, &checkpoints, &journal, *last, &settings)?;
        let from = chosen.map_or(Position::ZERO, |reader| reader.position());
        Ok::<_, super::CopyError>(journal.read(from, &mut |_, _| Ok(()))?)
    };
    let last = starts.filter_map(end).find(|last| can_be_had(last).is_ok())?;
    Some(Salvage { last, known: Look::known_end(disk).max(last) })
}

/// For the message about a damaged store: what is lost, and the command that brings back the rest. `damaged` = the
/// file that is, where it is one.
pub fn way_out<D: Disk>(damaged: Option<&str>, disk: &D, settings: Settings, directory: &Path) -> String {
    if let Some(file) = damaged.filter(|file| file.ends_with(".jsonl") || file.ends_with(".csv")) {
        return format!(
            "no balance and no session depends on this file; put it aside for whoever can mend its lines, and the node starts \
             without it: mv {file} {file}.damaged"
        );
    }
    let Some(Salvage { last, known }) = salvage(disk, settings) else {
        return "no state of it can be brought back from these files; a backup comes back, to empty directories, by: \
                tollgate restore --from BACKUP"
            .to_owned();
    };
    let lost = match known > last {
        true => format!("records {} to {known} are lost, and later ones, if there were any", last.next()),
        false => "nothing is lost that is known of".to_owned(),
    };
    let directory = directory.display();
    format!(
        "{lost}; records up to {last} are whole; with another `store.directory`, they come back by: tollgate restore --from \
         {directory} --until {last}"
    )
}
