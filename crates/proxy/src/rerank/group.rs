//! Grouping ranked hits: the best rows of the best groups.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

use super::Ranked;
use super::fuse::better_first;

/// What a group is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scorer {
    /// Its best row.
    Max,
    Sum,
    Avg,
}

/// How many rows and groups to keep.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    /// Rows of a group.
    pub(crate) size: usize,
    /// Groups to leave out.
    pub(crate) offset: usize,
    /// Groups to keep.
    pub(crate) limit: usize,
}

/// Keeps the best `size` rows of every group and of the groups, best first, those on the page. Groups
/// of one score come larger first, then by the key of their first row.
pub(crate) fn group<K: Eq + Hash>(
    rows: Vec<(K, Ranked)>,
    scorer: Scorer,
    descending: bool,
    page: Page,
) -> Vec<Ranked> {
    let mut places = HashMap::new();
    let mut groups: Vec<Vec<Ranked>> = Vec::new();
    for (key, row) in rows {
        match places.entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(groups.len());
                groups.push(vec![row]);
            }
            Entry::Occupied(entry) => groups[*entry.get()].push(row),
        }
    }
    let mut scored: Vec<(f32, Vec<Ranked>)> = groups
        .into_iter()
        .map(|mut rows| {
            rows.sort_by(|a, b| better_first(a, b, descending).then_with(|| a.id.cmp(&b.id)));
            rows.truncate(page.size.max(1));
            (worth(&rows, scorer), rows)
        })
        .collect();
    scored.sort_by(|(a, a_rows), (b, b_rows)| {
        let by_score = if descending { b.total_cmp(a) } else { a.total_cmp(b) };
        let first = |rows: &[Ranked]| rows.first().map(|row| row.id.clone());
        by_score
            .then_with(|| b_rows.len().cmp(&a_rows.len()))
            .then_with(|| first(a_rows).cmp(&first(b_rows)))
    });
    scored.into_iter().skip(page.offset).take(page.limit).flat_map(|(_, rows)| rows).collect()
}

fn worth(rows: &[Ranked], scorer: Scorer) -> f32 {
    let sum: f32 = rows.iter().map(|row| row.score).sum();
    match scorer {
        Scorer::Max => rows.first().map_or(0.0, |row| row.score),
        Scorer::Sum => sum,
        #[expect(clippy::cast_precision_loss, reason = "groups are small")]
        Scorer::Avg => sum / rows.len().max(1) as f32,
    }
}

#[cfg(test)]
mod tests {
    use milvus_types::PrimaryKey;

    use super::*;

    #[test]
    fn the_best_rows_of_the_best_groups() {
        let row = |(group, key, score): &(&'static str, i64, f32)| {
            let id = (PrimaryKey::Int64(*key), None);
            (*group, Ranked { id, score: *score, from: (0, 0) })
        };
        let rows = [
            ("cat", 1, 0.9),
            ("dog", 2, 0.7),
            ("cat", 3, 0.8),
            ("cat", 4, 0.6),
            ("dog", 5, 0.85),
            ("bird", 6, 0.95),
        ];
        let keys = |scorer, descending, size, offset, limit| -> Vec<String> {
            let page = Page { size, offset, limit };
            let rows = rows.iter().map(row).collect();
            group(rows, scorer, descending, page).iter().map(|row| row.id.0.to_string()).collect()
        };
        assert_eq!(keys(Scorer::Max, true, 2, 0, 2), ["6", "1", "3"]);
        assert_eq!(keys(Scorer::Sum, true, 2, 0, 2), ["1", "3", "5", "2"]);
        assert_eq!(keys(Scorer::Avg, true, 1, 1, 9), ["1", "5"]);
        assert_eq!(keys(Scorer::Max, false, 1, 0, 2), ["4", "2"]);
    }
}
