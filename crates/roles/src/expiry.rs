//! Which rows a collection's properties take out of reads: `collection.ttl.seconds`, `ttl_field`.
//!
//! Reads leave such rows out at once; compaction takes them out of the files later.

use milvus_segment::Expiry;
use milvus_types::{Collection, Timestamp};

/// `collection.ttl.seconds`
const TTL_SECONDS: &str = "collection.ttl.seconds";
/// `ttl_field`
const TTL_FIELD: &str = "ttl_field";

/// Milliseconds after which a row of `collection` expires, where all do.
pub fn ttl_ms(collection: &Collection) -> Option<u64> {
    let seconds = collection.property(TTL_SECONDS)?.parse::<i64>().ok()?;
    let seconds = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0)?;
    Some(seconds.saturating_mul(1000))
}

/// The field that says of each row of `collection` when it expires, where one does.
pub fn ttl_field(collection: &Collection) -> Option<&str> {
    collection.property(TTL_FIELD).filter(|name| !name.is_empty())
}

/// What has expired at `now_ms`, milliseconds since the epoch.
pub fn expiry_at(collection: &Collection, now_ms: u64) -> Expiry {
    let before = ttl_ms(collection).map(|ttl_ms| now_ms.saturating_sub(ttl_ms));
    let micros = i64::try_from(now_ms.saturating_mul(1000)).unwrap_or(i64::MAX);
    Expiry {
        rows_before: before.map(|ms| Timestamp::new(ms, 0)),
        field: ttl_field(collection).map(|name| (name.to_owned(), micros)),
    }
}
