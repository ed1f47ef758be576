//! Every kind of vectors in every family that takes it: complete answers, exact scores, recall.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use milvus_index::{
    Build, BuildKind, Hit, IndexType, Range, SearchParams, VectorData, VectorField, VectorIndex,
    VectorRef, build, check_index, exact_range, exact_search, open, score_all,
};
use milvus_kernel::{Bitset, sparse::pairs};
use milvus_types::{DataType, KeyValue, MetricType};
use proptest::prelude::*;

use crate::data::{METRICS, Numbers, built_over, of_kind, sparse, sparse_of};

const BITS: [MetricType; 2] = [MetricType::Hamming, MetricType::Jaccard];

/// The kinds with the indexes that can be over them and the metrics that those take.
const DENSE: &[(DataType, &[IndexType], &[MetricType])] = &[
    (
        DataType::Float16Vector,
        &[
            IndexType::Flat,
            IndexType::HnswSq,
            IndexType::IvfFlat,
            IndexType::IvfSq8,
            IndexType::Annoy,
        ],
        &METRICS,
    ),
    (
        DataType::BFloat16Vector,
        &[IndexType::AutoIndex, IndexType::DiskAnn, IndexType::IvfRabitq, IndexType::IvfPq],
        &METRICS,
    ),
    (DataType::Int8Vector, &[IndexType::Hnsw, IndexType::AutoIndex, IndexType::HnswPq], &METRICS),
    (
        DataType::BinaryVector,
        &[IndexType::BinFlat, IndexType::Hnsw, IndexType::BinIvfFlat, IndexType::AutoIndex],
        &BITS,
    ),
];

fn run(
    index: &dyn VectorIndex,
    queries: &VectorData,
    query: usize,
    k: usize,
    live: Option<&Bitset>,
) -> Vec<Hit> {
    let params = SearchParams { ef: 100, ..SearchParams::for_k(k) };
    let mut hits = Vec::new();
    index.search(queries.row(query), k, &params, live, &mut hits);
    hits
}

#[test]
fn answers_over_every_kind_are_complete_exact_and_near() {
    let (rows, dim, k) = (1500, 32, 10);
    let live = Bitset::from_bools((0..rows).map(|row| row % 3 != 0));
    for (data_type, indexes, metrics) in DENSE {
        let segment = of_kind(*data_type, rows, dim, 3);
        let queries = of_kind(*data_type, 12, dim, 4);
        for (&index_type, &metric) in
            indexes.iter().flat_map(|index| metrics.iter().map(move |metric| (index, metric)))
        {
            let index = built_over(index_type, metric, &segment, 2).into_index();
            assert_eq!((index.data_type(), index.metric()), (*data_type, metric));
            let mut file = Vec::new();
            index.write(&mut file).unwrap();
            let opened = open(Arc::new(file), segment.clone()).unwrap();
            let of_disk = index_type == IndexType::DiskAnn;
            assert!(of_disk || opened.memory_bytes() == index.memory_bytes());
            for live in [None, Some(&live)] {
                let want = exact_search(metric, &queries, &segment, live, k).unwrap();
                let scores = score_all(metric, &queries, &segment, live).unwrap();
                let mut near = 0;
                for query in 0..queries.rows() {
                    let hits = run(&*index, &queries, query, k, live);
                    assert_eq!(run(&*opened, &queries, query, k, live), hits);
                    assert_eq!(hits.len(), k);
                    let exact = |hit: &Hit| {
                        let score = scores[query][hit.row as usize];
                        // Cached norms round like computed ones.
                        score.to_bits() == hit.score.to_bits()
                    };
                    assert!(hits.iter().all(exact), "{index_type} {data_type} {metric}");
                    let last = want[query][k - 1].score;
                    let better = |score| {
                        if metric.larger_is_better() { score >= last } else { score <= last }
                    };
                    near += hits.iter().filter(|hit| better(hit.score)).count();
                }
                let share = near as f64 / (k * queries.rows()) as f64;
                assert!(share >= 0.8, "{index_type} {data_type} {metric}: {share}");
            }
            let range = Range {
                radius: score_all(metric, &queries, &segment, None).unwrap()[0][7],
                range_filter: None,
            };
            let want = exact_range(metric, &queries, &segment, None, &range, 50).unwrap();
            let mut within = Vec::new();
            index.range_search(queries.row(0), &range, 50, None, &mut within);
            assert_eq!(within, want[0], "{index_type} {data_type} {metric}");
        }
    }
}

/// Rows that are lists are kept as FLAT whatever their index is called.
#[test]
fn a_file_is_of_the_family_that_wrote_it() {
    let segment = of_kind(DataType::Int8Vector, 100, 8, 3);
    let build = Build {
        index_type: IndexType::Hnsw,
        metric: MetricType::Cosine,
        data_type: DataType::Int8Vector,
        dim: 8,
        hash_bits: 8,
        kind: BuildKind::Flat,
    };
    let stop = AtomicBool::new(false);
    let mut file = Vec::new();
    milvus_index::build(&build, segment.clone(), 1, &|_, _| (), &stop)
        .unwrap()
        .write(&mut file)
        .unwrap();
    let opened = open(Arc::new(file), segment.clone()).unwrap();
    assert_eq!(opened.index_type(), IndexType::Hnsw);
    assert_eq!(run(&*opened, &segment, 7, 1, None)[0].row, 7);
}

#[test]
fn structures_of_bits_find_what_meets_them_only() {
    let segment = of_kind(DataType::BinaryVector, 3000, 32, 3);
    let part = VectorData::dense(DataType::BinaryVector, 32, Arc::new(vec![0, 1, 2, 0])).unwrap();
    for metric in [MetricType::Substructure, MetricType::Superstructure] {
        let index = built_over(IndexType::BinFlat, metric, &segment, 1).into_index();
        let want = exact_search(metric, &part, &segment, None, 3000).unwrap();
        assert!(want[0].iter().all(|hit| hit.score == 0.0));
        assert_eq!(run(&*index, &part, 0, 3000, None), want[0]);
    }
    assert!(
        !exact_search(MetricType::Substructure, &part, &segment, None, 9).unwrap()[0].is_empty()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]
    #[test]
    fn sparse_lists_answer_as_a_scan_does(
        rows in 0usize..600,
        dims in 1u64..400,
        most in 0u64..30,
        k in 0usize..40,
        share in 1u64..12,
        drop in 0u8..3,
        algo in prop::sample::select(ALGOS),
        block in prop::sample::select(vec![1usize, 16, 37, 128, 100_000]),
        negative in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let segment = sparse(rows, dims, most, seed);
        let mut queries = sparse(4, dims, 40, seed ^ 1);
        if negative {
            let turned = |query: VectorRef<'_>| -> Vec<(u32, f32)> {
                pairs(query.bytes()).map(|(dim, value)| (dim, 0.6 - value)).collect()
            };
            queries = sparse_of(&queries.iter().map(turned).collect::<Vec<_>>());
        }
        let mut numbers = Numbers(seed ^ 2);
        let live = (share < 11)
            .then(|| Bitset::from_bools((0..rows).map(|_| numbers.next() % 10 < share)));
        let live = live.as_ref();
        let params = [
            KeyValue::new("index_type", "SPARSE_INVERTED_INDEX"),
            KeyValue::new("metric_type", "IP"),
            KeyValue::new("inverted_index_algo", algo),
            KeyValue::new("block_max_block_size", block.to_string()),
        ];
        let field = VectorField::new(DataType::SparseFloatVector, 0);
        let definition = check_index(&field, &params).unwrap();
        let stop = AtomicBool::new(false);
        let built = build(&definition, segment.clone(), 1, &|_, _| (), &stop).unwrap();
        let mut file = Vec::new();
        built.write(&mut file).unwrap();
        let opened = open(Arc::new(file), segment.clone()).unwrap();
        let ratio = f32::from(drop) * 0.3;
        let kept: Vec<_> = queries.iter().map(|query| without(query.bytes(), ratio)).collect();
        let kept = sparse_of(&kept);
        let want = exact_search(MetricType::Ip, &kept, &segment, live, k).unwrap();
        for index in [built.index(), &*opened] {
            for (query, want) in queries.iter().zip(&want) {
                let params = SearchParams { drop_ratio: ratio, ..SearchParams::for_k(k) };
                let mut hits = Vec::new();
                index.search(query, k, &params, live, &mut hits);
                prop_assert_eq!(&hits, want, "{}", algo);
            }
        }
        prop_assert_eq!(opened.memory_bytes(), built.index().memory_bytes());
    }
}

const ALGOS: &[&str] = &[
    "TAAT_NAIVE",
    "DAAT_WAND",
    "DAAT_MAXSCORE",
    "BLOCK_MAX_MAXSCORE",
    "BLOCK_MAX_WAND",
    "SINDI",
    "",
];

/// The pairs of `query` whose value is at least that at the given share of them, sorted by size.
fn without(query: &[u8], ratio: f32) -> Vec<(u32, f32)> {
    let mut sizes: Vec<f32> = pairs(query).map(|(_, value)| value.abs()).collect();
    sizes.sort_by(f32::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share")]
    let least = sizes.get((sizes.len() as f32 * ratio) as usize).copied().unwrap_or_default();
    pairs(query).filter(|(_, value)| value.abs() >= least).collect()
}
