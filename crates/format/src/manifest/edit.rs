//! Edits: how one version of a manifest becomes the next.

use milvus_types::{Coded, ErrorCode, IndexId, PartitionId, SegmentId, VChannel};

use super::{ChannelCheckpoint, DeleteFile, IndexEntry, Manifest, SegmentEntry};

/// One change of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManifestEdit {
    /// A segment was flushed, imported or made by compaction.
    AddSegment(SegmentEntry),
    /// A segment was compacted away.
    RemoveSegment(SegmentId),
    /// An index was built on a segment; takes the place of an older build of the same index.
    AddIndex {
        /// The segment.
        segment_id: SegmentId,
        /// What was built.
        index: IndexEntry,
    },
    /// An index definition was dropped: its files leave every segment.
    DropIndex(IndexId),
    /// Rows of a segment were deleted.
    AddDeletes {
        /// The segment.
        segment_id: SegmentId,
        /// The file that names the rows.
        deletes: DeleteFile,
        /// How many of its rows no earlier file deletes.
        newly_deleted_rows: u64,
    },
    /// All delete files of a segment were merged into `deletes`.
    ReplaceDeletes {
        /// The segment.
        segment_id: SegmentId,
        /// The merged file.
        deletes: DeleteFile,
        /// How many rows it deletes.
        deleted_rows: u64,
    },
    /// A partition was dropped: its segments leave.
    RemovePartition(PartitionId),
    /// The collection was truncated: every segment leaves.
    RemoveAllSegments,
    /// Replay of a vchannel begins later from now on.
    SetCheckpoint(ChannelCheckpoint),
}

/// Why an edit does not fit a manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The segment to change is not there: compacted away, or its partition dropped.
    #[error("segment {segment_id} is not in manifest version {version}")]
    SegmentNotFound {
        /// The segment.
        segment_id: SegmentId,
        /// The manifest's version.
        version: u64,
    },
    /// The segment to add is there already.
    #[error("segment {segment_id} is already in manifest version {version}")]
    SegmentExists {
        /// The segment.
        segment_id: SegmentId,
        /// The manifest's version.
        version: u64,
    },
    /// A checkpoint would go back, and records be applied twice.
    #[error("checkpoint of {vchannel} cannot go back from {current} to {proposed}")]
    CheckpointRegress {
        /// The vchannel.
        vchannel: VChannel,
        /// The position in the manifest.
        current: u64,
        /// The position in the edit.
        proposed: u64,
    },
}

impl Coded for EditError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::SegmentNotFound { .. } => ErrorCode::SegmentNotFound,
            Self::SegmentExists { .. } => ErrorCode::SegmentReduplicate,
            Self::CheckpointRegress { .. } => ErrorCode::ServiceInternal,
        }
    }
}

impl Manifest {
    /// The next version: this one with `edits` done in order, all or none.
    pub fn apply(&self, edits: impl IntoIterator<Item = ManifestEdit>) -> Result<Self, EditError> {
        let mut next = self.clone();
        for edit in edits {
            next.edit(edit)?;
        }
        next.version = self.version + 1;
        Ok(next)
    }

    /// The next version, with `segment` added.
    pub fn with_segment_added(&self, segment: SegmentEntry) -> Result<Self, EditError> {
        self.apply([ManifestEdit::AddSegment(segment)])
    }

    /// The next version, with `added` in the place of `removed`.
    pub fn with_segments_replaced(
        &self,
        removed: &[SegmentId],
        added: Vec<SegmentEntry>,
    ) -> Result<Self, EditError> {
        let removed = removed.iter().map(|id| ManifestEdit::RemoveSegment(*id));
        self.apply(removed.chain(added.into_iter().map(ManifestEdit::AddSegment)))
    }

    /// The next version, with `index` on segment `segment_id`.
    pub fn with_index(&self, segment_id: SegmentId, index: IndexEntry) -> Result<Self, EditError> {
        self.apply([ManifestEdit::AddIndex { segment_id, index }])
    }

    /// The next version, without the files of index `index_id`.
    pub fn without_index(&self, index_id: IndexId) -> Result<Self, EditError> {
        self.apply([ManifestEdit::DropIndex(index_id)])
    }

    /// The next version, without the segments of partition `partition_id`.
    pub fn without_partition(&self, partition_id: PartitionId) -> Result<Self, EditError> {
        self.apply([ManifestEdit::RemovePartition(partition_id)])
    }

    /// The next version, with `checkpoint` set.
    pub fn with_checkpoint(&self, checkpoint: ChannelCheckpoint) -> Result<Self, EditError> {
        self.apply([ManifestEdit::SetCheckpoint(checkpoint)])
    }

    fn edit(&mut self, edit: ManifestEdit) -> Result<(), EditError> {
        match edit {
            ManifestEdit::AddSegment(segment) => self.add_segment(segment)?,
            ManifestEdit::RemoveSegment(segment_id) => {
                self.segment_mut(segment_id)?;
                self.segments.retain(|segment| segment.id != segment_id);
            }
            ManifestEdit::AddIndex { segment_id, index } => {
                let segment = self.segment_mut(segment_id)?;
                segment.indexes.retain(|old| old.index_id != index.index_id);
                segment.indexes.push(index);
            }
            ManifestEdit::DropIndex(index_id) => {
                for segment in &mut self.segments {
                    segment.indexes.retain(|index| index.index_id != index_id);
                }
            }
            ManifestEdit::AddDeletes { segment_id, deletes, newly_deleted_rows } => {
                let segment = self.segment_mut(segment_id)?;
                segment.delete_files.push(deletes);
                segment.deleted_rows = segment.deleted_rows.saturating_add(newly_deleted_rows);
            }
            ManifestEdit::ReplaceDeletes { segment_id, deletes, deleted_rows } => {
                let segment = self.segment_mut(segment_id)?;
                segment.delete_files = vec![deletes];
                segment.deleted_rows = deleted_rows;
            }
            ManifestEdit::RemovePartition(partition_id) => {
                self.segments.retain(|segment| segment.partition_id != partition_id);
            }
            ManifestEdit::RemoveAllSegments => self.segments.clear(),
            ManifestEdit::SetCheckpoint(checkpoint) => self.set_checkpoint(checkpoint)?,
        }
        Ok(())
    }

    fn segment_mut(&mut self, segment_id: SegmentId) -> Result<&mut SegmentEntry, EditError> {
        let version = self.version;
        self.segments
            .iter_mut()
            .find(|segment| segment.id == segment_id)
            .ok_or(EditError::SegmentNotFound { segment_id, version })
    }

    fn add_segment(&mut self, segment: SegmentEntry) -> Result<(), EditError> {
        match self.segments.binary_search_by_key(&segment.id, |entry| entry.id) {
            Ok(_) => {
                Err(EditError::SegmentExists { segment_id: segment.id, version: self.version })
            }
            Err(place) => {
                self.segments.insert(place, segment);
                Ok(())
            }
        }
    }

    fn set_checkpoint(&mut self, checkpoint: ChannelCheckpoint) -> Result<(), EditError> {
        let found = self.checkpoints.iter_mut().find(|old| old.vchannel == checkpoint.vchannel);
        match found {
            Some(old) if old.position > checkpoint.position => Err(EditError::CheckpointRegress {
                vchannel: checkpoint.vchannel,
                current: old.position,
                proposed: checkpoint.position,
            }),
            Some(old) => {
                *old = checkpoint;
                Ok(())
            }
            None => {
                self.checkpoints.push(checkpoint);
                self.checkpoints.sort_by(|a, b| a.vchannel.cmp(&b.vchannel));
                Ok(())
            }
        }
    }
}
