//! `index`: one index over one data set: build, memory, opening, and speed at each recall.

use clap::Args;
use serde_json::{Value, json};

use crate::commands::opened;
use crate::dataset::Truth;
use crate::gauge::median;
use crate::knobs::{Knobs, knobs, search_params};
use crate::options::{DataOptions, IndexOptions};
use crate::target::{Probe, Search};
use crate::trial::{Live, Trial};
use crate::{Outcome, say};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    data: DataOptions,
    #[command(flatten)]
    index: IndexOptions,
    /// Threads that search.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Recalls to reach.
    #[arg(long, value_delimiter = ',', default_value = "0.9,0.95,0.99")]
    targets: Vec<f64>,
    /// Passes over all queries for each figure; the middle one counts.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// A search setting to measure as well, a JSON object; may be repeated.
    #[arg(long)]
    setting: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Outcome<()> {
    let data = options.data.open()?;
    let truth = options.data.truth(&data, options.index.k)?;
    let built = options.index.build(&data)?;
    let subject = &built.subject;
    let trial = Trial {
        index: &*subject.index,
        queries: &data.queries,
        k: options.index.k,
        live: Live::All,
    };
    let knobs = knobs(options.index.index, options.index.k);
    let mut points = Vec::new();
    for (target, setting) in settings(options, &knobs, trial, &truth)? {
        let mut point = measure(options, trial, &truth, &setting)?;
        point["target"] = json!(target);
        points.push(point);
    }
    let served = points.iter().find(|point| point["recall"].as_f64() >= Some(0.95));
    let setting = served.map_or_else(|| json!({}), |point| point["setting"].clone());
    let cold = opened::in_another_process(&options.data, &subject.file, &setting, trial.k)?;
    say(&json!({
        "data": data.name, "rows": data.base.rows(), "dim": data.base.dim(),
        "metric": data.metric.name(), "index": options.index.index.name(),
        "params": options.index.given(), "k": options.index.k, "cpu": milvus_kernel::cpu(),
        "build": subject.figures, "cold": cold, "points": points,
    }));
    Ok(())
}

/// The setting for each target, then the settings that were asked for.
fn settings(
    options: &Options,
    knobs: &Knobs,
    trial: Trial<'_>,
    truth: &Truth,
) -> Outcome<Vec<(Option<f64>, Value)>> {
    let mut search = Search::new(knobs, |setting: &Value| {
        let params = search_params(options.index.index, trial.k, setting)?;
        let pass = trial.pass(&params, 1);
        Ok(Probe { recall: truth.recall(&pass.answers), cpu_s: pass.spent.cpu_s })
    });
    let mut found = Vec::new();
    for &target in &options.targets {
        found.extend(search.cheapest(target)?.map(|setting| (Some(target), setting)));
    }
    for text in &options.setting {
        found.push((None, serde_json::from_str(text)?));
    }
    Ok(found)
}

fn measure(options: &Options, trial: Trial<'_>, truth: &Truth, setting: &Value) -> Outcome<Value> {
    let params = search_params(options.index.index, trial.k, setting)?;
    let recall = truth.recall(&trial.pass(&params, options.threads).answers);
    let passes: Vec<_> = (0..options.repeats.max(1))
        .map(|_| {
            let pass = trial.pass(&params, options.threads);
            (pass.qps(), pass.qps_cpu())
        })
        .collect();
    let (p50, p99) = trial.latency_us(&params);
    Ok(json!({
        "setting": setting, "recall": recall, "threads": options.threads,
        "qps": median(passes.iter().map(|pass| pass.0).collect()),
        "qps_cpu": median(passes.iter().map(|pass| pass.1).collect()),
        "p50_us": p50, "p99_us": p99,
    }))
}
