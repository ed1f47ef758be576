//! How fresh a read must be, from what clients send.
//!
//! A client sends a level, a timestamp with the magic values 0 (strong), 1 (eventually) and
//! 2 (bounded), or both, or leaves it to the collection. Only Strong and Bounded need to know what
//! time it is.

use milvus_types::{Collection, ConsistencyLevel, Result, Timestamp};

use crate::Proxy;
use crate::api::ReadConsistency;
use crate::search::shards::Moment;

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
    match (ConsistencyLevel::from_number(request.level), timestamp) {
        // Old clients send the timestamp alone.
        (Some(ConsistencyLevel::Strong), BOUNDED) => Wanted::Lagging,
        (Some(ConsistencyLevel::Strong), timestamp) if timestamp > 0 => Wanted::At(timestamp),
        (Some(level), timestamp) => of_level(level, timestamp),
        // A level nobody knows leaves the timestamp as it is.
        (None, timestamp) => Wanted::At(timestamp),
    }
}

impl Proxy {
    /// When a read reads: an iterator that names a snapshot reads exactly that.
    pub(crate) async fn moment(
        &self,
        collection: &Collection,
        request: ReadConsistency,
        iterator: bool,
    ) -> Result<Moment> {
        if iterator && request.guarantee_timestamp > 0 {
            let snapshot = Timestamp(request.guarantee_timestamp);
            return Ok(Moment { guarantee: snapshot, mvcc: Some(snapshot) });
        }
        Ok(Moment { guarantee: self.guarantee(collection, request).await?, mvcc: None })
    }

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
        assert_eq!(read(7, 99, false), Wanted::At(7));
    }
}
