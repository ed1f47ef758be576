//! Codes of a chunk's float vectors, four bits for each dimension and four more, computed when its
//! rows arrive.
//!
//! A vector `x` is kept as the chunk's mean plus what its code stands for, together with the distance
//! between the two: how far a score by code can be from the score of `x` follows from it, so that a
//! scan of codes leaves out no row that it should not ([`crate::sieve`]). Every search reads the
//! first four bits, an eighth of the vectors' bytes; the others of the rows that those let through.
//! Codes do not depend on the metric, which a growing segment does not know.
//!
//! Not here: codes of an index, which are made for one metric (`milvus_index`).

use std::ops::Range;

use milvus_index::{VectorData, vectors::VectorRef};
use milvus_kernel::short_codes::{Layout, Width};
use milvus_kernel::{distance, narrow::Narrow};
use milvus_types::{DataType, FieldSchema};

/// Chunks of fewer rows are read as they are; what is merged into larger ones soon needs no codes.
pub(crate) const CODED_ROWS: u32 = 512;
/// Vectors with numbers out of this range, zero apart, are not coded: their squares lose precision.
const SOUND: std::ops::RangeInclusive<f32> = 1e-12..=1e15;
/// A mean is kept as long as its squared distance from that of newer rows, so many times, is no more
/// than that of most rows from it.
const OFF_CENTRE: f32 = 32.0;
/// Rows that say how long vectors usually are, and the multiple of their squared length beyond which one
/// is too far out for the mean of all.
const SAMPLED: usize = 64;
const FAR: f32 = 64.0;
/// Rows that are added in single precision before they are added up in double.
const SUMMED: usize = 256;

/// The codes of the vectors of one column of a chunk.
#[derive(Debug)]
pub(crate) struct Codes {
    /// What was taken from every vector.
    pub(crate) mean: Box<[f32]>,
    /// The first four bits, rows of [`layout`]'s.
    pub(crate) coarse: Box<[u8]>,
    /// What goes with each row's.
    pub(crate) beside: Box<[Beside]>,
    /// Four bits more.
    pub(crate) fine: Box<[u8]>,
    /// How well both together stand for the vectors.
    pub(crate) fits: Box<[Fit]>,
}

/// What is known of a row beside its first four bits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Beside {
    /// How well they stand for the vector.
    pub(crate) fit: Fit,
    /// One over the length of the vector; 0 of zero vectors.
    pub(crate) inverse_norm: f32,
}

/// How well a code stands for a vector.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fit {
    /// At least the distance of the two; infinite where the code says nothing about the vector.
    pub(crate) error: f32,
    /// The length of what the code stands for.
    pub(crate) length: f32,
}

impl Fit {
    /// Of a code that says nothing about its vector.
    const UNSOUND: Self = Self { error: f32::INFINITY, length: 0.0 };
}

/// The shape of the codes of vectors of `dim` dimensions.
pub(crate) fn layout(dim: usize) -> Layout {
    Layout::new(Width::Four, dim)
}

impl Codes {
    /// As [`Self::after`] where nothing was coded before.
    #[cfg(test)]
    pub(crate) fn of(vectors: &VectorData) -> Option<Self> {
        Self::after(vectors, None, &[])
    }

    /// The codes of `vectors`; `None` where reading codes is no cheaper than reading vectors.
    ///
    /// `parts` are the codes of some of the vectors, each with the number of its first row, and `before`
    /// those of the chunk before. If the mean of either still is in the middle of the vectors it is
    /// kept, and vectors that have codes by it are not coded again.
    pub(crate) fn after(
        vectors: &VectorData,
        before: Option<&Self>,
        parts: &[(usize, &Self)],
    ) -> Option<Self> {
        let dim = vectors.dim();
        row_bytes(vectors.data_type(), dim)?;
        let (stride, len) = (layout(dim).stride(), vectors.rows());
        let longest = parts.iter().map(|(_, part)| *part).max_by_key(|part| part.beside.len());
        let mean = mean(vectors);
        let known = longest.or(before).filter(|known| known.is_centred_on(&mean));
        let mut codes = Self {
            mean: known.map_or_else(|| mean.into(), |known| known.mean.clone()),
            coarse: vec![0; stride * len].into(),
            beside: vec![Beside::default(); len].into(),
            fine: vec![0; stride * len].into(),
            fits: vec![Fit::default(); len].into(),
        };
        let mut next = 0;
        for (first, part) in parts {
            if part.mean != codes.mean {
                continue;
            }
            codes.encode(vectors, next..*first);
            next = first + part.beside.len();
            codes.coarse[first * stride..next * stride].copy_from_slice(&part.coarse);
            codes.fine[first * stride..next * stride].copy_from_slice(&part.fine);
            codes.beside[*first..next].copy_from_slice(&part.beside);
            codes.fits[*first..next].copy_from_slice(&part.fits);
        }
        codes.encode(vectors, next..len);
        Some(codes)
    }

    /// Codes the `rows` of `vectors`.
    fn encode(&mut self, vectors: &VectorData, rows: Range<usize>) {
        let stride = layout(vectors.dim()).stride();
        let Self { mean, coarse, beside, fine, fits } = self;
        let (mut floats, mut coder) = (Vec::new(), Coder::new(mean));
        for row in rows {
            let vector = widen(vectors.row(row), &mut floats);
            let at = row * stride..(row + 1) * stride;
            let [first, both] = coder.encode(vector, &mut coarse[at.clone()], &mut fine[at]);
            let norm = distance::norm_squared(vector);
            let sound = |fit: Fit| if norm.is_finite() { fit } else { Fit::UNSOUND };
            let inverse_norm = distance::inverse_norm(norm);
            beside[row] = Beside { fit: sound(first), inverse_norm };
            fits[row] = sound(both);
        }
    }

    /// Whether codes that take its mean from vectors whose own is `mean` are hardly worse.
    fn is_centred_on(&self, mean: &[f32]) -> bool {
        let usual = median(self.beside.iter().map(|row| row.fit.length).collect());
        self.mean.len() == mean.len()
            && distance::l2(&self.mean, mean) * OFF_CENTRE <= usual * usual
    }

    /// Bytes of memory it holds.
    pub(crate) fn bytes(&self) -> u64 {
        let beside = size_of_val::<[Beside]>(&self.beside) + size_of_val::<[Fit]>(&self.fits);
        let codes = self.coarse.len() + self.fine.len();
        (codes + beside + size_of_val::<[f32]>(&self.mean)) as u64
    }
}

/// Bytes that the codes of a row of `field` take; `None` where its vectors are not coded.
pub(crate) fn coded_row_bytes(field: &FieldSchema) -> Option<usize> {
    row_bytes(field.data_type, field.dim()?)
}

/// Bytes of memory that a growing segment takes for the codes of so many rows of `fields`, beside the
/// rows' own.
pub fn code_bytes(fields: &[FieldSchema], rows: usize) -> u64 {
    let row: usize = fields.iter().filter_map(coded_row_bytes).sum();
    (row * rows) as u64
}

/// Bytes that the codes of a vector take; `None` where that is hardly less than the vector's own.
fn row_bytes(data_type: DataType, dim: usize) -> Option<usize> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "other vectors are no floats")]
    let bytes = match data_type {
        DataType::FloatVector => dim * 4,
        DataType::Float16Vector | DataType::BFloat16Vector => dim * 2,
        _ => return None,
    };
    let coded = 2 * layout(dim).stride() + size_of::<Beside>() + size_of::<Fit>();
    (coded * 3 <= bytes * 2).then_some(coded)
}

/// Turns vectors into codes.
struct Coder<'m> {
    mean: &'m [f32],
    centred: Vec<f32>,
    decoded: Vec<f32>,
    codes: Vec<u8>,
}

impl<'m> Coder<'m> {
    /// A coder that takes `mean` from every vector.
    fn new(mean: &'m [f32]) -> Self {
        let dim = mean.len();
        Self { mean, centred: vec![0.0; dim], decoded: vec![0.0; dim], codes: vec![0; dim] }
    }

    /// Encodes `vector` into two rows: how well the first stands for it, and both.
    fn encode(&mut self, vector: &[f32], coarse: &mut [u8], fine: &mut [u8]) -> [Fit; 2] {
        let Self { mean, centred, decoded, codes } = self;
        for ((centred, x), mean) in centred.iter_mut().zip(vector).zip(*mean) {
            *centred = x - mean;
        }
        let step = layout(mean.len()).encode_split(centred, codes, coarse, fine);
        for (value, &code) in decoded.iter_mut().zip(&*codes) {
            *value = 16.0 * step * (2.0 * f32::from(code >> 4) - 15.0);
        }
        let first = fit(centred, decoded);
        for (value, &code) in decoded.iter_mut().zip(&*codes) {
            *value = step * (2.0 * f32::from(code) - 255.0);
        }
        [first, fit(centred, decoded)]
    }
}

/// How well `decoded` stands for a vector that, less the mean, is `centred`.
pub(crate) fn fit(centred: &[f32], decoded: &[f32]) -> Fit {
    let length = distance::norm_squared(decoded).sqrt();
    let error = distance::l2(centred, decoded).sqrt();
    // The vector less the mean is itself rounded, as is everything computed from it.
    let rounding = rounding(centred.len());
    let error = error * (1.0 + rounding) + (length + error) * (f32::EPSILON + rounding);
    let most = centred.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    let sound = most == 0.0 || SOUND.contains(&most);
    // NaN is no maximum, but makes the error one.
    let sound = sound && error.is_finite() && length.is_finite();
    Fit { error: if sound { error } else { f32::INFINITY }, length }
}

/// How far sums over `dim` products, in eight lanes or more, can be off, as a share of the sum of the
/// products' sizes.
pub(crate) fn rounding(dim: usize) -> f32 {
    (dim as f32 / 8.0 + 16.0) * f32::EPSILON
}

/// The numbers of `vector` as 32-bit floats, in `buffer` unless they are; none where they are no
/// floats.
pub(crate) fn widen<'a>(vector: VectorRef<'a>, buffer: &'a mut Vec<f32>) -> &'a [f32] {
    fn fill<'a, T: Narrow>(numbers: &[T], buffer: &'a mut Vec<f32>) -> &'a [f32] {
        buffer.clear();
        buffer.extend(numbers.iter().map(|x| x.widen()));
        buffer
    }
    match vector {
        VectorRef::Float(numbers) => numbers,
        VectorRef::Float16(numbers) => fill(numbers, buffer),
        VectorRef::BFloat16(numbers) => fill(numbers, buffer),
        VectorRef::Int8(_) | VectorRef::Binary(_) | VectorRef::Sparse(_) => &[],
    }
}

/// The mean of `vectors` without those far longer than most, 0 where that is no number.
fn mean(vectors: &VectorData) -> Vec<f32> {
    let mut sums = vec![0.0f64; vectors.dim()];
    let mut part = vec![0.0f32; vectors.dim()];
    let mut floats = Vec::new();
    let step = vectors.rows().div_ceil(SAMPLED).max(1);
    let sample = (0..vectors.rows()).step_by(step);
    let usual = median(
        sample.map(|row| distance::norm_squared(widen(vectors.row(row), &mut floats))).collect(),
    );
    let most = if usual > 0.0 { usual * FAR } else { f32::INFINITY };
    let mut counted = 0usize;
    for vector in vectors.iter() {
        let vector = widen(vector, &mut floats);
        if distance::norm_squared(vector) <= most {
            part.iter_mut().zip(vector).for_each(|(sum, x)| *sum += x);
            counted += 1;
            if counted.is_multiple_of(SUMMED) {
                add_up(&mut sums, &mut part);
            }
        }
    }
    add_up(&mut sums, &mut part);
    let rows = counted.max(1) as f64;
    #[expect(clippy::cast_possible_truncation, reason = "a mean of floats is a float")]
    let mean = sums.into_iter().map(|sum| (sum / rows) as f32);
    mean.map(|x| if x.is_finite() { x } else { 0.0 }).collect()
}

/// Moves what `part` has into `sums`.
fn add_up(sums: &mut [f64], part: &mut [f32]) {
    sums.iter_mut().zip(part).for_each(|(sum, x)| *sum += f64::from(std::mem::take(x)));
}

/// The middle one of `values`; 0 of none.
fn median(mut values: Vec<f32>) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIM: usize = 64;

    fn rows(first: usize, count: usize, offset: f32) -> VectorData {
        let value = |n: usize| offset + ((n * n + 3 * n) as f32 * 0.731).sin();
        let values = (first * DIM..(first + count) * DIM).map(value).collect();
        VectorData::floats(values, DIM).unwrap()
    }

    fn all(first: &VectorData, second: &VectorData) -> VectorData {
        let floats = |rows: &VectorData| -> Vec<f32> {
            let mut buffer = Vec::new();
            rows.iter().flat_map(|row| widen(row, &mut buffer).to_vec()).collect()
        };
        let values = [floats(first), floats(second)];
        VectorData::floats(values.concat(), DIM).unwrap()
    }

    #[test]
    fn rows_that_follow_keep_the_mean_and_merged_ones_their_codes() {
        let (first, second) = (rows(0, 600, 5.0), rows(600, 700, 5.0));
        let one = Codes::of(&first).unwrap();
        let two = Codes::after(&second, Some(&one), &[]).unwrap();
        assert_eq!(one.mean, two.mean);
        let merged = all(&first, &second);
        let copied = Codes::after(&merged, None, &[(0, &one), (600, &two)]).unwrap();
        assert_eq!(copied.mean, one.mean);
        // As if all had been coded now, and as if some had.
        for parts in [&[(0, &one)][..], &[(600, &two)]] {
            let again = Codes::after(&merged, Some(&one), parts).unwrap();
            assert_eq!((&again.coarse, &again.fine), (&copied.coarse, &copied.fine));
            for (again, copied) in again.fits.iter().zip(&copied.fits) {
                assert_eq!((again.error, again.length), (copied.error, copied.length));
            }
        }
    }

    #[test]
    fn rows_elsewhere_get_a_mean_of_their_own() {
        let (first, second) = (rows(0, 600, 5.0), rows(600, 700, 9.0));
        let one = Codes::of(&first).unwrap();
        let two = Codes::after(&second, Some(&one), &[]).unwrap();
        assert!(distance::l2(&one.mean, &two.mean) > 900.0);
        let merged = Codes::after(&all(&first, &second), None, &[(0, &one), (600, &two)]).unwrap();
        let worst = |codes: &Codes| codes.fits.iter().fold(0.0f32, |most, fit| most.max(fit.error));
        assert!(worst(&merged) < 5.0 * worst(&one));
    }
}
