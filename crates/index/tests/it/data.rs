//! Vectors for tests, the same in every run, and short ways to build and search.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use milvus_index::{
    Build, BuiltIndex, Hit, IndexType, SearchParams, SparseRows, VectorData, VectorField,
    VectorIndex, Vectors, build, check_build_params, check_index,
};
use milvus_kernel::Bitset;
use milvus_types::{DataType, KeyValue, MetricType};

/// The families of float vectors, one type each.
pub(crate) const FAMILIES: [IndexType; 7] = [
    IndexType::Flat,
    IndexType::Hnsw,
    IndexType::AutoIndex,
    IndexType::IvfFlat,
    IndexType::IvfSq8,
    IndexType::Annoy,
    IndexType::DiskAnn,
];

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
    let parts = if dim.is_multiple_of(2) { dim / 2 } else { dim };
    let params = [
        KeyValue::new("M", "16"),
        KeyValue::new("efConstruction", "100"),
        KeyValue::new("nlist", "16"),
        KeyValue::new("m", parts.to_string()),
        KeyValue::new("sub_dim", "1"),
    ];
    check_build_params(index_type, metric, dim, &params).unwrap()
}

/// `rows` sparse vectors of up to `most` pairs among `dims` dimensions, some below 0.
pub(crate) fn sparse(rows: usize, dims: u64, most: u64, seed: u64) -> VectorData {
    let mut numbers = Numbers(seed);
    let rows: Vec<Vec<(u32, f32)>> = (0..rows)
        .map(|_| {
            // Low dimensions are common, high ones rare, as words are.
            let pairs: BTreeMap<u32, f32> = (0..numbers.next() % (most + 1))
                .map(|_| {
                    let share = numbers.next() % 1000 * (numbers.next() % 1000);
                    let dim = u32::try_from(share * dims / 1_000_000).unwrap();
                    (dim, numbers.float() + 0.7)
                })
                .collect();
            pairs.into_iter().collect()
        })
        .collect();
    sparse_of(&rows)
}

/// Whole numbers around 0, clustered, as every kind of dense vectors can hold them.
pub(crate) fn of_kind(data_type: DataType, rows: usize, dim: usize, seed: u64) -> VectorData {
    let floats = clustered(rows, dim, 30, 0.4, seed).iter().map(|x| (x * 40.0).round()).collect();
    as_kind(floats, data_type, dim)
}

/// Small whole numbers as dense vectors of any kind; bits are their signs.
pub(crate) fn as_kind(floats: Vec<f32>, data_type: DataType, dim: usize) -> VectorData {
    if data_type == DataType::Int8Vector {
        #[expect(clippy::cast_possible_truncation, reason = "the numbers are small")]
        let bytes: Vec<u8> = floats.iter().map(|x| (*x as i8).cast_unsigned()).collect();
        return VectorData::dense(data_type, dim, Arc::new(bytes)).unwrap();
    }
    if data_type == DataType::BinaryVector {
        let signs = floats.chunks_exact(8).map(|signs| {
            signs.iter().enumerate().fold(0, |byte, (n, x)| byte | u8::from(*x > 0.0) << n)
        });
        return VectorData::dense(data_type, dim, Arc::new(signs.collect::<Vec<u8>>())).unwrap();
    }
    VectorData::floats(floats, dim).unwrap().converted(data_type).unwrap()
}

/// Sparse vectors of the given pairs.
pub(crate) fn sparse_of(rows: &[Vec<(u32, f32)>]) -> VectorData {
    let bytes = |row: &Vec<(u32, f32)>| -> Vec<u8> {
        row.iter().flat_map(|(i, v)| [i.to_le_bytes(), v.to_le_bytes()].concat()).collect()
    };
    let rows: Vec<Vec<u8>> = rows.iter().map(bytes).collect();
    VectorData::Sparse(SparseRows::from_rows(rows.iter().map(Vec::as_slice)).unwrap())
}

/// An index over vectors of any kind.
pub(crate) fn built_over(
    index_type: IndexType,
    metric: MetricType,
    vectors: &VectorData,
    threads: usize,
) -> BuiltIndex {
    built_with(index_type, metric, vectors, threads, &[])
}

/// An index with parameters besides those that every other has.
pub(crate) fn built_with(
    index_type: IndexType,
    metric: MetricType,
    vectors: &VectorData,
    threads: usize,
    others: &[(&str, &str)],
) -> BuiltIndex {
    let dim = vectors.dim();
    let mut params = vec![
        KeyValue::new("index_type", index_type.name()),
        KeyValue::new("metric_type", metric.name()),
        KeyValue::new("M", "16"),
        KeyValue::new("efConstruction", "100"),
        KeyValue::new("nlist", "16"),
        KeyValue::new("m", (dim / 2).max(1).to_string()),
        KeyValue::new("sub_dim", "1"),
        KeyValue::new("mh_lsh_band", "64"),
    ];
    params.extend(others.iter().map(|(key, value)| KeyValue::new(*key, *value)));
    let definition = check_index(&VectorField::new(vectors.data_type(), dim), &params).unwrap();
    build(&definition, vectors.clone(), threads, &|_, _| (), &AtomicBool::new(false)).unwrap()
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
    let params = SearchParams { ef, ..SearchParams::for_k(k) };
    index.search(query.into(), k, &params, live, &mut hits);
    hits
}
