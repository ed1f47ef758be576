//! Where the data and the log of this catalogue are: a server that was told another place would find
//! neither, and take the one for gone and the other for empty.

use bytes::Bytes;
use prost::Message;

use super::{Entry, ROOT};
use crate::codec::{seal, unseal};
use crate::error::Undecodable;

/// Where data and log are, since the first start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacementEntry {
    /// Names this catalogue among all, so that what lies in a bucket can say whose it is.
    pub installation: String,
    /// Where data is, such as `local` or `s3 bucket a-bucket, path files`.
    pub data: String,
    /// What the log is and where, such as `rocksmq` or `woodpecker in the data directory`.
    pub log: String,
    /// What the bucket says of the last start with this catalogue; empty if there was none. A copy of
    /// the catalogue, put aside before, knows an older one.
    pub start: String,
    /// What the start that is under way will have it say; empty if none is.
    pub next_start: String,
}

#[derive(Clone, PartialEq, Message)]
struct PlacementMessage {
    #[prost(string, tag = "1")]
    installation: String,
    #[prost(string, tag = "2")]
    data: String,
    #[prost(string, tag = "3")]
    log: String,
    #[prost(string, tag = "4")]
    start: String,
    #[prost(string, tag = "5")]
    next_start: String,
}

impl Entry for PlacementEntry {
    type Id = ();

    fn prefix() -> String {
        format!("{ROOT}placement")
    }

    fn key_of((): &()) -> String {
        Self::prefix()
    }

    fn id(&self) {}

    fn encode(&self) -> Bytes {
        let Self { installation, data, log, start, next_start } = self.clone();
        seal(1, &PlacementMessage { installation, data, log, start, next_start })
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Undecodable> {
        let PlacementMessage { installation, data, log, start, next_start } =
            unseal(key, 1, bytes)?;
        Ok(Self { installation, data, log, start, next_start })
    }
}
