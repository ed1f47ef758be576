//! Distances, quantised distances, bitsets and top-k: the inner loops of every search.
//!
//! - Exact: [`distance`] of one query and rows of floats, [`narrow`] of 16-bit floats and bytes,
//!   [`binary`] of bits, [`sparse`]; [`many`] of many queries and many rows.
//! - Coded: [`sq8`] and [`short_codes`] of 8, 6 and 4 bits a dimension, [`rabitq`] of 1 to 8, all
//!   compared row by row; [`fastscan`] of product codes and signs, many rows at once. [`levels`] is
//!   how vectors become codes.
//! - [`Bitset`], [`TopK`], [`prefetch`](mod@prefetch).
//!
//! The instruction set is chosen once, when the first distance is computed: AVX-512 with what the
//! CPU has besides (VPOPCNTDQ, BF16, VBMI), AVX2 with FMA, NEON, or portable code.
//! `MILVUS_SIMD=portable|neon|avx2|avx512` forces a lower one, for tests. A row's distance has the
//! same bits whether it is computed alone, in a block or gathered by row id; [`many`] says what
//! holds there.
//!
//! Nearly all `unsafe` of the project lives in this crate, in files named `avx2`, `avx512` and
//! `neon`, their `_narrow` companions, `simd` and `prefetch`, and where their tables are called. Each
//! SIMD kernel has a safe reference that tests compare it with.
//!
//! Not here: what a metric means to a user (`milvus_types::MetricType`), indexes (`milvus-index`).
#![warn(missing_docs)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx2_narrow;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_narrow;
pub mod binary;
pub mod bitset;
pub mod distance;
pub mod fastscan;
pub mod impacts;
pub mod levels;
pub mod lvq4;
pub mod many;
pub mod narrow;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
pub mod prefetch;
pub mod rabitq;
mod round;
pub mod short_codes;
mod simd;
pub mod sparse;
pub mod sq8;
pub mod top_k;

pub use bitset::Bitset;
pub use prefetch::prefetch;
pub use simd::{Level, cpu, level};
pub use top_k::{Scored, TopK, merge_sorted};
