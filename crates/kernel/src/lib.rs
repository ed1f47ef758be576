//! Distances, quantised distances, bitsets and top-k: the inner loops of every search.
//!
//! The instruction set is chosen once, when the first distance is computed: AVX-512, AVX2 with FMA,
//! or portable code. `MILVUS_SIMD=portable|avx2|avx512` forces a lower one, for tests. A row's
//! distance has the same bits whether it is computed alone, in a block or gathered by row id.
//!
//! Nearly all `unsafe` of the project lives in this crate, in `avx2`, `avx512`, their `_narrow`
//! companions, `simd` and `prefetch`. Each SIMD kernel has a safe reference in `portable` that tests
//! compare it with.
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
pub mod lvq4;
pub mod narrow;
mod portable;
pub mod prefetch;
mod simd;
pub mod sparse;
pub mod sq8;
pub mod top_k;

pub use bitset::Bitset;
pub use prefetch::prefetch;
pub use simd::{Level, cpu, level};
pub use top_k::{Scored, TopK, merge_sorted};
