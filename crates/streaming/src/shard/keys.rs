//! The primary keys of an unflushed segment: key to row, the newest row of each key.

use std::collections::hash_map::Entry;

use arrow::array::{Array, RecordBatch};
use milvus_segment::{PAGE_BYTES_PER_ROW, code_bytes};
use milvus_types::{FieldSchema, PkType, PrimaryKeys};
use rustc_hash::FxHashMap;

pub(super) enum KeyMap {
    Int64(FxHashMap<i64, u32>),
    VarChar(FxHashMap<Box<str>, u32>),
}

impl KeyMap {
    pub(super) fn new(pk_type: PkType) -> Self {
        match pk_type {
            PkType::Int64 => Self::Int64(FxHashMap::default()),
            PkType::VarChar => Self::VarChar(FxHashMap::default()),
        }
    }

    /// Enters `keys` as rows `first_row..`; returns rows that thereby stop being the newest of
    /// their key.
    pub(super) fn insert(&mut self, keys: &PrimaryKeys, first_row: u32) -> Vec<u32> {
        let mut replaced = Vec::new();
        match (self, keys) {
            (Self::Int64(map), PrimaryKeys::Int64(keys)) => {
                map.reserve(keys.len());
                for (row, key) in (first_row..).zip(keys.values()) {
                    replaced.extend(map.insert(*key, row));
                }
            }
            (Self::VarChar(map), PrimaryKeys::VarChar(keys)) => {
                map.reserve(keys.len());
                for (row, key) in (first_row..).zip(keys.iter().flatten()) {
                    match map.entry(key.into()) {
                        Entry::Occupied(mut entry) => replaced.push(entry.insert(row)),
                        Entry::Vacant(entry) => {
                            entry.insert(row);
                        }
                    }
                }
            }
            (Self::Int64(_), PrimaryKeys::VarChar(_))
            | (Self::VarChar(_), PrimaryKeys::Int64(_)) => {}
        }
        replaced
    }

    /// Takes `keys` out; returns the rows they had.
    pub(super) fn remove(&mut self, keys: &PrimaryKeys) -> Vec<u32> {
        match (self, keys) {
            (Self::Int64(map), PrimaryKeys::Int64(keys)) if !map.is_empty() => {
                keys.values().iter().filter_map(|key| map.remove(key)).collect()
            }
            (Self::VarChar(map), PrimaryKeys::VarChar(keys)) if !map.is_empty() => {
                keys.iter().flatten().filter_map(|key| map.remove(key)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Bytes that entering `keys` will take, about.
    fn estimate_bytes(keys: &PrimaryKeys) -> u64 {
        match keys {
            PrimaryKeys::Int64(keys) => 28 * keys.len() as u64,
            PrimaryKeys::VarChar(keys) => 48 * keys.len() as u64 + keys.value_data().len() as u64,
        }
    }
}

/// Bytes that `rows`, of `fields`, will hold once applied: their values, not the buffers they are
/// views of, the codes of their vectors, their entries in a key map and what is kept for iterators.
pub(super) fn estimate_row_bytes(
    rows: &RecordBatch,
    fields: &[FieldSchema],
    pk_field: &str,
) -> u64 {
    let values = rows.columns().iter().map(|column| {
        column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size())
    });
    let keys = rows.column_by_name(pk_field).and_then(|keys| PrimaryKeys::from_array(keys));
    let keys = keys.as_ref().map_or(0, KeyMap::estimate_bytes);
    let pages = PAGE_BYTES_PER_ROW * rows.num_rows() as u64;
    values.sum::<usize>() as u64 + code_bytes(fields, rows.num_rows()) + keys + pages
}

#[cfg(test)]
mod tests {
    use milvus_types::PrimaryKey;

    use super::*;

    #[test]
    fn the_newest_row_of_a_key_wins() {
        for pk_type in [PkType::Int64, PkType::VarChar] {
            let key = |n: i64| match pk_type {
                PkType::Int64 => PrimaryKey::Int64(n),
                PkType::VarChar => PrimaryKey::VarChar(n.to_string().into()),
            };
            let keys = |list: &[i64]| {
                let list: Vec<_> = list.iter().map(|n| key(*n)).collect();
                PrimaryKeys::from_keys(pk_type, &list)
            };
            let mut map = KeyMap::new(pk_type);
            assert_eq!(map.insert(&keys(&[1, 2, 1]), 0), vec![0], "row 2 replaces row 0");
            assert_eq!(map.insert(&keys(&[2]), 3), vec![1]);
            assert_eq!(map.remove(&keys(&[1, 2, 9])), vec![2, 3]);
            assert_eq!(map.remove(&keys(&[1])), Vec::<u32>::new());
        }
    }
}
