//! Collecting the rows with the least sums of a scan of all rows, without keeping them in order.
//!
//! Sums are counted in a histogram, which says at any time what a row's sum must not exceed to be
//! among the best so far. A first look at a few blocks finds a bound that is nearly right, so that
//! few rows are taken that are not among the best in the end.

use milvus_kernel::Bitset;
use milvus_kernel::fastscan::{self, BLOCK};

/// Sums of a bin of the histogram.
const BIN: u32 = 3;
/// Blocks that are scanned at a time, and words of a filter that they are.
const RUN: usize = 2 * WORDS;
const WORDS: usize = 32;
/// One word in so many is looked at first.
const STRIDE: usize = 32;
/// The share of rows that are taken may be so much larger than that of the few blocks.
const MARGIN: f64 = 1.1;

/// The memory of one scan at a time.
#[derive(Default)]
pub(crate) struct Collector {
    pub(super) floats: Vec<f32>,
    pub(super) tables: Vec<u8>,
    sums: Vec<u16>,
    taken: Vec<(u16, u32)>,
    bins: Vec<u32>,
    /// Where sums must not be beyond.
    bound: u16,
    within: usize,
    ordered: Vec<u32>,
}

impl Collector {
    /// Scans `blocks` for about the `wanted` live rows with the least sums.
    #[expect(clippy::cast_possible_truncation, reason = "float to integer casts saturate")]
    #[expect(clippy::cast_sign_loss, reason = "counts are positive")]
    pub(super) fn run(&mut self, blocks: &[u8], (live, rows): (&Bitset, usize), wanted: usize) {
        let bytes = self.tables.len().max(1);
        let most = bytes / fastscan::ENTRIES * usize::from(u8::MAX);
        let most = u16::try_from(most).unwrap_or(u16::MAX);
        let words = live.words();
        let words = &words[..words.len().min(rows.div_ceil(64))];
        self.begin(most);
        let few = (wanted as f64 * MARGIN / STRIDE as f64) as usize + 8;
        let pairs = words.iter().zip(blocks.chunks(2 * bytes)).enumerate();
        for (first, (&word, blocks)) in pairs.step_by(STRIDE) {
            self.scan(blocks, &[word], first, few);
        }
        let bound = if self.within >= few { self.bound } else { most };
        self.all(blocks, words, bound, wanted);
        if self.within < wanted / 2 && bound < most {
            // The first look was at rows unlike the others.
            self.all(blocks, words, most, wanted);
        }
        self.order();
    }

    /// Scans all blocks, from a bound on.
    fn all(&mut self, blocks: &[u8], words: &[u64], bound: u16, wanted: usize) {
        self.begin(bound);
        let blocks = blocks.chunks(RUN * self.tables.len().max(1));
        for (run, (words, blocks)) in words.chunks(WORDS).zip(blocks).enumerate() {
            if words.iter().any(|&word| word != 0) {
                self.scan(blocks, words, run * WORDS, wanted);
            }
        }
    }

    fn begin(&mut self, bound: u16) {
        self.taken.clear();
        self.bins.clear();
        self.bins.resize((usize::from(bound) >> BIN) + 1, 0);
        (self.bound, self.within) = (bound, 0);
    }

    /// Scans blocks of the rows that are bits of `words`, and takes the live ones within the bound;
    /// `first` is the number of the first word.
    #[expect(clippy::cast_possible_truncation, reason = "rows fit 32 bits")]
    fn scan(&mut self, blocks: &[u8], words: &[u64], first: usize, wanted: usize) {
        let count = blocks.len() / self.tables.len();
        let mut all_sums = std::mem::take(&mut self.sums);
        all_sums.resize(RUN * BLOCK, 0);
        let mut masks = [0; RUN];
        let (sums, masks) = (&mut all_sums[..count * BLOCK], &mut masks[..count]);
        fastscan::scan(&self.tables, blocks, sums);
        fastscan::within(sums, self.bound, masks);
        for (n, (word, masks)) in words.iter().zip(masks.chunks(2)).enumerate() {
            let high = masks.get(1).copied().unwrap_or_default();
            let mut bits = word & (u64::from(masks[0]) | u64::from(high) << 32);
            while bits != 0 {
                let at = n * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                self.take(sums[at], (first * 64 + at) as u32, wanted);
            }
        }
        self.sums = all_sums;
    }

    #[inline]
    fn take(&mut self, sum: u16, row: u32, wanted: usize) {
        // The bound may have fallen since the row was found.
        if sum > self.bound {
            return;
        }
        self.taken.push((sum, row));
        self.bins[usize::from(sum >> BIN)] += 1;
        self.within += 1;
        while self.within > wanted {
            let bin = usize::from(self.bound >> BIN);
            let beyond = self.bins[bin] as usize;
            if self.within - beyond < wanted || bin == 0 {
                break;
            }
            self.within -= beyond;
            self.bound = u16::try_from((bin << BIN) - 1).unwrap_or(u16::MAX);
        }
    }

    /// Puts the rows within the bound in order of their sums' bins.
    fn order(&mut self) {
        let last = usize::from(self.bound >> BIN);
        let mut start = 0;
        for bin in &mut self.bins[..=last] {
            start += std::mem::replace(bin, start);
        }
        self.ordered.resize(start as usize, 0);
        for &(sum, row) in self.taken.iter().filter(|(sum, _)| *sum <= self.bound) {
            let at = &mut self.bins[usize::from(sum >> BIN)];
            self.ordered[*at as usize] = row;
            *at += 1;
        }
    }

    /// The rows found, the least sums first, those of about the same sum in the order of rows.
    pub(super) fn rows(&self) -> &[u32] {
        &self.ordered
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::brute::row_number;

    proptest! {
        #[test]
        fn no_live_row_with_a_lesser_sum_is_left_out(
            rows in 1usize..9000,
            parts in 1usize..6,
            wanted in 1usize..300,
            share in 1u64..9,
            seed in any::<u64>(),
        ) {
            let mut state = seed | 1;
            let mut next = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state >> 20
            };
            let tables: Vec<u8> =
                (0..parts * fastscan::ENTRIES).map(|_| next().to_le_bytes()[0]).collect();
            // Rows of one region are alike, as in real segments.
            let codes: Vec<u8> = (0..rows)
                .flat_map(|row| (0..parts).map(move |_| row / 1000))
                .map(|region| next().to_le_bytes()[0] % 4 + (region % 12).to_le_bytes()[0])
                .collect();
            let live = Bitset::from_bools((0..rows).map(|_| next() % 9 < share));
            let mut blocks = vec![0; rows.div_ceil(BLOCK) * fastscan::block_bytes(parts)];
            fastscan::pack(&codes, parts, &mut blocks);
            let sum = |row: usize| -> u16 {
                let chosen = codes[row * parts..][..parts].iter().zip(tables.chunks_exact(16));
                chosen.map(|(&code, table)| u16::from(table[usize::from(code)])).sum()
            };
            let mut collector = Collector { tables: tables.clone(), ..Collector::default() };
            collector.tables.resize(fastscan::table_bytes(parts), 0);
            collector.run(&blocks, (&live, rows), wanted);
            let found = collector.rows();
            prop_assert!(found.iter().all(|&row| live.get(row as usize)));
            prop_assert!(found.is_sorted_by_key(|&row| sum(row as usize) >> BIN));
            // A first look that says too little may leave the worst of them out, never better ones.
            let count = live.count().min(wanted);
            prop_assert!(found.len() >= count / 2, "{} of {count}", found.len());
            let worst = found.iter().map(|&row| sum(row as usize)).max().unwrap_or(0);
            let better = (0..rows).filter(|&row| live.get(row) && sum(row) >> BIN < worst >> BIN);
            let taken: std::collections::HashSet<u32> = found.iter().copied().collect();
            prop_assert_eq!(taken.len(), found.len());
            for row in better {
                prop_assert!(taken.contains(&row_number(row)), "row {row} of sum {}", sum(row));
            }
        }
    }
}
