//! Search.

use milvus_proto::{milvus as pb, schema};
use milvus_proxy::api::{ReadConsistency, SearchApiReply, SearchApiRequest};
use milvus_types::Result;

use super::call::Call;
use crate::metrics::Rows;
use crate::wire::columns::output;
use crate::wire::status::success;
use crate::wire::{aggregation, function_score, key_values, placeholder, primary_keys, template};

pub(super) async fn search(
    call: &Call<'_>,
    request: pb::SearchRequest,
) -> Result<pb::SearchResults> {
    let cx = call.context(&request.db_name);
    let reply = Box::pin(call.proxy.search(&cx, decode(request)?)).await?;
    call.metrics.count_rows(Rows::Searched, reply.nq);
    encode(reply)
}

fn decode(request: pb::SearchRequest) -> Result<SearchApiRequest> {
    let unsupported = unsupported_parts(&request);
    Ok(SearchApiRequest {
        collection_name: request.collection_name,
        partition_names: request.partition_names,
        expr: request.dsl,
        templates: template::from_wire(request.expr_template_values)?,
        input: placeholder::input(request.search_input),
        search_params: key_values::from_wire(request.search_params),
        output_fields: request.output_fields,
        nq: request.nq,
        consistency: ReadConsistency {
            guarantee_timestamp: request.guarantee_timestamp,
            level: request.consistency_level,
            use_default: request.use_default_consistency,
        },
        function_score: request.function_score.map(function_score::from_wire),
        aggregation: request.search_aggregation.map(aggregation::from_wire),
        unsupported,
    })
}

/// The parts of a request that no version of this server serves yet.
fn unsupported_parts(request: &pb::SearchRequest) -> Vec<String> {
    let parts = [
        (!request.function_chains.is_empty(), "function chains"),
        (request.highlighter.is_some(), "highlighter"),
        (!request.sub_reqs.is_empty(), "sub requests"),
        (is_named(request.namespace.as_deref()), "namespace"),
    ];
    named(&parts)
}

/// Whether a namespace is given.
pub(super) fn is_named(namespace: Option<&str>) -> bool {
    namespace.is_some_and(|name| !name.is_empty())
}

/// The names of the parts that are used.
pub(super) fn named(parts: &[(bool, &str)]) -> Vec<String> {
    parts.iter().filter(|(is_used, _)| *is_used).map(|(_, name)| (*name).to_owned()).collect()
}

pub(super) fn encode(reply: SearchApiReply) -> Result<pb::SearchResults> {
    let mut group_values = output::to_wire_in(&reply.group_values, &reply.times)?;
    let group_value = if reply.legacy_group { group_values.pop() } else { None };
    let iterator = reply.iterator.map(|state| schema::SearchIteratorV2Results {
        token: state.token,
        last_bound: state.last_bound,
    });
    let agg_topks = reply.buckets.iter().flatten().map(|of_query| count(of_query.len()));
    let results = schema::SearchResultData {
        num_queries: reply.nq,
        top_k: reply.top_k,
        fields_data: output::to_wire_in(&reply.columns, &reply.times)?,
        scores: reply.scores,
        ids: Some(primary_keys::to_wire(&reply.keys)),
        topks: reply.topks,
        output_fields: reply.output_fields,
        primary_field_name: reply.primary_field_name,
        group_by_field_value: group_value,
        group_by_field_values: group_values,
        element_indices: reply.elements.map(|data| schema::LongArray { data }),
        search_iterator_v2_results: iterator,
        agg_topks: agg_topks.collect(),
        agg_buckets: aggregation::to_wire(reply.buckets.unwrap_or_default()),
        ..Default::default()
    };
    Ok(pb::SearchResults {
        status: Some(success()),
        results: Some(results),
        collection_name: reply.collection_name,
        session_ts: reply.session_ts.0,
    })
}

fn count(buckets: usize) -> i64 {
    i64::try_from(buckets).unwrap_or(i64::MAX)
}
