//! The loop under every comparison of numbers, compiled for the processor at hand.
//!
//! The same safe code is compiled once for every x86-64 and once each for AVX2 and AVX-512, whose
//! registers hold four and eight 64-bit numbers; which one runs is asked of the processor.
//! Reads each value once and writes a bit for it.

/// A bit for each value, 64 to a word in order: whether `test` holds. `test` should not branch.
pub(super) fn words<T: Copy>(values: &[T], test: impl Fn(T) -> bool) -> Vec<u64> {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512bw")
            && std::arch::is_x86_feature_detected!("avx512vl")
            && std::arch::is_x86_feature_detected!("avx512dq")
        {
            #[expect(unsafe_code, reason = "the processor was just asked for the features")]
            // SAFETY: the processor has AVX-512 BW, VL and DQ.
            return unsafe { words_avx512(values, &test) };
        }
        if std::arch::is_x86_feature_detected!("avx2") {
            #[expect(unsafe_code, reason = "the processor was just asked for the feature")]
            // SAFETY: the processor has AVX2.
            return unsafe { words_avx2(values, &test) };
        }
    }
    words_portable(values, &test)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512bw,avx512vl,avx512dq")]
fn words_avx512<T: Copy>(values: &[T], test: &impl Fn(T) -> bool) -> Vec<u64> {
    words_portable(values, test)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn words_avx2<T: Copy>(values: &[T], test: &impl Fn(T) -> bool) -> Vec<u64> {
    words_portable(values, test)
}

#[inline(always)]
fn words_portable<T: Copy>(values: &[T], test: &impl Fn(T) -> bool) -> Vec<u64> {
    let mut words = Vec::with_capacity(values.len().div_ceil(64));
    let mut flags = [0u8; 64];
    let (chunks, rest) = values.as_chunks::<64>();
    for chunk in chunks {
        for (flag, value) in flags.iter_mut().zip(chunk) {
            *flag = u8::from(test(*value));
        }
        words.push(pack(&flags));
    }
    if !rest.is_empty() {
        flags = [0; 64];
        for (flag, value) in flags.iter_mut().zip(rest) {
            *flag = u8::from(test(*value));
        }
        words.push(pack(&flags));
    }
    words
}

/// Gathers the lowest bit of each byte: a product brings those of eight bytes side by side.
#[inline(always)]
pub(super) fn pack(flags: &[u8; 64]) -> u64 {
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let (eights, _) = flags.as_chunks::<8>();
    eights
        .iter()
        .rev()
        .fold(0, |word, eight| word << 8 | u64::from_le_bytes(*eight).wrapping_mul(GATHER) >> 56)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_gives_the_same_words() {
        let values: Vec<i64> = (0..1000).map(|n| n * 7919 % 1000).collect();
        for len in [0, 1, 63, 64, 65, 128, 1000] {
            let values = values.get(..len).unwrap_or_default();
            let test = |value: i64| (value > 100) & (value < 700);
            assert_eq!(words(values, test), words_portable(values, &test), "{len}");
        }
    }
}
