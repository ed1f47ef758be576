//! MINHASH_LSH: what shares a band is found, ranked by equal hashes or by shared bands.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use milvus_index::{
    Build, BuildError, BuildKind, Comparison, Hit, IndexType, MinHashParams, Range, SearchParams,
    VectorData, VectorField, build, check_index, estimate_build_bytes, exact_range, exact_search,
    open,
};
use milvus_kernel::Bitset;
use milvus_types::{DataType, KeyValue, MetricType};
use proptest::prelude::*;

use crate::data::Numbers;

/// `rows` signatures of `hashes` hashes of `width` bytes, of which few values occur.
fn signatures(rows: usize, hashes: usize, width: usize, seed: u64) -> VectorData {
    let mut numbers = Numbers(seed);
    let mut bytes = Vec::with_capacity(rows * hashes * width);
    for _ in 0..rows * hashes {
        let hash = numbers.next() % 3;
        // Hashes differ in their first byte only.
        bytes.push(u8::try_from(hash).unwrap());
        bytes.extend((1..width).map(|_| 7));
    }
    VectorData::dense(DataType::BinaryVector, hashes * width * 8, Arc::new(bytes)).unwrap()
}

fn definition(index_type: &str, dim: usize, width: usize, bands: usize) -> Build {
    let params = [
        KeyValue::new("index_type", index_type),
        KeyValue::new("metric_type", "MHJACCARD"),
        KeyValue::new("mh_element_bit_width", (width * 8).to_string()),
        KeyValue::new("mh_lsh_band", bands.to_string()),
    ];
    check_index(&VectorField::new(DataType::BinaryVector, dim), &params).unwrap()
}

/// How many bands of `band` bytes are equal, and how many hashes of `width`.
fn shared(a: &[u8], b: &[u8], bands: usize, band: usize, width: usize) -> (usize, usize) {
    let equal = |of: usize| a.chunks(of).zip(b.chunks(of)).map(|(a, b)| a == b);
    (
        equal(band).take(bands).filter(|same| *same).count(),
        equal(width).filter(|same| *same).count(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn what_shares_a_band_is_found_and_ranked(
        rows in 0usize..300,
        hashes in 1usize..13,
        width in prop::sample::select(vec![1usize, 2, 3, 4, 8, 32]),
        wanted in 1usize..16,
        k in 0usize..30,
        refine in 0usize..60,
        share in 1u64..12,
        threads in 1usize..4,
        seed in any::<u64>(),
    ) {
        let segment = signatures(rows, hashes, width, seed);
        let queries = signatures(3, hashes, width, seed ^ 1);
        let mut numbers = Numbers(seed ^ 2);
        let live = (share < 11)
            .then(|| Bitset::from_bools((0..rows).map(|_| numbers.next() % 10 < share)));
        let live = live.as_ref();
        let definition = definition("MINHASH_LSH", segment.dim(), width, wanted);
        let stop = AtomicBool::new(false);
        let built = build(&definition, segment.clone(), threads, &|_, _| (), &stop).unwrap();
        let mut file = Vec::new();
        built.write(&mut file).unwrap();
        let opened = open(Arc::new(file), segment.clone()).unwrap();
        prop_assert_eq!(opened.memory_bytes(), built.index().memory_bytes());
        let bands = wanted.min(hashes);
        let band = hashes / bands * width;
        for query in queries.iter() {
            let mut sharing: Vec<(usize, usize, u32)> = (0..rows)
                .filter(|&row| live.is_none_or(|live| live.get(row)))
                .map(|row| {
                    let (bands, equal) =
                        shared(query.bytes(), segment.row(row).bytes(), bands, band, width);
                    (bands, equal, u32::try_from(row).unwrap())
                })
                .filter(|(bands, ..)| *bands > 0)
                .collect();
            sharing.sort_by_key(|&(bands, _, row)| (Reverse(bands), row));
            for with_jaccard in [false, true] {
                let most = if with_jaccard { refine.max(k) } else { k };
                let mut want: Vec<Hit> = sharing
                    .iter()
                    .take(most)
                    .map(|&(_, equal, row)| Hit { row, score: equal as f32 / hashes as f32 })
                    .collect();
                want.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.row.cmp(&b.row)));
                want.truncate(k);
                let refine_k = refine as f32 / k.max(1) as f32;
                let params = SearchParams { with_jaccard, refine_k, ..SearchParams::for_k(k) };
                for index in [built.index(), &*opened] {
                    let mut hits = Vec::new();
                    index.search(query, k, &params, live, &mut hits);
                    prop_assert_eq!(&hits, &want);
                }
            }
        }
    }
}

#[test]
fn hashes_have_the_width_that_the_index_names_in_exact_searches_too() {
    let segment = signatures(500, 16, 4, 3);
    let queries = signatures(2, 16, 4, 4);
    let flat = definition("BIN_FLAT", 512, 4, 1);
    assert_eq!((flat.kind, flat.hash_bits), (BuildKind::Flat, 32));
    let stop = AtomicBool::new(false);
    let built = build(&flat, segment.clone(), 1, &|_, _| (), &stop).unwrap();
    let mut file = Vec::new();
    built.write(&mut file).unwrap();
    let opened = open(Arc::new(file), segment.clone()).unwrap();
    assert_eq!(opened.index_type(), IndexType::BinFlat);
    let want = exact_search(flat.comparison(), &queries, &segment, None, 9).unwrap();
    let narrow = exact_search(MetricType::MhJaccard, &queries, &segment, None, 9).unwrap();
    assert_ne!(want, narrow);
    for (query, want) in queries.iter().zip(&want) {
        let equal = shared(query.bytes(), segment.row(want[0].row as usize).bytes(), 1, 4, 4).1;
        assert_eq!(want[0].score, equal as f32 / 16.0);
        for index in [built.index(), &*opened] {
            let mut hits = Vec::new();
            index.search(query, 9, &SearchParams::for_k(9), None, &mut hits);
            assert_eq!(&hits, want);
        }
    }
}

#[test]
fn ranges_are_complete_and_builds_are_sized_and_stopped() {
    let segment = signatures(3000, 16, 4, 3);
    let queries = signatures(1, 16, 4, 4);
    let lsh = definition("MINHASH_LSH", 512, 4, 8);
    assert_eq!(lsh.kind, BuildKind::MinHash(MinHashParams { bands: 8 }));
    let run = |stop| build(&lsh, segment.clone(), 2, &|_, _| (), &AtomicBool::new(stop));
    assert_eq!(run(true).err(), Some(BuildError::Cancelled));
    let index = run(false).unwrap().into_index();
    let range = Range { radius: 0.3, range_filter: Some(0.5) };
    let mut within = Vec::new();
    index.range_search(queries.row(0), &range, 50, None, &mut within);
    let comparison = Comparison { metric: MetricType::MhJaccard, hash_bits: 32 };
    let want = exact_range(comparison, &queries, &segment, None, &range, 50).unwrap();
    assert!(!within.is_empty() && within == want[0]);
    let (used, estimate) = (index.memory_bytes(), estimate_build_bytes(&lsh, 3000));
    assert!(used <= estimate && estimate < used * 6 / 5, "{used} {estimate}");
}
