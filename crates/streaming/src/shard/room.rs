//! Memory for writes: a write that does not fit waits a while for what is being flushed, and is
//! refused only then. What is flushed to make room is chosen in `relief.rs`.
//!
//! Few may wait at once: what waits is not charged to anybody yet.

use std::time::Duration;

use milvus_base::{MemoryLimitExceeded, Purpose, Reservation};
use milvus_types::{ErrorCode, Failure, Result};
use tokio::sync::Semaphore;

use super::Shard;

/// How long a write waits for memory.
const PATIENCE: Duration = Duration::from_secs(10);
/// Writes of the process that may wait at once.
static WAITING: Semaphore = Semaphore::const_new(16);

impl Shard {
    /// Charges `bytes` of a write to the governor, waiting for them if need be.
    pub(super) async fn room(&self, bytes: u64) -> Result<Reservation> {
        let error = match self.parts.governor.try_reserve(Purpose::Insert, bytes) {
            Ok(memory) => return Ok(memory),
            Err(error) => error,
        };
        let Ok(_turn) = WAITING.try_acquire() else {
            return Err(refusal(&error));
        };
        let taken = self.parts.governor.reserve_within(Purpose::Insert, bytes, PATIENCE).await;
        taken.map_err(|error| refusal(&error))
    }
}

fn refusal(error: &MemoryLimitExceeded) -> Failure {
    Failure::new(ErrorCode::MemoryLimitExceeded, error.to_string())
}
