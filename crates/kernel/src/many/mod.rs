//! Many queries against many rows: inner products and squared distances of all pairs at once.
//!
//! For k-means, assignment to lists and exact search of several queries. A row is brought into
//! registers once for a dozen queries, so that the arithmetic and not the memory is the limit.
//! Rows are interleaved into panels (`[dim][rows of a panel]`) that stay in the second-level cache
//! while every query passes over them; queries are interleaved likewise, a tile at a time.
//!
//! Bits: one accumulator for each pair runs over [`CHUNK`] dimensions in order, and the chunks' sums
//! are added in order. The bits of a result therefore do not depend on what else is in the call as
//! long as it has at least [`FEW`] queries; fewer take the path of [`crate::distance`] and have its
//! bits, as has every call where there is no SIMD. The two differ by rounding, at most `(CHUNK + dim / CHUNK) * 2^-23` of the sum of the
//! terms' magnitudes. Who needs a score that is the same however it
//! was found computes the winners' again with [`crate::distance`].
//!
//! The same over bfloat16, with a bound on its error: [`bfloat16`].

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
pub mod bfloat16;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;

use crate::distance;
use crate::simd::{Kernels, kernels};

/// Queries from which on rows are worth being interleaved.
pub const FEW: usize = 6;
/// Bytes of interleaved rows that the second-level cache keeps beside all else.
const BLOCK_BYTES: usize = 384 << 10;
/// Bytes of rows that few queries pass over before the next rows are read.
const FEW_BYTES: usize = 32 << 10;
/// Dimensions (pairs of them in bfloat16) that are summed in one go.
pub const CHUNK: usize = 256;
/// Lanes of an interleaved tile of queries: at least the tallest tile.
pub(crate) const LANES: usize = 16;

/// Interleaves the words of up to `width` rows of `row_bytes` bytes, `panel[word * width + row]`,
/// zeros for rows that are missing and bytes behind a row's end.
///
/// Needs `rows.len()` to be a multiple of `row_bytes`, at most `width` rows, `width` a multiple of
/// 8, and `panel.len() == row_bytes.div_ceil(4) * width`.
pub(crate) type Pack = unsafe fn(rows: &[u8], row_bytes: usize, width: usize, panel: &mut [u32]);

/// Computes a tile of `queries` interleaved queries, `[words][LANES]`, and one panel of rows,
/// `[words][width]`, into `out[query * stride + row]` for rows below `rows`; adds where `add` says so.
///
/// Needs `0 < queries <= height`, `0 < rows <= width`, and room in `out` for the last element.
pub(crate) type Tile = unsafe fn(Operands<'_>, out: &mut [f32]);

/// What a [`Tile`] reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operands<'a> {
    /// The interleaved queries, `[words][LANES]`.
    pub(crate) queries: &'a [u32],
    /// How many queries are real.
    pub(crate) count: usize,
    /// The interleaved rows, `[words][width]`.
    pub(crate) panel: &'a [u32],
    /// How many rows are real.
    pub(crate) rows: usize,
    /// From a query's results to the next one's.
    pub(crate) stride: usize,
    /// Whether sums are added to what is there.
    pub(crate) add: bool,
}

/// The functions of one instruction set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ManyKernels {
    /// Rows of a panel.
    pub(crate) width: usize,
    /// Most queries of a tile.
    pub(crate) height: usize,
    pub(crate) pack: Pack,
    pub(crate) ip: Tile,
    pub(crate) l2: Tile,
    /// Over pairs of bfloat16, where the CPU multiplies them.
    pub(crate) bf16_ip: Option<Tile>,
}

/// The inner products of `queries` `[q, dim]` and `rows` `[r, dim]` into `out` `[q, r]`.
///
/// All are row-major. Panics where lengths disagree. Allocates room for interleaved rows.
pub fn ip(queries: &[f32], rows: &[f32], dim: usize, out: &mut [f32]) {
    ip_with(kernels(), queries, rows, dim, out);
}

/// The squared Euclidean distances of `queries` `[q, dim]` and `rows` `[r, dim]` into `out` `[q, r]`.
///
/// Differences are squared, nothing cancels. All are row-major. Panics where lengths disagree.
/// Allocates room for interleaved rows.
pub fn l2(queries: &[f32], rows: &[f32], dim: usize, out: &mut [f32]) {
    l2_with(kernels(), queries, rows, dim, out);
}

/// Turns the inner products `out` `[q, r]` into squared distances, by `|q|² + |r|² - 2 <q, r>`, at
/// least 0. Near pairs lose digits: the error is relative to the norms, not to the distance.
pub fn l2_of_ip(query_norms: &[f32], row_norms: &[f32], out: &mut [f32]) {
    assert_eq!(out.len(), query_norms.len() * row_norms.len(), "norms and output disagree");
    for (&query, out) in query_norms.iter().zip(out.chunks_exact_mut(row_norms.len().max(1))) {
        for (out, &row) in out.iter_mut().zip(row_norms) {
            *out = (query + row - 2.0 * *out).max(0.0);
        }
    }
}

fn ip_with(table: &Kernels, queries: &[f32], rows: &[f32], dim: usize, out: &mut [f32]) {
    let shape = Shape::new(queries.len(), rows.len(), dim, out.len());
    match &table.many {
        Some(many) if shape.queries >= FEW => {
            blocked(many, many.ip, shape, bytes(queries), bytes(rows), out);
        }
        _ => few(queries, rows, dim, out, |query, rows, out| {
            distance::ip_rows_with(table, query, rows, out);
        }),
    }
}

fn l2_with(table: &Kernels, queries: &[f32], rows: &[f32], dim: usize, out: &mut [f32]) {
    let shape = Shape::new(queries.len(), rows.len(), dim, out.len());
    match &table.many {
        Some(many) if shape.queries >= FEW => {
            blocked(many, many.l2, shape, bytes(queries), bytes(rows), out);
        }
        _ => few(queries, rows, dim, out, |query, rows, out| {
            distance::l2_rows_with(table, query, rows, out);
        }),
    }
}

/// The bytes of numbers.
#[expect(unsafe_code, reason = "reads numbers as bytes")]
fn bytes<T: Number>(numbers: &[T]) -> &[u8] {
    // SAFETY: a number has no padding, bytes need no alignment, and the length is in bytes.
    unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast(), size_of_val(numbers)) }
}

/// A number whose bytes may be read.
trait Number: Copy {}
impl Number for f32 {}
impl Number for half::bf16 {}

/// How many there are of what.
#[derive(Clone, Copy, Debug)]
struct Shape {
    queries: usize,
    rows: usize,
}

impl Shape {
    /// Of slices of these lengths; panics where they disagree.
    fn new(queries: usize, rows: usize, dim: usize, out: usize) -> Self {
        if dim == 0 {
            assert_eq!((queries, rows), (0, 0), "vectors of no dimensions have elements");
            return Self { queries: 0, rows: 0 };
        }
        assert!(queries.is_multiple_of(dim), "{queries} numbers are no queries of {dim}");
        assert!(rows.is_multiple_of(dim), "{rows} numbers are no rows of {dim}");
        let shape = Self { queries: queries / dim, rows: rows / dim };
        assert_eq!(out, shape.queries * shape.rows, "shape and output disagree");
        shape
    }
}

/// One query after the other over rows that fit the first-level cache.
fn few<T>(
    queries: &[T],
    rows: &[T],
    dim: usize,
    out: &mut [f32],
    one: impl Fn(&[T], &[T], &mut [f32]),
) {
    if dim == 0 || rows.is_empty() {
        out.fill(0.0);
        return;
    }
    let stride = rows.len() / dim;
    let step = (FEW_BYTES / (dim * size_of::<T>())).max(1).next_multiple_of(4);
    for (n, block) in rows.chunks(step * dim).enumerate() {
        for (query, out) in queries.chunks_exact(dim).zip(out.chunks_exact_mut(stride)) {
            one(query, block, &mut out[n * step..][..block.len() / dim]);
        }
    }
}

/// Interleaves rows a block at a time and has each tile of queries pass over the block.
#[expect(unsafe_code, reason = "calls through the table of kernels")]
fn blocked(
    table: &ManyKernels,
    tile: Tile,
    shape: Shape,
    queries: &[u8],
    rows: &[u8],
    out: &mut [f32],
) {
    if shape.queries == 0 || shape.rows == 0 {
        return;
    }
    let (row_bytes, width) = (rows.len() / shape.rows, table.width);
    let words = row_bytes.div_ceil(4);
    let panels = (BLOCK_BYTES / (words * width * 4)).clamp(1, shape.rows.div_ceil(width));
    let mut block = vec![0u32; panels * words * width];
    let mut tall = vec![0u32; words * LANES];
    for first in (0..shape.rows).step_by(panels * width) {
        let part =
            &rows[first * row_bytes..][..(shape.rows - first).min(panels * width) * row_bytes];
        let packed = block.chunks_exact_mut(words * width);
        for (rows, panel) in part.chunks(width * row_bytes).zip(packed) {
            // SAFETY: the table was chosen for this CPU; the panel has room for `width` rows.
            unsafe { (table.pack)(rows, row_bytes, width, panel) };
        }
        for (query, count) in tiles(shape.queries, table.height) {
            let tile_bytes = &queries[query * row_bytes..][..count * row_bytes];
            // SAFETY: as above; a tile is at most LANES queries high.
            unsafe { (table.pack)(tile_bytes, row_bytes, LANES, &mut tall) };
            for (n, panel) in block.chunks_exact(words * width).enumerate() {
                let row = first + n * width;
                if row >= shape.rows {
                    break;
                }
                let rows = (shape.rows - row).min(width);
                let chunks = tall.chunks(CHUNK * LANES).zip(panel.chunks(CHUNK * width));
                for (chunk, (queries, panel)) in chunks.enumerate() {
                    let (stride, add) = (shape.rows, chunk > 0);
                    let operands = Operands { queries, count, panel, rows, stride, add };
                    // SAFETY: the table was chosen for this CPU; counts are within the tile, and
                    // the last result is that of a query and a row there are.
                    unsafe { tile(operands, &mut out[query * shape.rows + row..]) };
                }
            }
        }
    }
}

/// Interleaves the words of `row` from `first` on as row `n` of the panel.
#[inline(always)]
fn pack_row(row: &[u8], first: usize, n: usize, width: usize, panel: &mut [u32]) {
    for (word, bytes) in row.chunks(4).enumerate().skip(first) {
        let mut whole = [0; 4];
        whole[..bytes.len()].copy_from_slice(bytes);
        panel[word * width + n] = u32::from_ne_bytes(whole);
    }
}

/// Writes `sums` to the front of `out`, or adds them to what is there.
#[inline(always)]
fn put(sums: &[f32], add: bool, out: &mut [f32]) {
    for (out, &sum) in out.iter_mut().zip(sums) {
        *out = if add { *out + sum } else { sum };
    }
}

/// Splits `queries` into tiles of nearly the same height, at most `height`: (first, count).
fn tiles(queries: usize, height: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = queries.div_ceil(height);
    (0..count).map(move |n| {
        let (first, end) = (n * queries / count, (n + 1) * queries / count);
        (first, end - first)
    })
}

#[cfg(test)]
mod tests;
