//! Collections, partitions, indexes and loading.

use milvus_proxy::api::{LoadApiRequest, LoadStateReply};
use milvus_roles::LoadState;
use milvus_types::{ErrorCode, KeyValue};

use crate::roles::House;

#[tokio::test]
async fn a_collection_gets_its_hidden_field_and_time_zone() {
    let house = House::new();
    house.create(0).await.unwrap();
    let described = house.proxy.describe_collection(&house.cx, "c", None).await.unwrap();
    let collection = described.collection;
    assert_eq!(collection.vchannels.len(), 1);
    assert_eq!(collection.properties, [KeyValue::new("timezone", "UTC")]);
    let meta = collection.schema.dynamic_field().unwrap();
    assert_eq!((meta.name.as_str(), meta.nullable), ("$meta", true));
    assert!(house.proxy.has_collection(&house.cx, "c").await.unwrap());
    house.proxy.drop_collection(&house.cx, "c").await.unwrap();
    assert!(!house.proxy.has_collection(&house.cx, "c").await.unwrap());
    let error = house.proxy.describe_collection(&house.cx, "c", None).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::CollectionNotFound);
    assert_eq!(error.reason, "can't find collection[database=default][collection=c]");
}

#[tokio::test]
async fn loading_needs_indexes_and_known_partitions() {
    let house = House::new();
    house.create(1).await.unwrap();
    assert_eq!(house.load(None).await.unwrap_err().reason, "index not found[collection=c]");
    let state = house.proxy.load_state(&house.cx, "c", &[]).await.unwrap();
    assert_eq!(state, LoadStateReply::Known(LoadState::NotLoad));
    let progress = house.proxy.loading_progress(&house.cx, "c", &[]).await;
    assert_eq!(progress.unwrap_err().code, ErrorCode::CollectionNotLoaded);
    house.index("v").await.unwrap();
    assert_eq!(
        house.load(Some(&["nope"])).await.unwrap_err().reason,
        "partition not found[partition=nope]"
    );
    assert_eq!(
        house.load(Some(&[])).await.unwrap_err().reason,
        "failed to load partition, due to no partition specified: invalid parameter"
    );
    let replicas = LoadApiRequest {
        collection_name: "c".to_owned(),
        replica_number: 3,
        ..LoadApiRequest::default()
    };
    assert_eq!(
        house.proxy.load(&house.cx, replicas).await.unwrap_err().reason,
        "call query coordinator LoadCollection: when load 3 replica count: service resource \
         insufficient[currentStreamingNode=1][expectedStreamingNode=3]"
    );
    let fields = LoadApiRequest {
        collection_name: "c".to_owned(),
        load_fields: vec!["id".to_owned()],
        ..LoadApiRequest::default()
    };
    assert_eq!(
        house.proxy.load(&house.cx, fields).await.unwrap_err().reason,
        "load field list [id] does not contain vector field: invalid parameter"
    );
    house.load(None).await.unwrap();
    let state = house.proxy.load_state(&house.cx, "c", &[]).await.unwrap();
    assert_eq!(state, LoadStateReply::Known(LoadState::Loaded));
    assert_eq!(
        house.proxy.release(&house.cx, "c", Some(vec![])).await.unwrap_err().reason,
        "invalid parameter[expected=any partition][actual=empty partition list]"
    );
    let elsewhere = house.proxy.load_state(&house.cx, "nope", &[]).await.unwrap();
    assert_eq!(elsewhere, LoadStateReply::NotExist);
}

#[tokio::test]
async fn indexes_are_described_and_held_while_loaded() {
    let house = House::collection(1).await;
    let id = house.proxy.describe_collection(&house.cx, "c", None).await.unwrap().collection.id;
    let described = house.proxy.describe_index(&house.cx, "c", "", "v", 0).await.unwrap();
    assert_eq!(described[0].index.param("index_type"), Some("HNSW"));
    let unknown = house.proxy.describe_index(&house.cx, "c", "", "x", 0).await.unwrap_err();
    assert_eq!(unknown.reason, "index not found[indexName=x]");
    assert_eq!(
        house.index("nope").await.unwrap_err().reason,
        "json index must specify cast type: missing parameter[missing_param=json_cast_type]"
    );
    assert_eq!(
        house.proxy.drop_index(&house.cx, "c", "", "v").await.unwrap_err().reason,
        format!("vector index cannot be dropped on loaded collection: {id}: invalid parameter")
    );
    house.proxy.release(&house.cx, "c", None).await.unwrap();
    house.proxy.drop_index(&house.cx, "c", "", "v").await.unwrap();
    let none = house.proxy.describe_index(&house.cx, "c", "", "", 0).await.unwrap_err();
    assert_eq!(
        (none.code, none.reason.as_str()),
        (ErrorCode::IndexNotFound, "index not found[collection=c]")
    );
}

#[tokio::test]
async fn partitions_in_use_and_the_default_one_stay() {
    let house = House::collection(1).await;
    house.proxy.create_partition(&house.cx, "c", "p").await.unwrap();
    let names: Vec<_> = house.proxy.show_partitions(&house.cx, "c").await.unwrap();
    let names: Vec<_> = names.iter().map(|p| (p.name.as_str(), p.loaded_percent)).collect();
    assert_eq!(names, [("_default", 100), ("p", 100)]);
    assert!(house.proxy.has_partition(&house.cx, "c", "p").await.unwrap());
    for (name, reason) in [
        ("_default", "default partition cannot be deleted: invalid parameter"),
        (
            "p",
            "partition cannot be dropped, partition is loaded, please release it first: invalid \
             parameter",
        ),
    ] {
        let refused = house.proxy.drop_partition(&house.cx, "c", name).await.unwrap_err();
        assert_eq!(refused.reason, reason);
    }
    assert_eq!(house.proxy.drop_partition(&house.cx, "c", "nope").await, Ok(()));
}

#[tokio::test]
async fn flushes_are_limited_by_collection() {
    let house = House::collection(1).await;
    let names = ["c".to_owned()];
    let flushed = house.proxy.flush(&house.cx, &names).await.unwrap();
    assert_eq!((flushed.len(), flushed[0].name.as_str()), (1, "c"));
    let again = house.proxy.flush(&house.cx, &names).await.unwrap_err();
    assert_eq!(again.code, ErrorCode::RateLimit);
    assert!(house.proxy.check_database("default").await.is_ok());
    let unknown = house.proxy.check_database("nope").await.unwrap_err();
    assert_eq!(unknown.reason, "database not found[database=nope]");
}
