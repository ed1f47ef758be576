//! ANNOY: recall, how `search_k` is honoured, sizes, damage.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use milvus_index::{BuildError, IndexType, SearchParams, brute_force, build, estimate_build_bytes};
use milvus_kernel::Bitset;
use milvus_types::MetricType;

use crate::data::{METRICS, built, clustered, definition, vectors};

#[test]
fn more_rows_looked_at_are_more_of_the_nearest_and_all_are_all() {
    let (rows, dim, k) = (6000, 32, 10);
    let segment = vectors(clustered(rows, dim, 30, 0.6, 6), dim);
    let queries = clustered(40, dim, 30, 0.6, 6);
    let some = Bitset::from_bools((0..rows).map(|row| row % 3 == 0));
    for metric in METRICS {
        let index = built(IndexType::Annoy, metric, &segment, 2).into_index();
        for live in [None, Some(&some)] {
            let shares = [100, 0, rows].map(|search_k| {
                let mut found = 0;
                for query in queries.chunks_exact(dim) {
                    let want = brute_force(metric, query, segment.as_slice(), live, k);
                    let params = SearchParams { search_k, ..SearchParams::for_k(k) };
                    let mut hits = Vec::new();
                    index.search(query.into(), k, &params, live, &mut hits);
                    assert_eq!(hits.len(), k);
                    found += hits.iter().filter(|hit| want.contains(hit)).count();
                }
                found as f64 / (k * queries.len() / dim) as f64
            });
            let [few, default, all] = shares;
            assert!(few < default && default >= 0.9 && all == 1.0, "{metric} {shares:?}");
        }
    }
}

#[test]
fn a_forest_is_sized_reported_and_stopped() {
    for (rows, dim) in [(20_000, 16), (5000, 200), (8203, 8)] {
        let segment = vectors(clustered(rows, dim, 40, 0.3, 5), dim);
        for metric in METRICS {
            let definition = definition(IndexType::Annoy, metric, dim);
            let seen = AtomicUsize::new(0);
            let progress = |done: usize, total: usize| {
                assert!(done <= total);
                seen.fetch_max(done, Ordering::Relaxed);
            };
            let run =
                |stop| build(&definition, segment.clone(), 3, &progress, &AtomicBool::new(stop));
            let used = run(false).unwrap().index().memory_bytes();
            assert_eq!(seen.load(Ordering::Relaxed), rows);
            assert_eq!(run(true).err(), Some(BuildError::Cancelled));
            let estimate = estimate_build_bytes(&definition, rows);
            assert_eq!(used, estimate);
        }
    }
}

#[test]
fn a_forest_is_the_same_on_any_number_of_threads() {
    let segment = vectors(clustered(3000, 12, 40, 0.3, 5), 12);
    let file = |threads| {
        let mut file = Vec::new();
        built(IndexType::Annoy, MetricType::Ip, &segment, threads).write(&mut file).map(|()| file)
    };
    assert_eq!(file(1).unwrap(), file(3).unwrap());
}

#[test]
fn rows_of_length_zero_do_not_take_the_place_of_near_rows_and_are_found_where_they_are_next() {
    let (rows, dim, k) = (6000, 16, 10);
    let mut floats = clustered(rows, dim, 3000, 1.0, 6);
    for row in (0..rows).step_by(3) {
        floats[row * dim..(row + 1) * dim].fill(0.0);
    }
    // Few rows are on the side of the first number that queries are on: zero rows come next.
    let turned = floats.chunks_exact_mut(dim).skip(5);
    turned.for_each(|row| row.iter_mut().for_each(|x| *x = -x.abs()));
    let one_sided = vectors(floats, dim);
    let mut floats = clustered(rows, dim, 3000, 1.0, 6);
    floats.chunks_exact_mut(dim).step_by(3).for_each(|row| row.fill(0.0));
    for segment in [vectors(floats, dim), one_sided] {
        let index = built(IndexType::Annoy, MetricType::Cosine, &segment, 2).into_index();
        let mut found = 0;
        let queries: Vec<f32> = clustered(40, dim, 3000, 1.0, 9).iter().map(|x| x.abs()).collect();
        for query in queries.chunks_exact(dim) {
            let want = brute_force(MetricType::Cosine, query, segment.as_slice(), None, k);
            let mut hits = Vec::new();
            index.search(query.into(), k, &SearchParams::for_k(k), None, &mut hits);
            found += hits.iter().filter(|hit| want.contains(hit)).count();
        }
        assert!(found * 100 >= 95 * k * 40, "{found}");
    }
}
