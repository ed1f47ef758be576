//! Quarantine: where the files of damaged segments are kept, with a note of what they were.
//!
//! ```text
//! quarantine/{time}/segments/{collection}/{partition}/{segment}/columns.arrow, ...   copies
//!                                                              /note.json            what and why
//! quarantine/{time}/manifests/{collection}/{version}.manifest   the last one that named them
//! ```
//!
//! Servers neither read nor remove anything here. The note is written first, so that a repair which
//! was cut short is found and finished by the next one; it is never changed.

use bytes::Bytes;
use milvus_format::{FileMeta, SegmentEntry, path};
use milvus_storage::{ObjectStore, StoreError};
use milvus_types::CollectionId;
use serde::{Deserialize, Serialize};

use crate::error::RepairError;
use crate::file::unread;
use crate::finding::{Finding, Severity};

/// The prefix of everything put aside.
pub const QUARANTINE: &str = "quarantine/";
const NOTE: &str = "note.json";
/// The version of notes that is written, and the newest one read.
const VERSION: u32 = 1;
/// Bytes copied at a time.
const PIECE_BYTES: u64 = 4 << 20;

/// What `note.json` says of a segment that was put aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineNote {
    /// The version of this note's form.
    pub version: u32,
    /// When, in UTC.
    pub time: String,
    /// The collection.
    pub collection_id: i64,
    /// The collection's name with its database, if the catalogue knew it.
    pub collection: Option<String>,
    /// The partition.
    pub partition_id: i64,
    /// The segment.
    pub segment_id: i64,
    /// The shard.
    pub vchannel: String,
    /// How many rows it had, deleted ones included.
    pub rows: u64,
    /// The version of the last manifest that named it.
    pub manifest_version: u64,
    /// What was wrong.
    pub problems: Vec<String>,
    /// Its files.
    pub files: Vec<QuarantinedFile>,
}

/// A file of a segment that was put aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantinedFile {
    /// Where it was.
    pub path: String,
    /// Where its copy is.
    pub copy: String,
    /// How long the manifest says it was.
    pub bytes: u64,
    /// The CRC32C that the manifest says it had.
    pub crc32c: u32,
}

impl QuarantineNote {
    /// A note of segment `entry` of `collection`, which manifest `version` names.
    pub(crate) fn new(
        time: &str,
        collection_id: CollectionId,
        version: u64,
        entry: &SegmentEntry,
    ) -> Self {
        let own = path::segment(collection_id, entry.partition_id, entry.id);
        let aside = |file: &FileMeta| QuarantinedFile {
            path: file.path.clone(),
            copy: format!("{QUARANTINE}{time}/{}", file.path),
            bytes: file.bytes,
            crc32c: file.crc32c,
        };
        Self {
            version: VERSION,
            time: time.to_owned(),
            collection_id: collection_id.0,
            collection: None,
            partition_id: entry.partition_id.0,
            segment_id: entry.id.0,
            vchannel: entry.vchannel.to_string(),
            rows: entry.rows,
            manifest_version: version,
            problems: Vec::new(),
            // A file of another segment that a wrong manifest names stays where it is.
            files: entry.files().filter(|file| file.path.starts_with(&own)).map(aside).collect(),
        }
    }

    /// Where the note lies.
    pub(crate) fn path(&self) -> String {
        let Self { time, collection_id, partition_id, segment_id, .. } = self;
        format!(
            "{QUARANTINE}{time}/{}{collection_id}/{partition_id}/{segment_id}/{NOTE}",
            path::SEGMENTS
        )
    }

    /// Where the copy of the manifest lies.
    pub(crate) fn manifest_path(&self) -> String {
        let at = path::manifest(CollectionId(self.collection_id), self.manifest_version);
        format!("{QUARANTINE}{}/{at}", self.time)
    }

    pub(crate) fn encode(&self) -> Bytes {
        // Numbers, texts and lists of them: there is nothing in it that cannot be written.
        serde_json::to_vec_pretty(self).unwrap_or_default().into()
    }
}

/// A note that was found, or what is wrong with it.
pub(crate) struct FoundNote {
    pub(crate) path: String,
    pub(crate) note: Result<QuarantineNote, Finding>,
}

/// The notes in quarantine, oldest first.
pub(crate) async fn notes(store: &dyn ObjectStore) -> Result<Vec<FoundNote>, StoreError> {
    let mut found = Vec::new();
    for object in store.list(QUARANTINE).await? {
        if object.path.ends_with(&format!("/{NOTE}")) {
            let note = read_note(store, &object.path).await;
            found.push(FoundNote { path: object.path, note });
        }
    }
    Ok(found)
}

async fn read_note(store: &dyn ObjectStore, at: &str) -> Result<QuarantineNote, Finding> {
    let object = store.get(at).await.map_err(|error| unread(at, &error))?;
    let note: QuarantineNote = serde_json::from_slice(&object.bytes)
        .map_err(|error| Finding::note(at, format!("it is no note of quarantine: {error}")))?;
    if note.version > VERSION {
        let what = format!("it has version {}, this program reads up to {VERSION}", note.version);
        return Err(Finding::new(Severity::Note, at, what));
    }
    Ok(note)
}

/// Copies the object at `from` to `to`, byte for byte, and verifies the copy. A copy that is there
/// already and equal is left. Gives how many bytes it has.
pub(crate) async fn copy(
    store: &dyn ObjectStore,
    from: &str,
    to: &str,
) -> Result<u64, RepairError> {
    let size = store.head(from).await?.size;
    let want = checksum(store, from, size).await?;
    if is_same(store, to, size, want).await? {
        return Ok(size);
    }
    let mut writer = store.writer(to)?;
    let mut at = 0;
    while at < size {
        let end = size.min(at + PIECE_BYTES);
        let piece = store.get_range(from, at..end).await?;
        let written = milvus_base::io::run(move || {
            let written = std::io::Write::write_all(&mut writer, &piece);
            (writer, written)
        });
        let (back, written) = written.await?;
        written.map_err(|source| StoreError::Io { op: "put", path: to.to_owned(), source })?;
        writer = back;
        at = end;
    }
    milvus_base::io::run(move || writer.finish()).await??;
    let got = checksum(store, to, size).await?;
    if got != want {
        let (path, copy) = (from.to_owned(), to.to_owned());
        return Err(RepairError::BadCopy { path, copy, got, want });
    }
    Ok(size)
}

/// Whether the objects at both paths are there and equal.
pub(crate) async fn is_copied(
    store: &dyn ObjectStore,
    from: &str,
    to: &str,
) -> Result<bool, StoreError> {
    let size = match store.head(from).await {
        Ok(meta) => meta.size,
        Err(error) if error.is_not_found() => return Ok(false),
        Err(error) => return Err(error),
    };
    let want = checksum(store, from, size).await?;
    is_same(store, to, size, want).await
}

async fn is_same(
    store: &dyn ObjectStore,
    at: &str,
    size: u64,
    want: u32,
) -> Result<bool, StoreError> {
    match store.head(at).await {
        Ok(meta) if meta.size == size => Ok(checksum(store, at, size).await? == want),
        Ok(_) => Ok(false),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

async fn checksum(store: &dyn ObjectStore, path: &str, size: u64) -> Result<u32, StoreError> {
    let (mut at, mut crc) = (0, 0);
    while at < size {
        let end = size.min(at + PIECE_BYTES);
        crc = crc32c::crc32c_append(crc, &store.get_range(path, at..end).await?);
        at = end;
    }
    Ok(crc)
}
