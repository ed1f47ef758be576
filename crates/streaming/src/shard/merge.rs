//! Hits of a shard's segments as one list for each query.

use std::collections::HashMap;
use std::sync::Arc;

use milvus_roles::{RowLocation, SegmentHits, ShardHit};
use milvus_segment::{GroupValue, SearchSpec, result_order};
use milvus_types::MetricType;

/// The best `k` hits of each query, or the best hits of its `k` best groups: best first, ties by
/// ascending key and element.
pub(super) fn merge_hits(
    segments: Vec<SegmentHits>,
    nq: usize,
    spec: &SearchSpec,
) -> Vec<Vec<ShardHit>> {
    let mut merged: Vec<Vec<ShardHit>> = (0..nq).map(|_| Vec::new()).collect();
    let several = segments.len() > 1;
    for SegmentHits { segment_id, hits } in segments {
        for (query, hits) in merged.iter_mut().zip(hits) {
            query.extend(hits.into_iter().map(|hit| ShardHit {
                score: hit.score,
                key: hit.key,
                location: RowLocation { segment_id, row: hit.row },
                element: hit.element,
                group: hit.group,
            }));
        }
    }
    if several {
        for query in &mut merged {
            cut(query, spec.metric, spec.k, spec.group_by.as_ref().map(|by| by.size));
        }
    }
    merged
}

fn cut(hits: &mut Vec<ShardHit>, metric: MetricType, k: usize, group_size: Option<usize>) {
    hits.sort_by(|a, b| {
        result_order(metric, (a.score, &a.key, a.element), (b.score, &b.key, b.element))
    });
    let Some(size) = group_size else {
        hits.truncate(k);
        return;
    };
    let mut counts: HashMap<Arc<[GroupValue]>, usize> = HashMap::new();
    hits.retain(|hit| {
        let group = hit.group.clone().unwrap_or_else(|| Arc::new([]));
        if counts.len() >= k && !counts.contains_key(&group) {
            return false;
        }
        let count = counts.entry(group).or_insert(0);
        *count += 1;
        *count <= size.max(1)
    });
}

#[cfg(test)]
mod tests {
    use milvus_types::{PrimaryKey, SegmentId};

    use super::*;

    fn hit(score: f32, key: i64, group: Option<i64>) -> ShardHit {
        ShardHit {
            score,
            key: PrimaryKey::Int64(key),
            location: RowLocation { segment_id: SegmentId(1), row: 0 },
            element: None,
            group: group.map(|group| Arc::from([GroupValue::Int(group)])),
        }
    }

    fn keys(hits: &[ShardHit]) -> Vec<String> {
        hits.iter().map(|hit| hit.key.to_string()).collect()
    }

    #[test]
    fn the_best_of_all_segments_come_first_and_ties_go_by_key() {
        let found = [(0.1, 9), (0.4, 2), (0.1, 3), (0.2, 1)];
        let mut hits: Vec<_> = found.iter().map(|(score, key)| hit(*score, *key, None)).collect();
        let mut similar = hits.clone();
        cut(&mut hits, MetricType::L2, 3, None);
        assert_eq!(keys(&hits), ["3", "9", "1"]);
        cut(&mut similar, MetricType::Ip, 2, None);
        assert_eq!(keys(&similar), ["2", "1"]);
    }

    #[test]
    fn groups_are_cut_to_their_size_and_number() {
        let found = [(0.9, 1, 7), (0.8, 2, 7), (0.7, 3, 7), (0.6, 4, 8), (0.5, 5, 9), (0.1, 6, 8)];
        let mut hits: Vec<_> =
            found.iter().map(|(score, key, group)| hit(*score, *key, Some(*group))).collect();
        cut(&mut hits, MetricType::Ip, 2, Some(2));
        assert_eq!(keys(&hits), ["1", "2", "4", "6"]);
    }
}
