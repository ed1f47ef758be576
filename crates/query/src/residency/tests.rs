//! Whose setting counts, and what is read.

use arrow::array::{Array as _, Int64Array};
use milvus_types::{
    CollectionId, CollectionSchema, ConsistencyLevel, DataType, DatabaseId, FieldId, IndexId,
    Timestamp,
};

use super::*;

fn collection(properties: &[(&str, &str)], of_vector: &[(&str, &str)]) -> Collection {
    let field = |id, name: &str, data_type| FieldSchema {
        id: FieldId(id),
        name: name.to_owned(),
        data_type,
        ..FieldSchema::default()
    };
    let mut vector = field(101, "vector", DataType::FloatVector);
    vector.type_params = pairs(of_vector);
    let key = field(100, "id", DataType::Int64);
    Collection {
        id: CollectionId(1),
        db_id: DatabaseId(1),
        db_name: "default".to_owned(),
        name: "c".to_owned(),
        schema: CollectionSchema { fields: vec![key, vector], ..CollectionSchema::default() },
        partitions: Vec::new(),
        vchannels: Vec::new(),
        consistency_level: ConsistencyLevel::Strong,
        properties: pairs(properties),
        create_ts: Timestamp(1),
        update_ts: Timestamp(1),
    }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    pairs.iter().map(|(key, value)| KeyValue::new(*key, *value)).collect()
}

fn index(user_params: &[(&str, &str)]) -> IndexMeta {
    IndexMeta {
        id: IndexId(4),
        collection_id: CollectionId(1),
        field_id: FieldId(101),
        field_name: "vector".to_owned(),
        name: "vector".to_owned(),
        user_params: pairs(user_params),
        index_params: Vec::new(),
        create_ts: Timestamp(1),
    }
}

#[test]
fn own_settings_go_before_the_collections_and_those_before_defaults() {
    let plain = collection(&[], &[]);
    let [key, vector] = &plain.schema.fields[..] else { panic!("two fields") };
    assert!(maps_columns(&plain) && maps_index(&plain, None));
    assert_eq!(warmup_of_field(&plain, vector), Warmup::Disable);
    assert_eq!(warmup_of_index(&plain, vector, Some(&index(&[]))), Warmup::Async);

    let set = [("mmap.enabled", "False"), ("warmup.vectorIndex", "disable")];
    let copied = collection(&[&set[..], &[("warmup.scalarField", "sync")]].concat(), &[]);
    assert!(!maps_columns(&copied) && !maps_index(&copied, None));
    assert!(maps_index(&copied, Some(&index(&[("mmap.enabled", "true")]))));
    assert_eq!(warmup_of_field(&copied, key), Warmup::Sync);
    assert_eq!(warmup_of_field(&copied, vector), Warmup::Disable);
    assert_eq!(warmup_of_index(&copied, vector, None), Warmup::Disable);
    let own = index(&[("warmup", "sync")]);
    assert_eq!(warmup_of_index(&copied, vector, Some(&own)), Warmup::Sync);

    let field = [("mmap.enabled", "false"), ("warmup", "async")];
    let one = collection(&[("mmap.enabled", "true"), ("warmup.vectorField", "sync")], &field);
    assert!(!maps_columns(&one), "a segment's columns are one file");
    assert!(maps_index(&one, None));
    assert_eq!(warmup_of_field(&one, &one.schema.fields[1]), Warmup::Async);
}

#[tokio::test]
async fn every_buffer_of_a_column_is_read_by_its_policy() {
    let column = Int64Array::from_iter_values(0..10_000).to_data();
    let mut to_read = ToRead::default();
    to_read.add_column(Warmup::Disable, &column);
    assert_eq!(to_read.bytes(), 0);
    to_read.add_column(Warmup::Sync, &column);
    to_read.add(Warmup::Async, Buffer::from(vec![1_u8; 100]));
    assert_eq!((to_read.before.len(), to_read.behind.len(), to_read.bytes()), (1, 1, 80_100));
    to_read.read().await;
    let copy = copied(&Bytes::from_static(b"abc"));
    assert_eq!((copy.as_slice(), copy.as_ptr().align_offset(64)), (&b"abc"[..], 0));
}
