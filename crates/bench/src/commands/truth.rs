//! `truth`: the exact answers of a data set, by comparing every query with every row.

use std::path::Path;

use clap::Args;
use milvus_index::{Hit, exact_search};

use crate::dataset::Dataset;
use crate::options::DataOptions;
use crate::{Outcome, npy, say};

/// Answers that are stored for each query.
const STORED: usize = 100;

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    data: DataOptions,
    /// Threads that compare.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

pub(crate) fn run(options: &Options) -> Outcome<()> {
    let data = options.data.open()?;
    let answers = exact(&data, STORED, options.threads)?;
    let width = answers.first().map_or(0, Vec::len);
    let rows: Vec<_> =
        answers.iter().flatten().map(|hit| hit.row.cast_signed().to_le_bytes()).collect();
    let scores: Vec<_> = answers.iter().flatten().map(|hit| hit.score.to_le_bytes()).collect();
    let folder = data.base_path.parent().unwrap_or(Path::new("."));
    npy::write(&folder.join("gt100.npy"), "<i4", width, &rows)?;
    npy::write(&folder.join("gt100_dist.npy"), "<f4", width, &scores)?;
    say(&serde_json::json!({"data": data.name, "metric": data.metric.name(),
                            "queries": answers.len(), "k": width}));
    Ok(())
}

/// The best `k` rows of each query.
pub(crate) fn exact(data: &Dataset, k: usize, threads: usize) -> Outcome<Vec<Vec<Hit>>> {
    let count = u32::try_from(data.queries.rows())?;
    let numbers: Vec<u32> = (0..count).collect();
    let share = numbers.len().div_ceil(threads.max(1)).max(1);
    let parts: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = numbers
            .chunks(share)
            .map(|part| {
                let search =
                    || exact_search(data.metric, &data.queries.take(part), &data.base, None, k);
                scope.spawn(search)
            })
            .collect();
        workers.into_iter().map(|worker| worker.join()).collect()
    });
    let mut answers = Vec::with_capacity(numbers.len());
    for part in parts {
        answers.extend(part.map_err(|_| "a thread that computed exact answers stopped")??);
    }
    Ok(answers)
}
