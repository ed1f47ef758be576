//! Where one output ends and the next begins.
//!
//! Rows are cut into outputs of equally many bytes, as few as keep each within a tenth above the
//! target, so that the last one is no smaller than the others.
//! Cost: two passes over the rows' sizes, and none where there is one name.

use crate::rows::Rows;

/// The most bytes of text or elements of lists that a column should have in one output: offsets are
/// of 32 bits, and outputs of equally many bytes are not of equally many of these.
const COLUMN_UNITS: u64 = 1 << 30;

/// The ends of the outputs among the places of `rows`; at most `names`. None if there are no rows.
pub(crate) fn ends(rows: &Rows<'_>, target_bytes: u64, names: usize) -> Vec<usize> {
    let places = rows.places();
    if places.is_empty() {
        return Vec::new();
    }
    if names <= 1 {
        return vec![places.len()];
    }
    let total: u64 = places.iter().map(|place| rows.bytes(*place)).sum();
    let units = |column| places.iter().map(|place| rows.units(column, *place)).sum::<u64>();
    let most_units = (0..rows.columns()).map(units).max().unwrap_or(0);
    let outputs = count(total, target_bytes).max(most_units.div_ceil(COLUMN_UNITS));
    let outputs = outputs.min(names as u64).min(places.len() as u64);
    let mut ends = Vec::new();
    let mut bytes = 0_u64;
    for (at, place) in (1..).zip(places) {
        bytes += rows.bytes(*place);
        let done = ends.len() as u64 + 1;
        let reached = u128::from(bytes) * u128::from(outputs);
        // Whatever rounding does, the last row ends the last output.
        if at == places.len() || (done < outputs && reached >= u128::from(total) * u128::from(done))
        {
            ends.push(at);
        }
    }
    ends
}

/// Into how many outputs `total` bytes go.
fn count(total: u64, target_bytes: u64) -> u64 {
    let most = u128::from(target_bytes.max(1)) * 11;
    u64::try_from((u128::from(total) * 10).div_ceil(most)).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_as_few_as_stay_within_a_tenth_above_the_target() {
        let cases = [(0, 1), (100, 1), (110, 1), (111, 2), (220, 2), (221, 3)];
        for (total, want) in cases {
            assert_eq!(count(total, 100), want, "{total}");
        }
        assert_eq!(count(7, 0), 7);
        assert_eq!(count(u64::MAX, u64::MAX / 12), 11);
    }
}
