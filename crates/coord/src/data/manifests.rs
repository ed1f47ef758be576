//! Reading and committing manifests.

use std::sync::Arc;

use milvus_base::failpoint;
use milvus_format::manifest::{Manifest, ManifestEdit};
use milvus_format::path;
use milvus_meta::{CommitError, KvError, ManifestEntry};
use milvus_storage::StoreError;
use milvus_types::{CollectionId, ErrorCode, Failure, Result};

use super::{DataCoordinator, Parts};

/// The manifest that the catalogue calls current; an empty one where there was no commit yet.
pub(super) async fn read_current(parts: &Parts, id: CollectionId) -> Result<Manifest> {
    let version = parts.catalogue.manifest(id).await;
    let version = version.map_err(|error| Failure::from(&error))?;
    let Some(version) = version else {
        return Ok(Manifest::empty(id));
    };
    let at = path::manifest(id, version);
    let object = parts.store.get(&at).await.map_err(|error| Failure::from(&error))?;
    let manifest =
        Manifest::decode(&object.bytes).map_err(|error| Failure::from(&error).context(&at))?;
    if (manifest.collection_id, manifest.version) != (id, version) {
        return Err(Failure::new(
            ErrorCode::DataIntegrity,
            format!(
                "{at} is the manifest of collection {} version {}, want {id} version {version}",
                manifest.collection_id, manifest.version
            ),
        ));
    }
    Ok(manifest)
}

impl DataCoordinator {
    /// Makes the next version of a collection's manifest from the current one; no edit, no version.
    pub(super) async fn commit(
        self: &Arc<Self>,
        id: CollectionId,
        edits: impl FnOnce(&Manifest) -> Result<Vec<ManifestEdit>> + Send + 'static,
    ) -> Result<Arc<Manifest>> {
        let data = self.clone();
        self.decisions
            .run(async move {
                let current = data.current(id)?;
                let edits = edits(&current)?;
                if edits.is_empty() {
                    return Ok(current);
                }
                let next = current.apply(edits).map_err(|error| Failure::from(&error))?;
                data.publish(&current, next).await
            })
            .await
    }

    async fn publish(&self, current: &Manifest, next: Manifest) -> Result<Arc<Manifest>> {
        let next = self.store_manifest(next).await?;
        failpoint::hit("manifest.written");
        let (id, version) = (next.collection_id, next.version);
        let swapped = self
            .parts
            .catalogue
            .advance_manifest(id, (current.version > 0).then_some(current.version), version)
            .await;
        let swapped = match swapped {
            Err(CommitError::Kv(error)) => self.has_happened(id, version, error).await,
            swapped => swapped,
        };
        let next = Arc::new(next);
        // Dropped while this was written: its files may be gone already, and this would stay.
        let Some(manifest) = self.manifests.write().get_mut(&id).map(|manifest| {
            swapped.map(|()| {
                manifest.clone_from(&next);
                next.clone()
            })
        }) else {
            self.remove_files(vec![path::manifest(id, version)]).await;
            let removed = self.parts.catalogue.remove::<ManifestEntry>(&id).await;
            removed.map_err(|error| Failure::from(&error))?;
            return Err(Failure::with_fields(
                ErrorCode::CollectionNotFound,
                &[("collection", &id)],
            ));
        };
        let next = manifest.map_err(|error| Failure::from(&error))?;
        failpoint::hit("manifest.current");
        // The version before the last is nobody's any more.
        if let Some(old) = current.version.checked_sub(1).filter(|old| *old > 0)
            && let Err(error) = self.parts.store.delete(&path::manifest(id, old)).await
        {
            tracing::warn!(%error, collection = %id, version = old, "old manifest stays");
        }
        Ok(next)
    }

    /// Whether a commit that failed made `version` the current one all the same: the one after it would
    /// find another version than it knows.
    async fn has_happened(
        &self,
        id: CollectionId,
        version: u64,
        error: KvError,
    ) -> Result<(), CommitError> {
        match self.parts.catalogue.manifest(id).await {
            Ok(Some(current)) if current == version => Ok(()),
            Ok(_) | Err(_) => Err(CommitError::Kv(error)),
        }
    }

    /// Puts `next` under the first free version from its own on. A version that is taken was never
    /// current: it is left of a crash, or its put came later than its reply was waited for. It is not
    /// overwritten, and a put that comes late finds its place taken.
    async fn store_manifest(&self, mut next: Manifest) -> Result<Manifest> {
        loop {
            let at = path::manifest(next.collection_id, next.version);
            match self.parts.store.put_if_absent(&at, next.encode().into()).await {
                Ok(_) => return Ok(next),
                Err(StoreError::AlreadyExists { .. } | StoreError::InDoubt { .. }) => {
                    next.version += 1;
                }
                Err(error) => return Err(Failure::from(&error)),
            }
        }
    }
}
