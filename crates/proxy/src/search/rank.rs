//! The hits of one search, scored anew by a ranker.

use std::collections::HashMap;

use arrow::array::ArrayRef;
use milvus_types::{MetricType, Result};

use super::merge::Hit;
use super::plan::{ShardSearch, Target};
use crate::Proxy;
use crate::cell::Cell;
use crate::rerank::fuse::{Fused, better_first, fuse};
use crate::rerank::group::{Page, Scorer, group};
use crate::rerank::{Ranked, Ranker, Ranking};

impl Proxy {
    /// Scores the hits of each query anew and orders them by that.
    pub(crate) async fn ranked(
        &self,
        target: &Target,
        search: &ShardSearch,
        ranker: &Ranker,
        hits: Vec<Vec<Hit>>,
    ) -> Result<Vec<Vec<Hit>>> {
        let column = match ranker.input() {
            Some(field) => Some(self.column_of_hits(target, field, &hits).await?),
            None => None,
        };
        let size = search.params.grouping.as_ref().map(|grouping| grouping.size);
        let mut first = 0;
        let query = |hits: Vec<Hit>| {
            let at = first;
            first += hits.len();
            let lists = [hits];
            let fused = scored(ranker, &[search.metric], &lists, |_, place| {
                column.as_ref().map(|column: &ArrayRef| (column.clone(), at + place))
            });
            let page = size.map(|size| Page { size, offset: 0, limit: usize::MAX });
            chosen(fused, &lists, page, Scorer::Max)
        };
        Ok(hits.into_iter().map(query).collect())
    }
}

/// Fuses the hits that each search found for one query. `input` gives the column and row of the
/// ranker's field for a hit: the search, and its place there.
pub(crate) fn scored(
    ranker: &Ranker,
    metrics: &[MetricType],
    lists: &[Vec<Hit>],
    input: impl Fn(usize, usize) -> Option<(ArrayRef, usize)>,
) -> Fused {
    let ranking =
        |hits: &Vec<Hit>| -> Ranking { hits.iter().map(|hit| (hit.id(), hit.score)).collect() };
    let rankings: Vec<Ranking> = lists.iter().map(ranking).collect();
    let mut fused = fuse(ranker, metrics, &rankings);
    if let Ranker::Decay(decay) = ranker {
        for row in &mut fused.rows {
            let value = input(row.from.0, row.from.1);
            let value = value.and_then(|(column, at)| Cell::of(&*column, at).number());
            row.score *= decay.factor(value);
        }
        // Rows of one score stay in the order they were in.
        fused.rows.sort_by(|a, b| better_first(a, b, true));
    }
    fused
}

/// The hits of the fused rows in their order; with a page, the best of its groups.
pub(crate) fn chosen(
    fused: Fused,
    lists: &[Vec<Hit>],
    page: Option<Page>,
    scorer: Scorer,
) -> Vec<Hit> {
    let Fused { rows, descending } = fused;
    let source = |row: &Ranked| lists.get(row.from.0).and_then(|hits| hits.get(row.from.1));
    let rows = match page {
        None => rows,
        Some(page) => {
            // A row's group is the same in every search.
            let mut groups = HashMap::new();
            for hit in lists.iter().flatten() {
                groups.entry(hit.id()).or_insert_with(|| hit.group.clone());
            }
            let keyed = rows.into_iter().map(|row| (groups.get(&row.id).cloned().flatten(), row));
            group(keyed.collect(), scorer, descending, page)
        }
    };
    let hit = |row: &Ranked| source(row).map(|hit| Hit { score: row.score, ..hit.clone() });
    rows.iter().filter_map(hit).collect()
}
