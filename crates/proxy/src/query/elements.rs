//! Elements of rows that pass an `element_filter`: a query with one returns, beside each row, the
//! numbers of its elements that pass, and its limit and offset count elements.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema};
use milvus_expr::Plan;
use milvus_types::columns::arrow_type;
use milvus_types::error::OrFailure as _;
use milvus_types::{Collection, Failure, FieldSchema, PrimaryKey, Result};

use super::params::ElementCursor;
use crate::Proxy;
use crate::fetch::Place;

/// A row and those of its elements that pass.
pub(crate) type RowElements = ((PrimaryKey, Place), Vec<i64>);

/// Which of the elements are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'c> {
    /// Elements to leave out.
    pub(crate) offset: usize,
    /// Elements to return; `None` for all.
    pub(crate) limit: Option<usize>,
    /// Only elements behind this one.
    pub(crate) after: Option<&'c ElementCursor>,
}

impl Proxy {
    /// The elements of `rows` that pass the element filter of `filter`.
    pub(crate) async fn elements(
        &self,
        collection: &Collection,
        filter: &Plan,
        rows: Vec<(PrimaryKey, Place)>,
    ) -> Result<Vec<RowElements>> {
        let schema = &collection.schema;
        let fields: Vec<&FieldSchema> =
            filter.fields().iter().filter_map(|id| schema.field_by_id(*id)).collect();
        let places: Vec<Place> = rows.iter().map(|(_, place)| *place).collect();
        let columns = self.fetch(collection, &fields, &places).await?;
        let described: Vec<Field> = fields
            .iter()
            .map(|field| Ok(Field::new(&field.name, arrow_type(field).or_failure()?, true)))
            .collect::<Result<_>>()?;
        let bytes = columns.iter().map(|column| column.get_array_memory_size()).sum();
        let filter = filter.clone();
        self.compute(milvus_base::Priority::Search, bytes, move || {
            let batch = RecordBatch::try_new(Arc::new(Schema::new(described)), columns)
                .map_err(|error| Failure::internal(format!("columns of elements: {error}")))?;
            let Some(elements) = filter.element_filter() else {
                return Ok(rows.into_iter().map(|row| (row, Vec::new())).collect());
            };
            let matches = elements.evaluate(&batch).or_failure()?;
            let of = |row: usize| {
                let ends = (matches.ends.get(row), matches.ends.get(row + 1));
                let (Some(&start), Some(&end)) = ends else {
                    return Vec::new();
                };
                let passing = (start..end).filter(|at| matches.bits.value(*at));
                passing.filter_map(|at| i64::try_from(at - start).ok()).collect()
            };
            Ok(rows.into_iter().enumerate().map(|(at, row)| (row, of(at))).collect())
        })
        .await
    }
}

/// Cuts the window out of the elements; rows without any left are left out.
pub(crate) fn cut(rows: Vec<RowElements>, window: Window<'_>) -> Vec<RowElements> {
    let (mut skip, mut left) = (window.offset, window.limit.unwrap_or(usize::MAX));
    let mut kept = Vec::with_capacity(rows.len());
    for (row, mut elements) in rows {
        if let Some(after) = window.after.filter(|after| after.key == row.0) {
            elements.retain(|element| *element > after.element);
        }
        let skipped = skip.min(elements.len());
        elements.drain(..skipped);
        skip -= skipped;
        elements.truncate(left);
        left -= elements.len();
        if !elements.is_empty() {
            kept.push((row, elements));
        }
        if left == 0 {
            break;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use milvus_roles::RowLocation;
    use milvus_types::SegmentId;

    use super::*;

    #[test]
    fn windows_count_elements() {
        let row = |key: i64, elements: &[i64]| -> RowElements {
            let place = (0, RowLocation { segment_id: SegmentId(0), row: 0 });
            ((PrimaryKey::Int64(key), place), elements.to_vec())
        };
        let rows = || vec![row(1, &[0, 2]), row(2, &[1]), row(3, &[0, 1, 5])];
        let read = |offset, limit, after: Option<&ElementCursor>| {
            let kept = cut(rows(), Window { offset, limit, after });
            kept.into_iter().map(|((key, _), e)| (key.to_string(), e)).collect::<Vec<_>>()
        };
        let of = |key: &str, elements: &[i64]| (key.to_owned(), elements.to_vec());
        assert_eq!(read(1, Some(3), None), [of("1", &[2]), of("2", &[1]), of("3", &[0])]);
        assert_eq!(read(3, None, None), [of("3", &[0, 1, 5])]);
        let after = ElementCursor { key: PrimaryKey::Int64(1), element: 0 };
        assert_eq!(read(0, Some(2), Some(&after)), [of("1", &[2]), of("2", &[1])]);
    }
}
