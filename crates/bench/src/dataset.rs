//! A data set: a folder of arrays that every system under test reads.
//!
//! | file | what |
//! |---|---|
//! | `base.npy` | float32 or float16, a row for each vector |
//! | `query.npy` | the same, vectors that are not in the base |
//! | `gt100.npy` | int32, rows of the base nearest to each query, best first |
//! | `gt100_dist.npy` | float32, their scores: squared distances or inner products |
//! | `meta.json` | `metric` (`ip` or `l2`), where the data is from, seeds, hashes |
//!
//! Not here: how sets are made (`bench/make_data.py`) and their truth (`commands::truth`).

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use milvus_index::{VectorData, Vectors};
use milvus_types::{DataType, MetricType};

use crate::{Outcome, mapped, npy};

/// The vectors of a set and what is known of them.
pub(crate) struct Dataset {
    /// The folder's last name.
    pub(crate) name: String,
    /// How its vectors are compared.
    pub(crate) metric: MetricType,
    /// The rows; float32 files are mapped, others converted.
    pub(crate) base: VectorData,
    /// The queries.
    pub(crate) queries: VectorData,
    /// The file of the rows.
    pub(crate) base_path: PathBuf,
}

impl Dataset {
    /// Opens the set in `folder`; `metric` replaces the one that `meta.json` names, and the base is
    /// cut off after `rows` rows, the queries after `queries`, where these are not 0.
    pub(crate) fn open(
        folder: &Path,
        metric: Option<MetricType>,
        rows: usize,
        queries: usize,
    ) -> Outcome<Self> {
        let base_path = folder.join("base.npy");
        let base = vectors(&base_path, rows)?;
        let queries = vectors(&folder.join("query.npy"), queries)?;
        if base.dim() != queries.dim() {
            let (got, want) = (queries.dim(), base.dim());
            return Err(format!("queries have {got} dimensions, the base {want}").into());
        }
        let metric = metric.map_or_else(|| metric_of(folder), Ok)?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, metric, base, queries, base_path })
    }

    /// The same set with its rows from `path`, a copy of their file.
    pub(crate) fn with_base(self, path: &Path, rows: usize) -> Outcome<Self> {
        Ok(Self { base: vectors(path, rows)?, base_path: path.to_owned(), ..self })
    }

    /// The exact answers that are stored beside the set. Not of use where the base is cut off.
    pub(crate) fn truth(&self, k: usize) -> Outcome<Truth> {
        let folder = self.base_path.parent().unwrap_or(Path::new("."));
        let (rows, width) = npy::read_integers(&folder.join("gt100.npy"))?;
        let scores = npy::read_floats(&folder.join("gt100_dist.npy")).ok();
        let scores = scores.filter(|(scores, _)| scores.len() == rows.len());
        let of_query = |(query, rows): (usize, &[i32])| {
            let scores = scores.as_ref().map(|(scores, _)| &scores[query * width..][..width]);
            rows[..tied(scores, k, width)].iter().map(|row| row.cast_unsigned()).collect()
        };
        let wanted = rows.chunks_exact(width).take(self.queries.rows()).enumerate();
        Ok(Truth { k, rows: wanted.map(of_query).collect() })
    }
}

/// How many of the first `width` answers count as one of the best `k`: those that tie with the last.
fn tied(scores: Option<&[f32]>, k: usize, width: usize) -> usize {
    let least = k.min(width);
    let Some(scores) = scores.filter(|_| least > 0) else {
        return least;
    };
    least + scores[least..].iter().take_while(|score| **score == scores[least - 1]).count()
}

/// Exact answers: for each query the rows that may be among its best `k`.
pub(crate) struct Truth {
    k: usize,
    rows: Vec<HashSet<u32>>,
}

impl Truth {
    /// Of answers that were computed: the best `k` of each query.
    pub(crate) fn of(k: usize, answers: &[Vec<milvus_index::Hit>]) -> Self {
        let rows = answers.iter().map(|hits| hits.iter().map(|hit| hit.row).collect()).collect();
        Self { k, rows }
    }

    /// The share of the right answers that `answers` has: 1 where all are there.
    pub(crate) fn recall(&self, answers: &[Vec<milvus_index::Hit>]) -> f64 {
        let (mut found, mut wanted) = (0, 0);
        for (hits, truth) in answers.iter().zip(&self.rows) {
            let right = hits.iter().filter(|hit| truth.contains(&hit.row)).count();
            wanted += self.k.min(truth.len());
            found += right.min(self.k);
        }
        if wanted == 0 { 1.0 } else { found as f64 / wanted as f64 }
    }
}

/// The vectors of a file, the first `most` of them where that is not 0.
fn vectors(path: &Path, most: usize) -> Outcome<VectorData> {
    let whole = mapped::map(path, 0)?;
    let header =
        npy::header((*whole).as_ref()).map_err(|reason| format!("{}: {reason}", path.display()))?;
    let wanted = if most == 0 { header.rows } else { most.min(header.rows) };
    if header.descr == "<f4" && wanted == header.rows {
        let mapped = mapped::map(path, header.data_at)?;
        return Ok(VectorData::dense(DataType::FloatVector, header.width, mapped)?);
    }
    let (mut floats, width) = npy::read_floats(path)?;
    floats.truncate(wanted * width);
    Ok(Vectors::from_vec(floats, width)?.into())
}

fn metric_of(folder: &Path) -> Outcome<MetricType> {
    let path = folder.join("meta.json");
    let text =
        std::fs::read_to_string(&path).map_err(|reason| format!("{}: {reason}", path.display()))?;
    let meta: serde_json::Value = serde_json::from_str(&text)?;
    let name = meta["metric"].as_str().unwrap_or_default();
    let word = name.split_whitespace().next().unwrap_or_default();
    MetricType::parse(word)
        .ok_or_else(|| format!("{}: metric {name:?} is unknown", path.display()).into())
}

#[cfg(test)]
mod tests {
    use milvus_index::Hit;

    use super::*;

    #[test]
    fn answers_that_tie_with_the_last_one_count() {
        let scores = [1.0, 2.0, 2.0, 2.0, 3.0];
        assert_eq!(tied(Some(&scores), 2, 5), 4);
        assert_eq!(tied(Some(&scores), 1, 5), 1);
        assert_eq!(tied(None, 2, 5), 2);
        let hits = |rows: &[u32]| {
            vec![rows.iter().map(|&row| Hit { row, score: 0.0 }).collect::<Vec<_>>()]
        };
        let truth = Truth { k: 2, rows: vec![HashSet::from([1, 2, 3, 4])] };
        assert_eq!(truth.recall(&hits(&[1, 4])), 1.0);
        assert_eq!(truth.recall(&hits(&[1, 9])), 0.5);
        assert_eq!(Truth::of(2, &hits(&[])).recall(&hits(&[7])), 1.0, "nothing was to be found");
    }
}
