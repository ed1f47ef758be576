//! The sieve of a query: which rows of a chunk can be among the best, judged by their codes.
//!
//! It never holds back a row that it should let through. With query `q`, vector `x`, mean `m` and
//! codes standing for `q' ~ q` and `y' ~ x - m`, at distances `e(q)` and `e(x)` from what they stand
//! for, Cauchy and Schwarz give
//!
//! - inner product: `|<q, x> - <q, m> - <q', y'>| <= |q| e(x) + e(q) |y'|`; COSINE is the same over
//!   the lengths of `q` and `x`;
//! - L2, where `q'` stands for `q - m`: `| |q - x| - |q' - y'| | <= e(q) + e(x)`.
//!
//! With four bits a dimension `e(x)` is about a ninth of `|x - m|`, which holds back all but a few
//! rows of a hundred thousand where vectors mean something, and nine of ten where they are noise;
//! with four more bits it is a sixteenth of that. What single precision may lose, here and in exact
//! scores, is added to the errors ([`rounding`]).

use milvus_kernel::prefetch::{CACHE_LINE, prefetch_lines};
use milvus_kernel::short_codes::Query;
use milvus_kernel::{Scored, distance};
use milvus_types::MetricType;

use crate::codes::{Beside, Codes, Fit, fit, layout, rounding};

/// Rows that are judged at once.
pub(crate) const TILE: usize = 64;
/// Rows whose products are computed at once, and how many rows ahead of them codes are asked for.
const STEP: usize = 8;
const AHEAD: usize = 40;
/// What is lost in the few sums and products of a judgement, in units of [`rounding`].
const SUMS: f32 = 4.0;

/// A query beside the codes of a chunk.
pub(crate) struct Sieve<'c> {
    codes: &'c Codes,
    query: Query,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    L2 {
        /// `|q'|` squared.
        square: f32,
        error: f32,
        /// The share of the squares that may be lost.
        lost: f32,
    },
    /// `by_error * e(x) + by_length * |y'| + offset` is to be added to `<q', y'>`.
    Product {
        by_error: f32,
        by_length: f32,
        offset: f32,
        /// Of COSINE, the length of the query and the share of it that may be lost.
        cosine: Option<(f32, f32)>,
    },
}

impl<'c> Sieve<'c> {
    /// The sieve of `query`; `None` where codes say nothing about it: of other metrics, and of
    /// numbers too large or too small.
    pub(crate) fn new(metric: MetricType, query: &[f32], codes: &'c Codes) -> Option<Self> {
        if query.len() != codes.mean.len() {
            return None;
        }
        let mut centred = query.to_vec();
        #[expect(clippy::wildcard_enum_match_arm, reason = "the others are not of floats")]
        match metric {
            MetricType::L2 => {
                centred.iter_mut().zip(&codes.mean).for_each(|(x, mean)| *x -= mean);
            }
            MetricType::Ip | MetricType::Cosine => {}
            _ => return None,
        }
        let coded = Query::new(layout(query.len()), &centred, 0.0, 1.0);
        let mut decoded = vec![0.0; query.len()];
        coded.decode(&mut decoded);
        let Fit { error, length } = fit(&centred, &decoded);
        let lost = SUMS * rounding(query.len());
        let kind = if metric == MetricType::L2 {
            Kind::L2 { square: length * length, error, lost }
        } else {
            let norm = distance::norm_squared(query).sqrt();
            let mean = distance::norm_squared(&codes.mean).sqrt();
            Kind::Product {
                by_error: norm * (1.0 + lost),
                by_length: error + lost * norm,
                offset: distance::ip(query, &codes.mean) + lost * norm * mean,
                cosine: (metric == MetricType::Cosine).then_some((norm, lost)),
            }
        };
        let sound = error.is_finite() && length.is_finite();
        let zero = matches!(kind, Kind::Product { cosine: Some((norm, _)), .. } if norm == 0.0);
        (sound && !zero).then_some(Self { codes, query: coded, kind })
    }

    /// Those of the `live` ones among `len` rows from `first` on, at most [`TILE`], whose distance may
    /// be `bound` or less, each with a distance that it cannot be below, into `passed`. A distance is
    /// L2, or a similarity with its sign turned.
    pub(crate) fn tile(
        &self,
        (first, len): (usize, usize),
        live: u64,
        bound: f32,
        passed: &mut Vec<Scored>,
    ) {
        let stride = self.query.layout().stride();
        let mut products = [0.0; TILE];
        let products = &mut products[..len];
        for (n, products) in products.chunks_mut(STEP).enumerate() {
            let start = (first + n * STEP) * stride;
            let ahead = self.codes.coarse.get(start + AHEAD * stride..).unwrap_or_default();
            prefetch_lines(ahead, (products.len() * stride).div_ceil(CACHE_LINE));
            self.query.block(&self.codes.coarse[start..][..products.len() * stride], products);
        }
        let beside = &self.codes.beside[first..][..len];
        let rows = products.iter().zip(beside).map(|(product, beside)| (*product, *beside));
        let passing = live & self.judge(rows, bound);
        passed.extend(ones(passing).map(|n| {
            let lower = self.lower(products[n as usize], beside[n as usize]);
            Scored::new(lower, row_number(first) + n)
        }));
    }

    /// As [`Self::tile`], of the rows named by `rows`.
    pub(crate) fn gather(&self, rows: &[u32], bound: f32, passed: &mut Vec<Scored>) {
        let mut products = [0.0; TILE];
        let products = &mut products[..rows.len()];
        self.query.gather(&self.codes.coarse, rows, products);
        let beside = |n: usize| self.codes.beside[rows[n] as usize];
        let judged = products.iter().enumerate().map(|(n, product)| (*product, beside(n)));
        passed.extend(ones(self.judge(judged, bound)).map(|n| {
            let n = n as usize;
            Scored::new(self.lower(products[n], beside(n)), rows[n])
        }));
    }

    /// Raises the distances that the rows of `passed` cannot be below by what all bits of their codes
    /// say.
    pub(crate) fn refine(&self, passed: &mut [Scored]) {
        for passed in passed.chunks_mut(TILE) {
            let (mut rows, mut coarse, mut fine) = ([0; TILE], [0.0; TILE], [0.0; TILE]);
            let len = passed.len();
            for (row, passed) in rows.iter_mut().zip(&*passed) {
                *row = passed.row();
            }
            self.query.gather(&self.codes.coarse, &rows[..len], &mut coarse[..len]);
            self.query.gather(&self.codes.fine, &rows[..len], &mut fine[..len]);
            for (n, passed) in passed.iter_mut().enumerate() {
                let row = rows[n] as usize;
                let beside = Beside { fit: self.codes.fits[row], ..self.codes.beside[row] };
                let lower = self.lower(coarse[n] + fine[n], beside);
                *passed = (*passed).max(Scored::new(lower, rows[n]));
            }
        }
    }

    /// Which of `rows`, given by their products, may be within `bound`. Comparisons are such that NaN
    /// lets a row through.
    #[expect(clippy::neg_cmp_op_on_partial_ord, reason = "NaN is no reason to hold a row back")]
    fn judge(&self, rows: impl Iterator<Item = (f32, Beside)> + Clone, bound: f32) -> u64 {
        let bound = if bound.is_nan() { f32::INFINITY } else { bound };
        match self.kind {
            Kind::L2 { square, error, lost } => {
                let reach = bound.max(0.0).sqrt() * (1.0 + lost) + error;
                bits(rows, |product, row| {
                    let squares = (square + row.fit.length * row.fit.length) * (1.0 - lost);
                    let reach = reach + row.fit.error;
                    !(squares - 2.0 * product > reach * reach)
                })
            }
            Kind::Product { by_error, by_length, offset, cosine: None } => {
                bits(rows, |product, row| {
                    let most =
                        product + by_error * row.fit.error + by_length * row.fit.length + offset;
                    !(most < -bound)
                })
            }
            Kind::Product { by_error, by_length, offset, cosine: Some((norm, lost)) } => {
                let least = (-bound - lost) * norm;
                bits(rows, |product, row| {
                    let most =
                        product + by_error * row.fit.error + by_length * row.fit.length + offset;
                    !(most * row.inverse_norm < least)
                })
            }
        }
    }

    /// A distance that the row with `product` cannot be below.
    fn lower(&self, product: f32, row: Beside) -> f32 {
        let lower = match self.kind {
            Kind::L2 { square, error, lost } => {
                let squares =
                    (square + row.fit.length * row.fit.length) * (1.0 - lost) - 2.0 * product;
                let reach = (squares.max(0.0).sqrt() - error - row.fit.error).max(0.0);
                reach * reach * (1.0 - lost) * (1.0 - lost)
            }
            Kind::Product { by_error, by_length, offset, cosine } => {
                let most = product + by_error * row.fit.error + by_length * row.fit.length + offset;
                match cosine {
                    None => -most,
                    Some((norm, lost)) => -most * row.inverse_norm / norm - lost,
                }
            }
        };
        if lower.is_nan() { f32::NEG_INFINITY } else { lower }
    }
}

/// A bit for each of `rows` that passes, mostly none.
#[inline(always)]
fn bits(
    rows: impl Iterator<Item = (f32, Beside)> + Clone,
    passes: impl Fn(f32, Beside) -> bool,
) -> u64 {
    if !rows.clone().fold(false, |any, (product, row)| any | passes(product, row)) {
        return 0;
    }
    let each = rows.enumerate();
    each.fold(0, |bits, (n, (product, row))| bits | u64::from(passes(product, row)) << n)
}

/// The positions of the bits of `word` that are 1.
pub(crate) fn ones(mut word: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let n = (word != 0).then(|| word.trailing_zeros())?;
        word &= word - 1;
        Some(n)
    })
}

/// A row of a chunk as a row number.
#[expect(clippy::cast_possible_truncation, reason = "chunks have fewer rows than 2^32")]
pub(crate) fn row_number(row: usize) -> u32 {
    row as u32
}

#[cfg(test)]
mod tests;
