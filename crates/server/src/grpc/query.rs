//! Query, which `get` and `count(*)` are too.

use milvus_proto::{milvus as pb, schema};
use milvus_proxy::api::{QueryApiRequest, ReadConsistency};
use milvus_types::Result;

use super::call::Call;
use super::insert::refuse_namespace;
use crate::wire::columns::output;
use crate::wire::status::success;
use crate::wire::{key_values, template};

pub(super) async fn query(call: &Call<'_>, request: pb::QueryRequest) -> Result<pb::QueryResults> {
    refuse_namespace(request.namespace.as_deref())?;
    let query = QueryApiRequest {
        collection_name: request.collection_name,
        partition_names: request.partition_names,
        expr: request.expr,
        templates: template::from_wire(request.expr_template_values)?,
        output_fields: request.output_fields,
        query_params: key_values::from_wire(request.query_params),
        consistency: ReadConsistency {
            guarantee_timestamp: request.guarantee_timestamp,
            level: request.consistency_level,
            use_default: request.use_default_consistency,
        },
    };
    let reply = call.proxy.query(&call.context(&request.db_name), query).await?;
    Ok(pb::QueryResults {
        status: Some(success()),
        fields_data: output::to_wire_in(&reply.columns, &reply.times)?,
        collection_name: reply.collection_name,
        output_fields: reply.output_fields,
        session_ts: reply.session_ts.0,
        primary_field_name: reply.primary_field_name,
        element_indices: elements(reply.elements),
    })
}

fn elements(rows: Option<Vec<Vec<i64>>>) -> Vec<pb::ElementIndices> {
    let row = |data| pb::ElementIndices { indices: Some(schema::LongArray { data }) };
    rows.unwrap_or_default().into_iter().map(row).collect()
}
