//! Another name of a collection.

use bytes::Bytes;
use milvus_types::{CollectionId, DatabaseId};
use prost::Message;

use super::{Entry, ROOT};
use crate::codec::{seal, unseal};
use crate::error::Undecodable;

/// An alias. It lies in the database of its collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AliasEntry {
    /// The database.
    pub db_id: DatabaseId,
    /// The other name; one of a database's aliases.
    pub name: String,
    /// The collection it stands for.
    pub collection_id: CollectionId,
}

#[derive(Clone, PartialEq, Message)]
struct AliasMessage {
    #[prost(int64, tag = "1")]
    db_id: i64,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(int64, tag = "3")]
    collection_id: i64,
}

impl Entry for AliasEntry {
    type Id = (DatabaseId, String);

    fn prefix() -> String {
        format!("{ROOT}alias/")
    }

    fn key_of((db, name): &Self::Id) -> String {
        format!("{}{db}/{name}", Self::prefix())
    }

    fn id(&self) -> Self::Id {
        (self.db_id, self.name.clone())
    }

    fn encode(&self) -> Bytes {
        let (db_id, name, collection_id) = (self.db_id.0, self.name.clone(), self.collection_id.0);
        seal(1, &AliasMessage { db_id, name, collection_id })
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Undecodable> {
        let message: AliasMessage = unseal(key, 1, bytes)?;
        Ok(Self {
            db_id: DatabaseId(message.db_id),
            name: message.name,
            collection_id: CollectionId(message.collection_id),
        })
    }
}
