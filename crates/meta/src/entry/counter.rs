//! The two marks that are only ever raised: of timestamps and of ids handed out in ranges.

use bytes::Bytes;
use milvus_types::Timestamp;
use prost::Message;

use super::{Entry, ROOT};
use crate::codec::{seal, unseal};
use crate::error::Undecodable;

/// No timestamp above this was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TsoEntry {
    /// The highest timestamp that may have been handed out.
    pub high_water: Timestamp,
}

/// No id from this one on was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdEntry {
    /// The first free id.
    pub next: i64,
}

#[derive(Clone, PartialEq, Message)]
struct TsoMessage {
    #[prost(fixed64, tag = "1")]
    high_water: u64,
}

#[derive(Clone, PartialEq, Message)]
struct IdMessage {
    #[prost(int64, tag = "1")]
    next: i64,
}

impl Entry for TsoEntry {
    type Id = ();

    fn prefix() -> String {
        format!("{ROOT}tso")
    }

    fn key_of((): &()) -> String {
        Self::prefix()
    }

    fn id(&self) {}

    fn encode(&self) -> Bytes {
        seal(1, &TsoMessage { high_water: self.high_water.0 })
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Undecodable> {
        let message: TsoMessage = unseal(key, 1, bytes)?;
        Ok(Self { high_water: Timestamp(message.high_water) })
    }
}

impl Entry for IdEntry {
    type Id = ();

    fn prefix() -> String {
        format!("{ROOT}id")
    }

    fn key_of((): &()) -> String {
        Self::prefix()
    }

    fn id(&self) {}

    fn encode(&self) -> Bytes {
        seal(1, &IdMessage { next: self.next })
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Undecodable> {
        let message: IdMessage = unseal(key, 1, bytes)?;
        if message.next < 0 {
            return Err(Undecodable::new(key, format!("its next id is {}", message.next)));
        }
        Ok(Self { next: message.next })
    }
}
