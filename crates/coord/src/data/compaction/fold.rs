//! Merging the delete files of one segment: its columns stay as they are.
//!
//! What is left is two files at most: deletes old enough for their rows to be purged, and younger
//! ones. Under continuous deletes the younger file never gets old; were there only one, its rows
//! would never be counted as purgeable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use milvus_format::delete_file::{self, DeleteEntry};
use milvus_format::manifest::{DeleteFile, ManifestEdit, SegmentEntry};
use milvus_format::{path, verify};
use milvus_types::{CollectionId, Failure, Result, Timestamp};

use crate::data::DataCoordinator;

impl DataCoordinator {
    pub(super) async fn fold_deletes(
        self: &Arc<Self>,
        id: CollectionId,
        segment: SegmentEntry,
        cutoff: Timestamp,
    ) -> Result<()> {
        let mut entries = Vec::new();
        for file in &segment.delete_files {
            entries.extend(self.read_deletes(file).await?);
        }
        // The oldest delete of a row counts.
        entries.sort_unstable();
        entries.dedup_by_key(|entry| entry.row);
        let (old, young): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| entry.timestamp <= cutoff);
        let mut folded = Vec::new();
        for part in [old, young] {
            folded.extend(self.write_folded(id, &segment, &part).await?);
        }
        if folded.is_empty() {
            return Ok(());
        }
        let new_paths: Vec<String> = folded.iter().map(|file| file.file.path.clone()).collect();
        let old_files = segment.delete_files.clone();
        let is_done = Arc::new(AtomicBool::new(false));
        let (read, done) = (old_files.clone(), is_done.clone());
        let committed = self.commit(id, move |manifest| {
            let Some(current) = manifest.segment(segment.id) else { return Ok(Vec::new()) };
            // Flushes may have added files since; nobody else changes them.
            let Some(added) = current.delete_files.strip_prefix(&read[..]) else {
                return Ok(Vec::new());
            };
            done.store(true, Ordering::Relaxed);
            Ok(edits(&segment, folded, added))
        });
        let manifest = committed.await?;
        if !is_done.load(Ordering::Relaxed) {
            self.remove_files(new_paths).await;
            return Ok(());
        }
        self.tell_streaming(manifest);
        self.retire_files(id, old_files.into_iter().map(|file| file.file).collect());
        Ok(())
    }

    async fn read_deletes(&self, file: &DeleteFile) -> Result<Vec<DeleteEntry>> {
        let at = &file.file.path;
        let bytes = self.parts.store.get(at).await.map_err(|error| Failure::from(&error))?.bytes;
        verify(&bytes, &file.file)
            .and_then(|()| delete_file::read_deletes(&bytes))
            .map_err(|error| Failure::from(&error).context(at))
    }

    async fn write_folded(
        &self,
        id: CollectionId,
        segment: &SegmentEntry,
        entries: &[DeleteEntry],
    ) -> Result<Option<DeleteFile>> {
        let Some(max_ts) = entries.iter().map(|entry| entry.timestamp).max() else {
            return Ok(None);
        };
        let number = self.parts.ids.allocate(1).await?.unsigned_abs();
        let at = path::deletes(id, segment.partition_id, segment.id, number);
        let mut bytes = Vec::new();
        let written = delete_file::write_deletes(&mut bytes, entries)
            .map_err(|error| Failure::from(&error))?;
        let stored = self.parts.store.put(&at, bytes.into()).await;
        stored.map_err(|error| Failure::from(&error))?;
        Ok(Some(DeleteFile { file: written.at(at), rows: entries.len() as u64, max_ts }))
    }
}

/// `folded`, then the files `added` since, in the place of all delete files of `segment`.
fn edits(
    segment: &SegmentEntry,
    folded: Vec<DeleteFile>,
    added: &[DeleteFile],
) -> Vec<ManifestEdit> {
    let segment_id = segment.id;
    let mut edits = Vec::new();
    for deletes in folded.into_iter().chain(added.iter().cloned()) {
        let rows = deletes.rows;
        edits.push(if edits.is_empty() {
            ManifestEdit::ReplaceDeletes { segment_id, deletes, deleted_rows: rows }
        } else {
            ManifestEdit::AddDeletes { segment_id, deletes, newly_deleted_rows: rows }
        });
    }
    edits
}
