//! Random samples: a share of the rows that pass, at least one, every such choice equally likely.
//!
//! The choice follows from the seed and the batch's first row alone, so that a reader who evaluates
//! twice sees the same rows.

use super::bits::Bits;

/// `factor` of the rows of `passed`.
pub(super) fn sample(passed: Bits, factor: f64, seed: u64, first_row: u32) -> Bits {
    let mut left = passed.count();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a number of rows"
    )]
    let mut wanted = ((left as f64 * factor) as usize).max(1);
    let mut state = seed ^ u64::from(first_row).wrapping_mul(0xd134_2543_de82_ef95);
    Bits::of_rows(passed.len(), Some(&passed), |_| {
        // Taken with probability wanted / left.
        let take = below(&mut state, left as u64) < wanted as u64;
        left -= 1;
        wanted -= usize::from(take);
        take
    })
}

/// A number below `bound`, from the splitmix generator.
fn below(state: &mut u64, bound: u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    ((u128::from(mixed) * u128::from(bound)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_have_their_share_and_no_other_rows() {
        let rows: Vec<u32> = (0..1000).collect();
        let passed = Bits::of_values(&rows, |row| row % 3 == 0);
        for (factor, want) in [(0.5, 167), (0.1, 33), (0.999, 333), (0.001, 1)] {
            let sampled = sample(passed.clone(), factor, 7, 0);
            assert_eq!(sampled.count(), want);
            assert_eq!(sampled.clone().and(&passed), sampled);
        }
        assert_eq!(sample(Bits::filled(9, false), 0.5, 7, 0).count(), 0);
        assert_ne!(sample(passed.clone(), 0.5, 7, 0), sample(passed.clone(), 0.5, 8, 0));
        assert_ne!(sample(passed.clone(), 0.5, 7, 0), sample(passed, 0.5, 7, 1000));
    }

    #[test]
    fn every_row_is_as_likely_as_another() {
        let mut times = [0usize; 10];
        for seed in 0..4000 {
            let sampled = sample(Bits::filled(10, true), 0.3, seed, 0);
            for (row, times) in times.iter_mut().enumerate() {
                *times += usize::from(sampled.get(row));
            }
        }
        assert!(times.iter().all(|times| (1050..1350).contains(times)), "{times:?}");
    }
}
