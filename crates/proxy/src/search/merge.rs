//! Hits of several shards as one list for each query: best first, ties by key, each row (or element
//! of a row) once; grouped, the rows of a group behind each other.

use std::cmp::Ordering;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use milvus_roles::RowLocation;
use milvus_types::{MetricType, PrimaryKey};

use crate::cell::Key;
use crate::fetch::Place;
use crate::rerank::HitId;

/// A hit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hit {
    /// The metric's value, natural sign.
    pub(crate) score: f32,
    pub(crate) key: PrimaryKey,
    /// The element, in a search of elements.
    pub(crate) element: Option<u32>,
    /// The shard's number.
    pub(crate) shard: usize,
    pub(crate) location: RowLocation,
    /// The values it is grouped by.
    pub(crate) group: Option<Arc<[Key]>>,
}

impl Hit {
    /// Where its columns are.
    pub(crate) fn place(&self) -> Place {
        (self.shard, self.location)
    }

    /// What it is a hit of.
    pub(crate) fn id(&self) -> HitId {
        (self.key.clone(), self.element)
    }
}

/// How much of the merged hits is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    /// The best hits (groups) to leave out.
    pub(crate) offset: usize,
    /// How many to return after those.
    pub(crate) limit: usize,
    /// Hits of each group; `None` where hits are not grouped.
    pub(crate) group_size: Option<usize>,
}

/// Merges `[shard][nq][..]` and cuts the page out of each query's hits.
pub(crate) fn merge(
    shards: Vec<Vec<Vec<Hit>>>,
    nq: usize,
    metric: MetricType,
    page: Page,
) -> Vec<Vec<Hit>> {
    let several = shards.len() > 1;
    let mut queries: Vec<Vec<Hit>> = (0..nq).map(|_| Vec::new()).collect();
    for of_shard in shards {
        for (query, hits) in queries.iter_mut().zip(of_shard) {
            query.extend(hits);
        }
    }
    for query in &mut queries {
        if several || page.group_size.is_some() {
            query.sort_by(|a, b| better_first(a, b, metric));
        }
        let hits = std::mem::take(query);
        let mut seen = HashSet::with_capacity(hits.len());
        let each_once = hits.into_iter().filter(|hit| seen.insert(hit.id()));
        *query = match page.group_size {
            None => each_once.skip(page.offset).take(page.limit).collect(),
            Some(size) => grouped(each_once, size, page),
        };
    }
    queries
}

/// The page's groups in order of their best hits, each with its best.
fn grouped(hits: impl Iterator<Item = Hit>, size: usize, page: Page) -> Vec<Hit> {
    let mut places = HashMap::new();
    let mut groups: Vec<Vec<Hit>> = Vec::new();
    for hit in hits {
        match places.entry(hit.group.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(groups.len());
                groups.push(vec![hit]);
            }
            Entry::Occupied(entry) => {
                let group = &mut groups[*entry.get()];
                if group.len() < size {
                    group.push(hit);
                }
            }
        }
    }
    groups.into_iter().skip(page.offset).take(page.limit).flatten().collect()
}

/// The order of hits.
pub(crate) fn better_first(a: &Hit, b: &Hit, metric: MetricType) -> Ordering {
    let by_score = if metric.larger_is_better() {
        b.score.total_cmp(&a.score)
    } else {
        a.score.total_cmp(&b.score)
    };
    by_score.then_with(|| a.key.cmp(&b.key)).then_with(|| a.element.cmp(&b.element))
}

#[cfg(test)]
mod tests {
    use milvus_types::SegmentId;

    use super::*;

    fn hit(key: i64, score: f32) -> Hit {
        Hit {
            score,
            key: PrimaryKey::Int64(key),
            element: None,
            shard: 0,
            location: RowLocation { segment_id: SegmentId(0), row: 0 },
            group: None,
        }
    }

    fn keys(hits: &[Hit]) -> Vec<String> {
        hits.iter().map(|hit| hit.key.to_string()).collect()
    }

    #[test]
    fn the_best_come_first_ties_by_key_and_each_key_once() {
        let shards = || {
            vec![
                vec![vec![hit(1, 0.1), hit(5, 0.3)], vec![]],
                vec![vec![hit(4, 0.1), hit(1, 0.2), hit(2, 0.3)], vec![hit(9, 1.0)]],
            ]
        };
        let page = |offset, limit| Page { offset, limit, group_size: None };
        let all = merge(shards(), 2, MetricType::L2, page(0, 10));
        assert_eq!((keys(&all[0]), keys(&all[1])), (strings(&[1, 4, 2, 5]), strings(&[9])));
        let some = merge(shards(), 2, MetricType::L2, page(1, 2));
        assert_eq!((keys(&some[0]), some[1].len()), (strings(&[4, 2]), 0));
        let similar = vec![vec![vec![hit(1, 0.1)]], vec![vec![hit(2, 0.9)]]];
        assert_eq!(keys(&merge(similar, 1, MetricType::Ip, page(0, 1))[0]), strings(&[2]));
    }

    #[test]
    fn groups_are_paged_by_their_best_hits() {
        let of = |group: Option<i64>, key, score| {
            let key_of = group.map_or(Key::Null, Key::Int);
            Hit { group: Some([key_of].into()), ..hit(key, score) }
        };
        let shards = || {
            vec![
                vec![vec![of(Some(1), 1, 0.9), of(None, 2, 0.8), of(Some(1), 3, 0.3)]],
                vec![vec![of(Some(2), 4, 0.85), of(Some(1), 5, 0.5), of(None, 6, 0.1)]],
            ]
        };
        let page = |offset, limit, size| Page { offset, limit, group_size: Some(size) };
        let read = |page| keys(&merge(shards(), 1, MetricType::Ip, page)[0]);
        assert_eq!(read(page(0, 9, 2)), strings(&[1, 5, 4, 2, 6]));
        assert_eq!(read(page(1, 1, 2)), strings(&[4]));
        assert_eq!(read(page(0, 2, 1)), strings(&[1, 4]));
    }

    fn strings(keys: &[i64]) -> Vec<String> {
        keys.iter().map(i64::to_string).collect()
    }
}
