//! Sparse vectors: each way to search posting lists, microseconds of CPU for a query, on one thread.
//!
//! `cargo bench -p milvus-index --bench sparse -- [ROWS] [DIMS] [PAIRS] [QUERY_PAIRS]
//! [BLOCK]`. Rows look like
//! those of a learned sparse encoder: dimensions by Zipf's law, a topic that rows share dimensions of,
//! values that fall off within a row. Every way is compared with the first: same rows, same bits.
#![expect(clippy::print_stdout, reason = "a bench prints its result")]
#![expect(clippy::unwrap_used, reason = "a bench may stop at the first surprise")]

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use milvus_index::{Hit, SearchParams, SparseRows, VectorData, VectorField, build, check_index};
use milvus_types::{DataType, KeyValue};

const ALGOS: [&str; 2] = ["TAAT_NAIVE", "BLOCK_MAX_MAXSCORE"];
const QUERIES: usize = 200;

fn main() {
    let args: Vec<usize> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    let number = |at: usize, default: usize| args.get(at).copied().unwrap_or(default);
    let (rows, dims) = (number(0, 100_000), number(1, 30_000));
    let mut numbers = Numbers(7);
    let segment = vectors(&mut numbers, rows, dims, number(2, 120));
    let queries = vectors(&mut numbers, QUERIES, dims, number(3, 40));
    println!("rows {rows} dims {dims} seed 7, {:.1} MB of pairs", segment.bytes() as f64 / 1e6);
    for k in [10, 100] {
        let mut plain: Option<(Vec<Vec<Hit>>, f64)> = None;
        for algo in ALGOS {
            let params = [
                KeyValue::new("index_type", "SPARSE_INVERTED_INDEX"),
                KeyValue::new("metric_type", "IP"),
                KeyValue::new("inverted_index_algo", algo),
                KeyValue::new("block_max_block_size", number(4, 128).to_string()),
            ];
            let field = VectorField::new(DataType::SparseFloatVector, 0);
            let definition = check_index(&field, &params).unwrap();
            let stop = AtomicBool::new(false);
            let index =
                build(&definition, segment.clone(), 1, &|_, _| (), &stop).unwrap().into_index();
            let mut found = vec![Vec::new(); QUERIES];
            let mut best = f64::MAX;
            for _ in 0..3 {
                let start = thread_seconds();
                for (query, hits) in queries.iter().zip(&mut found) {
                    index.search(query, k, &SearchParams::for_k(k), None, hits);
                }
                best = f64::min(best, (thread_seconds() - start) * 1e6 / QUERIES as f64);
            }
            let (want, first) = plain.get_or_insert_with(|| (found.clone(), best));
            assert!(*want == found, "{algo} finds other rows");
            println!(
                "k {k:>4}  {algo:<20} {best:>9.1} us/query  {:>5.1} x  {:.1} MB",
                *first / best,
                index.memory_bytes() as f64 / 1e6
            );
        }
    }
}

/// Rows of about `pairs` pairs.
fn vectors(numbers: &mut Numbers, rows: usize, dims: usize, pairs: usize) -> VectorData {
    const TOPICS: usize = 300;
    let rows: Vec<Vec<u8>> = (0..rows)
        .map(|_| {
            let topic = numbers.below(TOPICS);
            let mut row: BTreeMap<u32, f32> = BTreeMap::new();
            for n in 0..pairs {
                // Half of the dimensions are the topic's own, and weigh more.
                let own = n % 2 == 0;
                let rank = numbers.zipf(if own { dims / 20 } else { dims });
                let at = if own { (rank * 7919 + topic * 104_729) % dims } else { rank };
                // What occurs everywhere says little.
                let rare = (rank as f32 + 1.0).ln() / (dims as f32).ln();
                let weight = if own { 1.5 } else { 0.6 * rare };
                let value = weight * numbers.unit() * numbers.unit() + 0.01;
                row.insert(u32::try_from(at).unwrap(), value);
            }
            row.iter().flat_map(|(i, v)| [i.to_le_bytes(), v.to_le_bytes()].concat()).collect()
        })
        .collect();
    VectorData::Sparse(SparseRows::from_rows(rows.iter().map(Vec::as_slice)).unwrap())
}

/// Numbers that look random, by seed.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap_or_default()
    }

    /// Between 0 and 1.
    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u32 << 24) as f32
    }

    /// Below `end`, small ones more often, by their reciprocal.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "such casts saturate"
    )]
    fn zipf(&mut self, end: usize) -> usize {
        ((end as f32).powf(self.unit()) as usize).saturating_sub(1).min(end.saturating_sub(1))
    }
}

/// Seconds of CPU the main thread has used, 0 where the system does not tell.
fn thread_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanoseconds: Option<f64> = stat.split(' ').next().and_then(|text| text.parse().ok());
    nanoseconds.unwrap_or(0.0) / 1e9
}
