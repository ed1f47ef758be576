//! A log that has lost records is not taken for one that never had them.

use milvus_roles::{IdAllocator, RootCoord};
use milvus_types::{ErrorCode, Failure};
use milvus_wal::Wal;
use tokio::sync::OnceCell;

use crate::world::{Home, World, by_hand, request};

/// A collection beside `c`, with a log of its own.
async fn beside(world: &mut World, name: &str) {
    world.id = world.coord.create_collection(request(name)).await.unwrap().id;
}

async fn open(home: &Home, name: &str) -> World {
    let mut world = home.start(by_hand()).await;
    world.id = world.coord.describe_collection("default", name).await.unwrap().id;
    world
}

fn is_lost(failure: &Failure, words: &str) {
    assert_eq!(failure.code, ErrorCode::DataIntegrity, "{failure:?}");
    assert!(failure.reason.contains(words), "{failure:?}, want {words}");
}

#[tokio::test]
async fn a_log_that_ends_before_what_was_flushed_takes_no_records_of_anybody() {
    let mut home = Home::new();
    let mut world = home.start(by_hand()).await;
    world.upsert(&[(1, 10), (2, 20)]).await;
    world.flush().await;
    let reached = world.manifest().await.checkpoints[0].position;
    beside(&mut world, "d").await;
    world.crash().await;
    home.log = OnceCell::new();
    home.directory = tempfile::tempdir().unwrap();

    let world = home.start(by_hand()).await;
    let words = format!("had reached {reached} but ends at 0");
    is_lost(&world.read(None, None).await.unwrap_err(), &words);
    is_lost(&world.try_upsert(&[(3, 30)]).await.unwrap_err(), &words);
    // Until the turn of this log comes, new collections get others.
    let mut refused = None;
    for number in 0..40 {
        let created = world.coord.create_collection(request(&format!("e{number}"))).await;
        refused = created.err();
        if refused.is_some() {
            break;
        }
    }
    is_lost(&refused.expect("the lost log is nobody's"), &words);
    world.crash().await;
    let world = open(&home, "d").await;
    world.upsert(&[(1, 11)]).await;
    world.flush().await;
    let world = open_anew(world, &home, "c").await;
    is_lost(&world.read(None, None).await.unwrap_err(), &words);

    world.coord.drop_collection("default", "c").await.unwrap();
    let created = world.coord.create_collection(request("e40")).await;
    assert!(created.is_ok(), "nobody misses anything any more: {created:?}");
    let mut world = open_anew(world, &home, "e40").await;
    world.id = created.unwrap().id;
    world.upsert(&[(5, 50)]).await;
}

async fn open_anew(world: World, home: &Home, name: &str) -> World {
    world.crash().await;
    open(home, name).await
}

#[tokio::test]
async fn a_log_that_has_lost_what_nobody_needs_is_as_good_as_a_new_one() {
    let mut home = Home::new();
    let world = home.start(by_hand()).await;
    for key in 0..40 {
        world.upsert(&[(key, key)]).await;
    }
    world.flush().await;
    world.coord.drop_collection("default", "c").await.unwrap();
    world.crash().await;
    home.log = OnceCell::new();
    home.directory = tempfile::tempdir().unwrap();
    let world = home.start(by_hand()).await;
    world.upsert(&[(1, 10)]).await;
    world.crash().await;
    assert_eq!(home.start(by_hand()).await.all().await, [(1, 10)].into());
}

#[tokio::test]
async fn a_log_that_was_cut_by_somebody_else_is_refused_to_those_who_needed_it() {
    let home = Home::new();
    let mut world = home.start(by_hand()).await;
    let rows: Vec<(i64, i64)> = (0..200).map(|key| (key, key)).collect();
    for some in rows.chunks(10) {
        world.upsert(some).await;
    }
    let (c, vchannel) = (world.id, world.vchannel().await);
    beside(&mut world, "d").await;
    world.upsert(&[(1, 11)]).await;
    let term = world.coord.allocate_ids(1).await.unwrap().unsigned_abs();
    world.crash().await;
    let log = home.log.get().unwrap().open(vchannel.pchannel(), term).await.unwrap();
    log.truncate(log.end()).await.unwrap();
    let begin = log.trim_point();
    assert!(begin.0 > 0, "the log was cut");
    log.close().await;
    drop(log);

    let mut world = open(&home, "d").await;
    world.id = c;
    let words = format!("was cut before 0 but begins at {begin}");
    is_lost(&world.read(None, None).await.unwrap_err(), &words);
    let mut world = open_anew(world, &home, "d").await;
    world.upsert(&[(2, 22)]).await;
    world.id = c;
    is_lost(&world.read(None, None).await.unwrap_err(), &words);
}

#[tokio::test]
async fn a_log_that_was_cut_behind_a_shard_that_needs_nothing_of_it_is_whole() {
    let home = Home::new();
    let mut world = home.start(by_hand()).await;
    world.upsert(&[(1, 10)]).await;
    world.flush().await;
    let (c, pchannel) = (world.id, world.vchannel().await.pchannel().to_owned());
    // One on the same log.
    let mut other = None;
    for number in 0..40 {
        let name = format!("d{number}");
        beside(&mut world, &name).await;
        if world.vchannel().await.pchannel() == pchannel {
            other = Some(name);
            break;
        }
    }
    let rows: Vec<(i64, i64)> = (0..200).map(|key| (key, key)).collect();
    for some in rows.chunks(10) {
        world.upsert(some).await;
        world.flush().await;
    }
    let other = other.expect("logs are shared by then");
    world.crash().await;
    let mut world = open(&home, &other).await;
    assert_eq!(world.manifest().await.live_rows(), 200);
    world.upsert(&[(1000, 1)]).await;
    world.id = c;
    assert_eq!(world.all().await, [(1, 10)].into());
    world.upsert(&[(2, 20)]).await;
    assert_eq!(world.count().await, 2);
}
