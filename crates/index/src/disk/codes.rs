//! The codes that stay in memory: as good as a budget of bytes for each row allows.
//!
//! Vectors of floats that the budget gives four bits a dimension are coded so, in whole cache lines;
//! where not quite all dimensions fit, those that differ least are left out. All others have product
//! codes. Both order rows by estimates; exact scores come from the vectors.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use milvus_kernel::{distance, lvq4};
use milvus_types::KeyValue;

use crate::brute::row_number;
use crate::container::{Container, Tag};
use crate::error::OpenError;
use crate::graph::space::{Target, zero_bias};
use crate::ivf::kmeans::widen;
use crate::points::{self, Points};
use crate::product::{Product, ProductParams, ProductQuery};
use crate::score::Metric;
use crate::section::Section;
use crate::vectors::{VectorData, VectorRef};

const MEAN: Tag = *b"mean    ";
const KEPT: Tag = *b"kept    ";
const CODES: Tag = *b"codes   ";

/// Bytes of a cache line.
const LINE: usize = 64;
/// The share of dimensions that must fit for codes of four bits.
const MOST_FIT: f64 = 0.85;
/// Rows that means are taken of.
const SAMPLED: usize = 1 << 13;
/// Bits of a dimension that leave no more doubt than others; how many times as many nodes are read
/// in doubt at the most, and how many at the least.
const SURE: f64 = 4.0;
const MOST_DOUBT: f64 = 6.0;
const LEAST_IN_DOUBT: usize = 128;
/// Rows between two looks at whether to stop.
const BATCH: usize = 1024;

/// The codes of all rows.
pub(super) enum Codes {
    /// Four bits for each of the dimensions `kept` of a point, centred by `mean`.
    Four {
        mean: Section<f32>,
        kept: Section<u32>,
        rows: Section<u8>,
        stride: usize,
    },
    Product(Product),
}

/// A query beside codes.
pub(super) enum Query<'a> {
    Four { planes: Vec<i8>, head: lvq4::Head, rows: &'a [u8] },
    Product(ProductQuery<'a>),
}

/// Bytes of a four-bit code of `width` dimensions within `budget` bytes; `None` if that is too few.
fn four_stride(width: usize, budget: usize) -> Option<usize> {
    let stride = (budget / LINE * LINE).min(lvq4::stride(width));
    (lvq4::capacity(stride) as f64 >= MOST_FIT * width as f64).then_some(stride)
}

/// Parts of product codes of `dim` dimensions within `budget` bytes; the last may have fewer
/// dimensions than the others.
fn parts(dim: usize, budget: usize) -> usize {
    let most = budget.clamp(1, dim.max(1));
    dim.div_ceil(dim.div_ceil(most).max(1)).max(1)
}

/// Bytes of a row's code within `budget` bytes.
pub(super) fn row_bytes(dim: usize, width: usize, budget: usize) -> usize {
    four_stride(width, budget).unwrap_or_else(|| parts(dim, budget))
}

/// A mean of the points, and the dimensions that differ most from it, `most` of them.
fn spread(points: Points<'_>, (rows, width): (usize, usize), most: usize) -> (Vec<f32>, Vec<u32>) {
    let sampled = rows.min(SAMPLED);
    let (mut sums, mut squares) = (vec![0.0f64; width], vec![0.0f64; width]);
    let mut point = Vec::new();
    for n in 0..sampled {
        points.read(row_number(n * rows / sampled), &mut point);
        for ((sum, square), &x) in sums.iter_mut().zip(&mut squares).zip(&point) {
            *sum += f64::from(x);
            *square += f64::from(x) * f64::from(x);
        }
    }
    let count = sampled.max(1) as f64;
    #[expect(clippy::cast_possible_truncation, reason = "a mean of floats is a float")]
    let mean: Vec<f32> = sums.iter().map(|sum| (sum / count) as f32).collect();
    let variance = |at: u32| squares[at as usize] / count - (sums[at as usize] / count).powi(2);
    let mut kept: Vec<u32> = (0..width).map(row_number).collect();
    kept.sort_by(|&a, &b| variance(b).total_cmp(&variance(a)));
    kept.truncate(most);
    kept.sort_unstable();
    (mean.into_iter().map(|x| if x.is_finite() { x } else { 0.0 }).collect(), kept)
}

/// Centres `point`; the values of the dimensions `kept`, and the squared length of all.
fn centred(
    metric: Metric,
    point: &mut [f32],
    mean: &[f32],
    kept: &[u32],
    values: &mut Vec<f32>,
) -> f32 {
    let zero = zero_bias(metric, point);
    point.iter_mut().zip(mean).for_each(|(x, mean)| *x -= mean);
    values.clear();
    values.extend(kept.iter().map(|&at| point[at as usize]));
    distance::norm_squared(point) + zero
}

impl Codes {
    /// Encodes every row of `vectors`, seen as `points`, into about `budget` bytes each.
    pub(super) fn build(
        metric: Metric,
        (vectors, points): (&VectorData, Points<'_>),
        budget: usize,
        threads: usize,
        cancel: &AtomicBool,
    ) -> Self {
        let (count, dim) = (vectors.rows(), vectors.dim());
        let width = points::width(metric, dim);
        let Some(stride) = four_stride(width, budget) else {
            let params = ProductParams { m: parts(dim, budget), nbits: 8, stages: 1 };
            let all: Vec<u32> = (0..count).map(row_number).collect();
            let product = Product::build(metric, vectors, &all, &params, threads, cancel);
            return Self::Product(product);
        };
        let (mean, kept) = spread(points, (count, width), lvq4::capacity(stride));
        let mut rows = vec![0; count * stride];
        let share = count.div_ceil(threads.max(1)).max(1);
        thread::scope(|scope| {
            for (part, codes) in rows.chunks_mut(share * stride).enumerate() {
                let (mean, kept) = (&mean, &kept);
                scope.spawn(move || {
                    let (mut point, mut values) = (Vec::new(), Vec::new());
                    for (n, code) in codes.chunks_exact_mut(stride).enumerate() {
                        if n % BATCH == 0 && cancel.load(Relaxed) {
                            return;
                        }
                        points.read(row_number(part * share + n), &mut point);
                        let bias = centred(metric, &mut point, mean, kept, &mut values);
                        lvq4::encode(&values, bias, code);
                    }
                });
            }
        });
        Self::Four { mean: mean.into(), kept: kept.into(), rows: rows.into(), stride }
    }

    /// `query` beside the codes.
    pub(super) fn query(&self, metric: Metric, query: VectorRef<'_>) -> Query<'_> {
        let mut floats = Vec::new();
        match self {
            Self::Four { mean, kept, rows, stride } => {
                points::query(metric, query, &mut floats);
                let mut values = Vec::new();
                let bias =
                    centred(metric, &mut floats, mean.as_slice(), kept.as_slice(), &mut values);
                let mut planes = vec![0; stride * 2];
                let head = lvq4::encode_query(&values, bias, &mut planes);
                Query::Four { planes, head, rows: rows.as_slice() }
            }
            Self::Product(product) => {
                widen(metric, query, &mut floats);
                Query::Product(product.query(metric, &floats))
            }
        }
    }

    /// What a container keeps of it: parameters, and its sections.
    pub(super) fn parts(&self, dim: usize) -> (Vec<KeyValue>, Vec<(Tag, &[u8])>) {
        match self {
            Self::Four { mean, kept, rows, stride } => (
                vec![KeyValue::new("stride", stride.to_string())],
                vec![(MEAN, mean.as_bytes()), (KEPT, kept.as_bytes()), (CODES, rows.as_bytes())],
            ),
            Self::Product(product) => {
                let (params, sections) = product.parts(dim);
                (params, sections.to_vec())
            }
        }
    }

    /// Reads back what [`Self::parts`] says of codes of `vectors`.
    pub(super) fn open(
        metric: Metric,
        container: &Container,
        vectors: &VectorData,
    ) -> Result<Self, OpenError> {
        let Ok(stride) = container.header.number("stride") else {
            return Product::open(container, vectors).map(Self::Product);
        };
        let width = points::width(metric, vectors.dim());
        let kept: Section<u32> = container.section(KEPT, container.count::<u32>(KEPT))?;
        let dims = kept.as_slice();
        let fit = stride > 0 && stride.is_multiple_of(LINE) && dims.len() <= lvq4::capacity(stride);
        if !fit || dims.iter().any(|&at| at as usize >= width) {
            return Err(OpenError::malformed(format!(
                "{} dimensions in {stride} bytes",
                dims.len()
            )));
        }
        Ok(Self::Four {
            mean: container.section(MEAN, width)?,
            kept,
            rows: container.section(CODES, stride.saturating_mul(vectors.rows()))?,
            stride,
        })
    }

    /// How many nodes are worth reading where `list` are with codes of four bits for each of `dim`
    /// dimensions: shorter codes leave more rows that may be near.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    pub(super) fn list(&self, list: usize, dim: usize) -> usize {
        let Self::Product(product) = self else { return list };
        let doubt = SURE * dim as f64 / product.bits().max(1) as f64;
        if doubt <= 1.0 {
            return list;
        }
        ((list as f64 * (doubt * doubt).min(MOST_DOUBT)) as usize).max(LEAST_IN_DOUBT)
    }

    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Four { mean, kept, rows, .. } => mean.bytes() + kept.bytes() + rows.bytes(),
            Self::Product(product) => product.bytes(),
        }
    }
}

impl Query<'_> {
    /// Estimates of the distances to `rows`, into `out` of the same length; smaller is nearer.
    pub(super) fn distances(&self, of: &[u32], out: &mut [f32]) {
        match self {
            Self::Four { planes, head, rows } => {
                lvq4::Query::new(planes, *head, -2.0).gather(rows, of, out);
            }
            Self::Product(query) => query.distances(of, out),
        }
    }
}
