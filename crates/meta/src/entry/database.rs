//! A database.

use bytes::Bytes;
use milvus_types::{DatabaseId, KeyValue, Timestamp};
use prost::Message;

use super::{Entry, ROOT};
use crate::codec::{Pair, seal, unseal};
use crate::error::Undecodable;

/// A database. The one called `default` needs no entry.
#[derive(Clone, Debug, PartialEq)]
pub struct DatabaseEntry {
    /// Its identity.
    pub id: DatabaseId,
    /// Its name.
    pub name: String,
    /// Its properties as set by users.
    pub properties: Vec<KeyValue>,
    /// When it was created.
    pub create_ts: Timestamp,
}

#[derive(Clone, PartialEq, Message)]
struct DatabaseMessage {
    #[prost(int64, tag = "1")]
    id: i64,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, repeated, tag = "3")]
    properties: Vec<Pair>,
    #[prost(fixed64, tag = "4")]
    create_ts: u64,
}

impl Entry for DatabaseEntry {
    type Id = DatabaseId;

    fn prefix() -> String {
        format!("{ROOT}database/")
    }

    fn key_of(id: &DatabaseId) -> String {
        format!("{}{id}", Self::prefix())
    }

    fn id(&self) -> DatabaseId {
        self.id
    }

    fn encode(&self) -> Bytes {
        let message = DatabaseMessage {
            id: self.id.0,
            name: self.name.clone(),
            properties: Pair::from_all(&self.properties),
            create_ts: self.create_ts.0,
        };
        seal(1, &message)
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Undecodable> {
        let message: DatabaseMessage = unseal(key, 1, bytes)?;
        Ok(Self {
            id: DatabaseId(message.id),
            name: message.name,
            properties: Pair::into_all(message.properties),
            create_ts: Timestamp(message.create_ts),
        })
    }
}
