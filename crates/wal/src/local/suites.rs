//! The suites of damage and of random programs over the local log; and the bugs that they find.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use parking_lot::Mutex;
use tempfile::TempDir;

use super::{LocalWal, LocalWalOptions};
use crate::error::OpenError;
use crate::log::{LogChannel, Wal};
use crate::planted::PlantedBug;
use crate::testing::damage::{Files, Storage, TornEnd, damage};
use crate::testing::model::{World, run};

/// A directory, and the options that processes open it with.
struct Directory {
    dir: TempDir,
    options: LocalWalOptions,
    /// What was there when the process started: all that is left if it never synced and power is lost.
    before: Mutex<Files>,
    /// Whether a crash is one of the machine.
    loses_power: bool,
    /// The process that runs.
    running: Mutex<Weak<LocalWal>>,
}

impl Directory {
    fn new(options: LocalWalOptions) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            dir,
            options,
            before: Mutex::default(),
            loses_power: false,
            running: Mutex::default(),
        }
    }

    /// Opens the log; handles dropped unclosed may hold the directory for another moment.
    async fn open_log(&self) -> Arc<LocalWal> {
        loop {
            match LocalWal::open(self.dir.path(), self.options).await {
                Ok(wal) => return Arc::new(wal),
                Err(OpenError::InUse { .. }) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn load_files(&self) -> Files {
        let mut files = Files::new();
        collect(self.dir.path(), "", &mut files);
        files
    }

    fn store_files(&self, files: &Files) {
        for entry in fs::read_dir(self.dir.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                fs::remove_dir_all(path).unwrap();
            }
        }
        for (name, bytes) in files {
            let path = self.dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
}

/// The log files under `dir`, by their path in it.
fn collect(dir: &Path, prefix: &str, files: &mut Files) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().into_string().unwrap());
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{name}/"), files);
        } else if name != "LOCK" {
            files.insert(name, fs::read(entry.path()).unwrap());
        }
    }
}

#[async_trait]
impl Storage for Directory {
    async fn open(&self) -> Arc<dyn Wal> {
        self.open_log().await
    }

    async fn load(&self) -> Files {
        self.load_files()
    }

    async fn store(&self, files: &Files) {
        // The process before has gone once the directory can be opened.
        drop(self.open_log().await);
        self.store_files(files);
    }

    fn last<'a>(&self, files: &'a Files) -> &'a str {
        let logs = files.keys().filter(|name| name.ends_with(".log"));
        logs.max().map(String::as_str).unwrap_or_default()
    }

    fn torn_end(&self) -> TornEnd {
        TornEnd::CutOff
    }
}

#[async_trait]
impl World for Directory {
    async fn start(&self) -> Arc<dyn Wal> {
        let wal = self.open_log().await;
        *self.before.lock() = self.load_files();
        *self.running.lock() = Arc::downgrade(&wal);
        wal
    }

    async fn crash(&self, process: Arc<dyn Wal>, channels: Vec<Arc<dyn LogChannel>>) {
        let syncs: u64 = channels.iter().map(|channel| channel.stats().syncs).sum();
        drop((process, channels));
        drop(self.open_log().await);
        if self.loses_power && syncs == 0 {
            let before = self.before.lock().clone();
            self.store_files(&before);
        }
    }

    /// Syncs of the channels that are open fail, or no longer.
    fn disturb(&self, on: bool) {
        let Some(wal) = self.running.lock().upgrade() else {
            return;
        };
        for slot in wal.channels.lock().values() {
            let owner = slot.try_lock().ok().and_then(|slot| slot.owner.upgrade());
            if let Some(owner) = owner {
                owner.broken_disk.store(on, Ordering::Relaxed);
            }
        }
    }

    fn has_many(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn damage_is_reported_or_cut_off_the_end() {
    for segment_bytes in [64 << 20, 200] {
        let options = LocalWalOptions { segment_bytes, ..LocalWalOptions::default() };
        damage(&Directory::new(options), 3).await;
    }
}

/// How many of `programs` break a promise with `planted_bug`, and how the first does.
async fn found(programs: u64, planted_bug: PlantedBug) -> (usize, String) {
    let mut broken = Vec::new();
    for seed in 0..programs {
        let segment_bytes = if seed % 2 == 0 { 64 << 20 } else { 1000 };
        let options = LocalWalOptions { segment_bytes, planted_bug, ..LocalWalOptions::default() };
        let world = Directory { loses_power: true, ..Directory::new(options) };
        let outcome = run(&world, seed).await;
        broken.extend(outcome.err().map(|broken| format!("seed {seed}: {broken}")));
    }
    (broken.len(), broken.into_iter().next().unwrap_or_default())
}

#[tokio::test]
async fn random_programs_keep_every_promise() {
    let (count, first) = found(60, PlantedBug::None).await;
    assert_eq!(count, 0, "{first}");
}

#[tokio::test]
async fn random_programs_find_the_planted_bugs() {
    for bug in [PlantedBug::AcknowledgeUnwritten { one_in: 5 }, PlantedBug::SkipSync] {
        let (count, first) = found(10, bug).await;
        assert!(count > 7, "{bug:?} was found {count} times: {first}");
    }
}
