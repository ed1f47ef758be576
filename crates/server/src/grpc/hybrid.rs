//! Hybrid search.

use milvus_proto::milvus as pb;
use milvus_proxy::api::{HybridSearchApiRequest, ReadConsistency, SubSearch};
use milvus_types::Result;

use super::call::Call;
use super::search::{encode, is_named, named};
use crate::metrics::Rows;
use crate::wire::{function_score, key_values, placeholder, template};

pub(super) async fn search(
    call: &Call<'_>,
    request: pb::HybridSearchRequest,
) -> Result<pb::SearchResults> {
    let cx = call.context(&request.db_name);
    let reply = Box::pin(call.proxy.hybrid_search(&cx, decode(request)?)).await?;
    call.metrics.count_rows(Rows::Searched, reply.nq);
    encode(reply)
}

fn decode(request: pb::HybridSearchRequest) -> Result<HybridSearchApiRequest> {
    let searches = request.requests.iter();
    let unsupported = named(&[
        (!request.function_chains.is_empty(), "function chains"),
        (searches.clone().any(|search| search.highlighter.is_some()), "highlighter"),
        (is_named(request.namespace.as_deref()), "namespace"),
        (searches.clone().any(|search| is_named(search.namespace.as_deref())), "namespace"),
    ]);
    Ok(HybridSearchApiRequest {
        collection_name: request.collection_name,
        partition_names: request.partition_names,
        searches: request.requests.into_iter().map(sub_search).collect::<Result<_>>()?,
        rank_params: key_values::from_wire(request.rank_params),
        function_score: request.function_score.map(function_score::from_wire),
        output_fields: request.output_fields,
        consistency: ReadConsistency {
            guarantee_timestamp: request.guarantee_timestamp,
            level: request.consistency_level,
            use_default: request.use_default_consistency,
        },
        unsupported,
    })
}

/// What a hybrid search takes of one of its searches; the rest is its own.
fn sub_search(request: pb::SearchRequest) -> Result<SubSearch> {
    Ok(SubSearch {
        expr: request.dsl,
        templates: template::from_wire(request.expr_template_values)?,
        input: placeholder::input(request.search_input),
        search_params: key_values::from_wire(request.search_params),
        nq: request.nq,
    })
}
