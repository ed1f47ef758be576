//! The worker, unasked: whatever is written, what is kept stays in bounds.

use std::collections::BTreeMap;
use std::time::Duration;

use milvus_base::clock;
use milvus_coord::CompactionOptions;
use milvus_roles::{CompactCollection, CompactionKind, DataCoord};

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
    let request = CompactCollection {
        collection_id: world.id,
        kind: CompactionKind::Merge,
        partition_id: None,
        vchannel: None,
        segments: Vec::new(),
    };
    let job = world.coord.compact(request.clone()).await.unwrap();
    assert_eq!(job.plans.len(), 1);
    let done = loop {
        let state = world.coord.compaction_job(job.id).await.unwrap();
        if state.is_done() {
            break state;
        }
        clock::sleep(Duration::from_millis(10)).await;
    };
    let manifest = world.manifest().await;
    assert_eq!(manifest.segments.len(), 1);
    let mut from = done.plans[0].sources.clone();
    from.sort();
    assert_eq!((from, &done.plans[0].targets), (sources, &vec![manifest.segments[0].id]));
    assert_eq!(world.count().await, 30);

    let again = world.coord.compact(request.clone()).await.unwrap();
    assert_eq!((again.id, again.plans.len()), (-1, 0), "there is nothing left to do");
    let unknown = world.coord.compaction_job(4711).await.unwrap();
    assert!(unknown.is_done() && unknown.plans.is_empty());
    let small = CompactCollection { kind: CompactionKind::Force { target_mib: 1 }, ..request };
    let refused = world.coord.compact(small).await.unwrap_err();
    assert_eq!(
        refused.reason,
        "targetSize 1 MB should be greater than or equal to configMaxSize 1024 MB: \
         invalid parameter"
    );
}
