//! Compaction: segments written anew as one sorted run of rows, without those that are gone.
//!
//! ```text
//! inputs, mapped      kept rows, sorted         cut by bytes          files of each output
//! | seg 7: columns |  (input 0, row 4)  \
//! |        deletes |  (input 1, row 0)   | ->   output 0: 0..n   ->   columns, keys, deletes
//! | seg 9: ...     |  (input 0, row 1)  /       output 1: n..         columns, keys
//! ```
//!
//! - A row goes if it was deleted at or before `purge_until` or has expired. Every other row keeps
//!   its values and its timestamp, and a later delete of it is carried over; so a read at a snapshot
//!   after `purge_until` sees in the outputs what it saw in the inputs, and where each row went is
//!   told.
//! - The outputs follow the collection's schema of today ([`crate::input`]).
//! - Memory: some 20 bytes for each row, the offsets of strings and lists of one output, and one
//!   piece of one column at a time. Values go from the mapped inputs to the output.
//!
//! Not here: what to compact and the commit (`coord`), moving what is deleted meanwhile
//! (`streaming`), indexes of the outputs ([`crate::build`]).

mod cut;
pub(crate) mod error;
mod order;
mod write;

use milvus_base::failpoint;
use milvus_format::{DeleteEntry, SegmentEntry};
use milvus_roles::{CompactSegments, Compacted, MovedRows};
use milvus_segment::SegmentSchema;
use milvus_storage::ObjectStore;
use milvus_types::DataType;

use crate::column;
use crate::input::{Input, InputBytes, Place};
use crate::rows::{Cancel, PIECE_BYTES, Rows};
use error::CompactError;

/// Where rows are that have no place any more.
const GONE: (u32, u32) = (u32::MAX, u32::MAX);

/// Whether `task` asks for something that can be done.
pub(crate) fn check(task: &CompactSegments) -> Result<(), CompactError> {
    let Some(first) = task.inputs.first() else { return Err(CompactError::NoInputs) };
    let place = |segment: &SegmentEntry| (segment.partition_id, segment.vchannel.clone());
    if let Some(other) = task.inputs.iter().find(|other| place(other) != place(first)) {
        return Err(CompactError::Apart { first: first.id, other: other.id });
    }
    let mut ids: Vec<_> = task.inputs.iter().map(|segment| segment.id).collect();
    ids.extend(&task.output_ids);
    ids.sort_unstable();
    if let Some([id, _]) = ids.array_windows().find(|[a, b]| a == b) {
        return Err(CompactError::NamedTwice { segment_id: *id });
    }
    if task.output_ids.is_empty() { Err(CompactError::NoOutputs) } else { Ok(()) }
}

/// About how much memory `task` takes beyond its mapped inputs.
pub(crate) fn estimate_bytes(task: &CompactSegments) -> u64 {
    let sum =
        |of: &dyn Fn(&SegmentEntry) -> u64| task.inputs.iter().map(of).fold(0, u64::saturating_add);
    let rows = sum(&|segment| segment.rows);
    let deletes = sum(&|segment| segment.delete_files.iter().map(|file| file.rows).sum());
    let schema = &task.collection.schema;
    // Order, place and move of each row; what it is ordered by; its key in the column, beside its row,
    // and in the index.
    let fixed = rows.saturating_mul(4 + 8 + 8 + 8 + 8 + 24 + 12);
    let texts = match schema.pk_type() {
        milvus_types::PkType::Int64 => 0,
        milvus_types::PkType::VarChar => 3 * sum(&|segment| segment.key_index.bytes),
    };
    let dense = column::dense_bytes(schema, usize::try_from(rows).unwrap_or(usize::MAX));
    let others = sum(&|segment| segment.columns.bytes).saturating_sub(dense);
    let nested = schema.fields.iter().any(|field| field.element_type == Some(DataType::VarChar));
    // Offsets of elements are no more than the file has of them.
    let nested = if nested { others / 2 } else { 0 };
    let offsets = rows.saturating_mul(5 * schema.fields.len() as u64);
    [fixed, texts, nested, offsets, deletes.saturating_mul(64), 3 * PIECE_BYTES]
        .into_iter()
        .fold(0, u64::saturating_add)
}

/// Writes the segments of `task` anew from `bytes`, those of each input. Blocks.
pub(crate) fn run(
    task: &CompactSegments,
    bytes: Vec<InputBytes>,
    store: &dyn ObjectStore,
    cancel: Cancel<'_>,
) -> Result<Compacted, CompactError> {
    let schema = SegmentSchema::new(&task.collection.schema)?;
    let mut inputs = Vec::with_capacity(bytes.len());
    for (segment, bytes) in task.inputs.iter().zip(bytes) {
        check_cancel(cancel)?;
        inputs.push(Input::open(segment, bytes, &schema)?);
    }
    let places = order::places(task, &schema, &inputs, cancel)?;
    let rows = Rows::new(&schema, &inputs, &places, cancel);
    let names = task.output_ids.len();
    let ends = cut::ends(&rows, task.target_bytes, names);
    let moved = moved(&inputs, &places, &ends);
    let deletes = carried(task, &inputs, &moved, ends.len());
    let mut outputs = Vec::with_capacity(ends.len());
    let mut start = 0;
    for ((id, end), deletes) in task.output_ids.iter().zip(ends).zip(deletes) {
        check_cancel(cancel)?;
        outputs.push(write::segment(task, *id, &rows.slice(start..end), &deletes, store)?);
        start = end;
    }
    failpoint::hit("compact.written");
    Ok(Compacted { outputs, moved })
}

/// An error once the flag is raised.
fn check_cancel(cancel: Cancel<'_>) -> Result<(), CompactError> {
    if cancel.is_raised() { Err(CompactError::Cancelled) } else { Ok(()) }
}

/// Where each input's rows go, given where each output ends among `places`.
fn moved(inputs: &[Input], places: &[Place], ends: &[usize]) -> Vec<MovedRows> {
    let mut moved: Vec<MovedRows> = inputs
        .iter()
        .map(|input| MovedRows { from: input.id(), to: vec![GONE; input.rows()] })
        .collect();
    let mut start = 0;
    for (output, end) in (0_u32..).zip(ends) {
        for (row, place) in (0_u32..).zip(places.get(start..*end).unwrap_or_default()) {
            let to = moved.get_mut(place.input as usize);
            if let Some(to) = to.and_then(|moved| moved.to.get_mut(place.row as usize)) {
                *to = (output, row);
            }
        }
        start = *end;
    }
    moved
}

/// The deletes of rows that were kept, for each of the outputs.
fn carried(
    task: &CompactSegments,
    inputs: &[Input],
    moved: &[MovedRows],
    outputs: usize,
) -> Vec<Vec<DeleteEntry>> {
    let mut carried = vec![Vec::new(); outputs];
    for (input, moved) in inputs.iter().zip(moved) {
        for delete in input.deletes().iter().filter(|delete| delete.timestamp > task.purge_until) {
            let Some((output, row)) = moved.target(delete.row) else { continue };
            if let Some(entries) = carried.get_mut(output) {
                entries.push(DeleteEntry { row, timestamp: delete.timestamp });
            }
        }
    }
    carried
}
