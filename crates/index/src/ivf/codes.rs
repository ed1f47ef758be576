//! What lists find candidates by: nothing, 8-bit codes, product codes (`blocks`), or single bits
//! (`signs`).
//!
//! Vectors are normalised first where the metric is cosine, so that Euclidean distance orders them
//! alike.

use std::sync::atomic::AtomicBool;

use milvus_kernel::{TopK, distance, fastscan, sq8};

use super::blocks::{Lists, ProductLists, ProductListsQuery};
use super::kmeans::{Centroids, in_parts, widen};
use super::signs::{Signs, SignsQuery, encode, parts};
use crate::brute::row_number;
use crate::graph::codes::{Coder, good_enough};
use crate::graph::lean::mean;
use crate::graph::order::in_order;
use crate::graph::space::{CodeSpace, factor};
use crate::params::IvfCodes;
use crate::score::Metric;
use crate::section::Section;
use crate::vectors::{VectorData, VectorRef};

/// The nearest ten rows must be among so many by 8-bit codes, or lists of vectors have none.
const CANDIDATES: usize = 20;
/// Vectors of so many dimensions need one `k` of candidates more than those of infinitely many.
const SIGNS: usize = 512;
/// Codes that are compared at a time.
const CHUNK: usize = 256;

/// The codes of all rows, in the order of the lists.
pub(super) enum Codes {
    None,
    Sq8 { mean: Section<f32>, rows: Section<u8> },
    Product(ProductLists),
    Signs(Signs),
}

/// A query ready to be compared with codes.
pub(super) enum CodedQuery<'a> {
    Sq8 { row: Vec<u8>, metric: Metric, codes: &'a [u8] },
    Product { query: ProductListsQuery<'a>, metric: Metric },
    Signs { query: SignsQuery<'a>, metric: Metric, floats: &'a [f32] },
}

impl Codes {
    /// Encodes the rows of `order`, whose lists are those of `nearest` and end at `ends`.
    pub(super) fn build(
        codes: IvfCodes,
        metric: Metric,
        vectors: &VectorData,
        (order, nearest, ends, centroids): (&[u32], &[u32], &[u32], &Centroids),
        threads: usize,
        cancel: &AtomicBool,
    ) -> Self {
        match codes {
            IvfCodes::Vectors => match centroids {
                Centroids::Bits { .. } => Self::None,
                Centroids::Floats { .. } => vectors_or_codes(metric, vectors, order, threads),
            },
            IvfCodes::Sq8 => {
                let mean = mean(metric, vectors);
                let rows = encode_sq8(metric, &mean, vectors, order, threads);
                Self::Sq8 { mean: mean.into(), rows: rows.into() }
            }
            IvfCodes::Product(params) => {
                let lists = (order, ends);
                let built = ProductLists::build(metric, vectors, lists, &params, threads, cancel);
                Self::Product(built)
            }
            IvfCodes::Bits => {
                Self::Signs(signs(metric, vectors, (order, nearest, ends, centroids), threads))
            }
        }
    }

    /// How many candidates get exact scores to find the best `k`, where a search asks for
    /// `refine_k` times `k`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "float to integer casts saturate, and what is refined is at least 1"
    )]
    pub(super) fn reranked(&self, k: usize, refine_k: f32) -> usize {
        let asked = (k as f32 * refine_k) as usize;
        match self {
            Self::None => k,
            Self::Sq8 { .. } => asked.max(k + k / 4).saturating_add(8),
            Self::Product(_) => asked.max(k * 4).saturating_add(32),
            // Fewer signs say less.
            Self::Signs(signs) => {
                let dim = signs.mean.as_slice().len().max(1);
                asked.max(k * (4 + SIGNS / dim)).saturating_add(32)
            }
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Sq8 { mean, rows } => mean.bytes() + rows.bytes(),
            Self::Product(product) => product.bytes(),
            Self::Signs(signs) => signs.bytes(),
        }
    }

    /// Rows of the blocks that codes lie in, where they do.
    pub(super) fn block(&self) -> usize {
        match self {
            Self::None | Self::Sq8 { .. } => 1,
            Self::Product(product) => product.block(),
            Self::Signs(_) => fastscan::BLOCK,
        }
    }

    /// `floats`, widened as the rows were, beside the codes; `None` where there are none.
    pub(super) fn query<'a>(&'a self, metric: Metric, floats: &'a [f32]) -> Option<CodedQuery<'a>> {
        match self {
            Self::None => None,
            Self::Sq8 { mean, rows } => {
                let mut row = vec![0; sq8::stride(floats.len())];
                let coder = Coder { metric: coded_metric(metric), mean: mean.as_slice() };
                coder.encode(floats, &mut Vec::new(), &mut row);
                Some(CodedQuery::Sq8 { row, metric, codes: rows.as_slice() })
            }
            Self::Product(product) => {
                Some(CodedQuery::Product { query: product.query(metric, floats), metric })
            }
            Self::Signs(signs) => {
                Some(CodedQuery::Signs { query: signs.query(floats), metric, floats })
            }
        }
    }
}

impl CodedQuery<'_> {
    /// Offers the live rows of `list` to `top`, by roughly their distance.
    pub(super) fn scan(
        &self,
        (lists, centroids, list): (&Lists<'_>, &Centroids, usize),
        is_live: impl Fn(u32) -> bool,
        top: &mut TopK,
    ) {
        match self {
            Self::Sq8 { row, metric, codes } => {
                let (factor, bias) = (factor(*metric), centroids.bias(*metric, list));
                let range = lists.range(list);
                let mut distances = [0.0; CHUNK];
                let codes = &codes[range.start * row.len()..range.end * row.len()];
                let chunks = codes.chunks(CHUNK * row.len());
                for (codes, rows) in chunks.zip(lists.rows[range].chunks(CHUNK)) {
                    let distances = &mut distances[..rows.len()];
                    sq8::block(row, codes, factor, distances);
                    distances.iter_mut().for_each(|distance| *distance += bias);
                    super::blocks::push_block(rows, distances, &is_live, top);
                }
            }
            Self::Product { query, metric } => {
                query.scan(lists, list, centroids.bias(*metric, list), is_live, top);
            }
            Self::Signs { query, metric, floats } => {
                let centroid = centroids.floats(list);
                let apart = if *metric == Metric::Ip {
                    -distance::ip(floats, centroid)
                } else {
                    distance::l2(floats, centroid)
                };
                query.scan(lists, list, apart + centroids.bias(*metric, list), is_live, top);
            }
        }
    }
}

/// Widened vectors are normalised already.
fn coded_metric(metric: Metric) -> Metric {
    if metric == Metric::Ip { Metric::Ip } else { Metric::L2 }
}

/// 8-bit codes where they tell near rows apart: a quarter of the bytes to read, and candidates get
/// exact scores.
fn vectors_or_codes(metric: Metric, vectors: &VectorData, order: &[u32], threads: usize) -> Codes {
    let stride = sq8::stride(vectors.dim());
    let all: Vec<u32> = (0..vectors.rows()).map(row_number).collect();
    let mean = mean(metric, vectors);
    let rows = encode_sq8(metric, &mean, vectors, &all, threads);
    let space = CodeSpace { codes: &rows, stride, factor: factor(metric) };
    if good_enough(&space, metric, vectors, CANDIDATES) {
        let rows = in_order(&rows, stride, order);
        return Codes::Sq8 { mean: mean.into(), rows: rows.into() };
    }
    Codes::None
}

/// The signs of the rows of `order`.
fn signs(
    metric: Metric,
    vectors: &VectorData,
    (order, nearest, ends, centroids): (&[u32], &[u32], &[u32], &Centroids),
    threads: usize,
) -> Signs {
    let (mean, width) = (mean(metric, vectors), parts(vectors.dim()));
    let part = |range: std::ops::Range<usize>| {
        let mut codes = vec![0; range.len() * width];
        let mut facts = Vec::with_capacity(range.len() * super::signs::FACTS);
        let (mut floats, mut buffer) = (Vec::new(), Vec::new());
        for (&row, code) in order[range].iter().zip(codes.chunks_exact_mut(width)) {
            widen(metric, vectors.row(row as usize), &mut floats);
            let centroid = centroids.floats(nearest[row as usize] as usize);
            facts.extend(encode(metric, &floats, centroid, &mean, &mut buffer, code));
        }
        (codes, facts)
    };
    let (codes, facts): (Vec<_>, Vec<_>) = in_parts(order.len(), threads, part).into_iter().unzip();
    let lists = Lists::new(order, ends, fastscan::BLOCK);
    let bytes = fastscan::block_bytes(width);
    let blocks = lists.pack(&codes.concat(), width, bytes, fastscan::set);
    Signs { mean: mean.into(), blocks: blocks.into(), facts: facts.concat().into() }
}

fn encode_sq8(
    metric: Metric,
    mean: &[f32],
    vectors: &VectorData,
    order: &[u32],
    threads: usize,
) -> Vec<u8> {
    let stride = sq8::stride(vectors.dim());
    let coder = Coder { metric: coded_metric(metric), mean };
    let part = |range: std::ops::Range<usize>| {
        let mut codes = vec![0; range.len() * stride];
        let (mut floats, mut buffer) = (Vec::new(), Vec::new());
        for (&row, code) in order[range].iter().zip(codes.chunks_exact_mut(stride)) {
            widen(metric, vectors.row(row as usize), &mut floats);
            coder.encode(&floats, &mut buffer, code);
        }
        codes
    };
    in_parts(order.len(), threads, part).concat()
}

/// The query as the codes see it.
pub(super) fn floats_of(metric: Metric, query: VectorRef<'_>) -> Vec<f32> {
    let mut floats = Vec::with_capacity(query.dim());
    widen(metric, query, &mut floats);
    floats
}
