//! Prefetch: asks the CPU to bring memory near before it is needed.

/// Bytes of a cache line.
pub const CACHE_LINE: usize = 64;

/// Asks for every cache line of `data` to be brought near. A hint: it never faults.
#[inline(always)]
pub fn prefetch<T>(data: &[T]) {
    prefetch_lines(data, usize::MAX);
}

/// Asks for the first `lines` cache lines of `data`.
#[inline(always)]
#[cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "the prefetch intrinsic takes a raw pointer")
)]
pub fn prefetch_lines<T>(data: &[T], lines: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let start = data.as_ptr().cast::<i8>();
        let count = size_of_val(data).div_ceil(CACHE_LINE).min(lines);
        for line in 0..count {
            // SAFETY: prefetching has no effect on memory and does not fault on any address; the
            // offset stays within or one line past `data`, and is computed without overflow.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(line * CACHE_LINE)) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (data, lines);
}
