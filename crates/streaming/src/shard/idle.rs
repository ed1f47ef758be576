//! Flushing what waits too long: rows after which nothing came, or that are too old.
//!
//! Costs nothing while the shard has no unflushed row: the task sleeps until a write wakes it.

use std::sync::Arc;
use std::time::Duration;

use milvus_base::clock;

use super::Shard;

pub(super) async fn idle_loop(shard: Arc<Shard>) {
    loop {
        tokio::select! {
            () = shard.wrote.notified() => {}
            () = shard.stop.wait() => return,
        }
        while let Some(oldest_ms) = shard.oldest_unflushed_ms() {
            let options = &shard.parts.options;
            let left = options.max_life.saturating_sub(Duration::from_millis(oldest_ms));
            let quiet = tokio::select! {
                () = clock::sleep(options.max_idle.min(left)) => true,
                () = shard.wrote.notified() => left.is_zero(),
                () = shard.stop.wait() => return,
            };
            if quiet {
                if let Err(failure) = shard.flush(false).await {
                    tracing::warn!(vchannel = %shard.vchannel, %failure, "idle flush failed");
                }
                break;
            }
        }
    }
}
