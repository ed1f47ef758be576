//! Objects that nothing names, and what earlier repairs have put aside.
//!
//! The manifest before the current one is kept by servers and is no orphan. Of a collection whose
//! manifest cannot be read, or whose entry in the catalogue is older than its manifests, nobody knows
//! what is named: nothing of it is called an orphan.

use std::collections::HashSet;

use milvus_format::path;
use milvus_storage::{ObjectMeta, StoreError};
use milvus_types::CollectionId;

use crate::catalogue::Contents;
use crate::check::{Manifests, named_files};
use crate::finding::{Finding, Severity};
use crate::newer::Newer;
use crate::outcome::Outcome;
use crate::owner::OWNER;
use crate::quarantine;
use crate::target::Target;

const ADVICE: &str = "left by a crash, or of something dropped; a server removes it";
/// What a server keeps beside data: the log in a bucket, and whose the bucket is.
const BESIDE: [&str; 2] = ["log/", OWNER];

/// Lists the store and reports what no current manifest names.
pub(crate) async fn check(
    target: &Target,
    contents: &Contents,
    manifests: &Manifests,
    newer: &Newer,
    outcome: &mut Outcome,
) -> Result<(), StoreError> {
    let known = Known {
        contents,
        named: named_files(manifests),
        unread: contents
            .manifests
            .keys()
            .filter(|id| !manifests.contains_key(id))
            .copied()
            .collect(),
        obscure: newer.stale(contents).chain(contents.obscure.iter().copied()).collect(),
    };
    for object in target.store.list("").await? {
        let Some(finding) = known.judge(&object) else { continue };
        if finding.severity == Severity::Orphan {
            outcome.counts.orphans += 1;
            outcome.counts.orphan_bytes += object.size;
        }
        outcome.push(finding);
    }
    let notes = quarantine::notes(&*target.store).await?;
    outcome.findings.extend(notes.into_iter().map(in_quarantine));
    Ok(())
}

/// What is known of who names what.
struct Known<'a> {
    contents: &'a Contents,
    /// The files that current manifests name.
    named: HashSet<&'a str>,
    /// Collections whose current manifest cannot be read.
    unread: HashSet<CollectionId>,
    /// Collections of which nobody knows what is current.
    obscure: HashSet<CollectionId>,
}

impl Known<'_> {
    /// What there is to say of `object`.
    fn judge(&self, object: &ObjectMeta) -> Option<Finding> {
        let at = object.path.as_str();
        if at.starts_with(path::SEGMENTS) {
            return self.judge_file(at, object.size);
        }
        if at.starts_with(path::MANIFESTS) {
            let finding = Finding::new(Severity::Orphan, at, "it is not a current manifest");
            return (!self.keeps_manifest(at)).then(|| finding.advise(ADVICE));
        }
        if BESIDE.iter().chain([&quarantine::QUARANTINE]).any(|beside| at.starts_with(beside)) {
            return None;
        }
        let what = format!("it is nothing that a server writes; it has {} bytes", object.size);
        Some(Finding::note(at, what))
    }

    fn judge_file(&self, at: &str, size: u64) -> Option<Finding> {
        let collection = path::segment_of(at).map(|(collection, ..)| collection);
        let unknown =
            collection.is_some_and(|id| self.obscure.contains(&id) || self.unread.contains(&id));
        if self.named.contains(at) || unknown {
            return None;
        }
        let what = format!("no manifest names it; it has {size} bytes");
        let finding = Finding::new(Severity::Orphan, at, what).advise(ADVICE);
        Some(match collection {
            Some(id) => self.contents.name(finding.of_id(id)),
            None => finding,
        })
    }

    /// Whether the manifest at `at` is current, the one before, or of a collection of which little is
    /// known.
    fn keeps_manifest(&self, at: &str) -> bool {
        let collection = at.strip_prefix(path::MANIFESTS).and_then(|rest| rest.split('/').next());
        let Some(id) = collection.and_then(|id| id.parse().ok()).map(CollectionId) else {
            return false;
        };
        if self.obscure.contains(&id) {
            return true;
        }
        let Some(current) = self.contents.manifests.get(&id) else {
            return false;
        };
        let before = current.saturating_sub(1);
        [*current, before].iter().any(|version| path::manifest(id, *version) == at)
    }
}

fn in_quarantine(found: quarantine::FoundNote) -> Finding {
    let note = match found.note {
        Ok(note) => note,
        Err(finding) => return finding,
    };
    let what = format!(
        "segment {} was put aside, {} files: {}",
        note.segment_id,
        note.files.len(),
        note.problems.join("; ")
    );
    let mut finding = Finding::note(found.path, what).advise(
        "once its rows are inserted again, or are known to be lost, the folder may be removed",
    );
    finding.concerns.collection_id = Some(note.collection_id);
    finding.concerns.collection = note.collection;
    finding.concerns.segment_id = Some(note.segment_id);
    finding.concerns.rows = Some(note.rows);
    finding
}
