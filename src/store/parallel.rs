//! The same for each of many things, on all processors: what a start does with partitions.

use std::{
    num::NonZero,
    sync::{Mutex, PoisonError},
    thread,
};

/// Takes things one after the other and does something for each. What came of them is in the order of the things, whatever
/// was ready first.
pub(super) fn for_each<T: Send, R: Send>(
    things: impl Iterator<Item = T> + Send,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let things = Mutex::new(things.enumerate());
    let (things, work) = (&things, &work);
    let next = move || things.lock().unwrap_or_else(PoisonError::into_inner).next();
    let worker = move || {
        let mut done = Vec::new();
        while let Some((number, thing)) = next() {
            done.push((number, work(thing)));
        }
        done
    };
    let others = thread::available_parallelism().map_or(1, NonZero::get) - 1;
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (0..others).map(|_| scope.spawn(worker)).collect();
        let own = worker();
        let theirs =
            others.into_iter().flat_map(|other| other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        own.into_iter().chain(theirs).collect::<Vec<_>>()
    });
    done.sort_unstable_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn all_are_done_in_order() {
        let squares = super::for_each(0u64..1_000, |number| number * number);
        assert_eq!(squares, (0..1_000).map(|number| number * number).collect::<Vec<_>>());
    }
}
