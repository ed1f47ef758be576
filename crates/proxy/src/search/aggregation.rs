//! Search aggregation: the hits of a search in nested buckets by field values, each bucket with
//! metrics, its best hits and buckets of its own.
//!
//! The search behind it groups by all fields of all levels: as many groups as the levels' search
//! sizes multiply to, each with as many rows as the largest `top_hits`. [`compute`] folds those
//! rows into buckets.

mod compute;
mod plan;

pub(crate) use compute::{Row, compute};
pub(crate) use plan::{AggregationPlan, plan};
