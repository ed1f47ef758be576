//! Index definitions under Milvus's rules, and how far they are.

use std::sync::Arc;

use milvus_format::manifest::ManifestEdit;
use milvus_roles::{CreateIndex, IndexProgress, PropertyChange};
use milvus_types::index_meta::find;
use milvus_types::{
    CollectionId, ErrorCode, Failure, FieldId, IndexId, IndexMeta, IndexState, KeyValue, Result,
    Timestamp,
};

use super::DataCoordinator;
use crate::root::apply;

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
                let collection = data.parts.root.by_id(request.collection_id)?;
                // The field may be dropped since the proxy saw it; one that is dropped from here
                // on takes its indexes along, after this.
                if collection.schema.field_by_id(request.field_id).is_none() {
                    return Err(Failure::parameter_invalid(format!(
                        "cannot create index on non-exist field: {}",
                        request.field_name
                    )));
                }
                let existing = data.indexes(request.collection_id);
                let name = name_of(&existing, &request);
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
                let mut names: Vec<_> = found.iter().map(|index| index.name.as_str()).collect();
                names.dedup();
                if names.len() > 1 && !index_name.is_empty() {
                    return Err(Failure::with_fields(
                        ErrorCode::IndexDuplicate,
                        &[("indexName", &index_name)],
                    ));
                }
                for index in &found {
                    let field = collection.schema.field_by_id(index.field_id);
                    if loaded && field.is_some_and(|field| field.data_type.is_vector()) {
                        return Err(Failure::parameter_invalid(format!(
                            "vector index cannot be dropped on loaded collection: {id}"
                        )));
                    }
                }
                data.forget_definitions(id, &found).await?;
                Ok(found)
            })
            .await?;
        self.remove_from_segments(id, dropped).await
    }

    /// The indexes of fields that are no more go with them.
    pub(crate) async fn drop_indexes_of_fields(
        self: &Arc<Self>,
        id: CollectionId,
        fields: Vec<FieldId>,
    ) -> Result<()> {
        let data = self.clone();
        let dropped = self
            .decisions
            .run(async move {
                let mut found = data.indexes(id);
                found.retain(|index| fields.contains(&index.field_id));
                data.forget_definitions(id, &found).await?;
                Ok(found)
            })
            .await?;
        self.remove_from_segments(id, dropped).await
    }

    async fn forget_definitions(&self, id: CollectionId, found: &[Arc<IndexMeta>]) -> Result<()> {
        for index in found {
            let removed = self.parts.catalogue.remove::<IndexMeta>(&(id, index.id)).await;
            removed.map_err(|error| Failure::from(&error))?;
            if let Some(list) = self.indexes.write().get_mut(&id) {
                list.retain(|kept| kept.id != index.id);
            }
            self.builds.forget_index(index.id);
        }
        Ok(())
    }

    async fn remove_from_segments(
        self: &Arc<Self>,
        id: CollectionId,
        dropped: Vec<Arc<IndexMeta>>,
    ) -> Result<()> {
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

    pub(crate) async fn alter_index(
        self: &Arc<Self>,
        id: CollectionId,
        index_name: &str,
        change: PropertyChange,
    ) -> Result<()> {
        let (data, name) = (self.clone(), index_name.to_owned());
        self.decisions
            .run(async move {
                let Some(current) = data.indexes(id).into_iter().find(|index| index.name == name)
                else {
                    return Err(Failure::with_fields(
                        ErrorCode::IndexNotFound,
                        &[("indexName", &name)],
                    ));
                };
                let mut changed = (*current).clone();
                changed.user_params = apply(&changed.user_params, &change);
                let saved = data.parts.catalogue.put(&changed).await;
                saved.map_err(|error| Failure::from(&error))?;
                let mut indexes = data.indexes.write();
                let list = indexes.entry(id).or_default();
                if let Some(index) = list.iter_mut().find(|index| index.id == changed.id) {
                    *index = Arc::new(changed);
                }
                Ok(())
            })
            .await
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
        let concerned = manifest
            .segments
            .iter()
            .filter(|entry| before.is_none_or(|before| entry.min_ts < before));
        for entry in concerned {
            progress.total_rows += entry.rows;
            if entry.index(index.id).is_some() || self.is_small(entry.rows) {
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
                if !self.is_small(segment.rows) {
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
}

/// The build parameter that names a place within a JSON field.
const JSON_PATH: &str = "json_path";

/// Whether `index` is on the same field, and the same path of it where it holds JSON.
fn is_on_same(index: &IndexMeta, request: &CreateIndex) -> bool {
    index.field_id == request.field_id
        && index.param(JSON_PATH) == find(&request.index_params, JSON_PATH)
}

/// The name an index gets: the one asked for, else that of an index on the same field, else the
/// field's, with the path of a JSON field behind it.
fn name_of(existing: &[Arc<IndexMeta>], request: &CreateIndex) -> String {
    if !request.index_name.is_empty() {
        return request.index_name.clone();
    }
    if let Some(index) = existing.iter().find(|index| is_on_same(index, request)) {
        return index.name.clone();
    }
    let path = find(&request.index_params, JSON_PATH).unwrap_or_default();
    format!("{}{path}", request.field_name)
}

/// Whether exactly this index exists already; an error where it may not be created.
fn is_there(existing: &[Arc<IndexMeta>], request: &CreateIndex, name: &str) -> Result<bool> {
    if let Some(index) = existing.iter().find(|index| index.name == name) {
        let same = is_on_same(index, request)
            && sorted(&index.user_params) == sorted(&request.user_params);
        if same {
            return Ok(true);
        }
        return Err(Failure::parameter_invalid("at most one distinct index is allowed per field"));
    }
    if existing.iter().any(|index| is_on_same(index, request)) {
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
