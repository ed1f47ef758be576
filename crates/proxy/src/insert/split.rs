//! Which shard a row belongs to: a hash of its key, the same as Milvus's, modulo the shards.
//!
//! With one shard and partition a batch passes as it is, uncopied.

use std::collections::BTreeMap;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{take, take_record_batch};
use milvus_roles::{Write, WriteKind};
use milvus_types::{Collection, Failure, PartitionId, PrimaryKeys, Result, VChannel};

use super::partition_key;

/// How many bytes of a string take part in its hash.
const HASHED_BYTES: usize = 100;

/// Murmur3, 32 bits, seed 0, of the key's little-endian bytes, without the sign bit.
pub(crate) fn hash_int64(key: i64) -> u32 {
    const C1: u32 = 0xcc9e_2d51;
    const C2: u32 = 0x1b87_3593;
    let bytes = key.to_le_bytes();
    let mut hash = 0_u32;
    let (low, high) = bytes.split_at(4);
    for block in [low, high] {
        let mut word = [0; 4];
        word.copy_from_slice(block);
        let mixed = u32::from_le_bytes(word).wrapping_mul(C1).rotate_left(15).wrapping_mul(C2);
        hash = (hash ^ mixed).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    hash ^= 8;
    hash ^= hash >> 16;
    hash = hash.wrapping_mul(0x85eb_ca6b);
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(0xc2b2_ae35);
    hash ^= hash >> 16;
    hash & 0x7fff_ffff
}

/// CRC-32 (IEEE) of the key's first bytes.
pub(crate) fn hash_string(key: &str) -> u32 {
    let bytes = key.as_bytes();
    crc32fast::hash(bytes.get(..HASHED_BYTES).unwrap_or(bytes))
}

/// Each key's shard.
fn shards(keys: &PrimaryKeys, shards: usize) -> Vec<usize> {
    let modulus = u32::try_from(shards).unwrap_or(u32::MAX).max(1);
    let place = |hash: u32| usize::try_from(hash % modulus).unwrap_or_default();
    match keys {
        PrimaryKeys::Int64(keys) => {
            keys.values().iter().map(|key| place(hash_int64(*key))).collect()
        }
        PrimaryKeys::VarChar(keys) => {
            keys.iter().map(|key| place(hash_string(key.unwrap_or_default()))).collect()
        }
    }
}

/// Rows that go to one shard and partition.
#[derive(Debug)]
pub(crate) struct Place {
    vchannel: VChannel,
    partition_id: PartitionId,
    /// `None` for all.
    rows: Option<UInt32Array>,
}

/// Where the rows of `batch`, whose keys are `keys`, go: to `partition` or, without one, where their
/// partition keys say. Shards come in their order.
pub(crate) fn places(
    collection: &Collection,
    partition: Option<PartitionId>,
    keys: &PrimaryKeys,
    batch: &RecordBatch,
) -> Result<Vec<Place>> {
    let partitions = match partition {
        Some(partition_id) => {
            if let [vchannel] = collection.vchannels.as_slice() {
                let vchannel = vchannel.clone();
                return Ok(vec![Place { vchannel, partition_id, rows: None }]);
            }
            None
        }
        None => {
            let at = collection.schema.fields.iter().position(|field| field.is_partition_key);
            let keys = at.and_then(|at| batch.columns().get(at));
            let keys = keys.ok_or_else(|| Failure::internal("rows without a partition key"))?;
            Some(partition_key::of_rows(collection, keys)?)
        }
    };
    let mut rows: BTreeMap<(usize, PartitionId), Vec<u32>> = BTreeMap::new();
    for (row, shard) in shards(keys, collection.vchannels.len()).into_iter().enumerate() {
        let by_key = partitions.as_ref().and_then(|partitions| partitions.get(row).copied());
        let partition = by_key.or(partition).unwrap_or(PartitionId(0));
        let row = u32::try_from(row).map_err(|_| Failure::internal("too many rows"))?;
        rows.entry((shard, partition)).or_default().push(row);
    }
    let only = rows.len() == 1;
    let place = |((shard, partition_id), rows): ((usize, PartitionId), Vec<u32>)| {
        let vchannel = collection.vchannels.get(shard)?.clone();
        let rows = (!only).then(|| UInt32Array::from(rows));
        Some(Place { vchannel, partition_id, rows })
    };
    Ok(rows.into_iter().filter_map(place).collect())
}

impl Place {
    fn batch(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let Some(rows) = &self.rows else { return Ok(batch.clone()) };
        take_record_batch(batch, rows)
            .map_err(|error| Failure::internal(format!("split of rows: {error}")))
    }

    fn keys(&self, keys: &PrimaryKeys) -> Result<PrimaryKeys> {
        let Some(rows) = &self.rows else { return Ok(keys.clone()) };
        taken(keys, rows)
    }
}

fn taken(keys: &PrimaryKeys, rows: &UInt32Array) -> Result<PrimaryKeys> {
    let taken = take(&keys.to_array(), rows, None);
    let taken = taken.map_err(|error| Failure::internal(format!("split of keys: {error}")))?;
    PrimaryKeys::from_array(&taken).ok_or_else(|| Failure::internal("keys that are no keys"))
}

/// The keys of each shard, none where it has no share.
pub(crate) fn keys(
    collection: &Collection,
    keys: &PrimaryKeys,
) -> Result<Vec<(VChannel, Option<PrimaryKeys>)>> {
    if let [shard] = collection.vchannels.as_slice() {
        return Ok(vec![(shard.clone(), Some(keys.clone()).filter(|keys| !keys.is_empty()))]);
    }
    let mut rows = vec![Vec::new(); collection.vchannels.len()];
    for (row, shard) in shards(keys, collection.vchannels.len()).into_iter().enumerate() {
        if let (Some(rows), Ok(row)) = (rows.get_mut(shard), u32::try_from(row)) {
            rows.push(row);
        }
    }
    let part = |(shard, rows): (&VChannel, Vec<u32>)| {
        if rows.is_empty() {
            return Ok((shard.clone(), None));
        }
        Ok((shard.clone(), Some(taken(keys, &UInt32Array::from(rows))?)))
    };
    collection.vchannels.iter().zip(rows).map(part).collect()
}

/// The writes of an insert.
pub(crate) fn inserts(
    places: &[Place],
    batch: RecordBatch,
    fresh_keys: bool,
) -> Result<Vec<Write>> {
    let write = |place: &Place| {
        let (partition_id, rows) = (place.partition_id, place.batch(&batch)?);
        let kind = WriteKind::Insert { partition_id, rows, fresh_keys };
        Ok(Write { vchannel: place.vchannel.clone(), kind })
    };
    places.iter().map(write).collect()
}

/// The writes of an upsert. `replaced` are the keys to replace where they are not those of the rows;
/// they may lie in other shards.
///
/// Where partition keys decide, the row to replace may lie in any partition.
pub(crate) fn upserts(
    collection: &Collection,
    places: &[Place],
    batch: RecordBatch,
    written: &PrimaryKeys,
    replaced: Option<PrimaryKeys>,
) -> Result<Vec<Write>> {
    let everywhere = collection.schema.partition_key().is_some();
    let mut others = match &replaced {
        Some(replaced) => keys(collection, replaced)?,
        None => Vec::new(),
    };
    let mut writes = Vec::with_capacity(places.len());
    for place in places {
        let replaced = if replaced.is_some() {
            let of_shard = others.iter_mut().find(|(vchannel, _)| *vchannel == place.vchannel);
            let keys = of_shard.and_then(|(_, keys)| keys.take());
            keys.unwrap_or_else(|| PrimaryKeys::empty(written.pk_type()))
        } else {
            place.keys(written)?
        };
        let (partition_id, rows) = (place.partition_id, place.batch(&batch)?);
        let kind = WriteKind::Upsert { partition_id, rows, replaced, everywhere };
        writes.push(Write { vchannel: place.vchannel.clone(), kind });
    }
    let partitions = match places.first() {
        Some(place) if !everywhere => Some(vec![place.partition_id]),
        _ => None,
    };
    for (vchannel, keys) in others {
        if let Some(keys) = keys {
            let kind = WriteKind::Delete { partitions: partitions.clone(), keys };
            writes.push(Write { vchannel, kind });
        }
    }
    Ok(writes)
}

/// The writes of a delete by key.
pub(crate) fn deletes(
    collection: &Collection,
    partitions: Option<Vec<PartitionId>>,
    keys: &PrimaryKeys,
) -> Result<Vec<Write>> {
    let write = |(vchannel, keys): (VChannel, Option<PrimaryKeys>)| {
        let kind = WriteKind::Delete { partitions: partitions.clone(), keys: keys? };
        Some(Write { vchannel, kind })
    };
    Ok(self::keys(collection, keys)?.into_iter().filter_map(write).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_milvus_hashes() {
        // Computed with the reference algorithms over the same bytes.
        for (key, hash) in HASHES {
            assert_eq!(hash_int64(*key), *hash, "{key}");
        }
        assert_eq!(hash_string(""), 0);
        assert_eq!(hash_string("123456789"), 0xcbf4_3926);
        let long = "a".repeat(150);
        assert_eq!(hash_string(&long), hash_string(&long[..100]));
        assert_ne!(hash_string(&long), hash_string(&long[..99]));
    }

    const HASHES: &[(i64, u32)] = &[
        (0, 0x6385_2afc),
        (1, 0x5307_5d44),
        (-1, 0x6275_64e8),
        (100, 0x462b_1070),
        (i64::MAX, 0x0271_44bf),
    ];
}
