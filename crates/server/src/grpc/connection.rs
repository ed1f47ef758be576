//! Connecting: handshake, version, health, time.

use std::future::{Ready, ready};

use milvus_proto::{common, milvus as pb};
use milvus_types::Result;

use super::call::Call;
use crate::version::VERSION;
use crate::wire::status::success;

/// The number of the one node there is.
pub(super) const NODE_ID: i64 = 1;
/// The roles that run in this process, as `GetComponentStates` names them.
pub(super) const ROLES: &[&str] =
    &["proxy", "rootcoord", "datacoord", "querycoord", "streamingnode", "querynode", "datanode"];

pub(super) async fn connect(
    call: &Call<'_>,
    request: pb::ConnectRequest,
) -> Result<pb::ConnectResponse> {
    let database = call.database("");
    call.proxy.check_database(database).await?;
    let identifier = call.proxy.allocate_timestamp().await?;
    let client = request.client_info.unwrap_or_default();
    tracing::info!(
        sdk = client.sdk_type,
        version = client.sdk_version,
        user = client.user,
        database,
        "client connected"
    );
    Ok(pb::ConnectResponse {
        status: Some(success()),
        server_info: Some(common::ServerInfo {
            build_tags: VERSION.to_owned(),
            deploy_mode: "STANDALONE".to_owned(),
            ..Default::default()
        }),
        identifier: i64::try_from(identifier.0).unwrap_or(i64::MAX),
    })
}

pub(super) fn version(
    _: &Call<'_>,
    _: pb::GetVersionRequest,
) -> Ready<Result<pb::GetVersionResponse>> {
    let version = VERSION.to_owned();
    ready(Ok(pb::GetVersionResponse { status: Some(success()), version }))
}

pub(super) async fn health(
    call: &Call<'_>,
    _: pb::CheckHealthRequest,
) -> Result<pb::CheckHealthResponse> {
    let reasons: Vec<String> = match call.proxy.list_databases().await {
        Ok(_) => Vec::new(),
        Err(failure) => vec![failure.reason],
    };
    Ok(pb::CheckHealthResponse {
        status: Some(success()),
        is_healthy: reasons.is_empty(),
        reasons,
        quota_states: Vec::new(),
    })
}

pub(super) fn components(
    _: &Call<'_>,
    _: pb::GetComponentStatesRequest,
) -> Ready<Result<pb::ComponentStates>> {
    let component = |role: &str| pb::ComponentInfo {
        node_id: NODE_ID,
        role: role.to_owned(),
        state_code: common::StateCode::Healthy.into(),
        extra_info: Vec::new(),
    };
    ready(Ok(pb::ComponentStates {
        state: Some(component("proxy")),
        subcomponent_states: ROLES.iter().map(|role| component(role)).collect(),
        status: Some(success()),
    }))
}

pub(super) async fn timestamp(
    call: &Call<'_>,
    _: pb::AllocTimestampRequest,
) -> Result<pb::AllocTimestampResponse> {
    let timestamp = call.proxy.allocate_timestamp().await?;
    Ok(pb::AllocTimestampResponse { status: Some(success()), timestamp: timestamp.0 })
}
