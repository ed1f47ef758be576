//! `serve`: one index, measured pass by pass as a driver asks.
//!
//! The driver (`bench/lib.py`) holds one such process for each system and lets them take turns, so
//! that whatever else the machine does hits all of them alike. A request is a JSON object on a line
//! of standard input, its answer a JSON object on a line of standard output:
//!
//! | `op` | answers |
//! |---|---|
//! | `build` | figures of the build |
//! | `knobs` | what can be turned: `main`, `least`, `most`, `second`, `values` |
//! | `run`: `setting`, `threads` | `recall`, `wall_s`, `cpu_s`, `queries` of one pass |
//! | `batch`: `queries` | the same for exact search with so many queries at a time |
//! | `latency`: `setting` | `p50_us`, `p99_us` of single searches |
//! | `cold`: `setting` | what a new process needs to serve the written index |
//!
//! `bench/peers.py` answers the same requests for other libraries.

use std::io::BufRead as _;

use clap::Args;
use milvus_index::exact_search;
use serde_json::{Value, json};

use crate::commands::opened;
use crate::dataset::{Dataset, Truth};
use crate::gauge::timed;
use crate::knobs::{knobs, search_params};
use crate::options::{Built, DataOptions, IndexOptions};
use crate::trial::{Live, Trial};
use crate::{Outcome, say};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    data: DataOptions,
    #[command(flatten)]
    index: IndexOptions,
}

pub(crate) fn run(options: &Options) -> Outcome<()> {
    let data = options.data.open()?;
    let truth = options.data.truth(&data, options.index.k)?;
    let mut served = Served { options, data, truth, built: None };
    for line in std::io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        let answer = served.answer(&request);
        say(&answer.unwrap_or_else(|reason| json!({"error": reason.to_string()})));
    }
    Ok(())
}

struct Served<'a> {
    options: &'a Options,
    data: Dataset,
    truth: Truth,
    built: Option<Built>,
}

impl Served<'_> {
    fn answer(&mut self, request: &Value) -> Outcome<Value> {
        let IndexOptions { index, k, .. } = self.options.index;
        match request["op"].as_str().unwrap_or_default() {
            "build" => {
                self.built = None;
                let built = self.options.index.build(&self.data)?;
                let figures = built.subject.figures.clone();
                self.built = Some(built);
                Ok(figures)
            }
            "knobs" => Ok(knobs(index, k).describe()),
            "run" => self.pass(request),
            "batch" => self.batch(request),
            "latency" => {
                let params = search_params(index, k, &request["setting"])?;
                let (p50, p99) = self.trial()?.latency_us(&params);
                Ok(json!({"p50_us": p50, "p99_us": p99}))
            }
            "cold" => {
                let file = &self.built()?.subject.file;
                opened::in_another_process(&self.options.data, file, &request["setting"], k)
            }
            other => Err(format!("op {other:?} is unknown").into()),
        }
    }

    fn built(&self) -> Outcome<&Built> {
        self.built.as_ref().ok_or_else(|| "nothing has been built".into())
    }

    fn trial(&self) -> Outcome<Trial<'_>> {
        let index = &*self.built()?.subject.index;
        Ok(Trial { index, queries: &self.data.queries, k: self.options.index.k, live: Live::All })
    }

    fn pass(&self, request: &Value) -> Outcome<Value> {
        let params =
            search_params(self.options.index.index, self.options.index.k, &request["setting"])?;
        let threads = usize::try_from(request["threads"].as_u64().unwrap_or(1))?;
        let pass = self.trial()?.pass(&params, threads);
        Ok(json!({
            "recall": self.truth.recall(&pass.answers), "queries": pass.answers.len(),
            "wall_s": pass.spent.wall_s, "cpu_s": pass.spent.cpu_s,
        }))
    }

    /// Exact search with several queries at a time, on one thread.
    fn batch(&self, request: &Value) -> Outcome<Value> {
        let count = u32::try_from(request["queries"].as_u64().unwrap_or(100))?;
        let count = count.min(u32::try_from(self.data.queries.rows())?);
        let queries = self.data.queries.take(&(0..count).collect::<Vec<_>>());
        let k = self.options.index.k;
        let search = || exact_search(self.data.metric, &queries, &self.data.base, None, k);
        let (answers, spent) = timed(search);
        Ok(json!({
            "recall": self.truth.recall(&answers?), "queries": count,
            "wall_s": spent.wall_s, "cpu_s": spent.cpu_s,
        }))
    }
}
