//! Tables rounded to bytes, and how much is lost by that.

use super::ENTRIES;
use crate::round;
use crate::simd::{Kernels, kernels};

/// What a sum of 16 bits holds.
const MOST_PARTS: usize = u16::MAX as usize;
/// How many times as wide as the mean of all a table must be for widths to be looked at, and how many
/// times as wide as the one in the middle a table is taken to be at most.
const UNEVEN: f32 = 3.0;
const WIDEST: f32 = 8.0;

/// What sums of rounded tables stand for: about `bias + step * sum`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// What one unit of a sum is worth.
    pub step: f32,
    /// What a sum of 0 is worth.
    pub bias: f32,
    /// How far `bias + step * sum` may be from the sum of the tables as they were, entries counted as
    /// the largest that bytes hold where they are larger: half a step for each part, and what single
    /// precision rounds. The real sum is never less by more than this.
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

/// Rounds `tables` `[parts][entries]`, a multiple of 16, to bytes so that no sum of one entry of each
/// part exceeds 65535. `bytes` may be longer than `tables`; what is behind is 0.
///
/// Each part's least entry becomes 0 and goes into the bias. The step is as small as bytes and sums
/// allow; entries are rounded to the nearest step. A few tables that are many times as wide as the
/// others do not make it coarse: what is far above the reach of the others becomes the largest byte,
/// and a row that has such an entry seems nearer than it is, if still far. Entries that are not finite become
/// the least or the largest of bytes, without a bound on their error. Panics where lengths disagree.
pub fn quantise_tables(tables: &[f32], entries: usize, bytes: &mut [u8]) -> Scale {
    quantise_with(kernels(), tables, entries, bytes)
}

#[expect(unsafe_code, reason = "calls through the table of kernels")]
pub(super) fn quantise_with(
    kernels: &Kernels,
    tables: &[f32],
    entries: usize,
    bytes: &mut [u8],
) -> Scale {
    assert!(entries > 0 && entries.is_multiple_of(ENTRIES), "tables of {entries} entries");
    assert!(tables.len().is_multiple_of(entries), "tables and entries disagree");
    assert!(bytes.len() >= tables.len(), "tables have no room");
    let parts = tables.len() / entries;
    assert!(parts < MOST_PARTS, "{parts} parts do not fit 16-bit sums");
    // SAFETY: the table was chosen for this CPU.
    unsafe { (kernels.fastscan.quantise)(tables, entries, bytes) }
}

/// Sixteen entries at a time, in the instructions of a level.
pub(crate) trait Sixteens {
    /// The least and the largest entry; anything where one is not a number.
    fn reach(&self, values: &[f32; ENTRIES]) -> (f32, f32);

    /// Whether all entries are finite.
    fn all_finite(&self, values: &[f32; ENTRIES]) -> bool;

    /// The entries less `least`, times `inverse`, as the nearest bytes, ties to even.
    fn round(&self, values: &[f32; ENTRIES], least: f32, inverse: f32) -> [u8; ENTRIES];
}

/// [`Sixteens`] of any CPU.
struct Plain;

impl Sixteens for Plain {
    #[inline(always)]
    fn reach(&self, values: &[f32; ENTRIES]) -> (f32, f32) {
        round::reach(values)
    }

    #[inline(always)]
    fn all_finite(&self, values: &[f32; ENTRIES]) -> bool {
        round::all_finite(values)
    }

    #[inline(always)]
    fn round(&self, values: &[f32; ENTRIES], least: f32, inverse: f32) -> [u8; ENTRIES] {
        values.map(|x| round::byte(round::within((x - least) * inverse, 0.0, 255.0)))
    }
}

/// See [`super::Quantise`].
pub(crate) fn quantise(tables: &[f32], entries: usize, bytes: &mut [u8]) -> Scale {
    quantise_by(&Plain, tables, entries, bytes)
}

/// As [`quantise`], sixteen entries at a time by `of`.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "sums of single precision")]
pub(crate) fn quantise_by(
    of: &impl Sixteens,
    tables: &[f32],
    entries: usize,
    bytes: &mut [u8],
) -> Scale {
    let parts = tables.len() / entries;
    let mut sums = reaches(of, tables, entries, f32::INFINITY);
    if sums.widest * parts as f32 > UNEVEN * sums.total as f32 {
        sums = reaches(of, tables, entries, useful_width(of, tables, entries));
    }
    let Reaches { bias, widest, total, largest } = sums;
    // Rounding adds up to half a step for each part to the largest sum.
    let room = (MOST_PARTS - parts) as f64;
    let step = widest.max((total / room * 255.0) as f32) / 255.0;
    let inverse = if step > 0.0 && step.is_finite() { 1.0 / step } else { 0.0 };
    bytes[tables.len()..].fill(0);
    for (table, bytes) in tables.chunks_exact(entries).zip(bytes.chunks_exact_mut(entries)) {
        let least = reach(of, table).0;
        let sixteens = bytes.as_chunks_mut::<ENTRIES>().0;
        for (values, bytes) in table.as_chunks::<ENTRIES>().0.iter().zip(sixteens) {
            *bytes = of.round(values, least, inverse);
        }
    }
    let step = if inverse > 0.0 { step } else { f32::MIN_POSITIVE };
    let slack = largest * f64::from(f32::EPSILON) * 8.0;
    let error = (parts as f64 * 0.5 * f64::from(step) + slack) as f32;
    Scale { step, bias: bias as f32, error }
}

/// What all tables reach together.
struct Reaches {
    /// The sum of the least entries.
    bias: f64,
    /// The most between the least and the largest entry of a table.
    widest: f32,
    /// The sum of that over all tables.
    total: f64,
    /// The sum of the largest magnitudes.
    largest: f64,
}

/// The reaches of `tables`, of each up to `limit` above its least entry.
#[inline(always)]
fn reaches(of: &impl Sixteens, tables: &[f32], entries: usize, limit: f32) -> Reaches {
    let mut sums = Reaches { bias: 0.0, widest: 0.0, total: 0.0, largest: 0.0 };
    for table in tables.chunks_exact(entries) {
        let (least, most) = reach(of, table);
        let most = round::within(most, least, least + limit);
        sums.bias += f64::from(least);
        sums.widest = sums.widest.max(most - least);
        sums.total += f64::from(most) - f64::from(least);
        sums.largest += f64::from(least.abs().max(most.abs()));
    }
    sums
}

/// How wide a table may be before its largest entries are as good as infinite: several times the
/// table in the middle of all. No limit where half of the tables have no width.
#[cold]
fn useful_width(of: &impl Sixteens, tables: &[f32], entries: usize) -> f32 {
    let width = |table: &[f32]| {
        let (least, most) = reach(of, table);
        most - least
    };
    let mut widths: Vec<f32> = tables.chunks_exact(entries).map(width).collect();
    let middle = widths.len() / 2;
    let middle = *widths.select_nth_unstable_by(middle, f32::total_cmp).1;
    if middle > 0.0 { middle * WIDEST } else { f32::INFINITY }
}

/// The least and the largest finite entry; 0 and 0 where there is none.
#[inline(always)]
fn reach(of: &impl Sixteens, table: &[f32]) -> (f32, f32) {
    let (mut least, mut most) = (f32::INFINITY, f32::NEG_INFINITY);
    for values in table.as_chunks::<ENTRIES>().0 {
        if !of.all_finite(values) {
            return reach_of_finite(table);
        }
        let (low, high) = of.reach(values);
        least = least.min(low);
        most = most.max(high);
    }
    (least, most)
}

#[cold]
fn reach_of_finite(table: &[f32]) -> (f32, f32) {
    let finite: Vec<f32> = table.iter().copied().filter(|x| x.is_finite()).collect();
    if finite.is_empty() { (0.0, 0.0) } else { round::reach(&finite) }
}
