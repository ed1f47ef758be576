//! One index build, as it runs on its thread: check the file, build, write.

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use bytes::Bytes;
use milvus_format::{FileMeta, IndexEntry, open_segment, path, verify};
use milvus_index::{
    Build, BuildError as IndexBuildError, BuildKind, VectorField, check_index, element_metric,
};
use milvus_roles::BuildIndex;
use milvus_scalar::{ScalarBuild, ScalarIndexType};
use milvus_storage::ObjectStore;
use milvus_types::FieldSchema;

use crate::column;
use crate::error::BuildError;
use crate::output::Output;
use crate::progress::Progress;

/// What is to be built, checked.
#[derive(Clone, Debug)]
pub(crate) enum Plan {
    Vector(Build),
    Scalar(ScalarBuild),
}

impl Plan {
    /// What `task` asks to build.
    pub(crate) fn new(task: &BuildIndex) -> Result<Self, BuildError> {
        let index = &task.index;
        let field = field(task)?;
        let name = index.param("index_type").unwrap_or_default();
        if !field.data_type.is_vector() {
            let index_type = ScalarIndexType::parse(name)
                .ok_or_else(|| BuildError::IndexType(name.to_owned()))?;
            let build = milvus_scalar::check_params(index_type, field, &index.index_params)?;
            return Ok(Self::Scalar(build));
        }
        let vectors = VectorField {
            data_type: field.data_type,
            element_type: field.element_type,
            dim: field.dim().unwrap_or(0),
        };
        Ok(Self::Vector(check_index(&vectors, &index.index_params)?))
    }

    /// About how much memory the build of `task` takes.
    pub(crate) fn estimate_bytes(&self, task: &BuildIndex) -> u64 {
        let rows = usize::try_from(task.segment.rows).unwrap_or(usize::MAX);
        match self {
            Self::Vector(build) => milvus_index::estimate_build_bytes(build, rows),
            Self::Scalar(build) => {
                // The column is no larger than what is not a dense vector.
                let dense = column::dense_bytes(&task.collection.schema, rows);
                let others = task.segment.columns.bytes.saturating_sub(dense);
                milvus_scalar::estimate_build_bytes(build, rows, others)
            }
        }
    }

    /// What its manifest entry calls it: type and metric.
    fn names(&self) -> (&'static str, &'static str) {
        match self {
            Self::Vector(build) => (build.index_type.name(), build.metric.name()),
            Self::Scalar(build) => (build.index_type.name(), ""),
        }
    }
}

fn field(task: &BuildIndex) -> Result<&FieldSchema, BuildError> {
    let field = task.collection.schema.field_by_id(task.index.field_id);
    field.ok_or_else(|| BuildError::Field(task.index.field_name.clone()))
}

/// Builds what `plan` says over the columns in `bytes` and writes it, on up to `threads` threads.
/// Blocks.
pub(crate) fn run(
    task: &BuildIndex,
    plan: &Plan,
    bytes: Bytes,
    store: &dyn ObjectStore,
    threads: usize,
    progress: &Progress,
) -> Result<IndexEntry, BuildError> {
    let rows = open_rows(task, bytes)?;
    let path = path::index(
        task.collection.id,
        task.segment.partition_id,
        task.segment.id,
        task.index.id,
        task.build_id,
    );
    let write = |write: &dyn Fn(&mut Output) -> std::io::Result<()>| -> Result<_, BuildError> {
        let mut out = Output::new(store.writer(&path)?);
        write(&mut out).map_err(|source| BuildError::Write { path: path.clone(), source })?;
        if progress.is_cancelled() {
            return Err(IndexBuildError::Cancelled.into());
        }
        Ok(out.finish()?)
    };
    let file = match plan {
        Plan::Vector(build) => {
            let built = build_vectors(build, field(task)?, &rows, threads, progress)?;
            write(&|out| built.write(out))?
        }
        Plan::Scalar(build) => {
            let column = column::scalars(&rows, field(task)?);
            let built = milvus_scalar::build(build, &[column])?;
            progress.report(rows.num_rows());
            write(&|out| built.write(out))?
        }
    };
    let (index_type, metric) = plan.names();
    Ok(IndexEntry {
        index_id: task.index.id,
        field_id: task.index.field_id,
        index_type: index_type.to_owned(),
        metric: metric.to_owned(),
        params: task.index.index_params.clone(),
        file,
        rows: rows.num_rows() as u64,
        build_id: task.build_id,
    })
}

/// The index of `field`'s vectors. Lists that are compared as a whole are searched exactly: what is
/// kept for them is what exact comparison of their vectors needs.
fn build_vectors(
    build: &Build,
    field: &FieldSchema,
    rows: &RecordBatch,
    threads: usize,
    progress: &Progress,
) -> Result<milvus_index::BuiltIndex, BuildError> {
    let vectors = column::vectors(rows, field)?;
    let build = match element_metric(build.metric) {
        Some(metric) => Build { metric, kind: BuildKind::Flat, ..*build },
        None => *build,
    };
    let report = |done: usize, _: usize| progress.report(done);
    Ok(milvus_index::build(&build, vectors, threads, &report, progress.cancelled())?)
}

/// The rows in the segment file `bytes`, every byte of which is verified first.
fn open_rows(task: &BuildIndex, bytes: Bytes) -> Result<RecordBatch, BuildError> {
    let meta: &FileMeta = &task.segment.columns;
    let wrong = |source| BuildError::File { path: meta.path.clone(), source };
    verify(&bytes, meta).map_err(wrong)?;
    Ok(open_segment(&Buffer::from(bytes), meta).map_err(wrong)?.rows)
}
