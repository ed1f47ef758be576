//! Collections, partitions, indexes and loading.

use milvus_proxy::api::{
    AddFieldRequest, AlterRequest, CompactRequest, FieldName, LoadApiRequest, LoadStateReply,
};
use milvus_roles::{CollectionChange, LoadState, PropertyChange};
use milvus_types::{ErrorCode, FieldSchema, KeyValue};

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
        "index HNSW only supports vector data type: invalid parameter"
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
        (
            "_default",
            "partition cannot be dropped, partition is loaded, please release it first: invalid \
             parameter",
        ),
        (
            "p",
            "partition cannot be dropped, partition is loaded, please release it first: invalid \
             parameter",
        ),
    ] {
        let refused = house.proxy.drop_partition(&house.cx, "c", name).await.unwrap_err();
        assert_eq!(refused.reason, reason);
    }
    house.proxy.release(&house.cx, "c", None).await.unwrap();
    let refused = house.proxy.drop_partition(&house.cx, "c", "_default").await.unwrap_err();
    assert_eq!(refused.reason, "default partition cannot be deleted: invalid parameter");
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

#[tokio::test]
async fn partitions_of_a_key_are_the_servers_own() {
    let house = House::new();
    let mut request = House::collection_request(1);
    request.schema.fields.push(FieldSchema {
        name: "key".to_owned(),
        is_partition_key: true,
        ..FieldSchema::default()
    });
    request.num_partitions = 4;
    house.proxy.create_collection(&house.cx, request).await.unwrap();
    house.index("v").await.unwrap();
    let listed = house.proxy.show_partitions(&house.cx, "c").await.unwrap();
    let names: Vec<_> = listed.iter().map(|partition| partition.name.as_str()).collect();
    assert_eq!(names, ["_default_0", "_default_1", "_default_2", "_default_3"]);
    let refused =
        |what: &str| format!("disable {what} if partition key mode is used: invalid parameter");
    let created = house.proxy.create_partition(&house.cx, "c", "p").await.unwrap_err();
    assert_eq!(created.reason, refused("create partition"));
    let dropped = house.proxy.drop_partition(&house.cx, "c", "_default_0").await.unwrap_err();
    assert_eq!(dropped.reason, refused("drop partition"));
    let loaded = house.load(Some(&["_default_0"])).await.unwrap_err();
    assert_eq!(loaded.reason, refused("load partitions"));
    house.load(None).await.unwrap();
    let names = Some(vec!["_default_0".to_owned()]);
    let released = house.proxy.release(&house.cx, "c", names).await.unwrap_err();
    assert_eq!(released.reason, refused("release partitions"));
}

#[tokio::test]
async fn changes_are_checked_before_the_coordinator_makes_them() {
    let house = House::collection(1).await;
    let set = |key: &str, value: &str| AlterRequest {
        set: vec![KeyValue::new(key, value)],
        delete: Vec::new(),
    };
    let alter = |change| house.proxy.alter_collection(&house.cx, "c", change);
    for (change, reason) in [
        (
            set("mmap.enabled", "true"),
            "can not alter mmap properties if collection loaded: collection already \
             loaded[collection=c]",
        ),
        (
            set("collection.ttl.seconds", "-2"),
            "collection TTL is out of range, expect [-1, 3155760000], got -2: invalid parameter",
        ),
        (
            set("allow_insert_auto_id", "true"),
            "the value for allow_insert_auto_id must be false when autoID is false: invalid \
             parameter",
        ),
        (set("timezone", "Mars"), "unknown or invalid IANA Time Zone ID: Mars: invalid parameter"),
        (
            set("partitionkey.isolation", "true"),
            "partition key isolation mode is enabled but no partition key field is set. Please \
             set the partition key first: illegal collection schema[collection=c]",
        ),
    ] {
        assert_eq!(alter(change).await.unwrap_err().reason, reason);
    }
    alter(set("collection.ttl.seconds", "60")).await.unwrap();
    let dropped = house.proxy.drop_field(&house.cx, "c", FieldName::Name("v".to_owned())).await;
    assert_eq!(
        dropped.unwrap_err().reason,
        "cannot drop the last vector field: v: invalid parameter"
    );
    let field = FieldSchema { name: "m".to_owned(), nullable: true, ..FieldSchema::default() };
    let add = AddFieldRequest {
        collection_name: "c".to_owned(),
        field: Some(field.clone()),
        unsupported: Vec::new(),
    };
    house.proxy.add_field(&house.cx, add).await.unwrap();
    let ttl = PropertyChange {
        set: vec![KeyValue::new("collection.ttl.seconds", "60")],
        delete: Vec::new(),
    };
    assert_eq!(
        *house.roles.changes.lock(),
        [CollectionChange::Properties(ttl), CollectionChange::AddField(field)]
    );
}

#[tokio::test]
async fn a_loaded_collection_has_one_replica() {
    let house = House::collection(1).await;
    let id = house.proxy.describe_collection(&house.cx, "c", None).await.unwrap().collection.id;
    let replica = house.proxy.replica(&house.cx, "", id).await.unwrap().unwrap();
    assert_eq!((replica.partitions.len(), replica.vchannels.len()), (1, 1));
    house.proxy.release(&house.cx, "c", None).await.unwrap();
    assert!(house.proxy.replica(&house.cx, "c", id).await.unwrap().is_none());
    let (_, served) = house.proxy.served_segments(&house.cx, "c").await.unwrap();
    assert!(served.is_empty());
    assert_eq!(house.proxy.compact(&house.cx, compact("c")).await.unwrap().id, -1);
    assert!(house.proxy.compact(&house.cx, compact("nope")).await.is_err());
}

fn compact(name: &str) -> CompactRequest {
    CompactRequest { collection_name: name.to_owned(), ..CompactRequest::default() }
}
