//! A segment's columns: they open, and are the rows that the manifest and the schema speak of.

use arrow::array::{Array as _, ArrayRef};
use arrow::buffer::Buffer;
use arrow::compute::{max, min};
use bytes::Bytes;
use milvus_format::{DecodeError, SegmentEntry, SegmentFile, open_segment};
use milvus_types::columns::{FIELD_ID, arrow_type};
use milvus_types::{Collection, FieldId, FieldSchema, PrimaryKeys, Timestamp};

use crate::file::chain;
use crate::segment::{Problem, Problems};

/// Opens the columns in `bytes`, and says what in them is not what `entry` and `collection` say.
pub(crate) fn check(
    bytes: &Bytes,
    entry: &SegmentEntry,
    collection: Option<&Collection>,
) -> (Option<SegmentFile>, Problems) {
    let file = match open_segment(&Buffer::from(bytes.clone()), &entry.columns) {
        Ok(file) => file,
        Err(error) => return (None, vec![undecoded(&error)]),
    };
    let mut problems = Vec::new();
    let rows = file.rows.num_rows() as u64;
    if rows != entry.rows {
        let want = entry.rows;
        problems.push(Problem::damage(format!("it has {rows} rows, its manifest says {want}")));
    }
    problems.extend(times(&file, entry));
    if let Some(collection) = collection {
        problems.extend(against_schema(&file, entry, collection));
    }
    (Some(file), problems)
}

/// What it means that our own formats do not decode.
pub(crate) fn undecoded(error: &DecodeError) -> Problem {
    match error {
        DecodeError::NewerVersion { .. } => Problem::newer(error.to_string()),
        DecodeError::Length { .. }
        | DecodeError::Magic { .. }
        | DecodeError::Checksum { .. }
        | DecodeError::Malformed { .. }
        | DecodeError::Arrow { .. } => Problem::damage(chain(error)),
    }
}

fn times(file: &SegmentFile, entry: &SegmentEntry) -> Option<Problem> {
    let (oldest, newest) = (min(&file.timestamps)?, max(&file.timestamps)?);
    let (got, want) = ((Timestamp(oldest), Timestamp(newest)), (entry.min_ts, entry.max_ts));
    (got != want).then(|| {
        Problem::damage(format!(
            "its rows are of times {} to {}, its manifest says {} to {}",
            got.0, got.1, want.0, want.1
        ))
    })
}

fn against_schema(file: &SegmentFile, entry: &SegmentEntry, collection: &Collection) -> Problems {
    let schema = &collection.schema;
    let mut problems = Vec::new();
    if entry.schema_version > schema.version {
        let (got, want) = (entry.schema_version, schema.version);
        let what = format!("it follows schema version {got}, the collection is at {want}");
        problems.push(Problem::note(what));
    }
    for field in &schema.fields {
        let Some(column) = column(file, field.id) else {
            if field.is_primary_key {
                let what = format!("it has no column of the primary key {}", field.name);
                problems.push(Problem::damage(what));
            }
            // Others were added later.
            continue;
        };
        let got = column.data_type();
        if arrow_type(field).is_ok_and(|want| want != *got) {
            let what =
                format!("column {} has type {got}, its field is {}", field.name, field.data_type);
            problems.push(Problem::damage(what));
        }
        if field.is_primary_key && column.null_count() > 0 {
            let nulls = column.null_count();
            problems.push(Problem::damage(format!("{nulls} rows have no primary key")));
        }
    }
    problems
}

/// The column of field `id`.
pub(crate) fn column(file: &SegmentFile, id: FieldId) -> Option<ArrayRef> {
    let id = id.to_string();
    let fields = file.schema.fields();
    let at = fields.iter().position(|field| field.metadata().get(FIELD_ID) == Some(&id))?;
    file.rows.columns().get(at).cloned()
}

/// The primary keys of the rows.
pub(crate) fn keys(file: &SegmentFile, primary_key: &FieldSchema) -> Option<PrimaryKeys> {
    PrimaryKeys::from_array(&column(file, primary_key.id)?)
}
