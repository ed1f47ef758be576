//! The store in one file of the data directory, for a server that runs alone.
//!
//! Each commit is one sync of the file. After a crash the file is walked once to find its free pages;
//! metadata is small enough for that to take milliseconds, so commits are not made slower to avoid it.
//!
//! When the disk fails the file is closed, and opened again with the next use: after a fault ends the
//! store goes on by itself. A commit that was reported as failed may be in the file all the same; what it
//! changed is put back before anything else is done with it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::{MappedRwLockReadGuard, RwLock, RwLockReadGuard};
use redb::{Builder, Database, DatabaseError, ReadableDatabase as _, ReadableTable as _};
use redb::{StorageError, Table, TableDefinition, TableError};

use super::{Kv, KvError, Op, Transaction};
use crate::error::CommitError;

const TABLE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("metadata");
/// Memory for pages of the file.
const CACHE_BYTES: usize = 16 << 20;

/// A store in one file; clones share it.
#[derive(Clone)]
pub struct EmbeddedKv(Arc<Store>);

struct Store {
    path: PathBuf,
    state: RwLock<State>,
}

struct State {
    /// None after a failure, until the file is opened again.
    database: Option<Database>,
    /// What puts back the commits that have failed since it was closed.
    undo: Vec<Op>,
}

impl EmbeddedKv {
    /// Opens the store at `path`, making it if there is none. Only one handle may have it open.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, KvError> {
        let path = path.into();
        milvus_base::io::try_run(move || Store::open(path).map(|store| Self(Arc::new(store)))).await
    }

    async fn run<T, E>(
        &self,
        f: impl FnOnce(&Store) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<KvError> + Send + 'static,
    {
        let store = Arc::clone(&self.0);
        let result = milvus_base::io::run(move || f(&store)).await;
        result.unwrap_or_else(|panicked| Err(KvError::Panicked(panicked).into()))
    }
}

#[async_trait]
impl Kv for EmbeddedKv {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, KvError> {
        let key = key.to_owned();
        self.run(move |store| store.get(&key)).await
    }

    async fn range(&self, prefix: &str) -> Result<Vec<(String, Bytes)>, KvError> {
        let prefix = prefix.to_owned();
        self.run(move |store| store.range(&prefix)).await
    }

    async fn commit(&self, transaction: Transaction) -> Result<(), CommitError> {
        transaction.check_size()?;
        self.run(move |store| store.commit(transaction)).await
    }
}

impl Store {
    fn open(path: PathBuf) -> Result<Self, KvError> {
        let fresh = !path.try_exists().map_err(|e| failed(&path, "open", e))?;
        let database = open(&path)?;
        if fresh && let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            File::open(parent)
                .and_then(|parent| parent.sync_all())
                .map_err(|e| failed(&path, "open", e))?;
        }
        let state = State { database: Some(database), undo: Vec::new() };
        Ok(Self { path, state: RwLock::new(state) })
    }

    /// The open file; opened again if it was closed because of a failure.
    fn database(&self) -> Result<MappedRwLockReadGuard<'_, Database>, KvError> {
        loop {
            let state = self.state.read();
            if let Ok(database) = RwLockReadGuard::try_map(state, |state| state.database.as_ref()) {
                return Ok(database);
            }
            let mut state = self.state.write();
            if state.database.is_none() {
                let database = open(&self.path)?;
                if !state.undo.is_empty() {
                    self.put_back(&database, &state.undo)?;
                    state.undo.clear();
                }
                tracing::info!(file = %self.path.display(), "the catalogue is open again");
                state.database = Some(database);
            }
        }
    }

    /// Closes the file after a failure; `undo` puts back what may have been committed.
    fn close(&self, undo: Vec<Op>) {
        let mut state = self.state.write();
        // Newest first: an older failure puts back what is older.
        state.undo.splice(0..0, undo);
        state.database = None;
    }

    fn put_back(&self, database: &Database, undo: &[Op]) -> Result<(), KvError> {
        let writing = database.begin_write().map_err(|e| failed(&self.path, "write", e))?;
        {
            let mut table =
                writing.open_table(TABLE).map_err(|e| failed(&self.path, "write", e))?;
            for op in undo {
                self.apply(&mut table, op.clone())?;
            }
        }
        writing.commit().map_err(|e| failed(&self.path, "commit", e))
    }

    fn get(&self, key: &str) -> Result<Option<Bytes>, KvError> {
        self.read(|table| {
            let value = table.get(key).map_err(|e| self.storage("read", e))?;
            Ok(value.map(|value| Bytes::copy_from_slice(value.value())))
        })
    }

    fn range(&self, prefix: &str) -> Result<Vec<(String, Bytes)>, KvError> {
        self.read(|table| {
            let mut found = Vec::new();
            for entry in table.range(prefix..).map_err(|e| self.storage("read", e))? {
                let (key, value) = entry.map_err(|e| self.storage("read", e))?;
                if !key.value().starts_with(prefix) {
                    break;
                }
                found.push((key.value().to_owned(), Bytes::copy_from_slice(value.value())));
            }
            Ok(found)
        })
    }

    /// Reads from the table; one that was never written to is empty.
    fn read<T: Default>(
        &self,
        f: impl FnOnce(redb::ReadOnlyTable<&'static str, &'static [u8]>) -> Result<T, KvError>,
    ) -> Result<T, KvError> {
        let found = self.read_from(&*self.database()?, f);
        if matches!(found, Err(KvError::Failed { .. })) {
            self.close(Vec::new());
        }
        found
    }

    fn read_from<T: Default>(
        &self,
        database: &Database,
        f: impl FnOnce(redb::ReadOnlyTable<&'static str, &'static [u8]>) -> Result<T, KvError>,
    ) -> Result<T, KvError> {
        let reading = database.begin_read().map_err(|e| failed(&self.path, "read", e))?;
        match reading.open_table(TABLE) {
            Ok(table) => f(table),
            Err(TableError::TableDoesNotExist(_)) => Ok(T::default()),
            Err(TableError::Storage(error)) => Err(self.storage("read", error)),
            Err(error) => Err(failed(&self.path, "read", error)),
        }
    }

    fn commit(&self, transaction: Transaction) -> Result<(), CommitError> {
        let mut undo = Vec::new();
        let committed = self.commit_to(&*self.database()?, transaction, &mut undo);
        if matches!(committed, Err(CommitError::Kv(KvError::Failed { .. }))) {
            self.close(undo);
        }
        committed
    }

    /// Commits `transaction`; `undo` gets what puts it back.
    fn commit_to(
        &self,
        database: &Database,
        transaction: Transaction,
        undo: &mut Vec<Op>,
    ) -> Result<(), CommitError> {
        // Dropped without a commit, a write never happened.
        let writing = database.begin_write().map_err(|e| failed(&self.path, "write", e))?;
        {
            let mut table =
                writing.open_table(TABLE).map_err(|e| failed(&self.path, "write", e))?;
            for compare in &transaction.compares {
                let found = table.get(compare.key()).map_err(|e| self.storage("read", e))?;
                compare.check(found.as_ref().map(redb::AccessGuard::value))?;
            }
            for op in transaction.ops {
                let before = self.before(&table, &op)?;
                self.apply(&mut table, op)?;
                undo.splice(0..0, before);
            }
        }
        writing.commit().map_err(|e| failed(&self.path, "commit", e))?;
        Ok(())
    }

    /// What puts back what `op` will change.
    fn before(&self, table: &Table<'_, &str, &[u8]>, op: &Op) -> Result<Vec<Op>, KvError> {
        let error = |error| self.storage("read", error);
        match op {
            Op::Put { key, .. } | Op::Delete { key } => {
                let value = table.get(&**key).map_err(error)?;
                let value = value.map(|value| Bytes::copy_from_slice(value.value()));
                Ok(vec![match value {
                    Some(value) => Op::Put { key: key.clone(), value },
                    None => Op::Delete { key: key.clone() },
                }])
            }
            Op::DeletePrefix { prefix } => {
                let mut before = Vec::new();
                for entry in table.range(&**prefix..).map_err(error)? {
                    let (key, value) = entry.map_err(error)?;
                    if !key.value().starts_with(&**prefix) {
                        break;
                    }
                    let value = Bytes::copy_from_slice(value.value());
                    before.push(Op::Put { key: key.value().to_owned(), value });
                }
                Ok(before)
            }
        }
    }

    fn apply(&self, table: &mut Table<'_, &str, &[u8]>, op: Op) -> Result<(), KvError> {
        let error = |error| self.storage("write", error);
        match op {
            Op::Put { key, value } => drop(table.insert(&*key, &*value).map_err(error)?),
            Op::Delete { key } => drop(table.remove(&*key).map_err(error)?),
            Op::DeletePrefix { prefix } => {
                let mut keys = Vec::new();
                for entry in table.range(&*prefix..).map_err(error)? {
                    let key = entry.map_err(error)?.0.value().to_owned();
                    if !key.starts_with(&prefix) {
                        break;
                    }
                    keys.push(key);
                }
                for key in keys {
                    table.remove(&*key).map_err(error)?;
                }
            }
        }
        Ok(())
    }

    fn storage(&self, action: &'static str, error: StorageError) -> KvError {
        storage(&self.path, action, error)
    }
}

fn open(path: &Path) -> Result<Database, KvError> {
    let opened = Builder::new().set_cache_size(CACHE_BYTES).create(path);
    opened.map_err(|error| {
        if let DatabaseError::DatabaseAlreadyOpen = error {
            return KvError::InUse { store: path.display().to_string() };
        }
        if let DatabaseError::Storage(error) = error {
            return storage(path, "open", error);
        }
        failed(path, "open", error)
    })
}

fn storage(path: &Path, action: &'static str, error: StorageError) -> KvError {
    if let StorageError::Corrupted(what) = error {
        return KvError::Damaged { store: path.display().to_string(), what };
    }
    failed(path, action, error)
}

fn failed(
    path: &Path,
    action: &'static str,
    source: impl std::error::Error + Send + Sync + 'static,
) -> KvError {
    KvError::Failed { store: path.display().to_string(), action, source: Arc::new(source) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::testing;

    #[tokio::test]
    async fn keeps_every_promise() {
        let dir = tempfile::tempdir().unwrap();
        testing::conformance(&EmbeddedKv::open(dir.path().join("meta.redb")).await.unwrap()).await;
    }

    #[tokio::test]
    async fn what_is_committed_is_there_after_reopening_and_only_one_may_open() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("meta.redb");
        let put = |key: &str| Transaction {
            ops: vec![Op::Put { key: key.to_owned(), value: Bytes::from_static(b"v") }],
            ..Transaction::default()
        };
        {
            let kv = EmbeddedKv::open(&path).await.unwrap();
            kv.commit(put("a")).await.unwrap();
            let second = EmbeddedKv::open(&path).await.err().unwrap();
            assert!(matches!(second, KvError::InUse { .. }), "{second}");
            kv.commit(put("b")).await.unwrap();
        }
        let kv = EmbeddedKv::open(&path).await.unwrap();
        assert_eq!(kv.range("").await.unwrap().len(), 2);
    }

    /// A copy of the file taken between commits is what a kill would leave.
    #[tokio::test]
    async fn a_killed_store_opens_with_what_was_committed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("meta.redb");
        let kv = EmbeddedKv::open(&path).await.unwrap();
        for i in 0..20u8 {
            let key = format!("key {i}");
            let ops = vec![Op::Put { key, value: Bytes::from(vec![i; 1000]) }];
            kv.commit(Transaction { compares: vec![], ops }).await.unwrap();
            let copy = dir.path().join(format!("copy {i}"));
            std::fs::copy(&path, &copy).unwrap();
            let killed = EmbeddedKv::open(copy).await.unwrap();
            assert_eq!(killed.range("key").await.unwrap().len(), usize::from(i) + 1);
        }
    }

    /// The file of a store that is closed because of a failure goes on where it was, without what the
    /// failed commit may have left in it.
    #[tokio::test]
    async fn a_store_that_failed_opens_again_without_the_commit_that_failed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("meta.redb");
        let store = Store::open(path).unwrap();
        let put = |key: &str, value: &'static [u8]| Op::Put {
            key: key.to_owned(),
            value: Bytes::from_static(value),
        };
        let commit = |ops: Vec<Op>| Transaction { ops, ..Transaction::default() };
        store.commit(commit(vec![put("a", b"1"), put("b", b"1"), put("b/c", b"1")])).unwrap();
        let changes = vec![
            put("a", b"2"),
            put("new", b"2"),
            Op::DeletePrefix { prefix: "b".to_owned() },
            put("b", b"3"),
            Op::Delete { key: "a".to_owned() },
        ];
        let mut undo = Vec::new();
        store.commit_to(&store.database().unwrap(), commit(changes), &mut undo).unwrap();
        store.close(undo);
        let found = store.range("").unwrap();
        let found: Vec<_> = found.iter().map(|(key, value)| (key.as_str(), &value[..])).collect();
        assert_eq!(found, [("a", &b"1"[..]), ("b", b"1"), ("b/c", b"1")]);
        store.commit(commit(vec![put("a", b"4")])).unwrap();
        assert_eq!(store.get("a").unwrap().as_deref(), Some(&b"4"[..]));
    }

    #[tokio::test]
    async fn a_foreign_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("meta.redb");
        std::fs::write(&path, vec![7; 100_000]).unwrap();
        assert!(EmbeddedKv::open(path).await.is_err());
    }
}
