//! Objects that nothing names, and what earlier repairs have put aside.
//!
//! The manifest before the current one is kept by servers and is no orphan. Of a collection whose
//! manifest cannot be read nobody knows what is named: nothing of it is called an orphan.

use milvus_format::path;
use milvus_storage::StoreError;
use milvus_types::CollectionId;

use crate::catalogue::Contents;
use crate::check::{Manifests, named_files};
use crate::finding::{Finding, Severity};
use crate::outcome::Outcome;
use crate::quarantine;
use crate::target::Target;

const ADVICE: &str = "left by a crash, or of something dropped; a server removes it";

/// Lists the store and reports what no current manifest names.
pub(crate) async fn check(
    target: &Target,
    contents: &Contents,
    manifests: &Manifests,
    outcome: &mut Outcome,
) -> Result<(), StoreError> {
    let named = named_files(manifests);
    for object in target.store.list(path::SEGMENTS).await? {
        let at = object.path.as_str();
        let collection = path::segment_of(at).map(|(collection, ..)| collection);
        let unknown = collection.is_some_and(|id| {
            contents.obscure.contains(&id)
                || (contents.manifests.contains_key(&id) && !manifests.contains_key(&id))
        });
        if named.contains(at) || unknown {
            continue;
        }
        let what = format!("no manifest names it; it has {} bytes", object.size);
        let finding = Finding::new(Severity::Orphan, at, what).advise(ADVICE);
        let finding = match collection {
            Some(id) => contents.name(finding.of_id(id)),
            None => finding,
        };
        outcome.push(finding);
    }
    for object in target.store.list(path::MANIFESTS).await? {
        if !is_kept(contents, &object.path) {
            let finding =
                Finding::new(Severity::Orphan, &object.path, "it is not a current manifest");
            outcome.push(finding.advise(ADVICE));
        }
    }
    outcome
        .findings
        .extend(quarantine::notes(&*target.store).await?.into_iter().map(in_quarantine));
    Ok(())
}

/// Whether the manifest at `at` is current, the one before, or of a collection of which little is
/// known.
fn is_kept(contents: &Contents, at: &str) -> bool {
    let collection = at.strip_prefix(path::MANIFESTS).and_then(|rest| rest.split('/').next());
    let Some(id) = collection.and_then(|id| id.parse().ok()).map(CollectionId) else {
        return false;
    };
    let Some(current) = contents.manifests.get(&id) else {
        return contents.obscure.contains(&id);
    };
    let before = current.saturating_sub(1);
    [*current, before].iter().any(|version| path::manifest(id, *version) == at)
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
