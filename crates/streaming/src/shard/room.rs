//! Memory for writes: a write that does not fit waits a while for what is being flushed, and is
//! refused only then.
//!
//! Few may wait at once: what waits is not charged to anybody yet.

use std::time::Duration;

use milvus_base::{MemoryLimitExceeded, Purpose, Reservation, clock};
use milvus_types::{ErrorCode, Failure, Result};
use tokio::sync::Semaphore;

use super::Shard;
use super::write::Item;

/// How long a write waits for memory.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(20);
/// Writes of the process that may wait at once.
static WAITING: Semaphore = Semaphore::const_new(16);

impl Shard {
    /// Charges `bytes` of a write to the governor. Where they do not fit, what grows is sealed, so
    /// that it can be written out and dropped, and the write waits for that.
    pub(super) async fn room(&self, bytes: u64) -> Result<Reservation> {
        let take = || self.parts.governor.try_reserve(Purpose::Insert, bytes);
        let error = match take() {
            Ok(memory) => return Ok(memory),
            Err(error) => error,
        };
        let _ = self.enqueue(Item::Seal { reply: None });
        let Ok(_turn) = WAITING.try_acquire() else {
            return Err(refusal(&error));
        };
        if bytes > error.limit_bytes {
            return Err(refusal(&error));
        }
        let began = clock::monotonic();
        loop {
            clock::sleep(LOOK).await;
            match take() {
                Ok(memory) => return Ok(memory),
                Err(error) if clock::monotonic().saturating_sub(began) > PATIENCE => {
                    return Err(refusal(&error));
                }
                Err(_) => {}
            }
        }
    }
}

fn refusal(error: &MemoryLimitExceeded) -> Failure {
    Failure::new(ErrorCode::MemoryLimitExceeded, error.to_string())
}
