//! A collection: its schema, partitions, shards and properties, and whether it is being dropped.

use bytes::Bytes;
use milvus_types::{
    Collection, CollectionId, CollectionSchema, ConsistencyLevel, DataType, DatabaseId, FieldId,
    FieldSchema, Partition, PartitionId, StructField, Timestamp, VChannel, Value,
};
use prost::{Message, Oneof};

use super::{Entry, ROOT};
use crate::codec::{Pair, seal, unseal};
use crate::error::Undecodable;

/// Whether a collection is there for users; numbers as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CollectionState {
    /// It is.
    Created = 1,
    /// Its data is being removed; nobody sees it any more.
    Dropping = 2,
}

/// A collection and its state.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectionEntry {
    /// The collection.
    pub collection: Collection,
    /// Whether it is being dropped.
    pub state: CollectionState,
}

#[derive(Clone, PartialEq, Message)]
struct CollectionMessage {
    #[prost(int64, tag = "1")]
    id: i64,
    #[prost(int64, tag = "2")]
    db_id: i64,
    #[prost(string, tag = "3")]
    db_name: String,
    #[prost(string, tag = "4")]
    name: String,
    #[prost(message, optional, tag = "5")]
    schema: Option<SchemaMessage>,
    #[prost(message, repeated, tag = "6")]
    partitions: Vec<PartitionMessage>,
    #[prost(string, repeated, tag = "7")]
    vchannels: Vec<String>,
    #[prost(int32, tag = "8")]
    consistency_level: i32,
    #[prost(message, repeated, tag = "9")]
    properties: Vec<Pair>,
    #[prost(fixed64, tag = "10")]
    create_ts: u64,
    #[prost(fixed64, tag = "11")]
    update_ts: u64,
    #[prost(int32, tag = "12")]
    state: i32,
}

#[derive(Clone, PartialEq, Message)]
struct PartitionMessage {
    #[prost(int64, tag = "1")]
    id: i64,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(fixed64, tag = "3")]
    create_ts: u64,
}

#[derive(Clone, PartialEq, Message)]
struct SchemaMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    description: String,
    #[prost(message, repeated, tag = "3")]
    fields: Vec<FieldMessage>,
    #[prost(bool, tag = "4")]
    enable_dynamic_field: bool,
    #[prost(message, repeated, tag = "5")]
    properties: Vec<Pair>,
    #[prost(int32, tag = "6")]
    version: i32,
    #[prost(message, repeated, tag = "7")]
    struct_fields: Vec<StructFieldMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct StructFieldMessage {
    #[prost(int64, tag = "1")]
    id: i64,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    description: String,
    #[prost(bool, tag = "4")]
    nullable: bool,
    #[prost(message, repeated, tag = "5")]
    type_params: Vec<Pair>,
}

#[derive(Clone, PartialEq, Message)]
struct FieldMessage {
    #[prost(int64, tag = "1")]
    id: i64,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    description: String,
    #[prost(int32, tag = "4")]
    data_type: i32,
    #[prost(int32, optional, tag = "5")]
    element_type: Option<i32>,
    #[prost(bool, tag = "6")]
    is_primary_key: bool,
    #[prost(bool, tag = "7")]
    auto_id: bool,
    #[prost(bool, tag = "8")]
    is_dynamic: bool,
    #[prost(bool, tag = "9")]
    is_partition_key: bool,
    #[prost(bool, tag = "10")]
    is_clustering_key: bool,
    #[prost(bool, tag = "11")]
    nullable: bool,
    #[prost(message, optional, tag = "12")]
    default_value: Option<ValueMessage>,
    #[prost(message, repeated, tag = "13")]
    type_params: Vec<Pair>,
}

#[derive(Clone, PartialEq, Message)]
struct ValueMessage {
    #[prost(oneof = "ValueKind", tags = "1, 2, 3, 4, 5, 6, 7, 8")]
    kind: Option<ValueKind>,
}

#[derive(Clone, PartialEq, Oneof)]
enum ValueKind {
    #[prost(bool, tag = "1")]
    Bool(bool),
    #[prost(int64, tag = "2")]
    Int64(i64),
    #[prost(double, tag = "3")]
    Double(f64),
    #[prost(string, tag = "4")]
    VarChar(String),
    #[prost(bytes, tag = "5")]
    Bytes(Vec<u8>),
    #[prost(message, tag = "6")]
    Array(ArrayMessage),
    #[prost(int32, tag = "7")]
    Int32(i32),
    #[prost(float, tag = "8")]
    Float(f32),
}

#[derive(Clone, PartialEq, Message)]
struct ArrayMessage {
    #[prost(message, repeated, tag = "1")]
    values: Vec<ValueMessage>,
}

impl Entry for CollectionEntry {
    type Id = (DatabaseId, CollectionId);

    fn prefix() -> String {
        format!("{ROOT}collection/")
    }

    fn key_of((db, collection): &Self::Id) -> String {
        format!("{}{db}/{collection}", Self::prefix())
    }

    fn id(&self) -> Self::Id {
        (self.collection.db_id, self.collection.id)
    }

    fn encode(&self) -> Bytes {
        let Collection {
            id,
            db_id,
            db_name,
            name,
            schema,
            partitions,
            vchannels,
            consistency_level,
            properties,
            create_ts,
            update_ts,
        } = &self.collection;
        let partition = |p: &Partition| PartitionMessage {
            id: p.id.0,
            name: p.name.clone(),
            create_ts: p.create_ts.0,
        };
        let message = CollectionMessage {
            id: id.0,
            db_id: db_id.0,
            db_name: db_name.clone(),
            name: name.clone(),
            schema: Some(encode_schema(schema)),
            partitions: partitions.iter().map(partition).collect(),
            vchannels: vchannels.iter().map(|channel| channel.as_str().to_owned()).collect(),
            consistency_level: consistency_level.number(),
            properties: Pair::from_all(properties),
            create_ts: create_ts.0,
            update_ts: update_ts.0,
            state: self.state as i32,
        };
        seal(1, &message)
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Undecodable> {
        let message: CollectionMessage = unseal(key, 1, bytes)?;
        let unknown = |what: &str, number: i32| {
            Undecodable::new(key, format!("it has {what} {number}, which is unknown"))
        };
        let state = match message.state {
            1 => CollectionState::Created,
            2 => CollectionState::Dropping,
            other => return Err(unknown("state", other)),
        };
        let level = message.consistency_level;
        let partition = |p: PartitionMessage| Partition {
            id: PartitionId(p.id),
            name: p.name,
            create_ts: Timestamp(p.create_ts),
        };
        let collection = Collection {
            id: CollectionId(message.id),
            db_id: DatabaseId(message.db_id),
            db_name: message.db_name,
            name: message.name,
            schema: decode_schema(key, message.schema.unwrap_or_default())?,
            partitions: message.partitions.into_iter().map(partition).collect(),
            vchannels: message.vchannels.iter().map(|name| VChannel::from_name(name)).collect(),
            consistency_level: ConsistencyLevel::from_number(level)
                .ok_or_else(|| unknown("consistency level", level))?,
            properties: Pair::into_all(message.properties),
            create_ts: Timestamp(message.create_ts),
            update_ts: Timestamp(message.update_ts),
        };
        Ok(Self { collection, state })
    }
}

fn encode_schema(schema: &CollectionSchema) -> SchemaMessage {
    let CollectionSchema {
        name,
        description,
        fields,
        struct_fields,
        enable_dynamic_field,
        properties,
        version,
    } = schema;
    SchemaMessage {
        struct_fields: struct_fields.iter().map(encode_struct_field).collect(),
        name: name.clone(),
        description: description.clone(),
        fields: fields.iter().map(encode_field).collect(),
        enable_dynamic_field: *enable_dynamic_field,
        properties: Pair::from_all(properties),
        version: *version,
    }
}

fn decode_schema(key: &str, message: SchemaMessage) -> Result<CollectionSchema, Undecodable> {
    let fields = message.fields.into_iter().map(|field| decode_field(key, field));
    Ok(CollectionSchema {
        name: message.name,
        description: message.description,
        fields: fields.collect::<Result<_, _>>()?,
        struct_fields: message.struct_fields.into_iter().map(decode_struct_field).collect(),
        enable_dynamic_field: message.enable_dynamic_field,
        properties: Pair::into_all(message.properties),
        version: message.version,
    })
}

fn encode_struct_field(field: &StructField) -> StructFieldMessage {
    let StructField { id, name, description, nullable, type_params } = field;
    StructFieldMessage {
        id: id.0,
        name: name.clone(),
        description: description.clone(),
        nullable: *nullable,
        type_params: Pair::from_all(type_params),
    }
}

fn decode_struct_field(message: StructFieldMessage) -> StructField {
    let StructFieldMessage { id, name, description, nullable, type_params } = message;
    let type_params = Pair::into_all(type_params);
    StructField { id: FieldId(id), name, description, nullable, type_params }
}

fn encode_field(field: &FieldSchema) -> FieldMessage {
    let FieldSchema {
        id,
        name,
        description,
        data_type,
        element_type,
        is_primary_key,
        auto_id,
        is_dynamic,
        is_partition_key,
        is_clustering_key,
        nullable,
        default_value,
        type_params,
    } = field;
    FieldMessage {
        id: id.0,
        name: name.clone(),
        description: description.clone(),
        data_type: data_type.number(),
        element_type: element_type.map(DataType::number),
        is_primary_key: *is_primary_key,
        auto_id: *auto_id,
        is_dynamic: *is_dynamic,
        is_partition_key: *is_partition_key,
        is_clustering_key: *is_clustering_key,
        nullable: *nullable,
        default_value: default_value.as_ref().map(encode_value),
        type_params: Pair::from_all(type_params),
    }
}

fn decode_field(key: &str, message: FieldMessage) -> Result<FieldSchema, Undecodable> {
    let data_type = |number| {
        DataType::from_number(number).ok_or_else(|| {
            let what = format!("field {} has data type {number}, which is unknown", message.name);
            Undecodable::new(key, what)
        })
    };
    Ok(FieldSchema {
        id: FieldId(message.id),
        data_type: data_type(message.data_type)?,
        element_type: message.element_type.map(data_type).transpose()?,
        default_value: message.default_value.map(|v| decode_value(key, v)).transpose()?,
        name: message.name,
        description: message.description,
        is_primary_key: message.is_primary_key,
        auto_id: message.auto_id,
        is_dynamic: message.is_dynamic,
        is_partition_key: message.is_partition_key,
        is_clustering_key: message.is_clustering_key,
        nullable: message.nullable,
        type_params: Pair::into_all(message.type_params),
    })
}

fn encode_value(value: &Value) -> ValueMessage {
    let kind = match value {
        Value::Bool(value) => ValueKind::Bool(*value),
        Value::Int32(value) => ValueKind::Int32(*value),
        Value::Int64(value) => ValueKind::Int64(*value),
        Value::Float(value) => ValueKind::Float(*value),
        Value::Double(value) => ValueKind::Double(*value),
        Value::VarChar(value) => ValueKind::VarChar(value.clone()),
        Value::Bytes(value) => ValueKind::Bytes(value.clone()),
        Value::Array(values) => {
            ValueKind::Array(ArrayMessage { values: values.iter().map(encode_value).collect() })
        }
    };
    ValueMessage { kind: Some(kind) }
}

fn decode_value(key: &str, message: ValueMessage) -> Result<Value, Undecodable> {
    Ok(match message.kind {
        Some(ValueKind::Bool(value)) => Value::Bool(value),
        Some(ValueKind::Int32(value)) => Value::Int32(value),
        Some(ValueKind::Int64(value)) => Value::Int64(value),
        Some(ValueKind::Float(value)) => Value::Float(value),
        Some(ValueKind::Double(value)) => Value::Double(value),
        Some(ValueKind::VarChar(value)) => Value::VarChar(value),
        Some(ValueKind::Bytes(value)) => Value::Bytes(value),
        Some(ValueKind::Array(array)) => Value::Array(
            array.values.into_iter().map(|v| decode_value(key, v)).collect::<Result<_, _>>()?,
        ),
        None => {
            return Err(Undecodable::new(key, "a default value is of an unknown kind"));
        }
    })
}
