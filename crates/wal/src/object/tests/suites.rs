//! The suites of damage and of random programs, over every kind of store; and the bugs that they find.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use milvus_base::retry::Backoff;
use milvus_storage::{FaultPlan, FaultyStore, LocalStore, ObjectStore};
use parking_lot::Mutex;
use tempfile::TempDir;

use super::{faulty, memory, merging, options, wal};
use crate::log::{LogChannel, Wal};
use crate::object::ObjectWalOptions;
use crate::planted::PlantedBug;
use crate::testing::damage::{Files, Storage, TornEnd, damage};
use crate::testing::model::{World, run};

struct Objects {
    store: Arc<dyn ObjectStore>,
    options: ObjectWalOptions,
    dir: Option<TempDir>,
}

#[async_trait]
impl Storage for Objects {
    async fn open(&self) -> Arc<dyn Wal> {
        Arc::new(wal(&self.store, self.options.clone()))
    }

    async fn load(&self) -> Files {
        let mut files = Files::new();
        for meta in self.store.list("log/").await.unwrap() {
            let bytes = self.store.get(&meta.path).await.unwrap().bytes;
            files.insert(meta.path, bytes.to_vec());
        }
        files
    }

    async fn store(&self, files: &Files) {
        if let Some(dir) = &self.dir {
            // Past the store, which would sync each.
            let _ = std::fs::remove_dir_all(dir.path().join("log"));
            for (path, bytes) in files {
                let path = dir.path().join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, bytes).unwrap();
            }
            return;
        }
        for meta in self.store.list("log/").await.unwrap() {
            self.store.delete(&meta.path).await.unwrap();
        }
        for (path, bytes) in files {
            self.store.put(path, bytes.clone().into()).await.unwrap();
        }
    }

    fn last<'a>(&self, files: &'a Files) -> &'a str {
        let batches = files.keys().filter(|path| path.ends_with(".batch"));
        batches.max().map(String::as_str).unwrap_or_default()
    }

    fn torn_end(&self) -> TornEnd {
        TornEnd::Reported
    }
}

#[tokio::test]
async fn damage_is_reported_in_memory() {
    for options in [options(), merging()] {
        damage(&Objects { store: memory(), options, dir: None }, 1).await;
    }
}

#[tokio::test]
async fn damage_is_reported_on_local_files() {
    let dir = tempfile::tempdir().unwrap();
    let store: Arc<dyn ObjectStore> = Arc::new(LocalStore::open(dir.path()).unwrap());
    damage(&Objects { store, options: options(), dir: Some(dir) }, 97).await;
}

/// Processes over one store, each of which sees it through faults of its own.
struct Processes {
    store: Arc<dyn ObjectStore>,
    options: ObjectWalOptions,
    state: Mutex<State>,
    _dir: Option<TempDir>,
}

struct State {
    seed: u64,
    disturbed: bool,
    faults: Vec<(usize, FaultyStore)>,
}

const FAULTS: FaultPlan = FaultPlan {
    error: 0.2,
    lost_reply: 0.2,
    torn_put: 0.2,
    disk_full: 0.1,
    latency: Duration::ZERO,
};

impl Processes {
    fn new(store: Arc<dyn ObjectStore>, options: ObjectWalOptions, seed: u64) -> Self {
        let retry = Backoff { attempts: 3, ..options.retry };
        let options = ObjectWalOptions { retry, give_up_after: Duration::ZERO, ..options };
        let state = State { seed, disturbed: false, faults: Vec::new() };
        Self { store, options, state: Mutex::new(state), _dir: None }
    }
}

#[async_trait]
impl World for Processes {
    async fn start(&self) -> Arc<dyn Wal> {
        let mut state = self.state.lock();
        state.seed = state.seed.wrapping_mul(31).wrapping_add(7);
        let plan = if state.disturbed { FAULTS } else { FaultPlan::default() };
        let faults = faulty(&self.store, plan, state.seed);
        let seen: Arc<dyn ObjectStore> = Arc::new(faults.clone());
        let wal: Arc<dyn Wal> = Arc::new(wal(&seen, self.options.clone()));
        state.faults.push((Arc::as_ptr(&wal).addr(), faults));
        wal
    }

    async fn crash(&self, process: Arc<dyn Wal>, channels: Vec<Arc<dyn LogChannel>>) {
        let mut state = self.state.lock();
        let address = Arc::as_ptr(&process).addr();
        for (_, faults) in state.faults.extract_if(.., |(other, _)| *other == address) {
            faults.set_plan(FaultPlan { error: 1.0, ..FaultPlan::default() });
        }
        drop(channels);
    }

    fn disturb(&self, on: bool) {
        let mut state = self.state.lock();
        state.disturbed = on;
        for (_, faults) in &state.faults {
            faults.set_plan(if on { FAULTS } else { FaultPlan::default() });
        }
    }

    fn has_many(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn random_programs_keep_every_promise_in_memory() {
    for seed in 0..400 {
        let options = if seed % 2 == 0 { options() } else { merging() };
        let world = Processes::new(memory(), options, seed);
        run(&world, seed).await.unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
    }
}

#[tokio::test]
async fn random_programs_keep_every_promise_on_local_files() {
    for seed in 0..10 {
        let dir = tempfile::tempdir().unwrap();
        let store: Arc<dyn ObjectStore> = Arc::new(LocalStore::open(dir.path()).unwrap());
        let world = Processes { _dir: Some(dir), ..Processes::new(store, merging(), seed) };
        run(&world, seed).await.unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
    }
}

/// How many of 40 programs break a promise with `planted_bug`, and how the first does.
async fn found(planted_bug: PlantedBug) -> (usize, String) {
    let mut broken = Vec::new();
    for seed in 0..40 {
        let world = Processes::new(memory(), ObjectWalOptions { planted_bug, ..options() }, seed);
        broken.extend(run(&world, seed).await.err());
    }
    (broken.len(), broken.into_iter().next().unwrap_or_default())
}

#[tokio::test]
async fn random_programs_find_the_planted_bugs() {
    let (count, first) = found(PlantedBug::AcknowledgeUnwritten { one_in: 5 }).await;
    assert!(count > 30 && first.contains("was acknowledged at"), "{count}: {first}");
    let (count, first) = found(PlantedBug::RenameOnTimeout).await;
    assert!(count > 10, "{count}: {first}");
    let (count, first) = found(PlantedBug::None).await;
    assert_eq!(count, 0, "{first}");
}
