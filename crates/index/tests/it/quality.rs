//! Recall: how many of the true nearest rows a graph finds, with and without filters.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use milvus_index::{IndexType, VectorIndex, Vectors, brute_force, check_build_params, open};
use milvus_kernel::Bitset;
use milvus_types::{KeyValue, MetricType};

use crate::data::{METRICS, built, clustered, search, vectors};

const K: usize = 10;

/// The share of true nearest rows found for `queries`, rows as near as the last counted in.
fn recall(
    index: &dyn VectorIndex,
    segment: &Vectors,
    queries: &[f32],
    ef: usize,
    live: Option<&Bitset>,
) -> f64 {
    let (mut found, mut wanted) = (0, 0);
    for query in queries.chunks_exact(segment.dim()) {
        let want = brute_force(index.metric(), query, segment.as_slice(), live, K);
        let hits = search(index, query, K, ef, live);
        assert!(live.is_none_or(|live| hits.iter().all(|hit| live.get(hit.row as usize))));
        found += hits.iter().filter(|hit| want.contains(hit)).count();
        wanted += want.len();
    }
    found as f64 / wanted as f64
}

#[test]
fn graphs_built_by_one_or_two_threads_find_the_nearest() {
    let dim = 48;
    let segment = vectors(clustered(6000, dim, 300, 0.4, 1), dim);
    let queries = clustered(100, dim, 300, 0.4, 1);
    for metric in METRICS {
        for threads in [1, 2] {
            let index = built(IndexType::Hnsw, metric, &segment, threads).into_index();
            let share = recall(&*index, &segment, &queries, 64, None);
            assert!(share >= 0.95, "{metric} {threads} threads: {share}");
        }
    }
}

#[test]
fn tight_clusters_that_codes_cannot_tell_apart_are_walked_on_vectors() {
    let dim = 32;
    let segment = vectors(clustered(4000, dim, 8, 0.0005, 2), dim);
    for metric in [MetricType::L2, MetricType::Cosine] {
        let index = built(IndexType::AutoIndex, metric, &segment, 2).into_index();
        let queries = &segment.as_slice()[..50 * dim];
        let share = recall(&*index, &segment, queries, 64, None);
        assert!(share >= 0.9, "{metric}: {share}");
    }
}

#[test]
fn filters_of_any_share_keep_recall_also_where_they_follow_the_vectors() {
    // Of more dimensions than sketches have directions, lengths matter as well.
    for (dim, metric) in [(48, MetricType::Cosine), (160, MetricType::L2), (48, MetricType::Ip)] {
        let rows = 8000;
        let segment = vectors(clustered(rows, dim, 200, 0.4, 4), dim);
        let queries = clustered(40, dim, 200, 0.4, 4);
        let index = built(IndexType::AutoIndex, metric, &segment, 2).into_index();
        for percent in [99, 90, 70, 40, 20, 5, 1] {
            let scattered = Bitset::from_bools((0..rows).map(|row| row * 7919 % 100 < percent));
            // Rows of a cluster are live together, so for most queries nothing near is live.
            let together = Bitset::from_bools((0..rows).map(|row| row % 200 < percent * 2));
            for (name, live) in [("scattered", scattered), ("together", together)] {
                let share = recall(&*index, &segment, &queries, 64, Some(&live));
                assert!(share >= 0.93, "{metric} {name} {percent} %: {share}");
            }
        }
    }
}

/// Rows around a point far from the origin.
fn offset(rows: usize, dim: usize, seed: u64) -> Vec<f32> {
    let floats = clustered(rows, dim, 50, 0.4, seed);
    let by = |i: usize| ((i * 37 % 11) as f32 - 5.0) * 0.6;
    floats.iter().enumerate().map(|(n, x)| x + by(n % dim)).collect()
}

#[test]
fn the_length_of_a_query_changes_no_order_of_inner_products() {
    let dim = 40;
    let segment = vectors(offset(5000, dim, 4), dim);
    let queries = offset(30, dim, 4);
    let indexes = [
        IndexType::Hnsw,
        IndexType::HnswSq,
        IndexType::AutoIndex,
        IndexType::IvfFlat,
        IndexType::IvfSq8,
        IndexType::IvfRabitq,
    ];
    for index_type in indexes {
        let index = built(index_type, MetricType::Ip, &segment, 2).into_index();
        for length in [1.0, 0.1, 1e-3, 1e4] {
            let queries: Vec<f32> = queries.iter().map(|x| x * length).collect();
            let share = recall(&*index, &segment, &queries, 128, None);
            assert!(share >= 0.8, "{index_type} {length}: {share}");
        }
    }
}

#[test]
fn rows_that_are_far_from_the_query_are_found_wherever_all_lie() {
    let (rows, dim) = (8000, 64);
    for metric in METRICS {
        let segment = vectors(offset(rows, dim, 4), dim);
        // Two threads would build another graph each time, and some are a little worse.
        let index = built(IndexType::Hnsw, metric, &segment, 1).into_index();
        let (mut found, mut wanted) = (0.0, 0.0);
        for query in offset(20, dim, 4).chunks_exact(dim) {
            let near = brute_force(metric, query, segment.as_slice(), None, rows);
            for percent in [10, 50, 90] {
                // The farthest rows only.
                let live = near.iter().skip(rows * percent / 100).map(|hit| hit.row);
                let live = Bitset::from_rows(live, rows);
                found += recall(&*index, &segment, query, 64, Some(&live));
                wanted += 1.0;
            }
        }
        assert!(found / wanted >= 0.92, "{metric}: {}", found / wanted);
    }
}

#[test]
fn graphs_over_product_codes_find_the_nearest() {
    let dim = 32;
    let segment = vectors(clustered(3000, dim, 200, 0.3, 6), dim);
    let queries = clustered(50, dim, 200, 0.3, 6);
    for index_type in [IndexType::HnswPq, IndexType::HnswPrq] {
        for metric in METRICS {
            let index = built(index_type, metric, &segment, 2).into_index();
            let share = recall(&*index, &segment, &queries, 64, None);
            assert!(share >= 0.9, "{index_type} {metric}: {share}");
        }
    }
}

#[test]
fn lists_find_the_nearest_among_those_probed() {
    let dim = 32;
    let rows = 6000;
    let segment = vectors(clustered(rows, dim, 200, 0.3, 6), dim);
    let queries = clustered(60, dim, 200, 0.3, 6);
    let live = Bitset::from_bools((0..rows).map(|row| row * 7919 % 10 < 3));
    let indexes = [IndexType::IvfFlat, IndexType::IvfSq8, IndexType::IvfPq, IndexType::IvfRabitq];
    for index_type in indexes {
        for metric in METRICS {
            let index = built(index_type, metric, &segment, 2).into_index();
            for live in [None, Some(&live)] {
                let share = recall(&*index, &segment, &queries, 64, live);
                // The rows with the largest products lie around centroids of any direction, and
                // one bit for each of few dimensions says little.
                let hard = metric == MetricType::Ip || index_type == IndexType::IvfRabitq;
                let least = if hard { 0.83 } else { 0.9 };
                assert!(share >= least, "{index_type} {metric}: {share}");
            }
        }
    }
}

#[test]
fn graphs_over_scalar_codes_are_as_small_as_asked_and_find_the_nearest() {
    let dim = 96;
    let segment = vectors(clustered(3000, dim, 200, 0.3, 6), dim);
    let queries = clustered(50, dim, 200, 0.3, 6);
    for metric in METRICS {
        let mut sizes = Vec::new();
        for sq_type in ["SQ4U", "sq6", "SQ8"] {
            let params = [KeyValue::new("sq_type", sq_type), KeyValue::new("M", "16")];
            let build = check_build_params(IndexType::HnswSq, metric, dim, &params).unwrap();
            let built = milvus_index::build(
                &build,
                segment.clone(),
                2,
                &|_, _| (),
                &AtomicBool::new(false),
            );
            let mut file = Vec::new();
            built.unwrap().write(&mut file).unwrap();
            let index = open(Arc::new(file), segment.clone()).unwrap();
            let share = recall(&*index, &segment, &queries, 64, None);
            assert!(share >= 0.95, "{metric} {sq_type}: {share}");
            sizes.push(index.memory_bytes());
        }
        assert!(sizes.is_sorted_by(|a, b| a < b), "{metric}: {sizes:?}");
    }
}

#[test]
fn rows_of_length_zero_do_not_crowd_out_the_nearest_under_cosine() {
    let dim = 32;
    let rows = 3000;
    // Far from the queries, so that zero rows, at right angles to everything, are almost as near.
    let mut floats = clustered(rows, dim, 3000, 1.0, 6);
    for row in (0..rows).step_by(10) {
        floats[row * dim..(row + 1) * dim].fill(0.0);
    }
    let segment = vectors(floats, dim);
    let queries = clustered(40, dim, 3000, 1.0, 9);
    let indexes = [
        IndexType::IvfFlat,
        IndexType::IvfSq8,
        IndexType::IvfPq,
        IndexType::IvfRabitq,
        IndexType::Hnsw,
        IndexType::HnswSq,
        IndexType::HnswPq,
        IndexType::AutoIndex,
        IndexType::DiskAnn,
    ];
    for index_type in indexes {
        let index = built(index_type, MetricType::Cosine, &segment, 2).into_index();
        let share = recall(&*index, &segment, &queries, 200, None);
        assert!(share >= 0.8, "{index_type}: {share}");
    }
}

#[test]
fn lists_find_rows_far_from_the_query_where_a_filter_leaves_no_others() {
    let (rows, dim) = (6000, 32);
    let segment = vectors(clustered(rows, dim, 60, 0.5, 6), dim);
    for index_type in [IndexType::IvfFlat, IndexType::IvfPq, IndexType::IvfRabitq] {
        let index = built(index_type, MetricType::L2, &segment, 2).into_index();
        let (mut found, mut wanted) = (0.0, 0.0);
        for query in clustered(20, dim, 60, 0.5, 6).chunks_exact(dim) {
            let near = brute_force(MetricType::L2, query, segment.as_slice(), None, rows);
            for percent in [50, 80] {
                let live = near.iter().skip(rows * percent / 100).map(|hit| hit.row);
                let live = Bitset::from_rows(live, rows);
                found += recall(&*index, &segment, query, 64, Some(&live));
                wanted += 1.0;
            }
        }
        // Few bits say little of rows that all are as far.
        let least = if index_type == IndexType::IvfFlat { 0.93 } else { 0.7 };
        assert!(found / wanted >= least, "{index_type}: {}", found / wanted);
    }
}

#[test]
fn lists_far_from_the_origin_are_told_apart() {
    let dim = 32;
    let rows = 6000;
    let far = |count, seed| -> Vec<f32> {
        clustered(count, dim, 100, 0.3, seed).iter().map(|x| x + 1000.0).collect()
    };
    let segment = vectors(far(rows, 6), dim);
    for index_type in [IndexType::IvfFlat, IndexType::IvfSq8, IndexType::IvfRabitq] {
        let index = built(index_type, MetricType::L2, &segment, 2).into_index();
        let share = recall(&*index, &segment, &far(40, 6), 64, None);
        assert!(share >= 0.9, "{index_type}: {share}");
    }
}
