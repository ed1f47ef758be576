//! Filters, partitions and time zones of a request, resolved for one collection.

use std::sync::Arc;

use milvus_base::random;
use milvus_expr::{Plan, PlanOptions, Templates};
use milvus_types::{Collection, CollectionSchema, Failure, KeyValue, PartitionId, Result};

use crate::api::TimeFormat;
use crate::insert::partition_key;
use crate::validate::{names, properties};
use crate::wire_text::{param, parse_bool};

/// The zone of collections that name none.
const UTC: &str = "UTC";

/// Plans `expr`, times read as UTC; a refusal begins `failed to create {purpose} plan: `.
pub(crate) fn plan(
    expr: &str,
    templates: &Templates,
    schema: &CollectionSchema,
    purpose: &str,
) -> Result<Plan> {
    plan_in_zone(expr, templates, schema, UTC, purpose)
}

/// Plans `expr`, times that name no zone read in `zone`.
pub(crate) fn plan_in_zone(
    expr: &str,
    templates: &Templates,
    schema: &CollectionSchema,
    zone: &str,
    purpose: &str,
) -> Result<Plan> {
    planned(expr, templates, schema, zone).map_err(|reason| {
        Failure::parameter_invalid(format!("failed to create {purpose} plan: {reason}"))
    })
}

/// Plans `expr`, or says why it cannot be.
pub(crate) fn planned(
    expr: &str,
    templates: &Templates,
    schema: &CollectionSchema,
    zone: &str,
) -> std::result::Result<Plan, String> {
    let zone = properties::zone_of(zone).map_err(|failure| failure.reason)?;
    let options = PlanOptions { zone, seed: random::u64(), ..PlanOptions::default() };
    milvus_expr::plan_with(expr, schema, templates, &options).map_err(|error| error.message(expr))
}

/// Checks how partitions are named, and whether they may be.
pub(crate) fn check_names(
    collection: &Collection,
    partition_names: &[String],
    max_name_length: usize,
) -> Result<()> {
    if collection.schema.partition_key().is_some() && !partition_names.is_empty() {
        return Err(Failure::parameter_invalid(
            "not support manually specifying the partition names if partition key mode is used",
        ));
    }
    for name in partition_names {
        names::partition(name, false, max_name_length)?;
    }
    Ok(())
}

/// The partitions a read names; none for all.
pub(crate) fn partitions(
    collection: &Collection,
    partition_names: &[String],
    max_name_length: usize,
) -> Result<Option<Arc<[PartitionId]>>> {
    check_names(collection, partition_names, max_name_length)?;
    if partition_names.is_empty() {
        return Ok(None);
    }
    let mut ids = Vec::with_capacity(partition_names.len());
    for name in partition_names {
        let partition = collection.partition(name).ok_or_else(|| {
            Failure::parameter_invalid(format!("partition name {name} not found"))
        })?;
        if !ids.contains(&partition.id) {
            ids.push(partition.id);
        }
    }
    Ok(Some(ids.into()))
}

/// The partitions where rows that pass `filter` can lie, of those named: where a key decides, the
/// partitions of the keys that the filter asks for.
pub(crate) fn pruned(
    collection: &Collection,
    named: Option<&Arc<[PartitionId]>>,
    filter: &Plan,
) -> Result<Option<Arc<[PartitionId]>>> {
    let key = collection.schema.partition_key();
    let values = key.and_then(|key| filter.key_values(key.id));
    match values.filter(|values| !values.is_empty()) {
        Some(values) => Ok(Some(partition_key::of_values(collection, &values)?.into())),
        None => Ok(named.cloned()),
    }
}

/// Where the rows of each partition key are kept from those of others, a search is for one key.
pub(crate) fn check_isolation(collection: &Collection, filter: &Plan) -> Result<()> {
    let isolated = collection.property("partitionkey.isolation").and_then(parse_bool);
    let (Some(true), Some(key)) = (isolated, collection.schema.partition_key()) else {
        return Ok(());
    };
    match filter.isolates(key.id) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::parameter_invalid(
            "partition key not found in expr or the expr is invalid when validating partition key \
             isolation",
        )),
        Err(what) => Err(Failure::parameter_invalid(format!(
            "partition key isolation does not support {what}"
        ))),
    }
}

/// How a read shows timestamps: as its parameters say, else in the collection's zone.
pub(crate) fn times(collection: &Collection, params: &[KeyValue]) -> Result<TimeFormat> {
    let zone = match param(params, "timezone").filter(|zone| !zone.is_empty()) {
        Some(zone) => {
            properties::time_zone(zone)?;
            zone
        }
        None => collection.property("timezone").filter(|zone| !zone.is_empty()).unwrap_or(UTC),
    };
    let fields = param(params, "time_fields").unwrap_or_default();
    let fields = fields.split([',', ' ']).filter(|field| !field.is_empty());
    let fields: Vec<String> = fields.map(str::to_lowercase).collect();
    const KNOWN: [&str; 7] = ["year", "month", "day", "hour", "minute", "second", "microsecond"];
    if let Some(unknown) = fields.iter().find(|field| !KNOWN.contains(&field.as_str())) {
        return Err(Failure::parameter_invalid(format!(
            "unsupported field for extraction: {unknown}, fields should be seprated by ',' or ' '"
        )));
    }
    Ok(TimeFormat { zone: zone.to_owned(), fields })
}
