//! The one trait through which a segment uses any vector index.

use std::io;

use milvus_kernel::Bitset;
use milvus_types::{DataType, MetricType};

use crate::index_type::IndexType;
use crate::params::SearchParams;
use crate::range::Range;
use crate::vectors::VectorRef;

/// A row that a search found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// The row's position in the segment.
    pub row: u32,
    /// The exact metric value: squared distance for L2, inner product, cosine, differing bits.
    pub score: f32,
}

/// A vector index over the rows of one segment.
///
/// An implementer promises: hits are best first, equal scores by ascending row; scores are exact
/// metric values of the stored vectors; a search returns exactly `min(k, live rows)` hits, except
/// that sparse indexes find only rows with a product above 0, SUBSTRUCTURE and SUPERSTRUCTURE only
/// rows that meet them, and MINHASH_LSH only rows that share a band of hashes with the query; nothing is shared between searches that could make one wait for
/// another for long.
///
/// `query` is of the vectors' kind and has [`dim`](Self::dim) dimensions; methods panic where it has
/// not. `live` has a bit for each row, 1 = may be returned; `None` means every row; rows past its
/// end are not live.
pub trait VectorIndex: Send + Sync {
    /// Puts the best `k` live rows into `out`, which is emptied first.
    fn search(
        &self,
        query: VectorRef<'_>,
        k: usize,
        params: &SearchParams,
        live: Option<&Bitset>,
        out: &mut Vec<Hit>,
    );

    /// Puts the best `limit` live rows whose score is within `range` into `out`, which is emptied
    /// first. Complete: a row in range is left out only where `limit` better ones were found.
    fn range_search(
        &self,
        query: VectorRef<'_>,
        range: &Range,
        limit: usize,
        live: Option<&Bitset>,
        out: &mut Vec<Hit>,
    );

    /// How many rows it covers.
    fn rows(&self) -> usize;

    /// The kind of vectors it covers.
    fn data_type(&self) -> DataType;

    /// Dimensions of a vector; 0 of sparse ones.
    fn dim(&self) -> usize;

    /// How vectors are compared.
    fn metric(&self) -> MetricType;

    /// What it was created as.
    fn index_type(&self) -> IndexType;

    /// Bytes it keeps in memory or maps, without the vectors.
    fn memory_bytes(&self) -> u64;

    /// Writes it as an index container; [`crate::open`] reads it back.
    fn write(&self, out: &mut dyn io::Write) -> io::Result<()>;
}
