//! What a file holds, and what of it would survive.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use super::{super::SECTOR, chance::Chance};

pub(super) type Inode = Arc<Mutex<Content>>;

#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) current: Vec<u8>,
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
    pub(super) fn durable(bytes: Vec<u8>) -> Inode {
        Arc::new(Mutex::new(Self { current: bytes.clone(), durable: bytes, unsynced: BTreeMap::new() }))
    }

    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
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

    pub(super) fn sync(&mut self) {
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

    pub(super) fn lose(&mut self) {
        self.unsynced.values_mut().flatten().for_each(|version| version.lost = true);
    }

    pub(super) fn after_crash(&self, chance: &mut Chance) -> Vec<u8> {
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
