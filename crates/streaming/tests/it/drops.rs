//! What is dropped gives its space back at once, also while something of it is built, compacted or flushed.

use std::sync::Arc;
use std::time::Duration;

use milvus_base::{clock, task};
use milvus_roles::{CompactionKind, DataCoord, RootCoord};

use crate::node::Work;
use crate::world::{Home, World, by_hand};

/// What is dropped while work on it is under way.
#[derive(Clone, Copy, Debug)]
enum Dropped {
    Collection,
    Partitions,
    Index,
}

impl Dropped {
    async fn drop_it(self, world: &World) {
        match self {
            Self::Collection => world.coord.drop_collection("default", "c").await.unwrap(),
            Self::Partitions => world.coord.truncate_collection("default", "c").await.unwrap(),
            Self::Index => {
                world.coord.drop_index(world.id, "n", "").await.unwrap();
            }
        }
    }

    fn is_left(self, path: &str, index: i64) -> bool {
        match self {
            Self::Collection | Self::Partitions => true,
            Self::Index => path.contains(&format!("/index-{index}-")),
        }
    }
}

/// Returns once there are none of `what`.
async fn all_gone(home: &Home, what: Dropped, index: i64, context: &str) {
    let mut left = Vec::new();
    for _ in 0..2000 {
        left = home.files().await;
        left.retain(|path| what.is_left(path, index));
        if left.is_empty() {
            return;
        }
        clock::sleep(Duration::from_millis(5)).await;
    }
    panic!("{context}: files stay: {left:?}");
}

async fn filled(home: &Home) -> Arc<World> {
    let world = Arc::new(home.start(by_hand()).await);
    world.upsert(&(0..40).map(|key| (key, key)).collect::<Vec<_>>()).await;
    world.flush().await;
    world.upsert(&[(3, 33), (50, 50)]).await;
    world.flush().await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_is_under_way_leaves_nothing_of_what_is_dropped() {
    for what in [Dropped::Collection, Dropped::Partitions, Dropped::Index] {
        let home = Home { min_rows_to_index: 1, ..Home::new() };
        let world = filled(&home).await;
        world.indexed(1).await;
        let hold = world.node.hold(Work::Build);
        let index = world.create_index("n", "INVERTED").await.unwrap();
        hold.reached.await.unwrap();
        what.drop_it(&world).await;
        // Its thread goes on, as nobody can stop it there, and writes its file.
        hold.go.send(()).unwrap();
        all_gone(&home, what, index, &format!("{what:?}")).await;
        while world.coord.data_stats().pending_builds > 0 {
            clock::sleep(Duration::from_millis(1)).await;
        }
        all_gone(&home, what, index, &format!("{what:?}, later")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compaction_that_is_under_way_leaves_nothing_of_what_is_dropped() {
    for what in [Dropped::Collection, Dropped::Partitions] {
        let home = Home::new();
        let world = filled(&home).await;
        let hold = world.node.hold(Work::Compaction);
        let job = world.coord.compact(world.asked(CompactionKind::Merge)).await;
        hold.reached.await.unwrap();
        what.drop_it(&world).await;
        hold.go.send(()).unwrap();
        let job = job.unwrap();
        while !world.coord.compaction_job(job.id).await.unwrap().is_done() {
            clock::sleep(Duration::from_millis(1)).await;
        }
        all_gone(&home, what, 0, &format!("{what:?}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_that_is_under_way_leaves_nothing_of_what_is_dropped() {
    for what in [Dropped::Collection, Dropped::Partitions] {
        for files in 0..3 {
            let home = Home::new();
            let world = filled(&home).await;
            world.upsert(&[(60, 60)]).await;
            world.delete(&[5]).await;
            let hold = world.fuse.hold(files);
            let flushing = Arc::clone(&world);
            let flush = task::spawn("flush", async move { flushing.try_flush().await });
            hold.reached.await.unwrap();
            let partition = world.collection().await.partitions[0].id;
            let dropping = Arc::clone(&world);
            let dropped = task::spawn("drop", async move { what.drop_it(&dropping).await });
            // From here on it is gone; a truncation waits for the flush before it returns.
            while world.has_partition(partition).await {
                clock::sleep(Duration::from_millis(1)).await;
            }
            hold.go.send(()).unwrap();
            let _ = flush.await.unwrap();
            dropped.await.unwrap();
            all_gone(&home, what, 0, &format!("{what:?} after {files} files")).await;
        }
    }
}
