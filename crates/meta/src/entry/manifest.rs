//! Which version of a collection's manifest is the current one. The manifests are objects elsewhere.

use bytes::Bytes;
use milvus_types::CollectionId;
use prost::Message;

use super::{Entry, ROOT};
use crate::codec::{seal, unseal};
use crate::error::Undecodable;

/// The current manifest of a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManifestEntry {
    /// The collection.
    pub collection_id: CollectionId,
    /// The version.
    pub version: u64,
}

#[derive(Clone, PartialEq, Message)]
struct ManifestMessage {
    #[prost(int64, tag = "1")]
    collection_id: i64,
    #[prost(uint64, tag = "2")]
    version: u64,
}

impl Entry for ManifestEntry {
    type Id = CollectionId;

    fn prefix() -> String {
        format!("{ROOT}manifest/")
    }

    fn key_of(id: &CollectionId) -> String {
        format!("{}{id}", Self::prefix())
    }

    fn id(&self) -> CollectionId {
        self.collection_id
    }

    fn encode(&self) -> Bytes {
        let (collection_id, version) = (self.collection_id.0, self.version);
        seal(1, &ManifestMessage { collection_id, version })
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Undecodable> {
        let message: ManifestMessage = unseal(key, 1, bytes)?;
        Ok(Self { collection_id: CollectionId(message.collection_id), version: message.version })
    }
}
