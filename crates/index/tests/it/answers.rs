//! What every index promises of every answer, over random small segments, filters and k.

use std::collections::HashMap;

use milvus_index::{IndexType, Range, brute_force, brute_force_range};
use milvus_kernel::Bitset;
use proptest::prelude::*;

use crate::data::{FAMILIES, METRICS, Numbers, built, clustered, search, vectors};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn answers_are_complete_exact_sorted_and_live(
        rows in 0usize..900,
        dim in 1usize..40,
        clusters in 1usize..20,
        tight in any::<bool>(),
        repeats in 0usize..3,
        share in 0u64..11,
        k in 0usize..60,
        metric in 0usize..3,
        seed in any::<u64>(),
    ) {
        let metric = METRICS[metric];
        let spread = if tight { 0.001 } else { 0.5 };
        let mut floats = clustered(rows, dim, clusters, spread, seed);
        // The rows of the first half come again in the second, or all rows are zero.
        match repeats {
            1 => floats.copy_within(..rows / 2 * dim, rows.div_ceil(2) * dim),
            2 => floats.fill(0.0),
            _ => {}
        }
        let segment = vectors(floats, dim);
        let mut numbers = Numbers(seed ^ 1);
        let query: Vec<f32> = (0..dim).map(|_| numbers.float()).collect();
        let live = (share < 10)
            .then(|| Bitset::from_bools((0..rows).map(|_| numbers.next() % 10 < share)));
        let live = live.as_ref();
        let count = live.map_or(rows, Bitset::count);
        let exact = brute_force(metric, &query, segment.as_slice(), live, rows);
        let scores: HashMap<u32, u32> =
            exact.iter().map(|hit| (hit.row, hit.score.to_bits())).collect();
        prop_assert_eq!(exact.len(), count);
        for index_type in FAMILIES {
            let index = built(index_type, metric, &segment, 1).into_index();
            let hits = search(&*index, &query, k, 16, live);
            prop_assert_eq!(hits.len(), k.min(count), "{}", index_type);
            for hit in &hits {
                prop_assert_eq!(scores.get(&hit.row), Some(&hit.score.to_bits()), "{}", index_type);
            }
            let better = |a: f32, b: f32| if metric.larger_is_better() { a > b } else { a < b };
            let sorted = hits.windows(2).all(|pair| {
                better(pair[0].score, pair[1].score)
                    || (pair[0].score == pair[1].score && pair[0].row < pair[1].row)
            });
            prop_assert!(sorted, "{index_type} {hits:?}");
            if index_type == IndexType::Flat || count <= 512 {
                prop_assert_eq!(&hits[..], &exact[..k.min(count)]);
            }
            let middle = exact.get(count / 2).map_or(0.5, |hit| hit.score);
            let range = Range { radius: middle, range_filter: None };
            let mut within = Vec::new();
            index.range_search((&query).into(), &range, 50, live, &mut within);
            let want = brute_force_range(metric, &query, segment.as_slice(), live, &range, 50);
            prop_assert_eq!(within, want);
        }
    }
}
