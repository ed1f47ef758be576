//! Compactions that cannot be done: damaged inputs, no memory, a caller that has gone.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use milvus_roles::{CompactSegments, DataNode, RowOrder};
use milvus_storage::StoreError;
use milvus_types::{ErrorCode, FieldId, PartitionId, PkType, SegmentId};

use crate::fixture::World;
use crate::hooked::Hooked;

async fn world() -> World {
    for seed in 0.. {
        let world = World::random(seed, PkType::VarChar, 200).await;
        let deleted = world.inputs.iter().all(|input| !input.delete_files.is_empty());
        if deleted && world.inputs.len() > 1 && world.inputs.iter().all(|input| input.rows > 50) {
            return world;
        }
    }
    unreachable!("some seed has such segments")
}

async fn refused(world: &World, task: CompactSegments) -> milvus_types::Failure {
    let (service, governor) = world.service(1 << 30);
    let before = world.store.list("").await.unwrap();
    let failure = service.compact(task).await.unwrap_err();
    assert_eq!(world.store.list("").await.unwrap(), before, "nothing is left of it");
    assert_eq!(governor.used(), 0);
    failure
}

#[tokio::test]
async fn a_damaged_file_is_an_error_that_names_it() {
    let world = world().await;
    let last = world.inputs.last().unwrap();
    for path in [&last.columns.path, &last.delete_files[0].file.path] {
        let bytes = world.store.get(path).await.unwrap().bytes;
        for at in [0, bytes.len() / 2, bytes.len() - 1] {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 4;
            world.store.put(path, damaged.into()).await.unwrap();
            let failure = refused(&world, world.task()).await;
            assert_eq!(failure.code, ErrorCode::DataIntegrity);
            assert!(failure.reason.contains(path.as_str()), "{failure}");
        }
        world.store.put(path, bytes.slice(..bytes.len() / 2).into()).await.unwrap();
        let failure = refused(&world, world.task()).await;
        assert_eq!(failure.code, ErrorCode::DataIntegrity);
        assert!(failure.reason.contains(path.as_str()), "{failure}");
        world.store.delete(path).await.unwrap();
        let failure = refused(&world, world.task()).await;
        assert_eq!(failure.code, ErrorCode::IoKeyNotFound);
        assert!(failure.reason.contains(path.as_str()), "{failure}");
        world.store.put(path, bytes.into()).await.unwrap();
    }
}

#[tokio::test]
async fn files_that_do_not_fit_the_manifest_are_errors_that_name_them() {
    let world = world().await;
    let mut task = world.task();
    task.inputs[1].rows += 1;
    let path = task.inputs[1].columns.path.clone();
    let failure = refused(&world, task.clone()).await;
    assert_eq!(failure.code, ErrorCode::DataIntegrity);
    assert!(failure.reason.contains(&path), "{failure}");

    // The deletes of a longer segment.
    let mut task = world.task();
    let longest = task.inputs.iter().max_by_key(|input| input.rows).unwrap();
    let (id, foreign) = (longest.id, longest.delete_files.clone());
    let path = foreign[0].file.path.clone();
    let other = task.inputs.iter_mut().filter(|input| input.id != id).min_by_key(|i| i.rows);
    other.unwrap().delete_files = foreign;
    let failure = refused(&world, task).await;
    assert_eq!(failure.code, ErrorCode::DataIntegrity);
    assert!(failure.reason.contains(&path), "{failure}");
}

#[tokio::test]
async fn tasks_that_make_no_sense_are_refused() {
    let world = world().await;
    let mut apart = world.task();
    apart.inputs[1].partition_id = PartitionId(9);
    let mut twice = world.task();
    twice.inputs.push(twice.inputs[0].clone());
    let mut taken = world.task();
    taken.output_ids = vec![taken.inputs[0].id];
    let none = CompactSegments { inputs: Vec::new(), ..world.task() };
    let nameless = CompactSegments { output_ids: Vec::new(), ..world.task() };
    for (task, words) in [
        (apart, "not of one partition"),
        (twice, "named twice"),
        (taken, "named twice"),
        (none, "no segments"),
        (nameless, "without a name"),
    ] {
        let failure = refused(&world, task).await;
        assert!(failure.reason.contains(words), "{failure}");
    }
    for (field, code) in [(999, ErrorCode::FieldNotFound), (112, ErrorCode::ParameterInvalid)] {
        let order = RowOrder::Field(FieldId(field));
        assert_eq!(refused(&world, CompactSegments { order, ..world.task() }).await.code, code);
    }
}

#[tokio::test]
async fn what_never_fits_into_memory_is_refused() {
    let world = world().await;
    let (service, governor) = world.service(1000);
    let failure = service.compact(world.task()).await.unwrap_err();
    assert_eq!(failure.code, ErrorCode::MemoryLimitExceeded);
    assert_eq!(governor.used(), 0);
}

#[tokio::test]
async fn a_full_disk_leaves_no_file_behind_and_the_next_attempt_succeeds() {
    let world = world().await;
    let task = CompactSegments {
        output_ids: vec![SegmentId(100), SegmentId(101)],
        target_bytes: 1,
        ..world.task()
    };
    let before = world.store.list("").await.unwrap();
    // Columns, keys and deletes of the first output, then those of the second.
    for fails_at in 1..=6 {
        let writers = AtomicU64::new(0);
        let on_writer = move |path: &str| match writers.fetch_add(1, Ordering::Relaxed) + 1 {
            n if n == fails_at => {
                let source = std::io::ErrorKind::StorageFull.into();
                Err(StoreError::DiskFull { op: "put", path: path.to_owned(), source })
            }
            _ => Ok(()),
        };
        let inner = Arc::clone(&world.store);
        let store = Arc::new(Hooked { inner, on_writer: Box::new(on_writer) });
        let (service, governor) = world.service_over(store, 1 << 30);
        let failure = service.compact(task.clone()).await.unwrap_err();
        assert_eq!(failure.code, ErrorCode::DiskLimitExceeded, "writer {fails_at}: {failure}");
        assert_eq!(world.store.list("").await.unwrap(), before, "writer {fails_at}");
        assert_eq!(governor.used(), 0);
    }
    let (service, _) = world.service(1 << 30);
    assert_eq!(service.compact(task).await.unwrap().outputs.len(), 2);
}

#[tokio::test]
async fn dropping_the_future_stops_the_thread_and_gives_its_memory_back() {
    let world = world().await;
    let before = world.store.list("").await.unwrap();
    let (reached, is_reached) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let may_go_on = Mutex::new(may_go_on);
    let on_writer = move |_: &str| {
        reached.send(()).unwrap();
        may_go_on.lock().unwrap().recv().unwrap();
        Ok(())
    };
    let inner = Arc::clone(&world.store);
    let store = Arc::new(Hooked { inner, on_writer: Box::new(on_writer) });
    let (service, governor) = world.service_over(store, 1 << 30);
    let compacting = {
        let (service, task) = (Arc::clone(&service), world.task());
        milvus_base::task::spawn("compaction", async move { service.compact(task).await })
    };
    while is_reached.try_recv().is_err() {
        tokio::task::yield_now().await;
    }
    compacting.abort();
    assert!(compacting.await.unwrap_err().is_cancelled());
    assert!(governor.used() > 0, "the thread still works");
    go_on.send(()).unwrap();
    while governor.used() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.store.list("").await.unwrap(), before, "it stopped before its first file");
    // The slot is free: the next one begins.
    let next = {
        let (service, task) = (Arc::clone(&service), world.task());
        milvus_base::task::spawn("compaction", async move { service.compact(task).await })
    };
    (0..3).for_each(|_| go_on.send(()).unwrap());
    assert_eq!(next.await.unwrap().unwrap().outputs.len(), 1);
}

#[tokio::test]
async fn a_compaction_that_nobody_waits_for_any_more_leaves_no_file() {
    let world = world().await;
    let before = world.store.list("").await.unwrap();
    let task = CompactSegments {
        output_ids: vec![SegmentId(100), SegmentId(101)],
        target_bytes: 1,
        ..world.task()
    };
    let (reached, is_reached) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let may_go_on = Mutex::new(may_go_on);
    let on_writer = move |path: &str| {
        // The first output is there.
        if path.contains("/101/") {
            reached.send(()).unwrap();
            may_go_on.lock().unwrap().recv().unwrap();
        }
        Ok(())
    };
    let inner = Arc::clone(&world.store);
    let store = Arc::new(Hooked { inner, on_writer: Box::new(on_writer) });
    let (service, _) = world.service_over(store, 1 << 30);
    let compacting =
        milvus_base::task::spawn("compaction", async move { service.compact(task).await });
    while is_reached.try_recv().is_err() {
        tokio::task::yield_now().await;
    }
    assert!(world.store.list("").await.unwrap().len() > before.len());
    compacting.abort();
    assert!(compacting.await.unwrap_err().is_cancelled());
    go_on.send(()).unwrap();
    for _ in 0..1000 {
        if world.store.list("").await.unwrap() == before {
            return;
        }
        milvus_base::clock::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("files stay: {:?}", world.store.list("").await.unwrap());
}
