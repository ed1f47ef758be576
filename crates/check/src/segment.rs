//! The files of one sealed segment: columns, key index, delete files, indexes.

use std::collections::HashMap;
use std::sync::Arc;

use milvus_format::{FileMeta, IndexEntry, SegmentEntry, SegmentFile};
use milvus_types::{Collection, CollectionId, IndexId};

use crate::check::Run;
use crate::file::{Found, look, verify};
use crate::finding::{Action, Finding, Severity};
use crate::options::PlantedBug;
use crate::outcome::Outcome;
use crate::stats::Wrong;
use crate::{columns, deletes, indexes, keys, stats};

pub(crate) const QUARANTINE_ADVICE: &str = "`milvus check --repair` takes the segment out of the \
    collection and keeps its files aside; its rows are then missing until they are inserted again";
const STATS_ADVICE: &str = "filters on the field miss rows of the segment; `milvus check --repair` \
    drops the statistics, and filters look at the rows again";
const INDEX_ADVICE: &str = "searches do without the index; `milvus check --repair` drops the file, \
    and the server builds it again";

/// What is wrong with the content of a file.
pub(crate) type Problems = Vec<Problem>;

/// One thing that is wrong with it.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) severity: Severity,
    pub(crate) what: String,
}

impl Problem {
    pub(crate) fn damage(what: impl Into<String>) -> Self {
        Self { severity: Severity::Damage, what: what.into() }
    }

    pub(crate) fn note(what: impl Into<String>) -> Self {
        Self { severity: Severity::Note, what: what.into() }
    }

    /// Bytes that a later program wrote are not damaged.
    pub(crate) fn newer(what: impl Into<String>) -> Self {
        Self { severity: Severity::Unreadable, what: what.into() }
    }
}

/// A segment and whose it is.
pub(crate) struct Subject<'a> {
    pub(crate) collection: Option<Arc<Collection>>,
    pub(crate) collection_id: CollectionId,
    pub(crate) entry: &'a SegmentEntry,
    /// The path of the manifest that names it.
    pub(crate) manifest: String,
    /// The collection's indexes by name.
    pub(crate) names: HashMap<IndexId, String>,
}

/// Verifies the files of `subject`.
pub(crate) async fn check(run: &Run<'_>, subject: Subject<'_>) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.counts.segments += 1;
    outcome.counts.rows += subject.entry.rows;
    let columns = subject.columns(run, &mut outcome).await;
    subject.keys(run, columns.as_ref(), &mut outcome).await;
    subject.deletes(run, &mut outcome).await;
    for index in &subject.entry.indexes {
        subject.index(run, index, columns.as_ref(), &mut outcome).await;
    }
    outcome
}

impl Subject<'_> {
    /// The columns if they are sound.
    async fn columns(&self, run: &Run<'_>, outcome: &mut Outcome) -> Option<SegmentFile> {
        let meta = &self.entry.columns;
        let found = verify(run, meta, outcome).await;
        let (entry, collection) = (self.entry.clone(), self.collection.clone());
        let opened = self.open(run, meta, &found, PlantedBug::SkipColumns, move |bytes| {
            let (file, problems) = columns::check(&bytes, &entry, collection.as_deref());
            let judge = |file: &SegmentFile| stats::check(file, &entry, collection.as_deref());
            let wrong = file.as_ref().map(judge).unwrap_or_default();
            ((file, wrong), problems)
        });
        let (columns, problems) = opened.await.unzip();
        self.conclude(meta, found, problems.unwrap_or_default(), outcome)?;
        let (columns, wrong) = columns?;
        if run.options.planted_bug != PlantedBug::SkipStats {
            outcome.findings.extend(wrong.into_iter().map(|wrong| self.stats(wrong)));
        }
        columns
    }

    /// What it means that statistics in the manifest are wrong.
    fn stats(&self, Wrong { field, what, hides_rows }: Wrong) -> Finding {
        let what = format!("segment {}: {what}", self.entry.id);
        if !hides_rows {
            return self.concern(Finding::note(&self.manifest, what));
        }
        let mut finding = self.concern(Finding::damage(&self.manifest, what));
        let (collection_id, segment_id) = (self.collection_id, self.entry.id);
        finding.repair = Some(Action::DropStats { collection_id, segment_id, field_id: field });
        finding.advise(STATS_ADVICE)
    }

    async fn keys(&self, run: &Run<'_>, columns: Option<&SegmentFile>, outcome: &mut Outcome) {
        let meta = &self.entry.key_index;
        let found = verify(run, meta, outcome).await;
        let rows = self.entry.rows;
        let primary_key =
            self.collection.as_ref().and_then(|collection| collection.schema.primary_key());
        let keys = columns.zip(primary_key).and_then(|(file, field)| columns::keys(file, field));
        let opened = self.open(run, meta, &found, PlantedBug::SkipKeys, move |bytes| {
            keys::check(&bytes, rows, keys.as_ref())
        });
        let problems = opened.await.unwrap_or_default();
        self.conclude(meta, found, problems, outcome);
    }

    async fn deletes(&self, run: &Run<'_>, outcome: &mut Outcome) {
        let mut deleted = deletes::Deleted::new(self.entry.rows);
        let mut sound = true;
        for file in &self.entry.delete_files {
            let found = verify(run, &file.file, outcome).await;
            let (expect, mut so_far) = (file.clone(), deleted.clone());
            let opened =
                self.open(run, &file.file, &found, PlantedBug::SkipDeletes, move |bytes| {
                    let problems = so_far.add(&bytes, &expect);
                    (so_far, problems)
                });
            let (after, problems) = opened.await.unzip();
            sound &= after.is_some();
            deleted = after.unwrap_or(deleted);
            self.conclude(&file.file, found, problems.unwrap_or_default(), outcome);
        }
        let got = deleted.count();
        if sound && got != self.entry.deleted_rows {
            let want = self.entry.deleted_rows;
            let what =
                format!("its delete files delete {got} rows, the manifest counts {want} deleted");
            outcome.push(self.concern(Finding::note(&self.entry.columns.path, what)));
        }
    }

    async fn index(
        &self,
        run: &Run<'_>,
        index: &IndexEntry,
        columns: Option<&SegmentFile>,
        outcome: &mut Outcome,
    ) {
        let found = verify(run, &index.file, outcome).await;
        let field = self
            .collection
            .as_ref()
            .and_then(|collection| collection.schema.field_by_id(index.field_id).cloned());
        let (entry, segment) = (index.clone(), (self.entry.id, self.entry.rows));
        let column = columns.and_then(|file| columns::column(file, index.field_id));
        let opened = self.open(run, &index.file, &found, PlantedBug::SkipIndexes, move |bytes| {
            indexes::check(bytes, &entry, segment, field.as_ref(), column)
        });
        let problems = opened.await.unwrap_or_default();
        for mut finding in self.findings(&index.file, found, problems) {
            let name = self.names.get(&index.index_id).cloned();
            finding.concerns.index = Some(name.unwrap_or_else(|| index.index_id.to_string()));
            if finding.repair.is_some() {
                let (collection_id, segment_id) = (self.collection_id, self.entry.id);
                let index_id = index.index_id;
                finding.repair = Some(Action::DropIndex { collection_id, segment_id, index_id });
                finding.advice = INDEX_ADVICE.to_owned();
            }
            outcome.push(finding);
        }
    }

    /// Opens a file, unless it is not there; a panic of the opener is no panic of the check.
    async fn open<T: Send + 'static>(
        &self,
        run: &Run<'_>,
        meta: &FileMeta,
        found: &Found,
        skipped_by: PlantedBug,
        open: impl FnOnce(bytes::Bytes) -> T + Send + 'static,
    ) -> Option<T> {
        if matches!(found, Found::Gone(_)) || run.options.planted_bug == skipped_by {
            return None;
        }
        look(run, &meta.path, open).await.ok()
    }

    /// Reports what was found; `None` if the file cannot be relied on.
    fn conclude(
        &self,
        meta: &FileMeta,
        found: Found,
        problems: Problems,
        outcome: &mut Outcome,
    ) -> Option<()> {
        let findings = self.findings(meta, found, problems);
        let sound = !findings.iter().any(|finding| finding.severity.is_bad());
        outcome.findings.extend(findings);
        sound.then_some(())
    }

    /// One finding for bytes that changed, with what opening them says; else one for each problem.
    fn findings(&self, meta: &FileMeta, found: Found, problems: Problems) -> Vec<Finding> {
        let findings = match found {
            Found::Gone(finding) => vec![finding],
            Found::Changed(mut finding) => {
                if let Some(problem) = problems.into_iter().next() {
                    finding.what += &format!("; {}", problem.what);
                }
                vec![finding]
            }
            Found::Sound => problems
                .into_iter()
                .map(|problem| Finding::new(problem.severity, &meta.path, problem.what))
                .collect(),
        };
        findings.into_iter().map(|finding| self.concern(finding)).collect()
    }

    /// Says of a finding whom it concerns and what is done about it.
    fn concern(&self, mut finding: Finding) -> Finding {
        finding = finding.of_id(self.collection_id);
        let partition = self.entry.partition_id;
        finding.concerns.partition = Some(partition.to_string());
        if let Some(collection) = &self.collection {
            finding = finding.of(collection);
            let named = collection.partition_by_id(partition).map(|named| named.name.clone());
            finding.concerns.partition = named.or(finding.concerns.partition);
        }
        finding.concerns.segment_id = Some(self.entry.id.0);
        finding.concerns.rows = Some(self.entry.rows);
        match finding.severity {
            Severity::Damage | Severity::Missing => {
                let (collection_id, segment_id) = (self.collection_id, self.entry.id);
                finding.repair = Some(Action::QuarantineSegment { collection_id, segment_id });
                finding.advice = QUARANTINE_ADVICE.to_owned();
            }
            Severity::Unreadable | Severity::Orphan | Severity::Note => {}
        }
        finding
    }
}
