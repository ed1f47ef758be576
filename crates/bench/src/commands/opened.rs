//! `opened`: an index as a restarted server finds it: a file that no memory holds yet.
//!
//! Works on copies of the index and the vectors, so that nobody else keeps their pages in memory.
//! Runs in a process of its own, so that what is resident is what serving the index takes: pages of
//! the index, of the vectors that were read to re-rank, and what searches allocate.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use serde_json::{Value, json};

use crate::gauge::{Memory, mb, resident_of, timed, wall_seconds};
use crate::knobs::search_params;
use crate::mapped::Cold;
use crate::options::DataOptions;
use crate::subject::open_index;
use crate::trial::{Live, Trial};
use crate::{Outcome, say};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    data: DataOptions,
    /// The written index.
    #[arg(long)]
    file: PathBuf,
    /// How to search, a JSON object.
    #[arg(long, default_value = "{}")]
    setting: String,
    /// Rows wanted for each query.
    #[arg(long, default_value_t = 10)]
    k: usize,
}

pub(crate) fn run(options: &Options) -> Outcome<()> {
    let work = options.file.parent().unwrap_or(Path::new("."));
    let file = Cold::copy(&options.file, work)?;
    let (data, vectors) = options.data.open_cold(work)?;
    let before = Memory::now();
    let (index, opened) = timed(|| open_index(file.path(), &data.base));
    let index = index?;
    let after_open = Memory::now();
    let setting: Value = serde_json::from_str(&options.setting)?;
    let params = search_params(index.index_type(), options.k, &setting)?;
    let mut hits = Vec::new();
    let first =
        wall_seconds(|| index.search(data.queries.row(0), options.k, &params, None, &mut hits));
    let trial = Trial { index: &*index, queries: &data.queries, k: options.k, live: Live::All };
    let cold = trial.pass(&params, 1);
    let after = Memory::now();
    let more = |now: u64, then: u64| mb(now.saturating_sub(then));
    let all = data.base.bytes() as f64;
    say(&json!({
        "open_ms": opened.wall_s * 1e3,
        "open_resident_mb": more(after_open.resident, before.resident),
        "first_search_ms": first * 1e3,
        "first_pass_qps": cold.qps(),
        "resident_mb": more(after.resident, before.resident),
        "anonymous_mb": more(after.anonymous, before.anonymous),
        "resident_share_of_vectors":
            after.resident.saturating_sub(before.resident) as f64 / all,
        "index_resident_mb": mb(resident_of(file.path())),
        "vectors_resident_mb": mb(resident_of(vectors.path())),
    }));
    Ok(())
}

/// Runs the command in a new process and returns what it says.
pub(crate) fn in_another_process(
    data: &DataOptions,
    file: &Path,
    setting: &Value,
    k: usize,
) -> Outcome<Value> {
    // As it was started: the file may have been built anew since, and then has no path of its own.
    let program = std::env::args_os().next().ok_or("this program has no name")?;
    let output = Command::new(program)
        .arg("opened")
        .args(data.arguments())
        .arg("--file")
        .arg(file)
        .args(["--setting", &setting.to_string(), "--k", &k.to_string()])
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned().into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
