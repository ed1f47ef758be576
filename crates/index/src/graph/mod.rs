//! HNSW and AUTOINDEX: a hierarchical graph walked on 8-bit codes, scored on the vectors.
//!
//! Every row has a random level; at each level a row is linked to near rows in different
//! directions. A search descends from the top to the neighbourhood of the query, walks there
//! best-first keeping `ef` candidates, and computes the exact scores of the best of them. Codes
//! are used to walk where they tell near rows apart, else the vectors themselves.
//!
//! Parts: `links` (the graph), `space` (distances to walk on), `codes`, `duplicates` (rows that
//! cannot be told apart), `build`, `walk`, `search` (filters, and the choice of how to search),
//! `file` (sections of the container).

mod build;
mod codes;
mod duplicates;
mod file;
mod links;
mod search;
mod space;
mod walk;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use milvus_kernel::{Bitset, sq8};
use milvus_types::MetricType;
use parking_lot::Mutex;

use crate::brute::Scan;
use crate::error::BuildError;
use crate::index_type::IndexType;
use crate::params::{GraphParams, SearchParams};
use crate::range::Range;
use crate::score::{Metric, Query, inverse_norms};
use crate::section::Section;
use crate::vector_index::{Hit, VectorIndex};
use crate::vectors::Vectors;

use build::{Builder, level_of, order};
use codes::{Coder, encode_all, good_enough, mean};
use duplicates::{Duplicates, Groups};
pub(crate) use file::open;
use links::{GrowingLinks, Layout, Links, upper_at};
use search::Scratch;
use space::{FloatSpace, Space};

/// A finished graph over the rows of one segment.
pub(crate) struct Graph {
    index_type: IndexType,
    metric: Metric,
    params: GraphParams,
    vectors: Vectors,
    /// The row that every walk starts from; `None` where there are no rows.
    entry: Option<u32>,
    levels: Section<u8>,
    upper_at: Vec<u32>,
    level0: Section<u32>,
    upper: Section<u32>,
    /// Codes to walk on; `None` where walks are on the vectors.
    codes: Option<Codes>,
    /// Of all rows where the metric is cosine, else empty.
    inverse_norms: Section<f32>,
    duplicates: DuplicateSections,
    scratch: Mutex<Vec<Scratch>>,
}

/// The codes of all rows and the mean that vectors are centred by.
struct Codes {
    mean: Section<f32>,
    rows: Section<u8>,
}

/// [`Duplicates`] as sections.
struct DuplicateSections {
    first: Section<u32>,
    ends: Section<u32>,
    others: Section<u32>,
}

impl DuplicateSections {
    fn view(&self) -> Groups<'_> {
        Groups {
            first: self.first.as_slice(),
            ends: self.ends.as_slice(),
            others: self.others.as_slice(),
        }
    }
}

impl From<Duplicates> for DuplicateSections {
    fn from(found: Duplicates) -> Self {
        Self { first: found.first.into(), ends: found.ends.into(), others: found.others.into() }
    }
}

/// Bytes of memory that building takes at its peak, without the vectors.
pub(crate) fn estimate_bytes(params: &GraphParams, rows: usize, dim: usize) -> u64 {
    let upper = params.m as u64 * 4 / (params.m as u64 - 1).max(1) + 1;
    let row = sq8::stride(dim) as u64 + params.m as u64 * 2 * 4 + upper + 64;
    rows as u64 * row + (1 << 20)
}

/// Builds a graph over `vectors` on `threads` threads.
pub(crate) fn build(
    index_type: IndexType,
    metric: Metric,
    params: &GraphParams,
    vectors: Vectors,
    threads: usize,
    progress: &(dyn Fn(usize, usize) + Sync),
    cancel: &AtomicBool,
) -> Result<Graph, BuildError> {
    let norms = match metric {
        Metric::Cosine => inverse_norms(vectors.as_slice(), vectors.dim()),
        Metric::L2 | Metric::Ip => Vec::new(),
    };
    let mean = mean(metric, &vectors);
    let codes = encode_all(Coder { metric, mean: &mean }, &vectors, threads);
    if cancel.load(Relaxed) {
        return Err(BuildError::Cancelled);
    }
    let space = codes::space(&codes, metric, vectors.dim());
    let good = good_enough(&space, metric, &vectors);
    let work = Work { params, rows: vectors.rows(), threads, progress, cancel };
    let built = if good {
        work.link(&space, &Duplicates::find(&codes, space.stride))?
    } else {
        let bytes = bytemuck::cast_slice(vectors.as_slice());
        let space = FloatSpace {
            metric,
            block: vectors.as_slice(),
            dim: vectors.dim(),
            inverse_norms: &norms,
        };
        work.link(&space, &Duplicates::find(bytes, vectors.dim() * size_of::<f32>()))?
    };
    Ok(Graph {
        index_type,
        metric,
        params: *params,
        entry: built.entry,
        levels: built.levels.into(),
        upper_at: built.upper_at,
        level0: built.level0.into(),
        upper: built.upper.into(),
        codes: good.then(|| Codes { mean: mean.into(), rows: codes.into() }),
        inverse_norms: norms.into(),
        duplicates: built.duplicates.into(),
        scratch: Mutex::default(),
        vectors,
    })
}

/// What linking needs besides a space.
struct Work<'a> {
    params: &'a GraphParams,
    rows: usize,
    threads: usize,
    progress: &'a (dyn Fn(usize, usize) + Sync),
    cancel: &'a AtomicBool,
}

/// What linking makes.
struct Linked {
    entry: Option<u32>,
    levels: Vec<u8>,
    upper_at: Vec<u32>,
    level0: Vec<u32>,
    upper: Vec<u32>,
    duplicates: Duplicates,
}

impl Work<'_> {
    fn link<S: Space>(&self, space: &S, duplicates: &Duplicates) -> Result<Linked, BuildError> {
        let m = self.params.m;
        let mut skipped = vec![false; self.rows];
        duplicates.others.iter().for_each(|&row| skipped[row as usize] = true);
        let levels: Vec<u8> = (0u32..)
            .zip(&skipped)
            .map(|(row, &skipped)| if skipped { 0 } else { level_of(row, m) })
            .collect();
        let order = order(&levels, &skipped);
        let (upper_at, lists) = upper_at(&levels);
        let layout = Layout { m, levels: &levels, upper_at: &upper_at };
        let links = GrowingLinks::new(layout, lists);
        let builder = Builder {
            space,
            links: &links,
            params: self.params,
            order: &order,
            progress: self.progress,
            cancel: self.cancel,
        };
        builder.run(self.threads)?;
        let (level0, upper) = links.finish();
        let entry = order.first().copied();
        let duplicates = duplicates.clone();
        Ok(Linked { entry, levels, upper_at, level0, upper, duplicates })
    }
}

impl Graph {
    fn links(&self) -> Links<'_> {
        Links {
            layout: Layout {
                m: self.params.m,
                levels: self.levels.as_slice(),
                upper_at: &self.upper_at,
            },
            level0: self.level0.as_slice(),
            upper: self.upper.as_slice(),
        }
    }

    fn scan(&self) -> Scan<'_> {
        Scan {
            block: self.vectors.as_slice(),
            dim: self.vectors.dim(),
            inverse_norms: self.inverse_norms.as_slice(),
        }
    }
}

impl VectorIndex for Graph {
    fn search(
        &self,
        query: &[f32],
        k: usize,
        params: &SearchParams,
        live: Option<&Bitset>,
        out: &mut Vec<Hit>,
    ) {
        assert_eq!(query.len(), self.dim(), "dimensions disagree");
        let scratch = self.scratch.lock().pop();
        let mut scratch = scratch.unwrap_or_else(|| Scratch::new(self.rows()));
        search::search(self, query, k, params, live, &mut scratch, out);
        self.scratch.lock().push(scratch);
    }

    /// Compares with every live row: a graph cannot promise to have reached all that are in range.
    fn range_search(
        &self,
        query: &[f32],
        range: &Range,
        limit: usize,
        live: Option<&Bitset>,
        out: &mut Vec<Hit>,
    ) {
        assert_eq!(query.len(), self.dim(), "dimensions disagree");
        self.scan().range(&Query::new(self.metric, query), live, range, limit, out);
    }

    fn rows(&self) -> usize {
        self.vectors.rows()
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
        let codes = self.codes.as_ref();
        self.level0.bytes()
            + self.upper.bytes()
            + self.levels.bytes()
            + size_of_val(self.upper_at.as_slice()) as u64
            + codes.map_or(0, |codes| codes.rows.bytes() + codes.mean.bytes())
            + self.inverse_norms.bytes()
            + self.duplicates.first.bytes()
            + self.duplicates.ends.bytes()
            + self.duplicates.others.bytes()
    }

    fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        file::write(self, out)
    }
}
