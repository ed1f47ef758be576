//! The families by their Milvus names: building, sizing and opening go through here.
//!
//! A new family is a file or folder of its own, a variant of [`BuildKind`], a line in each `match`
//! below, and a parameter in the header of its files that [`open`] knows it by.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use milvus_types::index_meta::find;
use milvus_types::{DataType, KeyValue};

use crate::comparison::{Comparison, HASH_BITS};
use crate::container::{Container, Header};
use crate::error::{BuildError, OpenError};
use crate::flat::Flat;
use crate::index_type::IndexType;
use crate::inverted::Inverted;
use crate::params::{Build, BuildKind};
use crate::score::Metric;
use crate::section::Mapped;
use crate::source::{ReadAt, Source};
use crate::vector_index::VectorIndex;
use crate::vectors::VectorData;

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

/// Bytes that a sparse row is taken to have where its real size is not known.
const SPARSE_ROW: u64 = 1024;

/// Bytes of memory that building over `rows` vectors takes at its peak, without the vectors.
pub fn estimate_build_bytes(build: &Build, rows: usize) -> u64 {
    match build.kind {
        BuildKind::Flat => rows as u64 * 4,
        BuildKind::Graph(params) => crate::graph::estimate_bytes(&params, rows, build.dim),
        BuildKind::Ivf(params) => crate::ivf::estimate_bytes(&params, rows, build.dim),
        BuildKind::Annoy(params) => {
            crate::annoy::estimate_bytes(&params, build.metric, rows, build.dim)
        }
        BuildKind::Disk(params) => crate::disk::estimate_bytes(&params, build, rows),
        BuildKind::MinHash(params) => crate::minhash::estimate_bytes(&params, rows),
        BuildKind::Sparse(_) => crate::inverted::estimate_bytes(rows as u64 * SPARSE_ROW),
    }
}

/// Builds an index over `vectors` on `threads` threads, this one among them.
///
/// `progress` is told now and then how many of how many rows are done; `cancel` is looked at every
/// few rows. The same input gives the same index on one thread; on several, an equally good one.
pub fn build(
    build: &Build,
    vectors: impl Into<VectorData>,
    threads: usize,
    progress: &(dyn Fn(usize, usize) + Sync),
    cancel: &AtomicBool,
) -> Result<BuiltIndex, BuildError> {
    let vectors = vectors.into();
    if vectors.data_type() != build.data_type {
        return Err(BuildError::OtherKind { got: vectors.data_type(), want: build.data_type });
    }
    if vectors.dim() != build.dim {
        return Err(BuildError::DimensionMismatch { got: vectors.dim(), want: build.dim });
    }
    if vectors.rows() > MAX_ROWS {
        return Err(BuildError::TooManyRows { got: vectors.rows(), most: MAX_ROWS });
    }
    let metric = build
        .comparison()
        .of(build.data_type)
        .ok_or(BuildError::Metric { metric: build.metric, data_type: build.data_type })?;
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
        BuildKind::Ivf(params) => Arc::new(crate::ivf::build(
            build.index_type,
            metric,
            &params,
            vectors,
            threads,
            progress,
            cancel,
        )?),
        BuildKind::Annoy(params) => Arc::new(crate::annoy::build(
            build.index_type,
            metric,
            &params,
            vectors,
            threads,
            progress,
            cancel,
        )?),
        BuildKind::Disk(params) => Arc::new(crate::disk::build(
            build.index_type,
            metric,
            &params,
            vectors,
            threads,
            progress,
            cancel,
        )?),
        BuildKind::MinHash(params) => Arc::new(crate::minhash::build(
            build.index_type,
            metric,
            &params,
            vectors,
            threads,
            cancel,
        )?),
        BuildKind::Sparse(params) => Arc::new(Inverted::build(build.index_type, &params, vectors)),
    };
    progress(rows, rows);
    Ok(BuiltIndex(index))
}

/// Opens the index container `bytes` over the `vectors` it was built from.
///
/// Reads every byte once to verify checksums; sections are then used where they lie.
pub fn open(
    bytes: Mapped,
    vectors: impl Into<VectorData>,
) -> Result<Arc<dyn VectorIndex>, OpenError> {
    open_from(Source::Memory(bytes), vectors.into())
}

/// As [`open`], reading from `file` instead of mapping it.
///
/// DISKANN then keeps in memory what its parameters allow and reads the rest as it searches; the
/// other types are read into memory as a whole.
pub fn open_file(
    file: Arc<dyn ReadAt>,
    vectors: impl Into<VectorData>,
) -> Result<Arc<dyn VectorIndex>, OpenError> {
    open_from(Source::File(file), vectors.into())
}

fn open_from(source: Source, vectors: VectorData) -> Result<Arc<dyn VectorIndex>, OpenError> {
    let container = Container::open_from(source)?;
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
    let data_type = vectors.data_type();
    let metric = comparison(header)?.of(data_type).ok_or_else(|| {
        OpenError::malformed(format!("metric {} is not of {data_type}", header.metric))
    })?;
    // A family is known by what its header says, whatever the type it serves is called.
    Ok(if data_type == DataType::SparseFloatVector {
        Arc::new(Inverted::open(index_type, &container, vectors)?)
    } else if find(&header.params, crate::annoy::TREES).is_some() {
        Arc::new(crate::annoy::open(index_type, metric, &container, vectors)?)
    } else if find(&header.params, crate::disk::DEGREE).is_some() {
        Arc::new(crate::disk::open(index_type, metric, &container, vectors)?)
    } else if find(&header.params, crate::minhash::BANDS).is_some() {
        Arc::new(crate::minhash::open(index_type, metric, &container, vectors)?)
    } else if header.params.iter().all(|param| param.key == HASH_BITS_KEY) {
        Arc::new(Flat::open(index_type, metric, &container, vectors)?)
    } else if find(&header.params, "nlist").is_some() {
        Arc::new(crate::ivf::open(index_type, metric, &container, vectors)?)
    } else {
        Arc::new(crate::graph::open(index_type, metric, &container, vectors)?)
    })
}

/// The parameter that says how many bits a hash has, where it is not Milvus's default.
const HASH_BITS_KEY: &str = "mh_element_bit_width";

/// How the index of `header` compares vectors.
fn comparison(header: &Header) -> Result<Comparison, OpenError> {
    let plain = Comparison::from(header.metric);
    if find(&header.params, HASH_BITS_KEY).is_none() {
        return Ok(plain);
    }
    let hash_bits = header.number(HASH_BITS_KEY)?;
    if hash_bits == 0 || !hash_bits.is_multiple_of(8) || !header.dim.is_multiple_of(hash_bits) {
        return Err(OpenError::malformed(format!(
            "hashes have {hash_bits} of {} bits",
            header.dim
        )));
    }
    Ok(Comparison { hash_bits, ..plain })
}

/// What a header keeps of how an index compares vectors, beyond the metric's name.
pub(crate) fn comparison_params(metric: Metric) -> Vec<KeyValue> {
    if let Metric::MhJaccard { hash_bytes } = metric
        && hash_bytes * 8 != HASH_BITS
    {
        return vec![KeyValue::new(HASH_BITS_KEY, (hash_bytes * 8).to_string())];
    }
    Vec::new()
}
