//! Exact search: every live row, or element of one, is compared with every query.
//!
//! For growing segments and for sealed ones without an index of the field and metric.
//! Cost: reads each chunk's vectors once for all queries, or their codes where there are any;
//! chunks without live rows are skipped.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use milvus_index::{
    Hit as IndexHit, Lists, Range, VectorData, exact_range, exact_search, max_sim, max_sim_all,
    max_sim_range, score_all,
};
use milvus_kernel::Bitset;
use milvus_types::MetricType;

use crate::chunk::{Chunk, Rows};
use crate::coded::Coded;
use crate::codes::Codes;
use crate::error::{ColumnType, SearchError};
use crate::live::Live;
use crate::ranking::{Item, Ranked, by_score};
use crate::spec::SearchSpec;
use crate::target::{Items, Target};
use crate::vectors::{list_offsets, vector_data};

/// With more hits than one in so many rows, too much is read anyway for codes to help.
const CODED_SHARE: usize = 32;

/// The vectors of a chunk, and which of them count.
struct Block {
    chunk: Arc<Chunk>,
    vectors: VectorData,
    /// Of lists.
    offsets: Option<OffsetBuffer<i32>>,
    /// By row, or by element in a search of elements; `None` for all.
    live: Option<Bitset>,
}

/// Everything an exact search reads.
pub(crate) struct Exact<'t, 's> {
    target: &'t Target<'s>,
    blocks: Vec<Block>,
    range: Option<Range>,
    k: usize,
    /// Whether codes are read where there are any.
    coded: bool,
}

impl<'t, 's> Exact<'t, 's> {
    pub(crate) fn new(
        rows: &Rows,
        live: &Live,
        spec: &SearchSpec,
        target: &'t Target<'s>,
    ) -> Result<Self, SearchError> {
        let mut blocks = Vec::with_capacity(rows.chunks.len());
        for chunk in rows.chunks.iter() {
            // Rows from before the field have no vector.
            let Some(column) = chunk.column(target.field.id) else { continue };
            let live = and_valid(live.range(chunk.start, chunk.len), column.nulls(), chunk.len);
            if none_live(live.as_ref()) {
                continue;
            }
            let block = Block::new(rows, chunk, column, live, spec, target)?;
            blocks.extend(Some(block).filter(|block| !none_live(block.live.as_ref())));
        }
        let k = spec.k.saturating_add(1);
        let few = k.saturating_mul(CODED_SHARE) <= rows.len() as usize;
        let coded = few && target.items == Items::Rows;
        Ok(Self { target, blocks, range: range(spec), k, coded })
    }

    /// The best `k` items for each query and one more, best first.
    pub(crate) fn top(&self) -> Result<Vec<Vec<Item>>, SearchError> {
        let metric = self.target.metric;
        let mut best: Vec<Vec<Item>> = vec![Vec::new(); self.target.nq];
        for block in &self.blocks {
            let codes = block.chunk.codes(self.target.field.id).filter(|_| self.coded);
            let found = match codes {
                Some(codes) => self.coded(block, codes).top(&self.worst(&best))?,
                None => self.top_of(block)?,
            };
            for (best, found) in best.iter_mut().zip(found) {
                best.extend(found.into_iter().filter_map(|hit| block.item(hit, self.target.items)));
                best.sort_unstable_by(|a, b| by_score(metric, a, b));
                best.truncate(self.k);
            }
        }
        Ok(best)
    }

    /// The score that a row must reach to be among the best of each query.
    fn worst(&self, best: &[Vec<Item>]) -> Vec<Option<f32>> {
        best.iter().map(|best| Some(best.get(self.k - 1)?.score)).collect()
    }

    /// The search of `block` by its codes.
    fn coded<'a>(&'a self, block: &'a Block, codes: &'a Codes) -> Coded<'a> {
        Coded {
            metric: self.target.metric,
            queries: &self.target.queries,
            vectors: &block.vectors,
            codes,
            live: block.live.as_ref(),
            range: self.range.as_ref(),
            k: self.k,
        }
    }

    fn top_of(&self, block: &Block) -> Result<Vec<Vec<IndexHit>>, SearchError> {
        let Self { target, k, .. } = *self;
        let (metric, comparison) = (target.metric, target.comparison);
        let (queries, live) = (&target.queries, block.live.as_ref());
        let Items::Lists(_) = target.items else {
            return Ok(match &self.range {
                None => exact_search(comparison, queries, &block.vectors, live, k)?,
                Some(range) => exact_range(comparison, queries, &block.vectors, live, range, k)?,
            });
        };
        let offsets = block.offsets.as_deref().unwrap_or_default();
        let lists = Lists::new(&block.vectors, offsets)?;
        (0..target.nq)
            .map(|query| {
                let of = target.list(query);
                Ok(match &self.range {
                    None => max_sim(metric, queries, of, lists, live, k)?,
                    Some(range) => max_sim_range(metric, queries, of, lists, live, range, k)?,
                })
            })
            .collect()
    }

    /// The best `limit` rows for query `query` at or behind score `from`.
    pub(crate) fn complete(
        &self,
        query: usize,
        from: Option<f32>,
        limit: usize,
    ) -> Result<Vec<IndexHit>, SearchError> {
        let metric = self.target.metric;
        let Ranked { mut rest, .. } = self.ranking(query)?;
        if let Some(from) = from {
            let behind = |score: f32| {
                if metric.larger_is_better() { score <= from } else { score >= from }
            };
            rest.retain(|item| behind(item.score));
        }
        if limit < rest.len() {
            rest.select_nth_unstable_by(limit, |a, b| by_score(metric, a, b));
            rest.truncate(limit);
        }
        rest.sort_unstable_by(|a, b| by_score(metric, a, b));
        Ok(rest.iter().map(|item| IndexHit { row: item.row, score: item.score }).collect())
    }

    /// Every live item for query `query`.
    pub(crate) fn ranking(&self, query: usize) -> Result<Ranked, SearchError> {
        let target = self.target;
        let metric = target.metric;
        let mut rest = Vec::new();
        let one = target.one(query);
        for block in &self.blocks {
            let live = block.live.as_ref();
            let scores = match &one {
                None => {
                    let offsets = block.offsets.as_deref().unwrap_or_default();
                    let lists = Lists::new(&block.vectors, offsets)?;
                    max_sim_all(metric, &target.queries, target.list(query), lists, live)?
                }
                Some(one) => {
                    let scores = score_all(target.comparison, one, &block.vectors, live)?;
                    scores.into_iter().next().unwrap_or_default()
                }
            };
            for (row, score) in (0..).zip(scores) {
                let within = self.range.as_ref().is_none_or(|range| range.contains(metric, score));
                if !score.is_nan() && within {
                    rest.extend(block.item(IndexHit { row, score }, target.items));
                }
            }
        }
        Ok(Ranked { metric, rest })
    }
}

impl Block {
    fn new(
        rows: &Rows,
        chunk: &Arc<Chunk>,
        column: &ArrayRef,
        live: Option<Bitset>,
        spec: &SearchSpec,
        target: &Target<'_>,
    ) -> Result<Self, SearchError> {
        let vectors = vector_data(rows.segment_id, target.field, column)?;
        let mut block = Self { chunk: Arc::clone(chunk), vectors, offsets: None, live };
        if target.items == Items::Rows {
            return Ok(block);
        }
        let wrong = || ColumnType::vectors(rows.segment_id, target.field);
        let offsets = list_offsets(column).ok_or_else(wrong)?;
        if target.items == Items::Elements {
            block.live = Some(block.live_elements(rows, chunk, &offsets, spec)?);
        }
        block.offsets = Some(offsets);
        Ok(block)
    }

    /// The elements of live rows that pass the filter's condition on elements.
    fn live_elements(
        &self,
        rows: &Rows,
        chunk: &Chunk,
        offsets: &OffsetBuffer<i32>,
        spec: &SearchSpec,
    ) -> Result<Bitset, SearchError> {
        let matches = match spec.filter.element_filter() {
            Some(filter) => {
                let batch = rows.batch(chunk, spec.filter.fields(), chunk.len)?;
                Some(filter.evaluate(&batch)?)
            }
            None => None,
        };
        let mut live = Bitset::zeros(self.vectors.rows());
        for row in 0..chunk.len as usize {
            if self.live.as_ref().is_some_and(|live| !live.get(row)) {
                continue;
            }
            for (n, element) in element_range(offsets, row).enumerate() {
                let passes = matches.as_ref().is_none_or(|matches| {
                    let start = matches.ends.get(row).copied().unwrap_or(usize::MAX);
                    let end = matches.ends.get(row + 1).copied().unwrap_or(0);
                    let at = start.saturating_add(n);
                    at < end && at < matches.bits.len() && matches.bits.value(at)
                });
                if passes && element < live.len() {
                    live.set(element);
                }
            }
        }
        Ok(live)
    }

    /// What `hit` of this block is in the segment.
    fn item(&self, hit: IndexHit, items: Items<'_>) -> Option<Item> {
        let score = hit.score;
        if items != Items::Elements {
            return Some(Item { score, row: self.chunk.start + hit.row, element: None });
        }
        let offsets = self.offsets.as_ref()?;
        let after = offsets.partition_point(|start| i64::from(*start) <= i64::from(hit.row));
        let row = after.checked_sub(1)?;
        let first = u32::try_from(*offsets.get(row)?).ok()?;
        let element = Some(hit.row.checked_sub(first)?);
        Some(Item { score, row: self.chunk.start + u32::try_from(row).ok()?, element })
    }
}

/// The elements of `row`.
fn element_range(offsets: &OffsetBuffer<i32>, row: usize) -> std::ops::Range<usize> {
    let at = |row: usize| offsets.get(row).and_then(|end| usize::try_from(*end).ok()).unwrap_or(0);
    at(row)..at(row + 1)
}

fn none_live(live: Option<&Bitset>) -> bool {
    live.is_some_and(|live| live.words().iter().all(|word| *word == 0))
}

/// `live` without the rows that have no value.
pub(crate) fn and_valid(
    live: Option<Bitset>,
    nulls: Option<&NullBuffer>,
    len: u32,
) -> Option<Bitset> {
    let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) else {
        return live;
    };
    let words = nulls.inner().bit_chunks().iter_padded().collect();
    let mut valid = Bitset::from_words(words, len as usize);
    if let Some(live) = &live {
        valid.and(live);
    }
    Some(valid)
}

/// The range that `spec` asks for, as indexes take it.
pub(crate) fn range(spec: &SearchSpec) -> Option<Range> {
    spec.range.map(|bounds| Range { radius: bounds.radius, range_filter: bounds.range_filter })
}

/// The part of `range` that is at or behind `from`; everything where there is neither.
pub(crate) fn narrowed(metric: MetricType, range: Option<Range>, from: Option<f32>) -> Range {
    let larger = metric.larger_is_better();
    let everything = if larger { f32::NEG_INFINITY } else { f32::INFINITY };
    let inner = range.and_then(|range| range.range_filter);
    let inner = match (inner, from) {
        (Some(inner), Some(from)) => Some(if larger { inner.min(from) } else { inner.max(from) }),
        (inner, from) => inner.or(from),
    };
    Range { radius: range.map_or(everything, |range| range.radius), range_filter: inner }
}
