//! Which shard a row belongs to: a hash of its key, the same as Milvus's, modulo the shards.
//!
//! With one shard a batch passes as it is, uncopied.

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{take, take_record_batch};
use milvus_roles::{Write, WriteKind};
use milvus_types::{Collection, Failure, PartitionId, PrimaryKeys, Result, VChannel};

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

/// The rows of each of `shards` shards.
fn rows_by_shard(keys: &PrimaryKeys, shards: usize) -> Vec<Vec<u32>> {
    let mut rows = vec![Vec::new(); shards];
    let modulus = u32::try_from(shards).unwrap_or(u32::MAX).max(1);
    let mut place = |row: usize, hash: u32| {
        let shard = usize::try_from(hash % modulus).unwrap_or_default();
        if let (Some(rows), Ok(row)) = (rows.get_mut(shard), u32::try_from(row)) {
            rows.push(row);
        }
    };
    match keys {
        PrimaryKeys::Int64(keys) => {
            keys.values().iter().enumerate().for_each(|(row, key)| place(row, hash_int64(*key)));
        }
        PrimaryKeys::VarChar(keys) => {
            let strings = keys.iter().enumerate();
            strings.for_each(|(row, key)| place(row, hash_string(key.unwrap_or_default())));
        }
    }
    rows
}

/// A shard and a part of what is split, none where the shard has no share.
type Part<T> = (VChannel, Option<T>);

fn split_batch(
    collection: &Collection,
    batch: RecordBatch,
    keys: &PrimaryKeys,
) -> Result<Vec<Part<RecordBatch>>> {
    if let [shard] = collection.vchannels.as_slice() {
        return Ok(vec![(shard.clone(), Some(batch))]);
    }
    let rows = rows_by_shard(keys, collection.vchannels.len());
    let part = |(shard, rows): (&VChannel, Vec<u32>)| {
        if rows.is_empty() {
            return Ok((shard.clone(), None));
        }
        let taken = take_record_batch(&batch, &UInt32Array::from(rows));
        let taken = taken.map_err(|error| Failure::internal(format!("split of rows: {error}")))?;
        Ok((shard.clone(), Some(taken)))
    };
    collection.vchannels.iter().zip(rows).map(part).collect()
}

/// The keys of each shard, none where it has no share.
pub(crate) fn keys(collection: &Collection, keys: &PrimaryKeys) -> Result<Vec<Part<PrimaryKeys>>> {
    if let [shard] = collection.vchannels.as_slice() {
        return Ok(vec![(shard.clone(), Some(keys.clone()).filter(|keys| !keys.is_empty()))]);
    }
    let rows = rows_by_shard(keys, collection.vchannels.len());
    let array = keys.to_array();
    let part = |(shard, rows): (&VChannel, Vec<u32>)| {
        if rows.is_empty() {
            return Ok((shard.clone(), None));
        }
        let taken = take(&array, &UInt32Array::from(rows), None);
        let taken = taken.map_err(|error| Failure::internal(format!("split of keys: {error}")))?;
        Ok((shard.clone(), PrimaryKeys::from_array(&taken)))
    };
    collection.vchannels.iter().zip(rows).map(part).collect()
}

/// The writes of an insert.
pub(crate) fn inserts(
    collection: &Collection,
    partition_id: PartitionId,
    batch: RecordBatch,
    keys: &PrimaryKeys,
    fresh_keys: bool,
) -> Result<Vec<Write>> {
    let parts = split_batch(collection, batch, keys)?;
    let write = |(vchannel, rows): Part<RecordBatch>| {
        let kind = WriteKind::Insert { partition_id, rows: rows?, fresh_keys };
        Some(Write { vchannel, kind })
    };
    Ok(parts.into_iter().filter_map(write).collect())
}

/// The writes of an upsert. New keys may lie in other shards than those they replace.
pub(crate) fn upserts(
    collection: &Collection,
    partition_id: PartitionId,
    batch: RecordBatch,
    written: &PrimaryKeys,
    replaced: &PrimaryKeys,
) -> Result<Vec<Write>> {
    let rows = split_batch(collection, batch, written)?;
    let replaced = keys(collection, replaced)?;
    let write = |((vchannel, rows), (_, replaced)): (Part<RecordBatch>, Part<PrimaryKeys>)| {
        let none = || PrimaryKeys::empty(written.pk_type());
        let kind = match (rows, replaced) {
            (Some(rows), replaced) => {
                let replaced = replaced.unwrap_or_else(none);
                WriteKind::Upsert { partition_id, rows, replaced }
            }
            (None, Some(keys)) => WriteKind::Delete { partitions: None, keys },
            (None, None) => return None,
        };
        Some(Write { vchannel, kind })
    };
    Ok(rows.into_iter().zip(replaced).filter_map(write).collect())
}

/// The writes of a delete by key.
pub(crate) fn deletes(
    collection: &Collection,
    partitions: Option<Vec<PartitionId>>,
    keys: &PrimaryKeys,
) -> Result<Vec<Write>> {
    let write = |(vchannel, keys): Part<PrimaryKeys>| {
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
