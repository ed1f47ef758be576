//! What `/metrics` shows of the shards: plain numbers, taken when asked for.

/// Totals over all shards of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamingStats {
    /// Shards owned.
    pub channels: u64,
    /// Growing and flushing segments.
    pub growing_segments: u64,
    /// Rows in them, deleted ones included.
    pub growing_rows: u64,
    /// Bytes they hold.
    pub growing_bytes: u64,
    /// Flushed segments known to the shards.
    pub flushed_segments: u64,
    /// Rows in them, deleted ones included.
    pub flushed_rows: u64,
    /// Deletes that no file holds yet.
    pub pending_deletes: u64,
    /// Writes acknowledged.
    pub writes: u64,
    /// Flushes committed.
    pub flushes: u64,
}
