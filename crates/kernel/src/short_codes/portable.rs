//! Products of short codes in plain Rust: the path of CPUs without SIMD kernels, and the reference
//! for tests.

use super::{CHUNK, ShortKernels, stream_bytes};

pub(crate) const KERNELS: ShortKernels = ShortKernels { four, four_x4, six, six_x4 };

fn four(query: &[i8], row: &[u8], dim: usize) -> i32 {
    let mut left = dim;
    let mut sum = 0;
    for (query, codes) in query.chunks_exact(2 * CHUNK).zip(row.chunks(CHUNK)) {
        let bytes = stream_bytes(left, 2);
        let (low, high) = query.split_at(CHUNK);
        for ((&code, &low), &high) in codes[..bytes].iter().zip(low).zip(high) {
            sum += i32::from(code & 15) * i32::from(low) + i32::from(code >> 4) * i32::from(high);
        }
        left = left.saturating_sub(2 * CHUNK);
    }
    sum
}

fn four_x4(query: &[i8], rows: [&[u8]; 4], dim: usize) -> [i32; 4] {
    rows.map(|row| four(query, row, dim))
}

fn six(query: &[i8], row: &[u8], dim: usize) -> i32 {
    let mut left = dim;
    let mut sum = 0;
    for (query, codes) in query.chunks_exact(4 * CHUNK).zip(row.chunks(3 * CHUNK)) {
        let bytes = stream_bytes(left, 4);
        for i in 0..bytes {
            let [a, b, c] = [codes[i], codes[bytes + i], codes[2 * bytes + i]];
            let last = a >> 6 << 4 | b >> 6 << 2 | c >> 6;
            for (stream, code) in [a & 63, b & 63, c & 63, last].into_iter().enumerate() {
                sum += i32::from(code) * i32::from(query[stream * CHUNK + i]);
            }
        }
        left = left.saturating_sub(4 * CHUNK);
    }
    sum
}

fn six_x4(query: &[i8], rows: [&[u8]; 4], dim: usize) -> [i32; 4] {
    rows.map(|row| six(query, row, dim))
}
