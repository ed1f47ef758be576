//! Where the codes of a row are, and how a row is written and read.

use crate::levels;
use crate::prefetch::CACHE_LINE;

use super::{CHUNK, stream_bytes};

/// Bytes behind the codes: scale and bias.
pub(super) const HEADER: usize = 8;

/// How many bits a dimension has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// Two dimensions to a byte.
    Four,
    /// Four dimensions to three bytes.
    Six,
}

impl Width {
    /// The number of bits.
    pub fn bits(self) -> u32 {
        match self {
            Self::Four => 4,
            Self::Six => 6,
        }
    }

    /// Dimensions that one byte of every stream holds.
    pub(super) fn dims(self) -> usize {
        match self {
            Self::Four => 2,
            Self::Six => 4,
        }
    }

    /// Streams of bytes.
    pub(super) fn streams(self) -> usize {
        match self {
            Self::Four => 1,
            Self::Six => 3,
        }
    }
}

/// The shape of coded rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Bits of a dimension.
    pub width: Width,
    /// Dimensions of a row.
    pub dim: usize,
}

impl Layout {
    /// Rows of `dim` dimensions of `width`.
    pub fn new(width: Width, dim: usize) -> Self {
        Self { width, dim }
    }

    /// Bytes of the codes of a row.
    fn code_bytes(self) -> usize {
        let whole = self.dim / (CHUNK * self.width.dims());
        let left = self.dim - whole * CHUNK * self.width.dims();
        (whole * CHUNK + stream_bytes(left, self.width.dims())) * self.width.streams()
    }

    /// Bytes of a row.
    pub fn stride(self) -> usize {
        let needed = self.code_bytes() + HEADER;
        let lines = needed.next_multiple_of(CACHE_LINE);
        if lines * 10 < needed * 11 { lines } else { needed.next_multiple_of(8) }
    }

    /// Calls `each` with every dimension, the chunk it is in, its dimension stream, its byte in the
    /// stream and the bytes of a stream of the chunk.
    pub(super) fn each_place(self, mut each: impl FnMut(usize, Place)) {
        let per_chunk = CHUNK * self.width.dims();
        for (chunk, first) in (0..self.dim).step_by(per_chunk).enumerate() {
            let left = (self.dim - first).min(per_chunk);
            let bytes = stream_bytes(left, self.width.dims());
            for (stream, start) in (0..left).step_by(bytes).enumerate() {
                for byte in 0..bytes.min(left - start) {
                    each(first + start + byte, Place { chunk, stream, byte, bytes });
                }
            }
        }
    }

    /// Encodes `centred` into `row`, of [`Self::stride`] bytes, with bias 0. Returns the vector's
    /// squared length: 0 where it is not finite, and then the row's scale is 0 too.
    pub fn encode(self, centred: &[f32], row: &mut [u8]) -> f32 {
        assert_eq!(centred.len(), self.dim, "dimensions disagree");
        assert_eq!(row.len(), self.stride(), "row and dimension disagree");
        let mut codes = vec![0; self.dim];
        let fitted = levels::encode(centred, self.width.bits(), &mut codes);
        row.fill(0);
        self.each_place(|dim, place| self.put(row, place, codes[dim]));
        let at = row.len() - HEADER;
        row[at..at + 4].copy_from_slice(&fitted.scale().to_le_bytes());
        fitted.norm_squared
    }

    fn put(self, row: &mut [u8], place: Place, code: u8) {
        let first = place.first(self.width) + place.byte;
        match (self.width, place.stream) {
            (Width::Four, stream) => row[first] |= code << (4 * stream),
            (Width::Six, 3) => {
                for stream in 0..3 {
                    row[first + stream * place.bytes] |= code << (2 + 2 * stream) & 0xc0;
                }
            }
            (Width::Six, stream) => row[first + stream * place.bytes] |= code,
        }
    }

    fn get(self, row: &[u8], place: Place) -> u8 {
        let first = place.first(self.width) + place.byte;
        match (self.width, place.stream) {
            (Width::Four, stream) => row[first] >> (4 * stream) & 15,
            (Width::Six, 3) => {
                (0..3).fold(0, |code, stream| code << 2 | row[first + stream * place.bytes] >> 6)
            }
            (Width::Six, stream) => row[first + stream * place.bytes] & 63,
        }
    }

    /// The levels of `row`, see [`crate::levels::level`], into `out`.
    pub(super) fn levels(self, row: &[u8], out: &mut [i8]) {
        assert_eq!(row.len(), self.stride(), "row and dimension disagree");
        assert_eq!(out.len(), self.dim, "dimensions disagree");
        #[expect(clippy::cast_possible_truncation, reason = "levels of six bits are within ± 63")]
        self.each_place(|dim, place| {
            out[dim] = levels::level(self.get(row, place), self.width.bits()) as i8;
        });
    }

    /// The vector that `row` stands for, into `out`.
    pub fn decode(self, row: &[u8], out: &mut [f32]) {
        let mut levels = vec![0; self.dim];
        self.levels(row, &mut levels);
        let scale = scale(row);
        for (out, level) in out.iter_mut().zip(levels) {
            *out = scale * f32::from(level);
        }
    }

    /// Sets the bias of `row`.
    pub fn set_bias(self, row: &mut [u8], bias: f32) {
        let at = row.len() - 4;
        row[at..].copy_from_slice(&bias.to_le_bytes());
    }
}

/// Where the code of a dimension is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) chunk: usize,
    pub(super) stream: usize,
    pub(super) byte: usize,
    pub(super) bytes: usize,
}

impl Place {
    /// The first byte of the chunk.
    fn first(self, width: Width) -> usize {
        self.chunk * CHUNK * width.streams()
    }
}

/// What the levels of `row` are multiplied by.
#[inline(always)]
pub(super) fn scale(row: &[u8]) -> f32 {
    row.last_chunk::<HEADER>().map_or(0.0, |h| f32::from_le_bytes([h[0], h[1], h[2], h[3]]))
}

/// The bias of `row`.
#[inline(always)]
pub(super) fn bias(row: &[u8]) -> f32 {
    row.last_chunk::<4>().map_or(0.0, |h| f32::from_le_bytes(*h))
}
