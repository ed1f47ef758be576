//! How far a log was cut on purpose: one that is found to begin later has lost records.

use bytes::Bytes;
use prost::Message;

use super::{Entry, ROOT};
use crate::codec::{seal, unseal};
use crate::error::Undecodable;

/// The position before which nobody needs a log any more. It is written before the log is cut, which
/// may keep some of what lies before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogCutEntry {
    /// The physical channel.
    pub pchannel: String,
    /// The position.
    pub before: u64,
}

#[derive(Clone, PartialEq, Message)]
struct LogCutMessage {
    #[prost(string, tag = "1")]
    pchannel: String,
    #[prost(uint64, tag = "2")]
    before: u64,
}

impl Entry for LogCutEntry {
    type Id = String;

    fn prefix() -> String {
        format!("{ROOT}log-cut/")
    }

    fn key_of(pchannel: &String) -> String {
        format!("{}{pchannel}", Self::prefix())
    }

    fn id(&self) -> String {
        self.pchannel.clone()
    }

    fn encode(&self) -> Bytes {
        let Self { pchannel, before } = self.clone();
        seal(1, &LogCutMessage { pchannel, before })
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Undecodable> {
        let LogCutMessage { pchannel, before } = unseal(key, 1, bytes)?;
        Ok(Self { pchannel, before })
    }
}
