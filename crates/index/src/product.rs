//! Product codes of whole vectors, in one or more stages: each stage names the nearest typical part
//! of what the stages before have left over.
//!
//! A vector is cut into `m` parts; each stage spends a byte on each. Names of more than 8 bits are
//! those of further stages: 12 bits take as many bytes as 16, and tell as much. The inner product of a query
//! with what a code stands for is a sum of lookups in tables that the query makes; the squared
//! length of that is added, so that Euclidean distances follow too: it is in the tables where there is
//! one stage, else kept beside the code. Vectors are normalised first where the metric is cosine, and
//! end in zeros where parts do not divide their dimensions.
//!
//! In a container: sections `codebook`, `codes` and `codenorm`, laid out as the fields of
//! [`Product`]; parameters `parts`, `stages` and `names`.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use milvus_kernel::{distance, prefetch};
use milvus_types::{DataType, KeyValue};

use crate::container::{Container, Tag};
use crate::error::OpenError;
use crate::graph::space::{Target, zero_bias};
use crate::ivf::kmeans::{in_parts, train_floats, widen};
use crate::score::Metric;
use crate::section::Section;
use crate::vectors::VectorData;

const BOOK: Tag = *b"codebook";
const CODES: Tag = *b"codes   ";
const NORMS: Tag = *b"codenorm";

/// Typical parts that a byte can name.
const NAMES: usize = 256;
/// Rows that typical parts are learned from.
const SAMPLED: usize = 1 << 14;
/// Rows between two looks at whether to stop.
const BATCH: usize = 256;

/// How product codes are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProductParams {
    /// Parts of a vector.
    pub m: usize,
    /// Bits that name a typical part, 1 to 8.
    pub nbits: usize,
    /// Stages.
    pub stages: usize,
}

impl ProductParams {
    /// Codes of `m` parts and `stages` stages of `nbits` bits. More than 8 bits, up to Milvus's 24, are
    /// stages of 8 bits each: as many centroids as 24 bits name could not be learned.
    pub fn new(m: usize, nbits: usize, stages: usize) -> Self {
        Self { m, nbits: nbits.min(8), stages: stages * nbits.div_ceil(8).max(1) }
    }
}

/// The product codes of all rows.
pub(crate) struct Product {
    m: usize,
    stages: usize,
    /// `[stages, m, names, width]` floats, `width` the dimensions of a part.
    book: Section<f32>,
    /// `[rows, stages, m]` bytes.
    rows: Section<u8>,
    /// The squared length of what each row's code stands for. Empty where tables have it: of one stage,
    /// unless rows of length 0 are farther away than they look (see [`zero_bias`]).
    norms: Section<f32>,
    /// The squared length of each of `book`'s parts.
    lengths: Vec<f32>,
}

/// Dimensions of `m` parts of vectors of `dim`, of which the last may be partly empty.
fn padded(dim: usize, m: usize) -> usize {
    dim.div_ceil(m) * m
}

/// A query beside product codes.
pub(crate) struct ProductQuery<'a> {
    table: Vec<f32>,
    width: usize,
    rows: &'a [u8],
    /// Empty where the metric has no use for them.
    norms: &'a [f32],
}

impl Product {
    /// Encodes the rows of `order`, in that order.
    pub(crate) fn build(
        metric: Metric,
        vectors: &VectorData,
        order: &[u32],
        params: &ProductParams,
        threads: usize,
        cancel: &AtomicBool,
    ) -> Self {
        Self::build_from(metric, vectors, (order, order), params, threads, cancel)
    }

    /// As [`Self::build`]; typical parts are learned from rows of `usual`.
    pub(crate) fn build_from(
        metric: Metric,
        vectors: &VectorData,
        (order, usual): (&[u32], &[u32]),
        params: &ProductParams,
        threads: usize,
        cancel: &AtomicBool,
    ) -> Self {
        let (m, stages) = (params.m.max(1), params.stages.max(1));
        let names = NAMES.min(1 << params.nbits.min(8)).min(vectors.rows().max(1));
        let book = learn(metric, (vectors, usual), (m, stages, names), threads, cancel);
        let part = |range: std::ops::Range<usize>| {
            let mut codes = Vec::with_capacity(range.len() * m * stages);
            let mut norms = Vec::with_capacity(range.len());
            let mut rest = Vec::new();
            for (n, &row) in order[range.clone()].iter().enumerate() {
                if n % BATCH == 0 && cancel.load(Relaxed) {
                    break;
                }
                widen(metric, vectors.row(row as usize), &mut rest);
                rest.resize(padded(rest.len(), m), 0.0);
                let whole = rest.clone();
                for stage in book.chunks_exact((book.len() / stages).max(1)) {
                    take_away(stage, m, &mut rest, &mut codes);
                }
                let kept = whole.iter().zip(&rest).map(|(x, rest)| (x - rest) * (x - rest));
                let norm = kept.sum::<f32>() + zero_bias(metric, &whole);
                norms.push(if norm.is_finite() { norm } else { 0.0 });
            }
            // Of a build that was told to stop, codes are as many and say nothing.
            codes.resize(range.len() * m * stages, 0);
            norms.resize(range.len(), 0.0);
            (codes, norms)
        };
        let (codes, mut norms): (Vec<_>, Vec<_>) =
            in_parts(order.len(), threads, part).into_iter().unzip();
        let is_zero = |row: &u32| zero_bias(metric, &floats_of(metric, vectors, *row)) > 0.0;
        let zeros = metric == Metric::Cosine && order.iter().any(is_zero);
        if metric == Metric::Ip || (stages == 1 && !zeros) {
            norms.clear();
        }
        Self {
            m,
            stages,
            lengths: lengths(&book, padded(vectors.dim(), m) / m),
            book: book.into(),
            rows: codes.concat().into(),
            norms: norms.concat().into(),
        }
    }

    /// What parts are named after, `[stages, m, names, dim / m]`, the codes, `[rows, stages, m]`, and
    /// the squared length of what each stands for.
    pub(crate) fn into_parts(self) -> (Section<f32>, Section<u8>, Section<f32>) {
        (self.book, self.rows, self.norms)
    }

    /// `floats`, widened as the rows were, beside the codes.
    pub(crate) fn query(&self, metric: Metric, floats: &[f32]) -> ProductQuery<'_> {
        let book = self.book.as_slice();
        let mut floats = floats.to_vec();
        floats.resize(padded(floats.len(), self.m), 0.0);
        let (width, part) = (self.m * self.stages, (floats.len() / self.m).max(1));
        let norms = if metric == Metric::Ip { &[] } else { self.norms.as_slice() };
        let with_lengths = metric != Metric::Ip && norms.is_empty();
        let factor = if metric == Metric::Ip { -1.0 } else { -2.0 };
        let mut table = vec![0.0; width * NAMES];
        let typical = book.chunks_exact((book.len() / width.max(1)).max(1));
        let parts = floats.chunks_exact(part).cycle();
        let lengths = self.lengths.chunks_exact((self.lengths.len() / width.max(1)).max(1));
        let parts = typical.zip(parts).zip(lengths);
        for (((typical, part), lengths), out) in parts.zip(table.chunks_exact_mut(NAMES)) {
            let out = &mut out[..(typical.len() / part.len()).min(NAMES)];
            distance::ip_rows(part, typical, out);
            out.iter_mut().for_each(|product| *product *= factor);
            if with_lengths {
                out.iter_mut().zip(lengths).for_each(|(entry, length)| *entry += length);
            }
        }
        ProductQuery { table, width, rows: self.rows.as_slice(), norms }
    }

    /// Bits of a row's code.
    pub(crate) fn bits(&self) -> usize {
        self.m * self.stages * 8
    }

    /// What a container keeps of it: parameters, and its sections.
    pub(crate) fn parts(&self, dim: usize) -> (Vec<KeyValue>, [(Tag, &[u8]); 3]) {
        let names = self.book.as_slice().len() / (padded(dim, self.m) * self.stages).max(1);
        let params = vec![
            KeyValue::new("parts", self.m.to_string()),
            KeyValue::new("stages", self.stages.to_string()),
            KeyValue::new("names", names.to_string()),
        ];
        let sections = [
            (BOOK, self.book.as_bytes()),
            (CODES, self.rows.as_bytes()),
            (NORMS, self.norms.as_bytes()),
        ];
        (params, sections)
    }

    /// Reads back what [`Self::parts`] says of codes of `vectors`.
    pub(crate) fn open(container: &Container, vectors: &VectorData) -> Result<Self, OpenError> {
        let number = |key| container.header.number(key);
        let (m, stages, names) = (number("parts")?, number("stages")?, number("names")?);
        let (dim, rows) = (vectors.dim(), vectors.rows());
        let numbers = vectors.data_type() != DataType::BinaryVector;
        let width = m.checked_mul(stages).filter(|width| *width > 0 && numbers);
        let width = width.filter(|_| m <= dim && (1..=NAMES).contains(&names));
        let book = stages.checked_mul(names).and_then(|n| n.checked_mul(padded(dim, m.max(1))));
        let codes = width.and_then(|width| width.checked_mul(rows));
        let (Some(book), Some(codes)) = (book, codes) else {
            return Err(OpenError::malformed(format!("{dim} dimensions in {m} parts")));
        };
        let has_norms = container.count::<f32>(NORMS) > 0;
        let book: Section<f32> = container.section(BOOK, book)?;
        Ok(Self {
            m,
            stages,
            lengths: lengths(book.as_slice(), padded(dim, m) / m),
            book,
            rows: container.section(CODES, codes)?,
            norms: container.section(NORMS, if has_norms { rows } else { 0 })?,
        })
    }

    pub(crate) fn bytes(&self) -> u64 {
        let lengths = size_of_val(self.lengths.as_slice()) as u64;
        self.book.bytes() + self.rows.bytes() + self.norms.bytes() + lengths
    }
}

impl Target for ProductQuery<'_> {
    #[inline]
    fn distances(&self, rows: &[u32], out: &mut [f32]) {
        for (&row, out) in rows.iter().zip(out) {
            let row = row as usize;
            let code = &self.rows[row * self.width..][..self.width];
            let parts = code.iter().zip(self.table.chunks_exact(NAMES));
            let sum: f32 = parts.map(|(&name, table)| table[usize::from(name)]).sum();
            *out = sum + self.norms.get(row).copied().unwrap_or_default();
        }
    }

    #[inline]
    fn prefetch(&self, row: u32) {
        prefetch(&self.rows[row as usize * self.width..][..self.width]);
    }
}

/// How many of `rows` rows typical parts are learned from.
pub(crate) fn sampled(rows: usize) -> usize {
    rows.min(SAMPLED)
}

/// The squared length of each part of `book`, of `width` dimensions.
fn lengths(book: &[f32], width: usize) -> Vec<f32> {
    book.chunks_exact(width.max(1)).map(distance::norm_squared).collect()
}

/// Row `row`, widened.
fn floats_of(metric: Metric, vectors: &VectorData, row: u32) -> Vec<f32> {
    let mut floats = Vec::with_capacity(vectors.dim());
    widen(metric, vectors.row(row as usize), &mut floats);
    floats
}

/// The typical parts of all stages, learned from a sample of the rows of `usual`.
fn learn(
    metric: Metric,
    (vectors, usual): (&VectorData, &[u32]),
    (m, stages, names): (usize, usize, usize),
    threads: usize,
    cancel: &AtomicBool,
) -> Vec<f32> {
    let dim = padded(vectors.dim(), m);
    // Rows in the order of the segment, however they are to lie.
    let mut usual = usual.to_vec();
    usual.sort_unstable();
    let (rows, sampled) = (usual.len(), sampled(usual.len()));
    let mut rest = Vec::with_capacity(sampled * dim);
    let mut floats = Vec::new();
    for n in 0..sampled {
        widen(metric, vectors.row(usual[n * rows / sampled] as usize), &mut floats);
        floats.resize(dim, 0.0);
        rest.extend_from_slice(&floats);
    }
    let width = (dim / m).max(1);
    let mut book = Vec::with_capacity(stages * names * dim);
    for _ in 0..stages {
        let mut stage = Vec::with_capacity(names * dim);
        for part in 0..m {
            let sample = rest.chunks_exact(dim).flat_map(|row| &row[part * width..][..width]);
            let sample: Vec<f32> = sample.copied().collect();
            stage.extend(train_floats(&sample, width, names, threads, cancel));
        }
        let mut codes = Vec::new();
        for row in rest.chunks_exact_mut(dim) {
            take_away(&stage, m, row, &mut codes);
        }
        book.extend(stage);
    }
    book
}

/// Names the nearest typical part of each part of `rest`, into `codes`, and subtracts it.
fn take_away(stage: &[f32], m: usize, rest: &mut [f32], codes: &mut Vec<u8>) {
    let width = (rest.len() / m).max(1);
    let typical = stage.chunks_exact((stage.len() / m).max(1));
    for (part, typical) in rest.chunks_exact_mut(width).zip(typical) {
        let mut distances = [0.0; NAMES];
        let distances = &mut distances[..(typical.len() / width).min(NAMES)];
        distance::l2_rows(part, typical, distances);
        let best = distances.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1));
        let name = best.map_or(0, |(name, _)| name);
        codes.push(u8::try_from(name).unwrap_or_default());
        part.iter_mut().zip(&typical[name * width..]).for_each(|(x, typical)| *x -= typical);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_stages_come_nearer_and_lookups_are_distances() {
        let (rows, dim) = (300, 16);
        let floats: Vec<f32> =
            (0..rows * dim).map(|i| ((i * 7919 % 2003) as f32) / 500.0 - 2.0).collect();
        let vectors = VectorData::floats(floats.clone(), dim).unwrap();
        let stop = AtomicBool::new(false);
        let ids: Vec<u32> = (0..300).collect();
        let query = &floats[..dim];
        let wrong = |stages, metric| {
            let params = ProductParams { m: 4, nbits: 4, stages };
            let product = Product::build(metric, &vectors, &ids, &params, 2, &stop);
            assert_eq!(product.rows.as_slice().len(), rows * 4 * stages);
            let mut got = vec![0.0; rows];
            product.query(metric, query).distances(&ids, &mut got);
            let own = if metric == Metric::Ip { 0.0 } else { distance::norm_squared(query) };
            let each = got.iter().zip(floats.chunks_exact(dim)).map(|(got, row)| {
                let want = if metric == Metric::Ip {
                    -distance::ip(query, row)
                } else {
                    distance::l2(query, row)
                };
                (got + own - want).abs()
            });
            each.sum::<f32>() / rows as f32
        };
        for metric in [Metric::L2, Metric::Ip] {
            let (one, three) = (wrong(1, metric), wrong(3, metric));
            assert!(three < one / 2.0, "{metric:?}: {one} {three}");
        }
    }
}
