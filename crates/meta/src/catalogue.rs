//! The typed catalogue: loads entries, and changes several of them in one transaction.
//!
//! Every change that depends on what was read compares it: creating fails if the entry is there,
//! replacing fails if somebody changed it since. The loser gets a
//! [`Conflict`](crate::error::Conflict) and nothing has happened.

use std::ops::{Deref, Range};
use std::sync::Arc;

use bytes::Bytes;
use milvus_types::{CollectionId, DatabaseId, IndexMeta, Timestamp};

use crate::entry::{
    AliasEntry, CollectionEntry, DatabaseEntry, Entry, FormatEntry, IdEntry, LoadEntry,
    ManifestEntry, TsoEntry, index,
};
use crate::error::{CommitError, Conflict, LoadError, OpenError};
use crate::kv::{Compare, Kv, Op, Transaction};

/// The first id handed out; those below are for what always exists.
pub const FIRST_ID: i64 = 1_000;

/// How often a change that somebody else overtook is tried again.
const ATTEMPTS: usize = 16;

/// The catalogue over a store; clones share it.
#[derive(Clone)]
pub struct Catalogue {
    kv: Arc<dyn Kv>,
}

/// An entry as it lies in the store; what [`CatalogueTransaction::replace`] compares with.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored<E> {
    /// The entry.
    pub entry: E,
    key: String,
    bytes: Bytes,
}

impl<E> Deref for Stored<E> {
    type Target = E;

    fn deref(&self) -> &E {
        &self.entry
    }
}

impl Catalogue {
    /// Opens the catalogue in `kv`: a fresh store is marked with the present format, one of a later
    /// format is refused.
    pub async fn open(kv: Arc<dyn Kv>) -> Result<Self, OpenError> {
        let catalogue = Self { kv };
        let format = match catalogue.get::<FormatEntry>(&()).await? {
            Some(format) => format.entry,
            None => {
                let format = FormatEntry { version: FormatEntry::NEWEST };
                match catalogue.transaction().create(&format).commit().await {
                    Ok(()) => format,
                    Err(error) if error.is_conflict() => {
                        let winner = catalogue.get::<FormatEntry>(&()).await?;
                        winner.map_or(format, |winner| winner.entry)
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        };
        if format.version > FormatEntry::NEWEST {
            return Err(OpenError::NewerFormat { got: format.version, want: FormatEntry::NEWEST });
        }
        Ok(catalogue)
    }

    /// The entry of kind `E` with identity `id`.
    pub async fn get<E: Entry>(&self, id: &E::Id) -> Result<Option<Stored<E>>, LoadError> {
        let key = E::key_of(id);
        let value = self.kv.get(&key).await?;
        value.map(|bytes| decode(key, bytes)).transpose()
    }

    /// All entries of kind `E`, by key.
    pub async fn list<E: Entry>(&self) -> Result<Vec<Stored<E>>, LoadError> {
        self.list_within(&E::prefix()).await
    }

    /// All collections, those being dropped included.
    pub async fn list_collections(&self) -> Result<Vec<Stored<CollectionEntry>>, LoadError> {
        self.list().await
    }

    /// All databases that have an entry.
    pub async fn list_databases(&self) -> Result<Vec<Stored<DatabaseEntry>>, LoadError> {
        self.list().await
    }

    /// All aliases of all databases.
    pub async fn list_aliases(&self) -> Result<Vec<Stored<AliasEntry>>, LoadError> {
        self.list().await
    }

    /// All loads asked for.
    pub async fn list_loads(&self) -> Result<Vec<Stored<LoadEntry>>, LoadError> {
        self.list().await
    }

    /// All indexes of all collections.
    pub async fn list_indexes(&self) -> Result<Vec<Stored<IndexMeta>>, LoadError> {
        self.list().await
    }

    /// The indexes of `collection`.
    pub async fn list_indexes_of(
        &self,
        collection: CollectionId,
    ) -> Result<Vec<Stored<IndexMeta>>, LoadError> {
        self.list_within(&index::prefix_of(collection)).await
    }

    async fn list_within<E: Entry>(&self, prefix: &str) -> Result<Vec<Stored<E>>, LoadError> {
        let found = self.kv.range(prefix).await?;
        found.into_iter().map(|(key, bytes)| decode(key, bytes)).collect()
    }

    /// The current version of `collection`'s manifest.
    pub async fn manifest(&self, collection: CollectionId) -> Result<Option<u64>, LoadError> {
        let entry = self.get::<ManifestEntry>(&collection).await?;
        Ok(entry.map(|entry| entry.version))
    }

    /// Makes `to` the current version of `collection`'s manifest if `from` is it; `None` means that
    /// there is none yet.
    pub async fn advance_manifest(
        &self,
        collection: CollectionId,
        from: Option<u64>,
        to: u64,
    ) -> Result<(), CommitError> {
        let stored = self.get::<ManifestEntry>(&collection).await?;
        let entry = ManifestEntry { collection_id: collection, version: to };
        let found = stored.as_ref().map(|stored| stored.version);
        self.advance(stored, found == from, from.is_none(), &entry).await
    }

    /// The timestamp above which none was handed out; zero in a fresh store.
    pub async fn tso(&self) -> Result<Timestamp, LoadError> {
        let entry = self.get::<TsoEntry>(&()).await?;
        Ok(entry.map_or(Timestamp::ZERO, |entry| entry.high_water))
    }

    /// Raises the mark of timestamps handed out to `to` if it is `from`.
    pub async fn advance_tso(&self, from: Timestamp, to: Timestamp) -> Result<(), CommitError> {
        let stored = self.get::<TsoEntry>(&()).await?;
        let found = stored.as_ref().map_or(Timestamp::ZERO, |stored| stored.high_water);
        let entry = TsoEntry { high_water: to };
        self.advance(stored, found == from && to >= from, false, &entry).await
    }

    /// Takes `count` ids that nobody had before and nobody will have again.
    pub async fn reserve_ids(&self, count: u64) -> Result<Range<i64>, CommitError> {
        let mut attempt = 1;
        loop {
            let stored = self.get::<IdEntry>(&()).await?;
            let from = stored.as_ref().map_or(FIRST_ID, |stored| stored.next);
            let next = i64::try_from(count).ok().and_then(|count| from.checked_add(count));
            let next = next.ok_or(CommitError::IdsUsedUp { from, count })?;
            match self.advance(stored, true, true, &IdEntry { next }).await {
                Ok(()) => return Ok(from..next),
                Err(error) if error.is_conflict() && attempt < ATTEMPTS => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Replaces `stored` by `entry`, or creates it if there is none, provided it is `as_expected`.
    async fn advance<E: Entry>(
        &self,
        stored: Option<Stored<E>>,
        as_expected: bool,
        want_absent: bool,
        entry: &E,
    ) -> Result<(), CommitError> {
        if !as_expected {
            let found = match &stored {
                None => "is missing",
                Some(_) if want_absent => "exists",
                Some(_) => "has changed",
            };
            let want = if want_absent { "absent" } else { "unchanged" };
            return Err(Conflict { key: entry.key(), found, want }.into());
        }
        let transaction = self.transaction();
        match stored {
            Some(stored) => transaction.replace(&stored, entry).commit().await,
            None => transaction.create(entry).commit().await,
        }
    }

    /// Begins a change of several entries that happens whole or not at all.
    pub fn transaction(&self) -> CatalogueTransaction {
        CatalogueTransaction { kv: Arc::clone(&self.kv), transaction: Transaction::default() }
    }

    /// Creates `entry`; fails if there is one of its identity.
    pub async fn create<E: Entry>(&self, entry: &E) -> Result<(), CommitError> {
        self.transaction().create(entry).commit().await
    }

    /// Writes `entry` over whatever there is of its identity.
    pub async fn put<E: Entry>(&self, entry: &E) -> Result<(), CommitError> {
        self.transaction().put(entry).commit().await
    }

    /// Writes `entry` over `stored`; fails if somebody changed it since it was loaded.
    pub async fn replace<E: Entry>(
        &self,
        stored: &Stored<E>,
        entry: &E,
    ) -> Result<(), CommitError> {
        self.transaction().replace(stored, entry).commit().await
    }

    /// Removes the entry of kind `E` with identity `id`, if there is one.
    pub async fn remove<E: Entry>(&self, id: &E::Id) -> Result<(), CommitError> {
        self.transaction().remove::<E>(id).commit().await
    }
}

fn decode<E: Entry>(key: String, bytes: Bytes) -> Result<Stored<E>, LoadError> {
    let entry = E::decode(&key, &bytes)?;
    Ok(Stored { entry, key, bytes })
}

/// A change of several entries. Nothing happens before [`CatalogueTransaction::commit`].
#[must_use = "nothing happens before commit"]
pub struct CatalogueTransaction {
    kv: Arc<dyn Kv>,
    transaction: Transaction,
}

impl CatalogueTransaction {
    /// Creates `entry`; the transaction fails if there is one of its identity.
    pub fn create<E: Entry>(mut self, entry: &E) -> Self {
        self.transaction.compares.push(Compare::Absent { key: entry.key() });
        self.put(entry)
    }

    /// Writes `entry` over whatever there is of its identity.
    pub fn put<E: Entry>(mut self, entry: &E) -> Self {
        self.transaction.ops.push(Op::Put { key: entry.key(), value: entry.encode() });
        self
    }

    /// Writes `entry` over `stored`, also under another key; the transaction fails if somebody
    /// changed `stored` since.
    pub fn replace<E: Entry>(self, stored: &Stored<E>, entry: &E) -> Self {
        let mut this = self.unchanged(stored);
        if stored.key != entry.key() {
            this.transaction.ops.push(Op::Delete { key: stored.key.clone() });
            return this.create(entry);
        }
        this.put(entry)
    }

    /// Requires that nobody changed or removed `stored` since it was loaded.
    pub fn unchanged<E: Entry>(mut self, stored: &Stored<E>) -> Self {
        let (key, value) = (stored.key.clone(), stored.bytes.clone());
        self.transaction.compares.push(Compare::Equals { key, value });
        self
    }

    /// Removes the entry of kind `E` with identity `id`, if there is one.
    pub fn remove<E: Entry>(mut self, id: &E::Id) -> Self {
        self.transaction.ops.push(Op::Delete { key: E::key_of(id) });
        self
    }

    /// Removes all that there is about `collection`: itself, its indexes, its load, its manifest.
    pub fn remove_collection(mut self, db: DatabaseId, collection: CollectionId) -> Self {
        let prefix = index::prefix_of(collection);
        self.transaction.ops.push(Op::DeletePrefix { prefix });
        self.remove::<LoadEntry>(&collection)
            .remove::<ManifestEntry>(&collection)
            .remove::<CollectionEntry>(&(db, collection))
    }

    /// Makes the change happen, durably.
    pub async fn commit(self) -> Result<(), CommitError> {
        self.kv.commit(self.transaction).await
    }
}

#[cfg(test)]
mod tests {
    use milvus_types::IndexId;

    use super::*;
    use crate::entry::tests::{collection, index};
    use crate::entry::{CollectionState, LoadType};
    use crate::kv::MemoryKv;

    async fn catalogue() -> Catalogue {
        Catalogue::open(Arc::new(MemoryKv::new())).await.unwrap()
    }

    #[tokio::test]
    async fn a_newer_format_is_refused_by_name() {
        let kv = Arc::new(MemoryKv::new());
        let catalogue = Catalogue::open(kv.clone()).await.unwrap();
        Catalogue::open(kv.clone()).await.unwrap();
        catalogue.put(&FormatEntry { version: 2 }).await.unwrap();
        let error = Catalogue::open(kv).await.err().unwrap();
        assert_eq!(
            error.to_string(),
            "metadata has format 2, this program reads up to 1; start a newer version"
        );
    }

    #[tokio::test]
    async fn duplicates_and_lost_races_change_nothing() {
        let catalogue = catalogue().await;
        let mut entry = collection(7);
        catalogue.create(&entry).await.unwrap();
        let first = catalogue.get::<CollectionEntry>(&entry.id()).await.unwrap().unwrap();
        assert_eq!(first.entry, entry);
        assert!(catalogue.create(&entry).await.unwrap_err().is_conflict());
        entry.collection.name = "renamed".into();
        catalogue.replace(&first, &entry).await.unwrap();
        entry.collection.name = "renamed later".into();
        let error = catalogue.replace(&first, &entry).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "metadata entry milvus/v1/collection/1/7 has changed, want it unchanged"
        );
        let found = catalogue.list_collections().await.unwrap();
        assert_eq!(found.iter().map(|c| &*c.collection.name).collect::<Vec<_>>(), ["renamed"]);
    }

    #[tokio::test]
    async fn a_dropped_collection_leaves_nothing_and_takes_nothing_of_others() {
        let catalogue = catalogue().await;
        for id in [7, 70] {
            let load = LoadEntry {
                collection_id: CollectionId(id),
                load_type: LoadType::Collection,
                partition_ids: vec![],
                replica_number: 1,
                load_fields: vec![],
            };
            let indexes = [index(id, 1), index(id, 2)];
            let transaction = catalogue.transaction().create(&collection(id)).create(&load);
            indexes.iter().fold(transaction, |t, index| t.create(index)).commit().await.unwrap();
            catalogue.advance_manifest(CollectionId(id), None, 1).await.unwrap();
        }
        let id = CollectionId(7);
        let stored = catalogue.get::<CollectionEntry>(&(DatabaseId(1), id)).await.unwrap().unwrap();
        let dropping = CollectionEntry { state: CollectionState::Dropping, ..stored.entry.clone() };
        catalogue.replace(&stored, &dropping).await.unwrap();
        let stale = catalogue.transaction().unchanged(&stored).remove_collection(DatabaseId(1), id);
        assert!(stale.commit().await.unwrap_err().is_conflict());
        assert_eq!(catalogue.list_indexes_of(id).await.unwrap().len(), 2);
        catalogue.transaction().remove_collection(DatabaseId(1), id).commit().await.unwrap();
        assert!(catalogue.list_indexes_of(id).await.unwrap().is_empty());
        assert_eq!(catalogue.manifest(id).await.unwrap(), None);
        assert_eq!(catalogue.list_indexes().await.unwrap().len(), 2);
        assert_eq!(catalogue.list_loads().await.unwrap().len(), 1);
        assert_eq!(catalogue.list_collections().await.unwrap().len(), 1);
        catalogue.remove::<IndexMeta>(&(CollectionId(70), IndexId(1))).await.unwrap();
        assert_eq!(catalogue.list_indexes_of(CollectionId(70)).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_manifest_advances_from_its_current_version_only() {
        let catalogue = catalogue().await;
        let id = CollectionId(7);
        catalogue.advance_manifest(id, None, 1).await.unwrap();
        catalogue.advance_manifest(id, Some(1), 2).await.unwrap();
        for from in [None, Some(1), Some(3)] {
            assert!(catalogue.advance_manifest(id, from, 9).await.unwrap_err().is_conflict());
        }
        assert_eq!(catalogue.manifest(id).await.unwrap(), Some(2));
        let other = catalogue.advance_manifest(CollectionId(8), Some(1), 2).await;
        assert!(other.unwrap_err().is_conflict());
    }

    #[tokio::test]
    async fn timestamps_never_go_back() {
        let catalogue = catalogue().await;
        assert_eq!(catalogue.tso().await.unwrap(), Timestamp::ZERO);
        catalogue.advance_tso(Timestamp::ZERO, Timestamp(10)).await.unwrap();
        assert!(catalogue.advance_tso(Timestamp::ZERO, Timestamp(20)).await.is_err());
        assert!(catalogue.advance_tso(Timestamp(10), Timestamp(9)).await.is_err());
        catalogue.advance_tso(Timestamp(10), Timestamp(30)).await.unwrap();
        assert_eq!(catalogue.tso().await.unwrap(), Timestamp(30));
    }

    #[tokio::test]
    async fn ids_are_handed_out_once() {
        let catalogue = catalogue().await;
        assert_eq!(catalogue.reserve_ids(10).await.unwrap(), FIRST_ID..FIRST_ID + 10);
        let (a, b) = tokio::join!(catalogue.reserve_ids(5), catalogue.reserve_ids(5));
        let (a, b) = (a.unwrap(), b.unwrap());
        assert!(a.end <= b.start || b.end <= a.start);
        let error = catalogue.reserve_ids(u64::MAX).await.unwrap_err();
        assert!(matches!(error, CommitError::IdsUsedUp { .. }), "{error}");
    }
}
