//! Which crate may depend on which: arrows run downwards only, and roles never know each other.
//!
//! The table is the one of ARCHITECTURE.md. Development dependencies are free: a test may use more.

use std::path::Path;

use serde_json::Value;

use crate::command::{Failure, output_of};

/// Layers from the ground up; a crate depends on lower layers only. The last are tools.
const LAYERS: [&[&str]; 6] = [
    &["types", "values", "base", "kernel", "proto"],
    &["expr", "index", "scalar", "text", "format", "storage"],
    &["segment", "wal", "meta", "roles"],
    &["proxy", "coord", "streaming", "query", "data", "check"],
    &["server", "operator"],
    &["bench", "s3-double"],
];

/// Edges inside a layer that are wanted, each with its reason.
const WITHIN_LAYER: [(&str, &str); 3] = [
    ("values", "types"), // what the bytes of a value mean, beside the types they are of
    ("scalar", "expr"),  // a scalar index answers the conditions of a filter
    ("roles", "segment"), // the traits between roles speak in what a segment returns
];

/// Crates that never wait: no async runtime, not even through a feature of `base`.
const RUNTIME_FREE: [&str; 11] = [
    "types", "values", "kernel", "proto", "expr", "index", "scalar", "text", "format", "segment",
    "base",
];

/// One arrow of the workspace's dependency graph.
#[derive(Debug)]
struct Edge {
    from: String,
    to: String,
    optional: bool,
    features: Vec<String>,
}

pub(super) fn check(root: &Path) -> Result<Vec<String>, Failure> {
    let metadata = output_of("cargo", &["metadata", "--no-deps", "--format-version", "1"], root)?;
    let metadata: Value = serde_json::from_slice(&metadata)
        .map_err(|error| Failure::new(format!("cargo metadata is not JSON: {error}")))?;
    Ok(findings(&metadata))
}

fn findings(metadata: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for package in array(metadata, "packages") {
        let Some(name) = text(package, "name").strip_prefix("milvus-") else {
            continue;
        };
        if layer_of(name).is_none() {
            found.push(format!("crate {name} is in no layer: add it to the table in layers.rs"));
        }
    }
    for edge in edges(metadata) {
        found.extend(forbidden(&edge));
    }
    found
}

/// Why an edge is not allowed, if it is not.
fn forbidden(edge: &Edge) -> Option<String> {
    let Edge { from, to, optional, features } = edge;
    if RUNTIME_FREE.contains(&from.as_str()) {
        let runtime = (to == "tokio" || to == "tokio-util") && !optional;
        let by_feature = to == "milvus-base" && features.iter().any(|feature| feature == "tokio");
        if runtime || by_feature {
            return Some(format!("{from} has no runtime, but depends on tokio through {to}"));
        }
    }
    let to = to.strip_prefix("milvus-")?;
    let (above, below) = (layer_of(from)?, layer_of(to)?);
    let allowed = below < above || WITHIN_LAYER.contains(&(from.as_str(), to));
    (!allowed).then(|| format!("{from} (layer {above}) depends on {to} (layer {below})"))
}

fn layer_of(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

fn edges(metadata: &Value) -> Vec<Edge> {
    let mut edges = Vec::new();
    for package in array(metadata, "packages") {
        let Some(from) = text(package, "name").strip_prefix("milvus-") else {
            continue;
        };
        for dependency in array(package, "dependencies") {
            if text(dependency, "kind") == "dev" {
                continue;
            }
            let features = array(dependency, "features").iter().filter_map(Value::as_str);
            edges.push(Edge {
                from: from.to_owned(),
                to: text(dependency, "name").to_owned(),
                optional: dependency.get("optional").and_then(Value::as_bool).unwrap_or(false),
                features: features.map(str::to_owned).collect(),
            });
        }
    }
    edges
}

fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::findings;

    fn graph(from: &str, dependency: serde_json::Value) -> Vec<String> {
        findings(&json!({"packages": [{"name": from, "dependencies": [dependency]}]}))
    }

    #[test]
    fn downwards_is_allowed() {
        assert!(graph("milvus-proxy", json!({"name": "milvus-expr"})).is_empty());
    }

    #[test]
    fn upwards_is_found() {
        let found = graph("milvus-expr", json!({"name": "milvus-proxy"}));
        assert_eq!(found, ["expr (layer 1) depends on proxy (layer 3)"]);
    }

    #[test]
    fn a_role_that_knows_another_role_is_found() {
        assert_eq!(graph("milvus-query", json!({"name": "milvus-data"})).len(), 1);
    }

    #[test]
    fn tests_may_use_more() {
        let dev = json!({"name": "milvus-data", "kind": "dev"});
        assert!(graph("milvus-query", dev).is_empty());
    }

    #[test]
    fn a_runtime_in_a_sync_crate_is_found() {
        assert_eq!(graph("milvus-index", json!({"name": "tokio"})).len(), 1);
        let base = json!({"name": "milvus-base", "features": ["tokio"]});
        assert_eq!(graph("milvus-index", base).len(), 1);
    }

    #[test]
    fn an_optional_runtime_behind_a_feature_is_allowed() {
        assert!(graph("milvus-base", json!({"name": "tokio", "optional": true})).is_empty());
    }

    #[test]
    fn a_crate_without_a_layer_is_found() {
        assert_eq!(graph("milvus-extra", json!({"name": "serde"})).len(), 1);
    }
}
