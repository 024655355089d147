//! All that a store knows, to be compared with what another one knows, also when the first is gone.

use std::{convert::Infallible, sync::Arc};

use tollgate::{
    charging::{Notice, Retention, State},
    ids::PartitionId,
    journal::{
        Disk,
        snapshot::{PartitionHeader, PartitionLoader, write_partition},
    },
    store::Store,
};

pub(crate) struct Known {
    partitions: Vec<State>,
    events: Vec<(u64, Arc<Notice>)>,
    consumers: Vec<(Box<str>, u64)>,
}

impl Known {
    /// What a store knows, with those of its events that are to be compared. Each partition is what its part of a checkpoint
    /// makes of it.
    pub(crate) fn of<D: Disk>(store: &Store<D>, retention: Retention, events: Vec<(u64, Arc<Notice>)>) -> Self {
        let (mut partitions, mut count) = (Vec::new(), 0);
        store.for_each_state(|_| count += 1);
        store.for_each_state(|state| {
            let partition = PartitionId(partitions.len() as u16);
            let header = PartitionHeader { partition, partitions: count, position: 0 };
            let mut loader = PartitionLoader::new(retention);
            let Ok(()) = write_partition(state, &header, &mut |chunk| {
                loader.load_chunk(chunk).unwrap();
                Ok::<(), Infallible>(())
            });
            let copy = loader.finish().unwrap().1;
            state.same_as(&copy).unwrap();
            partitions.push(copy);
        });
        Self { partitions, events, consumers: consumers(store) }
    }

    /// How two stores differ.
    pub(crate) fn differs(&self, other: &Self) -> Option<String> {
        for (number, (one, other)) in self.partitions.iter().zip(&other.partitions).enumerate() {
            if let Err(difference) = one.same_as(other) {
                return Some(format!("partition {number}: {difference}"));
            }
        }
        let differ = |what: &str, differ: bool| differ.then(|| format!("other {what}"));
        differ("events", self.events != other.events).or_else(|| differ("consumers", self.consumers != other.consumers))
    }
}

/// Who has acknowledged events, and how far.
pub(crate) fn consumers<D: Disk>(store: &Store<D>) -> Vec<(Box<str>, u64)> {
    store.outbox().consumers().into_iter().map(|one| (one.name, one.cursor)).collect()
}
