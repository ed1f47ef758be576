//! The columns of rows that a read found: fetched for the winners only, from each shard at once,
//! and put back into the order of the rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, RecordBatch, StringArray, new_empty_array};
use arrow::compute::interleave;
use futures::future::join_all;
use milvus_base::{Priority, Purpose};
use milvus_roles::{FetchRequest, RowLocation};
use milvus_types::columns::arrow_type;
use milvus_types::error::OrFailure as _;
use milvus_types::{Collection, DataType, ErrorCode, Failure, FieldSchema, PrimaryKeys, Result};

use crate::Proxy;
use crate::api::OutputColumn;
use crate::dynamic_keys::cut;
use crate::output_fields::Output;

/// A row of a result: its shard, by number, and its place there.
pub(crate) type Place = (usize, RowLocation);

impl Proxy {
    /// The columns of `output` for the rows with `keys` at `places`.
    pub(crate) async fn output_columns(
        &self,
        collection: &Collection,
        output: &Output,
        keys: &PrimaryKeys,
        places: &[Place],
    ) -> Result<Vec<OutputColumn>> {
        let fetched: Vec<&FieldSchema> =
            output.fields.iter().filter(|field| !field.is_primary_key).collect();
        let bytes = places.len().saturating_mul(fetched.iter().map(|f| least_bytes(f)).sum());
        self.check_output_bytes(bytes)?;
        let mut in_flight = self.reserve(Purpose::Query, bytes).await?;
        let mut arrays = self.fetch(collection, &fetched, places).await?.into_iter();
        let bytes = arrays.as_slice().iter().map(|array| array.get_array_memory_size()).sum();
        in_flight
            .resize(u64::try_from(bytes).unwrap_or(u64::MAX))
            .map_err(|error| Failure::new(ErrorCode::MemoryLimitExceeded, error.to_string()))?;
        let mut columns = Vec::with_capacity(output.fields.len());
        for field in &output.fields {
            let values = if field.is_primary_key {
                keys.to_array()
            } else {
                let values = arrays.next().ok_or_else(|| inconsistent("a column is missing"))?;
                self.cut_dynamic(field, output, values).await?
            };
            columns.push(OutputColumn { field: field.clone(), values });
        }
        self.check_output_bytes(bytes)?;
        Ok(columns)
    }

    fn check_output_bytes(&self, bytes: usize) -> Result<()> {
        let limit = self.options().limits.output_bytes;
        if bytes <= limit {
            return Ok(());
        }
        Err(Failure::parameter_invalid(format!(
            "query results exceed the maxOutputSize Limit {limit}"
        )))
    }

    async fn cut_dynamic(
        &self,
        field: &FieldSchema,
        output: &Output,
        values: ArrayRef,
    ) -> Result<ArrayRef> {
        let (true, Some(keys)) = (field.is_dynamic, output.dynamic_keys.clone()) else {
            return Ok(values);
        };
        let bytes = values.get_array_memory_size();
        self.compute(Priority::Search, bytes, move || {
            let Some(texts) = values.as_string_opt::<i32>() else {
                return Ok(values);
            };
            let cut: StringArray =
                texts.iter().map(|text| text.map(|text| cut(text, &keys))).collect();
            Ok(Arc::new(cut) as ArrayRef)
        })
        .await
    }

    /// One array for each field, one value for each place.
    pub(crate) async fn fetch(
        &self,
        collection: &Collection,
        fields: &[&FieldSchema],
        places: &[Place],
    ) -> Result<Vec<ArrayRef>> {
        if fields.is_empty() {
            return Ok(Vec::new());
        }
        if places.is_empty() {
            let empty =
                |field: &&FieldSchema| Ok(new_empty_array(&arrow_type(field).or_failure()?));
            return fields.iter().map(empty).collect();
        }
        let columns: Vec<String> = fields.iter().map(|field| field.name.clone()).collect();
        let parts = by_shard(places, collection.vchannels.len());
        let requests =
            collection.vchannels.iter().zip(parts.rows).filter(|(_, rows)| !rows.is_empty());
        let batches = join_all(requests.map(|(vchannel, rows)| async {
            let wanted = rows.len();
            let request =
                FetchRequest { vchannel: vchannel.clone(), rows, columns: columns.clone() };
            let batch = self.streaming().fetch(request).await?;
            if batch.num_rows() == wanted {
                Ok(batch)
            } else {
                Err(inconsistent("fewer rows than were found"))
            }
        }))
        .await;
        let batches: Vec<RecordBatch> = batches.into_iter().collect::<Result<_>>()?;
        let bytes = batches.iter().map(RecordBatch::get_array_memory_size).sum();
        let order = parts.order;
        self.compute(Priority::Search, bytes, move || {
            columns.iter().map(|name| in_order(&batches, name, &order)).collect()
        })
        .await
    }
}

/// Rows by shard, and where each row of the result went: (number among the shards with rows, row).
struct ByShard {
    rows: Vec<Vec<RowLocation>>,
    order: Vec<(usize, usize)>,
}

fn by_shard(places: &[Place], shards: usize) -> ByShard {
    let mut rows: Vec<Vec<RowLocation>> = vec![Vec::new(); shards];
    let mut order = Vec::with_capacity(places.len());
    for (shard, location) in places {
        if let Some(rows) = rows.get_mut(*shard) {
            order.push((*shard, rows.len()));
            rows.push(*location);
        }
    }
    let mut number = 0;
    let numbers: Vec<usize> = rows
        .iter()
        .map(|rows| {
            let this = number;
            number += usize::from(!rows.is_empty());
            this
        })
        .collect();
    for (shard, _) in &mut order {
        *shard = numbers.get(*shard).copied().unwrap_or_default();
    }
    ByShard { rows, order }
}

/// Column `name` of all batches, in the order of the result.
fn in_order(batches: &[RecordBatch], name: &str, order: &[(usize, usize)]) -> Result<ArrayRef> {
    let column = |batch: &RecordBatch| batch.column_by_name(name).cloned();
    let parts: Option<Vec<ArrayRef>> = batches.iter().map(column).collect();
    let parts = parts.ok_or_else(|| inconsistent(&format!("column {name} is missing")))?;
    if let [only] = parts.as_slice() {
        // One shard answers in the order it was asked in.
        return Ok(Arc::clone(only));
    }
    let parts: Vec<_> = parts.iter().map(|part| &**part).collect();
    interleave(&parts, order)
        .map_err(|error| Failure::internal(format!("column {name} of several shards: {error}")))
}

fn inconsistent(what: &str) -> Failure {
    Failure::wrap(ErrorCode::InconsistentRequery, what)
}

/// The fewest bytes a value of `field` takes.
fn least_bytes(field: &FieldSchema) -> usize {
    if field.data_type == DataType::FloatVector {
        field.dim().unwrap_or(0).saturating_mul(4)
    } else if matches!(field.data_type, DataType::Int64 | DataType::Double) {
        8
    } else {
        1
    }
}

/// Whether the same read may succeed when it is run again: its rows moved.
pub(crate) fn moved(failure: &Failure) -> bool {
    matches!(failure.code, ErrorCode::InconsistentRequery | ErrorCode::SegmentNotLoaded)
}

#[cfg(test)]
mod tests {
    use milvus_types::SegmentId;

    use super::*;

    #[test]
    fn rows_go_to_their_shards_and_know_the_way_back() {
        let at = |shard, row| (shard, RowLocation { segment_id: SegmentId(1), row });
        let parts = by_shard(&[at(2, 5), at(0, 1), at(2, 6)], 3);
        assert_eq!(parts.rows.iter().map(Vec::len).collect::<Vec<_>>(), [1, 0, 2]);
        assert_eq!(parts.order, [(1, 0), (0, 0), (1, 1)]);
    }
}
