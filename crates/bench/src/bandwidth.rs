//! How fast this machine reads memory on one thread: the bound of every exact scan.

use std::hint::black_box;

use crate::gauge::timed;

/// Bytes a second, in GB (10^9): the best of several passes over `bytes` of memory.
///
/// The sum is over 64-bit words in sixteen lanes, which compilers turn into vector loads and adds.
pub(crate) fn read_gb_s(bytes: usize) -> f64 {
    let words = vec![1u64; bytes.div_ceil(8)];
    let passes = (0..9).map(|_| timed(|| black_box(sum(&words))).1.cpu_s);
    let fastest = passes.fold(f64::MAX, f64::min);
    (words.len() * 8) as f64 / fastest / 1e9
}

fn sum(words: &[u64]) -> u64 {
    let (blocks, rest) = words.as_chunks::<16>();
    let mut lanes = [0u64; 16];
    for block in blocks {
        for (lane, word) in lanes.iter_mut().zip(block) {
            *lane = lane.wrapping_add(*word);
        }
    }
    lanes.iter().chain(rest).fold(0, |sum, word| sum.wrapping_add(*word))
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn every_word_is_read() {
        assert_eq!(sum(&[1; 35]), 35);
    }
}
