//! Reads while the log does not answer, and once another owner has it.

use std::sync::Arc;
use std::time::Duration;

use milvus_base::{clock, task};
use milvus_roles::IdAllocator;
use milvus_streaming::StreamingOptions;
use milvus_types::ErrorCode;
use milvus_wal::Wal;

use crate::world::{Home, World, by_hand};

/// What is undecided at all is so at once.
fn impatient() -> StreamingOptions {
    StreamingOptions {
        undecided_after: Duration::ZERO,
        snapshot_wait: Duration::ZERO,
        ..StreamingOptions::default()
    }
}

/// Returns once a write is under way: an exact read of now must see it.
async fn is_under_way(world: &World) {
    while world.read(None, Some(world.now().await)).await.is_ok() {
        clock::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_go_on_without_a_write_that_the_log_does_not_answer() {
    let home = Home::new();
    let world = Arc::new(home.start_with(by_hand(), impatient()).await);
    world.upsert(&[(1, 10), (2, 20)]).await;
    world.flush().await;
    let before = world.upsert(&[(3, 30)]).await;
    world.wal.stall(true);
    let writer = Arc::clone(&world);
    let write = task::spawn("write", async move { writer.try_upsert(&[(2, 21), (4, 40)]).await });
    is_under_way(&world).await;
    let acknowledged = [(1, 10), (2, 20), (3, 30)].into();
    assert_eq!(world.all().await, acknowledged, "a strong read sees what was acknowledged");
    assert_eq!(world.count().await, 3);
    assert_eq!(world.nearest(4, 2).await.unwrap(), [3, 2]);
    assert_eq!(world.read(None, Some(before)).await.unwrap(), acknowledged);
    let now = world.now().await;
    let refused = world.read(None, Some(now)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::TSafeStalled);
    assert!(refused.code.retriable());
    let (vchannel, now) = (world.vchannel().await.to_string(), now.to_string());
    for part in [vchannel.as_str(), now.as_str(), "what is decided ends at"] {
        assert!(refused.reason.contains(part), "{refused:?} names {part}");
    }
    world.wal.stall(false);
    let acknowledged = write.await.unwrap().unwrap();
    let all = [(1, 10), (2, 21), (3, 30), (4, 40)].into();
    assert_eq!(world.all().await, all, "and everything goes on by itself");
    assert_eq!(world.read(None, Some(acknowledged)).await.unwrap(), all);
}

#[tokio::test]
async fn a_shard_that_another_owner_has_taken_answers_no_read() {
    let home = Home::new();
    let world = home.start(by_hand()).await;
    world.upsert(&[(1, 10)]).await;
    let vchannel = world.vchannel().await;
    let term = world.coord.allocate_ids(1).await.unwrap().unsigned_abs();
    let other = world.wal.inner.open(vchannel.pchannel(), term).await.unwrap();
    let fenced = world.try_upsert(&[(2, 20)]).await.unwrap_err();
    assert_eq!(fenced.code, ErrorCode::ChannelNotAvailable);
    let refused = world.read(None, None).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::ChannelNotAvailable, "the other may have written since");
    assert!(refused.reason.contains(&format!("taken over by term {term}")), "{refused:?}");
    other.close().await;
}
