//! The families by their Milvus names: building, sizing and opening go through here.
//!
//! A new family is a file of its own, a variant of [`BuildKind`] and a line in each `match` below.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::container::Container;
use crate::error::{BuildError, OpenError};
use crate::flat::Flat;
use crate::index_type::IndexType;
use crate::params::{Build, BuildKind};
use crate::score::Metric;
use crate::section::Mapped;
use crate::vector_index::VectorIndex;
use crate::vectors::Vectors;

/// The most rows one index covers.
pub const MAX_ROWS: usize = i32::MAX as usize;

/// An index that has been built and not yet written.
pub struct BuiltIndex(Arc<dyn VectorIndex>);

impl BuiltIndex {
    /// Writes it as an index container; [`open`] reads it back.
    pub fn write(&self, out: &mut impl io::Write) -> io::Result<()> {
        self.0.write(out)
    }

    /// The index, to search it without writing it first.
    pub fn into_index(self) -> Arc<dyn VectorIndex> {
        self.0
    }

    /// The index, borrowed.
    pub fn index(&self) -> &dyn VectorIndex {
        &*self.0
    }
}

/// Bytes of memory that building over `rows` vectors takes at its peak, without the vectors.
pub fn estimate_build_bytes(build: &Build, rows: usize) -> u64 {
    match build.kind {
        BuildKind::Flat => rows as u64 * 4,
        BuildKind::Graph(params) => crate::graph::estimate_bytes(&params, rows, build.dim),
    }
}

/// Builds an index over `vectors` on `threads` threads, this one among them.
///
/// `progress` is told now and then how many of how many rows are done; `cancel` is looked at every
/// few rows. The same input gives the same index on one thread; on several, an equally good one.
pub fn build(
    build: &Build,
    vectors: Vectors,
    threads: usize,
    progress: &(dyn Fn(usize, usize) + Sync),
    cancel: &AtomicBool,
) -> Result<BuiltIndex, BuildError> {
    if vectors.dim() != build.dim {
        return Err(BuildError::DimensionMismatch { got: vectors.dim(), want: build.dim });
    }
    if vectors.rows() > MAX_ROWS {
        return Err(BuildError::TooManyRows { got: vectors.rows(), most: MAX_ROWS });
    }
    // The metric was checked when the parameters were; L2 stands for what cannot be.
    let metric = Metric::of(build.metric).unwrap_or(Metric::L2);
    let rows = vectors.rows();
    let index: Arc<dyn VectorIndex> = match build.kind {
        BuildKind::Flat => Arc::new(Flat::build(build, metric, vectors)),
        BuildKind::Graph(params) => Arc::new(crate::graph::build(
            build.index_type,
            metric,
            &params,
            vectors,
            threads,
            progress,
            cancel,
        )?),
    };
    progress(rows, rows);
    Ok(BuiltIndex(index))
}

/// Opens the index container `bytes` over the `vectors` it was built from.
///
/// Reads every byte once to verify checksums; sections are then used where they lie.
pub fn open(bytes: Mapped, vectors: Vectors) -> Result<Arc<dyn VectorIndex>, OpenError> {
    let container = Container::open(bytes)?;
    let header = &container.header;
    if (header.rows, header.dim) != (vectors.rows(), vectors.dim()) {
        return Err(OpenError::OtherVectors {
            index_rows: header.rows,
            index_dim: header.dim,
            rows: vectors.rows(),
            dim: vectors.dim(),
        });
    }
    let index_type = IndexType::parse(&header.index_type)
        .ok_or_else(|| OpenError::UnsupportedType(header.index_type.clone()))?;
    let metric = Metric::of(header.metric).ok_or_else(|| {
        OpenError::malformed(format!("metric {} is not of floats", header.metric))
    })?;
    Ok(match index_type {
        IndexType::Flat => Arc::new(Flat::open(index_type, metric, &container, vectors)?),
        IndexType::Hnsw | IndexType::AutoIndex => {
            Arc::new(crate::graph::open(index_type, metric, &container, vectors)?)
        }
    })
}
