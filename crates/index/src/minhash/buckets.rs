//! Buckets: for each band of hashes, the rows ordered by what the band hashes to.
//!
//! A band is a run of bytes of a row. Keys are spread evenly over 64 bits, so a bucket is found by
//! looking where its key should lie and stepping from there: a few reads, whatever the rows.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use crate::brute::row_number;

/// Rows between two looks at whether to stop.
const BATCH: usize = 4096;

/// How rows are cut into bands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bands {
    pub(super) count: usize,
    /// Bytes of a band; those of a row behind the last whole band are in none.
    pub(super) width: usize,
}

impl Bands {
    /// `wanted` bands of whole hashes of `hash_bytes` bytes in rows of `row_bytes`.
    pub(super) fn new(wanted: usize, row_bytes: usize, hash_bytes: usize) -> Self {
        let hashes = (row_bytes / hash_bytes.max(1)).max(1);
        let count = wanted.clamp(1, hashes);
        Self { count, width: hashes / count * hash_bytes }
    }

    /// The key of band `band` of `row`.
    pub(super) fn key(&self, row: &[u8], band: usize) -> u64 {
        let bytes = row.get(band * self.width..(band + 1) * self.width).unwrap_or_default();
        hash(bytes, band as u64)
    }
}

/// A hash of `bytes` whose bits all depend on all of them. Files depend on it too: it never changes.
fn hash(bytes: &[u8], seed: u64) -> u64 {
    let mix = |mut x: u64| {
        x = (x ^ (x >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        x = (x ^ (x >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        x ^ (x >> 32)
    };
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let words = words.iter().chain([&last]).map(|word| u64::from_le_bytes(*word));
    words.fold(mix(seed ^ bytes.len() as u64), |state, word| mix(state ^ word).rotate_left(23))
}

/// The keys of all bands, each ascending, and the row of each; `[bands, rows]`.
pub(super) fn fill(
    bands: Bands,
    rows: &[u8],
    row_bytes: usize,
    threads: usize,
    cancel: &AtomicBool,
) -> (Vec<u64>, Vec<u32>) {
    let count = rows.len() / row_bytes.max(1);
    let mut keys = vec![0; bands.count * count];
    let mut members = vec![0; bands.count * count];
    if count == 0 {
        return (keys, members);
    }
    let share = bands.count.div_ceil(threads.max(1)).max(1);
    let parts = keys.chunks_mut(share * count).zip(members.chunks_mut(share * count));
    thread::scope(|scope| {
        for (part, (keys, members)) in parts.enumerate() {
            scope.spawn(move || {
                let mut pairs = Vec::with_capacity(count);
                let each = keys.chunks_exact_mut(count).zip(members.chunks_exact_mut(count));
                for (band, (keys, members)) in (part * share..).zip(each) {
                    pairs.clear();
                    for (n, row) in rows.chunks_exact(row_bytes).enumerate() {
                        if n % BATCH == 0 && cancel.load(Relaxed) {
                            return;
                        }
                        pairs.push((bands.key(row, band), row_number(n)));
                    }
                    pairs.sort_unstable();
                    let places = keys.iter_mut().zip(members);
                    places.zip(&pairs).for_each(|((key, row), pair)| (*key, *row) = *pair);
                }
            });
        }
    });
    (keys, members)
}

/// Where `key` is in `keys`, which ascend.
pub(super) fn find(keys: &[u64], key: u64) -> Range<usize> {
    let guess = (u128::from(key) * keys.len() as u128) >> 64;
    let guess = usize::try_from(guess).unwrap_or_default().min(keys.len());
    let start = first(keys, guess, |other| other < key);
    let end = start + first(&keys[start..], 0, |other| other == key);
    start..end
}

/// The first place in `keys` where `before` no longer holds, found by steps that double from
/// `guess` on.
fn first(keys: &[u64], guess: usize, before: impl Fn(u64) -> bool) -> usize {
    let (mut low, mut high) = (guess, guess);
    let mut step = 1;
    while low > 0 && !before(keys[low - 1]) {
        high = low - 1;
        low = low.saturating_sub(step);
        step *= 2;
    }
    step = 1;
    while high < keys.len() && before(keys[high]) {
        low = high + 1;
        high = (high + step).min(keys.len());
        step *= 2;
    }
    low + keys[low..high].partition_point(|&key| before(key))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_bucket_is_found_wherever_it_lies(
            mut keys in prop::collection::vec(any::<u8>(), 0..200),
            spread in 0u32..57,
            key in any::<u8>(),
        ) {
            keys.sort_unstable();
            let keys: Vec<u64> = keys.into_iter().map(|key| u64::from(key) << spread).collect();
            let key = u64::from(key) << spread;
            let start = keys.partition_point(|&other| other < key);
            let end = keys.partition_point(|&other| other <= key);
            prop_assert_eq!(find(&keys, key), start..end);
        }
    }

    #[test]
    fn bands_are_of_whole_hashes_and_keys_depend_on_every_byte() {
        assert_eq!(Bands::new(3, 32, 4), Bands { count: 3, width: 8 });
        assert_eq!(Bands::new(100, 32, 4), Bands { count: 8, width: 4 });
        let bands = Bands::new(2, 32, 4);
        let row: Vec<u8> = (0..32).collect();
        for byte in 0..32 {
            let mut other = row.clone();
            other[byte] ^= 1;
            for band in 0..2 {
                let same = bands.key(&row, band) == bands.key(&other, band);
                assert_eq!(same, byte / 16 != band);
            }
        }
        // Files hold these keys.
        assert_eq!(hash(b"milvus", 1), 4_710_233_690_122_044_414);
    }
}
