//! Hits of several shards as one list for each query: best first, ties by key, each key once.

use std::collections::HashSet;

use milvus_roles::ShardHit;
use milvus_types::MetricType;

/// The hits to return, query after query, each with its shard's number.
#[derive(Debug, PartialEq)]
pub(crate) struct Merged {
    pub(crate) topks: Vec<i64>,
    pub(crate) hits: Vec<(usize, ShardHit)>,
}

/// Merges `[shard][nq][..]`, leaves out the first `offset` hits of each query and returns at most
/// `limit` more.
pub(crate) fn merge(
    shards: Vec<Vec<Vec<ShardHit>>>,
    nq: usize,
    metric: MetricType,
    offset: usize,
    limit: usize,
) -> Merged {
    let several = shards.len() > 1;
    let mut queries: Vec<Vec<(usize, ShardHit)>> = (0..nq).map(|_| Vec::new()).collect();
    for (shard, of_shard) in shards.into_iter().enumerate() {
        for (query, hits) in queries.iter_mut().zip(of_shard) {
            query.extend(hits.into_iter().map(|hit| (shard, hit)));
        }
    }
    let mut merged = Merged { topks: Vec::with_capacity(nq), hits: Vec::new() };
    for mut query in queries {
        if several {
            query.sort_by(|(_, a), (_, b)| better_first(a, b, metric));
        }
        let before = merged.hits.len();
        let mut seen = HashSet::with_capacity(query.len());
        let each_once = query.into_iter().filter(|(_, hit)| seen.insert(hit.key.clone()));
        merged.hits.extend(each_once.skip(offset).take(limit));
        merged.topks.push(i64::try_from(merged.hits.len() - before).unwrap_or(i64::MAX));
    }
    merged
}

fn better_first(a: &ShardHit, b: &ShardHit, metric: MetricType) -> std::cmp::Ordering {
    let by_score = if metric.larger_is_better() {
        b.score.total_cmp(&a.score)
    } else {
        a.score.total_cmp(&b.score)
    };
    by_score.then_with(|| a.key.cmp(&b.key))
}

#[cfg(test)]
mod tests {
    use milvus_roles::RowLocation;
    use milvus_types::{PrimaryKey, SegmentId};

    use super::*;

    fn hit(score: f32, key: i64) -> ShardHit {
        let location = RowLocation { segment_id: SegmentId(key), row: 0 };
        ShardHit { score, key: PrimaryKey::Int64(key), location }
    }

    fn keys(merged: &Merged) -> Vec<(usize, i64)> {
        let key = |(shard, hit): &(usize, ShardHit)| match hit.key {
            PrimaryKey::Int64(key) => (*shard, key),
            PrimaryKey::VarChar(_) => (*shard, -1),
        };
        merged.hits.iter().map(key).collect()
    }

    #[test]
    fn distances_ascend_and_ties_go_by_key() {
        let shards = vec![
            vec![vec![hit(1.0, 9), hit(3.0, 1)], vec![]],
            vec![vec![hit(1.0, 2), hit(2.0, 5)], vec![hit(0.5, 7)]],
        ];
        let merged = merge(shards, 2, MetricType::L2, 0, 3);
        assert_eq!(merged.topks, [3, 1]);
        assert_eq!(keys(&merged), [(1, 2), (0, 9), (1, 5), (1, 7)]);
    }

    #[test]
    fn similarities_descend_a_key_counts_once_and_the_offset_is_left_out() {
        let shards = vec![
            vec![vec![hit(0.9, 1), hit(0.7, 3)]],
            vec![vec![hit(0.8, 1), hit(0.75, 4), hit(0.1, 6)]],
        ];
        let merged = merge(shards, 1, MetricType::Cosine, 1, 2);
        assert_eq!(merged.topks, [2]);
        assert_eq!(keys(&merged), [(1, 4), (0, 3)]);
    }

    #[test]
    fn a_query_without_hits_has_none() {
        let merged = merge(vec![vec![vec![], vec![]]], 2, MetricType::Ip, 0, 10);
        assert_eq!(merged, Merged { topks: vec![0, 0], hits: vec![] });
    }
}
