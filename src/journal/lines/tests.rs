use std::ops::ControlFlow;

use super::*;
use crate::journal::{MemoryDisk, Position};

const ROTATION: Rotation = Rotation { bytes: 1_500, secs: 3_600 };

fn kind(csv: bool) -> LineKind {
    let (extension, header) = if csv { ("csv", Some("cursor,text".to_owned())) } else { ("jsonl", None) };
    LineKind { stem: "usage", extension, header, is_whole: |_| true }
}

/// Forty lines of records 3, 6, 9, ..., two of each, over several hours; some are longer than a sector.
fn lines(csv: bool) -> Vec<Line> {
    let line = |n: u64| {
        let cursor = Cursor::new(Position(3 * (n / 2 + 1)), (n % 2) as u32);
        let filling = "x".repeat((n * 97 % 700) as usize);
        let text = if csv {
            format!("{cursor},{filling}")
        } else {
            format!("{{\"cursor\":\"{cursor}\",\"t\":\"{filling}\"}}")
        };
        Line { cursor, at: Timestamp::from_secs(1_000_000 + n * 300), text }
    };
    (0..40).map(line).collect()
}

fn open(disk: &MemoryDisk, csv: bool) -> Result<LineFiles<MemoryDisk>, JournalError> {
    LineFiles::open(disk.clone(), kind(csv), ROTATION, Position::ZERO)
}

fn read(disk: &MemoryDisk, csv: bool, after: Option<Cursor>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let visit = &mut |file: &str, _: Cursor, line: &str| {
        found.push((file.to_owned(), line.to_owned()));
        ControlFlow::Continue(())
    };
    LineReader::new(disk, kind(csv)).visit(after, visit).unwrap();
    found
}

fn texts(lines: &[Line]) -> Vec<String> {
    lines.iter().map(|line| line.text.clone()).collect()
}

/// Writes all lines in batches, as a writer does who is given everything again after a start.
fn write_all(files: &mut LineFiles<MemoryDisk>, csv: bool) -> Result<(), JournalError> {
    lines(csv).chunks(7).try_for_each(|batch| files.write(batch))
}

#[test]
fn files_end_at_their_size_and_at_the_hour() {
    for csv in [false, true] {
        let disk = MemoryDisk::new();
        write_all(&mut open(&disk, csv).unwrap(), csv).unwrap();
        let found = read(&disk, csv, None);
        assert_eq!(found.iter().map(|(_, line)| line.clone()).collect::<Vec<_>>(), texts(&lines(csv)));
        let names = LineReader::new(&disk, kind(csv)).names().unwrap();
        assert!(names.len() > 8, "{names:?}");
        let begin = if csv { "cursor,text\n" } else { "{\"cursor\"" };
        for name in &names {
            let bytes = disk.contents(name).unwrap();
            assert!(bytes.starts_with(begin.as_bytes()) && bytes.len() as u64 <= ROTATION.bytes, "{name}");
            // Lines of one hour only.
            let of_file = found.iter().zip(lines(csv)).filter(|((file, _), _)| file == name);
            let hours: std::collections::BTreeSet<_> = of_file.map(|(_, line)| line.at.secs() / 3_600).collect();
            assert_eq!(hours.len(), 1, "{name}");
        }
        assert!(names[0].starts_with("usage-00000000000000000003-0000000000-19700112T134640Z."), "{names:?}");
    }
}

#[test]
fn reading_begins_after_any_cursor() {
    let disk = MemoryDisk::new();
    write_all(&mut open(&disk, false).unwrap(), false).unwrap();
    let all = lines(false);
    for after in 0..all.len() {
        let found = read(&disk, false, Some(all[after].cursor));
        assert_eq!(found.into_iter().map(|(_, line)| line).collect::<Vec<_>>(), texts(&all[after + 1..]));
    }
    // Between two records.
    assert_eq!(read(&disk, false, Some(Cursor::new(Position(7), 0))).len(), all.len() - 4);
    let whole = LineReader::new(&disk, kind(false));
    let files = whole.visit(Some(all[38].cursor), &mut |_, _, _| ControlFlow::Continue(())).unwrap();
    assert!(files <= 2, "{files}: files that have nothing of it are not read");
}

/// Stops the machine at every single change of the disk, as power loss and as the death of the process, and goes on.
#[test]
fn a_crash_at_any_step_loses_doubles_and_reorders_nothing() {
    let mut torn = 0;
    for csv in [false, true] {
        let clean = MemoryDisk::new();
        write_all(&mut open(&clean, csv).unwrap(), csv).unwrap();
        for step in 0..clean.operations() {
            for seed in 0..6 {
                let disk = MemoryDisk::new();
                disk.halt_after(step);
                let acknowledged = open(&disk, csv).ok().and_then(|mut files| {
                    let done = write_all(&mut files, csv);
                    assert!(done.is_err());
                    files.last()
                });
                let disk = if seed == 0 { disk.kill() } else { disk.crash(seed * 1_000 + step) };
                // The start may be cut short as well.
                disk.halt_after(seed);
                let _ = open(&disk, csv);
                let disk = disk.crash(seed + 77);
                let before: usize = disk.list().unwrap().iter().map(|name| disk.contents(name).unwrap().len()).sum();
                let mut files = open(&disk, csv).unwrap();
                let after: usize = disk.list().unwrap().iter().map(|name| disk.contents(name).unwrap().len()).sum();
                torn += usize::from(after < before);
                assert!(files.last() >= acknowledged, "step {step}, seed {seed}: a durable line is gone");
                write_all(&mut files, csv).unwrap();
                let found: Vec<_> = read(&disk, csv, None).into_iter().map(|(_, line)| line).collect();
                assert_eq!(found, texts(&lines(csv)), "step {step}, seed {seed}");
            }
        }
    }
    assert!(torn > 50, "only {torn} ends were torn: the test tests nothing");
}

/// The process goes on after a failure of the disk, with nothing but what it knows to be durable.
#[test]
fn a_failed_sync_a_full_disk_and_short_writes_are_made_up_for() {
    let clean = MemoryDisk::new();
    write_all(&mut open(&clean, false).unwrap(), false).unwrap();
    for nth in 1..40 {
        let disk = MemoryDisk::new();
        disk.short_writes(100);
        let mut files = open(&disk, false).unwrap();
        if nth % 2 == 0 {
            disk.fail_sync(nth / 2)
        } else {
            disk.fill_after(nth * 700)
        }
        let failed = write_all(&mut files, false);
        let acknowledged = files.last();
        if nth < 12 {
            assert!(failed.is_err(), "{nth}");
        }
        disk.fill_after(u64::MAX);
        write_all(&mut files, false).unwrap();
        assert!(files.last() >= acknowledged);
        // What a failed sync has lost is not there after a loss of power; what was written since is.
        let disk = disk.crash(nth);
        let found: Vec<_> = read(&disk, false, None).into_iter().map(|(_, line)| line).collect();
        assert_eq!(found, texts(&lines(false)), "{nth}");
    }
}

#[test]
fn a_damaged_line_is_told_and_another_header_begins_another_file() {
    let disk = MemoryDisk::new();
    write_all(&mut open(&disk, true).unwrap(), true).unwrap();
    let names = LineReader::new(&disk, kind(true)).names().unwrap();
    let mut bytes = disk.contents(&names[2]).unwrap();
    bytes[12] = b'#';
    disk.put(&names[2], bytes);
    let error = LineReader::new(&disk, kind(true)).visit(None, &mut |_, _, _| ControlFlow::Continue(())).unwrap_err();
    let told = format!("{} is corrupt at byte 12: expected a line with a cursor as line 2", names[2]);
    assert_eq!(error.to_string(), told);

    let disk = MemoryDisk::new();
    open(&disk, true).unwrap().write(&lines(true)[..2]).unwrap();
    let other = LineKind { header: Some("cursor,text,more".to_owned()), ..kind(true) };
    let mut files = LineFiles::open(disk.clone(), other, ROTATION, Position::ZERO).unwrap();
    files.write(&lines(true)[..4]).unwrap();
    let names = LineReader::new(&disk, kind(true)).names().unwrap();
    let header =
        |name: &String| String::from_utf8(disk.contents(name).unwrap()).unwrap().lines().next().unwrap().to_owned();
    assert_eq!((&*header(&names[0]), &*header(&names[1])), ("cursor,text", "cursor,text,more"));
    assert_eq!(read(&disk, true, None).len(), 4);
}

#[test]
fn cursors_are_read_only_as_they_are_written() {
    let cursor = Cursor::new(Position(u64::MAX), 7);
    assert_eq!(cursor.to_string().parse(), Ok(cursor));
    for text in ["", "1", "1.", ".1", "01.1", "1.+1", "1.1 ", "1.4294967296"] {
        assert!(text.parse::<Cursor>().is_err(), "{text}");
    }
}
