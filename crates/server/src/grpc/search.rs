//! Search.

use milvus_proto::{milvus as pb, schema};
use milvus_proxy::api::{ReadConsistency, SearchApiReply, SearchApiRequest};
use milvus_types::Result;
use pb::search_request::SearchInput;

use super::call::Call;
use crate::metrics::Rows;
use crate::wire::columns::output;
use crate::wire::status::success;
use crate::wire::{key_values, placeholder, primary_keys, template};

pub(super) async fn search(
    call: &Call<'_>,
    request: pb::SearchRequest,
) -> Result<pb::SearchResults> {
    let cx = call.context(&request.db_name);
    let reply = call.proxy.search(&cx, decode(request)?).await?;
    call.metrics.count_rows(Rows::Searched, reply.nq);
    encode(reply)
}

fn decode(request: pb::SearchRequest) -> Result<SearchApiRequest> {
    let unsupported = unsupported_parts(&request);
    let placeholder = match request.search_input {
        Some(SearchInput::PlaceholderGroup(group)) => placeholder::decode(group),
        Some(SearchInput::Ids(_)) | None => None,
    };
    Ok(SearchApiRequest {
        collection_name: request.collection_name,
        partition_names: request.partition_names,
        expr: request.dsl,
        templates: template::from_wire(request.expr_template_values)?,
        placeholder,
        search_params: key_values::from_wire(request.search_params),
        output_fields: request.output_fields,
        nq: request.nq,
        consistency: ReadConsistency {
            guarantee_timestamp: request.guarantee_timestamp,
            level: request.consistency_level,
            use_default: request.use_default_consistency,
        },
        unsupported,
    })
}

fn unsupported_parts(request: &pb::SearchRequest) -> Vec<String> {
    let has_score =
        request.function_score.as_ref().is_some_and(|score| !score.functions.is_empty());
    let has_namespace = request.namespace.as_ref().is_some_and(|name| !name.is_empty());
    let parts = [
        (has_score, "function score"),
        (!request.function_chains.is_empty(), "function chains"),
        (matches!(request.search_input, Some(SearchInput::Ids(_))), "search by ids"),
        (request.highlighter.is_some(), "highlighter"),
        (request.search_aggregation.is_some(), "search aggregation"),
        (!request.sub_reqs.is_empty(), "sub requests"),
        (has_namespace, "namespace"),
    ];
    parts.into_iter().filter(|(is_used, _)| *is_used).map(|(_, name)| name.to_owned()).collect()
}

fn encode(reply: SearchApiReply) -> Result<pb::SearchResults> {
    let results = schema::SearchResultData {
        num_queries: reply.nq,
        top_k: reply.top_k,
        fields_data: output::to_wire(&reply.columns)?,
        scores: reply.scores,
        ids: Some(primary_keys::to_wire(&reply.keys)),
        topks: reply.topks,
        output_fields: reply.output_fields,
        primary_field_name: reply.primary_field_name,
        ..Default::default()
    };
    Ok(pb::SearchResults {
        status: Some(success()),
        results: Some(results),
        collection_name: reply.collection_name,
        session_ts: reply.session_ts.0,
    })
}
