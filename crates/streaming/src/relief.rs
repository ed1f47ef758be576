//! Room in memory: when somebody waits for memory, the shards that hold most growing rows seal them, so
//! that they are written out and dropped.
//!
//! What is being written out already counts: shards are sealed only where that is not enough, or every
//! look of a waiter would make a segment of whatever came since the last.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use milvus_base::{Governor, clock, task};
use milvus_types::VChannel;
use parking_lot::RwLock;

use crate::shard::Shard;

/// The shards of a service.
pub(crate) type Shards = RwLock<HashMap<VChannel, Arc<Shard>>>;

/// Between two choices: what was sealed is on its way by then.
const PAUSE: Duration = Duration::from_millis(20);
/// At least so much of the limit is written out at a time.
const LEAST_SHARE: u64 = 8;

/// Makes room whenever `governor` is short of memory, for as long as `shards` lives.
pub(crate) fn start(governor: Governor, shards: Weak<Shards>) {
    task::spawn("memory-relief", async move {
        loop {
            governor.shortage().await;
            let Some(all) = shards.upgrade() else { return };
            let all: Vec<_> = all.read().values().cloned().collect();
            let least = (governor.limit() / LEAST_SHARE).max(governor.wanted());
            for shard in chosen(all.into_iter().map(|shard| (shard.held(), shard)), least) {
                shard.seal_soon();
            }
            clock::sleep(PAUSE).await;
        }
    });
}

/// What a shard holds in memory, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Held {
    /// Of rows that still grow.
    pub(crate) growing: u64,
    /// Of rows that are being written out.
    pub(crate) flushing: u64,
}

/// Those to seal, largest first, until `least` bytes are being written out.
fn chosen<S>(shards: impl Iterator<Item = (Held, S)>, least: u64) -> Vec<S> {
    let mut shards: Vec<_> = shards.collect();
    let mut going: u64 = shards.iter().map(|(held, _)| held.flushing).sum();
    shards.sort_by_key(|(held, _)| std::cmp::Reverse(held.growing));
    let mut sealed = Vec::new();
    for (held, shard) in shards {
        if going >= least || held.growing == 0 {
            break;
        }
        going += held.growing;
        sealed.push(shard);
    }
    sealed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(held: &[(u64, u64)], least: u64) -> Vec<usize> {
        let held = held.iter().map(|&(growing, flushing)| Held { growing, flushing });
        chosen(held.enumerate().map(|(at, held)| (held, at)), least)
    }

    #[test]
    fn the_largest_are_sealed_until_enough_is_on_its_way() {
        assert_eq!(names(&[(5, 0), (90, 0), (30, 0)], 100), [1, 2]);
        assert_eq!(names(&[(5, 0), (90, 0), (30, 0)], 1000), [1, 2, 0]);
        assert_eq!(names(&[(5, 0), (90, 60), (30, 50)], 100), [0_usize; 0], "enough is going");
        assert_eq!(names(&[(0, 10), (0, 0)], 100), [0_usize; 0], "nothing to seal");
    }
}
