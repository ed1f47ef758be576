//! The answer of `Flush`, written out: its maps keep an entry whose message is empty.
//!
//! A generated map leaves an empty `LongArray` off the wire, as protobuf allows, and the decoder of
//! the Node SDK then fails on a value that is not there. On the wire a map is a repeated message of
//! key and value, so these types are the same format with the value always written.

use crate::{common, msg, schema};

/// `milvus.proto.milvus.FlushResponse`. Each collection stands at most once in each map.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FlushResponse {
    /// Whether the request succeeded.
    #[prost(message, optional, tag = "1")]
    pub status: Option<common::Status>,
    /// Database of the collections.
    #[prost(string, tag = "2")]
    pub db_name: String,
    /// Segments that this flush sealed, by collection name.
    #[prost(message, repeated, tag = "3")]
    pub coll_seg_i_ds: Vec<SegmentsEntry>,
    /// Segments flushed before, by collection name.
    #[prost(message, repeated, tag = "4")]
    pub flush_coll_seg_i_ds: Vec<SegmentsEntry>,
    /// Unix seconds of the seal, by collection name.
    #[prost(map = "string, int64", tag = "5")]
    pub coll_seal_times: std::collections::HashMap<String, i64>,
    /// Timestamp up to which rows are flushed, by collection name.
    #[prost(map = "string, uint64", tag = "6")]
    pub coll_flush_ts: std::collections::HashMap<String, u64>,
    /// Log positions, by channel.
    #[prost(map = "string, message", tag = "7")]
    pub channel_cps: std::collections::HashMap<String, msg::MsgPosition>,
}

/// One entry of a map from collection name to segment ids.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SegmentsEntry {
    /// Name of the collection.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Its segments.
    #[prost(message, required, tag = "2")]
    pub value: schema::LongArray,
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    #[test]
    fn an_entry_without_segments_is_written_with_its_empty_value() {
        let entry = SegmentsEntry { key: "c".to_owned(), value: schema::LongArray::default() };
        let flushed = FlushResponse { coll_seg_i_ds: vec![entry], ..Default::default() };
        let bytes = flushed.encode_to_vec();
        assert_eq!(bytes, [0x1a, 5, 0x0a, 1, b'c', 0x12, 0]);
        assert_eq!(FlushResponse::decode(bytes.as_slice()), Ok(flushed));
    }
}
