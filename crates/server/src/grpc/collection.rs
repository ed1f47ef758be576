//! Collections: create, drop, has, describe, show, rename, truncate, statistics.

use milvus_proto::{Message as _, common, milvus as pb, schema as schema_pb};
use milvus_proxy::api::{CreateCollectionRequest, DescribedCollection, ListedCollection};
use milvus_types::{Collection, CollectionId, ErrorCode, Failure, KeyValue, Result, Timestamp};
use milvus_values::timestamptz::Zone;

use super::call::Call;
use crate::wire::status::{Reply as _, success};
use crate::wire::{key_values, schema};

pub(super) async fn create(
    call: &Call<'_>,
    request: pb::CreateCollectionRequest,
) -> Result<common::Status> {
    let wire = schema_pb::CollectionSchema::decode(request.schema)
        .map_err(|error| Failure::parameter_invalid(format!("cannot decode schema: {error}")))?;
    let schema::Decoded { part: (schema, structs), unsupported } = schema::from_wire(wire)?;
    let create = CreateCollectionRequest {
        collection_name: request.collection_name,
        schema,
        structs,
        unsupported,
        shards_num: request.shards_num,
        consistency_level: request.consistency_level,
        properties: key_values::from_wire(request.properties),
        num_partitions: request.num_partitions,
    };
    call.proxy.create_collection(&call.context(&request.db_name), create).await?;
    Ok(success())
}

pub(super) async fn drop(
    call: &Call<'_>,
    request: pb::DropCollectionRequest,
) -> Result<common::Status> {
    let cx = call.context(&request.db_name);
    call.proxy.drop_collection(&cx, &request.collection_name).await?;
    Ok(success())
}

pub(super) async fn has(
    call: &Call<'_>,
    request: pb::HasCollectionRequest,
) -> Result<pb::BoolResponse> {
    let cx = call.context(&request.db_name);
    let value = call.proxy.has_collection(&cx, &request.collection_name).await?;
    Ok(pb::BoolResponse { status: Some(success()), value })
}

pub(super) async fn describe(
    call: &Call<'_>,
    request: pb::DescribeCollectionRequest,
) -> Result<pb::DescribeCollectionResponse> {
    let cx = call.context(&request.db_name);
    let id = (request.collection_id != 0).then_some(CollectionId(request.collection_id));
    let described = call.proxy.describe_collection(&cx, &request.collection_name, id).await?;
    Ok(description(&described))
}

pub(super) async fn describe_many(
    call: &Call<'_>,
    request: pb::BatchDescribeCollectionRequest,
) -> Result<pb::BatchDescribeCollectionResponse> {
    if request.collection_name.is_empty() {
        let text = "collection names cannot be empty";
        return Err(Failure::wrap(ErrorCode::ParameterMissing, text));
    }
    let cx = call.context(&request.db_name);
    let mut responses = Vec::with_capacity(request.collection_name.len());
    for name in &request.collection_name {
        let described = call.proxy.describe_collection(&cx, name, None).await;
        responses.push(match described {
            Ok(described) => description(&described),
            Err(failure) => pb::DescribeCollectionResponse {
                collection_name: name.clone(),
                ..pb::DescribeCollectionResponse::of_failure(&failure)
            },
        });
    }
    Ok(pb::BatchDescribeCollectionResponse { status: Some(success()), responses })
}

fn description(described: &DescribedCollection) -> pb::DescribeCollectionResponse {
    let collection = &described.collection;
    let vchannels = &collection.vchannels;
    let zone = collection.property("timezone").and_then(|zone| Zone::parse(zone).ok());
    let mut schema = schema::to_wire(&collection.schema, &zone.unwrap_or_default());
    // After a rename the schema still bears the first name; clients want the present one.
    schema.name.clone_from(&collection.name);
    pb::DescribeCollectionResponse {
        status: Some(success()),
        schema: Some(schema),
        collection_id: collection.id.0,
        virtual_channel_names: vchannels.iter().map(|name| name.as_str().to_owned()).collect(),
        physical_channel_names: vchannels.iter().map(|name| name.pchannel().to_owned()).collect(),
        created_timestamp: collection.create_ts.0,
        created_utc_timestamp: collection.create_ts.physical_ms(),
        shards_num: i32::try_from(vchannels.len()).unwrap_or(i32::MAX),
        aliases: described.aliases.clone(),
        start_positions: Vec::new(),
        consistency_level: collection.consistency_level.number(),
        collection_name: collection.name.clone(),
        properties: key_values::to_wire(&described_properties(collection)),
        db_name: collection.db_name.clone(),
        num_partitions: i64::try_from(collection.partitions.len()).unwrap_or(i64::MAX),
        db_id: collection.db_id.0,
        request_time: 0,
        update_timestamp: collection.update_ts.0,
        update_timestamp_str: collection.update_ts.to_string(),
    }
}

/// The collection's properties, and those that Milvus adds to every collection.
fn described_properties(collection: &Collection) -> Vec<KeyValue> {
    let mut properties = collection.properties.clone();
    let mut add = |key: &str, value: String| {
        if collection.property(key).is_none() {
            properties.push(KeyValue::new(key, value));
        }
    };
    let schema = &collection.schema;
    let fields = schema.fields.iter().map(|field| field.id);
    let last = fields.chain(schema.struct_fields.iter().map(|field| field.id)).max();
    add("max_field_id", last.unwrap_or_default().to_string());
    add("namespace.sharding.enabled", "false".to_owned());
    properties
}

#[expect(deprecated, reason = "old SDKs ask for loaded collections this way")]
pub(super) async fn show(
    call: &Call<'_>,
    request: pb::ShowCollectionsRequest,
) -> Result<pb::ShowCollectionsResponse> {
    let cx = call.context(&request.db_name);
    let mut listed = call.proxy.show_collections(&cx).await?;
    let is_loaded_only = request.r#type == i32::from(pb::ShowType::InMemory);
    if is_loaded_only {
        let asked_for = &request.collection_names;
        listed.retain(|entry| {
            let is_asked_for = asked_for.is_empty() || asked_for.contains(&entry.collection.name);
            entry.loaded_percent > 0 && is_asked_for
        });
    }
    let timestamps = |of: fn(Timestamp) -> u64| {
        listed.iter().map(|entry| of(entry.collection.create_ts)).collect::<Vec<_>>()
    };
    let percentages = |entry: &ListedCollection| entry.loaded_percent;
    Ok(pb::ShowCollectionsResponse {
        status: Some(success()),
        collection_names: listed.iter().map(|entry| entry.collection.name.clone()).collect(),
        collection_ids: listed.iter().map(|entry| entry.collection.id.0).collect(),
        created_timestamps: timestamps(|ts| ts.0),
        created_utc_timestamps: timestamps(Timestamp::physical_ms),
        in_memory_percentages: if is_loaded_only {
            listed.iter().map(percentages).collect()
        } else {
            Vec::new()
        },
        query_service_available: if is_loaded_only {
            listed.iter().map(|entry| entry.loaded_percent >= 100).collect()
        } else {
            Vec::new()
        },
        shards_num: listed
            .iter()
            .map(|entry| i32::try_from(entry.collection.vchannels.len()).unwrap_or(i32::MAX))
            .collect(),
    })
}

pub(super) async fn rename(
    call: &Call<'_>,
    request: pb::RenameCollectionRequest,
) -> Result<common::Status> {
    let cx = call.context(&request.db_name);
    call.proxy
        .rename_collection(&cx, &request.old_name, &request.new_db_name, &request.new_name)
        .await?;
    Ok(success())
}

pub(super) async fn truncate(
    call: &Call<'_>,
    request: pb::TruncateCollectionRequest,
) -> Result<pb::TruncateCollectionResponse> {
    let cx = call.context(&request.db_name);
    call.proxy.truncate_collection(&cx, &request.collection_name).await?;
    Ok(pb::TruncateCollectionResponse { status: Some(success()) })
}

pub(super) async fn statistics(
    call: &Call<'_>,
    request: pb::GetCollectionStatisticsRequest,
) -> Result<pb::GetCollectionStatisticsResponse> {
    let cx = call.context(&request.db_name);
    let rows = call.proxy.collection_statistics(&cx, &request.collection_name).await?;
    Ok(pb::GetCollectionStatisticsResponse { status: Some(success()), stats: row_count(rows) })
}

/// The one statistic there is.
pub(super) fn row_count(rows: u64) -> Vec<common::KeyValuePair> {
    vec![common::KeyValuePair { key: "row_count".to_owned(), value: rows.to_string() }]
}
