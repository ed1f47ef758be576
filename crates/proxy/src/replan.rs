//! Reads that meet a change of the schema: one that was planned on another schema than the segments
//! have by now is planned again, so that its client sees the schema before the change or the one after
//! it and never what lies between.

use std::time::Duration;

use milvus_base::clock;
use milvus_types::{ErrorCode, Failure};

use crate::Proxy;

/// How long the roles may take to agree on a schema, for each attempt.
const PAUSE: Duration = Duration::from_millis(10);
/// How often a read is planned again: a second's worth. A field that is really not there is refused when
/// the read is planned, and does not come here.
const ATTEMPTS: usize = 100;

impl Proxy {
    /// Whether a read whose run failed with `failure` shall be planned again, for the `attempt`-th
    /// time; returns when it may be.
    pub(crate) async fn replans(&self, failure: &Failure, attempt: usize) -> bool {
        if failure.code != ErrorCode::FieldNotFound || attempt >= ATTEMPTS {
            return false;
        }
        tracing::debug!(%failure, attempt, "the schema changed, planning again");
        clock::sleep(PAUSE).await;
        true
    }
}
