//! Index definitions under Milvus's rules, and how far they are.

use std::sync::Arc;

use milvus_format::manifest::ManifestEdit;
use milvus_roles::{CreateIndex, IndexProgress};
use milvus_types::{
    CollectionId, Failure, IndexId, IndexMeta, IndexState, KeyValue, Result, Timestamp,
};

use super::DataCoordinator;

impl DataCoordinator {
    pub(crate) fn indexes(&self, id: CollectionId) -> Vec<Arc<IndexMeta>> {
        self.indexes.read().get(&id).cloned().unwrap_or_default()
    }

    pub(crate) async fn create_index(
        self: &Arc<Self>,
        request: CreateIndex,
        create_ts: Timestamp,
    ) -> Result<()> {
        let data = self.clone();
        let collection_id = request.collection_id;
        self.decisions
            .run(async move {
                data.parts.root.by_id(request.collection_id)?;
                let existing = data.indexes(request.collection_id);
                let name = match existing.iter().find(|index| index.field_id == request.field_id) {
                    Some(index) if request.index_name.is_empty() => index.name.clone(),
                    None if request.index_name.is_empty() => request.field_name.clone(),
                    Some(_) | None => request.index_name.clone(),
                };
                if is_there(&existing, &request, &name)? {
                    return Ok(());
                }
                let index = IndexMeta {
                    id: IndexId(data.parts.ids.allocate(1).await?),
                    collection_id: request.collection_id,
                    field_id: request.field_id,
                    field_name: request.field_name,
                    name,
                    user_params: request.user_params,
                    index_params: request.index_params,
                    create_ts,
                };
                let saved = data.parts.catalogue.create(&index).await;
                saved.map_err(|error| Failure::from(&error))?;
                tracing::info!(collection = %index.collection_id, index = %index.name, "index created");
                data.indexes.write().entry(index.collection_id).or_default().push(Arc::new(index));
                Ok(())
            })
            .await?;
        self.schedule_builds(collection_id);
        Ok(())
    }

    pub(crate) async fn drop_index(
        self: &Arc<Self>,
        id: CollectionId,
        field_name: &str,
        index_name: &str,
        loaded: bool,
    ) -> Result<()> {
        let data = self.clone();
        let (field_name, index_name) = (field_name.to_owned(), index_name.to_owned());
        let dropped = self
            .decisions
            .run(async move {
                let collection = data.parts.root.by_id(id)?;
                let found: Vec<_> = data
                    .indexes(id)
                    .into_iter()
                    .filter(|index| index_name.is_empty() || index.name == index_name)
                    .filter(|index| field_name.is_empty() || index.field_name == field_name)
                    .collect();
                for index in &found {
                    let field = collection.schema.field_by_id(index.field_id);
                    if loaded && field.is_some_and(|field| field.data_type.is_vector()) {
                        return Err(Failure::parameter_invalid(format!(
                            "vector index cannot be dropped on loaded collection: {id}"
                        )));
                    }
                }
                for index in &found {
                    let removed = data.parts.catalogue.remove::<IndexMeta>(&(id, index.id)).await;
                    removed.map_err(|error| Failure::from(&error))?;
                    if let Some(list) = data.indexes.write().get_mut(&id) {
                        list.retain(|kept| kept.id != index.id);
                    }
                    data.builds.forget_index(index.id);
                }
                Ok(found)
            })
            .await?;
        for index in dropped {
            let index_id = index.id;
            let manifest = self
                .commit(id, move |manifest| {
                    let built =
                        manifest.segments.iter().any(|entry| entry.index(index_id).is_some());
                    Ok(if built { vec![ManifestEdit::DropIndex(index_id)] } else { Vec::new() })
                })
                .await?;
            self.tell_streaming(manifest);
            self.remove_files_of_index(id, index_id);
        }
        Ok(())
    }

    pub(crate) async fn index_progress(
        &self,
        index: &IndexMeta,
        before: Option<Timestamp>,
    ) -> Result<IndexProgress> {
        let manifest = self.current(index.collection_id)?;
        let mut progress = IndexProgress {
            state: IndexState::Finished,
            total_rows: 0,
            indexed_rows: 0,
            pending_rows: 0,
            fail_reason: String::new(),
        };
        let vector = self.is_vector_index(index);
        let concerned = manifest
            .segments
            .iter()
            .filter(|entry| before.is_none_or(|before| entry.min_ts < before));
        for entry in concerned {
            progress.total_rows += entry.rows;
            if entry.index(index.id).is_some() || !vector || self.is_small(entry.rows) {
                progress.indexed_rows += entry.rows;
                continue;
            }
            progress.pending_rows += entry.rows;
            match self.builds.failure(entry.id, index.id) {
                Some(reason) => {
                    progress.state = IndexState::Failed;
                    progress.fail_reason = reason;
                }
                None if progress.state != IndexState::Failed => {
                    progress.state = IndexState::InProgress;
                }
                None => {}
            }
        }
        self.add_flushing(index, before, &mut progress).await?;
        Ok(progress)
    }

    /// Sealed segments on their way into the manifest count as pending, or an index would seem
    /// finished right after a flush.
    async fn add_flushing(
        &self,
        index: &IndexMeta,
        before: Option<Timestamp>,
        progress: &mut IndexProgress,
    ) -> Result<()> {
        let collection = self.parts.root.by_id(index.collection_id)?;
        let manifest = self.current(index.collection_id)?;
        for vchannel in &collection.vchannels {
            let segments = self.parts.streaming.get()?.growing_segments(vchannel).await?;
            for segment in segments {
                let counts = segment.sealed
                    && before.is_none_or(|before| segment.min_ts < before)
                    && manifest.segment(segment.segment_id).is_none();
                if !counts {
                    continue;
                }
                progress.total_rows += segment.rows;
                if self.is_vector_index(index) && !self.is_small(segment.rows) {
                    progress.pending_rows += segment.rows;
                    if progress.state == IndexState::Finished {
                        progress.state = IndexState::InProgress;
                    }
                } else {
                    progress.indexed_rows += segment.rows;
                }
            }
        }
        Ok(())
    }

    pub(super) fn is_small(&self, rows: u64) -> bool {
        rows < self.parts.options.min_rows_to_index
    }

    pub(super) fn is_vector_index(&self, index: &IndexMeta) -> bool {
        self.parts.root.by_id(index.collection_id).is_ok_and(|collection| {
            let field = collection.schema.field_by_id(index.field_id);
            field.is_some_and(|field| field.data_type.is_vector())
        })
    }
}

/// Whether exactly this index exists already; an error where it may not be created.
fn is_there(existing: &[Arc<IndexMeta>], request: &CreateIndex, name: &str) -> Result<bool> {
    if let Some(index) = existing.iter().find(|index| index.name == name) {
        let same = index.field_id == request.field_id
            && sorted(&index.user_params) == sorted(&request.user_params);
        if same {
            return Ok(true);
        }
        return Err(Failure::parameter_invalid("at most one distinct index is allowed per field"));
    }
    if existing.iter().any(|index| index.field_id == request.field_id) {
        return Err(Failure::parameter_invalid(
            "CreateIndex failed: creating multiple indexes on same field is not supported",
        ));
    }
    Ok(false)
}

fn sorted(params: &[KeyValue]) -> Vec<(&str, &str)> {
    let mut pairs: Vec<_> =
        params.iter().map(|pair| (pair.key.as_str(), pair.value.as_str())).collect();
    pairs.sort_unstable();
    pairs
}
