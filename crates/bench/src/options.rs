//! Options that several commands share.

use std::path::{Path, PathBuf};

use clap::Args;
use milvus_index::IndexType;
use milvus_types::MetricType;
use serde_json::Value;

use crate::Outcome;
use crate::dataset::{Dataset, Truth};
use crate::mapped::Cold;
use crate::subject::{Subject, Wanted};

/// Which data, and how much of it.
#[derive(Args)]
pub(crate) struct DataOptions {
    /// A folder with base.npy, query.npy, gt100.npy and meta.json.
    #[arg(long)]
    data: PathBuf,
    /// How vectors are compared, in place of what meta.json says: L2, IP, COSINE.
    #[arg(long, value_parser = metric)]
    metric: Option<MetricType>,
    /// The first rows only; truth is then computed anew.
    #[arg(long, default_value_t = 0)]
    rows: usize,
    /// The first queries only.
    #[arg(long, default_value_t = 0)]
    queries: usize,
}

/// Which index.
#[derive(Args)]
pub(crate) struct IndexOptions {
    /// Its type by Milvus's name.
    #[arg(long, value_parser = index_type, default_value = "AUTOINDEX")]
    pub(crate) index: IndexType,
    /// Parameters of its creation, a JSON object.
    #[arg(long, default_value = "{}")]
    params: String,
    /// Threads that build it.
    #[arg(long, default_value_t = 2)]
    build_threads: usize,
    /// Rows wanted for each query.
    #[arg(long, default_value_t = 10)]
    pub(crate) k: usize,
    /// Where the index is written; a temporary folder by default.
    #[arg(long)]
    work: Option<PathBuf>,
    /// Keeps the written index instead of removing it at the end.
    #[arg(long)]
    keep: bool,
}

impl DataOptions {
    /// Opens the set.
    pub(crate) fn open(&self) -> Outcome<Dataset> {
        Dataset::open(&self.data, self.metric, self.rows, self.queries)
    }

    /// Opens the set with its rows in a file that is in no cache.
    pub(crate) fn open_cold(&self, work: &Path) -> Outcome<(Dataset, Cold)> {
        let data = self.open()?;
        let cold = Cold::copy(&data.base_path, work)?;
        Ok((data.with_base(cold.path(), self.rows)?, cold))
    }

    /// The exact answers: those stored, or computed where the base is cut off.
    pub(crate) fn truth(&self, data: &Dataset, k: usize) -> Outcome<Truth> {
        if self.rows == 0 {
            return data.truth(k);
        }
        let answers = crate::commands::truth::exact(data, k, 2)?;
        Ok(Truth::of(k, &answers))
    }

    /// The same options for another process of this program.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut all = vec!["--data".to_owned(), self.data.display().to_string()];
        all.extend(
            self.metric.iter().flat_map(|metric| ["--metric".to_owned(), metric.to_string()]),
        );
        all.extend(["--rows".to_owned(), self.rows.to_string()]);
        all.extend(["--queries".to_owned(), self.queries.to_string()]);
        all
    }
}

/// An index in a file that is removed with it.
pub(crate) struct Built {
    /// The index.
    pub(crate) subject: Subject,
    keep: bool,
}

impl Drop for Built {
    fn drop(&mut self) {
        if !self.keep {
            // A file that stays behind in the temporary folder harms nobody.
            let _ = std::fs::remove_file(&self.subject.file);
        }
    }
}

impl IndexOptions {
    /// Builds the index over the set.
    pub(crate) fn build(&self, data: &Dataset) -> Outcome<Built> {
        let folder = self.work.clone().unwrap_or_else(std::env::temp_dir);
        std::fs::create_dir_all(&folder)?;
        let name = format!("{}-{}-{}.idx", data.name, self.index, std::process::id());
        let params: Value = serde_json::from_str(&self.params)
            .map_err(|reason| format!("--params {:?}: {reason}", self.params))?;
        let wanted = Wanted {
            index_type: self.index,
            metric: data.metric,
            params,
            threads: self.build_threads,
        };
        Ok(Built { subject: wanted.build(&data.base, &folder.join(name))?, keep: self.keep })
    }

    /// The parameters of creation as they were given.
    pub(crate) fn given(&self) -> &str {
        &self.params
    }
}

fn metric(name: &str) -> Result<MetricType, String> {
    MetricType::parse(name).ok_or_else(|| format!("metric {name:?} is unknown"))
}

fn index_type(name: &str) -> Result<IndexType, String> {
    IndexType::parse(name).ok_or_else(|| format!("index type {name:?} is unknown"))
}
