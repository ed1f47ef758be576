//! Lists around centroids: rows far from all others, codes of the bits asked for, filters, progress.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use milvus_index::{
    BuildError, IndexType, SearchParams, VectorIndex, Vectors, brute_force, build,
    check_build_params, open,
};
use milvus_kernel::Bitset;
use milvus_types::{KeyValue, MetricType};

use crate::data::{METRICS, built, clustered, definition, search, vectors};

const K: usize = 10;
const LISTS: [IndexType; 5] = [
    IndexType::IvfFlat,
    IndexType::IvfSq8,
    IndexType::IvfPq,
    IndexType::IvfRabitq,
    IndexType::Scann,
];

/// The share of the nearest rows that are found with `nprobe` lists.
fn recall(
    index: &dyn VectorIndex,
    segment: &Vectors,
    queries: &[f32],
    nprobe: usize,
    live: Option<&Bitset>,
) -> f64 {
    let (mut found, mut wanted) = (0, 0);
    let params = SearchParams { nprobe, ..SearchParams::for_k(K) };
    for query in queries.chunks_exact(segment.dim()) {
        let want = brute_force(index.metric(), query, segment.as_slice(), live, K);
        let mut hits = Vec::new();
        index.search(query.into(), K, &params, live, &mut hits);
        assert_eq!(hits.len(), want.len());
        found += hits.iter().filter(|hit| want.contains(hit)).count();
        wanted += want.len();
    }
    found as f64 / wanted as f64
}

/// An index of `index_type` with `params`, written and read back.
fn opened(
    index_type: IndexType,
    metric: MetricType,
    segment: &Vectors,
    params: &[(&str, &str)],
) -> Arc<dyn VectorIndex> {
    let params: Vec<KeyValue> = params.iter().map(|(k, v)| KeyValue::new(*k, *v)).collect();
    let build = check_build_params(index_type, metric, segment.dim(), &params).unwrap();
    let built =
        milvus_index::build(&build, segment.clone(), 2, &|_, _| (), &AtomicBool::new(false));
    let mut file = Vec::new();
    built.unwrap().write(&mut file).unwrap();
    let index = open(Arc::new(file), segment.clone()).unwrap();
    assert_eq!(index.index_type(), index_type);
    index
}

#[test]
fn rows_far_from_all_others_cost_the_others_nothing_and_are_found() {
    let dim = 32;
    let rows = 6000;
    let usual = clustered(rows, dim, 200, 0.3, 6);
    let queries = clustered(40, dim, 200, 0.3, 6);
    for index_type in LISTS {
        for metric in METRICS {
            let segment = vectors(usual.clone(), dim);
            let index = built(index_type, metric, &segment, 2).into_index();
            let without = recall(&*index, &segment, &queries, 8, None);
            for (far, all) in [(1e4, true), (1e15, true), (1e4, false)] {
                let mut floats = usual.clone();
                let row = &mut floats[77 * dim..78 * dim];
                let numbers = if all { &mut row[..] } else { &mut row[3..4] };
                numbers.iter_mut().for_each(|x| *x *= far);
                let far_row = row.to_vec();
                let segment = vectors(floats, dim);
                let index = built(index_type, metric, &segment, 2).into_index();
                let with = recall(&*index, &segment, &queries, 8, None);
                assert!(with >= without - 0.03, "{index_type} {metric} {far}: {with} {without}");
                if all && far < 1e10 {
                    assert_eq!(search(&*index, &far_row, 3, 16, None)[0].row, 77, "{index_type}");
                }
            }
        }
    }
}

#[test]
fn codes_have_as_many_bits_as_were_asked_for_and_find_the_nearest() {
    let dim = 64;
    let segment = vectors(clustered(4000, dim, 200, 0.3, 6), dim);
    let queries = clustered(40, dim, 200, 0.3, 6);
    let families: [(IndexType, &str, &[&str]); 4] = [
        (IndexType::IvfRabitq, "rbq_bits", &["1", "2", "3", "5", "8"]),
        (IndexType::IvfRabitqFastScan, "rbq_bits", &["1", "4", "7"]),
        (IndexType::IvfPq, "nbits", &["3", "6", "12", "20"]),
        (IndexType::IvfSq8, "sq_type", &["sq4", "SQ6", "sq8"]),
    ];
    for (index_type, key, values) in families {
        for metric in METRICS {
            let mut sizes = Vec::new();
            for value in values {
                let params = [("nlist", "16"), ("m", "32"), (key, *value)];
                let index = opened(index_type, metric, &segment, &params);
                let share = recall(&*index, &segment, &queries, 16, None);
                // Few bits of few dimensions say little.
                let least = if index_type == IndexType::IvfRabitq { 0.9 } else { 0.95 };
                assert!(share >= least, "{index_type} {metric} {value}: {share}");
                sizes.push(index.memory_bytes());
            }
            assert!(sizes.is_sorted_by(|a, b| a < b), "{index_type} {metric}: {sizes:?}");
        }
    }
}

#[test]
fn queries_of_fewer_bits_are_as_good_where_codes_are_short() {
    let dim = 64;
    let segment = vectors(clustered(4000, dim, 200, 0.3, 6), dim);
    let query = clustered(1, dim, 200, 0.3, 9);
    let params = [("nlist", "16"), ("rbq_bits", "4")];
    let index = opened(IndexType::IvfRabitq, MetricType::L2, &segment, &params);
    let want = brute_force(MetricType::L2, &query, segment.as_slice(), None, K);
    for query_bits in [0, 4, 6, 8] {
        let params = SearchParams { nprobe: 16, query_bits, ..SearchParams::for_k(K) };
        let mut hits = Vec::new();
        index.search((&*query).into(), K, &params, None, &mut hits);
        let found = hits.iter().filter(|hit| want.contains(hit)).count();
        assert!(found >= 9, "{query_bits} bits: {found}");
    }
}

#[test]
fn a_filter_of_any_share_finds_as_much_as_no_filter() {
    let dim = 32;
    let rows = 20_000;
    let segment = vectors(clustered(rows, dim, 5000, 0.5, 6), dim);
    let queries = clustered(40, dim, 5000, 0.5, 6);
    for index_type in LISTS {
        let params = [("nlist", "256"), ("m", "16")];
        let index = opened(index_type, MetricType::L2, &segment, &params);
        let without = recall(&*index, &segment, &queries, 40, None);
        for per_mille in [500, 100, 10, 1] {
            let live = Bitset::from_bools((0..rows).map(|row| row * 7919 % 1000 < per_mille));
            let with = recall(&*index, &segment, &queries, 40, Some(&live));
            assert!(with >= without - 0.02, "{index_type} {per_mille}: {with} {without}");
        }
    }
}

#[test]
fn a_build_reports_its_steps_and_stops_at_each_of_them() {
    let segment = vectors(clustered(6000, 20, 40, 0.3, 5), 20);
    for index_type in LISTS {
        let definition = definition(index_type, MetricType::L2, 20);
        let steps = AtomicUsize::new(0);
        let count = |done: usize, total: usize| {
            assert!(done <= total && total == 6000);
            steps.fetch_add(1, Ordering::Relaxed);
        };
        build(&definition, segment.clone(), 2, &count, &AtomicBool::new(false)).unwrap();
        let steps = steps.into_inner();
        assert!(steps > 5, "{index_type}: {steps}");
        for stop_at in 0..steps - 1 {
            let (stop, seen) = (AtomicBool::new(false), AtomicUsize::new(0));
            let progress = |_: usize, _: usize| {
                if seen.fetch_add(1, Ordering::Relaxed) == stop_at {
                    stop.store(true, Ordering::Relaxed);
                }
            };
            let stopped = build(&definition, segment.clone(), 2, &progress, &stop).err();
            assert_eq!(stopped, Some(BuildError::Cancelled), "{index_type} {stop_at}");
            assert!(seen.into_inner() <= stop_at + 2, "{index_type} {stop_at}");
        }
    }
}
