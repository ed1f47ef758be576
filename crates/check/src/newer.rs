//! Manifests in the store that are later than the one the catalogue calls current.
//!
//! One version later is what a crash leaves between a manifest and its commit. More than that, and also
//! more than one where none is current, is written only after the ones before were committed: then the
//! catalogue is an older copy, or has lost the entry, and a server started on it would take what was
//! written since for garbage.
//!
//! On a bucket, which has no lock, a server may be at work while it is checked, and take away what its new
//! manifest does not name. So before a file is called missing the newest manifest is asked for it.

use std::collections::{BTreeMap, BTreeSet};

use milvus_format::{Manifest, path};
use milvus_meta::{Entry as _, ManifestEntry};
use milvus_storage::{ObjectStore, StoreError};
use milvus_types::CollectionId;

use crate::catalogue::Contents;
use crate::file::chain;
use crate::finding::{Finding, Severity};
use crate::outcome::Outcome;
use crate::target::Target;

pub(crate) const OLD_CATALOGUE: &str = "do not start a server on it, which would remove what was written since. If \
    one is at work on this bucket, check with its data directory while it is stopped; else restore the \
    catalogue (meta.redb) that belongs to these objects";

/// The newest readable manifest of each collection of which one is later than current.
pub(crate) struct Newer(BTreeMap<CollectionId, Manifest>);

impl Newer {
    /// Lists the manifests in `store`, and reads the newest of those that are later than `contents` says.
    pub(crate) async fn find(
        store: &dyn ObjectStore,
        contents: &Contents,
    ) -> Result<Self, StoreError> {
        let mut later: BTreeMap<CollectionId, BTreeSet<u64>> = BTreeMap::new();
        for object in store.list(path::MANIFESTS).await? {
            let Some((id, version)) = of_manifest(&object.path) else { continue };
            if contents.collections.contains_key(&id) && version > current(contents, id) {
                later.entry(id).or_default().insert(version);
            }
        }
        let mut newest = BTreeMap::new();
        for (id, versions) in later {
            for version in versions.into_iter().rev() {
                if let Some(manifest) = read(store, id, version).await? {
                    newest.insert(id, manifest);
                    break;
                }
            }
        }
        Ok(Self(newest))
    }

    /// The collections whose current manifest the catalogue does not know.
    pub(crate) fn stale<'a>(
        &'a self,
        contents: &'a Contents,
    ) -> impl Iterator<Item = CollectionId> + 'a {
        let is_more = |(id, newest): &(&CollectionId, &Manifest)| {
            !contents.obscure.contains(id) && newest.version > current(contents, **id) + 1
        };
        self.0.iter().filter(is_more).map(|(id, _)| *id)
    }

    /// Reports the collections whose current manifest the catalogue does not know, and has nothing of them
    /// repaired: that would be done to the wrong manifest.
    pub(crate) fn report(&self, contents: &Contents, outcome: &mut Outcome) {
        let stale: BTreeSet<i64> = self.stale(contents).map(|id| id.0).collect();
        let is_stale = |finding: &Finding| {
            finding.concerns.collection_id.is_some_and(|id| stale.contains(&id))
        };
        for finding in outcome.findings.iter_mut().filter(|finding| is_stale(finding)) {
            if finding.repair.take().is_some() {
                finding.advice = OLD_CATALOGUE.to_owned();
            }
        }
        outcome.findings.extend(self.findings(contents));
    }

    /// What it means that the catalogue is older than the objects.
    fn findings(&self, contents: &Contents) -> Vec<Finding> {
        let finding = |id: CollectionId| {
            let says = match contents.manifests.get(&id) {
                Some(version) => format!("version {version} is"),
                None => "no version is".to_owned(),
            };
            let newest = self.0.get(&id).map(|manifest| path::manifest(id, manifest.version));
            let what = format!(
                "it says that {says} current of the manifests of this collection, but {} is there",
                newest.unwrap_or_default()
            );
            let key = ManifestEntry::key_of(&id);
            let finding = Finding::new(Severity::Unreadable, key, what).of_id(id);
            contents.name(finding.advise(OLD_CATALOGUE))
        };
        self.stale(contents).map(finding).collect()
    }

    /// Whether what is missing at `path` may have been taken away because a later manifest does not
    /// name it; which one.
    fn explains(&self, id: CollectionId, at: &str) -> Option<String> {
        let newest = self.0.get(&id)?;
        let itself = path::manifest(id, newest.version);
        let is_named = at == itself || newest.files().any(|file| file.path == at);
        (!is_named).then_some(itself)
    }
}

/// Takes back that files are missing where a server may have removed them since the manifest was read.
pub(crate) async fn judge(target: &Target, contents: &Contents, outcome: &mut Outcome) {
    let is_concerned = |finding: &Finding| {
        let at = finding.object.as_str();
        finding.severity == Severity::Missing
            && (at.starts_with(path::SEGMENTS) || at.starts_with(path::MANIFESTS))
    };
    if !outcome.findings.iter().any(is_concerned) {
        return;
    }
    let newer = Newer::find(&*target.store, contents).await;
    for finding in outcome.findings.iter_mut().filter(|finding| is_concerned(finding)) {
        let Some(id) = finding.concerns.collection_id.map(CollectionId) else { continue };
        let why = match &newer {
            Ok(newer) => newer.explains(id, &finding.object).map(|newest| {
                format!("{newest}, which the catalogue does not know, does not name it")
            }),
            Err(error) => Some(format!("newer manifests cannot be listed: {}", chain(error))),
        };
        if let Some(why) = why {
            finding.severity = Severity::Unreadable;
            finding.what =
                format!("{}, and may have been removed by a server: {why}", finding.what);
            finding.advice = OLD_CATALOGUE.to_owned();
            finding.repair = None;
        }
    }
}

/// The version that is current; 0, which is never written, where none is.
fn current(contents: &Contents, id: CollectionId) -> u64 {
    contents.manifests.get(&id).copied().unwrap_or(0)
}

/// The collection and the version in a manifest's path.
fn of_manifest(at: &str) -> Option<(CollectionId, u64)> {
    let id = at.strip_prefix(path::MANIFESTS)?.split('/').next()?.parse().ok()?;
    let version = path::manifest_version(at)?;
    (path::manifest(CollectionId(id), version) == at).then_some((CollectionId(id), version))
}

/// The manifest of `id` at `version`, if it is one.
async fn read(
    store: &dyn ObjectStore,
    id: CollectionId,
    version: u64,
) -> Result<Option<Manifest>, StoreError> {
    let object = match store.get(&path::manifest(id, version)).await {
        Ok(object) => object,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error),
    };
    let manifest = Manifest::decode(&object.bytes).ok();
    Ok(manifest.filter(|it| (it.collection_id, it.version) == (id, version)))
}
