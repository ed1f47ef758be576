//! Exact search: every live row is compared with every query.
//!
//! For growing segments and for sealed ones without an index of the field and metric.
//! Cost: reads each chunk's vectors once for all queries; chunks without live rows are skipped.

use arrow::datatypes::DataType as ArrowType;
use milvus_index::{Hit as IndexHit, Range, brute_force_many, brute_force_range};
use milvus_kernel::{Bitset, Scored, merge_sorted};
use milvus_types::MetricType;

use crate::chunk::{Rows, float_vectors};
use crate::error::{ColumnType, DimensionMismatch, MetricNotSupported, SearchError};
use crate::live::Live;
use crate::spec::{Hit, SearchSpec};

/// Checks that the field is there and can be searched with these queries and this metric.
pub(crate) fn check(rows: &Rows, spec: &SearchSpec) -> Result<(), SearchError> {
    let field =
        rows.schema.field_with_name(&spec.field).map_err(|_| rows.no_column(&spec.field))?;
    let data_type = field.data_type();
    let ArrowType::FixedSizeList(item, dim) = data_type else {
        return Err(ColumnType::float_vectors(rows.segment_id, &spec.field, data_type).into());
    };
    if *item.data_type() != ArrowType::Float32 {
        return Err(ColumnType::float_vectors(rows.segment_id, &spec.field, data_type).into());
    }
    let want = usize::try_from(*dim).unwrap_or(0);
    if spec.queries.dim != want {
        let bytes = |dim: usize| dim * size_of::<f32>();
        let (got_bytes, want_bytes) = (bytes(spec.queries.dim), bytes(want));
        return Err(DimensionMismatch { got_bytes, want_bytes }.into());
    }
    if !matches!(spec.metric, MetricType::L2 | MetricType::Ip | MetricType::Cosine) {
        return Err(MetricNotSupported { field: spec.field.clone(), metric: spec.metric }.into());
    }
    Ok(())
}

/// The best live rows for each query.
pub(crate) fn search(
    rows: &Rows,
    live: &Live,
    spec: &SearchSpec,
) -> Result<Vec<Vec<Hit>>, SearchError> {
    let mut best: Vec<Vec<Scored>> = vec![Vec::new(); spec.queries.nq()];
    for chunk in rows.chunks.iter() {
        let live = live.range(chunk.start, chunk.len);
        if live.as_ref().is_some_and(|live| live.words().iter().all(|word| *word == 0)) {
            continue;
        }
        let column =
            chunk.batch.column_by_name(&spec.field).ok_or_else(|| rows.no_column(&spec.field))?;
        let (vectors, _) = float_vectors(rows.segment_id, &spec.field, column)?;
        for (best, found) in best.iter_mut().zip(search_block(vectors, live.as_ref(), spec)) {
            let found: Vec<_> = found
                .into_iter()
                .map(|hit| Scored::new(distance(spec.metric, hit.score), chunk.start + hit.row))
                .collect();
            *best = if best.is_empty() { found } else { merge_sorted(&[best, &found], spec.k) };
        }
    }
    Ok(best
        .into_iter()
        .map(|best| {
            let hits = best.into_iter().map(|scored| IndexHit {
                row: scored.row(),
                score: score(spec.metric, scored.distance()),
            });
            with_keys(rows, spec.metric, hits)
        })
        .collect())
}

/// The best rows of one chunk for each query, numbered from the chunk's first.
fn search_block(vectors: &[f32], live: Option<&Bitset>, spec: &SearchSpec) -> Vec<Vec<IndexHit>> {
    let queries = &spec.queries;
    let Some(range) = range(spec) else {
        let values = &queries.values;
        return brute_force_many(spec.metric, values, queries.dim, vectors, live, spec.k);
    };
    (0..queries.nq())
        .map(|query| {
            let query = queries.get(query);
            brute_force_range(spec.metric, query, vectors, live, &range, spec.k)
        })
        .collect()
}

/// The range that `spec` asks for, as indexes take it.
pub(crate) fn range(spec: &SearchSpec) -> Option<Range> {
    spec.range.map(|bounds| Range { radius: bounds.radius, range_filter: bounds.range_filter })
}

/// `hits` with their keys: best first, ties by ascending key.
pub(crate) fn with_keys(
    rows: &Rows,
    metric: MetricType,
    hits: impl Iterator<Item = IndexHit>,
) -> Vec<Hit> {
    let mut hits: Vec<Hit> = hits
        .filter_map(|hit| {
            let (_, chunk) = rows.locate(hit.row).ok()?;
            let key = chunk.keys.get((hit.row - chunk.start) as usize);
            Some(Hit { score: hit.score, row: hit.row, key })
        })
        .collect();
    hits.sort_by(|a, b| {
        let (near, far) = (distance(metric, a.score), distance(metric, b.score));
        near.total_cmp(&far).then_with(|| a.key.cmp(&b.key)).then(a.row.cmp(&b.row))
    });
    hits
}

/// The score as a distance: smaller is better.
fn distance(metric: MetricType, score: f32) -> f32 {
    if metric.larger_is_better() { 0.0 - score } else { score }
}

/// The inverse of [`distance`].
fn score(metric: MetricType, distance: f32) -> f32 {
    if metric.larger_is_better() { 0.0 - distance } else { distance }
}
