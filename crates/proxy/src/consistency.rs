//! How fresh a read must be, from what clients send.
//!
//! A client sends a level, a timestamp with the magic values 0 (strong), 1 (eventually) and
//! 2 (bounded), or both, or leaves it to the collection. Only Strong and Bounded need to know what
//! time it is.

use milvus_types::{Collection, ConsistencyLevel, Result, Timestamp};

use crate::Proxy;
use crate::api::{self, ReadConsistency};

const BOUNDED: u64 = 2;

/// What a read waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// Everything until now.
    Now,
    /// Everything until a while ago.
    Lagging,
    /// Everything until then.
    At(u64),
}

fn of_level(level: ConsistencyLevel, timestamp: u64) -> Wanted {
    match level {
        ConsistencyLevel::Strong => Wanted::Now,
        ConsistencyLevel::Bounded => Wanted::Lagging,
        ConsistencyLevel::Eventually => Wanted::At(1),
        ConsistencyLevel::Session | ConsistencyLevel::Customized => Wanted::At(timestamp),
    }
}

fn wanted(request: ReadConsistency, of_collection: ConsistencyLevel) -> Wanted {
    let timestamp = request.guarantee_timestamp;
    if request.use_default {
        return of_level(of_collection, timestamp);
    }
    let level = api::consistency_level(request.level);
    match (level, timestamp) {
        // Old clients send the timestamp alone.
        (ConsistencyLevel::Strong, BOUNDED) => Wanted::Lagging,
        (ConsistencyLevel::Strong, timestamp) if timestamp > 0 => Wanted::At(timestamp),
        (level, timestamp) => of_level(level, timestamp),
    }
}

impl Proxy {
    /// The timestamp up to which a read of `collection` must see every write.
    pub(crate) async fn guarantee(
        &self,
        collection: &Collection,
        request: ReadConsistency,
    ) -> Result<Timestamp> {
        let guarantee = match wanted(request, collection.consistency_level) {
            Wanted::At(timestamp) => Timestamp(timestamp),
            Wanted::Now => self.allocate_timestamp().await?,
            Wanted::Lagging => {
                let now = self.allocate_timestamp().await?;
                now.saturating_sub_ms(self.options().limits.graceful_time_ms)
            }
        };
        // A read never runs before the schema it was planned for.
        Ok(guarantee.max(collection.update_ts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_magic_timestamps() {
        let read = |guarantee_timestamp, level, use_default| {
            let request = ReadConsistency { guarantee_timestamp, level, use_default };
            wanted(request, ConsistencyLevel::Bounded)
        };
        assert_eq!(read(0, 0, false), Wanted::Now);
        assert_eq!(read(1, 0, false), Wanted::At(1));
        assert_eq!(read(2, 0, false), Wanted::Lagging);
        assert_eq!(read(2, 2, false), Wanted::Lagging);
        assert_eq!(read(99, 1, false), Wanted::At(99));
        assert_eq!(read(0, 3, false), Wanted::At(1));
        assert_eq!(read(99, 4, false), Wanted::At(99));
        assert_eq!(read(99, 0, true), Wanted::Lagging);
    }
}
