//! HNSW and AUTOINDEX: a hierarchical graph walked on compact codes, scored on the vectors.
//!
//! Every row has a random level; at each level a row is linked to near rows in different
//! directions. A search descends from the top to the neighbourhood of the query, walks there
//! best-first keeping `ef` candidates, and computes the exact scores of the best of them. Codes
//! are used to walk where they tell near rows apart, else the vectors themselves.
//!
//! Parts: `links` (the graph), `space` (distances to walk on), `lean` and `codes`, `duplicates` (rows
//! that cannot be told apart), `build`, `order` (near rows lie side by side), `walk`, `sketch` and
//! `collect` (scans of all rows), `search` (filters, and the choice of how to search), `file` (sections of the container).

mod build;
pub(crate) mod codes;
mod collect;
mod duplicates;
mod file;
pub(crate) mod lean;
mod links;
pub(crate) mod order;
mod plan;
mod search;
pub(crate) mod short;
mod sketch;
pub(crate) mod space;
mod walk;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use milvus_kernel::short_codes::{self, Width};
use milvus_kernel::{Bitset, sq8};
use milvus_types::{DataType, MetricType};
use parking_lot::Mutex;

use crate::brute::range_into;
use crate::compare::{Comparer, inverse_norms, query_of};
use crate::error::BuildError;
use crate::index_type::IndexType;
use crate::ivf::kmeans::mean_of;
use crate::params::{GraphCodes, GraphParams, SearchParams};
use crate::product::Product;
use crate::range::Range;
use crate::score::Metric;
use crate::section::Section;
use crate::vector_index::{Hit, VectorIndex};
use crate::vectors::{VectorData, VectorRef};

use build::{Builder, level_of, order};
use codes::{Coder, encode_all, good_enough, mean};
use duplicates::{Duplicates, Groups};
pub(crate) use file::open;
use lean::Lean;
use links::{GrowingLinks, Layout, Links, upper_at};
use search::Scratch;
use short::Short;
use sketch::Sketches;
use space::{RowSpace, Space};

/// The nearest ten rows must be among so many by 8-bit codes.
const CANDIDATES: usize = 30;

/// A finished graph over the rows of one segment.
pub(crate) struct Graph {
    index_type: IndexType,
    metric: Metric,
    params: GraphParams,
    vectors: VectorData,
    /// The place that every walk starts from; `None` where there are no rows.
    entry: Option<u32>,
    /// The row at each place; empty where every row lies at its own number. Links lead from place to
    /// place, and levels and codes are in the order of places.
    rows_at: Section<u32>,
    /// The place of each row; empty likewise.
    places: Vec<u32>,
    levels: Section<u8>,
    upper_at: Vec<u32>,
    level0: Section<u32>,
    upper: Section<u32>,
    /// Codes to walk on; `None` where walks are on the vectors.
    codes: Option<Codes>,
    /// What searches under a filter scan; `None` of few rows or where codes are not lean.
    sketches: Option<Sketches>,
    /// Of all rows where the metric is cosine, else empty.
    inverse_norms: Section<f32>,
    duplicates: DuplicateSections,
    scratch: Mutex<Vec<Scratch>>,
}

/// The codes of all rows.
enum Codes {
    /// 4 bits for each of the leading directions.
    Lean(Lean),
    /// 4 or 6 bits for each dimension.
    Short(Short),
    /// 8 bits for each dimension, and the mean that vectors are centred by.
    Scalar {
        mean: Section<f32>,
        rows: Section<u8>,
    },
    Product(Product),
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
    let product = match params.codes {
        GraphCodes::Best | GraphCodes::Eight => 0,
        GraphCodes::Four | GraphCodes::Six => short_layout(params.codes, dim).stride() as u64,
        GraphCodes::Product(params) => (params.m * params.stages) as u64 + 4,
    };
    // Links are written once more in the order of places, and so are codes.
    let links = params.m as u64 * 2 * 4 * 2 + upper * 2;
    let row = lean::build_bytes(dim).max(sq8::stride(dim) as u64 * 2)
        + product
        + links
        + sketch::build_bytes()
        + 64;
    rows as u64 * row + lean::sample_bytes(rows, dim) + (1 << 20)
}

/// Builds a graph over `vectors` on `threads` threads.
pub(crate) fn build(
    index_type: IndexType,
    metric: Metric,
    params: &GraphParams,
    vectors: VectorData,
    threads: usize,
    progress: &(dyn Fn(usize, usize) + Sync),
    cancel: &AtomicBool,
) -> Result<Graph, BuildError> {
    let norms = inverse_norms(metric, &vectors);
    let rows = vectors.rows();
    let arranged = vectors.data_type() != DataType::BinaryVector;
    let mut work = Work { params, rows, threads, arranged, progress, cancel };
    let eight = params.codes == GraphCodes::Eight && matches!(vectors, VectorData::Float(_));
    let lean = if eight || vectors.data_type() == DataType::BinaryVector {
        None
    } else {
        Lean::build(metric, &vectors, sketch::DIRECTIONS, threads, cancel)
    };
    if cancel.load(Relaxed) {
        return Err(BuildError::Cancelled);
    }
    let mut codes = None;
    if let (None, VectorData::Float(floats)) = (&lean, &vectors) {
        let mean = mean(metric, floats);
        let coded = encode_all(Coder { metric, mean: &mean }, floats, threads);
        if cancel.load(Relaxed) {
            return Err(BuildError::Cancelled);
        }
        if good_enough(&codes::space(&coded, metric, floats.dim()), metric, &vectors, CANDIDATES) {
            codes = Some((mean, coded));
        }
    }
    let built = if let Some((lean, forms, _)) = &lean {
        let duplicates = Duplicates::find(lean.rows.as_slice(), lean.stride);
        work.link(&lean.space(forms, metric), &duplicates)?
    } else if let Some((_, coded)) = &codes {
        let space = codes::space(coded, metric, vectors.dim());
        work.link(&space, &Duplicates::find(coded, space.stride))?
    } else {
        work.arranged = !matches!(params.codes, GraphCodes::Best | GraphCodes::Eight);
        let space = RowSpace { metric, rows: vectors.view(), inverse_norms: &norms };
        let (bytes, width) = vectors.fixed_bytes().unwrap_or((&[], 1));
        work.link(&space, &Duplicates::find(bytes, width))?
    };
    let rows_at = &built.rows_at;
    let (lean, leading) = lean.map(|(lean, _, leading)| (lean, leading)).unzip();
    let sketches =
        leading.and_then(|leading| Sketches::build(metric, &vectors, leading, threads, cancel));
    let codes = match (&params.codes, lean, codes) {
        (GraphCodes::Product(params), _, _) => {
            Some(Codes::Product(Product::build(metric, &vectors, rows_at, params, threads, cancel)))
        }
        (GraphCodes::Four | GraphCodes::Six, _, _) => {
            let mean = mean_of(metric, &vectors, 0..rows);
            let layout = short_layout(params.codes, vectors.dim());
            Some(Codes::Short(Short::build(metric, layout, &vectors, mean, rows_at, threads)))
        }
        (GraphCodes::Best | GraphCodes::Eight, Some(lean), _) => {
            Some(Codes::Lean(lean.in_order(rows_at)))
        }
        (GraphCodes::Best | GraphCodes::Eight, None, Some((mean, coded))) => {
            let rows = order::in_order(&coded, sq8::stride(vectors.dim()), rows_at);
            Some(Codes::Scalar { mean: mean.into(), rows: rows.into() })
        }
        (GraphCodes::Best | GraphCodes::Eight, None, None) => None,
    };
    if cancel.load(Relaxed) {
        return Err(BuildError::Cancelled);
    }
    Ok(Graph {
        index_type,
        metric,
        params: *params,
        entry: built.entry,
        rows_at: built.rows_at.into(),
        places: built.places,
        levels: built.levels.into(),
        upper_at: built.upper_at,
        level0: built.level0.into(),
        upper: built.upper.into(),
        codes,
        sketches,
        inverse_norms: norms.into(),
        duplicates: built.duplicates.into(),
        scratch: Mutex::default(),
        vectors,
    })
}

/// How `codes` of four or six bits lie.
fn short_layout(codes: GraphCodes, dim: usize) -> short_codes::Layout {
    let width = if codes == GraphCodes::Six { Width::Six } else { Width::Four };
    short_codes::Layout::new(width, dim)
}

/// What linking needs besides a space.
struct Work<'a> {
    params: &'a GraphParams,
    rows: usize,
    threads: usize,
    /// Whether rows are laid out anew.
    arranged: bool,
    progress: &'a (dyn Fn(usize, usize) + Sync),
    cancel: &'a AtomicBool,
}

/// What linking makes.
struct Linked {
    entry: Option<u32>,
    rows_at: Vec<u32>,
    places: Vec<u32>,
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
        let entry = order.first().copied();
        let duplicates = duplicates.clone();
        let Some(entry) = entry.filter(|_| self.arranged) else {
            let (level0, upper) = links.finish();
            let (rows_at, places) = (Vec::new(), Vec::new());
            return Ok(Linked {
                entry,
                rows_at,
                places,
                levels,
                upper_at,
                level0,
                upper,
                duplicates,
            });
        };
        let followed = duplicates.followed(self.rows);
        let rows_at = order::arrange(space, &links, &levels, entry, &followed, self.threads);
        let places = order::places(&rows_at, self.rows).unwrap_or_default();
        let (level0, upper) = links.finish();
        let (level0, upper) = order::relink(&level0, &upper, layout, &rows_at, &places);
        let levels = order::in_order(&levels, 1, &rows_at);
        let (upper_at, _) = links::upper_at(&levels);
        let entry = places.get(entry as usize).copied();
        Ok(Linked { entry, rows_at, places, levels, upper_at, level0, upper, duplicates })
    }
}

impl Graph {
    /// What vectors are centred by before they are coded; nothing where they are not.
    fn mean(&self) -> &[f32] {
        match (&self.codes, &self.sketches) {
            (Some(Codes::Lean(lean)), _) => lean.projection.mean.as_slice(),
            (Some(Codes::Short(short)), _) => short.mean.as_slice(),
            (Some(Codes::Scalar { mean, .. }), _) => mean.as_slice(),
            (_, Some(sketches)) => sketches.projection.mean.as_slice(),
            (Some(Codes::Product(_)) | None, None) => &[],
        }
    }

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
}

impl VectorIndex for Graph {
    fn search(
        &self,
        query: VectorRef<'_>,
        k: usize,
        params: &SearchParams,
        live: Option<&Bitset>,
        out: &mut Vec<Hit>,
    ) {
        let scratch = self.scratch.lock().pop();
        let mut scratch = scratch.unwrap_or_else(|| Scratch::new(self.rows()));
        search::search(self, query, k, params, live, &mut scratch, out);
        self.scratch.lock().push(scratch);
    }

    /// Compares with every live row: a graph cannot promise to have reached all that are in range.
    fn range_search(
        &self,
        query: VectorRef<'_>,
        range: &Range,
        limit: usize,
        live: Option<&Bitset>,
        out: &mut Vec<Hit>,
    ) {
        let norms = self.inverse_norms.as_slice();
        let comparer = Comparer::new(self.metric, query, self.vectors.view(), norms);
        range_into(&query_of(comparer), self.rows(), live, range, limit, out);
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
        let codes = match &self.codes {
            None => 0,
            Some(Codes::Lean(lean)) => lean.bytes(),
            Some(Codes::Short(short)) => short.bytes(),
            Some(Codes::Scalar { mean, rows }) => mean.bytes() + rows.bytes(),
            Some(Codes::Product(product)) => product.bytes(),
        };
        self.level0.bytes()
            + self.upper.bytes()
            + self.levels.bytes()
            + size_of_val(self.upper_at.as_slice()) as u64
            + self.rows_at.bytes()
            + size_of_val(self.places.as_slice()) as u64
            + codes
            + self.sketches.as_ref().map_or(0, Sketches::bytes)
            + self.inverse_norms.bytes()
            + self.duplicates.first.bytes()
            + self.duplicates.ends.bytes()
            + self.duplicates.others.bytes()
    }

    fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        file::write(self, out)
    }
}
