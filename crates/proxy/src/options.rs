//! Settings of the front door.

use milvus_types::limits::Limits;

/// Settings of a [`Proxy`](crate::Proxy); the defaults are Milvus's.
#[derive(Clone, Debug)]
pub struct ProxyOptions {
    /// What a request may ask for at most.
    pub limits: Limits,
    /// `quotaAndLimits.flushRate.collection.max`: flushes per second of one collection; `None` for
    /// no limit.
    pub flush_rate_per_collection: Option<f64>,
    /// Requests that carry at least so many bytes of columns are checked on the CPU pool.
    pub cpu_threshold_bytes: usize,
    /// How often a read is repeated whose rows moved between finding and fetching them.
    pub requery_attempts: usize,
}

impl Default for ProxyOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            flush_rate_per_collection: Some(0.1),
            cpu_threshold_bytes: 64 << 10,
            requery_attempts: 3,
        }
    }
}
