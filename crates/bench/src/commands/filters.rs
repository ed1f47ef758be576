//! `filters`: searches that may find only some rows, against the same searches over all rows.
//!
//! For each selectivity three filters: *random* rows; *correlated* ones, the nearest to a neighbour
//! of the query, as when users filter by what they search for; *anti-correlated* ones, the farthest
//! from it, the hardest case of a graph. Correlated filters differ from query to query.

use clap::Args;
use milvus_index::{Hit, SearchParams, exact_search, score_all};
use milvus_kernel::Bitset;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::dataset::{Dataset, Truth};
use crate::gauge::{self, median};
use crate::knobs::{knobs, search_params};
use crate::options::{DataOptions, IndexOptions};
use crate::target::{Probe, Search};
use crate::trial::{Live, Trial};
use crate::{Outcome, say};

/// Neighbours of a query among which the middle of its correlated filter is drawn.
const NEIGHBOURS: usize = 100;

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    data: DataOptions,
    #[command(flatten)]
    index: IndexOptions,
    /// Shares of the rows that pass, in percent.
    #[arg(long, value_delimiter = ',', default_value = "50,10,1,0.1,0.01")]
    percents: Vec<f64>,
    /// Recall that the setting reaches over all rows; the same setting is used under filters.
    #[arg(long, default_value_t = 0.95)]
    target: f64,
    /// The setting, in place of a recall to reach.
    #[arg(long)]
    setting: Option<String>,
    /// Queries that are filtered; each has filters of its own.
    #[arg(long, default_value_t = 200)]
    filtered: usize,
    /// Passes for each figure.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// Of the rows that random filters pass.
    #[arg(long, default_value_t = 20_251)]
    seed: u64,
}

pub(crate) fn run(options: &Options) -> Outcome<()> {
    let data = options.data.open()?;
    let truth = options.data.truth(&data, options.index.k)?;
    let built = options.index.build(&data)?;
    let index = &*built.subject.index;
    let k = options.index.k;
    let all = Trial { index, queries: &data.queries, k, live: Live::All };
    let setting = setting(options, all, &truth)?;
    let params = search_params(options.index.index, k, &setting)?;
    let some = u32::try_from(options.filtered.min(data.queries.rows()))?;
    let queries = data.queries.take(&(0..some).collect::<Vec<_>>());
    let orders = Orders::new(&data, some, options.seed)?;
    let mut cells = Vec::new();
    for &percent in &options.percents {
        let passing = gauge::share_of(data.base.rows(), percent / 100.0).max(1);
        for kind in Kind::ALL {
            let lives = orders.filters(kind, passing);
            let truth = exact_under(&data, &lives, k)?;
            let plain = Trial { queries: &queries, ..all };
            let filtered = Trial { live: Live::Each(&lives), ..plain };
            let mut cell = compare(plain, filtered, &params, &truth, options.repeats);
            cell["percent"] = json!(percent);
            cell["filter"] = json!(kind.name());
            cells.push(cell);
        }
    }
    say(&json!({
        "data": data.name, "rows": data.base.rows(), "dim": data.base.dim(),
        "metric": data.metric.name(), "index": options.index.index.name(),
        "params": options.index.given(), "k": k, "setting": setting, "queries": some,
        "seed": options.seed, "cpu": milvus_kernel::cpu(), "cells": cells,
    }));
    Ok(())
}

fn setting(options: &Options, all: Trial<'_>, truth: &Truth) -> Outcome<Value> {
    if let Some(text) = &options.setting {
        return Ok(serde_json::from_str(text)?);
    }
    let knobs = knobs(options.index.index, all.k);
    let mut search = Search::new(&knobs, |setting: &Value| {
        let pass = all.pass(&search_params(options.index.index, all.k, setting)?, 1);
        Ok(Probe { recall: truth.recall(&pass.answers), cpu_s: pass.spent.cpu_s })
    });
    let found = search.cheapest(options.target)?;
    found.ok_or_else(|| format!("no setting has a recall of {}", options.target).into())
}

/// How the rows that pass lie to the query.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Random,
    Correlated,
    AntiCorrelated,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Random, Self::Correlated, Self::AntiCorrelated];

    fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Correlated => "correlated",
            Self::AntiCorrelated => "anti-correlated",
        }
    }
}

/// For each query its rows in random order, and from the nearest to the farthest of a neighbour.
struct Orders {
    random: Vec<Vec<u32>>,
    near: Vec<Vec<u32>>,
}

impl Orders {
    fn new(data: &Dataset, queries: u32, seed: u64) -> Outcome<Self> {
        let mut random = StdRng::seed_from_u64(seed);
        let rows = u32::try_from(data.base.rows())?;
        let (mut shuffled, mut near) = (Vec::new(), Vec::new());
        for query in 0..queries {
            shuffled.push(shuffle(rows, &mut random));
            let query = data.queries.take(&[query]);
            let around = exact_search(data.metric, &query, &data.base, None, NEIGHBOURS)?;
            let around = around.into_iter().next().unwrap_or_default();
            let middle = around[random.random_range(0..around.len())].row;
            near.push(by_score(data, middle)?);
        }
        Ok(Self { random: shuffled, near })
    }

    /// Filters that let `passing` rows through, one for each query.
    fn filters(&self, kind: Kind, passing: usize) -> Vec<Bitset> {
        let orders = if kind == Kind::Random { &self.random } else { &self.near };
        let filter = |order: &Vec<u32>| {
            let passing = passing.min(order.len());
            let rows = match kind {
                Kind::AntiCorrelated => &order[order.len() - passing..],
                Kind::Random | Kind::Correlated => &order[..passing],
            };
            Bitset::from_rows(rows.iter().copied(), order.len())
        };
        orders.iter().map(filter).collect()
    }
}

fn shuffle(rows: u32, random: &mut StdRng) -> Vec<u32> {
    let mut order: Vec<u32> = (0..rows).collect();
    for at in (1..order.len()).rev() {
        order.swap(at, random.random_range(0..=at));
    }
    order
}

/// Every row, from the best score against row `middle` to the worst.
pub(crate) fn by_score(data: &Dataset, middle: u32) -> Outcome<Vec<u32>> {
    let mut scores = score_all(data.metric, &data.base.take(&[middle]), &data.base, None)?;
    let scores = scores.pop().unwrap_or_default();
    let mut order: Vec<u32> = (0..u32::try_from(scores.len())?).collect();
    let better = |a: u32, b: u32| scores[a as usize].total_cmp(&scores[b as usize]);
    if data.metric.larger_is_better() {
        order.sort_unstable_by(|&a, &b| better(b, a));
    } else {
        order.sort_unstable_by(|&a, &b| better(a, b));
    }
    Ok(order)
}

/// The exact answers of each query under its own filter.
fn exact_under(data: &Dataset, lives: &[Bitset], k: usize) -> Outcome<Vec<Vec<Hit>>> {
    let mut answers = Vec::with_capacity(lives.len());
    for (query, live) in (0u32..).zip(lives) {
        let query = data.queries.take(&[query]);
        answers.extend(exact_search(data.metric, &query, &data.base, Some(live), k)?);
    }
    Ok(answers)
}

/// Passes without and with filters in turns.
fn compare(
    plain: Trial<'_>,
    filtered: Trial<'_>,
    params: &SearchParams,
    exact: &[Vec<Hit>],
    repeats: usize,
) -> Value {
    let warm = filtered.pass(params, 1);
    let recall = Truth::of(filtered.k, exact).recall(&warm.answers);
    let short = warm.answers.iter().zip(exact).filter(|(got, want)| got.len() < want.len()).count();
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..repeats.max(1) {
        without.push(plain.pass(params, 1).qps_cpu());
        with.push(filtered.pass(params, 1).qps_cpu());
    }
    let (without, with) = (median(without), median(with));
    json!({"recall": recall, "short_answers": short, "qps_cpu": with,
           "unfiltered_qps_cpu": without, "ratio": with / without})
}
