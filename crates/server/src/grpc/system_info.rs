//! `GetMetrics`: what the one node is, as JSON in the form that Milvus's tools read.

use std::num::NonZero;
use std::thread;

use milvus_proto::milvus as pb;
use milvus_types::{ErrorCode, Failure, Result};
use serde_json::{Value, json};

use super::call::Call;
use super::connection::{NODE_ID, ROLES};
use crate::version::VERSION;
use crate::wire::status::success;

const SYSTEM_INFO: &str = "system_info";

pub(super) async fn metrics(
    call: &Call<'_>,
    request: pb::GetMetricsRequest,
) -> Result<pb::GetMetricsResponse> {
    let kind = metric_type(&request.request)?;
    if kind != SYSTEM_INFO {
        let text = format!("metric not found[metric={kind}]");
        return Err(Failure::new(ErrorCode::MetricNotFound, text));
    }
    // The answer is about a node that works: one that cannot tell its databases does not.
    call.proxy.list_databases().await?;
    let nodes: Vec<Value> = (NODE_ID..).zip(ROLES).map(|(at, role)| node(at, role)).collect();
    Ok(pb::GetMetricsResponse {
        status: Some(success()),
        response: json!({ "nodes_info": nodes }).to_string(),
        component_name: format!("proxy{NODE_ID}"),
    })
}

fn metric_type(request: &str) -> Result<String> {
    let parsed: Value = serde_json::from_str(request)
        .map_err(|error| Failure::parameter_invalid(format!("invalid metric request: {error}")))?;
    let kind = parsed.get("metric_type").and_then(Value::as_str);
    kind.map(str::to_owned)
        .ok_or_else(|| Failure::parameter_invalid("metric_type not found in request"))
}

fn node(at: i64, role: &str) -> Value {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    json!({
        "identifier": at,
        "connected": [],
        "infos": {
            "has_error": false,
            "error_reason": "",
            "name": format!("{role}{NODE_ID}"),
            "type": role,
            "id": NODE_ID,
            "hardware_infos": { "cpu_core_count": cores },
            "system_info": { "system_version": VERSION, "deploy_mode": "STANDALONE" },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_metrics_is_in_the_request() {
        assert_eq!(metric_type(r#"{"metric_type": "system_info"}"#).unwrap(), SYSTEM_INFO);
        assert!(metric_type("{}").is_err());
        assert!(metric_type("system_info").is_err());
    }
}
