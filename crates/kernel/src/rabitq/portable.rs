//! Products of planes in plain Rust: the path of CPUs without SIMD kernels, and the reference for
//! tests.

use super::PlanesKernels;

pub(crate) const KERNELS: PlanesKernels = PlanesKernels { pair, quad };

/// See [`super::PlanesPair`].
#[inline(always)]
pub(crate) fn pair(query: &[u64], code: &[u8], words: usize) -> u32 {
    let mut total = 0;
    for plane in code.chunks_exact(words * 8) {
        let row = plane.as_chunks::<8>().0;
        let mut sum = 0;
        for (weight, query) in query.chunks_exact(words).enumerate() {
            let both = row.iter().zip(query).map(|(row, query)| u64::from_le_bytes(*row) & query);
            sum += both.map(u64::count_ones).sum::<u32>() << weight;
        }
        total = total * 2 + sum;
    }
    total
}

fn quad(query: &[u64], codes: [&[u8]; 4], words: usize) -> [u32; 4] {
    codes.map(|code| pair(query, code, words))
}
