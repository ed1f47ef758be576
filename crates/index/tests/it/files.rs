//! Index files: what was written is read back, old files stay readable, damage is found.

use std::path::PathBuf;
use std::sync::Arc;

use milvus_index::{IndexType, OpenError, SearchParams, VectorData, exact_search, open};
use milvus_types::{DataType, MetricType};
use proptest::prelude::*;

use crate::data::{
    FAMILIES, METRICS, as_kind, built, built_with, clustered, search, sparse_of, vectors,
};

/// Every golden file: its name, and what it was built from.
const GOLDEN: &[(&str, IndexType, MetricType, DataType, usize)] = &[
    ("flat_cosine", IndexType::Flat, MetricType::Cosine, DataType::FloatVector, 5),
    ("hnsw_l2_codes", IndexType::Hnsw, MetricType::L2, DataType::FloatVector, 24),
    ("hnsw_ip_vectors", IndexType::Hnsw, MetricType::Ip, DataType::FloatVector, 6),
    ("autoindex_cosine_codes", IndexType::AutoIndex, MetricType::Cosine, DataType::FloatVector, 24),
    ("hnsw_l2_int8", IndexType::Hnsw, MetricType::L2, DataType::Int8Vector, 8),
    ("hnsw_jaccard_bits", IndexType::Hnsw, MetricType::Jaccard, DataType::BinaryVector, 32),
    ("bin_flat_hamming", IndexType::BinFlat, MetricType::Hamming, DataType::BinaryVector, 16),
    ("ivf_flat_l2_half", IndexType::IvfFlat, MetricType::L2, DataType::Float16Vector, 8),
    ("ivf_sq8_cosine", IndexType::IvfSq8, MetricType::Cosine, DataType::FloatVector, 8),
    ("hnsw_prq_cosine", IndexType::HnswPrq, MetricType::Cosine, DataType::FloatVector, 8),
    ("ivf_rabitq_l2", IndexType::IvfRabitq, MetricType::L2, DataType::FloatVector, 12),
    ("ivf_pq_ip", IndexType::IvfPq, MetricType::Ip, DataType::FloatVector, 8),
    ("ivf_rabitq_l2_signs", IndexType::IvfRabitq, MetricType::L2, DataType::FloatVector, 12),
    ("ivf_pq_ip_blocks", IndexType::IvfPq, MetricType::Ip, DataType::FloatVector, 8),
    ("scann_ivf_cosine_blocks", IndexType::Scann, MetricType::Cosine, DataType::FloatVector, 8),
    ("ivf_rabitq_ip_planes", IndexType::IvfRabitq, MetricType::Ip, DataType::FloatVector, 12),
    ("ivf_sq8_l2_sq4", IndexType::IvfSq8, MetricType::L2, DataType::FloatVector, 20),
    ("ivf_pq_l2_stages", IndexType::IvfPq, MetricType::L2, DataType::FloatVector, 8),
    ("aisaq_ip_narrow", IndexType::Aisaq, MetricType::Ip, DataType::Float16Vector, 13),
    ("hnsw_l2_places", IndexType::Hnsw, MetricType::L2, DataType::FloatVector, 24),
    (
        "bin_ivf_flat_hamming",
        IndexType::BinIvfFlat,
        MetricType::Hamming,
        DataType::BinaryVector,
        16,
    ),
    ("annoy_ip", IndexType::Annoy, MetricType::Ip, DataType::FloatVector, 8),
    ("diskann_l2", IndexType::DiskAnn, MetricType::L2, DataType::FloatVector, 24),
    ("minhash_lsh", IndexType::MinHashLsh, MetricType::MhJaccard, DataType::BinaryVector, 24),
    (
        "sparse_ip_blocks",
        IndexType::SparseInvertedIndex,
        MetricType::Ip,
        DataType::SparseFloatVector,
        0,
    ),
    (
        "sparse_ip_windows",
        IndexType::SparseInvertedIndex,
        MetricType::Ip,
        DataType::SparseFloatVector,
        0,
    ),
    ("sparse_ip", IndexType::SparseInvertedIndex, MetricType::Ip, DataType::SparseFloatVector, 0),
];

/// Files whose codes are laid out anew when they are opened, and so written differently.
const LAID_OUT_ANEW: &[&str] = &["ivf_rabitq_l2", "ivf_pq_ip"];

/// Parameters that a golden file was built with besides those of every other.
fn golden_params(name: &str) -> &'static [(&'static str, &'static str)] {
    match name {
        "ivf_rabitq_ip_planes" => &[("rbq_bits", "4")],
        "ivf_sq8_l2_sq4" => &[("sq_type", "sq4")],
        "ivf_pq_l2_stages" => &[("nbits", "12")],
        _ => &[],
    }
}

/// Rows of a golden file: lists need many.
fn golden_rows(index_type: IndexType) -> usize {
    let name = index_type.name();
    let many: [(&str, usize); 4] = [("ANNOY", 300), ("DISKANN", 600), ("AISAQ", 600), ("IVF", 160)];
    many.iter().find(|(part, _)| name.contains(part)).map_or(40, |(_, rows)| *rows)
}

/// The vectors of a golden file: whole numbers, so that they are the same everywhere. Some rows
/// are identical and one is zero.
fn golden_vectors(index_type: IndexType, data_type: DataType, dim: usize) -> VectorData {
    let rows = golden_rows(index_type);
    let value = |row: usize, i: usize| ((row * 31 + i * 17 + row * row * i) % 41) as f32 - 20.0;
    if data_type == DataType::SparseFloatVector {
        let pair = |row: u8, i: u8| {
            (u32::from(i * (1 + row % 5)), value(usize::from(row % 36), usize::from(i)))
        };
        let rows: Vec<_> =
            (0..40u8).map(|row| (0..row % 7).map(|i| pair(row, i)).collect()).collect();
        return sparse_of(&rows);
    }
    let mut floats: Vec<f32> =
        (0..rows).flat_map(|row| (0..dim).map(move |i| value(row % 36, i))).collect();
    floats[5 * dim..6 * dim].fill(0.0);
    as_kind(floats, data_type, dim)
}

fn golden_path(name: &str) -> PathBuf {
    PathBuf::from("tests/golden/v1").join(format!("{name}.idx"))
}

/// `UPDATE_EXPECT=1` writes files that are missing; one that is there is never written again.
#[test]
fn files_of_version_1_are_read_forever() {
    for &(name, index_type, metric, data_type, dim) in GOLDEN {
        let path = golden_path(name);
        let segment = golden_vectors(index_type, data_type, dim);
        if std::env::var("UPDATE_EXPECT").is_ok() && !path.try_exists().unwrap() {
            let mut file = Vec::new();
            let built = built_with(index_type, metric, &segment, 1, golden_params(name));
            built.write(&mut file).unwrap();
            std::fs::write(&path, file).unwrap();
        }
        let index = open(Arc::new(std::fs::read(&path).unwrap()), segment.clone()).unwrap();
        assert_eq!(
            (index.index_type(), index.metric(), index.rows()),
            (index_type, metric, golden_rows(index_type))
        );
        let want = exact_search(metric, &segment, &segment, None, 5).unwrap();
        for (query, want) in segment.iter().zip(&want) {
            let params = SearchParams {
                ef: 40,
                nprobe: 40,
                refine_k: 40.0,
                with_jaccard: true,
                ..SearchParams::for_k(5)
            };
            let mut hits = Vec::new();
            index.search(query, 5, &params, None, &mut hits);
            // Buckets hold rows that have something in common.
            let lsh = index_type == IndexType::MinHashLsh;
            let want: Vec<_> = want.iter().filter(|hit| !lsh || hit.score > 0.0).copied().collect();
            assert_eq!(hits, want, "{name}");
        }
        if LAID_OUT_ANEW.contains(&name) {
            continue;
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
    for index_type in FAMILIES {
        for metric in METRICS {
            let built = built(index_type, metric, &segment, 2);
            let mut file = Vec::new();
            built.write(&mut file).unwrap();
            let index = built.into_index();
            let opened = open(Arc::new(file), segment.clone()).unwrap();
            // A graph on disk has its vectors in the file.
            let of_disk = index_type == IndexType::DiskAnn;
            assert!(of_disk || opened.memory_bytes() == index.memory_bytes());
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
        let (name, index_type, _, data_type, dim) = GOLDEN[golden];
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
        prop_assert!(open(Arc::new(bad), golden_vectors(index_type, data_type, dim)).is_err());
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
