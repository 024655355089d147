//! What a crash leaves to the next start: events as their records tell them, and states as their checkpoints do.

use std::convert::Infallible;

use tollgate::{
    charging::{Event, Retention, State},
    ids::PartitionId,
    journal::{
        record::{self, Entry},
        snapshot::{PartitionHeader, PartitionLoader, write_partition},
    },
};

/// What the records of these events make of an empty partition.
pub(crate) fn replayed(events: &[Event], retention: Retention) -> State {
    let mut state = State::new(retention);
    for event in events {
        let mut bytes = Vec::new();
        record::encode_event(PartitionId(0), event, &mut bytes);
        match record::decode(&bytes).unwrap() {
            Entry::Charging { event, .. } => state.apply(&event),
            entry => panic!("{event:?} came back as {entry:?}"),
        }
    }
    state
}

/// A state whose checkpoint is taken now comes back as it is.
pub(crate) fn survives_a_checkpoint(state: &State, retention: Retention) {
    let header = PartitionHeader { partition: PartitionId(0), partitions: 1, position: 0 };
    let mut loader = PartitionLoader::new(retention);
    let load = &mut |chunk: &[u8]| {
        loader.load_chunk(chunk).unwrap();
        Ok::<_, Infallible>(())
    };
    write_partition(state, &header, load).unwrap();
    state.same_as(&loader.finish().unwrap().1).unwrap();
}
