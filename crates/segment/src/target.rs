//! What a search compares with what: checked before any row is read.

use milvus_index::{Comparison, QueryData, VectorData, element_metric, exact_search};
use milvus_types::{DataType, FieldSchema, MetricType};

use crate::chunk::Rows;
use crate::error::{ColumnType, DimensionMismatch, MetricNotSupported, SearchError};
use crate::spec::{HASH_BITS, Queries, SearchSpec};
use crate::vectors::vector_type;

/// What the items of a search are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Items<'s> {
    /// Rows with one vector each.
    Rows,
    /// Rows with a list of vectors each, compared with lists: where each query's list begins.
    Lists(&'s [u32]),
    /// Single vectors of lists.
    Elements,
}

/// A search that fits its field.
pub(crate) struct Target<'s> {
    pub(crate) field: &'s FieldSchema,
    pub(crate) items: Items<'s>,
    /// Query vectors of the field's own kind.
    pub(crate) queries: QueryData,
    /// How two vectors (of lists: two lists) are compared.
    pub(crate) metric: MetricType,
    /// The metric with what it has to know besides.
    pub(crate) comparison: Comparison,
    pub(crate) nq: usize,
}

impl<'s> Target<'s> {
    /// Checks that the field is there and can be searched with these queries and this metric.
    pub(crate) fn new(rows: &'s Rows, spec: &'s SearchSpec) -> Result<Self, SearchError> {
        let field = rows.schema.field(&spec.field).ok_or_else(|| rows.no_column(&spec.field))?;
        let wrong = || ColumnType::vectors(rows.segment_id, field);
        let data_type = vector_type(field).ok_or_else(wrong)?;
        let Queries { data, lists } = &*spec.queries;
        let items = match (field.data_type, lists) {
            (DataType::ArrayOfVector, Some(ends)) => Items::Lists(ends),
            (DataType::ArrayOfVector, None) => Items::Elements,
            (_, None) => Items::Rows,
            (_, Some(_)) => return Err(wrong().into()),
        };
        if let Items::Lists(ends) = items {
            let end = ends.last().map_or(0, |end| *end as usize);
            if !ends.is_sorted() || end > data.rows() {
                return Err(wrong().into());
            }
        }
        let queries = data.converted(data_type)?;
        let want = field.dim().unwrap_or(0);
        if data_type != DataType::SparseFloatVector && queries.dim() != want && queries.rows() > 0 {
            let (got_bytes, want_bytes) =
                (row_bytes(data_type, queries.dim()), row_bytes(data_type, want));
            return Err(DimensionMismatch { got_bytes, want_bytes }.into());
        }
        let element = element_metric(spec.metric);
        let metric = match items {
            Items::Lists(_) => spec.metric,
            Items::Elements => element.unwrap_or(spec.metric),
            Items::Rows => spec.metric,
        };
        let pair = if matches!(items, Items::Lists(_)) { element } else { Some(metric) };
        let unsupported =
            || MetricNotSupported { field: field.name.clone(), metric: spec.metric, data_type };
        let none: VectorData = queries.take(&[]);
        pair.and_then(|pair| exact_search(pair, &none, &none, None, 0).ok())
            .ok_or_else(unsupported)?;
        let comparison = comparison(metric, &queries, spec);
        Ok(Self { field, items, queries, metric, comparison, nq: spec.queries.nq() })
    }

    /// The vectors of query `query` among all.
    pub(crate) fn list(&self, query: usize) -> std::ops::Range<usize> {
        match self.items {
            Items::Lists(ends) => {
                let end = |at: usize| ends.get(at).map_or(0, |end| *end as usize);
                end(query)..end(query + 1)
            }
            Items::Rows | Items::Elements => query..query + 1,
        }
    }

    /// Query `query` alone, unless queries are lists.
    pub(crate) fn one(&self, query: usize) -> Option<QueryData> {
        let number = u32::try_from(query).unwrap_or(u32::MAX);
        match self.items {
            Items::Lists(_) => None,
            Items::Rows | Items::Elements if self.nq == 1 => Some(self.queries.clone()),
            Items::Rows | Items::Elements => Some(self.queries.take(&[number])),
        }
    }
}

/// `metric` with the width of hashes that `spec` names; Milvus's own where vectors are no whole number
/// of such hashes.
fn comparison(metric: MetricType, queries: &QueryData, spec: &SearchSpec) -> Comparison {
    let plain = Comparison::from(metric);
    let asked = spec.params.iter().find(|pair| pair.key == HASH_BITS);
    let bits = asked.and_then(|pair| pair.value.trim_matches('"').parse::<usize>().ok());
    let fits =
        |bits: &usize| *bits > 0 && bits.is_multiple_of(8) && queries.dim().is_multiple_of(*bits);
    Comparison { hash_bits: bits.filter(fits).unwrap_or(plain.hash_bits), ..plain }
}

/// Bytes of a dense vector.
fn row_bytes(data_type: DataType, dim: usize) -> usize {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others have a byte for each dimension")]
    match data_type {
        DataType::FloatVector => dim * 4,
        DataType::Float16Vector | DataType::BFloat16Vector => dim * 2,
        DataType::BinaryVector => dim / 8,
        _ => dim,
    }
}
