//! Delete by expression.

use milvus_proto::milvus as pb;
use milvus_proxy::api::DeleteRequest;
use milvus_types::Result;

use super::call::Call;
use super::insert::refuse_namespace;
use super::mutation::of_delete;
use crate::metrics::Rows;
use crate::wire::template;

pub(super) async fn delete(
    call: &Call<'_>,
    request: pb::DeleteRequest,
) -> Result<pb::MutationResult> {
    refuse_namespace(request.namespace.as_deref())?;
    let delete = DeleteRequest {
        collection_name: request.collection_name,
        partition_name: request.partition_name,
        expr: request.expr,
        templates: template::from_wire(request.expr_template_values)?,
        consistency_level: request.consistency_level,
    };
    let reply = call.proxy.delete(&call.context(&request.db_name), delete).await?;
    call.metrics.count_rows(Rows::Deleted, reply.delete_count);
    Ok(of_delete(&reply))
}
