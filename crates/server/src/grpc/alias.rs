//! Aliases: create, drop, alter, describe, list.

use milvus_proto::{common, milvus as pb};
use milvus_types::Result;

use super::call::Call;
use crate::wire::status::success;

pub(super) async fn create(
    call: &Call<'_>,
    request: pb::CreateAliasRequest,
) -> Result<common::Status> {
    let cx = call.context(&request.db_name);
    call.proxy.create_alias(&cx, &request.alias, &request.collection_name).await?;
    Ok(success())
}

pub(super) async fn drop(call: &Call<'_>, request: pb::DropAliasRequest) -> Result<common::Status> {
    call.proxy.drop_alias(&call.context(&request.db_name), &request.alias).await?;
    Ok(success())
}

pub(super) async fn alter(
    call: &Call<'_>,
    request: pb::AlterAliasRequest,
) -> Result<common::Status> {
    let cx = call.context(&request.db_name);
    call.proxy.alter_alias(&cx, &request.alias, &request.collection_name).await?;
    Ok(success())
}

pub(super) async fn describe(
    call: &Call<'_>,
    request: pb::DescribeAliasRequest,
) -> Result<pb::DescribeAliasResponse> {
    let cx = call.context(&request.db_name);
    let alias = call.proxy.describe_alias(&cx, &request.alias).await?;
    Ok(pb::DescribeAliasResponse {
        status: Some(success()),
        db_name: alias.db_name,
        alias: alias.name,
        collection: alias.collection,
    })
}

pub(super) async fn list(
    call: &Call<'_>,
    request: pb::ListAliasesRequest,
) -> Result<pb::ListAliasesResponse> {
    let cx = call.context(&request.db_name);
    let aliases = call.proxy.list_aliases(&cx, &request.collection_name).await?;
    Ok(pb::ListAliasesResponse {
        status: Some(success()),
        db_name: cx.db_name,
        collection_name: request.collection_name,
        aliases: aliases.into_iter().map(|alias| alias.name).collect(),
    })
}
