//! The format of the catalogue as a whole: a program refuses one later than it knows.

use bytes::Bytes;
use prost::Message;

use super::{Entry, ROOT};
use crate::codec::{seal, unseal};
use crate::error::Undecodable;

/// The format of everything in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormatEntry {
    /// Its number.
    pub version: u32,
}

impl FormatEntry {
    /// The newest format known.
    pub const NEWEST: u32 = 1;
}

#[derive(Clone, PartialEq, Message)]
struct FormatMessage {
    #[prost(uint32, tag = "1")]
    version: u32,
}

impl Entry for FormatEntry {
    type Id = ();

    fn prefix() -> String {
        format!("{ROOT}format")
    }

    fn key_of((): &()) -> String {
        Self::prefix()
    }

    fn id(&self) {}

    fn encode(&self) -> Bytes {
        seal(1, &FormatMessage { version: self.version })
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Undecodable> {
        let message: FormatMessage = unseal(key, 1, bytes)?;
        Ok(Self { version: message.version })
    }
}
