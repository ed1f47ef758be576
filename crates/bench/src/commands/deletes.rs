//! `deletes`: searches after rows were deleted, at random or cluster by cluster.
//!
//! A deleted row stays in the index until the segment is compacted; searches are told which rows
//! are live. Clustered deletes take whole neighbourhoods, as when a tenant or a topic is removed.

use clap::Args;
use milvus_index::exact_search;
use milvus_kernel::Bitset;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;

use crate::commands::filters::by_score;
use crate::dataset::{Dataset, Truth};
use crate::gauge::median;
use crate::knobs::search_params;
use crate::options::{DataOptions, IndexOptions};
use crate::trial::{Live, Trial};
use crate::{Outcome, say};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    data: DataOptions,
    #[command(flatten)]
    index: IndexOptions,
    /// Shares of the rows that are deleted, in percent.
    #[arg(long, value_delimiter = ',', default_value = "10,30,50")]
    percents: Vec<u32>,
    /// How to search, a JSON object.
    #[arg(long, default_value = r#"{"ef":64}"#)]
    setting: String,
    /// Passes for each figure.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// Of the rows that are deleted.
    #[arg(long, default_value_t = 20_251)]
    seed: u64,
}

pub(crate) fn run(options: &Options) -> Outcome<()> {
    let data = options.data.open()?;
    let built = options.index.build(&data)?;
    let k = options.index.k;
    let setting = serde_json::from_str(&options.setting)?;
    let params = search_params(options.index.index, k, &setting)?;
    let whole = Trial { index: &*built.subject.index, queries: &data.queries, k, live: Live::All };
    let truth = options.data.truth(&data, k)?;
    let mut cells = vec![json!({
        "percent": 0, "deleted": "none",
        "recall": truth.recall(&whole.pass(&params, 1).answers), "ratio": 1.0,
    })];
    let mut random = StdRng::seed_from_u64(options.seed);
    for &percent in &options.percents {
        for clustered in [false, true] {
            let live = survivors(&data, percent, clustered, &mut random)?;
            let exact = exact_search(data.metric, &data.queries, &data.base, Some(&live), k)?;
            let trial = Trial { live: Live::Same(&live), ..whole };
            let recall = Truth::of(k, &exact).recall(&trial.pass(&params, 1).answers);
            let (mut before, mut after) = (Vec::new(), Vec::new());
            for _ in 0..options.repeats.max(1) {
                before.push(whole.pass(&params, 1).qps_cpu());
                after.push(trial.pass(&params, 1).qps_cpu());
            }
            let (before, after) = (median(before), median(after));
            let deleted = if clustered { "clustered" } else { "random" };
            cells.push(json!({"percent": percent, "deleted": deleted, "recall": recall,
                              "qps_cpu": after, "ratio": after / before}));
        }
    }
    say(&json!({
        "data": data.name, "rows": data.base.rows(), "dim": data.base.dim(),
        "metric": data.metric.name(), "index": options.index.index.name(),
        "params": options.index.given(), "k": k, "setting": setting, "seed": options.seed,
        "cpu": milvus_kernel::cpu(), "cells": cells,
    }));
    Ok(())
}

/// The rows that are left when `percent` of them are gone.
fn survivors(
    data: &Dataset,
    percent: u32,
    clustered: bool,
    random: &mut StdRng,
) -> Outcome<Bitset> {
    let rows = data.base.rows();
    let mut live = Bitset::ones(rows);
    let goal = rows * (100 - percent.min(100)) as usize / 100;
    let patch = (rows / 100).max(1);
    while live.count() > goal {
        let row = random.random_range(0..u32::try_from(rows)?);
        if !clustered {
            live.clear(row as usize);
            continue;
        }
        for neighbour in by_score(data, row)?.into_iter().take(patch) {
            live.clear(neighbour as usize);
        }
    }
    Ok(live)
}
