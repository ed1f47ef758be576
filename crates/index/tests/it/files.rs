//! Index files: what was written is read back, old files stay readable, damage is found.

use std::path::PathBuf;
use std::sync::Arc;

use milvus_index::{IndexType, OpenError, Vectors, brute_force, open};
use milvus_types::MetricType;
use proptest::prelude::*;

use crate::data::{METRICS, built, clustered, search, vectors};

/// Every golden file: its name, and what it was built from.
const GOLDEN: [(&str, IndexType, MetricType, usize); 4] = [
    ("flat_cosine", IndexType::Flat, MetricType::Cosine, 5),
    ("hnsw_l2_codes", IndexType::Hnsw, MetricType::L2, 24),
    ("hnsw_ip_vectors", IndexType::Hnsw, MetricType::Ip, 6),
    ("autoindex_cosine_codes", IndexType::AutoIndex, MetricType::Cosine, 24),
];

/// The vectors of a golden file: whole numbers, so that they are the same everywhere. Some rows
/// are identical and one is zero.
fn golden_vectors(dim: usize) -> Vectors {
    let value = |row: usize, i: usize| ((row * 31 + i * 17 + row * row * i) % 41) as f32 - 20.0;
    let mut floats: Vec<f32> =
        (0..40).flat_map(|row| (0..dim).map(move |i| value(row % 36, i))).collect();
    floats[5 * dim..6 * dim].fill(0.0);
    vectors(floats, dim)
}

fn golden_path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1").join(format!("{name}.idx"))
}

/// `UPDATE_EXPECT=1` writes files that are missing; one that is there is never written again.
#[test]
fn files_of_version_1_are_read_forever() {
    for (name, index_type, metric, dim) in GOLDEN {
        let path = golden_path(name);
        let segment = golden_vectors(dim);
        if std::env::var("UPDATE_EXPECT").is_ok() && !path.try_exists().unwrap() {
            let mut file = Vec::new();
            built(index_type, metric, &segment, 1).write(&mut file).unwrap();
            std::fs::write(&path, file).unwrap();
        }
        let index = open(Arc::new(std::fs::read(&path).unwrap()), segment.clone()).unwrap();
        assert_eq!((index.index_type(), index.metric(), index.rows()), (index_type, metric, 40));
        for row in 0..40 {
            let want = brute_force(metric, segment.row(row), segment.as_slice(), None, 5);
            assert_eq!(search(&*index, segment.row(row), 5, 40, None), want, "{name} row {row}");
        }
        let mut again = Vec::new();
        index.write(&mut again).unwrap();
        assert_eq!(again, std::fs::read(&path).unwrap(), "{name} is rewritten as it was");
    }
}

#[test]
fn an_opened_index_answers_as_the_built_one_at_any_alignment() {
    let dim = 40;
    let segment = vectors(clustered(3000, dim, 100, 0.4, 8), dim);
    for index_type in IndexType::ALL {
        for metric in METRICS {
            let built = built(index_type, metric, &segment, 2);
            let mut file = Vec::new();
            built.write(&mut file).unwrap();
            let index = built.into_index();
            let opened = open(Arc::new(file), segment.clone()).unwrap();
            assert_eq!(opened.memory_bytes(), index.memory_bytes());
            for query in segment.as_slice().chunks_exact(dim).step_by(97) {
                let want = search(&*index, query, 10, 32, None);
                assert_eq!(search(&*opened, query, 10, 32, None), want);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn damage_is_an_error_and_never_a_panic_or_an_answer(
        golden in 0usize..GOLDEN.len(),
        cut in any::<prop::sample::Index>(),
        bits in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let (name, _, _, dim) = GOLDEN[golden];
        let good = std::fs::read(golden_path(name)).unwrap();
        let mut bad = good.clone();
        if bits.is_empty() {
            bad.truncate(cut.index(good.len()));
        }
        for bit in &bits {
            let bit = bit.index(bad.len() * 8);
            bad[bit / 8] ^= 1 << (bit % 8);
        }
        prop_assume!(bad != good);
        prop_assert!(open(Arc::new(bad), golden_vectors(dim)).is_err());
    }
}

#[test]
fn a_file_of_other_vectors_or_none_is_refused() {
    let bytes = std::fs::read(golden_path("hnsw_l2_codes")).unwrap();
    let refused = open(Arc::new(bytes), vectors(vec![0.0; 24], 24)).err().unwrap();
    assert_eq!(refused.to_string(), "index covers 40 rows of 24 dimensions, segment has 1 of 24");
    let refused = open(Arc::new(b"ARROW1".to_vec()), vectors(vec![0.0; 24], 24)).err();
    assert_eq!(refused, Some(OpenError::NotAnIndex));
}
