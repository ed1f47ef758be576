//! ANNOY: a forest of trees that halve the rows by planes.
//!
//! Each of `n_trees` trees holds every row in leaves of up to 128 (`tree`). A search opens the leaves
//! nearest to the query over all trees until it has seen `search_k` rows (`forest`), and gives those
//! exact scores. Without `search_k` it sees `n_trees` times `k` rows, and four leaves of each tree at the
//! least, since fewer would be of no use. Few live rows are compared one by one. Under COSINE rows of
//! length 0 are at right angles to everything, which no plane says of them: they do not count among the
//! rows seen, and the first of them are among the candidates of every search.
//!
//! | section | elements | what |
//! |---|---|---|
//! | `roots` | u32 × trees | the first node of each tree |
//! | `nodes` | (u32, u32, u32) × N | plane, left and right node; or `u32::MAX`, and where in `leaves` |
//! | `planes` | f32 × P × (width + 1) | a normal and an offset; the width is `dim`, of IP one more |
//! | `leaves` | u32 × trees × rows | rows, those of a leaf together |
//!
//! Parameter: `trees`.
//!
//! Source: Bernhardsson's Annoy; Dasgupta and Freund, Random projection trees (2008).

mod forest;
mod tree;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use milvus_kernel::{Bitset, Scored, TopK};
use milvus_types::{DataType, KeyValue, MetricType};

use crate::brute::{range_into, row_number, search_into};
use crate::compare::{Comparer, inverse_norms, query_of};
use crate::container::{self, Container, Header, Tag};
use crate::error::{BuildError, OpenError};
use crate::index_type::IndexType;
use crate::ivf::kmeans::in_parts;
use crate::params::{AnnoyParams, SearchParams};
use crate::range::Range;
use crate::score::Metric;
use crate::section::Section;
use crate::vector_index::{Hit, VectorIndex};
use crate::vectors::{VectorData, VectorRef};

use crate::points::{self, Points, width};
use forest::Forest;
use tree::{LEAF, Tree, grow, leaves};

/// The parameter by which the files of this family are known.
pub(crate) const TREES: &str = "trees";

const ROOTS: Tag = *b"roots   ";
const NODES: Tag = *b"nodes   ";
const PLANES: Tag = *b"planes  ";
const LEAVES: Tag = *b"leaves  ";
const NORMS: Tag = *b"invnorms";

/// Leaves of each tree that a search opens at the least where the client leaves it to the index.
const OPENED: usize = 4;
/// Up to this many live rows are compared exactly at once.
const FEW: usize = 512;

pub(crate) struct Annoy {
    index_type: IndexType,
    metric: Metric,
    vectors: VectorData,
    forest: Forest,
    /// Of all rows where the metric is cosine, else empty.
    inverse_norms: Section<f32>,
    /// Rows of length 0, where the metric is cosine.
    zeros: Vec<u32>,
}

/// Bytes of memory that building takes at its peak, without the vectors.
pub(crate) fn estimate_bytes(
    params: &AnnoyParams,
    metric: MetricType,
    rows: usize,
    dim: usize,
) -> u64 {
    let leaves = leaves(rows) as u64;
    let plane = (dim as u64 + 1 + u64::from(metric == MetricType::Ip)) * 4;
    let tree = (leaves - 1) * plane + (2 * leaves - 1) * 12 + rows as u64 * 4 + 4;
    let norms = if metric == MetricType::Cosine { rows as u64 * 4 } else { 0 };
    params.trees as u64 * tree + norms
}

/// Grows a forest over `vectors`, trees on several threads.
pub(crate) fn build(
    index_type: IndexType,
    metric: Metric,
    params: &AnnoyParams,
    vectors: VectorData,
    threads: usize,
    progress: &(dyn Fn(usize, usize) + Sync),
    cancel: &AtomicBool,
) -> Result<Annoy, BuildError> {
    let (rows, dim) = (vectors.rows(), vectors.dim());
    let width = width(metric, dim);
    let points = Points::new(metric, &vectors);
    let grown = AtomicUsize::new(0);
    let grow_some = |numbers: std::ops::Range<usize>| -> Vec<Tree> {
        numbers
            .map(|number| {
                let tree = grow(points, (rows, width), number, cancel);
                progress((grown.fetch_add(1, Relaxed) + 1) * rows / params.trees, rows);
                tree
            })
            .collect()
    };
    let trees: Vec<Tree> =
        in_parts(params.trees, threads, grow_some).into_iter().flatten().collect();
    if cancel.load(Relaxed) {
        return Err(BuildError::Cancelled);
    }
    let forest = Forest::new(trees, rows, width + 1);
    let inverse_norms: Section<f32> = inverse_norms(metric, &vectors).into();
    let zeros = zeros(inverse_norms.as_slice());
    Ok(Annoy { index_type, metric, vectors, forest, inverse_norms, zeros })
}

/// Opens the forest in `container`; that walks end and see every row is checked.
pub(crate) fn open(
    index_type: IndexType,
    metric: Metric,
    container: &Container,
    vectors: VectorData,
) -> Result<Annoy, OpenError> {
    let (rows, trees) = (vectors.rows(), container.header.number(TREES)?);
    let floats = width(metric, vectors.dim()) + 1;
    let planes = container.count::<f32>(PLANES);
    if trees == 0 || !planes.is_multiple_of(floats) {
        return Err(OpenError::malformed(format!("{trees} trees of {planes} floats of planes")));
    }
    let forest = Forest {
        roots: container.section(ROOTS, trees)?,
        nodes: container.section(NODES, container.count::<tree::Node>(NODES))?,
        planes: container.section(PLANES, planes)?,
        rows: container.section(LEAVES, trees.saturating_mul(rows))?,
    };
    forest.check(rows, floats)?;
    let norms = if metric == Metric::Cosine { rows } else { 0 };
    let inverse_norms: Section<f32> = container.section(NORMS, norms)?;
    let zeros = zeros(inverse_norms.as_slice());
    Ok(Annoy { index_type, metric, vectors, forest, inverse_norms, zeros })
}

/// The rows of length 0, by their `inverse_norms`.
fn zeros(inverse_norms: &[f32]) -> Vec<u32> {
    let zeros = inverse_norms.iter().enumerate().filter(|(_, norm)| **norm == 0.0);
    zeros.map(|(row, _)| row_number(row)).collect()
}

impl Annoy {
    fn comparer<'a>(&'a self, query: VectorRef<'a>) -> Comparer<'a> {
        let norms = self.inverse_norms.as_slice();
        query_of(Comparer::new(self.metric, query, self.vectors.view(), norms))
    }

    /// How many rows a search for `k` sees at the least.
    fn wanted(&self, k: usize, params: &SearchParams) -> usize {
        let trees = self.forest.roots.as_slice().len();
        let default = k.max(OPENED * LEAF).saturating_mul(trees);
        if params.search_k == 0 { default } else { params.search_k.max(k) }
    }
}

impl VectorIndex for Annoy {
    fn search(
        &self,
        query: VectorRef<'_>,
        k: usize,
        params: &SearchParams,
        live: Option<&Bitset>,
        out: &mut Vec<Hit>,
    ) {
        let comparer = self.comparer(query);
        let live_count = live.map_or(self.rows(), Bitset::count);
        let wanted = self.wanted(k, params);
        if live_count <= wanted.max(FEW) {
            return search_into(&comparer, self.rows(), live, k, out);
        }
        let (mut point, mut found) = (Vec::new(), Vec::new());
        points::query(self.metric, query, &mut point);
        let norms = self.inverse_norms.as_slice();
        let is_live = |row: u32| live.is_none_or(|live| live.get(row as usize));
        let counts = |row: u32| is_live(row) && norms.get(row as usize) != Some(&0.0);
        self.forest.near(&point, wanted, counts, self.rows(), &mut found);
        found.extend(self.zeros.iter().copied().filter(|&row| is_live(row)).take(k));
        let mut distances = vec![0.0; found.len()];
        comparer.gather(&found, &mut distances);
        let mut top = TopK::new(k.min(self.rows()));
        for (&row, &distance) in found.iter().zip(&distances) {
            top.push(Scored::new(distance, row));
        }
        out.clear();
        out.extend(top.into_sorted().into_iter().map(|scored| self.metric.hit(scored)));
    }

    /// Compares with every live row: trees cannot promise to have reached all that are in range.
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
        let zeros = size_of_val(self.zeros.as_slice()) as u64;
        self.forest.bytes() + self.inverse_norms.bytes() + zeros
    }

    fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let trees = self.forest.roots.as_slice().len();
        let header = Header {
            index_type: self.index_type.name().to_owned(),
            metric: self.metric(),
            dim: self.dim(),
            rows: self.rows(),
            params: vec![KeyValue::new(TREES, trees.to_string())],
        };
        let sections: [(Tag, &[u8]); 5] = [
            (ROOTS, self.forest.roots.as_bytes()),
            (NODES, self.forest.nodes.as_bytes()),
            (PLANES, self.forest.planes.as_bytes()),
            (LEAVES, self.forest.rows.as_bytes()),
            (NORMS, self.inverse_norms.as_bytes()),
        ];
        container::write(out, &header, &sections)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::section::Mapped;
    use crate::vectors::Vectors;

    /// A forest's container with numbers of one section replaced, its checksums right.
    fn altered(tag: Tag, change: &dyn Fn(&mut [u32])) -> Mapped {
        let rows = segment();
        let stop = AtomicBool::new(false);
        let params = AnnoyParams { trees: 2 };
        let built =
            build(IndexType::Annoy, Metric::L2, &params, rows, 1, &|_, _| (), &stop).unwrap();
        let mut bytes = Vec::new();
        built.write(&mut bytes).unwrap();
        let container = Container::open(Arc::new(bytes)).unwrap();
        let sections = [ROOTS, NODES, PLANES, LEAVES, NORMS].map(|tag| {
            let count = container.count::<u32>(tag);
            (tag, container.section::<u32>(tag, count).unwrap().as_slice().to_vec())
        });
        let mut sections = sections.to_vec();
        sections.iter_mut().filter(|(other, _)| *other == tag).for_each(|(_, data)| change(data));
        let sections: Vec<(Tag, &[u8])> =
            sections.iter().map(|(tag, data)| (*tag, bytemuck::cast_slice(data))).collect();
        let mut bytes = Vec::new();
        container::write(&mut bytes, &container.header, &sections).unwrap();
        Arc::new(bytes)
    }

    fn segment() -> VectorData {
        let floats = (0..1000u16).map(|i| f32::from(i * 37 % 101)).collect();
        Vectors::from_vec(floats, 2).unwrap().into()
    }

    #[test]
    fn trees_that_make_no_sense_are_refused_even_if_checksums_match() {
        let open = |bytes| crate::open(bytes, segment()).map(|_| ());
        assert_eq!(open(altered(NODES, &|_| ())), Ok(()));
        assert_eq!(estimate_bytes(&AnnoyParams { trees: 2 }, MetricType::L2, 500, 2), 4248);
        type Change = &'static dyn Fn(&mut [u32]);
        let refused: [(Tag, Change); 7] = [
            (ROOTS, &|roots| roots[1] = 1000),
            (NODES, &|nodes| nodes[1] = 0),
            (NODES, &|nodes| nodes[1] = nodes[2]),
            (NODES, &|nodes| nodes[2] = 1000),
            (NODES, &|nodes| nodes[0] = 1000),
            (LEAVES, &|leaves| leaves[7] = 500),
            (LEAVES, &|leaves| leaves[7] = leaves[8]),
        ];
        for (case, (tag, change)) in refused.into_iter().enumerate() {
            let refused = open(altered(tag, change));
            assert!(matches!(refused, Err(OpenError::Malformed(_))), "case {case}: {refused:?}");
        }
    }
}
