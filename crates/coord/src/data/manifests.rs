//! Reading and committing manifests.

use std::sync::Arc;

use milvus_base::failpoint;
use milvus_format::manifest::{Manifest, ManifestEdit};
use milvus_format::path;
use milvus_types::{CollectionId, Failure, Result};

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
            milvus_types::ErrorCode::DataIntegrity,
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
        let (id, version) = (next.collection_id, next.version);
        let bytes = next.encode();
        // Not `put_if_absent`: a version that never became current may lie there from before a
        // crash. What decides is the compare-and-swap.
        let stored = self.parts.store.put(&path::manifest(id, version), bytes.into()).await;
        stored.map_err(|error| Failure::from(&error))?;
        failpoint::hit("manifest.written");
        let swapped = self
            .parts
            .catalogue
            .advance_manifest(id, (current.version > 0).then_some(current.version), version)
            .await;
        swapped.map_err(|error| Failure::from(&error))?;
        let next = Arc::new(next);
        {
            let mut manifests = self.manifests.write();
            match manifests.get_mut(&id) {
                Some(manifest) => *manifest = next.clone(),
                // Dropped while this was written; its files go with it.
                None => {
                    return Err(Failure::with_fields(
                        milvus_types::ErrorCode::CollectionNotFound,
                        &[("collection", &id)],
                    ));
                }
            }
        }
        // The version before the last is nobody's any more.
        if let Some(old) = version.checked_sub(2).filter(|old| *old > 0)
            && let Err(error) = self.parts.store.delete(&path::manifest(id, old)).await
        {
            tracing::warn!(%error, collection = %id, version = old, "old manifest stays");
        }
        Ok(next)
    }
}
