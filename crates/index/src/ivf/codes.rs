//! What lists find candidates by: nothing, 8-bit codes, product codes (`crate::product`), or single
//! bits (`bits`).
//!
//! Vectors are normalised first where the metric is cosine, so that Euclidean distance orders them
//! alike.

use std::sync::atomic::AtomicBool;

use milvus_kernel::sq8;

use super::bits::{BitQuery, FACTS, encode, padded};
use super::kmeans::{Centroids, in_parts, widen};
use crate::graph::codes::Coder;
use crate::graph::space::Target;
use crate::params::IvfCodes;
use crate::product::{Product, ProductQuery};
use crate::score::Metric;
use crate::section::Section;
use crate::vectors::{VectorData, VectorRef};

/// The codes of all rows, in the order of the lists.
pub(super) enum Codes {
    None,
    Sq8 { mean: Section<f32>, rows: Section<u8> },
    Product(Product),
    Bits { rows: Section<u8>, facts: Section<f32> },
}

/// A query ready to be compared with codes.
pub(super) enum CodedQuery<'a> {
    Sq8 { row: Vec<u8>, factor: f32, codes: &'a [u8] },
    Product(ProductQuery<'a>),
    Bits(BitQuery<'a>),
}

impl Codes {
    /// Encodes the rows of `order`, whose lists are those of `nearest`.
    pub(super) fn build(
        codes: IvfCodes,
        metric: Metric,
        vectors: &VectorData,
        (order, nearest, centroids): (&[u32], &[u32], &Centroids),
        threads: usize,
        cancel: &AtomicBool,
    ) -> Self {
        match codes {
            IvfCodes::Vectors => Self::None,
            IvfCodes::Sq8 => {
                let mean = mean(metric, vectors);
                let rows = encode_sq8(metric, &mean, vectors, order, threads);
                Self::Sq8 { mean: mean.into(), rows: rows.into() }
            }
            IvfCodes::Product(params) => {
                Self::Product(Product::build(metric, vectors, order, &params, threads, cancel))
            }
            IvfCodes::Bits => {
                let width = padded(vectors.dim()) / 8;
                let part = |range: std::ops::Range<usize>| {
                    let mut codes = vec![0; range.len() * width];
                    let mut facts = Vec::with_capacity(range.len() * FACTS);
                    let (mut floats, mut buffer) = (Vec::new(), Vec::new());
                    for (&row, code) in order[range].iter().zip(codes.chunks_exact_mut(width)) {
                        widen(metric, vectors.row(row as usize), &mut floats);
                        let centroid = centroids.floats(nearest[row as usize] as usize);
                        facts.extend(encode(&floats, centroid, &mut buffer, code));
                    }
                    (codes, facts)
                };
                let (rows, facts): (Vec<_>, Vec<_>) =
                    in_parts(order.len(), threads, part).into_iter().unzip();
                Self::Bits { rows: rows.concat().into(), facts: facts.concat().into() }
            }
        }
    }

    /// How many times `k` candidates get exact scores at the least.
    pub(super) fn breadth(&self) -> f32 {
        match self {
            Self::None => 1.0,
            Self::Sq8 { .. } => 2.0,
            Self::Product(_) => 4.0,
            Self::Bits { .. } => 8.0,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Sq8 { mean, rows } => mean.bytes() + rows.bytes(),
            Self::Product(product) => product.bytes(),
            Self::Bits { rows, facts } => rows.bytes() + facts.bytes(),
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
                let factor = if metric == Metric::Ip { -1.0 } else { -2.0 };
                Some(CodedQuery::Sq8 { row, factor, codes: rows.as_slice() })
            }
            Self::Product(product) => Some(CodedQuery::Product(product.query(metric, floats))),
            Self::Bits { rows, facts } => {
                let bits = BitQuery::new(metric, floats, rows.as_slice(), facts.as_slice());
                Some(CodedQuery::Bits(bits))
            }
        }
    }
}

impl CodedQuery<'_> {
    /// Turns to the codes of `list`.
    pub(super) fn enter(&mut self, centroids: &Centroids, list: usize) {
        if let Self::Bits(query) = self {
            query.enter(centroids.floats(list));
        }
    }

    /// Distances to the codes at `places`, of the list that was entered, roughly.
    pub(super) fn distances(&self, places: &[u32], out: &mut [f32]) {
        match self {
            Self::Sq8 { row, factor, codes } => sq8::gather(row, codes, places, *factor, out),
            Self::Product(query) => query.distances(places, out),
            Self::Bits(query) => query.distances(places, out),
        }
    }
}

/// Widened vectors are normalised already.
fn coded_metric(metric: Metric) -> Metric {
    if metric == Metric::Ip { Metric::Ip } else { Metric::L2 }
}

fn mean(metric: Metric, vectors: &VectorData) -> Vec<f32> {
    let mut sums = vec![0.0f64; vectors.dim()];
    let mut floats = Vec::new();
    for vector in vectors.iter() {
        widen(metric, vector, &mut floats);
        sums.iter_mut().zip(&floats).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    let rows = vectors.rows().max(1) as f64;
    #[expect(clippy::cast_possible_truncation, reason = "a mean of floats is a float")]
    let mean = sums.into_iter().map(|sum| (sum / rows) as f32);
    mean.map(|x| if x.is_finite() { x } else { 0.0 }).collect()
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
