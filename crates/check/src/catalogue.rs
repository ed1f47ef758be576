//! Every entry of the catalogue: it decodes, lies under its own key, and what it refers to is there.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use milvus_meta::entry::{FormatEntry, IdEntry, PlacementEntry, TsoEntry};
use milvus_meta::{
    AliasEntry, CollectionEntry, CollectionState, CompactionEntry, DatabaseEntry, Entry, Kv,
    KvError, LoadEntry, LogCutEntry, ManifestEntry,
};
use milvus_types::{
    Collection, CollectionId, DatabaseId, IndexId, IndexMeta, PartitionId, Timestamp, VChannel,
};

use crate::finding::{Finding, Severity};
use crate::outcome::Outcome;

const ADVICE: &str = "a server does not start on a catalogue with such an entry: restore meta.redb \
    from a backup";

/// What the catalogue says.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) collections: BTreeMap<CollectionId, Arc<Collection>>,
    pub(crate) indexes: HashMap<(CollectionId, IndexId), IndexMeta>,
    /// The current version of each collection's manifest.
    pub(crate) manifests: BTreeMap<CollectionId, u64>,
    /// Nothing above it was handed out.
    pub(crate) tso: Option<Timestamp>,
    /// Nothing from it on was handed out.
    pub(crate) next_id: Option<i64>,
    /// How far each channel's log was cut: it has reached that.
    pub(crate) cuts: BTreeMap<String, u64>,
    /// Where data and log are.
    pub(crate) placement: Option<PlacementEntry>,
    /// Collections of which an entry cannot be read: what is theirs is not known.
    pub(crate) obscure: HashSet<CollectionId>,
    /// Collections that are being dropped: some of what is theirs is gone, the rest goes.
    dropping: HashSet<CollectionId>,
    databases: HashSet<DatabaseId>,
    aliases: Vec<AliasEntry>,
    loads: Vec<LoadEntry>,
}

/// Reads and verifies everything in `kv`.
pub(crate) async fn read(
    kv: &dyn Kv,
    references: bool,
    outcome: &mut Outcome,
) -> Result<Contents, KvError> {
    let mut contents = Contents::default();
    contents.databases.insert(DatabaseId::DEFAULT);
    for (key, bytes) in kv.range("").await? {
        outcome.counts.entries += 1;
        if let Err(finding) = contents.add(&key, &bytes) {
            contents.obscure.extend(collection_in(&key));
            outcome.push(*finding);
        }
    }
    let Contents { manifests, dropping, .. } = &mut contents;
    manifests.retain(|id, _| !dropping.contains(id));
    outcome.counts.collections += contents.collections.len() as u64;
    if references {
        outcome.findings.extend(contents.dangling());
    }
    Ok(contents)
}

/// The collection that an entry's key names.
fn collection_in(key: &str) -> Option<CollectionId> {
    let under = |prefix: String| key.strip_prefix(prefix.as_str()).map(str::to_owned);
    let last = |rest: String| rest.rsplit('/').next().map(str::to_owned);
    let first = |rest: String| rest.split('/').next().map(str::to_owned);
    let id = under(CollectionEntry::prefix())
        .and_then(last)
        .or_else(|| under(ManifestEntry::prefix()).and_then(first))
        .or_else(|| under(IndexMeta::prefix()).and_then(first))?;
    id.parse().ok().map(CollectionId)
}

fn decode<E: Entry>(key: &str, bytes: &Bytes) -> Result<E, Box<Finding>> {
    let damage = |what: String| Box::new(Finding::damage(key, what).advise(ADVICE));
    let entry = E::decode(key, bytes).map_err(|error| damage(error.what))?;
    if entry.key() != key {
        return Err(damage(format!("it is the entry of {}", entry.key())));
    }
    Ok(entry)
}

impl Contents {
    fn add(&mut self, key: &str, bytes: &Bytes) -> Result<(), Box<Finding>> {
        let is = |prefix: String| key.starts_with(&prefix);
        if is(CollectionEntry::prefix()) {
            let CollectionEntry { collection, state } = decode(key, bytes)?;
            match state {
                CollectionState::Created => {
                    self.collections.insert(collection.id, Arc::new(collection));
                }
                CollectionState::Dropping => {
                    self.dropping.insert(collection.id);
                }
            }
        } else if is(IndexMeta::prefix()) {
            let entry: IndexMeta = decode(key, bytes)?;
            self.indexes.insert(entry.id(), entry);
        } else if is(ManifestEntry::prefix()) {
            let entry: ManifestEntry = decode(key, bytes)?;
            self.manifests.insert(entry.collection_id, entry.version);
        } else if is(DatabaseEntry::prefix()) {
            self.databases.insert(decode::<DatabaseEntry>(key, bytes)?.id);
        } else if is(AliasEntry::prefix()) {
            self.aliases.push(decode(key, bytes)?);
        } else if is(LoadEntry::prefix()) {
            self.loads.push(decode(key, bytes)?);
        } else if is(LogCutEntry::prefix()) {
            let LogCutEntry { pchannel, before } = decode(key, bytes)?;
            self.cuts.insert(pchannel, before);
        } else if is(CompactionEntry::prefix()) {
            decode::<CompactionEntry>(key, bytes)?;
        } else if key == TsoEntry::key_of(&()) {
            self.tso = Some(decode::<TsoEntry>(key, bytes)?.high_water);
        } else if key == IdEntry::key_of(&()) {
            self.next_id = Some(decode::<IdEntry>(key, bytes)?.next);
        } else if key == PlacementEntry::key_of(&()) {
            self.placement = Some(decode(key, bytes)?);
        } else if key == FormatEntry::key_of(&()) {
            let FormatEntry { version } = decode(key, bytes)?;
            if version > FormatEntry::NEWEST {
                let want = FormatEntry::NEWEST;
                let what = format!("the catalogue has format {version}, this program reads {want}");
                let finding = Finding::new(Severity::Unreadable, key, what)
                    .advise("check with the newer version that wrote it");
                return Err(Box::new(finding));
            }
        } else {
            let what = "this program knows no such kind of entry";
            return Err(Box::new(Finding::note(key, what)));
        }
        Ok(())
    }

    /// Adds the collection's name to a finding that has its id.
    pub(crate) fn name(&self, finding: Finding) -> Finding {
        let id = finding.concerns.collection_id.map(CollectionId);
        match id.and_then(|id| self.collections.get(&id)) {
            Some(collection) => finding.of(collection),
            None => finding,
        }
    }

    /// The shards of all collections.
    pub(crate) fn vchannels(&self) -> impl Iterator<Item = &VChannel> {
        self.collections.values().flat_map(|collection| &collection.vchannels)
    }

    /// The names of `collection`'s indexes.
    pub(crate) fn index_names(&self, collection: CollectionId) -> HashMap<IndexId, String> {
        let of_it = self.indexes.values().filter(|index| index.collection_id == collection);
        of_it.map(|index| (index.id, index.name.clone())).collect()
    }

    fn is_known(&self, collection: CollectionId) -> bool {
        self.collections.contains_key(&collection)
            || self.obscure.contains(&collection)
            || self.dropping.contains(&collection)
    }

    /// Entries that refer to what is not there.
    fn dangling(&self) -> Vec<Finding> {
        let mut found: Vec<Finding> = Vec::new();
        for collection in self.collections.values() {
            found.extend(self.check_collection(collection));
        }
        let gone = |key: String, id: CollectionId| {
            let what = format!("it is of collection {id}, which does not exist");
            Finding::new(Severity::Orphan, key, what).of_id(id)
        };
        let of = |id: &CollectionId| !self.is_known(*id);
        let aliases = self.aliases.iter().filter(|alias| of(&alias.collection_id));
        found.extend(aliases.map(|alias| gone(alias.key(), alias.collection_id)));
        let loads = self.loads.iter().filter(|load| of(&load.collection_id));
        found.extend(loads.map(|load| gone(load.key(), load.collection_id)));
        let pointers = self.manifests.keys().filter(|id| of(id));
        found.extend(pointers.map(|id| gone(ManifestEntry::key_of(id), *id)));
        let indexes = self.indexes.values().filter(|index| of(&index.collection_id));
        found.extend(indexes.map(|index| gone(index.key(), index.collection_id)));
        found.extend(self.check_loads());
        found.extend(self.check_indexes());
        found
    }

    fn check_collection(&self, collection: &Collection) -> Vec<Finding> {
        let key = CollectionEntry::key_of(&(collection.db_id, collection.id));
        let mut found = Vec::new();
        let mut bad = |what: String| {
            found.push(Finding::damage(&key, what).of(collection).advise(ADVICE));
        };
        if !self.databases.contains(&collection.db_id) {
            bad(format!("its database {} does not exist", collection.db_id));
        }
        if collection.schema.primary_key().is_none() {
            bad("its schema has no primary key".to_owned());
        }
        if collection.vchannels.is_empty() {
            bad("it has no shards".to_owned());
        }
        if collection.partitions.is_empty() {
            bad("it has no partitions".to_owned());
        }
        let ids = collection.partitions.iter().map(|partition| partition.id.0);
        let newest = ids.chain([collection.id.0]).max().unwrap_or_default();
        if let Some(next) = self.next_id.filter(|next| newest >= *next) {
            bad(format!("it has id {newest}, but ids from {next} on were never handed out"));
        }
        found
    }

    fn check_loads(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for load in &self.loads {
            let Some(collection) = self.collections.get(&load.collection_id) else {
                continue;
            };
            let missing = |id: &&PartitionId| collection.partition_by_id(**id).is_none();
            for id in load.partition_ids.iter().filter(missing) {
                let what = format!("it loads partition {id}, which does not exist");
                found.push(Finding::note(load.key(), what).of(collection));
            }
        }
        found
    }

    fn check_indexes(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for index in self.indexes.values() {
            let Some(collection) = self.collections.get(&index.collection_id) else {
                continue;
            };
            if collection.schema.field_by_id(index.field_id).is_none() {
                let what = format!("it is of field {}, which does not exist", index.field_name);
                found.push(Finding::new(Severity::Orphan, index.key(), what).of(collection));
            }
        }
        found
    }
}
