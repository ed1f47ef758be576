//! Filters and partitions of a request, resolved for one collection.

use std::sync::Arc;

use milvus_expr::{Plan, Templates};
use milvus_types::{Collection, CollectionSchema, Failure, PartitionId, Result};

use crate::validate::names;

/// Plans `expr`; a refusal begins `failed to create {purpose} plan: `.
pub(crate) fn plan(
    expr: &str,
    templates: &Templates,
    schema: &CollectionSchema,
    purpose: &str,
) -> Result<Plan> {
    milvus_expr::plan(expr, schema, templates).map_err(|error| {
        Failure::parameter_invalid(format!(
            "failed to create {purpose} plan: {}",
            error.message(expr)
        ))
    })
}

/// The partitions a read names; none for all.
pub(crate) fn partitions(
    collection: &Collection,
    partition_names: &[String],
    max_name_length: usize,
) -> Result<Option<Arc<[PartitionId]>>> {
    for name in partition_names {
        names::partition(name, false, max_name_length)?;
    }
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
