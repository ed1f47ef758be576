//! `MutationResult`, the reply to every write.

use milvus_proto::milvus as pb;
use milvus_proxy::api::MutationReply;
use milvus_types::Failure;

use crate::wire::primary_keys;
use crate::wire::status::{failed, success};

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

/// More rows than this are in no request, whatever it claims.
const MOST_ROWS: u32 = 8 << 20;

/// The reply to an insert or upsert of `rows` rows that was refused.
pub(super) fn of_refusal(rows: u32, failure: &Failure) -> pb::MutationResult {
    let rows = if rows > MOST_ROWS { 0 } else { rows };
    pb::MutationResult {
        status: Some(failed(failure)),
        err_index: (0..rows).collect(),
        ..Default::default()
    }
}
