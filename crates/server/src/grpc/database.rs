//! Databases: create, drop, alter, list, describe.

use milvus_proto::{common, milvus as pb};
use milvus_proxy::api::AlterRequest;
use milvus_types::Result;

use super::call::Call;
use crate::wire::key_values;
use crate::wire::status::success;

pub(super) async fn create(
    call: &Call<'_>,
    request: pb::CreateDatabaseRequest,
) -> Result<common::Status> {
    let properties = key_values::from_wire(request.properties);
    call.proxy.create_database(&request.db_name, properties).await?;
    Ok(success())
}

pub(super) async fn drop(
    call: &Call<'_>,
    request: pb::DropDatabaseRequest,
) -> Result<common::Status> {
    call.proxy.drop_database(&request.db_name).await?;
    Ok(success())
}

pub(super) async fn alter(
    call: &Call<'_>,
    request: pb::AlterDatabaseRequest,
) -> Result<common::Status> {
    let change = AlterRequest {
        set: key_values::from_wire(request.properties),
        delete: request.delete_keys,
    };
    call.proxy.alter_database(call.database(&request.db_name), change).await?;
    Ok(success())
}

pub(super) async fn list(
    call: &Call<'_>,
    _: pb::ListDatabasesRequest,
) -> Result<pb::ListDatabasesResponse> {
    let databases = call.proxy.list_databases().await?;
    Ok(pb::ListDatabasesResponse {
        status: Some(success()),
        db_names: databases.iter().map(|database| database.name.clone()).collect(),
        created_timestamp: databases.iter().map(|database| database.create_ts.0).collect(),
        db_ids: databases.iter().map(|database| database.id.0).collect(),
    })
}

pub(super) async fn describe(
    call: &Call<'_>,
    request: pb::DescribeDatabaseRequest,
) -> Result<pb::DescribeDatabaseResponse> {
    let database = call.proxy.describe_database(call.database(&request.db_name)).await?;
    Ok(pb::DescribeDatabaseResponse {
        status: Some(success()),
        db_name: database.name,
        db_id: database.id.0,
        created_timestamp: database.create_ts.0,
        properties: key_values::to_wire(&database.properties),
    })
}
