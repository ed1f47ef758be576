//! Objects that are not files, and a store that fails now and then: what could not be read is not
//! called damaged, and nothing that was not damaged is taken away.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use milvus_base::Clock;
use milvus_check::{LogSource, Overlay, RepairOptions, Severity, Target, check, repair};
use milvus_meta::{EmbeddedKv, Kv, MemoryKv, Op, Transaction};
use milvus_storage::{FaultPlan, FaultyStore, LocalStore, MemoryStore, ObjectStore, conformance};
use milvus_wal::{LocalWal, LocalWalOptions};

use crate::fixture::{Image, image};

/// The objects and the catalogue of `image` in memory.
async fn bucket(image: &Image) -> (Arc<MemoryStore>, Target) {
    let store = Arc::new(MemoryStore::new());
    for (path, bytes) in &image.0 {
        if let Some(path) = path.strip_prefix("objects/") {
            store.put(path, bytes.clone().into()).await.unwrap();
        }
    }
    let dir = image.lay();
    let embedded = EmbeddedKv::open(dir.path().join("meta.redb")).await.unwrap();
    let put = |(key, value)| Op::Put { key, value };
    let ops = embedded.range("").await.unwrap().into_iter().map(put).collect();
    let kv = MemoryKv::new();
    kv.commit(Transaction { compares: vec![], ops }).await.unwrap();
    let kv: Arc<dyn Kv> = Arc::new(kv);
    let target = Target {
        store: store.clone(),
        kv: Ok(kv),
        kv_name: "the catalogue".into(),
        log: LogSource::None,
        may_be_in_use: true,
        placement: None,
    };
    (store, target)
}

async fn objects(store: &MemoryStore) -> BTreeMap<String, Vec<u8>> {
    let mut objects = BTreeMap::new();
    for meta in store.list("").await.unwrap() {
        let object = store.get(&meta.path).await.unwrap();
        objects.insert(meta.path, object.bytes.to_vec());
    }
    objects
}

fn faulty(store: &Arc<MemoryStore>, plan: FaultPlan, seed: u64) -> Arc<FaultyStore> {
    Arc::new(FaultyStore::new(store.clone(), plan, seed, Clock::manual()))
}

#[tokio::test]
async fn a_bucket_is_checked_and_repaired_like_a_directory() {
    let mut image = image().await;
    let path = image.segment_files()[0].clone();
    image.object(&path)[50] ^= 1;
    let in_directory = image.check().await;
    let (store, target) = bucket(&image).await;
    let report = check(&target, &Default::default()).await.unwrap();
    assert_eq!(report.findings, in_directory.findings);
    let done = repair(&target, &RepairOptions::default()).await.unwrap();
    assert_eq!(done.exit_code(), 0, "{done}");
    assert!(store.get(&path).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_failure_to_read_is_never_taken_for_damage() {
    let (store, target) = bucket(&image().await).await;
    let (mut unreadable, mut refused) = (0, 0);
    for seed in 0..40 {
        let plan = FaultPlan { error: 0.05, ..FaultPlan::default() };
        let target = Target { store: faulty(&store, plan, seed), ..target.clone() };
        match check(&target, &Default::default()).await {
            Ok(report) => {
                unreadable += report.count(Severity::Unreadable);
                assert_eq!(report.count(Severity::Damage), 0, "seed {seed}:\n{report}");
                assert_eq!(report.count(Severity::Missing), 0, "seed {seed}:\n{report}");
                assert_eq!(report.actions(), [], "seed {seed}");
                let is_unsure = report.count(Severity::Unreadable) > 0;
                assert_eq!(report.exit_code() == 1, is_unsure);
            }
            Err(_) => refused += 1,
        }
    }
    assert!(unreadable > 0 && refused > 0, "{unreadable} unreadable, {refused} refused");
}

#[tokio::test]
async fn a_repair_over_a_failing_store_loses_nothing_and_is_finished_when_it_works_again() {
    let mut damaged = image().await;
    let files = damaged.segment_files();
    damaged.object(&files[0])[50] ^= 1;
    let index = files.iter().find(|path| path.ends_with(".vidx")).unwrap();
    damaged.object(index)[90] ^= 1;
    let mut failed = 0;
    for seed in 0..40 {
        let (store, target) = bucket(&damaged).await;
        let before = objects(&store).await;
        let plan = FaultPlan {
            error: 0.01,
            lost_reply: 0.02,
            torn_put: 0.02,
            disk_full: 0.5,
            latency: Duration::ZERO,
        };
        let over_faults = Target { store: faulty(&store, plan, seed), ..target.clone() };
        let outcome = repair(&over_faults, &RepairOptions::default()).await;
        failed += usize::from(outcome.is_err());
        let done = repair(&target, &RepairOptions::default()).await.unwrap();
        assert_eq!(done.exit_code(), 0, "seed {seed}: {done}");
        let segments = done.after.as_ref().unwrap().counts.segments;
        assert_eq!(segments, 2, "seed {seed}: a sound segment was taken away: {done}");
        let after = objects(&store).await;
        for (path, bytes) in before {
            let kept = after.get(&path) == Some(&bytes) || after.values().any(|it| *it == bytes);
            assert!(kept, "seed {seed}: {path} is lost");
        }
    }
    assert!(failed > 0, "no repair met a fault");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overlay_keeps_the_contract_of_stores() {
    conformance::all(Arc::new(Overlay::new(Arc::new(MemoryStore::new())))).await;
    let dir = tempfile::tempdir().unwrap();
    let below = LocalStore::open(dir.path()).unwrap();
    conformance::all(Arc::new(Overlay::new(Arc::new(below)))).await;
}

#[tokio::test]
async fn an_overlay_leaves_what_is_below_as_it_is() {
    let (store, _) = bucket(&image().await).await;
    let before = objects(&store).await;
    let overlay = Overlay::new(store.clone());
    let paths: Vec<_> = before.keys().cloned().collect();
    let seen = overlay.get(&paths[0]).await.unwrap();
    assert_eq!(seen.bytes, before[&paths[0]]);
    let tag = &seen.meta.etag;
    overlay.put_if_match(&paths[0], vec![1].into(), tag).await.unwrap();
    assert!(overlay.put_if_match(&paths[0], vec![2].into(), tag).await.unwrap_err().is_conflict());
    assert!(overlay.put_if_absent(&paths[1], vec![1].into()).await.unwrap_err().is_conflict());
    overlay.delete(&paths[1]).await.unwrap();
    overlay.put_if_absent(&paths[1], vec![3].into()).await.unwrap();
    overlay.delete(&paths[2]).await.unwrap();
    assert!(overlay.get(&paths[2]).await.unwrap_err().is_not_found());
    overlay.put("new", vec![4].into()).await.unwrap();
    assert_eq!(overlay.list("").await.unwrap().len(), before.len());
    assert_eq!(overlay.get(&paths[0]).await.unwrap().bytes, vec![1]);
    assert_eq!(overlay.get(&paths[1]).await.unwrap().bytes, vec![3]);
    assert!(objects(&store).await == before);
}

/// A log that is opened elsewhere is read as one in files is.
#[tokio::test]
async fn a_log_that_was_opened_for_it_is_read_record_by_record() {
    let mut image = image().await;
    let log = |image: &Image| {
        let files = image.0.iter().filter(|(path, _)| path.starts_with("log/"));
        Image(files.map(|(path, bytes)| (path.clone(), bytes.clone())).collect()).lay()
    };
    let view = async |dir: &tempfile::TempDir| {
        let wal = LocalWal::open(dir.path().join("log"), LocalWalOptions::default()).await;
        LogSource::View(Arc::new(wal.unwrap()))
    };
    let (_, target) = bucket(&image).await;
    let dir = log(&image);
    let whole = Target { log: view(&dir).await, ..target.clone() };
    let report = check(&whole, &Default::default()).await.unwrap();
    assert_eq!(report.findings, []);
    assert_eq!((report.counts.channels, report.counts.records), (1, 12));
    let first = image.0.keys().find(|path| path.ends_with(".log")).unwrap().clone();
    image.0.get_mut(&first).unwrap()[300] ^= 1;
    let dir = log(&image);
    let damaged = Target { log: view(&dir).await, ..target };
    let report = check(&damaged, &Default::default()).await.unwrap();
    let [finding] = &report.findings[..] else { panic!("{report}") };
    assert_eq!(finding.severity, Severity::Damage);
    assert!(finding.object.ends_with(&first) && finding.byte.is_some(), "{finding}");
    assert_eq!(finding.concerns.vchannels.len(), 2);
}
