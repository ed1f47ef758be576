//! The segments being served, and the deletes that reach them.
//!
//! Deletes that arrive while a segment is being loaded are kept and applied before it is published,
//! and a segment that replaces another one takes its deletes over: no delete is lost, and there is
//! no moment in which a reader finds the segment missing or a dead row alive.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use milvus_segment::{SealedSegment, Segment as _, SegmentSchema};
use milvus_types::{CollectionId, Result, SegmentId, Timestamp};
use parking_lot::RwLock;

use crate::error;
use crate::load::Loaded;

/// What a query node serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryStats {
    /// Segments.
    pub segments: usize,
    /// Their rows, deleted ones included.
    pub rows: u64,
    /// Bytes of their files, mapped.
    pub file_bytes: u64,
    /// Bytes of memory charged for them.
    pub memory_bytes: u64,
}

/// What a query node serves of one collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectionMemory {
    /// The collection.
    pub collection_id: CollectionId,
    /// Its segments and what they take.
    pub stats: QueryStats,
}

impl QueryStats {
    fn add(&mut self, loaded: &Loaded) {
        self.segments += 1;
        self.rows += u64::from(loaded.segment.rows());
        self.file_bytes += loaded.file_bytes;
        self.memory_bytes += loaded.memory.bytes();
    }
}

#[derive(Debug, Default)]
pub(crate) struct Served(RwLock<State>);

#[derive(Debug, Default)]
struct State {
    segments: HashMap<SegmentId, Arc<Loaded>>,
    loading: HashMap<SegmentId, Loading>,
    /// The newest schema seen of each collection that has segments here: a load that began before
    /// the schema changed must not bring the old one back.
    schemas: HashMap<CollectionId, (i32, Arc<SegmentSchema>)>,
}

/// A segment on its way.
#[derive(Debug, Default)]
struct Loading {
    /// How many loads are under way.
    loads: usize,
    /// What was deleted since the first of them began.
    deletes: Vec<(u32, Timestamp)>,
}

/// A load under way; dropped when it ends, well or not.
#[derive(Debug)]
pub(crate) struct Ticket<'a> {
    served: &'a Served,
    id: SegmentId,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut state = self.served.0.write();
        if let Some(loading) = state.loading.get_mut(&self.id) {
            loading.loads = loading.loads.saturating_sub(1);
            if loading.loads == 0 {
                state.loading.remove(&self.id);
            }
        }
    }
}

impl Served {
    /// Announces a load.
    pub(crate) fn begin(&self, id: SegmentId) -> Ticket<'_> {
        self.0.write().loading.entry(id).or_default().loads += 1;
        Ticket { served: self, id }
    }

    /// Serves what a load has opened, in the place of what was served before.
    pub(crate) fn publish(&self, ticket: Ticket<'_>, loaded: Loaded) -> Result<()> {
        let replaced = {
            let mut state = self.0.write();
            // Released while it loaded: the release came last, so it holds.
            let Some(loading) = state.loading.get(&ticket.id) else {
                return Err(error::not_loaded(ticket.id));
            };
            loaded.segment.delete(&loading.deletes);
            let newer = state.schemas.get(&loaded.collection_id);
            if let Some((_, schema)) = newer.filter(|(at, _)| *at > loaded.schema_version) {
                loaded.segment.set_schema(Arc::clone(schema));
            }
            if let Some(old) = state.segments.get(&ticket.id) {
                loaded.segment.delete(&old.segment.deletes().rows);
            }
            state.segments.insert(ticket.id, Arc::new(loaded))
        };
        // Unmapping the old files need not hold up readers.
        drop(replaced);
        drop(ticket);
        Ok(())
    }

    /// Segments of `collection` answer by `schema`, its version `version`, from now on.
    pub(crate) fn set_schema(
        &self,
        collection: CollectionId,
        version: i32,
        schema: &Arc<SegmentSchema>,
    ) {
        let mut state = self.0.write();
        if state.schemas.get(&collection).is_some_and(|(known, _)| *known >= version) {
            return;
        }
        let of_collection = |loaded: &&Arc<Loaded>| loaded.collection_id == collection;
        for loaded in state.segments.values().filter(of_collection) {
            loaded.segment.set_schema(Arc::clone(schema));
        }
        state.schemas.insert(collection, (version, Arc::clone(schema)));
    }

    /// Stops serving a segment and forgets loads of it.
    pub(crate) fn release(&self, id: SegmentId) -> bool {
        let removed = {
            let mut state = self.0.write();
            state.loading.remove(&id);
            let removed = state.segments.remove(&id);
            if let Some(removed) = &removed {
                let of = removed.collection_id;
                if !state.segments.values().any(|loaded| loaded.collection_id == of)
                    && state.loading.is_empty()
                {
                    state.schemas.remove(&of);
                }
            }
            removed
        };
        removed.is_some()
    }

    /// Marks rows dead. False if the segment is neither served nor being loaded.
    pub(crate) fn delete(&self, id: SegmentId, rows: &[(u32, Timestamp)]) -> bool {
        {
            let state = self.0.read();
            if !state.loading.contains_key(&id) {
                return match state.segments.get(&id) {
                    Some(loaded) => {
                        loaded.segment.delete(rows);
                        true
                    }
                    None => false,
                };
            }
        }
        let mut state = self.0.write();
        let loading = state.loading.get_mut(&id).map(|loading| loading.deletes.extend(rows));
        let served = state.segments.get(&id).map(|loaded| loaded.segment.delete(rows));
        loading.is_some() || served.is_some()
    }

    /// The segments called `ids`, or 601 for the first that is not served.
    pub(crate) fn get(&self, ids: &[SegmentId]) -> Result<Vec<Arc<SealedSegment>>> {
        let state = self.0.read();
        ids.iter()
            .map(|id| match state.segments.get(id) {
                Some(loaded) => Ok(Arc::clone(&loaded.segment)),
                None => Err(error::not_loaded(*id)),
            })
            .collect()
    }

    pub(crate) fn stats(&self) -> QueryStats {
        let mut stats = QueryStats::default();
        for loaded in self.0.read().segments.values() {
            stats.add(loaded);
        }
        stats
    }

    /// What is served of each collection, by id.
    pub(crate) fn collections(&self) -> Vec<CollectionMemory> {
        let mut collections: BTreeMap<CollectionId, QueryStats> = BTreeMap::new();
        for loaded in self.0.read().segments.values() {
            collections.entry(loaded.collection_id).or_default().add(loaded);
        }
        let of = |(collection_id, stats)| CollectionMemory { collection_id, stats };
        collections.into_iter().map(of).collect()
    }

    pub(crate) fn ids(&self) -> Vec<SegmentId> {
        self.0.read().segments.keys().copied().collect()
    }
}
