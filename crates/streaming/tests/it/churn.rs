//! The worker, unasked: whatever is written, what is kept stays in bounds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use milvus_base::{Clock, clock};
use milvus_coord::CompactionOptions;
use milvus_format::manifest::SegmentLevel;
use milvus_roles::{
    CollectionChange, CompactionJob, CompactionKind, CompactionPlanState, DataCoord, FetchRequest,
    PropertyChange, RootCoord, RowLocation, Streaming,
};
use milvus_types::KeyValue;

use crate::world::{Home, World, by_hand};

const ROWS: i64 = 400;

fn at_once() -> CompactionOptions {
    CompactionOptions {
        is_automatic: true,
        file_grace: Duration::ZERO,
        max_hold: Duration::ZERO,
        max_delete_files: 4,
        ..by_hand()
    }
}

/// Waits until there is nothing left that is worth compacting.
async fn settled(world: &World) {
    let mut seen = world.coord.data_stats().compactions;
    loop {
        clock::sleep(Duration::from_millis(50)).await;
        let now = world.coord.data_stats().compactions;
        if now == seen {
            return;
        }
        seen = now;
    }
}

async fn ended(world: &World, id: i64) -> CompactionJob {
    loop {
        let job = world.coord.compaction_job(id).await.unwrap();
        if job.is_done() {
            return job;
        }
        clock::sleep(Duration::from_millis(5)).await;
    }
}

/// Three segments, and a delete.
async fn three_segments(world: &World) {
    for part in 0..3 {
        let rows: Vec<_> = (0..100).map(|n| (part * 100 + n, n)).collect();
        world.upsert(&rows).await;
        world.flush().await;
    }
    world.delete(&[7]).await;
}

#[tokio::test]
async fn a_compaction_by_hand_outlives_a_crash_and_whoever_waits_for_it_sees_its_end() {
    let home = Home::new();
    // Its deletes are not old enough before the crash.
    let patient = CompactionOptions { manual_retention: Duration::from_secs(3600), ..by_hand() };
    let world = home.start(patient).await;
    three_segments(&world).await;
    let asked = world.coord.compact(world.asked(CompactionKind::Merge)).await.unwrap();
    let before = world.coord.compaction_job(asked.id).await.unwrap();
    assert!(!before.is_done() && before.plans.len() == 1);
    world.crash().await;
    let clock = Clock::manual_at(clock::now_ms());
    let world = home.start(CompactionOptions { clock: clock.clone(), ..by_hand() }).await;
    assert_eq!(world.coord.compaction_job(asked.id).await.unwrap(), before, "known, and waiting");
    assert_eq!(world.manifest().await.segments.len(), 3);
    // More than what the policy waits for: it may look at the time between.
    let done = loop {
        clock.advance(Duration::from_secs(3600));
        clock::sleep(Duration::from_millis(5)).await;
        let job = world.coord.compaction_job(asked.id).await.unwrap();
        if job.is_done() {
            break job;
        }
    };
    let manifest = world.manifest().await;
    assert_eq!(manifest.segments.len(), 1);
    assert_eq!(done.count(CompactionPlanState::Completed), 1);
    assert_eq!(done.plans[0].targets, [manifest.segments[0].id]);
    assert_eq!(manifest.segments[0].rows, 299, "what it was asked to purge is purged");
    world.crash().await;
    let world = home.start(by_hand()).await;
    let after = world.coord.compaction_job(asked.id).await.unwrap();
    assert_eq!(after, done, "how it went is known after another crash");
    assert_eq!(world.count().await, 299);
}

#[tokio::test]
async fn outputs_that_could_not_take_their_place_leave_no_file() {
    let home = Home::new();
    let clock = Clock::manual_at(clock::now_ms() + 1000);
    let world = home.start(CompactionOptions { clock: clock.clone(), ..by_hand() }).await;
    three_segments(&world).await;
    world.flush().await;
    world.gate.refuses.store(true, Ordering::Relaxed);
    let asked = world.coord.compact(world.asked(CompactionKind::Merge)).await.unwrap();
    let job = loop {
        clock.advance(Duration::from_secs(1));
        clock::sleep(Duration::from_millis(5)).await;
        let job = world.coord.compaction_job(asked.id).await.unwrap();
        if job.is_done() {
            break job;
        }
    };
    assert_eq!(job.count(CompactionPlanState::Failed), 1);
    let manifest = world.manifest().await;
    let named: BTreeSet<String> = manifest.files().map(|file| file.path.clone()).collect();
    assert_eq!(home.files().await.into_iter().collect::<BTreeSet<_>>(), named);
    assert_eq!(world.coord.data_stats().unnamed_bytes, 0);
    assert_eq!(world.count().await, 299);
}

#[tokio::test]
async fn space_amplification_counts_what_waits_for_removal() {
    let home = Home::new();
    let world = home.start(by_hand()).await;
    assert!((world.coord.data_stats().space_amplification() - 1.0).abs() < 1e-9);
    three_segments(&world).await;
    world.flush().await;
    let before = world.coord.data_stats();
    let on_disk = |files: &[u64]| files.iter().sum::<u64>();
    assert_eq!(before.bytes, on_disk(&home.sizes().await));
    world.compact_by_hand(CompactionKind::Merge).await;
    let after = world.coord.data_stats();
    assert_eq!(after.retired_bytes, before.bytes);
    assert_eq!(after.bytes + after.retired_bytes, on_disk(&home.sizes().await));
    assert!(after.space_amplification() > 1.5, "{after:?}");
}

#[tokio::test]
async fn a_job_of_a_collection_dropped_before_a_crash_ends() {
    let home = Home::new();
    let patient = CompactionOptions { manual_retention: Duration::from_secs(3600), ..by_hand() };
    let world = home.start(patient).await;
    three_segments(&world).await;
    let asked = world.coord.compact(world.asked(CompactionKind::Merge)).await.unwrap();
    world.coord.drop_collection("default", "c").await.unwrap();
    world.crash().await;
    let clock = Clock::manual_at(clock::now_ms() + 7_200_000);
    let world = home.start(CompactionOptions { clock, ..by_hand() }).await;
    let ended = ended(&world, asked.id).await;
    assert_eq!(ended.count(CompactionPlanState::Failed), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn segments_delete_files_and_dead_rows_stay_bounded_while_every_row_is_rewritten() {
    let home = Home::new();
    let world = home.start(at_once()).await;
    let mut model = BTreeMap::new();
    for round in 0..30_i64 {
        let rows: Vec<_> =
            (0..ROWS / 4).map(|n| ((n * 7 + round * ROWS / 4) % ROWS, round * 1000 + n)).collect();
        world.upsert(&rows).await;
        model.extend(rows);
        world.flush().await;
    }
    settled(&world).await;
    let stats = world.coord.data_stats();
    let manifest = world.manifest().await;
    let files = manifest.segments.iter().map(|entry| entry.delete_files.len()).max().unwrap();
    assert!(stats.compactions > 0, "{stats:?}");
    assert!(manifest.segments.len() <= 12, "{} segments", manifest.segments.len());
    assert!(files <= 5, "{files} delete files");
    let dead = stats.rows - manifest.live_rows();
    assert!(dead * 3 <= stats.rows, "{dead} of {} rows are dead", stats.rows);
    assert_eq!(world.all().await, model);
    assert_eq!(world.count().await, ROWS.unsigned_abs());
    world.crash().await;
    let world = home.start(by_hand()).await;
    assert_eq!(world.all().await, model, "after a crash");
}

#[tokio::test]
async fn rows_that_are_all_dead_leave_without_being_read() {
    let home = Home::new();
    let world = home.start(at_once()).await;
    world.upsert(&[(1, 1), (2, 2)]).await;
    world.flush().await;
    world.delete(&[1, 2]).await;
    world.flush().await;
    settled(&world).await;
    assert!(world.manifest().await.segments.is_empty());
    assert!(world.node.compacted.lock().is_empty(), "nothing was rewritten for that");
    assert_eq!(world.count().await, 0);
    while !home.files().await.is_empty() {
        clock::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_compaction_by_hand_merges_and_tells_how_far_it_is() {
    let home = Home::new();
    let world = home.start(by_hand()).await;
    for part in 0..3 {
        let rows: Vec<_> = (0..10).map(|n| (part * 10 + n, n)).collect();
        world.upsert(&rows).await;
        world.flush().await;
    }
    let sources: Vec<_> = world.manifest().await.segments.iter().map(|entry| entry.id).collect();
    let done = world.compact_by_hand(CompactionKind::Merge).await;
    assert_eq!(done.plans.len(), 1);
    let manifest = world.manifest().await;
    assert_eq!(manifest.segments.len(), 1);
    let mut from = done.plans[0].sources.clone();
    from.sort();
    assert_eq!((from, &done.plans[0].targets), (sources, &vec![manifest.segments[0].id]));
    assert_eq!(world.count().await, 30);
    let sorted = world.coord.sorted_segments(world.id).await.unwrap();
    assert!(sorted.contains(&manifest.segments[0].id));

    let again = world.coord.compact(world.asked(CompactionKind::Merge)).await.unwrap();
    assert_eq!((again.id, again.plans.len()), (-1, 0), "there is nothing left to do");
    let unknown = world.coord.compaction_job(4711).await.unwrap();
    assert!(unknown.is_done() && unknown.plans.is_empty());
    let small = world.asked(CompactionKind::Force { target_mib: 1 });
    let refused = world.coord.compact(small).await.unwrap_err();
    assert_eq!(
        refused.reason,
        "targetSize 1 MB should be greater than or equal to configMaxSize 1024 MB: \
         invalid parameter"
    );
}

#[tokio::test]
async fn delete_files_are_folded_and_columns_stay() {
    let home = Home::new();
    // Nothing but delete files is worth it here.
    let options = CompactionOptions { min_dead_ratio: 2.0, min_merge: 1000, ..at_once() };
    let world = home.start(options).await;
    let rows: Vec<_> = (0..100).map(|key| (key, key)).collect();
    world.upsert(&rows).await;
    world.flush().await;
    let segment = world.manifest().await.segments[0].id;
    for key in 0..8 {
        world.delete(&[key]).await;
        world.flush().await;
    }
    settled(&world).await;
    let manifest = world.manifest().await;
    let entry = manifest.segment(segment).unwrap();
    assert!(entry.delete_files.len() <= 4, "{} delete files", entry.delete_files.len());
    assert_eq!((entry.deleted_rows, manifest.live_rows()), (8, 92));
    assert!(world.coord.data_stats().compactions > 0 && world.node.compacted.lock().is_empty());
    assert_eq!(world.count().await, 92);
    world.crash().await;
    let world = home.start(by_hand()).await;
    assert_eq!(world.all().await, rows[8..].iter().copied().collect());
}

#[tokio::test]
async fn what_expired_leaves_the_files() {
    let home = Home::new();
    // The coordinator is an hour ahead.
    let clock = Clock::manual_at(clock::now_ms() + 3_600_000);
    let world = home.start(CompactionOptions { clock, ..at_once() }).await;
    world.upsert(&[(1, 1), (2, 2)]).await;
    world.flush().await;
    settled(&world).await;
    assert_eq!(world.count().await, 2);
    let ttl = KeyValue::new("collection.ttl.seconds", "1800");
    let change = PropertyChange { set: vec![ttl], delete: Vec::new() };
    let change = CollectionChange::Properties(change);
    world.coord.alter_collection("default", "c", change).await.unwrap();
    settled(&world).await;
    assert!(world.manifest().await.segments.is_empty());
    assert_eq!(world.count().await, 0);
}

#[tokio::test]
async fn compacted_segments_are_indexed_before_they_answer() {
    let home = Home { min_rows_to_index: 1, ..Home::new() };
    let world = home.start(by_hand()).await;
    for part in 0..3 {
        let rows: Vec<_> = (0..10).map(|n| (part * 10 + n, n)).collect();
        world.upsert(&rows).await;
        world.flush().await;
    }
    let before = world.manifest().await.version;
    let done = world.compact_by_hand(CompactionKind::Merge).await;
    let manifest = world.manifest().await;
    let target = manifest.segment(done.plans[0].targets[0]).unwrap();
    assert_eq!(target.indexes.len(), 1);
    assert_eq!(target.indexes[0].rows, 30);
    // The three old segments may have been indexed meanwhile; the new one was not, afterwards.
    assert!(manifest.version <= before + 4);
    assert_eq!(world.nearest(7, 3).await.unwrap(), [7, 6, 8]);
}

#[tokio::test]
async fn clustering_orders_rows_by_the_clustering_key() {
    let home = Home::new();
    let world = home.start(by_hand()).await;
    for part in 0..2 {
        let rows: Vec<_> = (0..50).map(|n| (part * 50 + n, (n * 37 + part) % 50)).collect();
        world.upsert(&rows).await;
        world.flush().await;
    }
    let all = world.all().await;
    let done = world.compact_by_hand(CompactionKind::Clustering).await;
    let manifest = world.manifest().await;
    assert_eq!(manifest.segments.len(), 1);
    let clustered = &manifest.segments[0];
    assert_eq!((clustered.level, clustered.id), (SegmentLevel::L2, done.plans[0].targets[0]));
    let rows = (0..100).map(|row| RowLocation { segment_id: clustered.id, row }).collect();
    let (vchannel, columns) = (world.vchannel().await, vec!["n".to_owned()]);
    let fetched = world.streaming.fetch(FetchRequest { vchannel, rows, columns }).await.unwrap();
    assert!(fetched.column(0).as_primitive::<Int64Type>().values().is_sorted());
    assert_eq!(world.all().await, all);
    let again = world.coord.compact(world.asked(CompactionKind::Clustering)).await.unwrap();
    assert_eq!(again.id, -1);
    let sorted = world.coord.sorted_segments(world.id).await.unwrap();
    assert!(sorted.is_empty(), "by another field than the key");
}

#[tokio::test]
async fn what_is_dropped_while_it_is_compacted_leaves_nothing() {
    for early in [true, false] {
        let home = Home::new();
        let world = home.start(CompactionOptions { file_grace: Duration::ZERO, ..by_hand() }).await;
        for part in 0..3 {
            let rows: Vec<_> = (0..100).map(|n| (part * 100 + n, n)).collect();
            world.upsert(&rows).await;
            world.flush().await;
        }
        let compacted = world.coord.compact(world.asked(CompactionKind::Merge)).await.unwrap();
        assert_eq!(compacted.plans.len(), 1);
        if !early {
            while world.node.compacted.lock().is_empty() {
                tokio::task::yield_now().await;
            }
        }
        world.coord.drop_collection("default", "c").await.unwrap();
        let ended = ended(&world, compacted.id).await;
        assert_eq!(ended.count(CompactionPlanState::Failed), 0, "it ends quietly");
        assert_eq!(world.coord.data_stats().failed_compactions, 0);
        while !home.files().await.is_empty() {
            clock::sleep(Duration::from_millis(5)).await;
        }
        assert!(world.query.segments().is_empty());
    }
}
