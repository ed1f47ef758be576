//! Eight-bit codes of a chunk's float vectors, computed when its rows arrive.
//!
//! A vector `x` is kept as the chunk's mean plus what its code stands for, a quarter of the bytes,
//! together with the distance between the two: how far a score by code can be from the score of
//! `x` follows from it, so that a scan of codes leaves out no row that it should not
//! ([`crate::sieve`]). Codes do not depend on the metric, which a growing segment does not know.
//!
//! Not here: codes of an index, which are made for one metric (`milvus_index`).

use milvus_index::{VectorData, vectors::VectorRef};
use milvus_kernel::{distance, narrow::Narrow, sq8};
use milvus_types::{DataType, FieldSchema};

/// Chunks of fewer rows are read as they are; what is merged into larger ones soon needs no codes.
pub(crate) const CODED_ROWS: u32 = 512;
/// Vectors with numbers out of this range, zero apart, are not coded: their squares lose precision.
const SOUND: std::ops::RangeInclusive<f32> = 1e-12..=1e15;
/// Rows that are added in single precision before they are added up in double.
const SUMMED: usize = 256;

/// The codes of the vectors of one column of a chunk.
#[derive(Debug)]
pub(crate) struct Codes {
    /// What was taken from every vector.
    pub(crate) mean: Box<[f32]>,
    /// Rows of [`sq8::stride`] bytes, without bias.
    pub(crate) rows: Box<[u8]>,
    /// What goes with each row's code.
    pub(crate) beside: Box<[Beside]>,
}

/// What is known of a row beside its code.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Beside {
    /// At least the distance of the vector from what its code stands for; infinite where the code
    /// says nothing about the vector.
    pub(crate) error: f32,
    /// The length of what the code stands for.
    pub(crate) length: f32,
    /// One over the length of the vector; 0 of zero vectors.
    pub(crate) inverse_norm: f32,
}

impl Codes {
    /// The codes of `vectors`; `None` where reading codes is no cheaper than reading vectors.
    pub(crate) fn of(vectors: &VectorData) -> Option<Self> {
        let dim = vectors.dim();
        row_bytes(vectors.data_type(), dim)?;
        let (stride, len) = (sq8::stride(dim), vectors.rows());
        let mean = mean(vectors);
        let mut codes = Self {
            mean: mean.into(),
            rows: vec![0; stride * len].into(),
            beside: vec![Beside::default(); len].into(),
        };
        let mut floats = Vec::with_capacity(dim);
        let mut coder = Coder::new(&codes.mean);
        let rows = codes.rows.chunks_exact_mut(stride).zip(&mut codes.beside);
        for (vector, (code, beside)) in vectors.iter().zip(rows) {
            let vector = widen(vector, &mut floats);
            let norm = distance::norm_squared(vector);
            let Fit { error, length } = coder.encode(vector, code);
            let error = if norm.is_finite() { error } else { f32::INFINITY };
            *beside = Beside { error, length, inverse_norm: distance::inverse_norm(norm) };
        }
        Some(codes)
    }

    /// Bytes of memory it holds.
    pub(crate) fn bytes(&self) -> u64 {
        let beside = size_of_val::<[Beside]>(&self.beside);
        (self.rows.len() + beside + size_of_val::<[f32]>(&self.mean)) as u64
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
    let coded = sq8::stride(dim) + size_of::<Beside>();
    (coded * 3 <= bytes * 2).then_some(coded)
}

/// How well a code stands for a vector.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fit {
    /// At least the distance of the two.
    pub(crate) error: f32,
    /// The length of what the code stands for.
    pub(crate) length: f32,
}

/// Turns vectors into codes.
pub(crate) struct Coder<'m> {
    mean: &'m [f32],
    centred: Vec<f32>,
    decoded: Vec<f32>,
}

impl<'m> Coder<'m> {
    /// A coder that takes `mean` from every vector.
    pub(crate) fn new(mean: &'m [f32]) -> Self {
        let dim = mean.len();
        Self { mean, centred: Vec::with_capacity(dim), decoded: vec![0.0; dim] }
    }

    /// Encodes `vector` into `row`, of [`sq8::stride`] bytes.
    pub(crate) fn encode(&mut self, vector: &[f32], row: &mut [u8]) -> Fit {
        self.centred.clear();
        self.centred.extend(vector.iter().zip(self.mean).map(|(x, mean)| x - mean));
        let length = sq8::encode(&self.centred, row).sqrt();
        let scale = sq8::scale(row);
        for (value, &code) in self.decoded.iter_mut().zip(&row[sq8::HEADER..]) {
            *value = scale * (f32::from(code) - 128.0);
        }
        let error = distance::l2(&self.centred, &self.decoded).sqrt();
        // The vector less the mean is itself rounded, as is everything computed from it.
        let rounding = rounding(vector.len());
        let error = error * (1.0 + rounding) + (length + error) * f32::EPSILON;
        let most = self.centred.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        let sound = most == 0.0 || SOUND.contains(&most);
        // NaN is no maximum, but makes the error one.
        let sound = sound && error.is_finite() && length.is_finite();
        Fit { error: if sound { error } else { f32::INFINITY }, length }
    }
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

/// The mean of `vectors`, 0 where that is no number.
fn mean(vectors: &VectorData) -> Vec<f32> {
    let mut sums = vec![0.0f64; vectors.dim()];
    let mut part = vec![0.0f32; vectors.dim()];
    let mut floats = Vec::new();
    for (row, vector) in (1..).zip(vectors.iter()) {
        let vector = widen(vector, &mut floats);
        part.iter_mut().zip(vector).for_each(|(sum, x)| *sum += x);
        if row % SUMMED == 0 || row == vectors.rows() {
            sums.iter_mut()
                .zip(&mut part)
                .for_each(|(sum, x)| *sum += f64::from(std::mem::take(x)));
        }
    }
    let rows = vectors.rows().max(1) as f64;
    #[expect(clippy::cast_possible_truncation, reason = "a mean of floats is a float")]
    let mean = sums.into_iter().map(|sum| (sum / rows) as f32);
    mean.map(|x| if x.is_finite() { x } else { 0.0 }).collect()
}
