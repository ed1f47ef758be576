//! Parameters of an index as clients send them: flat, as a JSON object under `params`, or both.

use std::collections::HashSet;

use milvus_types::index_meta::find;
use milvus_types::{ErrorCode, Failure, KeyValue, Result};

use crate::wire_text::parse_bool;

/// The parameter that names the kind of index.
pub(super) const INDEX_TYPE: &str = "index_type";
/// The parameter that says how vectors are compared.
pub(super) const METRIC_TYPE: &str = "metric_type";
/// The kind of index that the server chooses.
pub(super) const AUTO_INDEX: &str = "AUTOINDEX";
/// Whether an index is served from a mapped file.
pub(super) const MMAP: &str = "mmap.enabled";
/// Whether a bitmap index caches offsets. Kept, without effect.
pub(super) const OFFSET_CACHE: &str = "indexoffsetcache.enabled";

/// What to describe and what to build.
#[derive(Debug, PartialEq)]
pub(super) struct IndexParams {
    pub(super) user: Vec<KeyValue>,
    pub(super) build: Vec<KeyValue>,
}

/// `invalid parameter[expected=valid index][actual=invalid index type: ..]` (1100).
pub(super) fn invalid_index(index_type: &str) -> Failure {
    Failure::new(
        ErrorCode::ParameterInvalid,
        format!("invalid parameter[expected=valid index][actual=invalid index type: {index_type}]"),
    )
}

/// How many bytes parameters may have together.
pub(super) fn check_size(params: &[KeyValue], limit: usize) -> Result<()> {
    let size: usize = params.iter().map(|pair| pair.key.len() + pair.value.len()).sum();
    if size <= limit {
        return Ok(());
    }
    Err(Failure::parameter_invalid(format!("index params size exceeds limit: {size} > {limit}")))
}

/// The parameters with those inside `params` beside the others.
pub(super) fn flattened(params: &[KeyValue]) -> Result<Vec<KeyValue>> {
    let mut seen = HashSet::new();
    let mut flat: Vec<KeyValue> = Vec::with_capacity(params.len());
    let mut set = |key: String, value: String| match flat.iter_mut().find(|pair| pair.key == key) {
        Some(pair) => pair.value = value,
        None => flat.push(KeyValue { key, value }),
    };
    for pair in params {
        if !seen.insert(pair.key.as_str()) {
            return Err(Failure::parameter_invalid(format!(
                "duplicated index param (key={}) (value={}) found",
                pair.key, pair.value
            )));
        }
        if pair.key != "params" {
            set(pair.key.clone(), pair.value.clone());
            continue;
        }
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&pair.value)
            .map_err(|error| {
                Failure::parameter_invalid(format!("unmarshal params failed: {error}"))
            })?;
        for (key, value) in object {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            set(key, text);
        }
    }
    Ok(flat)
}

/// Whether an index of type `index_type` may be mapped, where that is asked for.
pub(super) fn check_mmap(index_type: &str, params: &[KeyValue]) -> Result<()> {
    let Some(value) = find(params, MMAP) else { return Ok(()) };
    let refusal = match parse_bool(value) {
        None => format!("invalid {MMAP} value: {value}, expected: true, false"),
        Some(true) if !takes_mmap(index_type) => {
            format!("index type {index_type} does not support mmap")
        }
        Some(_) => return Ok(()),
    };
    Err(Failure::parameter_invalid(format!(
        "invalid mmap type params: {refusal}: invalid parameter"
    )))
}

fn takes_mmap(index_type: &str) -> bool {
    const SCALAR: &[&str] = &["INVERTED", "BITMAP", "HYBRID", "Trie", "TRIE", "NGRAM", AUTO_INDEX];
    const VECTOR: &[&str] = &["FLAT", "BIN_", "IVF_", "SCANN", "HNSW", "SPARSE_"];
    SCALAR.contains(&index_type) || VECTOR.iter().any(|family| index_type.starts_with(family))
}

/// Whether an index of type `index_type` may cache offsets, where that is asked for.
pub(super) fn check_offset_cache(index_type: &str, params: &[KeyValue]) -> Result<()> {
    let Some(value) = find(params, OFFSET_CACHE) else { return Ok(()) };
    let refusal = match parse_bool(value) {
        None => format!("invalid {OFFSET_CACHE} value: {value}, expected: true, false"),
        Some(true) if index_type != "BITMAP" => {
            format!("only bitmap index support {OFFSET_CACHE} now")
        }
        Some(_) => return Ok(()),
    };
    Err(Failure::parameter_invalid(format!(
        "invalid offset cache index params: {refusal}: invalid parameter"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapping_is_for_those_that_can() {
        let on = [KeyValue::new(MMAP, "True")];
        for index_type in ["HNSW", "BIN_IVF_FLAT", "INVERTED", "AUTOINDEX", "Trie"] {
            assert_eq!(check_mmap(index_type, &on), Ok(()), "{index_type}");
        }
        assert_eq!(
            check_mmap("DISKANN", &on).unwrap_err().reason,
            "invalid mmap type params: index type DISKANN does not support mmap: invalid \
             parameter: invalid parameter"
        );
        let wrong = [KeyValue::new(MMAP, "yes")];
        assert!(
            check_mmap("HNSW", &wrong).unwrap_err().reason.contains("invalid mmap.enabled value")
        );
        let cache = [KeyValue::new(OFFSET_CACHE, "true")];
        assert_eq!(check_offset_cache("BITMAP", &cache), Ok(()));
        assert!(check_offset_cache("INVERTED", &cache).is_err());
    }
}
