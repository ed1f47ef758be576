//! Floats to small whole numbers in a few instructions that vectorise on every CPU.

/// Adding it leaves no room for a fraction: 1.5 * 2^23.
const SHIFT: f32 = 12_582_912.0;

/// `x`, at least `low` and at most `high`; `low` of NaN.
#[inline(always)]
pub(crate) fn within(x: f32, low: f32, high: f32) -> f32 {
    let x = if x > low { x } else { low };
    if x < high { x } else { high }
}

/// The nearest whole number of `x` within ± 2^22, ties to even.
#[inline(always)]
pub(crate) fn nearest(x: f32) -> f32 {
    (x + SHIFT) - SHIFT
}

/// [`nearest`] of `x` as a byte; `x` must be from 0 to 255.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the low bits are the number")]
pub(crate) fn byte(x: f32) -> u8 {
    (x + SHIFT).to_bits() as u8
}

/// The least and the largest of `values`; (inf, -inf) of none, anything where there is a NaN.
#[inline(always)]
pub(crate) fn reach(values: &[f32]) -> (f32, f32) {
    let (mut least, mut most) = ([f32::INFINITY; 8], [f32::NEG_INFINITY; 8]);
    let (body, tail) = values.as_chunks::<8>();
    for chunk in body {
        for lane in 0..8 {
            least[lane] = less(chunk[lane], least[lane]);
            most[lane] = -less(-chunk[lane], -most[lane]);
        }
    }
    for &x in tail {
        least[0] = less(x, least[0]);
        most[0] = -less(-x, -most[0]);
    }
    let (mut low, mut high) = (least[0], most[0]);
    for lane in 1..8 {
        low = less(least[lane], low);
        high = -less(-most[lane], -high);
    }
    (low, high)
}

#[inline(always)]
fn less(x: f32, y: f32) -> f32 {
    if x < y { x } else { y }
}

/// Whether every value is finite.
#[inline(always)]
pub(crate) fn all_finite(values: &[f32]) -> bool {
    // A number times 0 is 0 unless it is not finite; sums of zeros vectorise, an early end does not.
    let mut zeros = [0.0f32; 8];
    let (body, tail) = values.as_chunks::<8>();
    for chunk in body {
        for lane in 0..8 {
            zeros[lane] += chunk[lane] * 0.0;
        }
    }
    zeros.iter().sum::<f32>() + tail.iter().map(|x| x * 0.0).sum::<f32>() == 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_that_of_the_standard_library() {
        for step in 0u16..5100 {
            let x = f32::from(step) / 20.0;
            assert_eq!(f32::from(byte(x)), x.round_ties_even(), "{x}");
            assert_eq!(nearest(-x), (-x).round_ties_even(), "{x}");
        }
        assert_eq!([f32::NAN, -9.0, 9.0, 1.0].map(|x| within(x, 0.0, 5.0)), [0.0, 0.0, 5.0, 1.0]);
    }

    #[test]
    fn reach_is_that_of_all_values() {
        let values: Vec<f32> = (0..37).map(|i| ((i * 29 % 37) as f32) - 18.0).collect();
        for end in 1..values.len() {
            let sorted = |of: fn(f32, f32) -> f32| values[..end].iter().copied().reduce(of);
            let want = (sorted(f32::min), sorted(f32::max));
            let (least, most) = reach(&values[..end]);
            assert_eq!((Some(least), Some(most)), want);
        }
        assert!(
            all_finite(&values) && !all_finite(&[1.0, f32::NAN]) && !all_finite(&[f32::INFINITY])
        );
    }
}
