//! Lists whose codes lie in blocks for register scans, each list beginning a block of its own; and
//! product codes in such blocks.

use std::ops::Range;
use std::sync::atomic::AtomicBool;

use milvus_kernel::fastscan::{self, Scale, quantise_tables, wide};
use milvus_kernel::{Scored, TopK};

use crate::product::{Product, ProductParams};
use crate::score::Metric;
use crate::section::Section;
use crate::vectors::VectorData;

/// The rows of lists, and the blocks that their codes lie in.
pub(super) struct Lists<'a> {
    pub(super) rows: &'a [u32],
    ends: &'a [u32],
    block: usize,
}

impl<'a> Lists<'a> {
    /// `rows` in lists that end at `ends`, in blocks of `block` rows.
    pub(super) fn new(rows: &'a [u32], ends: &'a [u32], block: usize) -> Self {
        Self { rows, ends, block }
    }

    /// Where the rows of `list` are.
    pub(super) fn range(&self, list: usize) -> Range<usize> {
        let start = list.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        start..self.ends[list] as usize
    }

    /// The first block of `list`: each list before it may have wasted less than one.
    ///
    /// Blocks are counted as if every list took one block more than its rows fill, so that this needs
    /// no table: a list begins behind `start / block + list` blocks.
    pub(super) fn first_block(&self, list: usize) -> usize {
        self.range(list).start / self.block + list
    }

    /// Blocks in all.
    pub(super) fn blocks(&self) -> usize {
        self.rows.len() / self.block + self.ends.len()
    }

    /// `codes` `[rows, parts]`, in the order of the lists, in blocks of `bytes`, each row put there by
    /// `set`.
    pub(super) fn pack(
        &self,
        codes: &[u8],
        parts: usize,
        bytes: usize,
        set: impl Fn(&mut [u8], usize, &[u8]),
    ) -> Vec<u8> {
        let mut blocks = vec![0; self.blocks() * bytes];
        for list in 0..self.ends.len() {
            let start = self.first_block(list) * bytes;
            for (n, place) in self.range(list).enumerate() {
                set(&mut blocks[start..], n, &codes[place * parts..][..parts]);
            }
        }
        blocks
    }
}

/// Offers `rows` at `distances` to `top`.
#[inline]
pub(super) fn push_block(
    rows: &[u32],
    distances: &[f32],
    is_live: impl Fn(u32) -> bool,
    top: &mut TopK,
) {
    let mut bound = if top.is_full() { top.bound().distance() } else { f32::INFINITY };
    for (&row, &distance) in rows.iter().zip(distances) {
        // What is no number must not vanish while there is room.
        if (distance <= bound || distance.is_nan()) && is_live(row) {
            top.push(Scored::new(distance, row));
            if top.is_full() {
                bound = top.bound().distance();
            }
        }
    }
}

/// Product codes in blocks; the parts of all stages side by side.
pub(super) struct ProductLists {
    pub(super) m: usize,
    pub(super) stages: usize,
    /// Bits of a code: 4 or 8.
    pub(super) bits: usize,
    /// `[stages, m, names, dim / m]`.
    pub(super) book: Section<f32>,
    /// The same as `[stages, m, dim / m, names]`, which tables are made from.
    turned: Vec<f32>,
    pub(super) blocks: Section<u8>,
    /// The squared length of what each row's code stands for, in the order of the lists. Empty of one
    /// stage, whose parts have squared distances of their own.
    pub(super) norms: Section<f32>,
}

/// The most parts of all stages: each adds up to 255 to sums of 16 bits.
pub(super) const MOST_PARTS: usize = (1 << 16) - 2;

/// A query beside them.
pub(super) struct ProductListsQuery<'a> {
    codes: &'a ProductLists,
    tables: Vec<u8>,
    scale: Scale,
}

impl ProductLists {
    /// Codes of `bits` bits of vectors of `dim` dimensions in `m` parts and `stages` stages, named
    /// after `book`; blocks and norms are still to come.
    pub(super) fn new(
        (m, stages): (usize, usize),
        bits: usize,
        book: Section<f32>,
        dim: usize,
    ) -> Self {
        let (m, width, stages) = (m.max(1), (dim / m.max(1)).max(1), stages.max(1));
        let names = book.as_slice().len() / (m * stages * width);
        let mut turned = vec![0.0; m * stages * width * names];
        let parts = book.as_slice().chunks_exact((names * width).max(1));
        for (part, out) in parts.zip(turned.chunks_exact_mut((names * width).max(1))) {
            for (name, typical) in part.chunks_exact(width).enumerate() {
                for (i, &x) in typical.iter().enumerate() {
                    out[i * names + name] = x;
                }
            }
        }
        let (blocks, norms) = (Vec::new().into(), Vec::new().into());
        Self { m, stages, bits, book, turned, blocks, norms }
    }

    /// Encodes `rows`, which are in lists that end at `ends`; those behind the last list as well.
    pub(super) fn build(
        metric: Metric,
        vectors: &VectorData,
        (rows, ends): (&[u32], &[u32]),
        params: &ProductParams,
        threads: usize,
        cancel: &AtomicBool,
    ) -> Self {
        let bits = if params.nbits <= 4 { 4 } else { 8 };
        let stages = params.stages.clamp(1, (MOST_PARTS / params.m.max(1)).max(1));
        let params = ProductParams { stages, ..*params };
        let listed = &rows[..ends.last().map_or(0, |&end| end as usize)];
        let lists = (rows, listed);
        let product = Product::build_from(metric, vectors, lists, &params, threads, cancel);
        let (book, codes, norms) = product.into_parts();
        let mut built = Self::new((params.m, stages), bits, book, vectors.dim());
        let lists = Lists::new(rows, ends, built.block());
        let codes = codes.as_slice();
        built.blocks = lists.pack(codes, built.parts(), built.block_bytes(), built.setter()).into();
        if stages > 1 && metric != Metric::Ip {
            built.norms = norms;
        }
        built
    }

    /// Parts of all stages.
    fn parts(&self) -> usize {
        self.m * self.stages
    }

    /// Rows of a block.
    pub(super) fn block(&self) -> usize {
        if self.bits == 4 { fastscan::BLOCK } else { wide::BLOCK }
    }

    /// Bytes of a block.
    pub(super) fn block_bytes(&self) -> usize {
        let parts = self.parts();
        if self.bits == 4 { fastscan::block_bytes(parts) } else { wide::block_bytes(parts) }
    }

    fn setter(&self) -> fn(&mut [u8], usize, &[u8]) {
        if self.bits == 4 { fastscan::set } else { wide::set }
    }

    fn entries(&self) -> usize {
        if self.bits == 4 { fastscan::ENTRIES } else { wide::ENTRIES }
    }

    /// `floats`, widened as the rows were, beside the codes.
    pub(super) fn query(&self, metric: Metric, floats: &[f32]) -> ProductListsQuery<'_> {
        let (entries, count) = (self.entries(), self.parts());
        let width = (floats.len() / self.m).max(1);
        let mut sums = vec![0.0; count * entries];
        let parts = self.turned.chunks_exact((self.turned.len() / count).max(1));
        // What stages stand for is added up, so that products are, and squared distances are not.
        let product = match (metric, self.stages) {
            (Metric::Ip, _) => Some(1.0),
            (_, 1) => None,
            (_, _) => Some(2.0),
        };
        for ((part, typical), out) in
            floats.chunks_exact(width).cycle().zip(parts).zip(sums.chunks_exact_mut(entries))
        {
            let names = typical.len() / width;
            let (out, unused) = out.split_at_mut(names.min(entries));
            for (&x, typical) in part.iter().zip(typical.chunks_exact(names.max(1))) {
                let each = out.iter_mut().zip(typical);
                if let Some(factor) = product {
                    each.for_each(|(sum, y)| *sum -= factor * x * y);
                } else {
                    each.for_each(|(sum, y)| *sum += (x - y) * (x - y));
                }
            }
            // Entries that no code names must not widen the range of those that are.
            unused.fill(out.first().copied().unwrap_or_default());
        }
        let bytes = if self.bits == 4 { fastscan::table_bytes(count) } else { sums.len() };
        let mut tables = vec![0; bytes];
        let scale = quantise_tables(&sums, entries, &mut tables);
        ProductListsQuery { codes: self, tables, scale }
    }

    pub(super) fn bytes(&self) -> u64 {
        let turned = size_of_val(self.turned.as_slice()) as u64;
        self.book.bytes() + turned + self.blocks.bytes() + self.norms.bytes()
    }
}

impl ProductListsQuery<'_> {
    /// Offers the rows of `list` to `top` by the distance of what their codes stand for, and `bias`.
    pub(super) fn scan(
        &self,
        lists: &Lists<'_>,
        list: usize,
        bias: f32,
        is_live: impl Fn(u32) -> bool,
        top: &mut TopK,
    ) {
        let rows = &lists.rows[lists.range(list)];
        let (block, bytes) = (self.codes.block(), self.codes.block_bytes());
        let blocks = self.codes.blocks.as_slice().chunks_exact(bytes);
        let norms = self.codes.norms.as_slice().get(lists.range(list)).unwrap_or_default();
        let mut norms = norms.chunks(block);
        let mut sums = [0u16; wide::BLOCK];
        for (codes, rows) in blocks.skip(lists.first_block(list)).zip(rows.chunks(block)) {
            if self.codes.bits == 4 {
                fastscan::scan(&self.tables, codes, &mut sums[..block]);
            } else {
                wide::scan(&self.tables, codes, &mut sums[..block]);
            }
            if let Some(norms) = norms.next() {
                let mut distances = [0.0; wide::BLOCK];
                for ((distance, norm), &sum) in distances.iter_mut().zip(norms).zip(&sums) {
                    *distance = bias + norm + self.scale.value(sum);
                }
                push_block(rows, &distances, &is_live, top);
            } else {
                self.offer(rows, &sums, bias, &is_live, top);
            }
        }
    }

    /// Offers `rows` by their `sums`, of which most are too large.
    #[inline]
    fn offer(
        &self,
        rows: &[u32],
        sums: &[u16],
        bias: f32,
        is_live: impl Fn(u32) -> bool,
        top: &mut TopK,
    ) {
        let bound = |top: &TopK| {
            if top.is_full() {
                self.scale.bound(top.bound().distance() - bias)
            } else {
                Some(u16::MAX)
            }
        };
        let Some(mut most) = bound(top) else {
            return;
        };
        for (&row, &sum) in rows.iter().zip(sums) {
            if sum <= most
                && is_live(row)
                && top.push(Scored::new(self.scale.value(sum) + bias, row))
            {
                most = bound(top).unwrap_or(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_has_blocks_of_its_own() {
        let ends = [0, 5, 5, 37, 64, 65];
        let rows: Vec<u32> = (0..65).collect();
        let lists = Lists::new(&rows, &ends, 32);
        let mut next = 0;
        for list in 0..ends.len() {
            assert!(lists.first_block(list) >= next, "list {list}");
            next = lists.first_block(list) + lists.range(list).len().div_ceil(32);
        }
        assert!(next <= lists.blocks());
    }
}
