//! Which rows a collection's properties take out of reads: `collection.ttl.seconds`, `ttl_field`.

use milvus_base::clock;
use milvus_segment::Expiry;
use milvus_types::{Collection, Timestamp};

/// `collection.ttl.seconds`
const TTL_SECONDS: &str = "collection.ttl.seconds";
/// `ttl_field`
const TTL_FIELD: &str = "ttl_field";

/// What has expired for a read that names no snapshot (now), or for one of `snapshot`.
pub(super) fn expiry(collection: &Collection, snapshot: Option<Timestamp>) -> Expiry {
    let now_ms = snapshot.map_or_else(clock::now_ms, Timestamp::physical_ms);
    expiry_at(collection, now_ms)
}

fn expiry_at(collection: &Collection, now_ms: u64) -> Expiry {
    let seconds = collection.property(TTL_SECONDS).and_then(|text| text.parse::<i64>().ok());
    let ttl = seconds.and_then(|seconds| u64::try_from(seconds).ok()).filter(|ttl| *ttl > 0);
    let before = ttl.map(|ttl| now_ms.saturating_sub(ttl.saturating_mul(1000)));
    let field = collection.property(TTL_FIELD).filter(|name| !name.is_empty());
    let micros = i64::try_from(now_ms.saturating_mul(1000)).unwrap_or(i64::MAX);
    Expiry {
        rows_before: before.map(|ms| Timestamp::new(ms, 0)),
        field: field.map(|name| (name.to_owned(), micros)),
    }
}
