//! MINHASH_LSH: rows that share a band of hashes with the query, found through buckets.
//!
//! A row is a MinHash signature, `dim / mh_element_bit_width` hashes. They are cut into
//! `mh_lsh_band` bands; rows whose hashes of a band are all equal share a bucket (`buckets`). The
//! candidates of a search are the live rows that share a bucket with the query in any band, those
//! that share more first. More bands of fewer hashes find rows that are less alike.
//!
//! With `mh_search_with_jaccard` the best `max(k, refine_k)` candidates are ranked by the share of
//! equal hashes. Without it the first `k` candidates are the answer. Scores are that exact share
//! either way, where Milvus, without it, gives every hit a score of 1. A search finds fewer than `k`
//! rows where fewer share a bucket; Milvus does too. A range search compares every live row.
//!
//! | section | elements | what |
//! |---|---|---|
//! | `keys` | u64 × bands × rows | what each band of each row hashes to, ascending in each band |
//! | `members` | u32 × bands × rows | the row of each key |
//!
//! Parameters: `bands`, and `mh_element_bit_width` where it is not 8.
//!
//! Source: Broder, On the resemblance and containment of documents (1997); Milvus's parameters.

mod buckets;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use milvus_kernel::{Bitset, Scored, TopK};
use milvus_types::{DataType, KeyValue, MetricType};

use crate::brute::range_into;
use crate::compare::{Comparer, query_of};
use crate::container::{self, Container, Header, Tag};
use crate::error::{BuildError, OpenError};
use crate::index_type::IndexType;
use crate::params::{MinHashParams, SearchParams};
use crate::range::Range;
use crate::registry::comparison_params;
use crate::score::Metric;
use crate::section::Section;
use crate::vector_index::{Hit, VectorIndex};
use crate::vectors::{VectorData, VectorRef};

use buckets::Bands;

/// The parameter by which the files of this family are known.
pub(crate) const BANDS: &str = "bands";

const KEYS: Tag = *b"keys    ";
const MEMBERS: Tag = *b"members ";

pub(crate) struct MinHash {
    index_type: IndexType,
    metric: Metric,
    vectors: VectorData,
    bands: Bands,
    keys: Section<u64>,
    members: Section<u32>,
}

/// Bytes of memory that building takes at its peak.
pub(crate) fn estimate_bytes(params: &MinHashParams, rows: usize) -> u64 {
    // Keys and members, and the pairs of a band while they are sorted.
    rows as u64 * (12 * params.bands as u64 + 16) + (1 << 10)
}

/// Builds buckets over `vectors`, which are bits.
pub(crate) fn build(
    index_type: IndexType,
    metric: Metric,
    params: &MinHashParams,
    vectors: VectorData,
    threads: usize,
    cancel: &AtomicBool,
) -> Result<MinHash, BuildError> {
    let bands = bands(metric, params.bands, &vectors);
    let (bytes, width) = vectors.fixed_bytes().unwrap_or((&[], 1));
    let (keys, members) = buckets::fill(bands, bytes, width, threads, cancel);
    if cancel.load(Relaxed) {
        return Err(BuildError::Cancelled);
    }
    Ok(MinHash { index_type, metric, vectors, bands, keys: keys.into(), members: members.into() })
}

/// How rows of `vectors` are cut into `wanted` bands.
fn bands(metric: Metric, wanted: usize, vectors: &VectorData) -> Bands {
    let hash_bytes = if let Metric::MhJaccard { hash_bytes } = metric { hash_bytes } else { 1 };
    Bands::new(wanted, vectors.dim() / 8, hash_bytes)
}

/// Opens the buckets in `container`; every key's order and every row number is checked.
pub(crate) fn open(
    index_type: IndexType,
    metric: Metric,
    container: &Container,
    vectors: VectorData,
) -> Result<MinHash, OpenError> {
    let wanted = container.header.number(BANDS)?;
    let bands = bands(metric, wanted, &vectors);
    let rows = vectors.rows();
    if bands.count != wanted || vectors.data_type() != DataType::BinaryVector {
        return Err(OpenError::malformed(format!("{wanted} bands of {} bits", vectors.dim())));
    }
    let keys: Section<u64> = container.section(KEYS, bands.count.saturating_mul(rows))?;
    let members: Section<u32> = container.section(MEMBERS, bands.count.saturating_mul(rows))?;
    if keys.as_slice().chunks_exact(rows.max(1)).any(|keys| !keys.is_sorted()) {
        return Err(OpenError::malformed("keys of a band are not ascending"));
    }
    if let Some(row) = members.as_slice().iter().find(|row| **row as usize >= rows) {
        return Err(OpenError::malformed(format!("a bucket holds row {row} of {rows}")));
    }
    Ok(MinHash { index_type, metric, vectors, bands, keys, members })
}

impl MinHash {
    /// The live rows that share a bucket with `query`, each as often as it shares one.
    fn members_of(&self, query: &[u8], live: Option<&Bitset>) -> Vec<u32> {
        let rows = self.rows().max(1);
        let keys = self.keys.as_slice().chunks_exact(rows);
        let members = self.members.as_slice().chunks_exact(rows);
        let mut found = Vec::new();
        for (band, (keys, members)) in keys.zip(members).enumerate() {
            let bucket = &members[buckets::find(keys, self.bands.key(query, band))];
            found.extend(bucket.iter().filter(|&&row| live.is_none_or(|l| l.get(row as usize))));
        }
        found
    }

    fn comparer<'a>(&'a self, query: VectorRef<'a>) -> Comparer<'a> {
        query_of(Comparer::new(self.metric, query, self.vectors.view(), &[]))
    }
}

/// The best `most` of `rows`: those that come most often, and of those the first.
fn most_often(mut rows: Vec<u32>, most: usize) -> Vec<u32> {
    rows.sort_unstable();
    // Ordered by how often, descending, then by row.
    let mut often: Vec<(usize, u32)> = rows
        .chunk_by(|a, b| a == b)
        .filter_map(|same| Some((usize::MAX - same.len(), *same.first()?)))
        .collect();
    if most < often.len() {
        often.select_nth_unstable(most);
        often.truncate(most);
    }
    often.into_iter().map(|(_, row)| row).collect()
}

impl VectorIndex for MinHash {
    fn search(
        &self,
        query: VectorRef<'_>,
        k: usize,
        params: &SearchParams,
        live: Option<&Bitset>,
        out: &mut Vec<Hit>,
    ) {
        let k = k.min(self.rows());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "float to integer casts saturate"
        )]
        let refined = (k as f32 * params.refine_k).round() as usize;
        let most = if params.with_jaccard { refined.max(k) } else { k };
        let candidates = most_often(self.members_of(query.bytes(), live), most);
        let comparer = self.comparer(query);
        let mut distances = vec![0.0; candidates.len()];
        comparer.gather(&candidates, &mut distances);
        let mut top = TopK::new(k);
        for (&row, &distance) in candidates.iter().zip(&distances) {
            // Keys may be equal where hashes are not.
            if distance < 0.0 {
                top.push(Scored::new(distance, row));
            }
        }
        out.clear();
        out.extend(top.into_sorted().into_iter().map(|scored| self.metric.hit(scored)));
    }

    fn range_search(
        &self,
        query: VectorRef<'_>,
        range: &Range,
        limit: usize,
        live: Option<&Bitset>,
        out: &mut Vec<Hit>,
    ) {
        range_into(&self.comparer(query), self.rows(), live, range, limit, out);
    }

    fn rows(&self) -> usize {
        self.vectors.rows()
    }

    fn data_type(&self) -> DataType {
        self.vectors.data_type()
    }

    fn dim(&self) -> usize {
        self.vectors.dim()
    }

    fn metric(&self) -> MetricType {
        self.metric.metric_type()
    }

    fn index_type(&self) -> IndexType {
        self.index_type
    }

    fn memory_bytes(&self) -> u64 {
        self.keys.bytes() + self.members.bytes()
    }

    fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let mut params = vec![KeyValue::new(BANDS, self.bands.count.to_string())];
        params.extend(comparison_params(self.metric));
        let header = Header {
            index_type: self.index_type.name().to_owned(),
            metric: self.metric(),
            dim: self.dim(),
            rows: self.rows(),
            params,
        };
        let sections: [(Tag, &[u8]); 2] =
            [(KEYS, self.keys.as_bytes()), (MEMBERS, self.members.as_bytes())];
        container::write(out, &header, &sections)
    }
}
