//! `MutationResult`, the reply to every write.

use milvus_proto::milvus as pb;
use milvus_proxy::api::MutationReply;

use crate::wire::primary_keys;
use crate::wire::status::success;

/// The reply to an insert or upsert: with the rows' keys.
pub(super) fn of_rows(reply: &MutationReply) -> pb::MutationResult {
    let rows = u32::try_from(reply.keys.len()).unwrap_or(u32::MAX);
    pb::MutationResult {
        i_ds: Some(primary_keys::to_wire(&reply.keys)),
        succ_index: (0..rows).collect(),
        ..of_delete(reply)
    }
}

/// The reply to a delete: only counts. A client that finds keys in it shows those instead.
pub(super) fn of_delete(reply: &MutationReply) -> pb::MutationResult {
    pb::MutationResult {
        status: Some(success()),
        insert_cnt: reply.insert_count,
        delete_cnt: reply.delete_count,
        upsert_cnt: reply.upsert_count,
        timestamp: reply.timestamp.0,
        ..Default::default()
    }
}
