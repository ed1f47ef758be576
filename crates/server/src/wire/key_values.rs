//! Key-value pairs: parameters and properties.

use milvus_proto::common as pb;
use milvus_types::KeyValue;

/// The pairs of a request.
pub fn from_wire(pairs: Vec<pb::KeyValuePair>) -> Vec<KeyValue> {
    pairs.into_iter().map(|pair| KeyValue { key: pair.key, value: pair.value }).collect()
}

/// The pairs of a reply.
pub fn to_wire(pairs: &[KeyValue]) -> Vec<pb::KeyValuePair> {
    pairs
        .iter()
        .map(|pair| pb::KeyValuePair { key: pair.key.clone(), value: pair.value.clone() })
        .collect()
}
