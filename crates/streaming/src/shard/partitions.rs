//! Partitions that were emptied: a truncated collection's partitions have new identities under their
//! old names. Requests that were planned before name the old ones and mean the new ones.

use std::collections::HashMap;
use std::sync::Arc;

use milvus_format::log_record::Body;
use milvus_roles::LoadScope;
use milvus_types::{Collection, PartitionId};

/// The present identity of each emptied partition.
#[derive(Debug, Default)]
pub(super) struct Renewed(HashMap<PartitionId, PartitionId>);

impl Renewed {
    /// Takes over what has another identity in `new` than in `old`.
    pub(super) fn learn(&mut self, old: &Collection, new: &Collection) {
        for was in &old.partitions {
            if new.partition_by_id(was.id).is_some() {
                continue;
            }
            let Some(now) = new.partition(&was.name) else { continue };
            for known in self.0.values_mut().filter(|known| **known == was.id) {
                *known = now.id;
            }
            self.0.insert(was.id, now.id);
        }
        self.0.retain(|_, now| new.partition_by_id(*now).is_some());
    }

    /// What `partition` is now.
    pub(super) fn now(&self, partition: PartitionId) -> PartitionId {
        self.0.get(&partition).copied().unwrap_or(partition)
    }

    /// What `partitions` are now.
    pub(super) fn all_now(&self, partitions: &[PartitionId]) -> Vec<PartitionId> {
        partitions.iter().map(|partition| self.now(*partition)).collect()
    }

    /// `load` of the partitions as they are now.
    pub(super) fn load(&self, load: &LoadScope) -> LoadScope {
        match load {
            LoadScope::Partitions(partitions) => LoadScope::Partitions(self.all_now(partitions)),
            LoadScope::Nothing | LoadScope::Collection => load.clone(),
        }
    }

    /// Has `body` name the partitions as they are now.
    pub(super) fn renew(&self, body: &mut Body) {
        match body {
            Body::Insert { partition_id, .. } | Body::Upsert { partition_id, .. } => {
                *partition_id = self.now(*partition_id);
            }
            Body::Delete { partition_ids: Some(partitions), .. } => {
                *partitions = self.all_now(partitions);
            }
            Body::Delete { partition_ids: None, .. }
            | Body::Flush
            | Body::CreatePartition { .. }
            | Body::DropPartition { .. }
            | Body::DropCollection
            | Body::Truncate
            | Body::AlterSchema { .. } => {}
        }
    }

    /// `partitions` of a read as they are now.
    pub(super) fn read(&self, partitions: Option<&[PartitionId]>) -> Option<Arc<[PartitionId]>> {
        partitions.map(|partitions| self.all_now(partitions).into())
    }
}

#[cfg(test)]
mod tests {
    use milvus_types::{CollectionId, CollectionSchema, ConsistencyLevel, DatabaseId};
    use milvus_types::{Partition, Timestamp};

    use super::*;

    fn collection(partitions: &[(i64, &str)]) -> Collection {
        let partition = |(id, name): &(i64, &str)| Partition {
            id: PartitionId(*id),
            name: (*name).to_owned(),
            create_ts: Timestamp::ZERO,
        };
        Collection {
            id: CollectionId(1),
            db_id: DatabaseId(1),
            db_name: "default".to_owned(),
            name: "books".to_owned(),
            schema: CollectionSchema::default(),
            partitions: partitions.iter().map(partition).collect(),
            vchannels: Vec::new(),
            consistency_level: ConsistencyLevel::Strong,
            properties: Vec::new(),
            create_ts: Timestamp::ZERO,
            update_ts: Timestamp::ZERO,
        }
    }

    #[test]
    fn an_old_identity_leads_to_the_newest_of_its_name() {
        let first = collection(&[(1, "a"), (2, "b")]);
        let second = collection(&[(3, "a"), (4, "b")]);
        let third = collection(&[(5, "a"), (4, "b")]);
        let mut renewed = Renewed::default();
        renewed.learn(&first, &second);
        renewed.learn(&second, &third);
        let now = renewed.all_now(&[1, 2, 3, 4, 5, 9].map(PartitionId));
        assert_eq!(now, [5, 4, 5, 4, 5, 9].map(PartitionId));
        let load = LoadScope::Partitions(vec![PartitionId(1)]);
        assert_eq!(renewed.load(&load), LoadScope::Partitions(vec![PartitionId(5)]));
        renewed.learn(&third, &collection(&[(4, "b")]));
        assert_eq!(renewed.now(PartitionId(1)), PartitionId(1), "dropped for good");
    }
}
