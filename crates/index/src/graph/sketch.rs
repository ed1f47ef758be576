//! Sketches: sixteen bytes of each row, of which a scan reads billions of rows a second.
//!
//! A filter that passes a tenth of the rows, or only rows far from the query, leaves a walk few links
//! to follow, and comparing every passing row by its code reads more than it needs. A sketch is the
//! row's product code of 4 bits for each four of its leading directions ([`fastscan`]): scanning all
//! rows takes as long as a few dozen steps of a walk, whatever the filter passes. What has the
//! least sums is then compared by code, and the best of that exactly (`search`).
//!
//! Rows lie in the order of their numbers, so that the words of a filter are those of the blocks.
//! Euclidean distances (COSINE: of vectors of length 1) need the length of what the leading directions
//! leave out, too: one more part.
//!
//! Not here: which rows have the least sums (`collect`), when sketches are worth it (`search`).

use std::sync::atomic::AtomicBool;

use milvus_kernel::fastscan::{self, ENTRIES, quantise_tables};
use milvus_kernel::{Bitset, distance};

use crate::graph::collect::Collector;
use crate::graph::lean::{Buffers, Projection};
use crate::ivf::kmeans::{in_parts, train_floats, widen};
use crate::score::Metric;
use crate::section::Section;
use crate::vectors::VectorData;

/// The most leading directions.
pub(super) const DIRECTIONS: usize = 128;
/// Directions of a part.
const WIDTH: usize = 4;
/// Fewer rows than this are compared by code as fast.
const FEWEST: usize = 1 << 12;
/// Rows that typical parts are learned from.
const SAMPLED: usize = 1 << 14;
/// The sketches of all rows.
pub(crate) struct Sketches {
    pub(crate) projection: Projection,
    /// What codes stand for: for each part `[WIDTH, ENTRIES]` floats, parts of directions first, then,
    /// where there is one, `[ENTRIES]` lengths of what directions leave out.
    pub(crate) book: Section<f32>,
    /// See [`fastscan`].
    pub(crate) blocks: Section<u8>,
}

/// Bytes of a row while sketches are made.
pub(super) fn build_bytes() -> u64 {
    (DIRECTIONS / WIDTH).div_ceil(2) as u64 + 1
}

/// Directions, and parts, of vectors of `dim` dimensions.
pub(crate) fn shape(metric: Metric, dim: usize) -> (usize, usize) {
    let kept = dim.min(DIRECTIONS);
    let rest = usize::from(metric != Metric::Ip && kept < dim);
    (kept, kept.div_ceil(WIDTH) + rest)
}

/// Floats of the book of vectors of `dim` dimensions.
pub(crate) fn book_floats(metric: Metric, dim: usize) -> usize {
    let (kept, parts) = shape(metric, dim);
    let directed = kept.div_ceil(WIDTH);
    directed * WIDTH * ENTRIES + (parts - directed) * ENTRIES
}

/// Bytes of the blocks of so many rows.
pub(crate) fn blocks_bytes(metric: Metric, dim: usize, rows: usize) -> usize {
    rows.div_ceil(fastscan::BLOCK).saturating_mul(fastscan::block_bytes(shape(metric, dim).1))
}

impl Sketches {
    /// Sketches of `vectors` by `projection`; `None` of few rows.
    pub(crate) fn build(
        metric: Metric,
        vectors: &VectorData,
        projection: Projection,
        threads: usize,
        cancel: &AtomicBool,
    ) -> Option<Self> {
        if vectors.rows() < FEWEST {
            return None;
        }
        let book = learn(metric, vectors, &projection, threads, cancel);
        let (_, parts) = shape(metric, vectors.dim());
        let bytes = fastscan::block_bytes(parts);
        let blocks = vectors.rows().div_ceil(fastscan::BLOCK);
        let encoded = in_parts(blocks, threads, |range| {
            let mut encoded = vec![0; range.len() * bytes];
            let mut codes = vec![0; parts];
            let mut row = Parts::default();
            let first = range.start * fastscan::BLOCK;
            for at in first..vectors.rows().min(range.end * fastscan::BLOCK) {
                row.project(metric, vectors, at, &projection);
                row.encode(&book, &mut codes);
                fastscan::set(&mut encoded, at - first, &codes);
            }
            encoded
        });
        Some(Self { projection, book: book.into(), blocks: encoded.concat().into() })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.projection.directions.bytes()
            + self.projection.mean.bytes()
            + self.book.bytes()
            + self.blocks.bytes()
    }

    /// The live rows with the sketches nearest to `vector`, widened, into `collector`; about the best
    /// `wanted`.
    pub(crate) fn scan(
        &self,
        metric: Metric,
        vector: &[f32],
        (live, rows): (&Bitset, usize),
        wanted: usize,
        collector: &mut Collector,
        buffers: &mut Buffers,
    ) {
        self.projection.project(metric, vector, buffers);
        let (_, parts) = shape(metric, vector.len());
        let floats = &mut collector.floats;
        self.tables(metric, &buffers.kept, floats);
        collector.tables.resize(fastscan::table_bytes(parts), 0);
        quantise_tables(floats, ENTRIES, &mut collector.tables);
        collector.run(self.blocks.as_slice(), (live, rows), wanted);
    }

    /// What each code adds to the distance of `kept`, into `tables`, `[parts, ENTRIES]`.
    fn tables(&self, metric: Metric, kept: &[f32], tables: &mut Vec<f32>) {
        let book = self.book.as_slice();
        let directed = kept.len().div_ceil(WIDTH);
        tables.clear();
        let (typical, lengths) = book.split_at((directed * WIDTH * ENTRIES).min(book.len()));
        let typical = typical.as_chunks::<ENTRIES>().0.chunks_exact(WIDTH);
        for (part, typical) in kept.chunks(WIDTH).zip(typical) {
            let mut sums = [0.0f32; ENTRIES];
            for (&x, typical) in part.iter().zip(typical) {
                if metric != Metric::Ip {
                    sums.iter_mut().zip(typical).for_each(|(sum, y)| *sum += (x - y) * (x - y));
                } else {
                    sums.iter_mut().zip(typical).for_each(|(sum, y)| *sum -= x * y);
                }
            }
            tables.extend(sums);
        }
        tables.extend(lengths);
    }
}

/// A row in parts: its leading directions, and the length of the rest.
#[derive(Default)]
struct Parts {
    floats: Vec<f32>,
    buffers: Buffers,
    rest: f32,
}

impl Parts {
    fn project(
        &mut self,
        metric: Metric,
        vectors: &VectorData,
        row: usize,
        projection: &Projection,
    ) {
        widen(metric, vectors.row(row), &mut self.floats);
        projection.project(metric, &self.floats, &mut self.buffers);
        let mean = projection.mean.as_slice();
        let whole = distance::l2(&self.floats, mean);
        self.rest = (whole - distance::norm_squared(&self.buffers.kept)).max(0.0);
        self.buffers.kept.iter_mut().for_each(|x| *x = if x.is_finite() { *x } else { 0.0 });
    }

    /// Names the nearest typical parts, into `codes`.
    fn encode(&self, book: &[f32], codes: &mut [u8]) {
        let kept = &self.buffers.kept;
        let directed = kept.len().div_ceil(WIDTH);
        let (typical, lengths) = book.split_at(directed * WIDTH * ENTRIES);
        let typical = typical.as_chunks::<ENTRIES>().0.chunks_exact(WIDTH);
        for ((part, typical), code) in kept.chunks(WIDTH).zip(typical).zip(codes.iter_mut()) {
            let mut sums = [0.0f32; ENTRIES];
            for (&x, typical) in part.iter().zip(typical) {
                sums.iter_mut().zip(typical).for_each(|(sum, y)| *sum += (x - y) * (x - y));
            }
            *code = least(&sums);
        }
        if let ([.., code], [lengths]) = (codes, lengths.as_chunks::<ENTRIES>().0) {
            *code = least(&lengths.map(|length| (length - self.rest).abs()));
        }
    }
}

/// Which entry is the least.
fn least(entries: &[f32; ENTRIES]) -> u8 {
    let (mut at, mut least) = (0, entries[0]);
    for (n, &entry) in (0u8..).zip(entries) {
        if entry < least {
            (at, least) = (n, entry);
        }
    }
    at
}

/// The book, learned from a sample of the rows.
fn learn(
    metric: Metric,
    vectors: &VectorData,
    projection: &Projection,
    threads: usize,
    cancel: &AtomicBool,
) -> Vec<f32> {
    let (rows, dim) = (vectors.rows(), vectors.dim());
    let (kept, parts) = shape(metric, dim);
    let sampled = rows.min(SAMPLED);
    let mut row = Parts::default();
    let (mut sample, mut rests) = (Vec::with_capacity(sampled * kept), Vec::new());
    for n in 0..sampled {
        row.project(metric, vectors, n * rows / sampled, projection);
        sample.extend_from_slice(&row.buffers.kept);
        rests.push(row.rest);
    }
    let mut book = Vec::with_capacity(book_floats(metric, dim));
    for first in (0..kept).step_by(WIDTH) {
        let width = WIDTH.min(kept - first);
        let part: Vec<f32> =
            sample.chunks_exact(kept).flat_map(|row| &row[first..first + width]).copied().collect();
        let typical = train_floats(&part, width, ENTRIES, threads, cancel);
        for i in 0..WIDTH {
            let of = |entry: usize| if i < width { typical[entry * width + i] } else { 0.0 };
            book.extend((0..ENTRIES).map(of));
        }
    }
    if parts > kept.div_ceil(WIDTH) {
        // As many rows to each length.
        rests.sort_unstable_by(f32::total_cmp);
        book.extend((0..ENTRIES).map(|n| rests[(2 * n + 1) * rests.len() / (2 * ENTRIES)]));
    }
    book
}
