//! Vectors for tests, the same in every run, and short ways to build and search.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::sync::atomic::AtomicBool;

use milvus_index::{
    Build, BuiltIndex, Hit, IndexType, SearchParams, VectorIndex, Vectors, build,
    check_build_params,
};
use milvus_kernel::Bitset;
use milvus_types::{KeyValue, MetricType};

pub(crate) const METRICS: [MetricType; 3] = [MetricType::L2, MetricType::Ip, MetricType::Cosine];

/// Numbers that look random, by seed.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// Between -1 and 1.
    pub(crate) fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    }
}

/// `rows` vectors around `clusters` centres, each at most `spread` from its centre by coordinate.
pub(crate) fn clustered(
    rows: usize,
    dim: usize,
    clusters: usize,
    spread: f32,
    seed: u64,
) -> Vec<f32> {
    let mut numbers = Numbers(seed);
    let centres: Vec<f32> = (0..clusters * dim).map(|_| numbers.float()).collect();
    let mut floats = Vec::with_capacity(rows * dim);
    for row in 0..rows {
        let centre = &centres[row % clusters * dim..][..dim];
        floats.extend(centre.iter().map(|x| x + spread * numbers.float()));
    }
    floats
}

pub(crate) fn vectors(floats: Vec<f32>, dim: usize) -> Vectors {
    Vectors::from_vec(floats, dim).unwrap()
}

pub(crate) fn definition(index_type: IndexType, metric: MetricType, dim: usize) -> Build {
    let params = [KeyValue::new("M", "16"), KeyValue::new("efConstruction", "100")];
    check_build_params(index_type, metric, dim, &params).unwrap()
}

pub(crate) fn built(
    index_type: IndexType,
    metric: MetricType,
    vectors: &Vectors,
    threads: usize,
) -> BuiltIndex {
    let definition = definition(index_type, metric, vectors.dim());
    build(&definition, vectors.clone(), threads, &|_, _| (), &AtomicBool::new(false)).unwrap()
}

pub(crate) fn search(
    index: &dyn VectorIndex,
    query: &[f32],
    k: usize,
    ef: usize,
    live: Option<&Bitset>,
) -> Vec<Hit> {
    let mut hits = vec![Hit { row: 9, score: 9.0 }];
    index.search(query, k, &SearchParams { ef }, live, &mut hits);
    hits
}
