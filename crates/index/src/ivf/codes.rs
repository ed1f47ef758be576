//! What lists find candidates by: nothing, scalar codes, product codes (`blocks`), or bits of rows'
//! directions (`signs`).
//!
//! Vectors are normalised first where the metric is cosine, so that Euclidean distance orders them
//! alike.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use milvus_kernel::short_codes::{Layout, Width};
use milvus_kernel::{Scored, TopK, distance, fastscan, sq8};

use super::blocks::{Lists, ProductLists, ProductListsQuery};
use super::kmeans::{Centroids, in_parts, mean_of, widen};
use super::planes::{self, Planes};
use super::signs::{Signs, SignsQuery, encode, padded, parts};
use crate::brute::row_number;
use crate::graph::codes::{Coder, good_enough};
use crate::graph::short::{Short, ShortTarget};
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
    Short(Short),
    Product(ProductLists),
    Signs(Signs),
}

/// A query ready to be compared with codes.
pub(super) enum CodedQuery<'a> {
    Sq8 { row: Vec<u8>, metric: Metric, codes: &'a [u8] },
    Short(ShortTarget<'a>),
    Product { query: ProductListsQuery<'a>, metric: Metric },
    Signs { query: SignsQuery<'a>, metric: Metric, floats: &'a [f32] },
}

impl Codes {
    /// Encodes the rows of `order`, whose lists are those of `nearest` and end at `ends`. Those behind
    /// the last list have codes too, which nobody reads.
    pub(super) fn build(
        codes: IvfCodes,
        metric: Metric,
        vectors: &VectorData,
        (order, nearest, ends, centroids): (&[u32], &[u32], &[u32], &Centroids),
        threads: usize,
        cancel: &AtomicBool,
    ) -> Self {
        let listed = &order[..ends.last().map_or(0, |&end| end as usize)];
        let mean = || mean_of(metric, vectors, listed.iter().map(|&row| row as usize));
        let at = (threads, cancel);
        match codes {
            IvfCodes::Vectors => match centroids {
                Centroids::Bits { .. } => Self::None,
                Centroids::Floats { .. } => vectors_or_codes((metric, mean()), vectors, order, at),
            },
            IvfCodes::Scalar(bits @ (4 | 6)) => {
                let width = if bits == 4 { Width::Four } else { Width::Six };
                let layout = Layout::new(width, vectors.dim());
                Self::Short(Short::build(metric, layout, vectors, mean(), order, threads))
            }
            IvfCodes::Scalar(_) => {
                let mean = mean();
                let rows = encode_sq8(metric, &mean, vectors, order, at);
                Self::Sq8 { mean: mean.into(), rows: rows.into() }
            }
            IvfCodes::Product(params) => {
                let lists = (order, ends);
                let built = ProductLists::build(metric, vectors, lists, &params, threads, cancel);
                Self::Product(built)
            }
            IvfCodes::Bits(bits) => {
                let lists = (order, nearest, ends, centroids);
                Self::Signs(signs((metric, mean()), vectors, lists, bits, at))
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
            Self::Short(short) if short.layout.width == Width::Six => {
                asked.max(k + k / 2).saturating_add(12)
            }
            Self::Short(_) => asked.max(k * 2).saturating_add(16),
            Self::Product(_) => asked.max(k * 4).saturating_add(32),
            Self::Signs(Signs { planes: Some(planes), .. }) => match planes.bits {
                1 | 2 => asked.max(k * 2).saturating_add(24),
                _ => asked.max(k + k / 2).saturating_add(12),
            },
            // Fewer signs say less.
            Self::Signs(signs) => {
                let dim = signs.mean.as_slice().len().max(1);
                asked.max(k * (4 + SIGNS / dim)).saturating_add(32)
            }
        }
    }

    /// What vectors are centred by before they are coded; nothing where they are not.
    pub(super) fn mean(&self) -> &[f32] {
        match self {
            Self::None | Self::Product(_) => &[],
            Self::Sq8 { mean, .. } => mean.as_slice(),
            Self::Short(short) => short.mean.as_slice(),
            Self::Signs(signs) => signs.mean.as_slice(),
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Sq8 { mean, rows } => mean.bytes() + rows.bytes(),
            Self::Short(short) => short.bytes(),
            Self::Product(product) => product.bytes(),
            Self::Signs(signs) => signs.bytes(),
        }
    }

    /// Rows of the blocks that codes lie in, where they do.
    pub(super) fn block(&self) -> usize {
        match self {
            Self::None | Self::Sq8 { .. } | Self::Short(_) => 1,
            Self::Product(product) => product.block(),
            Self::Signs(_) => fastscan::BLOCK,
        }
    }

    /// `floats`, widened as the rows were, beside the codes; `None` where there are none. See
    /// [`crate::SearchParams`] for `query_bits`.
    pub(super) fn query<'a>(
        &'a self,
        metric: Metric,
        floats: &'a [f32],
        query_bits: u8,
    ) -> Option<CodedQuery<'a>> {
        match self {
            Self::None => None,
            Self::Sq8 { mean, rows } => {
                let mut row = vec![0; sq8::stride(floats.len())];
                let coder = Coder { metric: coded_metric(metric), mean: mean.as_slice() };
                coder.encode(floats, &mut Vec::new(), &mut row);
                Some(CodedQuery::Sq8 { row, metric, codes: rows.as_slice() })
            }
            Self::Short(short) => {
                Some(CodedQuery::Short(short.query(metric, floats, &mut Vec::new())))
            }
            Self::Product(product) => {
                Some(CodedQuery::Product { query: product.query(metric, floats), metric })
            }
            Self::Signs(signs) => {
                Some(CodedQuery::Signs { query: signs.query(floats, query_bits), metric, floats })
            }
        }
    }
}

impl CodedQuery<'_> {
    /// Offers the live rows of `list` to `top`, by roughly their distance. `few` says that not many are.
    pub(super) fn scan(
        &self,
        (lists, centroids, list): (&Lists<'_>, &Centroids, usize),
        (is_live, few): (impl Fn(u32) -> bool, bool),
        top: &mut TopK,
    ) {
        match self {
            Self::Sq8 { row, metric, codes } => {
                let (factor, bias) = (factor(*metric), centroids.bias(*metric, list));
                let range = lists.range(list);
                let mut distances = [0.0; CHUNK];
                if few {
                    let live = |place: &usize| is_live(lists.rows[*place]);
                    let places: Vec<u32> = range.filter(live).map(row_number).collect();
                    for places in places.chunks(CHUNK) {
                        let distances = &mut distances[..places.len()];
                        sq8::gather(row, codes, places, factor, distances);
                        for (&place, &distance) in places.iter().zip(&*distances) {
                            top.push(Scored::new(distance + bias, lists.rows[place as usize]));
                        }
                    }
                    return;
                }
                let codes = &codes[range.start * row.len()..range.end * row.len()];
                let chunks = codes.chunks(CHUNK * row.len());
                for (codes, rows) in chunks.zip(lists.rows[range].chunks(CHUNK)) {
                    let distances = &mut distances[..rows.len()];
                    sq8::block(row, codes, factor, distances);
                    distances.iter_mut().for_each(|distance| *distance += bias);
                    super::blocks::push_block(rows, distances, &is_live, top);
                }
            }
            Self::Short(query) => {
                let range = lists.range(list);
                let mut distances = [0.0; CHUNK];
                for first in range.clone().step_by(CHUNK) {
                    let rows = &lists.rows[first..range.end.min(first + CHUNK)];
                    let distances = &mut distances[..rows.len()];
                    query.block(first, distances);
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
fn vectors_or_codes(
    (metric, mean): (Metric, Vec<f32>),
    vectors: &VectorData,
    order: &[u32],
    (threads, cancel): (usize, &AtomicBool),
) -> Codes {
    let stride = sq8::stride(vectors.dim());
    let all: Vec<u32> = (0..vectors.rows()).map(row_number).collect();
    let rows = encode_sq8(metric, &mean, vectors, &all, (threads, cancel));
    let space = CodeSpace { codes: &rows, stride, factor: factor(metric) };
    if !cancel.load(Relaxed) && good_enough(&space, metric, vectors, CANDIDATES) {
        let mut listed = Vec::with_capacity(rows.len());
        for &row in order {
            listed.extend_from_slice(&rows[row as usize * stride..][..stride]);
        }
        return Codes::Sq8 { mean: mean.into(), rows: listed.into() };
    }
    Codes::None
}

/// What some rows are encoded as.
struct SignedRows {
    signs: Vec<u8>,
    facts: Vec<f32>,
    planes: Vec<u8>,
    planes_facts: Vec<f32>,
}

/// The signs of the rows of `order`, and the other bits of `bits`.
fn signs(
    (metric, mean): (Metric, Vec<f32>),
    vectors: &VectorData,
    (order, nearest, ends, centroids): (&[u32], &[u32], &[u32], &Centroids),
    bits: u8,
    (threads, cancel): (usize, &AtomicBool),
) -> Signs {
    let (width, more) = (parts(vectors.dim()), u32::from(bits.max(1)) - 1);
    let plane_bytes = planes::bytes(padded(vectors.dim()), more);
    let part = |range: std::ops::Range<usize>| {
        let mut found = SignedRows {
            signs: vec![0; range.len() * width],
            facts: vec![0.0; range.len() * super::signs::FACTS],
            planes: vec![0; range.len() * plane_bytes],
            planes_facts: vec![0.0; if more > 0 { range.len() * planes::FACTS } else { 0 }],
        };
        let (mut floats, mut buffer) = (Vec::new(), Vec::new());
        for (n, &row) in order[range].iter().enumerate() {
            if n % CHUNK == 0 && cancel.load(Relaxed) {
                break;
            }
            widen(metric, vectors.row(row as usize), &mut floats);
            let centroid = centroids.floats(nearest[row as usize] as usize);
            let code = &mut found.signs[n * width..][..width];
            let facts = encode(metric, &floats, centroid, &mean, &mut buffer, code);
            found.facts[n * facts.len()..][..facts.len()].copy_from_slice(&facts);
            if more > 0 {
                let plane = &mut found.planes[n * plane_bytes..][..plane_bytes];
                let with = (more, super::signs::factor(metric));
                let facts = planes::encode(&buffer, with, code, plane);
                found.planes_facts[n * facts.len()..][..facts.len()].copy_from_slice(&facts);
            }
        }
        found
    };
    let rows = in_parts(order.len(), threads, part);
    let planes = (more > 0).then(|| Planes {
        bits: more,
        codes: joined(&rows, |rows| &rows.planes).into(),
        facts: joined(&rows, |rows| &rows.planes_facts).into(),
    });
    let facts = joined(&rows, |rows| &rows.facts);
    let codes = joined(&rows, |rows| &rows.signs);
    drop(rows);
    let lists = Lists::new(order, ends, fastscan::BLOCK);
    let blocks = lists.pack(&codes, width, fastscan::block_bytes(width), fastscan::set);
    Signs { mean: mean.into(), blocks: blocks.into(), facts: facts.into(), planes }
}

/// One part of all `rows`, one after another.
fn joined<T: Copy>(rows: &[SignedRows], of: impl Fn(&SignedRows) -> &Vec<T>) -> Vec<T> {
    let mut all = Vec::with_capacity(rows.iter().map(|rows| of(rows).len()).sum());
    rows.iter().for_each(|rows| all.extend_from_slice(of(rows)));
    all
}

fn encode_sq8(
    metric: Metric,
    mean: &[f32],
    vectors: &VectorData,
    order: &[u32],
    (threads, cancel): (usize, &AtomicBool),
) -> Vec<u8> {
    let stride = sq8::stride(vectors.dim());
    let coder = Coder { metric: coded_metric(metric), mean };
    let part = |range: std::ops::Range<usize>| {
        let mut codes = vec![0; range.len() * stride];
        let (mut floats, mut buffer) = (Vec::new(), Vec::new());
        let rows = order[range].iter().zip(codes.chunks_exact_mut(stride));
        for (n, (&row, code)) in rows.enumerate() {
            if n % CHUNK == 0 && cancel.load(Relaxed) {
                break;
            }
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
