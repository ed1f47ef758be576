//! The local log against its promises, against damaged bytes, and against its planted bugs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use tempfile::TempDir;

use super::format::{FILE_HEADER, FileHeader, Kind, RecordHeader, padding};
use super::{LocalWal, LocalWalOptions, name};
use crate::error::{AppendError, OpenError, ReadError};
use crate::log::{Position, Record, Wal, read_all};
use crate::planted::PlantedBug;

const CHANNEL: &str = "by-dev-rootcoord-dml_0";

fn options(segment_bytes: u64) -> LocalWalOptions {
    LocalWalOptions { segment_bytes, ..LocalWalOptions::default() }
}

/// Opens the log in `dir`; handles dropped unclosed may hold the directory for another moment.
async fn open(dir: &Path, segment_bytes: u64) -> Arc<dyn Wal> {
    loop {
        match LocalWal::open(dir, options(segment_bytes)).await {
            Ok(wal) => return Arc::new(wal),
            Err(OpenError::InUse { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

/// Files of a channel by name.
type Files = BTreeMap<String, Vec<u8>>;

/// A log of `records` records of growing size, each its own batch, closed after each `restart_every`.
async fn make(segment_bytes: u64, records: usize, restart_every: usize) -> (Files, Vec<Record>) {
    let dir = tempfile::tempdir().unwrap();
    let mut written = Vec::new();
    for (term, from) in (1..).zip((0..records).step_by(restart_every)) {
        let wal = open(dir.path(), segment_bytes).await;
        let channel = wal.open(CHANNEL, term).await.unwrap();
        for i in from..records.min(from + restart_every) {
            let payload = Bytes::from(format!("record {i} ").repeat(i % 4));
            let place = channel.append(vec![payload.clone()]).await.unwrap();
            written.push(Record { position: place.position, next: place.next, payload });
        }
        channel.close().await;
    }
    (load_files(&dir.path().join(CHANNEL)), written)
}

fn load_files(dir: &Path) -> Files {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect()
}

fn store_files(dir: &TempDir, files: &Files) {
    let channel = dir.path().join(CHANNEL);
    let _ = fs::remove_dir_all(&channel);
    fs::create_dir_all(&channel).unwrap();
    for (name, bytes) in files {
        fs::write(channel.join(name), bytes).unwrap();
    }
}

/// What a process that starts on `files` finds: the records before the first error, and the error.
async fn find(dir: &TempDir, files: &Files) -> (Vec<Record>, Option<String>) {
    store_files(dir, files);
    let wal = open(dir.path(), 64 << 20).await;
    let channel = match wal.open(CHANNEL, 1_000).await {
        Ok(channel) => channel,
        Err(error) => return (Vec::new(), Some(error.to_string())),
    };
    let mut found = Vec::new();
    for record in channel.read(channel.trim_point()) {
        match record {
            Ok(record) => found.push(record),
            Err(error) => return (found, Some(error.to_string())),
        }
    }
    (found, None)
}

#[tokio::test]
async fn keeps_every_promise() {
    for segment_bytes in [64 << 20, 4096] {
        let dir = tempfile::tempdir().unwrap();
        crate::testing::conformance(async || open(dir.path(), segment_bytes).await).await;
    }
}

#[tokio::test]
async fn truncation_deletes_files_and_begins_a_new_one_when_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let wal = open(dir.path(), 1024).await;
    let channel = wal.open(CHANNEL, 1).await.unwrap();
    let mut last = None;
    for _ in 0..20 {
        last = Some(channel.append(vec![Bytes::from(vec![7; 300])]).await.unwrap());
    }
    let is_log = |name: &String| name.ends_with(".log");
    let files = || load_files(&dir.path().join(CHANNEL)).keys().filter(|n| is_log(n)).count();
    assert!(files() > 5);
    channel.truncate(last.unwrap().next).await.unwrap();
    assert_eq!(files(), 1);
    channel.append(vec![Bytes::from_static(b"after")]).await.unwrap();
    channel.truncate(channel.end()).await.unwrap();
    assert_eq!(files(), 1);
    let found = read_all(&*channel, channel.trim_point()).await.unwrap();
    assert_eq!(found.len(), 1);
}

#[test]
fn cut_at_any_byte_the_log_is_a_prefix() {
    runtime().block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let (files, written) = make(64 << 20, 8, 3).await;
        let (name, bytes) = files.first_key_value().unwrap();
        for cut in 0..bytes.len() {
            let cut_off = Files::from([(name.clone(), bytes[..cut].to_vec())]);
            let (found, error) = find(&dir, &cut_off).await;
            assert_eq!(error, None, "cut at {cut}");
            let whole = |record: &&Record| FILE_HEADER as u64 + record.next.0 <= cut as u64;
            assert_eq!(found, written.iter().filter(whole).cloned().collect::<Vec<_>>());
        }
    });
}

#[test]
fn no_flipped_bit_loses_or_changes_an_acknowledged_record_unnoticed() {
    runtime().block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let (files, written) = make(200, 7, 7).await;
        assert!(files.len() >= 2, "several files are to be damaged");
        let (mut intact, mut noticed) = (0, 0);
        for (name, bytes) in &files {
            for bit in 0..bytes.len() * 8 {
                let mut flipped = files.clone();
                flipped.get_mut(name).unwrap()[bit / 8] ^= 1 << (bit % 8);
                let (found, error) = find(&dir, &flipped).await;
                if error.is_none() {
                    assert_eq!(found, written, "bit {bit} of {name}");
                    intact += 1;
                } else {
                    assert_eq!(found, written[..found.len()], "bit {bit} of {name}");
                    noticed += 1;
                }
            }
        }
        // Only the last mark may be damaged without harm.
        assert_eq!(intact, 40 * 8);
        assert!(noticed > 1000);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn no_moved_or_repeated_block_is_taken_for_a_record(
        block in prop::sample::select(vec![8usize, 64, 104]),
        from: prop::sample::Index, to: prop::sample::Index, swap: bool,
    ) {
        runtime().block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let (files, written) = make(64 << 20, 8, 8).await;
            let (name, bytes) = files.first_key_value().unwrap();
            let last = bytes.len() - block;
            let (from, to) = (from.index(last / 8) * 8, to.index(last / 8) * 8);
            let mut moved = bytes.clone();
            moved[to..to + block].copy_from_slice(&bytes[from..from + block]);
            if swap && from.abs_diff(to) >= block {
                moved[from..from + block].copy_from_slice(&bytes[to..to + block]);
            }
            let (found, error) = find(&dir, &Files::from([(name.clone(), moved)])).await;
            assert_eq!(found, written[..found.len()]);
            // Records lost together with everything behind them look like a write that was cut
            // short; one that is followed by a sound record or mark is never given up silently.
            let hit = |start: usize, end: usize| {
                let touches = |at: usize| at < end && start < at + block;
                touches(to) || (swap && touches(from))
            };
            let mut lost = written[found.len()..].iter().map(|record| {
                let [start, end] = [record.position, record.next].map(|p| usize::try_from(p.0).unwrap() + FILE_HEADER);
                hit(start, end)
            });
            let end_lost = hit(bytes.len() - 40, bytes.len()) && lost.all(|lost| lost);
            assert!(error.is_some() || found.len() == written.len() || end_lost);
        });
    }

    #[test]
    fn any_bytes_at_all_are_no_panic(bytes: Vec<u8>, behind_header: bool) {
        runtime().block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let mut file = Vec::new();
            if behind_header {
                file.extend(FileHeader::new(CHANNEL, 0, 1).encode());
            }
            file.extend(bytes);
            let (found, _) = find(&dir, &Files::from([(format!("{:020}.log", 0), file)])).await;
            assert_eq!(found, []);
        });
    }
}

/// One batch of three records as it lies in a file.
fn batch_of_three() -> (Vec<u8>, [usize; 3]) {
    let mut bytes = FileHeader::new(CHANNEL, 0, 1).encode();
    let mut starts = [0; 3];
    for start in &mut starts {
        *start = bytes.len();
        let position = (bytes.len() - FILE_HEADER) as u64;
        let header = RecordHeader { position, durable: 0, term: 1, length: 9, kind: Kind::Data };
        bytes.extend(header.encode(&[Bytes::from_static(b"nine byte")]));
        bytes.extend(b"nine byte");
        bytes.extend(padding(9));
    }
    (bytes, starts)
}

#[tokio::test]
async fn a_hole_in_a_batch_that_was_never_synced_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let (mut bytes, [_, second, third]) = batch_of_three();
    bytes[second..third].fill(0);
    let name = format!("{:020}.log", 0);
    let (found, error) = find(&dir, &Files::from([(name.clone(), bytes)])).await;
    assert_eq!((found.len(), error), (1, None));
    assert_eq!(load_files(&dir.path().join(CHANNEL))[&name].len(), second);
}

#[tokio::test]
async fn lost_files_are_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let (files, written) = make(200, 12, 12).await;
    let names: Vec<&String> = files.keys().filter(|name| name.ends_with(".log")).collect();
    assert!(names.len() > 3);
    let mut holed = files.clone();
    holed.remove(names[1]);
    assert!(find(&dir, &holed).await.1.unwrap().contains("is damaged"));
    let mut beheaded = files.clone();
    beheaded.remove(names[0]);
    assert!(find(&dir, &beheaded).await.1.unwrap().contains("the log begins with it"));
    let mut short = files.clone();
    short.get_mut(names[0]).unwrap().truncate(60);
    assert!(find(&dir, &short).await.1.unwrap().contains(names[0]));
    let mut begun = files.clone();
    let end = written.last().unwrap().next.0 + 40;
    begun.insert(format!("{end:020}.log"), vec![0; 500]);
    let (found, error) = find(&dir, &begun).await;
    assert_eq!((found, error), (written, None));
    let mut foreign = files.clone();
    let header = FileHeader::new("another", 0, 1).encode();
    foreign.get_mut(names[0]).unwrap()[..header.len()].copy_from_slice(&header);
    assert!(find(&dir, &foreign).await.1.unwrap().contains("another channel"));
}

#[tokio::test]
async fn a_newer_format_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut header = FileHeader::new(CHANNEL, 0, 1).encode();
    header[8] = 2;
    let error = find(&dir, &Files::from([(format!("{:020}.log", 0), header)])).await.1.unwrap();
    assert!(error.ends_with("has format 2, this program reads up to 1"), "{error}");
}

#[tokio::test]
async fn a_position_inside_a_record_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let wal = open(dir.path(), 1 << 20).await;
    let channel = wal.open(CHANNEL, 1).await.unwrap();
    channel.append(vec![Bytes::from(vec![1; 100])]).await.unwrap();
    let error = read_all(&*channel, Position(8)).await.unwrap_err();
    assert!(matches!(error, ReadError::Damaged(_)), "{error}");
}

#[tokio::test]
async fn a_directory_has_one_process_and_empty_channels_no_files() {
    let dir = tempfile::tempdir().unwrap();
    let wal = open(dir.path(), 1 << 20).await;
    let second = LocalWal::open(dir.path(), options(1 << 20)).await.err().unwrap();
    assert!(matches!(second, OpenError::InUse { .. }), "{second}");
    let channel = wal.open(CHANNEL, 1).await.unwrap();
    assert!(!dir.path().join(CHANNEL).try_exists().unwrap());
    drop(wal);
    let second = LocalWal::open(dir.path(), options(1 << 20)).await;
    assert!(second.is_err(), "an open channel still holds the directory");
    drop((channel, second));
    open(dir.path(), 1 << 20).await;
}

#[tokio::test]
async fn limits_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let options =
        LocalWalOptions { max_record_bytes: 1000, max_queued_bytes: 2500, ..options(1 << 20) };
    let wal = LocalWal::open(dir.path(), options).await.unwrap();
    let channel = wal.open(CHANNEL, 1).await.unwrap();
    let large = channel.append(vec![Bytes::from(vec![0; 600]), Bytes::from(vec![0; 401])]).await;
    assert!(matches!(large, Err(AppendError::TooLarge { got: 1001, limit: 1000, .. })));
    let futures: Vec<_> =
        (0..1000).map(|_| channel.append(vec![Bytes::from(vec![0; 1000])])).collect();
    let mut refused = 0;
    for future in futures {
        match future.await {
            Ok(_) => {}
            Err(AppendError::QueueFull { limit: 2500, .. }) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    let found = read_all(&*channel, Position::START).await.unwrap();
    assert_eq!(found.len() + refused, 1000);
}

#[tokio::test]
async fn appends_that_come_together_share_a_sync() {
    let dir = tempfile::tempdir().unwrap();
    let wal = open(dir.path(), 64 << 20).await;
    let channel = wal.open(CHANNEL, 1).await.unwrap();
    let futures: Vec<_> =
        (0..2000).map(|_| channel.append(vec![Bytes::from_static(b"row")])).collect();
    for future in futures {
        future.await.unwrap();
    }
    let stats = channel.stats();
    assert_eq!(stats.records, 2000);
    assert!(stats.syncs >= 1 && stats.syncs < 1000, "{stats:?}");
    channel.append(vec![]).await.unwrap();
    assert_eq!(channel.stats().syncs, stats.syncs + 1);
}

#[tokio::test]
async fn planted_bugs_break_the_promise_that_they_are_to_break() {
    let dir = tempfile::tempdir().unwrap();
    let bug = PlantedBug::AcknowledgeUnwritten { one_in: 3 };
    let wal =
        LocalWal::open(dir.path(), LocalWalOptions { planted_bug: bug, ..Default::default() });
    let channel = wal.await.unwrap().open(CHANNEL, 1).await.unwrap();
    for i in 0..9u8 {
        channel.append(vec![Bytes::from(vec![i])]).await.unwrap();
    }
    let found = read_all(&*channel, Position::START).await.unwrap();
    assert_eq!(found.iter().map(|r| r.payload[0]).collect::<Vec<_>>(), [0, 1, 3, 4, 6, 7]);

    let dir = tempfile::tempdir().unwrap();
    let bug = PlantedBug::SkipSync;
    let wal =
        LocalWal::open(dir.path(), LocalWalOptions { planted_bug: bug, ..Default::default() });
    let channel = wal.await.unwrap().open(CHANNEL, 1).await.unwrap();
    channel.append(vec![Bytes::from_static(b"row")]).await.unwrap();
    assert_eq!((channel.stats().records, channel.stats().syncs), (1, 0));
}

#[tokio::test]
async fn a_full_disk_fails_an_append_and_not_the_channel() {
    let dir = tempfile::tempdir().unwrap();
    let wal = open(dir.path(), 1 << 20).await;
    let channel = wal.open(CHANNEL, 1).await.unwrap();
    // A file where the directory should be stands for a disk that accepts nothing.
    fs::write(dir.path().join(CHANNEL), b"in the way").unwrap();
    let refused = channel.append(vec![Bytes::from_static(b"lost")]).await;
    assert!(matches!(refused, Err(AppendError::Io(_))), "{refused:?}");
    fs::remove_file(dir.path().join(CHANNEL)).unwrap();
    channel.append(vec![Bytes::from_static(b"kept")]).await.unwrap();
    let found = read_all(&*channel, Position::START).await.unwrap();
    assert_eq!(found.iter().map(|r| &*r.payload).collect::<Vec<_>>(), [b"kept"]);
}

#[tokio::test]
async fn a_sync_that_fails_fails_its_batch_and_the_channel_goes_on_when_the_disk_does() {
    for appended_before in [0, 2] {
        let dir = tempfile::tempdir().unwrap();
        let wal = LocalWal::open(dir.path(), options(1 << 20)).await.unwrap();
        let channel = Wal::open(&wal, CHANNEL, 1).await.unwrap();
        let mut want = Vec::new();
        for i in 0..appended_before {
            want.push(Bytes::from(vec![i; 100]));
            channel.append(vec![want.last().unwrap().clone()]).await.unwrap();
        }
        let shared = wal.slot(CHANNEL).lock().await.owner.upgrade().unwrap();
        let broken = |on| shared.broken_disk.store(on, std::sync::atomic::Ordering::Relaxed);
        broken(true);
        for _ in 0..3 {
            let failed = channel.append(vec![Bytes::from_static(b"lost")]).await.unwrap_err();
            assert!(matches!(failed, AppendError::Io(_)), "{failed}");
            assert!(failed.to_string().contains(CHANNEL), "{failed}");
        }
        broken(false);
        for i in 10..13 {
            want.push(Bytes::from(vec![i; 100]));
            channel.append(vec![want.last().unwrap().clone()]).await.unwrap();
        }
        let payloads = |records: Vec<Record>| -> Vec<Bytes> {
            records.into_iter().map(|record| record.payload).collect()
        };
        assert_eq!(payloads(read_all(&*channel, Position::START).await.unwrap()), want);
        drop((channel, shared, wal));
        let wal = open(dir.path(), 1 << 20).await;
        let channel = wal.open(CHANNEL, 2).await.unwrap();
        assert_eq!(payloads(read_all(&*channel, Position::START).await.unwrap()), want);
    }
}

/// Found by the model: the mark behind the last durable record is cut off too, and what is written next
/// goes in its place.
#[tokio::test]
async fn after_a_failed_sync_records_lie_where_they_say() {
    let dir = tempfile::tempdir().unwrap();
    let wal = LocalWal::open(dir.path(), options(1 << 20)).await.unwrap();
    let channel = Wal::open(&wal, CHANNEL, 1).await.unwrap();
    channel.append(vec![Bytes::from_static(b"one")]).await.unwrap();
    let shared = wal.slot(CHANNEL).lock().await.owner.upgrade().unwrap();
    shared.quiesce().await;
    shared.broken_disk.store(true, std::sync::atomic::Ordering::Relaxed);
    channel.append(vec![Bytes::from_static(b"lost")]).await.unwrap_err();
    shared.broken_disk.store(false, std::sync::atomic::Ordering::Relaxed);
    let two = channel.append(vec![Bytes::from_static(b"two")]).await.unwrap();
    let found = read_all(&*channel, Position::START).await.unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!((found[1].position, found[1].next), (two.position, two.next));
}

#[tokio::test]
async fn a_log_from_before_beginnings_were_marked_opens_and_is_marked() {
    let dir = tempfile::tempdir().unwrap();
    let (mut files, written) = make(200, 12, 12).await;
    files.retain(|name, _| name.ends_with(".log"));
    let first = files.pop_first().unwrap().0;
    let (found, error) = find(&dir, &files).await;
    assert_eq!(error, None);
    assert!(written.ends_with(&found) && found.len() < written.len());
    let second = files.keys().next().unwrap().replace(".log", ".trim");
    assert!(load_files(&dir.path().join(CHANNEL)).contains_key(&second), "{first} {second}");
}

/// Format 1 is what this file says, for as long as logs of format 1 exist.
#[tokio::test]
async fn the_golden_file_of_format_1_reads_and_is_still_what_is_written() {
    let golden = Path::new("tests/golden/v1/channel.log");
    let (files, written) = make(64 << 20, 5, 1).await;
    let (name, bytes) = files.first_key_value().unwrap();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(golden, bytes).unwrap();
    }
    let golden = fs::read(golden).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (found, error) = find(&dir, &Files::from([(name.clone(), golden.clone())])).await;
    assert_eq!((found, error), (written, None));
    assert_eq!(*bytes, golden);
    assert_eq!(name::segment_base(name), Some(0));
}
