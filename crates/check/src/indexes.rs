//! A segment's index files: every section as it was written, over the rows and of the kind that the
//! manifest says.

use std::sync::Arc;

use arrow::array::ArrayRef;
use bytes::Bytes;
use milvus_format::IndexEntry;
use milvus_segment::vector_data;
use milvus_types::{FieldSchema, SegmentId};

use crate::file::chain;
use crate::segment::{Problem, Problems};

/// A mapped file as the owner of an index's bytes.
struct Mapped(Bytes);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Opens the index in `bytes`, and says what in it is not what `entry` says for `segment`, which is
/// the segment's id and how many rows it has. Without `field` and `column` nothing but checksums of
/// the whole file can be told, which were verified before.
pub(crate) fn check(
    bytes: Bytes,
    entry: &IndexEntry,
    (segment_id, rows): (SegmentId, u64),
    field: Option<&FieldSchema>,
    column: Option<ArrayRef>,
) -> Problems {
    let mut problems = Vec::new();
    if entry.rows != rows {
        let got = entry.rows;
        problems.push(Problem::damage(format!("it covers {got} rows, the segment has {rows}")));
    }
    let opened = match field {
        Some(field) if field.data_type.is_vector() => match column {
            Some(column) => vector(bytes, entry, segment_id, field, &column),
            None => Ok(()),
        },
        Some(_) => scalar(bytes, entry, rows),
        None => Ok(()),
    };
    problems.extend(opened.err());
    problems
}

fn vector(
    bytes: Bytes,
    entry: &IndexEntry,
    segment_id: SegmentId,
    field: &FieldSchema,
    column: &ArrayRef,
) -> Result<(), Problem> {
    let damage = |error: &dyn std::error::Error| Problem::damage(chain(error));
    let vectors = vector_data(segment_id, field, column).map_err(|error| damage(&error))?;
    let index = match milvus_index::open(Arc::new(Mapped(bytes)), vectors) {
        Ok(index) => index,
        Err(
            error @ (milvus_index::OpenError::NewerVersion { .. }
            | milvus_index::OpenError::UnsupportedType(_)),
        ) => return Err(Problem::newer(error.to_string())),
        Err(error) => return Err(damage(&error)),
    };
    if index.metric().name() != entry.metric {
        let (got, want) = (index.metric(), &entry.metric);
        return Err(Problem::damage(format!("it is of metric {got}, its manifest says {want}")));
    }
    Ok(())
}

fn scalar(bytes: Bytes, entry: &IndexEntry, rows: u64) -> Result<(), Problem> {
    let index = match milvus_scalar::open(Arc::new(Mapped(bytes))) {
        Ok(index) => index,
        Err(error @ milvus_scalar::OpenError::NewerVersion { .. }) => {
            return Err(Problem::newer(error.to_string()));
        }
        Err(error) => return Err(Problem::damage(chain(&error))),
    };
    let got = (index.field(), index.rows() as u64);
    if got != (entry.field_id, rows) {
        return Err(Problem::damage(format!(
            "it is of field {} over {} rows, its manifest says field {} over {rows}",
            got.0, got.1, entry.field_id
        )));
    }
    Ok(())
}
