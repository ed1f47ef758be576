//! Search through a vector index.

use arrow::array::Array;
use milvus_index::{
    Depth, Hit as IndexHit, IndexType, Range, SearchParams, VectorIndex, check_search_params,
};
use milvus_kernel::Bitset;
use rustc_hash::FxHashSet;

use crate::chunk::Rows;
use crate::error::SearchError;
use crate::exact::{and_valid, narrowed, range};
use crate::live::Live;
use crate::ranking::{Item, Widening, find};
use crate::spec::SearchSpec;
use crate::target::Target;

/// A search through an index. Search parameters are the index's to judge.
pub(crate) struct Indexed<'t, 's> {
    target: &'t Target<'s>,
    index: &'t dyn VectorIndex,
    params: SearchParams,
    range: Option<Range>,
    live: Option<Bitset>,
    k: usize,
}

impl<'t, 's> Indexed<'t, 's> {
    pub(crate) fn new(
        rows: &Rows,
        index: &'t dyn VectorIndex,
        live: &Live,
        spec: &SearchSpec,
        target: &'t Target<'s>,
    ) -> Result<Self, SearchError> {
        // The depth was checked against what the client asked for, which may be less than `k`.
        let depth = Depth::InSteps(spec.k);
        let mut params = check_search_params(index.index_type(), depth, &spec.params)?;
        params.ef = params.ef.max(spec.k);
        let mut live = live.range(0, rows.len());
        for chunk in rows.chunks.iter() {
            let nulls = chunk.column(target.field.id).and_then(|column| column.nulls());
            live = and_valid(live, nulls, rows.len());
        }
        Ok(Self { target, index, params, range: range(spec), live, k: spec.k.saturating_add(1) })
    }

    /// Whether the index finds the best rows for certain.
    pub(crate) fn is_exact(&self) -> bool {
        use IndexType::{BinFlat, Flat, SparseInvertedIndex, SparseWand};
        let flat = matches!(self.index.index_type(), Flat | BinFlat);
        let sparse = matches!(self.index.index_type(), SparseInvertedIndex | SparseWand);
        flat || (sparse && self.params.drop_ratio == 0.0)
    }

    /// The best `k` rows for each query and one more, as the index finds them.
    pub(crate) fn top(&self) -> Vec<Vec<Item>> {
        let mut found = Vec::new();
        let item = |hit: &IndexHit| Item { score: hit.score, row: hit.row, element: None };
        let mut top = |query: usize| {
            let vector = self.target.queries.row(query);
            let (range, live) = (self.range.as_ref(), self.live.as_ref());
            find(self.index, vector, &self.params, range, live, self.k, &mut found);
            found.iter().map(item).collect()
        };
        (0..self.target.nq).map(&mut top).collect()
    }

    /// All rows for query `query`, as the index finds them.
    pub(crate) fn ranking(&self, query: usize) -> Widening<'_> {
        Widening {
            index: self.index,
            query: self.target.queries.row(query),
            params: self.params,
            range: self.range,
            live: self.live.as_ref(),
            given: FxHashSet::default(),
            exhausted: false,
        }
    }

    /// The best `limit` rows for query `query` at or behind score `from`, and no row overlooked.
    pub(crate) fn complete(&self, query: usize, from: Option<f32>, limit: usize) -> Vec<IndexHit> {
        let range = narrowed(self.target.metric, self.range, from);
        let mut found = Vec::new();
        let vector = self.target.queries.row(query);
        self.index.range_search(vector, &range, limit, self.live.as_ref(), &mut found);
        found
    }
}
