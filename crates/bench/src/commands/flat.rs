//! `flat`: exact search of one query against the memory bandwidth measured in the same run.
//!
//! Many queries at once against other libraries: the `flat` group of `bench/lib.py`.

use clap::Args;
use milvus_index::SearchParams;
use serde_json::json;

use crate::bandwidth::read_gb_s;
use crate::gauge::median;
use crate::options::{DataOptions, IndexOptions};
use crate::trial::{Live, Trial};
use crate::{Outcome, say};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    data: DataOptions,
    #[command(flatten)]
    index: IndexOptions,
    /// Passes for each figure.
    #[arg(long, default_value_t = 7)]
    repeats: usize,
    /// Queries of a pass.
    #[arg(long, default_value_t = 20)]
    one_by_one: u32,
}

pub(crate) fn run(options: &Options) -> Outcome<()> {
    let data = options.data.open()?;
    let k = options.index.k;
    let truth = options.data.truth(&data, k)?;
    let built = options.index.build(&data)?;
    let count = options.one_by_one.min(u32::try_from(data.queries.rows())?);
    let queries = data.queries.take(&(0..count).collect::<Vec<_>>());
    let trial = Trial { index: &*built.subject.index, queries: &queries, k, live: Live::All };
    let params = SearchParams::for_k(k);
    let bytes = data.base.bytes();
    let (mut scanned, mut bandwidth) = (Vec::new(), Vec::new());
    let mut recall = 0.0;
    for _ in 0..options.repeats.max(1) {
        bandwidth.push(read_gb_s(bytes));
        let pass = trial.pass(&params, 1);
        recall = truth.recall(&pass.answers);
        scanned.push(bytes as f64 * f64::from(count) / pass.spent.cpu_s / 1e9);
    }
    let (scanned, bandwidth) = (median(scanned), median(bandwidth));
    say(&json!({
        "data": data.name, "rows": data.base.rows(), "dim": data.base.dim(),
        "metric": data.metric.name(), "index": options.index.index.name(), "recall": recall,
        "ms_per_query": bytes as f64 / scanned / 1e6, "gb_s": scanned,
        "bandwidth_gb_s": bandwidth, "share": scanned / bandwidth, "cpu": milvus_kernel::cpu(),
    }));
    Ok(())
}
