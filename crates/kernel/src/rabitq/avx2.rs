//! Products of planes with POPCNT: a word at a time.
//!
//! Every function needs the CPU features of [`crate::Level::Avx2`] and the shapes of
//! [`super::PlanesPair`]; `simd` hands them out only where the features are there.

use super::{PlanesKernels, portable};

pub(crate) const KERNELS: PlanesKernels = PlanesKernels { pair, quad };

#[target_feature(enable = "avx2,popcnt")]
fn pair(query: &[u64], code: &[u8], words: usize) -> u32 {
    portable::pair(query, code, words)
}

#[target_feature(enable = "avx2,popcnt")]
fn quad(query: &[u64], codes: [&[u8]; 4], words: usize) -> [u32; 4] {
    codes.map(|code| portable::pair(query, code, words))
}
