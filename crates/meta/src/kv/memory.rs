//! The store in memory, for tests: every promise but durability.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;

use super::{Kv, KvError, Op, Transaction};
use crate::error::CommitError;

/// A store that ends with the process.
#[derive(Debug, Default)]
pub struct MemoryKv(Mutex<BTreeMap<String, Bytes>>);

impl MemoryKv {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl Kv for MemoryKv {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, KvError> {
        Ok(self.0.lock().get(key).cloned())
    }

    async fn range(&self, prefix: &str) -> Result<Vec<(String, Bytes)>, KvError> {
        let entries = self.0.lock();
        let from = entries.range(prefix.to_owned()..);
        Ok(from
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }

    async fn commit(&self, transaction: Transaction) -> Result<(), CommitError> {
        transaction.check_size()?;
        let mut entries = self.0.lock();
        for compare in &transaction.compares {
            compare.check(entries.get(compare.key()).map(|value| &**value))?;
        }
        for op in transaction.ops {
            match op {
                Op::Put { key, value } => drop(entries.insert(key, value)),
                Op::Delete { key } => drop(entries.remove(&key)),
                Op::DeletePrefix { prefix } => entries.retain(|key, _| !key.starts_with(&prefix)),
            }
        }
        Ok(())
    }
}
