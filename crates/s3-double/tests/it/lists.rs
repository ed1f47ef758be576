//! Lists: pages, delimiters, and objects that are listed late.

use futures::TryStreamExt as _;
use milvus_s3_double::Options;
use object_store::path::Path;
use object_store::{ObjectStore as _, PutMode};

use crate::client::{client, put, start};

#[tokio::test]
async fn pages_and_delimiters_miss_and_repeat_nothing() {
    let keys = ["a/1", "a/2", "a/b/3", "a/b/4", "a/c/5", "a/d", "z"];
    for page in [1, 2, 3, 1000] {
        let server = start(Options { page, ..Options::default() }).await;
        let client = client(&server);
        for key in keys {
            put(&client, key, key.into(), PutMode::Overwrite).await.unwrap();
        }
        let all: Vec<_> =
            client.list(None).map_ok(|meta| meta.location).try_collect().await.unwrap();
        assert_eq!(all, keys.map(Path::from), "pages of {page}");
        let level = client.list_with_delimiter(Some(&Path::from("a"))).await.unwrap();
        let objects: Vec<_> = level.objects.iter().map(|meta| meta.location.as_ref()).collect();
        assert_eq!(objects, ["a/1", "a/2", "a/d"], "pages of {page}");
        assert_eq!(level.common_prefixes, ["a/b", "a/c"].map(Path::from), "pages of {page}");
    }
}

#[tokio::test]
async fn an_object_can_be_listed_late() {
    let faults = "list_delay_ms=3600000".parse().unwrap();
    let server = start(Options { faults, ..Options::default() }).await;
    let client = client(&server);
    put(&client, "k", "bytes".into(), PutMode::Overwrite).await.unwrap();
    assert!(client.list(None).try_collect::<Vec<_>>().await.unwrap().is_empty());
    server.set_faults("".parse().unwrap());
    assert_eq!(client.list(None).try_collect::<Vec<_>>().await.unwrap().len(), 1);
}
