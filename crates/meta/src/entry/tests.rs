//! Every kind reads back what it wrote, and what earlier programs wrote.

use std::fmt::Debug;
use std::path::Path;

use milvus_types::{
    Collection, CollectionId, CollectionSchema, ConsistencyLevel, DataType, DatabaseId, FieldId,
    FieldSchema, IndexId, IndexMeta, KeyValue, Partition, PartitionId, SegmentId, StructField,
    Timestamp, VChannel, Value,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

/// A collection in the default database that uses every part of the format.
pub(crate) fn collection(id: i64) -> CollectionEntry {
    let field = |id: i64, name: &str, data_type| FieldSchema {
        id: FieldId(id),
        name: name.into(),
        data_type,
        ..FieldSchema::default()
    };
    let key = FieldSchema { is_primary_key: true, ..field(100, "id", DataType::Int64) };
    let vector = FieldSchema {
        type_params: vec![KeyValue::new("dim", "8")],
        description: "what it means".into(),
        ..field(101, "vector", DataType::FloatVector)
    };
    let tags = FieldSchema {
        element_type: Some(DataType::VarChar),
        nullable: true,
        default_value: Some(Value::Array(vec![Value::VarChar("a".into()), Value::Double(0.5)])),
        ..field(102, "tags", DataType::Array)
    };
    let dynamic = FieldSchema { is_dynamic: true, ..field(103, "$meta", DataType::JSON) };
    let collection = Collection {
        id: CollectionId(id),
        db_id: DatabaseId::DEFAULT,
        db_name: "default".into(),
        name: format!("collection_{id}"),
        schema: CollectionSchema {
            name: format!("collection_{id}"),
            description: "for tests".into(),
            fields: vec![key, vector, tags, dynamic],
            struct_fields: Vec::new(),
            enable_dynamic_field: true,
            properties: vec![KeyValue::new("a", "b")],
            version: 3,
        },
        partitions: vec![Partition {
            id: PartitionId(id + 1),
            name: "_default".into(),
            create_ts: Timestamp(5),
        }],
        vchannels: vec![VChannel::new("by-dev-rootcoord-dml_0", CollectionId(id), 0)],
        consistency_level: ConsistencyLevel::Bounded,
        properties: vec![KeyValue::new("timezone", "UTC")],
        create_ts: Timestamp(5),
        update_ts: Timestamp(6),
    };
    CollectionEntry { collection, state: CollectionState::Created }
}

/// An index of `collection`.
pub(crate) fn index(collection: i64, id: i64) -> IndexMeta {
    IndexMeta {
        id: IndexId(id),
        collection_id: CollectionId(collection),
        field_id: FieldId(101),
        field_name: "vector".into(),
        name: format!("index_{id}"),
        user_params: vec![KeyValue::new("params", "{\"M\": 16}")],
        index_params: vec![KeyValue::new("index_type", "HNSW"), KeyValue::new("M", "16")],
        create_ts: Timestamp(9),
    }
}

fn load() -> LoadEntry {
    LoadEntry {
        collection_id: CollectionId(7),
        load_type: LoadType::Partitions,
        partition_ids: vec![PartitionId(8), PartitionId(9)],
        replica_number: 2,
        load_fields: vec![FieldId(100), FieldId(101)],
    }
}

fn compaction() -> CompactionEntry {
    let part = |sources: [i64; 2], targets: &[i64], state| CompactionPart {
        sources: sources.map(SegmentId).to_vec(),
        targets: targets.iter().copied().map(SegmentId).collect(),
        state,
    };
    CompactionEntry {
        id: 11,
        collection_id: CollectionId(7),
        asked: AskedCompaction::Force { target_mib: 2048 },
        partition_id: Some(PartitionId(8)),
        vchannel: Some(VChannel::new("by-dev-rootcoord-dml_0", CollectionId(7), 0)),
        segments: vec![SegmentId(20), SegmentId(21)],
        ready_ms: 1_700_000_000_000,
        ended_ms: Some(1_700_000_005_000),
        parts: vec![
            part([20, 21], &[30], CompactionPartState::Completed),
            part([22, 23], &[], CompactionPartState::Failed),
            part([24, 25], &[], CompactionPartState::Executing),
        ],
    }
}

fn database() -> DatabaseEntry {
    DatabaseEntry {
        id: DatabaseId(2),
        name: "second".into(),
        properties: vec![KeyValue::new("database.max.collections", "10")],
        create_ts: Timestamp(4),
    }
}

fn alias() -> AliasEntry {
    AliasEntry { db_id: DatabaseId(2), name: "other".into(), collection_id: CollectionId(7) }
}

#[track_caller]
fn reads_back<E: Entry + PartialEq + Debug>(entry: &E) {
    let bytes = entry.encode();
    assert_eq!(E::decode("key", &bytes).as_ref(), Ok(entry));
    assert!(entry.key().starts_with(&E::prefix()));
    assert!(E::decode("key", &bytes[..bytes.len() - 1]).is_err());
}

#[track_caller]
fn is_golden<E: Entry + PartialEq + Debug>(name: &str, key: &str, entry: &E) {
    reads_back(entry);
    assert_eq!(entry.key(), key);
    let path = Path::new("tests/golden/v1").join(name);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, entry.encode()).unwrap();
    }
    let golden = std::fs::read(path).unwrap();
    assert_eq!(E::decode(key, &golden).as_ref(), Ok(entry), "{name}");
    assert_eq!(entry.encode(), golden, "{name}");
}

#[test]
fn keys_and_bytes_of_version_1_are_what_they_were() {
    is_golden("collection", "milvus/v1/collection/1/7", &collection(7));
    is_golden("index", "milvus/v1/index/7/3", &index(7, 3));
    is_golden("load", "milvus/v1/load/7", &load());
    is_golden("database", "milvus/v1/database/2", &database());
    is_golden("alias", "milvus/v1/alias/2/other", &alias());
    let manifest = ManifestEntry { collection_id: CollectionId(7), version: 42 };
    is_golden("manifest", "milvus/v1/manifest/7", &manifest);
    is_golden("tso", "milvus/v1/tso", &TsoEntry { high_water: Timestamp(1 << 60) });
    is_golden("id", "milvus/v1/id", &IdEntry { next: 1_000_000 });
    is_golden("format", "milvus/v1/format", &FormatEntry { version: 1 });
    let placement = PlacementEntry {
        installation: "0f".repeat(16),
        data: "s3 bucket a-bucket, path files".to_owned(),
        log: "woodpecker beside the data".to_owned(),
        start: "1a".repeat(16),
        next_start: "2b".repeat(16),
    };
    is_golden("placement", "milvus/v1/placement", &placement);
    is_golden("compaction", "milvus/v1/compaction/11", &compaction());
    let cut = LogCutEntry { pchannel: "by-dev-rootcoord-dml_3".to_owned(), before: 4096 };
    is_golden("log-cut", "milvus/v1/log-cut/by-dev-rootcoord-dml_3", &cut);
}

#[test]
fn unknown_numbers_are_errors_and_unknown_fields_are_skipped() {
    #[derive(Clone, PartialEq, prost::Message)]
    struct Later {
        #[prost(int64, tag = "1")]
        collection_id: i64,
        #[prost(uint64, tag = "2")]
        version: u64,
        #[prost(string, tag = "99")]
        news: String,
    }
    let later = Later { collection_id: 7, version: 42, news: "unheard of".into() };
    let found = ManifestEntry::decode("key", &crate::codec::seal(1, &later));
    assert_eq!(found, Ok(ManifestEntry { collection_id: CollectionId(7), version: 42 }));
    // Read as a load, the version stands where the type is.
    let error = LoadEntry::decode("key", &crate::codec::seal(1, &later)).unwrap_err();
    assert_eq!(error.to_string(), "metadata entry key cannot be read: it has load type 42");
}

fn pairs() -> impl Strategy<Value = Vec<KeyValue>> {
    vec(any::<(String, String)>().prop_map(|(key, value)| KeyValue { key, value }), 0..3)
}

fn data_type() -> impl Strategy<Value = DataType> {
    prop::sample::select(DataType::ALL)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int64),
        any::<f64>().prop_filter("equal to itself", |v| !v.is_nan()).prop_map(Value::Double),
        any::<String>().prop_map(Value::VarChar),
        any::<Vec<u8>>().prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| vec(inner, 0..3).prop_map(Value::Array))
}

prop_compose! {
    fn field()(
        (id, name, description) in any::<(i64, String, String)>(),
        data_type in data_type(), element_type in option::of(data_type()),
        flags: [bool; 6], default_value in option::of(value()), type_params in pairs(),
    ) -> FieldSchema {
        let [is_primary_key, auto_id, is_dynamic, is_partition_key, is_clustering_key, nullable] =
            flags;
        FieldSchema {
            id: FieldId(id), name, description, data_type, element_type, is_primary_key, auto_id,
            is_dynamic, is_partition_key, is_clustering_key, nullable, default_value, type_params,
        }
    }
}

prop_compose! {
    fn struct_field()(
        (id, name, description, nullable) in any::<(i64, String, String, bool)>(),
        type_params in pairs(),
    ) -> StructField {
        StructField { id: FieldId(id), name, description, nullable, type_params }
    }
}

prop_compose! {
    fn any_collection()(
        (id, db_id, create_ts, update_ts) in any::<(i64, i64, u64, u64)>(),
        (db_name, name, schema_name, description) in any::<(String, String, String, String)>(),
        (fields, properties, schema_properties) in (vec(field(), 0..4), pairs(), pairs()),
        struct_fields in vec(struct_field(), 0..3),
        partitions in vec(any::<(i64, String, u64)>(), 0..3),
        vchannels in vec(any::<String>(), 0..3),
        (level, dropping, enable_dynamic_field, version) in
            (0..5, any::<bool>(), any::<bool>(), any::<i32>()),
    ) -> CollectionEntry {
        let state = if dropping { CollectionState::Dropping } else { CollectionState::Created };
        let schema = CollectionSchema {
            name: schema_name, description, fields, struct_fields, enable_dynamic_field,
            properties: schema_properties, version,
        };
        let partition =
            |(id, name, ts)| Partition { id: PartitionId(id), name, create_ts: Timestamp(ts) };
        let collection = Collection {
            id: CollectionId(id), db_id: DatabaseId(db_id), db_name, name, schema,
            partitions: partitions.into_iter().map(partition).collect(),
            vchannels: vchannels.iter().map(|name| VChannel::from_name(name)).collect(),
            consistency_level: ConsistencyLevel::from_number(level).unwrap(),
            properties, create_ts: Timestamp(create_ts), update_ts: Timestamp(update_ts),
        };
        CollectionEntry { collection, state }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_collection_reads_back(entry in any_collection()) {
        reads_back(&entry);
    }

    #[test]
    fn any_other_entry_reads_back(
        (a, b, c) in any::<(i64, i64, i64)>(), (name, field_name) in any::<(String, String)>(),
        (one, two) in (pairs(), pairs()), ts: u64, version: u64, replica_number: i32,
        ids: Vec<i64>, fields: Vec<i64>, whole: bool,
    ) {
        reads_back(&IndexMeta {
            id: IndexId(a), collection_id: CollectionId(b), field_id: FieldId(c),
            field_name, name: name.clone(), user_params: one.clone(), index_params: two,
            create_ts: Timestamp(ts),
        });
        reads_back(&DatabaseEntry {
            id: DatabaseId(a), name, properties: one, create_ts: Timestamp(ts),
        });
        reads_back(&LoadEntry {
            collection_id: CollectionId(a),
            load_type: if whole { LoadType::Collection } else { LoadType::Partitions },
            partition_ids: ids.into_iter().map(PartitionId).collect(),
            replica_number,
            load_fields: fields.into_iter().map(FieldId).collect(),
        });
        reads_back(&CompactionEntry {
            id: a,
            collection_id: CollectionId(b),
            asked: if whole { AskedCompaction::Merge } else { AskedCompaction::Clustering },
            partition_id: whole.then_some(PartitionId(c)),
            vchannel: whole.then(|| VChannel::from_name("c_1v0")),
            ready_ms: version,
            ended_ms: whole.then_some(ts),
            ..compaction()
        });
        reads_back(&ManifestEntry { collection_id: CollectionId(a), version });
        reads_back(&TsoEntry { high_water: Timestamp(ts) });
        reads_back(&IdEntry { next: a & i64::MAX });
    }

    #[test]
    fn any_message_is_read_or_refused_without_panic(bytes: Vec<u8>) {
        /// A message that is any bytes at all.
        #[derive(Clone, Default, Debug)]
        struct Raw(Vec<u8>);
        impl prost::Message for Raw {
            fn encode_raw(&self, buf: &mut impl prost::bytes::BufMut) {
                buf.put_slice(&self.0);
            }
            fn merge_field(
                &mut self, _: u32, _: prost::encoding::WireType, _: &mut impl prost::bytes::Buf,
                _: prost::encoding::DecodeContext,
            ) -> Result<(), prost::DecodeError> {
                Ok(())
            }
            fn encoded_len(&self) -> usize {
                self.0.len()
            }
            fn clear(&mut self) {}
        }
        let sealed = crate::codec::seal(1, &Raw(bytes));
        let _ = CollectionEntry::decode("key", &sealed);
        let _ = IndexMeta::decode("key", &sealed);
        let _ = LoadEntry::decode("key", &sealed);
        let _ = CompactionEntry::decode("key", &sealed);
    }
}
