//! What breaks, and what is held against the node when it has come back.

use std::sync::Arc;

use tollgate::{
    journal::{Disk as _, MemoryDisk, Space, Stepped},
    store::{RecoveryReport, Store},
};

use super::{
    machine::{self, End, Machine, copy_of, held, known, names, sealed},
    run::{CONSUMER, World},
};

/// Requests that are sent again after each recovery.
const PROBES: usize = 12;

impl World {
    pub(super) fn fault(&mut self) {
        let disk = &self.machine.disk;
        match self.dice.below(20) {
            0..=4 => self.restart(),
            5 | 6 => {
                self.trace.count("halts in the middle of something");
                disk.halt_after(self.dice.below(5));
            }
            7 | 8 => {
                self.trace.count("syncs failed");
                disk.fail_sync(self.dice.below(3) + 1);
            }
            9 | 10 => {
                self.trace.count("short writes");
                disk.short_writes(self.dice.below(3_000) as usize + 100);
            }
            11 | 12 if !disk.is_down() => {
                self.trace.count("disks full");
                self.fill();
            }
            13..=16 if self.full => {
                self.trace.count("space came back");
                self.make_room();
            }
            13 => self.rot_beside(),
            17..=19 => {
                self.trace.count("disks slow for a while");
                self.slow = self.dice.below(30);
            }
            _ => {}
        }
    }

    /// A disk fills up: one that needs room for whatever is written, or one that writes in place; or that of usage records.
    fn fill(&mut self) {
        let Machine { disk, records, .. } = &self.machine;
        match self.dice.below(3) {
            0 => disk.fill_after(self.dice.below(6_000)),
            1 => disk.hold_at_most(held(disk) + self.dice.below(20_000)),
            _ => records.as_ref().unwrap_or(disk).fill_after(self.dice.below(2_000)),
        }
        self.full = true;
    }

    /// There is room again: unless something else breaks, what has waited for it is answered now.
    fn make_room(&mut self) {
        self.machine.make_room();
        self.full = false;
        let waited = self.waiting.len() as u64;
        let stuck = self.store.room().space() == Space::Reserved;
        while self.store.last_position() > self.store.mark().current() && self.commit() == Stepped::Committed {}
        if stuck && self.store.mark().fatal().is_none() {
            assert!(self.waiting.is_empty(), "there is room again, and what has waited for it is not answered");
            self.trace.add("answered when there was room again", waited);
        }
    }

    /// The process ends, one way or another, and the next one recovers; perhaps not at the first attempt.
    pub(super) fn restart(&mut self) {
        let stopped = self.dice.once_in(8) && self.store.shutdown().is_ok();
        self.trace.count(if stopped { "stopped in good order" } else { "ended" });
        loop {
            self.end_process();
            let halts = self.network.bad && self.dice.once_in(4);
            if halts {
                self.machine.disk.halt_after(self.dice.below(40));
            }
            match self.machine.open() {
                Ok((store, report)) => {
                    self.store = Arc::new(store);
                    self.machine.disk.halt_after(u64::MAX);
                    if self.machine.disk.is_down() {
                        continue;
                    }
                    self.note(format!("recovered: {:?}, {} replayed", report.checkpoint, report.replayed));
                    return self.recovered(&report);
                }
                Err(error) => {
                    assert!(halts, "no recovery: {error}");
                    self.trace.count("crashes in a recovery");
                }
            }
        }
    }

    fn end_process(&mut self) {
        let end = match self.dice.once_in(2) {
            true => End::Power(self.dice.below(u64::MAX)),
            false => End::Kill,
        };
        if self.network.bad && self.dice.once_in(2) {
            self.trace.count("ends in the middle of a commit");
            self.machine.disk.halt_after(self.dice.below(2));
            self.store.commit_by_hand();
        }
        self.trace.count(match end {
            End::Power(_) => "losses of power",
            End::Kill => "kills",
        });
        self.note(format!("{end:?}"));
        self.machine.end(end);
        self.waiting.clear();
        self.full = false;
    }

    fn recovered(&mut self, report: &RecoveryReport) {
        self.trace.count("recoveries");
        if report.torn_tail.is_some() {
            self.trace.count("torn tails cut off");
        }
        let store = &self.store;
        store.check().unwrap();
        let last = store.mark().current().0;
        assert!(last >= self.promised, "the journal ends at {last}, and {} was durable", self.promised);
        self.compare_records();
        self.read_on();
        if self.dice.once_in(2) {
            self.is_a_replay();
        }
        if self.dice.once_in(4) {
            self.falls_back();
        }
        let acknowledged = self.store.outbox().acknowledged(CONSUMER);
        assert!(acknowledged >= Some(self.consumer.acknowledged), "an acknowledgement is gone");
        assert!(acknowledged <= Some(self.consumer.last()), "what was never delivered is acknowledged");
        if self.dice.once_in(3) {
            self.rot();
        }
        self.ask_again();
    }

    /// Durable records stay what they were.
    fn compare_records(&self) {
        let (after, records) = machine::records_after(&self.store, 0);
        let known = self.archive.get(after as usize..).unwrap_or_default();
        assert!(records.len() >= known.len() && records[..known.len()] == *known, "durable records have changed");
    }

    /// A checkpoint and the journal after it make what the whole journal makes.
    pub(super) fn is_a_replay(&mut self) {
        self.trace.count("recoveries compared with a whole replay");
        let replayed = self.machine.replay(&self.archive);
        if let Some(difference) = known(&self.store).differs(&known(&replayed)) {
            panic!("a recovery and a whole replay differ: {difference}");
        }
    }

    /// The checkpoint before the newest, with the journal after it, makes the same: an operator may have to fall back on it.
    fn falls_back(&mut self) {
        let disk = copy_of(&self.machine.disk);
        let checkpoints: Vec<_> = names(&disk).into_iter().filter(|name| name.ends_with(".tgc")).collect();
        let [.., _, newest] = &checkpoints[..] else { return };
        disk.remove(newest).unwrap();
        self.trace.count("recoveries from the checkpoint before the newest");
        let (older, _) = self.machine.open_copy(disk).unwrap_or_else(|error| panic!("without {newest}: {error}"));
        assert_eq!(known(&self.store).differs(&known(&older)), None, "without {newest}");
    }

    /// Some of what was answered is asked again: it gets its answer, and nothing changes.
    pub(super) fn ask_again(&mut self) {
        let before = self.store.last_position();
        let mut probes = self.ledger.repeatable();
        let surplus = probes.len().saturating_sub(PROBES);
        probes.drain(..surplus);
        for ask in probes {
            let (frame, answered) = machine::serve(&self.store, self.ledger.ccr(ask, 0, true), 0);
            let octets = machine::answer(&self.store, &frame, answered);
            let octets = octets.unwrap_or_else(|_| panic!("request {ask}, which was answered, changed something"));
            self.ledger.answered(ask, &octets);
        }
        let paid = |top_up: &usize| self.ledger.top_ups[*top_up].answer.is_some();
        let paid: Vec<_> = (0..self.ledger.top_ups.len()).filter(paid).collect();
        paid.into_iter().rev().take(PROBES).for_each(|top_up| self.credit(top_up));
        self.leave();
        assert_eq!(self.store.last_position(), before, "asking again changed something");
    }

    /// As after a recovery, in the middle of something: of what was done since, not all is sealed.
    fn rot_beside(&mut self) {
        let disturbed = self.store.mark().fatal().is_some() || self.store.room().space() == Space::Reserved;
        if !disturbed && !self.machine.disk.is_down() {
            self.trace.count("bits flipped beside a store that runs, three each");
            self.rot();
        }
    }

    /// A bit of a durable file changes. A recovery says so, or it makes no difference.
    fn rot(&mut self) {
        let sound = self.machine.open_copy(copy_of(&self.machine.disk)).unwrap().0;
        for _ in 0..3 {
            let disk = copy_of(&self.machine.disk);
            let all = names(&disk);
            let name = &all[self.dice.below(all.len() as u64) as usize];
            let mut bytes = disk.contents(name).unwrap();
            let written: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
            if written.is_empty() {
                continue;
            }
            // Most of a segment is zeros.
            let at = match self.dice.once_in(4) {
                true => self.dice.below(bytes.len() as u64) as usize,
                false => written[self.dice.below(written.len() as u64) as usize],
            };
            let before = bytes.clone();
            bytes[at] ^= 1 << self.dice.below(8);
            disk.put(name, bytes);
            self.trace.count("bits flipped");
            let told = match self.machine.open_copy(disk) {
                Ok((rotten, report)) => {
                    let where_ = format!("{name} at {at}");
                    match known(&sound).differs(&known(&rotten)) {
                        None => "bits flipped: harmless",
                        Some(difference) => {
                            assert!(
                                self.looks_torn(&sound, &rotten, &report, &before),
                                "a changed bit of {where_} makes a silent difference: {difference}"
                            );
                            "bits flipped: taken for a torn write, and said"
                        }
                    }
                }
                Err(error) => {
                    let error = error.to_string();
                    assert!(error.contains(name.as_str()), "{name} is damaged at {at}, and the recovery says: {error}");
                    "bits flipped: refused by name"
                }
            };
            self.trace.count(told);
            self.note(format!("a bit of {name} at {at}: {told}"));
        }
    }

    /// Whether a store that was opened after a bit of a segment had changed has lost what a crash might have torn, and no
    /// more: of the last batch of all, if it was written after the last seal, nobody can tell that it was whole. It is cut
    /// off and said to be, and what is left is what there was before it. What is sealed is never cut off: all that was there
    /// at the last start, and what was durable when last nothing came for a while. Nor is anything that another batch follows.
    fn looks_torn(
        &self,
        sound: &Store<MemoryDisk>,
        rotten: &Store<MemoryDisk>,
        report: &RecoveryReport,
        segment: &[u8],
    ) -> bool {
        let Some(torn) = &report.torn_tail else { return false };
        let (last, left) = (sound.mark().current().0, rotten.mark().current().0);
        // The header of a batch: how many records it has is at byte 12, the position of the first at byte 24.
        let header = &segment[torn.offset as usize..];
        let records = u64::from(u32::from_le_bytes(*header[12..].first_chunk().unwrap()));
        let first = u64::from_le_bytes(*header[24..].first_chunk().unwrap());
        assert_eq!((first, first + records), (left + 1, last + 1), "more than the last batch is cut off");
        assert!(sealed(&self.machine.disk) <= left, "what is sealed is cut off");
        let replayed = self.machine.replay(&self.archive[..left as usize]);
        known(&replayed).differs(&known(rotten)).is_none()
    }
}
