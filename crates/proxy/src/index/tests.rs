//! Names under which indexed fields are described.

use milvus_types::{
    CollectionId, CollectionSchema, ConsistencyLevel, DataType, DatabaseId, FieldId, FieldSchema,
    IndexId, KeyValue,
};

use super::*;

#[test]
fn a_dynamic_key_is_described_by_its_own_name() {
    let meta = FieldSchema {
        id: FieldId(102),
        name: "$meta".into(),
        data_type: DataType::JSON,
        is_dynamic: true,
        ..FieldSchema::default()
    };
    let json =
        FieldSchema { id: FieldId(101), name: "j".into(), is_dynamic: false, ..meta.clone() };
    let collection = Collection {
        id: CollectionId(1),
        db_id: DatabaseId::DEFAULT,
        db_name: "default".into(),
        name: "c".into(),
        schema: CollectionSchema { fields: vec![json, meta], ..CollectionSchema::default() },
        partitions: Vec::new(),
        vchannels: Vec::new(),
        consistency_level: ConsistencyLevel::Strong,
        properties: Vec::new(),
        create_ts: Timestamp(1),
        update_ts: Timestamp(1),
    };
    let index = |field: i64, field_name: &str, path: &str| IndexMeta {
        id: IndexId(1),
        collection_id: CollectionId(1),
        field_id: FieldId(field),
        field_name: field_name.into(),
        name: "i".into(),
        user_params: Vec::new(),
        index_params: vec![KeyValue::new(JSON_PATH, path)],
        create_ts: Timestamp(1),
    };
    for (index, expected) in [
        (index(102, "$meta", "/color/0"), "color"),
        (index(102, "$meta", "/a~1b"), "a/b"),
        (index(102, "$meta", ""), "$meta"),
        (index(101, "j", "/a"), "j"),
    ] {
        assert_eq!(field_name(&collection, &index), expected);
    }
}
