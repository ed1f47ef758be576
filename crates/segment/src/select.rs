//! Selecting rows in ascending order of key, at most so many.
//!
//! Cost: with a limit, memory for twice the limit and a comparison per live row; the rest is never
//! sorted.

use arrow::array::{Int64Array, StringArray};

use milvus_types::PrimaryKeys;

use crate::chunk::{Chunk, Rows};
use crate::spec::Selection;

/// The rows among `live` (ascending) with the `limit` smallest keys.
pub(crate) fn smallest_keys(
    rows: &Rows,
    live: impl Iterator<Item = u32>,
    limit: Option<usize>,
) -> Selection {
    let Some(first) = rows.chunks.first() else {
        return Selection { keys: PrimaryKeys::empty(rows.schema.pk_type()), rows: Vec::new() };
    };
    match &first.keys {
        PrimaryKeys::Int64(_) => {
            let key = |chunk: &'_ Chunk, row: u32| match &chunk.keys {
                PrimaryKeys::Int64(keys) => keys.value((row - chunk.start) as usize),
                PrimaryKeys::VarChar(_) => 0,
            };
            let (keys, rows): (Vec<i64>, _) = smallest(with_keys(rows, live, key), limit);
            Selection { keys: PrimaryKeys::Int64(Int64Array::from(keys)), rows }
        }
        PrimaryKeys::VarChar(_) => {
            fn key(chunk: &Chunk, row: u32) -> &str {
                match &chunk.keys {
                    PrimaryKeys::VarChar(keys) => keys.value((row - chunk.start) as usize),
                    PrimaryKeys::Int64(_) => "",
                }
            }
            let (keys, rows): (Vec<&str>, _) = smallest(with_keys(rows, live, key), limit);
            Selection { keys: PrimaryKeys::VarChar(StringArray::from(keys)), rows }
        }
    }
}

/// Each row of `live` with its key.
fn with_keys<'a, K>(
    rows: &'a Rows,
    live: impl Iterator<Item = u32> + 'a,
    key: impl Fn(&'a Chunk, u32) -> K + 'a,
) -> impl Iterator<Item = (K, u32)> + 'a {
    let mut chunks = rows.chunks.iter();
    let mut chunk = chunks.next();
    live.filter_map(move |row| {
        while chunk.is_some_and(|chunk| chunk.end() <= row) {
            chunk = chunks.next();
        }
        chunk.map(|chunk| (key(chunk, row), row))
    })
}

/// The `limit` smallest items in ascending order.
fn smallest<K: Ord + Copy>(
    items: impl Iterator<Item = (K, u32)>,
    limit: Option<usize>,
) -> (Vec<K>, Vec<u32>) {
    let mut best: Vec<(K, u32)> = match limit {
        None => items.collect(),
        Some(0) => Vec::new(),
        Some(limit) => {
            let mut best = Vec::new();
            let mut bound = None;
            for item in items {
                if bound.is_some_and(|bound| item >= bound) {
                    continue;
                }
                best.push(item);
                if best.len() >= limit.saturating_mul(2) {
                    let (_, worst, _) = best.select_nth_unstable(limit - 1);
                    bound = Some(*worst);
                    best.truncate(limit);
                }
            }
            best
        }
    };
    best.sort_unstable();
    best.truncate(limit.unwrap_or(usize::MAX));
    best.into_iter().unzip()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_keeps_the_smallest_with_ties_by_row() {
        let items = || (0..1000_u32).map(|row| (row * 7919 % 101, row));
        let mut all: Vec<_> = items().collect();
        all.sort_unstable();
        for limit in [0, 1, 2, 3, 10, 499, 500, 999, 1000, 5000] {
            let (keys, rows) = smallest(items(), Some(limit));
            let got: Vec<_> = keys.into_iter().zip(rows).collect();
            assert_eq!(got, all[..limit.min(1000)], "limit {limit}");
        }
        assert_eq!(smallest(items(), None).0.len(), 1000);
    }
}
