//! Schema changes on a collection of two fields.

use milvus_types::{CollectionId, DatabaseId, Partition, PartitionId};

use super::*;

fn collection() -> Collection {
    let field = |id, name: &str, data_type| FieldSchema {
        id: FieldId(id),
        name: name.to_owned(),
        data_type,
        ..FieldSchema::default()
    };
    let key = FieldSchema { is_primary_key: true, ..field(100, "id", DataType::Int64) };
    Collection {
        id: CollectionId(7),
        db_id: DatabaseId::DEFAULT,
        db_name: "default".into(),
        name: "c".into(),
        schema: CollectionSchema {
            name: "c".into(),
            fields: vec![key, field(101, "v", DataType::FloatVector)],
            ..CollectionSchema::default()
        },
        partitions: vec![Partition {
            id: PartitionId(8),
            name: "_default".into(),
            create_ts: Timestamp(1),
        }],
        vchannels: vec![],
        consistency_level: ConsistencyLevel::Bounded,
        properties: vec![KeyValue::new("timezone", "UTC")],
        create_ts: Timestamp(1),
        update_ts: Timestamp(1),
    }
}

fn named(name: &str) -> FieldSchema {
    FieldSchema { name: name.to_owned(), nullable: true, ..FieldSchema::default() }
}

#[test]
fn ids_of_dropped_fields_are_never_given_again() {
    let mut changed = collection();
    alter(&mut changed, CollectionChange::AddField(named("a"))).unwrap();
    assert_eq!(changed.schema.field("a").unwrap().id, FieldId(102));
    alter(&mut changed, CollectionChange::DropField("a".into())).unwrap();
    alter(&mut changed, CollectionChange::AddField(named("a"))).unwrap();
    assert_eq!(changed.schema.field("a").unwrap().id, FieldId(103));
    let field = StructField { name: "s".into(), ..StructField::default() };
    let sub = FieldSchema { data_type: DataType::Array, ..named("s[x]") };
    let add = CollectionChange::AddStructField { field, sub_fields: vec![sub] };
    alter(&mut changed, add).unwrap();
    assert_eq!(changed.schema.struct_field("s").unwrap().id, FieldId(104));
    assert_eq!(changed.schema.field("s[x]").unwrap().id, FieldId(105));
    alter(&mut changed, CollectionChange::DropField("s".into())).unwrap();
    assert!(changed.schema.field("s[x]").is_none());
    alter(&mut changed, CollectionChange::AddField(named("b"))).unwrap();
    assert_eq!(changed.schema.field("b").unwrap().id, FieldId(106));
}

#[test]
fn some_properties_set_what_they_name_and_are_not_kept() {
    let mut changed = collection();
    let set = vec![
        KeyValue::new(DESCRIPTION, "words"),
        KeyValue::new(CONSISTENCY_LEVEL, "Strong"),
        KeyValue::new("mmap.enabled", "true"),
    ];
    let change = PropertyChange { set, delete: vec![] };
    alter(&mut changed, CollectionChange::Properties(change)).unwrap();
    assert_eq!(changed.schema.description, "words");
    assert_eq!(changed.consistency_level, ConsistencyLevel::Strong);
    let utc = KeyValue::new("timezone", "UTC");
    assert_eq!(changed.properties, [utc, KeyValue::new("mmap.enabled", "true")]);

    for (enable, fields) in [("true", 3), ("true", 3), ("false", 2)] {
        let set = vec![KeyValue::new(DYNAMIC_FIELD_ENABLED, enable)];
        let change = PropertyChange { set, delete: vec![] };
        alter(&mut changed, CollectionChange::Properties(change)).unwrap();
        assert_eq!(changed.schema.fields.len(), fields);
        assert_eq!(changed.schema.enable_dynamic_field, enable == "true");
    }
}

#[test]
fn there_is_always_a_time_zone_and_ids_are_not_a_clients_to_set() {
    let mut changed = collection();
    let mut change = |set: &[(&str, &str)], delete: &[&str]| {
        let set = set.iter().map(|(key, value)| KeyValue::new(*key, *value)).collect();
        let delete = delete.iter().map(|key| (*key).to_owned()).collect();
        let change = CollectionChange::Properties(PropertyChange { set, delete });
        alter(&mut changed, change).unwrap();
        changed.properties.clone()
    };
    let zone = |zone: &str| vec![KeyValue::new("timezone", zone)];
    assert_eq!(
        change(&[("timezone", "Asia/Tokyo"), ("max_field_id", "7")], &[]),
        zone("Asia/Tokyo")
    );
    assert_eq!(change(&[], &["timezone", "max_field_id"]), zone("UTC"));
    alter(&mut changed, CollectionChange::AddField(named("a"))).unwrap();
    alter(&mut changed, CollectionChange::DropField("a".into())).unwrap();
    let reset = PropertyChange { set: vec![KeyValue::new("max_field_id", "1")], delete: vec![] };
    alter(&mut changed, CollectionChange::Properties(reset)).unwrap();
    alter(&mut changed, CollectionChange::AddField(named("b"))).unwrap();
    assert_eq!(changed.schema.field("b").unwrap().id, FieldId(103));
}

#[test]
fn a_name_is_taken_once() {
    let mut changed = collection();
    let refused = alter(&mut changed, CollectionChange::AddField(named("v"))).unwrap_err();
    assert_eq!(refused.reason, "duplicate field name: v: invalid parameter");
    assert!(alter(&mut changed, CollectionChange::DropField("w".into())).is_err());
}
