//! A query ready to be compared with coded rows.

use crate::prefetch::{prefetch, prefetch_lines};
use crate::round;
use crate::simd::{Kernels, kernels};

use super::layout::{Layout, Width, bias, scale};
use super::{CHUNK, ShortPair, ShortQuad};

/// Query elements are within ± this.
const REACH: f32 = 127.0;
/// How far ahead of the rows being computed rows are prefetched.
const AHEAD: usize = 12;

/// A query of eight bits for each dimension.
#[derive(Clone, Debug)]
pub struct Query {
    layout: Layout,
    /// Elements in the order of a row's codes.
    elements: Vec<i8>,
    /// The query's scale times the factor.
    scale: f32,
    bias: f32,
    /// What the offset of the row's codes takes from the integer product.
    offset: i32,
}

impl Query {
    /// `centred`, to be compared with rows of `layout`. A query that is not finite is at distance
    /// `bias` plus a row's own from every row.
    pub fn new(layout: Layout, centred: &[f32], bias: f32, factor: f32) -> Self {
        assert_eq!(centred.len(), layout.dim, "dimensions disagree");
        let (least, most) = round::reach(centred);
        let scale = if round::all_finite(centred) { most.max(-least) / REACH } else { 0.0 };
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        let element = |x: f32| {
            let x = round::within(x * inverse, -REACH, REACH) + REACH;
            round::byte(x).wrapping_sub(127).cast_signed()
        };
        let elements: Vec<i8> = centred.iter().map(|&x| element(x)).collect();
        Self::of_elements(layout, &elements, scale * factor, bias)
    }

    /// Coded row `row`, to be compared with others.
    pub fn of_row(layout: Layout, row: &[u8], factor: f32) -> Self {
        let mut levels = vec![0; layout.dim];
        layout.levels(row, &mut levels);
        Self::of_elements(layout, &levels, scale(row) * factor, bias(row))
    }

    fn of_elements(layout: Layout, elements: &[i8], scale: f32, bias: f32) -> Self {
        let dims = layout.width.dims();
        let mut ordered = vec![0; layout.dim.div_ceil(CHUNK * dims) * CHUNK * dims];
        layout.each_place(|dim, place| {
            ordered[(place.chunk * dims + place.stream) * CHUNK + place.byte] = elements[dim];
        });
        let sum: i32 = elements.iter().map(|&x| i32::from(x)).sum();
        let offset = sum * ((1 << layout.width.bits()) - 1);
        Self { layout, elements: ordered, scale, bias, offset }
    }

    /// The layout of the rows it may be compared with.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The vector that it stands for, times its factor, into `out`.
    pub fn decode(&self, out: &mut [f32]) {
        assert_eq!(out.len(), self.layout.dim, "dimensions disagree");
        let dims = self.layout.width.dims();
        self.layout.each_place(|dim, place| {
            let at = (place.chunk * dims + place.stream) * CHUNK + place.byte;
            out[dim] = self.scale * f32::from(self.elements[at]);
        });
    }

    #[inline(always)]
    fn value(&self, row: &[u8], product: i32) -> f32 {
        let dot = product.wrapping_mul(2).wrapping_sub(self.offset);
        self.bias + bias(row) + self.scale * scale(row) * dot as f32
    }

    #[inline(always)]
    fn pair(&self, table: &Kernels) -> ShortPair {
        match self.layout.width {
            Width::Four => table.short.four,
            Width::Six => table.short.six,
        }
    }

    #[inline(always)]
    fn quad(&self, table: &Kernels) -> ShortQuad {
        match self.layout.width {
            Width::Four => table.short.four_x4,
            Width::Six => table.short.six_x4,
        }
    }

    /// The distance of `row`.
    pub fn distance(&self, row: &[u8]) -> f32 {
        self.distance_with(kernels(), row)
    }

    #[inline(always)]
    #[expect(unsafe_code, reason = "calls through the table of kernels")]
    pub(super) fn distance_with(&self, table: &Kernels, row: &[u8]) -> f32 {
        assert_eq!(row.len(), self.layout.stride(), "row and dimension disagree");
        // SAFETY: the table was chosen for this CPU; query and row are of one layout.
        let product = unsafe { self.pair(table)(&self.elements, row, self.layout.dim) };
        self.value(row, product)
    }

    /// The distances of the rows of `codes` named by `rows`, into `out`.
    pub fn gather(&self, codes: &[u8], rows: &[u32], out: &mut [f32]) {
        self.gather_with(kernels(), codes, rows, out);
    }

    #[inline(always)]
    #[expect(unsafe_code, reason = "calls through the table of kernels")]
    pub(super) fn gather_with(&self, table: &Kernels, codes: &[u8], rows: &[u32], out: &mut [f32]) {
        assert_eq!(rows.len(), out.len(), "rows and output disagree");
        let (stride, quad) = (self.layout.stride(), self.quad(table));
        let row = |id: u32| &codes[id as usize * stride..][..stride];
        let (quads, rest) = rows.as_chunks::<4>();
        let (out_quads, out_rest) = out.as_chunks_mut::<4>();
        for &id in rows.iter().take(AHEAD) {
            prefetch_row(row(id));
        }
        for (n, (ids, scores)) in quads.iter().zip(out_quads).enumerate() {
            for &id in rows.iter().skip(n * 4 + AHEAD).take(4) {
                prefetch_row(row(id));
            }
            let near = ids.map(row);
            // SAFETY: the table was chosen for this CPU; query and rows are of one layout.
            let products = unsafe { quad(&self.elements, near, self.layout.dim) };
            for ((score, row), product) in scores.iter_mut().zip(near).zip(products) {
                *score = self.value(row, product);
            }
        }
        for (&id, score) in rest.iter().zip(out_rest) {
            *score = self.distance_with(table, row(id));
        }
    }

    /// The distances of the consecutive rows of `block`, into `out`.
    pub fn block(&self, block: &[u8], out: &mut [f32]) {
        self.block_with(kernels(), block, out);
    }

    #[inline(always)]
    #[expect(unsafe_code, reason = "calls through the table of kernels")]
    pub(super) fn block_with(&self, table: &Kernels, block: &[u8], out: &mut [f32]) {
        let (stride, quad) = (self.layout.stride(), self.quad(table));
        assert_eq!(block.len(), stride * out.len(), "block and output disagree");
        let (quads, rest) = out.as_chunks_mut::<4>();
        let (body, tail) = block.split_at(quads.len() * 4 * stride);
        for (scores, rows) in quads.iter_mut().zip(body.chunks_exact(4 * stride)) {
            let (ab, cd) = rows.split_at(2 * stride);
            let ((a, b), (c, d)) = (ab.split_at(stride), cd.split_at(stride));
            let rows = [a, b, c, d];
            // SAFETY: the table was chosen for this CPU; query and rows are of one layout.
            let products = unsafe { quad(&self.elements, rows, self.layout.dim) };
            for ((score, row), product) in scores.iter_mut().zip(rows).zip(products) {
                *score = self.value(row, product);
            }
        }
        for (score, row) in rest.iter_mut().zip(tail.chunks_exact(stride)) {
            *score = self.distance_with(table, row);
        }
    }
}

/// Asks for every cache line of a row, which need not begin at one.
#[inline(always)]
fn prefetch_row(row: &[u8]) {
    prefetch(row);
    prefetch_lines(&row[row.len() - 1..], 1);
}
