//! Of racing writers with one condition exactly one wins; and a race that is decided wrongly is seen.

use std::sync::Arc;

use milvus_base::task;
use milvus_s3_double::{Faults, Objects, Options};
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt as _, PutMode};
use tokio::sync::Barrier;

use crate::client::{client, put, start, update};

const WRITERS: usize = 32;
const ROUNDS: usize = 5;

/// How many of the writers that all start at once win.
async fn winners<F>(attempt: impl Fn(usize) -> F) -> usize
where
    F: Future<Output = bool> + Send + 'static,
{
    let gate = Arc::new(Barrier::new(WRITERS));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (gate, attempt) = (Arc::clone(&gate), attempt(writer));
            task::spawn("writer", async move {
                gate.wait().await;
                attempt.await
            })
        })
        .collect();
    let mut won = 0;
    for writer in writers {
        won += usize::from(writer.await.unwrap());
    }
    won
}

async fn create(client: AmazonS3, key: String, writer: usize) -> bool {
    match put(&client, &key, format!("{writer}"), PutMode::Create).await {
        Ok(_) => true,
        Err(Error::AlreadyExists { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

async fn swap(client: AmazonS3, key: &str, bytes: String, etag: Option<String>) -> bool {
    match put(&client, key, bytes, update(etag)).await {
        Ok(_) => true,
        Err(Error::Precondition { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

async fn one_of_32_wins(options: Options) {
    let server = start(options).await;
    let client = client(&server);
    for round in 0..ROUNDS {
        let key = format!("create-{round}");
        let won = winners(|writer| create(client.clone(), key.clone(), writer)).await;
        assert_eq!(won, 1, "writers with If-None-Match, round {round}");
    }
    let mut etag = put(&client, "swap", "start".into(), PutMode::Overwrite).await.unwrap().e_tag;
    for round in 0..ROUNDS {
        let won = winners(|writer| {
            swap(client.clone(), "swap", format!("{round}-{writer}"), etag.clone())
        })
        .await;
        assert_eq!(won, 1, "writers with If-Match, round {round}");
        etag = client.head(&Path::from("swap")).await.unwrap().e_tag;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_32_writers_wins_in_memory() {
    one_of_32_wins(Options::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_32_writers_wins_in_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let objects = Objects::open(directory.path()).unwrap();
    one_of_32_wins(Options { objects, ..Options::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ignores_conditions_is_seen_to_have_many_winners() {
    let faults: Faults = "ignore_conditions=1".parse().unwrap();
    let server = start(Options { faults, ..Options::default() }).await;
    let client = client(&server);
    let won = winners(|writer| create(client.clone(), "create".into(), writer)).await;
    assert_eq!(won, WRITERS);
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_writers_can_be_told_to_come_again() {
    // Stalled, all are under way at once: the first came alone, the others race it.
    let faults: Faults = "race=1,stall=1,stall_ms=300".parse().unwrap();
    let server = start(Options { faults, ..Options::default() }).await;
    let client = client(&server);
    let statuses = winners(|writer| {
        let client = client.clone();
        async move {
            let put = put(&client, "race", format!("{writer}"), PutMode::Create).await;
            put.is_err_and(|error| format!("{error:?}").contains("ConditionalRequestConflict"))
        }
    })
    .await;
    assert!(statuses >= 1, "nobody was told of a conflict");
    assert!(server.objects().find("bkt", "race").unwrap().is_some(), "the first came alone");
}
