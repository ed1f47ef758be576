//! Repair: damaged segments leave their collections and are kept aside; damaged indexes, and statistics
//! that are wrong, are dropped.
//!
//! ```text
//! for each collection:   note -> copies -> manifest v+1 -> catalogue v => v+1 -> originals removed
//!                        \_ nothing changed for servers _/        \_ committed; a repeat finishes _/
//! ```
//!
//! The catalogue decides, by compare-and-swap. Before it, a crash leaves copies that the next repair
//! takes over; behind it, originals that nothing names and that are equal to their copies, which the
//! next repair, or a server's start, removes. What cannot be read is not copied, and so stays where
//! and what it is. A damaged delete file takes its whole segment along: without it, rows that were
//! deleted would come back.
//!
//! Not repaired: manifests, the catalogue, the log. What can be done about them is in the findings.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use milvus_base::failpoint;
use milvus_format::manifest::ManifestEdit;
use milvus_format::{Manifest, SegmentEntry, path};
use milvus_meta::{Catalogue, Kv};
use milvus_storage::ObjectStore;
use milvus_types::{CollectionId, FieldId, IndexId, SegmentId};
use serde::Serialize;

use crate::check::check;
use crate::error::RepairError;
use crate::file::chain;
use crate::finding::{Action, Finding};
use crate::options::RepairOptions;
use crate::quarantine::{self, QuarantineNote};
use crate::report::Report;
use crate::target::Target;
use crate::time;

/// The places at which a test may end the process.
pub const FAILPOINTS: [&str; 5] = [
    "check.note-written",
    "check.files-copied",
    "check.manifest-written",
    "check.committed",
    "check.original-removed",
];

/// One thing that a repair did, or would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "step")]
pub enum Step {
    /// A file was copied into quarantine.
    Copied {
        /// The file.
        path: String,
        /// Its copy.
        copy: String,
        /// How long it is.
        bytes: u64,
    },
    /// A file that a manifest names was not there to be copied.
    WasMissing {
        /// The file.
        path: String,
    },
    /// A manifest became current.
    Committed {
        /// The manifest.
        manifest: String,
        /// The segments that it does not name any more.
        segments: Vec<i64>,
        /// The files of indexes that it does not name any more.
        indexes: Vec<String>,
        /// The segments and fields that it has no statistics of any more.
        statistics: Vec<(i64, i64)>,
    },
    /// A file whose copy is in quarantine was removed.
    Removed {
        /// The file.
        path: String,
    },
    /// Something was left as it is.
    LeftAlone {
        /// What.
        object: String,
        /// Why.
        why: String,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Copied { path, copy, bytes } => {
                write!(f, "copied    {path} ({bytes} bytes) to {copy}")
            }
            Self::WasMissing { path } => write!(f, "missing   {path}: there is nothing to copy"),
            Self::Committed { manifest, segments, indexes, statistics } => write!(
                f,
                "committed {manifest} without segments {segments:?}, index files {indexes:?} and \
                 statistics of (segment, field) {statistics:?}"
            ),
            Self::Removed { path } => write!(f, "removed   {path}, its copy is in quarantine"),
            Self::LeftAlone { object, why } => write!(f, "left      {object}: {why}"),
        }
    }
}

/// What a repair found, did, and found afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Repair {
    /// What was found first.
    pub before: Report,
    /// What was done, in order; of a dry run, what would be.
    pub steps: Vec<Step>,
    /// What was found afterwards; nothing of a dry run.
    pub after: Option<Report>,
}

impl Repair {
    /// The command's exit status: that of the last check.
    pub fn exit_code(&self) -> u8 {
        self.after.as_ref().unwrap_or(&self.before).exit_code()
    }
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.before)?;
        let Some(after) = &self.after else {
            writeln!(f, "dry run: a repair would have taken {} steps", self.steps.len())?;
            return self.steps.iter().try_for_each(|step| writeln!(f, "would have {step}"));
        };
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))?;
        write!(f, "{after}")
    }
}

/// Checks `target`, repairs what can be repaired, and checks it again.
///
/// Nobody else may use the target: of a data directory, [`crate::DataDir::lock`] sees to that; of a
/// bucket, that no server runs on it is for the caller to know.
pub async fn repair(target: &Target, options: &RepairOptions) -> Result<Repair, RepairError> {
    let before = check(target, &options.check).await?;
    let mut steps: Vec<Step> = before.findings.iter().filter_map(left_alone).collect();
    let Ok(kv) = &target.kv else {
        return Ok(Repair { after: Some(before.clone()), before, steps });
    };
    let session = Session::open(target, kv, options).await?;
    steps.extend(session.finish_earlier().await?);
    for (id, wanted) in by_collection(&before) {
        steps.extend(session.repair(id, &wanted, &before).await?);
    }
    let after = match options.dry_run {
        true => None,
        false => Some(check(target, &options.check).await?),
    };
    Ok(Repair { before, steps, after })
}

fn left_alone(finding: &Finding) -> Option<Step> {
    if !finding.severity.is_bad() || finding.repair.is_some() {
        return None;
    }
    let why = match finding.advice.as_str() {
        "" => finding.what.clone(),
        advice => advice.to_owned(),
    };
    Some(Step::LeftAlone { object: finding.object.clone(), why })
}

/// What is to leave one collection's manifest.
#[derive(Debug, Default)]
struct Wanted {
    segments: BTreeSet<SegmentId>,
    indexes: BTreeSet<(SegmentId, IndexId)>,
    stats: BTreeSet<(SegmentId, FieldId)>,
}

fn by_collection(report: &Report) -> BTreeMap<CollectionId, Wanted> {
    let mut wanted: BTreeMap<CollectionId, Wanted> = BTreeMap::new();
    for action in report.actions() {
        match action {
            Action::QuarantineSegment { collection_id, segment_id } => {
                wanted.entry(collection_id).or_default().segments.insert(segment_id);
            }
            Action::DropIndex { collection_id, segment_id, index_id } => {
                wanted.entry(collection_id).or_default().indexes.insert((segment_id, index_id));
            }
            Action::DropStats { collection_id, segment_id, field_id } => {
                wanted.entry(collection_id).or_default().stats.insert((segment_id, field_id));
            }
        }
    }
    wanted
}

/// One repair under way.
struct Session<'a> {
    store: &'a dyn ObjectStore,
    catalogue: Catalogue,
    dry_run: bool,
    time: String,
}

impl<'a> Session<'a> {
    async fn open(
        target: &'a Target,
        kv: &Arc<dyn Kv>,
        options: &RepairOptions,
    ) -> Result<Self, RepairError> {
        Ok(Self {
            store: &*target.store,
            catalogue: Catalogue::open(Arc::clone(kv)).await?,
            dry_run: options.dry_run,
            time: time::stamp(options.clock.now_ms()),
        })
    }

    /// The current manifest of `id`, if there is one that can be read.
    async fn current(&self, id: CollectionId) -> Result<Option<Manifest>, RepairError> {
        let Some(version) = self.catalogue.manifest(id).await? else {
            return Ok(None);
        };
        let path = path::manifest(id, version);
        let object = self.store.get(&path).await?;
        let manifest = Manifest::decode(&object.bytes)
            .map_err(|error| RepairError::Manifest { path, what: chain(&error) })?;
        Ok(Some(manifest))
    }

    /// Removes originals that a repair which was cut short had copied and taken out of the manifest.
    async fn finish_earlier(&self) -> Result<Vec<Step>, RepairError> {
        let mut steps = Vec::new();
        for found in quarantine::notes(self.store).await? {
            let Ok(note) = found.note else {
                continue;
            };
            // A manifest that cannot be read may name them yet.
            let Ok(Some(current)) = self.current(CollectionId(note.collection_id)).await else {
                continue;
            };
            if current.segment(SegmentId(note.segment_id)).is_none() {
                steps.extend(self.remove_originals(&note, &current).await?);
            }
        }
        Ok(steps)
    }

    async fn repair(
        &self,
        id: CollectionId,
        wanted: &Wanted,
        report: &Report,
    ) -> Result<Vec<Step>, RepairError> {
        let Some(current) = self.current(id).await? else {
            return Ok(Vec::new());
        };
        let mut steps = Vec::new();
        let mut notes = Vec::new();
        for entry in current.segments.iter().filter(|entry| wanted.segments.contains(&entry.id)) {
            let note = self.note(id, &current, entry, report).await?;
            match self.put_aside(&note, &mut steps).await {
                Ok(()) => notes.push(note),
                // What cannot be read cannot be kept, and must not be given up.
                Err(error) => {
                    let why = format!("it cannot be copied: {}", chain(&error));
                    let object = path::segment(id, entry.partition_id, entry.id);
                    steps.push(Step::LeftAlone { object, why });
                }
            }
        }
        if !self.dry_run {
            failpoint::hit("check.files-copied");
        }
        let Edits { edits, indexes, statistics } = edits(&current, &notes, wanted);
        if edits.is_empty() {
            return Ok(steps);
        }
        let next = current.apply(edits)?;
        let manifest = path::manifest(id, next.version);
        self.commit(&current, &next).await?;
        let segments = notes.iter().map(|note| note.segment_id).collect();
        steps.push(Step::Committed { manifest, segments, indexes, statistics });
        for note in &notes {
            steps.extend(self.remove_originals(note, &next).await?);
        }
        Ok(steps)
    }

    /// The note of a segment: that of an earlier repair of the same manifest, or a new one.
    async fn note(
        &self,
        id: CollectionId,
        current: &Manifest,
        entry: &SegmentEntry,
        report: &Report,
    ) -> Result<QuarantineNote, RepairError> {
        let is_of_it = |note: &QuarantineNote| {
            (note.collection_id, note.segment_id, note.manifest_version)
                == (id.0, entry.id.0, current.version)
        };
        let earlier = quarantine::notes(self.store).await?.into_iter();
        if let Some(note) = earlier.filter_map(|found| found.note.ok()).find(is_of_it) {
            return Ok(note);
        }
        let mut note = QuarantineNote::new(&self.time, id, current.version, entry);
        let about = report.findings.iter().filter(|finding| {
            finding.concerns.collection_id == Some(id.0)
                && finding.concerns.segment_id == Some(entry.id.0)
                && finding.severity.is_bad()
        });
        for finding in about {
            note.collection = finding.concerns.collection.clone().or(note.collection);
            note.problems.push(format!("{}: {}", finding.object, finding.what));
        }
        Ok(note)
    }

    /// Copies the files of a segment into quarantine, the note first.
    async fn put_aside(
        &self,
        note: &QuarantineNote,
        steps: &mut Vec<Step>,
    ) -> Result<(), RepairError> {
        if !self.dry_run {
            self.store.put(&note.path(), note.encode().into()).await?;
            failpoint::hit("check.note-written");
            let id = CollectionId(note.collection_id);
            let manifest = path::manifest(id, note.manifest_version);
            quarantine::copy(self.store, &manifest, &note.manifest_path()).await?;
        }
        for file in &note.files {
            let (path, copy) = (file.path.clone(), file.copy.clone());
            let copied = match self.dry_run {
                true => self.store.head(&path).await.map(|meta| meta.size).map_err(Into::into),
                false => quarantine::copy(self.store, &path, &copy).await,
            };
            match copied {
                Ok(bytes) => steps.push(Step::Copied { path, copy, bytes }),
                Err(RepairError::Store(error)) if error.is_not_found() => {
                    steps.push(Step::WasMissing { path });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Makes `next` the current manifest in the place of `current`.
    async fn commit(&self, current: &Manifest, next: &Manifest) -> Result<(), RepairError> {
        if self.dry_run {
            return Ok(());
        }
        let (id, version) = (next.collection_id, next.version);
        // One that never became current may lie there; what decides is the compare-and-swap.
        self.store.put(&path::manifest(id, version), next.encode().into()).await?;
        failpoint::hit("check.manifest-written");
        let swapped = self.catalogue.advance_manifest(id, Some(current.version), version).await;
        let collection_id = id.0;
        swapped.map_err(|source| RepairError::Commit { collection_id, version, source })?;
        failpoint::hit("check.committed");
        Ok(())
    }

    /// Removes the files that `note` is about where `current` does not name them and their copies
    /// are equal to them.
    async fn remove_originals(
        &self,
        note: &QuarantineNote,
        current: &Manifest,
    ) -> Result<Vec<Step>, RepairError> {
        let mut steps = Vec::new();
        for file in &note.files {
            if current.files().any(|named| named.path == file.path) {
                continue;
            }
            let path = file.path.clone();
            if self.dry_run {
                match self.store.head(&path).await {
                    Ok(_) => steps.push(Step::Removed { path }),
                    Err(error) if error.is_not_found() => {}
                    Err(error) => return Err(error.into()),
                }
            } else if quarantine::is_copied(self.store, &path, &file.copy).await? {
                self.store.delete(&path).await?;
                failpoint::hit("check.original-removed");
                steps.push(Step::Removed { path });
            }
        }
        Ok(steps)
    }
}

/// What is taken out of a manifest.
struct Edits {
    edits: Vec<ManifestEdit>,
    /// The index files among that.
    indexes: Vec<String>,
    /// The segments and fields of the statistics among that.
    statistics: Vec<(i64, i64)>,
}

/// The edits that take what is wanted out of `current`.
fn edits(current: &Manifest, notes: &[QuarantineNote], wanted: &Wanted) -> Edits {
    let aside: BTreeSet<SegmentId> = notes.iter().map(|note| SegmentId(note.segment_id)).collect();
    let mut edits: Vec<_> = aside.iter().map(|id| ManifestEdit::RemoveSegment(*id)).collect();
    let (mut indexes, mut statistics) = (Vec::new(), Vec::new());
    for entry in current.segments.iter().filter(|entry| !aside.contains(&entry.id)) {
        let mut kept = entry.clone();
        kept.indexes.retain(|index| {
            let drop = wanted.indexes.contains(&(entry.id, index.index_id));
            indexes.extend(drop.then(|| index.file.path.clone()));
            !drop
        });
        kept.stats.retain(|stats| {
            let drop = wanted.stats.contains(&(entry.id, stats.field_id));
            statistics.extend(drop.then_some((entry.id.0, stats.field_id.0)));
            !drop
        });
        if kept != *entry {
            edits.push(ManifestEdit::RemoveSegment(entry.id));
            edits.push(ManifestEdit::AddSegment(kept));
        }
    }
    Edits { edits, indexes, statistics }
}
