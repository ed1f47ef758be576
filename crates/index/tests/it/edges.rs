//! The odd segments: empty, single rows, one and very many dimensions, identical rows, no live rows.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use milvus_index::{BuildError, IndexType, brute_force, build, estimate_build_bytes};
use milvus_kernel::Bitset;
use milvus_types::MetricType;

use crate::data::{FAMILIES, METRICS, built, clustered, definition, search, vectors};

#[test]
fn empty_and_single_row_segments_answer() {
    for index_type in FAMILIES {
        for metric in METRICS {
            let none = built(index_type, metric, &vectors(vec![], 4), 2).into_index();
            assert!(search(&*none, &[1.0; 4], 10, 16, None).is_empty());
            let one = built(index_type, metric, &vectors(vec![0.5; 4], 4), 2).into_index();
            let hits = search(&*one, &[0.5; 4], 10, 16, None);
            assert_eq!((hits.len(), hits[0].row), (1, 0));
            assert!(search(&*one, &[0.5; 4], 10, 16, Some(&Bitset::zeros(1))).is_empty());
            assert!(search(&*one, &[0.5; 4], 0, 16, None).is_empty());
        }
    }
}

#[test]
fn thousands_of_identical_rows_do_not_hide_the_others() {
    for metric in METRICS {
        // Three vectors repeated 1,000 times each, and 1,000 that are different.
        let dim = 24;
        let mut floats = clustered(1000, dim, 50, 0.3, 7);
        for copy in 0..3 {
            let row = floats[copy * dim..][..dim].to_vec();
            (0..1000).for_each(|_| floats.extend(&row));
        }
        let segment = vectors(floats, dim);
        let index = built(IndexType::Hnsw, metric, &segment, 2).into_index();
        for row in [0, 1, 500, 999, 1500, 3999] {
            let query = segment.row(row);
            let want = brute_force(metric, query, segment.as_slice(), None, 100);
            let hits = search(&*index, query, 100, 128, None);
            let same = hits.iter().filter(|hit| want.contains(hit)).count();
            assert!(same >= 97, "{metric} row {row}: {same} of 100");
        }
        // Of a group only some rows are live, the first not among them.
        let live = Bitset::from_bools((0..4000).map(|row| row >= 10 && row % 3 == 0));
        let want = brute_force(metric, segment.row(2), segment.as_slice(), Some(&live), 50);
        let hits = search(&*index, segment.row(2), 50, 64, Some(&live));
        assert!(hits.iter().filter(|hit| want.contains(hit)).count() >= 48, "{metric}");
    }
}

#[test]
fn one_two_and_the_most_dimensions() {
    for (dim, rows) in [(1, 3000), (2, 3000), (32768, 20)] {
        for metric in METRICS {
            let segment = vectors(clustered(rows, dim, rows, 0.0, 3), dim);
            let index = built(IndexType::AutoIndex, metric, &segment, 2).into_index();
            let query = clustered(1, dim, 1, 0.0, 11);
            let want = brute_force(metric, &query, segment.as_slice(), None, 10);
            let hits = search(&*index, &query, 10, 64, None);
            let near = |a: f32, b: f32| (a - b).abs() <= 1e-3 * (1.0 + b.abs());
            assert!(
                hits.iter().zip(&want).all(|(hit, want)| near(hit.score, want.score)),
                "{metric} {dim} {hits:?} {want:?}"
            );
        }
    }
}

#[test]
fn zero_vectors_have_cosine_zero_and_k_may_exceed_the_rows() {
    let dim = 20;
    let mut floats = clustered(2000, dim, 40, 0.3, 5);
    floats[..600 * dim].fill(0.0);
    let segment = vectors(floats, dim);
    let index = built(IndexType::Hnsw, MetricType::Cosine, &segment, 2).into_index();
    let hits = search(&*index, segment.row(700), 5000, 5000, None);
    assert_eq!(hits.len(), 2000);
    let zeros: Vec<u32> = hits.iter().filter(|hit| hit.score == 0.0).map(|hit| hit.row).collect();
    assert_eq!(zeros.len(), 600);
    assert!(zeros.is_sorted());
    let all_zero = search(&*index, &[0.0; 20], 7, 16, None);
    assert!(all_zero.len() == 7 && all_zero.iter().all(|hit| hit.score == 0.0));
}

#[test]
fn vectors_with_nan_and_infinity_do_no_harm() {
    let dim = 20;
    let mut floats = clustered(1500, dim, 40, 0.3, 5);
    floats[3 * dim] = f32::NAN;
    floats[4 * dim + 1] = f32::INFINITY;
    let segment = vectors(floats, dim);
    for metric in METRICS {
        let index = built(IndexType::Hnsw, metric, &segment, 1).into_index();
        let hits = search(&*index, segment.row(1000), 5, 64, None);
        assert_eq!(hits.len(), 5);
        assert_eq!(search(&*index, &[f32::NAN; 20], 5, 64, None).len(), 5);
    }
}

#[test]
fn a_build_reports_progress_and_stops_when_told() {
    let segment = vectors(clustered(5000, 20, 40, 0.3, 5), 20);
    let definition = definition(IndexType::Hnsw, MetricType::L2, 20);
    let seen = AtomicUsize::new(0);
    let progress = |done: usize, total: usize| {
        assert!(done <= total);
        seen.fetch_max(done, Ordering::Relaxed);
    };
    build(&definition, segment.clone(), 2, &progress, &AtomicBool::new(false)).unwrap();
    assert_eq!(seen.into_inner(), 5000);
    let cancelled = build(&definition, segment.clone(), 2, &|_, _| (), &AtomicBool::new(true));
    assert_eq!(cancelled.err(), Some(BuildError::Cancelled));
    let other = vectors(vec![0.0; 21], 21);
    let error = build(&definition, other, 2, &|_, _| (), &AtomicBool::new(false)).err().unwrap();
    assert_eq!(error.to_string(), "vectors have 21 dimensions, index has 20");
    let built = built(IndexType::Hnsw, MetricType::L2, &segment, 1);
    let (used, estimate) = (built.index().memory_bytes(), estimate_build_bytes(&definition, 5000));
    // Building takes several times what is kept: rows in the form in which others are compared with them.
    assert!(used <= estimate && estimate < used * 7, "{used} {estimate}");
}
