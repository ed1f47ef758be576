//! Tables rounded to bytes, and how much is lost by that.

use crate::round;

/// What sums of rounded tables stand for: about `bias + step * sum`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// What one unit of a sum is worth.
    pub step: f32,
    /// What a sum of 0 is worth.
    pub bias: f32,
    /// How far `bias + step * sum` may be from the sum of the tables as they were: half a step for
    /// each part, and what single precision rounds.
    pub error: f32,
}

impl Scale {
    /// What `sum` stands for.
    #[inline]
    pub fn value(self, sum: u16) -> f32 {
        self.bias + self.step * f32::from(sum)
    }

    /// The largest sum that may stand for a value of at most `bound`; `None` where none may.
    ///
    /// A row whose sum is larger has, for certain, a value above `bound`.
    #[expect(clippy::cast_possible_truncation, reason = "clamped to what a u16 holds")]
    #[expect(clippy::cast_sign_loss, reason = "clamped to what a u16 holds")]
    pub fn bound(self, bound: f32) -> Option<u16> {
        let room = bound + self.error - self.bias;
        if room < 0.0 {
            return None;
        }
        let steps = room / self.step;
        Some(if steps < 65535.0 { steps as u16 } else { u16::MAX })
    }
}

/// Rounds `tables` `[parts][entries]` to bytes so that no sum of one entry of each part exceeds
/// 65535. `bytes` may be longer than `tables`; what is behind is 0.
///
/// Each part's least entry becomes 0 and goes into the bias. The step is as small as bytes and sums
/// allow; entries are rounded to the nearest step. Entries that are not finite become the least or
/// the largest of bytes, without a bound on their error. Panics where lengths disagree.
#[expect(clippy::cast_possible_truncation, reason = "sums of single precision")]
pub fn quantise_tables(tables: &[f32], entries: usize, bytes: &mut [u8]) -> Scale {
    assert!(entries > 0 && tables.len().is_multiple_of(entries), "tables and entries disagree");
    assert!(bytes.len() >= tables.len(), "tables have no room");
    let parts = tables.len() / entries;
    let (mut bias, mut widest, mut total, mut largest) = (0.0f64, 0.0f32, 0.0f64, 0.0f64);
    for table in tables.chunks_exact(entries) {
        let (least, most) = reach(table);
        bias += f64::from(least);
        widest = widest.max(most - least);
        total += f64::from(most) - f64::from(least);
        largest += f64::from(least.abs().max(most.abs()));
    }
    // Rounding adds up to half a step for each part to the largest sum.
    let room = 65535.0 - parts as f64;
    assert!(room > 0.0, "{parts} parts do not fit 16-bit sums");
    let step = widest.max((total / room * 255.0) as f32) / 255.0;
    let inverse = if step > 0.0 && step.is_finite() { 1.0 / step } else { 0.0 };
    bytes.fill(0);
    for (table, bytes) in tables.chunks_exact(entries).zip(bytes.chunks_exact_mut(entries)) {
        let least = reach(table).0;
        for (&x, byte) in table.iter().zip(bytes) {
            *byte = round::byte(round::within((x - least) * inverse, 0.0, 255.0));
        }
    }
    let step = if inverse > 0.0 { step } else { f32::MIN_POSITIVE };
    let slack = largest * f64::from(f32::EPSILON) * 8.0;
    let error = (parts as f64 * 0.5 * f64::from(step) + slack) as f32;
    Scale { step, bias: bias as f32, error }
}

/// The least and the largest finite entry; 0 and 0 where there is none.
#[inline]
fn reach(table: &[f32]) -> (f32, f32) {
    let (least, most) = round::reach(table);
    if round::all_finite(table) {
        return (least, most);
    }
    let finite: Vec<f32> = table.iter().copied().filter(|x| x.is_finite()).collect();
    if finite.is_empty() { (0.0, 0.0) } else { round::reach(&finite) }
}
