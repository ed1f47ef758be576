//! An index definition.

use bytes::Bytes;
use milvus_types::{CollectionId, FieldId, IndexId, IndexMeta, Timestamp};
use prost::Message;

use super::{Entry, ROOT};
use crate::codec::{Pair, seal, unseal};
use crate::error::Undecodable;

#[derive(Clone, PartialEq, Message)]
struct IndexMessage {
    #[prost(int64, tag = "1")]
    id: i64,
    #[prost(int64, tag = "2")]
    collection_id: i64,
    #[prost(int64, tag = "3")]
    field_id: i64,
    #[prost(string, tag = "4")]
    field_name: String,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(message, repeated, tag = "6")]
    user_params: Vec<Pair>,
    #[prost(message, repeated, tag = "7")]
    index_params: Vec<Pair>,
    #[prost(fixed64, tag = "8")]
    create_ts: u64,
}

/// What the keys of a collection's indexes begin with.
pub(crate) fn prefix_of(collection: CollectionId) -> String {
    format!("{}{collection}/", IndexMeta::prefix())
}

impl Entry for IndexMeta {
    type Id = (CollectionId, IndexId);

    fn prefix() -> String {
        format!("{ROOT}index/")
    }

    fn key_of((collection, index): &Self::Id) -> String {
        format!("{}{index}", prefix_of(*collection))
    }

    fn id(&self) -> Self::Id {
        (self.collection_id, self.id)
    }

    fn encode(&self) -> Bytes {
        let message = IndexMessage {
            id: self.id.0,
            collection_id: self.collection_id.0,
            field_id: self.field_id.0,
            field_name: self.field_name.clone(),
            name: self.name.clone(),
            user_params: Pair::from_all(&self.user_params),
            index_params: Pair::from_all(&self.index_params),
            create_ts: self.create_ts.0,
        };
        seal(1, &message)
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Undecodable> {
        let message: IndexMessage = unseal(key, 1, bytes)?;
        Ok(Self {
            id: IndexId(message.id),
            collection_id: CollectionId(message.collection_id),
            field_id: FieldId(message.field_id),
            field_name: message.field_name,
            name: message.name,
            user_params: Pair::into_all(message.user_params),
            index_params: Pair::into_all(message.index_params),
            create_ts: Timestamp(message.create_ts),
        })
    }
}
