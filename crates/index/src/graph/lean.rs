//! Lean codes: the leading directions of a segment's vectors in four bits each, to walk on.
//!
//! Embeddings differ in far fewer directions than they have dimensions. Vectors are centred
//! (COSINE: normalised first), projected onto the principal directions that fit a row of one to four
//! cache lines, turned by a random rotation that spreads what is left evenly over all of them, and
//! kept as 4-bit codes (`milvus_kernel::lvq4`). A walk then touches two lines for each row where
//! 8-bit codes of 384 dimensions take seven. Sources: LeanVec (arXiv 2312.16335), LVQ (arXiv
//! 2304.04759).
//!
//! How many lines are needed is found by trial, as for 8-bit codes (`codes::good_enough`).

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use milvus_kernel::lvq4::{self, Head, Query};
use milvus_kernel::prefetch::{CACHE_LINE, prefetch_lines};
use milvus_kernel::{distance, sq8};

use crate::graph::codes::good_enough;
use crate::graph::order::in_order;
use crate::graph::space::{Space, Target, factor, zero_bias};
use crate::ivf::kmeans::{in_parts, mean_of, widen};
use crate::pca::{principal_directions, product, rotation};
use crate::score::Metric;
use crate::section::Section;
use crate::vectors::VectorData;

/// The most cache lines of a row.
const LINES: usize = 4;
/// The nearest ten rows must be among so many by code.
const CANDIDATES: usize = 15;
/// Rows that directions are learned from.
const SAMPLED: usize = 1 << 13;
/// Fewer rows are walked in the vectors themselves or by 8-bit codes: a sample as small as that says
/// little of directions.
const FEWEST: usize = 1 << 10;

/// The way from vectors to directions.
pub(crate) struct Projection {
    /// What vectors are centred by, `[dim]`.
    pub(crate) mean: Section<f32>,
    /// `[kept, dim]` as 8-bit codes, see [`sq8`]: a fraction of the floats' bytes to read for each
    /// query, and far more exact than what becomes of the result.
    pub(crate) directions: Section<u8>,
}

/// The codes of all rows, and what a query needs to be compared with them.
pub(crate) struct Lean {
    pub(crate) projection: Projection,
    /// `[rows, stride]`, see [`lvq4`].
    pub(crate) rows: Section<u8>,
    pub(crate) stride: usize,
}

/// Bytes of a row while lean codes are made, of vectors of `dim` dimensions: codes and forms are put
/// together from parts, and two lines are what most vectors take.
pub(super) fn build_bytes(dim: usize) -> u64 {
    let stride = lvq4::stride(dim.min(lvq4::capacity(2 * CACHE_LINE)));
    2 * (stride + 2 * stride + size_of::<Head>()) as u64 + stride as u64
}

/// Bytes of the sample that directions are learned from.
pub(super) fn sample_bytes(rows: usize, dim: usize) -> u64 {
    2 * (rows.min(SAMPLED) * dim * size_of::<f32>()) as u64
}

/// Rows as 8-bit queries, while a graph is built.
pub(crate) struct Forms {
    planes: Vec<i8>,
    heads: Vec<Head>,
}

/// Memory for encoding one vector after another.
#[derive(Default)]
pub(crate) struct Buffers {
    centred: Vec<f32>,
    coded: Vec<u8>,
    pub(super) kept: Vec<f32>,
    planes: Vec<i8>,
}

impl Projection {
    /// Projects `vector` (widened: of length 1 where the metric is cosine) into `buffers.kept`, and
    /// returns what distances have of it alone.
    pub(super) fn project(&self, metric: Metric, vector: &[f32], buffers: &mut Buffers) -> f32 {
        let Buffers { centred, coded, kept, .. } = buffers;
        let (mean, directions) = (self.mean.as_slice(), self.directions.as_slice());
        centred.clear();
        centred.extend(vector.iter().zip(mean).map(|(x, mean)| x - mean));
        let stride = sq8::stride(mean.len());
        coded.resize(stride, 0);
        sq8::encode(centred, coded);
        kept.resize(directions.len() / stride, 0.0);
        sq8::block(coded, directions, 1.0, kept);
        let bias = if metric == Metric::Ip {
            -distance::ip(centred, mean) - distance::norm_squared(mean) / 2.0
        } else {
            distance::norm_squared(kept) + zero_bias(metric, vector)
        };
        if bias.is_finite() { bias } else { 0.0 }
    }
}

impl Lean {
    /// Codes of `vectors` that tell near rows apart, in as few lines as that takes, the rows' forms,
    /// and a projection onto the leading `leading` directions alone; `None` where four lines do not
    /// do or there are few rows or dimensions.
    pub(crate) fn build(
        metric: Metric,
        vectors: &VectorData,
        leading: usize,
        threads: usize,
        cancel: &AtomicBool,
    ) -> Option<(Self, Forms, Projection)> {
        let dim = vectors.dim();
        if vectors.rows() < FEWEST || dim <= CACHE_LINE / 4 {
            return None;
        }
        let mean = mean_of(metric, vectors, 0..vectors.rows());
        let most = lvq4::capacity(LINES * CACHE_LINE).min(dim);
        let directions = if most < dim || dim > lvq4::capacity(CACHE_LINE) {
            principal_directions(&sample(metric, vectors, &mean), dim, most, threads)
        } else {
            rotation(dim)
        };
        let onto = |kept: usize| {
            let turned = product(&rotation(kept), &directions[..kept * dim], kept, dim);
            Projection { mean: mean.clone().into(), directions: coded(&turned, dim).into() }
        };
        for lines in 1..=lvq4::stride(most) / CACHE_LINE {
            let projection = onto(lvq4::capacity(lines * CACHE_LINE).min(dim));
            let stride = lines * CACHE_LINE;
            let (rows, forms) = encode_all(&projection, metric, vectors, stride, threads);
            if cancel.load(Relaxed) {
                return None;
            }
            let lean = Self { projection, rows: rows.into(), stride };
            if good_enough(&lean.space(&forms, metric), metric, vectors, CANDIDATES) {
                return Some((lean, forms, onto(leading.min(most))));
            }
        }
        None
    }

    /// The same codes in the order of `rows_at`.
    pub(crate) fn in_order(self, rows_at: &[u32]) -> Self {
        let rows = in_order(self.rows.as_slice(), self.stride, rows_at);
        Self { rows: rows.into(), ..self }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.rows.bytes() + self.projection.directions.bytes() + self.projection.mean.bytes()
    }

    /// The rows as those that a graph is built of.
    pub(crate) fn space<'a>(&'a self, forms: &'a Forms, metric: Metric) -> LeanSpace<'a> {
        let (codes, stride) = (self.rows.as_slice(), self.stride);
        LeanSpace { codes, forms, stride, factor: factor(metric) }
    }

    /// `vector`, widened, beside the codes.
    pub(crate) fn query<'a>(
        &'a self,
        metric: Metric,
        vector: &[f32],
        buffers: &'a mut Buffers,
    ) -> LeanTarget<'a> {
        let bias = self.projection.project(metric, vector, buffers);
        buffers.planes.resize(2 * self.stride, 0);
        let head = lvq4::encode_query(&buffers.kept, bias, &mut buffers.planes);
        let query = Query::new(&buffers.planes, head, factor(metric));
        LeanTarget { query, codes: self.rows.as_slice() }
    }
}

/// Directions of `dim` dimensions as 8-bit codes.
fn coded(directions: &[f32], dim: usize) -> Vec<u8> {
    let stride = sq8::stride(dim);
    let mut codes = vec![0; directions.len() / dim.max(1) * stride];
    for (direction, code) in directions.chunks_exact(dim).zip(codes.chunks_exact_mut(stride)) {
        sq8::encode(direction, code);
    }
    codes
}

/// Rows at even distances, widened and centred.
fn sample(metric: Metric, vectors: &VectorData, mean: &[f32]) -> Vec<f32> {
    let rows = vectors.rows();
    let sampled = rows.min(SAMPLED);
    let mut floats = Vec::new();
    let mut sample = Vec::with_capacity(sampled * mean.len());
    for n in 0..sampled {
        widen(metric, vectors.row(n * rows / sampled), &mut floats);
        sample.extend(floats.iter().zip(mean).map(|(x, mean)| {
            let x = x - mean;
            if x.is_finite() { x } else { 0.0 }
        }));
    }
    sample
}

fn encode_all(
    projection: &Projection,
    metric: Metric,
    vectors: &VectorData,
    stride: usize,
    threads: usize,
) -> (Vec<u8>, Forms) {
    let parts = in_parts(vectors.rows(), threads, |range| {
        let mut codes = vec![0; range.len() * stride];
        let mut planes = vec![0; range.len() * stride * 2];
        let mut heads = Vec::with_capacity(range.len());
        let (mut floats, mut buffers) = (Vec::new(), Buffers::default());
        let outputs = codes.chunks_exact_mut(stride).zip(planes.chunks_exact_mut(2 * stride));
        for (row, (code, planes)) in range.zip(outputs) {
            widen(metric, vectors.row(row), &mut floats);
            let bias = projection.project(metric, &floats, &mut buffers);
            lvq4::encode(&buffers.kept, bias, code);
            heads.push(lvq4::encode_query(&buffers.kept, bias, planes));
        }
        (codes, planes, heads)
    });
    let (mut codes, mut forms) = (Vec::new(), Forms { planes: Vec::new(), heads: Vec::new() });
    for (part, planes, heads) in parts {
        codes.extend(part);
        forms.planes.extend(planes);
        forms.heads.extend(heads);
    }
    (codes, forms)
}

/// Rows as codes, compared with rows as forms.
#[derive(Clone, Copy)]
pub(crate) struct LeanSpace<'a> {
    codes: &'a [u8],
    forms: &'a Forms,
    stride: usize,
    factor: f32,
}

impl Space for LeanSpace<'_> {
    type Target<'a>
        = LeanTarget<'a>
    where
        Self: 'a;

    #[inline]
    fn target(&self, row: u32) -> LeanTarget<'_> {
        let row = row as usize;
        let planes = &self.forms.planes[row * self.stride * 2..][..self.stride * 2];
        let query = Query::new(planes, self.forms.heads[row], self.factor);
        LeanTarget { query, codes: self.codes }
    }
}

/// A query beside the codes.
pub(crate) struct LeanTarget<'a> {
    query: Query<'a>,
    codes: &'a [u8],
}

impl Target for LeanTarget<'_> {
    #[inline]
    fn distances(&self, rows: &[u32], out: &mut [f32]) {
        self.query.gather(self.codes, rows, out);
    }

    #[inline]
    fn prefetch(&self, row: u32) {
        let stride = self.query.stride();
        prefetch_lines(&self.codes[row as usize * stride..][..stride], LINES);
    }
}
