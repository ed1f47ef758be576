//! Rankers: one list of hits out of several, or a new order for one.
//!
//! A ranker is named by a function score, or by the older `strategy` and `params` of a hybrid
//! search ([`params`]); [`fuse`](fuse::fuse) gives every row its score, [`decay`] weighs it by a
//! field, and [`group`] keeps the best rows of the best groups. Scores are single-precision floats,
//! ties are broken by key.
//!
//! Not here: boosts, which segments apply before their hits are cut to the best.

pub(crate) mod decay;
pub(crate) mod fuse;
pub(crate) mod group;
pub(crate) mod params;

use milvus_types::{FieldSchema, MetricType, PrimaryKey};

use decay::Decay;

/// What is ranked: a row, or one element of a row.
pub(crate) type HitId = (PrimaryKey, Option<u32>);

/// How hits of several searches become one list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ranker {
    /// Reciprocal ranks: `1 / (k + rank)`.
    Rrf {
        /// The constant.
        k: f64,
    },
    /// Weighted scores.
    Weighted {
        /// One weight for each search.
        weights: Vec<f32>,
        /// Whether scores are brought between 0 and 1 first.
        normalize: bool,
    },
    /// Scores times a factor that falls with a field's distance from an origin.
    Decay(Decay),
}

impl Ranker {
    /// The field whose values are needed to rank.
    pub(crate) fn input(&self) -> Option<&FieldSchema> {
        match self {
            Self::Rrf { .. } | Self::Weighted { .. } => None,
            Self::Decay(decay) => Some(&decay.field),
        }
    }
}

/// Hits of one search for one query, best first.
pub(crate) type Ranking = Vec<(HitId, f32)>;

/// How scores of a metric are turned so that larger is better, where they are.
pub(crate) type Turn = fn(f32) -> f32;

/// A ranked hit and where it came from: the search, and its place in that search's list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ranked {
    pub(crate) id: HitId,
    pub(crate) score: f32,
    pub(crate) from: (usize, usize),
}

/// Scores of `metric` between 0 and 1, larger is better.
pub(crate) fn normalized(metric: MetricType) -> Turn {
    if metric == MetricType::Cosine {
        |score| (1.0 + score) * 0.5
    } else if metric == MetricType::Bm25 {
        |score| 2.0 * atan(score) / PI
    } else if metric.larger_is_better() {
        |score| 0.5 + atan(score) / PI
    } else {
        turned_round
    }
}

const PI: f32 = std::f32::consts::PI;

fn atan(score: f32) -> f32 {
    #[expect(clippy::cast_possible_truncation, reason = "scores are singles")]
    let angle = f64::from(score).atan() as f32;
    angle
}

/// A distance as a similarity between 0 and 1.
pub(crate) fn turned_round(distance: f32) -> f32 {
    1.0 - 2.0 * atan(distance) / PI
}
