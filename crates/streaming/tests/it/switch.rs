//! Compacted segments take the place of others while everything else goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use milvus_base::task;
use milvus_roles::{FetchRequest, QueryCoord, RootCoord, RowLocation, Streaming};
use milvus_streaming::StreamingOptions;
use milvus_types::SegmentId;

use crate::gate::Moment;
use crate::world::{Home, World, by_hand, load};

const STABLE: i64 = 200;
const WRITERS: i64 = 3;

fn numbers(keys: impl Iterator<Item = i64>) -> Vec<(i64, i64)> {
    keys.map(|key| (key, key * 10)).collect()
}

/// Keys that only one writer touches: it knows what must be read.
async fn writer(world: Arc<World>, number: i64, stop: Arc<AtomicBool>) -> BTreeMap<i64, i64> {
    let mut model = BTreeMap::new();
    let mut dice = 17 * number + 1;
    while !stop.load(Ordering::Relaxed) {
        dice = (dice * 1_103_515_245 + 12_345) % (1 << 31);
        let key = 1000 * (number + 1) + dice / 8 % 60;
        if dice / 1000 % 3 == 0 {
            world.delete(&[key]).await;
            model.remove(&key);
        } else {
            let value = dice / 64 % 100_000;
            world.upsert(&[(key, value)]).await;
            model.insert(key, value);
        }
        let read = world.read(Some(&[key]), None).await.unwrap();
        assert_eq!(read.get(&key), model.get(&key), "what was just written is read, key {key}");
        assert_eq!(read.len(), usize::from(model.contains_key(&key)));
    }
    model
}

async fn reader(world: Arc<World>, stop: Arc<AtomicBool>, reads: Arc<AtomicU64>) {
    while !stop.load(Ordering::Relaxed) {
        let all = world.all().await;
        let stable: Vec<_> = all.range(..STABLE).map(|(key, number)| (*key, *number)).collect();
        assert_eq!(stable, numbers(0..STABLE), "rows that nobody touches are always there");
        let near = world.nearest(STABLE / 2, 5).await.unwrap();
        assert_eq!(near, [100, 99, 101, 98, 102]);
        reads.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_read_sees_a_gap_a_duplicate_or_a_lost_delete_while_segments_are_replaced() {
    let home = Home::new();
    let world = Arc::new(home.start(by_hand()).await);
    world.upsert(&numbers(0..STABLE)).await;
    let (stop, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| task::spawn("writer", writer(world.clone(), number, stop.clone())))
        .collect();
    let readers: Vec<_> = (0..2)
        .map(|_| task::spawn("reader", reader(world.clone(), stop.clone(), reads.clone())))
        .collect();
    let mut replaced = 0;
    while replaced < 12 {
        let before = reads.load(Ordering::Relaxed);
        world.flush().await;
        let (inputs, compacted) = world.rewrite().await;
        // Some deletes are persisted between reading the inputs and the switch, some are not.
        if replaced % 2 == 0 {
            world.flush().await;
        }
        assert!(world.replace(inputs, compacted).await);
        replaced += 1;
        // Readers come along.
        while reads.load(Ordering::Relaxed) < before + 2 {
            assert!(readers.iter().all(|reader| !reader.is_finished()), "a reader failed");
            tokio::task::yield_now().await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    let mut model: BTreeMap<i64, i64> = numbers(0..STABLE).into_iter().collect();
    for writer in writers {
        model.extend(writer.await.unwrap());
    }
    for reader in readers {
        reader.await.unwrap();
    }
    assert_eq!(world.all().await, model);
    assert_eq!(world.count().await, model.len() as u64);
    let world = Arc::into_inner(world).unwrap();
    world.crash().await;
    let world = home.start(by_hand()).await;
    assert_eq!(world.all().await, model, "after a crash");
}

#[tokio::test]
async fn deletes_at_every_moment_of_a_compaction_hold() {
    for flush_between in [false, true] {
        let home = Home::new();
        let world = home.start(by_hand()).await;
        world.upsert(&numbers(0..10)).await;
        world.flush().await;
        world.upsert(&numbers(10..20)).await;
        world.delete(&[1]).await; // in a file, before the inputs are read
        world.flush().await;
        world.delete(&[2, 12]).await; // in the log only
        let (inputs, compacted) = world.rewrite().await;
        world.delete(&[3, 13]).await;
        if flush_between {
            world.flush().await; // in a file that the compaction has not seen
        }
        world.delete(&[4, 14]).await;
        assert!(world.replace(inputs, compacted).await);
        world.delete(&[5, 15]).await;
        let mut want: BTreeMap<i64, i64> = numbers(0..20).into_iter().collect();
        for gone in [1, 2, 12, 3, 13, 4, 14, 5, 15] {
            want.remove(&gone);
        }
        assert_eq!(world.all().await, want);
        assert_eq!(world.manifest().await.segments.len(), 1);
        world.flush().await;
        let manifest = world.manifest().await;
        assert_eq!(manifest.live_rows(), want.len() as u64, "every delete is counted once");
        world.crash().await;
        let world = home.start(by_hand()).await;
        assert_eq!(world.all().await, want, "after a crash");
        world.upsert(&[(2, 7)]).await;
        assert_eq!(world.read(Some(&[2]), None).await.unwrap().get(&2), Some(&7));
    }
}

/// Held at the two moments at which a delete could fall between the old segments and the new one.
#[tokio::test]
async fn deletes_between_the_steps_of_a_switch_reach_old_and_new_segments() {
    let home = Home::new();
    let world = home.start(by_hand()).await;
    world.upsert(&numbers(0..10)).await;
    world.flush().await;
    world.upsert(&numbers(10..20)).await;
    world.flush().await;
    let left = |gone: &[i64]| -> BTreeMap<i64, i64> {
        numbers((0..20).filter(|key| !gone.contains(key))).into_iter().collect()
    };
    let (inputs, compacted) = world.rewrite().await;
    let loaded = world.gate.hold(Moment::Loaded);
    let switch = world.replace(inputs, compacted);
    let others = async {
        loaded.reached.await.unwrap();
        world.delete(&[3, 13]).await;
        assert_eq!(world.all().await, left(&[3, 13]), "the old segments answer");
        let switched = world.gate.hold(Moment::BeforeDeletes);
        loaded.go.send(()).unwrap();
        switched.reached.await.unwrap();
        world.delete(&[4, 14]).await;
        assert_eq!(world.all().await, left(&[3, 13, 4, 14]), "the old segments still answer");
        switched.go.send(()).unwrap();
    };
    let (replaced, ()) = futures::join!(switch, others);
    assert!(replaced);
    assert_eq!(world.all().await, left(&[3, 13, 4, 14]), "the new segment answers");
    world.flush().await;
    world.crash().await;
    let world = home.start(by_hand()).await;
    assert_eq!(world.all().await, left(&[3, 13, 4, 14]), "after a crash");
}

/// The flush is sealed, but not written, when the switch moves the rows that its deletes hit.
#[tokio::test]
async fn deletes_of_a_flush_that_waits_behind_a_compaction_are_not_lost() {
    let home = Home::new();
    let world = home.start(by_hand()).await;
    world.upsert(&numbers(0..20)).await;
    world.flush().await;
    world.delete(&[0]).await;
    world.flush().await;
    let (inputs, compacted) = world.rewrite().await;
    let vchannel = world.vchannel().await;
    let switch = world.replace(inputs, compacted);
    let flush = async {
        world.delete(&[3]).await;
        world.streaming.flush(&vchannel, false).await.unwrap();
        world.delete(&[4]).await;
        world.streaming.flush(&vchannel, true).await.unwrap();
    };
    let (replaced, ()) = futures::join!(switch, flush);
    assert!(replaced);
    assert_eq!(world.manifest().await.live_rows(), 17);
    world.crash().await;
    let world = home.start(by_hand()).await;
    let want: BTreeMap<i64, i64> =
        numbers((0..20).filter(|key| ![0, 3, 4].contains(key))).into_iter().collect();
    assert_eq!(world.all().await, want);
}

#[tokio::test]
async fn reads_of_older_snapshots_find_rows_deleted_since() {
    let home = Home::new();
    let world = home.start(by_hand()).await;
    world.upsert(&numbers(0..10)).await;
    let before = world.now().await;
    world.delete(&[1, 2]).await;
    world.upsert(&[(3, 99)]).await;
    world.flush().await;
    world.delete(&[4]).await;
    assert!(world.compact().await, "what was deleted within the last second is carried over");
    let then: BTreeMap<i64, i64> = numbers(0..10).into_iter().collect();
    assert_eq!(world.read(None, Some(before)).await.unwrap(), then);
    assert_eq!(world.all().await.get(&3), Some(&99));
    assert_eq!(world.count().await, 7);
}

#[tokio::test]
async fn what_was_found_before_a_compaction_can_be_fetched_after_it_for_a_grace() {
    for (grace, is_there) in [(Duration::from_secs(60), true), (Duration::ZERO, false)] {
        let home = Home::new();
        let options = StreamingOptions { retire_after: grace, ..StreamingOptions::default() };
        let world = home.start_with(by_hand(), options).await;
        world.upsert(&numbers(0..10)).await;
        world.flush().await;
        let old = world.manifest().await.segments[0].id;
        assert!(world.compact().await);
        let rows = vec![RowLocation { segment_id: old, row: 3 }];
        let fetch = || FetchRequest {
            vchannel: futures::executor::block_on(world.vchannel()),
            rows: rows.clone(),
            columns: vec!["n".to_owned()],
        };
        let fetched = loop {
            let fetched = world.streaming.fetch(fetch()).await;
            // Releasing comes a moment after the switch.
            if is_there || fetched.is_err() {
                break fetched;
            }
            tokio::task::yield_now().await;
        };
        match fetched {
            Ok(rows) => assert_eq!((rows.num_rows(), is_there), (1, true)),
            Err(failure) => assert_eq!(
                (failure.code, is_there),
                (milvus_types::ErrorCode::InconsistentRequery, false)
            ),
        }
        assert_eq!(world.query.segments().contains(&old), is_there);
        assert_eq!(world.count().await, 10);
    }
}

#[tokio::test]
async fn a_compaction_of_what_was_dropped_or_truncated_changes_nothing() {
    let home = Home::new();
    let world = home.start(by_hand()).await;
    world.upsert(&numbers(0..10)).await;
    world.flush().await;
    let (inputs, compacted) = world.rewrite().await;
    world.coord.truncate_collection("default", "c").await.unwrap();
    world.upsert(&numbers(5..7)).await;
    assert!(!world.replace(inputs, compacted).await, "its inputs are gone");
    assert_eq!(world.all().await, numbers(5..7).into_iter().collect());
    assert!(world.manifest().await.segments.is_empty());
    world.flush().await;
    let (inputs, compacted) = world.rewrite().await;
    assert!(world.replace(inputs.clone(), compacted.clone()).await);
    assert!(!world.replace(inputs, compacted).await, "once only");
    assert_eq!(world.count().await, 2);
}

#[tokio::test]
async fn a_compaction_beside_release_and_load_leaves_every_row_once() {
    let home = Home::new();
    let world = home.start(by_hand()).await;
    world.upsert(&numbers(0..10)).await;
    world.flush().await;
    let (inputs, compacted) = world.rewrite().await;
    world.coord.release(world.id, None).await.unwrap();
    assert!(world.replace(inputs, compacted).await);
    assert!(world.query.segments().is_empty(), "nothing is served that nobody reads");
    load(&world.coord, world.id).await;
    assert_eq!(world.all().await, numbers(0..10).into_iter().collect());
    world.upsert(&[(3, 1)]).await;
    world.flush().await;
    assert!(world.compact().await);
    world.coord.release(world.id, None).await.unwrap();
    while !world.query.segments().is_empty() {
        tokio::task::yield_now().await; // also those that were kept for a grace
    }
    load(&world.coord, world.id).await;
    assert_eq!(world.count().await, 10);
}

#[tokio::test]
async fn a_replacement_that_does_not_hold_together_is_refused() {
    let home = Home::new();
    let world = home.start(by_hand()).await;
    world.upsert(&numbers(0..10)).await;
    world.flush().await;
    let (inputs, compacted) = world.rewrite().await;
    let vchannel = world.vchannel().await;
    let good = milvus_roles::SegmentReplacement {
        collection_id: world.id,
        vchannel,
        inputs,
        outputs: compacted.outputs,
        moved: compacted.moved,
    };
    let mut short = good.clone();
    short.moved[0].to.pop();
    let mut wild = good.clone();
    wild.moved[0].to[0] = (0, 10);
    let mut other = good.clone();
    other.moved[0].from = SegmentId(1);
    for bad in [short, wild, other] {
        assert!(world.streaming.replace_segments(bad).await.is_err());
    }
    assert_eq!(world.count().await, 10);
    assert!(world.streaming.replace_segments(good).await.unwrap());
    assert_eq!(world.count().await, 10);
}
