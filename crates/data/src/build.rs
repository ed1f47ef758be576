//! One index build, as it runs on its thread: check the file, build, write.

use std::sync::Arc;

use arrow::buffer::Buffer;
use bytes::Bytes;
use milvus_format::{FileMeta, IndexEntry, open_segment, path, verify};
use milvus_index::{Build, BuildError as IndexBuildError, IndexType, Vectors, check_build_params};
use milvus_roles::BuildIndex;
use milvus_segment::vectors;
use milvus_storage::ObjectStore;
use milvus_types::MetricType;

use crate::error::BuildError;
use crate::output::Output;
use crate::progress::Progress;

/// What `task` asks to build, checked.
pub(crate) fn plan(task: &BuildIndex) -> Result<Build, BuildError> {
    let index = &task.index;
    let name = index.param("index_type").unwrap_or_default();
    let index_type =
        IndexType::parse(name).ok_or_else(|| BuildError::IndexType(name.to_owned()))?;
    let name = index.param("metric_type").unwrap_or_default();
    let metric = MetricType::parse(name).ok_or_else(|| BuildError::MetricType(name.to_owned()))?;
    let field = task.collection.schema.field_by_id(index.field_id);
    let dim = field.and_then(|field| field.dim());
    let dim = dim.ok_or_else(|| BuildError::Field(index.field_name.clone()))?;
    Ok(check_build_params(index_type, metric, dim, &index.index_params)?)
}

/// Builds what `build` says over the columns in `bytes` and writes it, on up to `threads` threads.
/// Blocks.
pub(crate) fn run(
    task: &BuildIndex,
    build: &Build,
    bytes: Bytes,
    store: &dyn ObjectStore,
    threads: usize,
    progress: &Progress,
) -> Result<IndexEntry, BuildError> {
    let vectors = open_vectors(task, bytes)?;
    let rows = vectors.rows() as u64;
    let report = |done: usize, _: usize| progress.report(done);
    let built = milvus_index::build(build, vectors, threads, &report, progress.cancelled())?;
    let path = path::index(
        task.collection.id,
        task.segment.partition_id,
        task.segment.id,
        task.index.id,
        task.build_id,
    );
    let mut out = Output::new(store.writer(&path)?);
    built.write(&mut out).map_err(|source| BuildError::Write { path, source })?;
    if progress.is_cancelled() {
        return Err(IndexBuildError::Cancelled.into());
    }
    Ok(IndexEntry {
        index_id: task.index.id,
        field_id: task.index.field_id,
        index_type: build.index_type.name().to_owned(),
        metric: build.metric.name().to_owned(),
        params: task.index.index_params.clone(),
        file: out.finish()?,
        rows,
        build_id: task.build_id,
    })
}

/// The vectors in the segment file `bytes`, every byte of which is verified first.
fn open_vectors(task: &BuildIndex, bytes: Bytes) -> Result<Vectors, BuildError> {
    let meta: &FileMeta = &task.segment.columns;
    let wrong = |source| BuildError::File { path: meta.path.clone(), source };
    verify(&bytes, meta).map_err(wrong)?;
    let file = open_segment(&Buffer::from(bytes), meta).map_err(wrong)?;
    let field = task.collection.schema.field_by_id(task.index.field_id);
    let column = field.and_then(|field| file.rows.column_by_name(&field.name)).map(Arc::clone);
    let column = column.ok_or_else(|| BuildError::Field(task.index.field_name.clone()))?;
    Ok(vectors(task.segment.id, &task.index.field_name, &column)?)
}
