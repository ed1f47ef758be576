//! `sparse`: sparse indexes against a plain inverted scan over the same rows.
//!
//! The plain scan adds every posting of the query's terms into an array of scores, term by term,
//! and takes the best; it is what an index must beat without losing a result.

use clap::Args;
use milvus_index::{Depth, Hit, IndexType, SparseRows, VectorData, check_search_params};
use milvus_kernel::{Scored, TopK};
use milvus_types::{KeyValue, MetricType};
use serde_json::{Value, json};

use crate::gauge::{median, timed};
use crate::subject::Wanted;
use crate::trial::{Live, Trial};
use crate::zipf::{Shape, Source, bytes};
use crate::{Outcome, say};

#[derive(Args)]
pub(crate) struct Options {
    /// Rows of the synthetic set.
    #[arg(long, default_value_t = 100_000)]
    rows: usize,
    /// Queries.
    #[arg(long, default_value_t = 300)]
    queries: usize,
    /// Terms of the vocabulary.
    #[arg(long, default_value_t = 30_000)]
    terms: u32,
    /// Values of `inverted_index_algo`.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "TAAT_NAIVE,DAAT_WAND,DAAT_MAXSCORE,BLOCK_MAX_WAND,BLOCK_MAX_MAXSCORE"
    )]
    algos: Vec<String>,
    /// Values of `drop_ratio_search`.
    #[arg(long, value_delimiter = ',', default_value = "0,0.2")]
    drop_ratios: Vec<f64>,
    /// Rows wanted for each query.
    #[arg(long, default_value_t = 10)]
    k: usize,
    /// Passes for each figure.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// Of the vectors.
    #[arg(long, default_value_t = 20_251)]
    seed: u64,
}

pub(crate) fn run(options: &Options) -> Outcome<()> {
    let mut source = Source::new(Shape { terms: options.terms, topics: 500, seed: options.seed });
    let rows: Vec<_> = (0..options.rows).map(|_| source.vector(40, 160)).collect();
    let queries: Vec<_> = (0..options.queries).map(|_| source.vector(12, 40)).collect();
    let plain = Plain::build(&rows, options.terms);
    let (base, asked) = (sparse(&rows)?, sparse(&queries)?);
    let mut systems = Vec::new();
    for algo in &options.algos {
        systems.extend(measure(options, algo, &base, &asked, &plain, &queries)?);
    }
    say(&json!({
        "data": "zipf", "rows": options.rows, "queries": options.queries, "terms": options.terms,
        "pairs_per_row": rows.iter().map(Vec::len).sum::<usize>() as f64 / rows.len() as f64,
        "pairs_per_query": queries.iter().map(Vec::len).sum::<usize>() as f64 / queries.len() as f64,
        "seed": options.seed, "k": options.k, "cpu": milvus_kernel::cpu(), "systems": systems,
    }));
    Ok(())
}

/// One index at each drop ratio, in turns with the plain scan.
fn measure(
    options: &Options,
    algo: &str,
    base: &VectorData,
    asked: &VectorData,
    plain: &Plain,
    queries: &[Vec<(u32, f32)>],
) -> Outcome<Vec<Value>> {
    let index_type = IndexType::SparseInvertedIndex;
    let wanted = Wanted {
        index_type,
        metric: MetricType::Ip,
        params: json!({"inverted_index_algo": algo}),
        threads: 1,
    };
    let file = std::env::temp_dir().join(format!("sparse-{algo}-{}.idx", std::process::id()));
    let subject = wanted.build(base, &file)?;
    let trial = Trial { index: &*subject.index, queries: asked, k: options.k, live: Live::All };
    let mut figures = Vec::new();
    for &ratio in &options.drop_ratios {
        let pairs = [KeyValue::new("drop_ratio_search", ratio.to_string())];
        let params = check_search_params(index_type, Depth::AtOnce(options.k), &pairs)?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let (mut recall, mut equal) = (0.0, 0);
        for _ in 0..options.repeats.max(1) {
            let (want, spent) = timed(|| plain.search_all(queries, options.k));
            theirs.push(queries.len() as f64 / spent.cpu_s);
            let pass = trial.pass(&params, 1);
            ours.push(pass.qps_cpu());
            recall = crate::dataset::Truth::of(options.k, &want).recall(&pass.answers);
            equal = want.iter().zip(&pass.answers).filter(|(a, b)| same(a, b)).count();
        }
        let (ours, theirs) = (median(ours), median(theirs));
        figures.push(json!({
            "algo": algo, "drop_ratio": ratio, "recall": recall,
            "equal_answers": equal as f64 / queries.len() as f64,
            "qps_cpu": ours, "plain_qps_cpu": theirs, "ratio": ours / theirs,
            "build": subject.figures,
        }));
    }
    std::fs::remove_file(&file)?;
    Ok(figures)
}

/// Equal scores at each place, up to what the order of additions changes. Rows may swap where they tie.
fn same(one: &[Hit], other: &[Hit]) -> bool {
    let near = |(a, b): (&Hit, &Hit)| (a.score - b.score).abs() <= 1e-5 * a.score.abs().max(1.0);
    one.len() == other.len() && one.iter().zip(other).all(near)
}

fn sparse(vectors: &[Vec<(u32, f32)>]) -> Outcome<VectorData> {
    let rows: Vec<_> = vectors.iter().map(|vector| bytes(vector)).collect();
    Ok(VectorData::Sparse(SparseRows::from_rows(rows.iter().map(Vec::as_slice))?))
}

/// Posting lists, and nothing else.
struct Plain {
    lists: Vec<Vec<(u32, f32)>>,
    rows: usize,
}

impl Plain {
    fn build(rows: &[Vec<(u32, f32)>], terms: u32) -> Self {
        let mut lists = vec![Vec::new(); terms as usize];
        for (row, vector) in (0u32..).zip(rows) {
            for &(term, weight) in vector {
                lists[term as usize].push((row, weight));
            }
        }
        Self { lists, rows: rows.len() }
    }

    fn search_all(&self, queries: &[Vec<(u32, f32)>], k: usize) -> Vec<Vec<Hit>> {
        let mut scores = vec![0.0f32; self.rows];
        queries.iter().map(|query| self.search(query, k, &mut scores)).collect()
    }

    fn search(&self, query: &[(u32, f32)], k: usize, scores: &mut [f32]) -> Vec<Hit> {
        scores.fill(0.0);
        for &(term, weight) in query {
            for &(row, value) in &self.lists[term as usize] {
                scores[row as usize] += weight * value;
            }
        }
        let mut best = TopK::new(k);
        for (row, &score) in (0u32..).zip(&*scores) {
            if score > 0.0 {
                best.push(Scored::new(-score, row));
            }
        }
        let hits = best.into_sorted().into_iter();
        hits.map(|scored| Hit { row: scored.row(), score: -scored.distance() }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_scan_finds_the_largest_products() {
        let rows = vec![vec![(0, 1.0), (2, 2.0)], vec![(2, 5.0)], vec![(1, 9.0)]];
        let plain = Plain::build(&rows, 3);
        let hits = plain.search_all(&[vec![(0, 4.0), (2, 1.0)]], 2).remove(0);
        let got: Vec<_> = hits.iter().map(|hit| (hit.row, hit.score)).collect();
        assert_eq!(got, [(0, 6.0), (1, 5.0)]);
        assert!(same(&hits, &hits) && !same(&hits, &hits[..1]));
    }
}
