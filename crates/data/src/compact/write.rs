//! The files of one output, and what its manifest entry says of them.

use milvus_base::failpoint;
use milvus_format::delete_file::write_deletes;
use milvus_format::key_index::write_key_index;
use milvus_format::{
    DeleteEntry, DeleteFile, EncodeError, FileMeta, SegmentEntry, path, write_segment_from,
};
use milvus_roles::CompactSegments;
use milvus_storage::{ObjectStore, ObjectWriter};
use milvus_types::SegmentId;

use super::error::CompactError;
use crate::rows::Rows;

/// Writes segment `id` of `rows`, of which `deletes` are deleted.
pub(crate) fn segment(
    task: &CompactSegments,
    id: SegmentId,
    rows: &Rows<'_>,
    deletes: &[DeleteEntry],
    store: &dyn ObjectStore,
) -> Result<SegmentEntry, CompactError> {
    let first = task.inputs.first().ok_or(CompactError::NoInputs)?;
    let (collection, partition) = (task.collection.id, first.partition_id);
    let columns_path = path::columns(collection, partition, id);
    let info = put(store, &columns_path, |out| write_segment_from(out, rows.schema(), rows))?;
    failpoint::hit("compact.columns");
    let keys_path = path::keys(collection, partition, id);
    let keys = put(store, &keys_path, |out| write_key_index(&rows.keys()?, out))?;
    let newest = deletes.iter().map(|delete| delete.timestamp).max();
    let delete_file = newest.map(|max_ts| {
        // A later file of the segment is named for a later time.
        let path = path::deletes(collection, partition, id, max_ts.0);
        let written = put(store, &path, |out| write_deletes(out, deletes))?;
        Ok::<_, CompactError>(DeleteFile {
            file: written.at(path),
            rows: deletes.len() as u64,
            max_ts,
        })
    });
    let columns: FileMeta = info.at(columns_path);
    Ok(SegmentEntry {
        id,
        partition_id: partition,
        vchannel: first.vchannel.clone(),
        rows: info.rows,
        min_ts: info.min_ts,
        max_ts: info.max_ts,
        columns,
        key_index: keys.at(keys_path),
        delete_files: delete_file.transpose()?.into_iter().collect(),
        indexes: Vec::new(),
        deleted_rows: deletes.len() as u64,
        schema_version: task.collection.schema.version,
        level: task.level,
        stats: info.stats,
    })
}

/// Puts what `write` writes at `path`; durable when it returns.
fn put<T>(
    store: &dyn ObjectStore,
    path: &str,
    write: impl FnOnce(&mut ObjectWriter) -> Result<T, EncodeError>,
) -> Result<T, CompactError> {
    let mut out = store.writer(path)?;
    let written = write(&mut out).map_err(|source| {
        if let EncodeError::Cancelled { .. } = source {
            return CompactError::Cancelled;
        }
        CompactError::Write { path: path.to_owned(), source }
    })?;
    out.finish()?;
    Ok(written)
}
