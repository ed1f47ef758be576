//! Lists in an index container.
//!
//! | section | elements | what |
//! |---|---|---|
//! | `centroid` | f32 × nlist × dim, or u8 × nlist × dim / 8 | the centre of each list |
//! | `listends` | u32 × nlist | where each list ends in `listrows` |
//! | `listrows` | u32 × rows | the rows of each list, list after list; behind the last, those in none |
//! | `mean`, `codes` | f32 × dim, u8 × rows × stride | where `codes` is `sq8` |
//! | `mean`, `blocks`, `facts` | f32 × dim, blocks of 32 rows, f32 × rows × 2 | see `signs`, where `codes` is `signs` |
//! | `planes`, `ranks` | u8 × rows × bytes, f32 × rows × 3 | see `planes`, where `signs` have more than one bit |
//! | `codebook`, `blocks` | f32 × stages × m × names × dim / m, blocks of 32 or 64 rows | see `blocks`, where `codes` is `blocks` |
//! | `codenorm` | f32 × rows | of product codes of several stages, where the metric is not IP |
//!
//! Parameters: `nlist`, `codes` (`vectors`, `sq8`, `sq4`, `sq6`, `signs` or `blocks`); of `signs` also `bits`
//! where there are more than one; of `blocks` also `parts`, `names` and `bits`, and `stages` where there
//! are several.

use std::io;
use std::sync::atomic::AtomicBool;

use milvus_kernel::short_codes::{Layout, Width};
use milvus_kernel::{Bitset, fastscan, sq8};
use milvus_types::{DataType, KeyValue};

use super::Ivf;
use super::blocks::{Lists, MOST_PARTS, ProductLists};
use super::codes::Codes;
use super::kmeans::Centroids;
use super::planes::{self, Planes};
use super::signs::{FACTS, Signs, padded, parts};
use crate::brute::row_number;
use crate::container::{self, Container, Header, Tag};
use crate::error::OpenError;
use crate::graph::short::Short;
use crate::index_type::IndexType;
use crate::params::IvfCodes;
use crate::product::ProductParams;
use crate::score::Metric;
use crate::section::Section;
use crate::vector_index::VectorIndex;
use crate::vectors::VectorData;

const CENTROIDS: Tag = *b"centroid";
const ENDS: Tag = *b"listends";
const ROWS: Tag = *b"listrows";
const MEAN: Tag = *b"mean    ";
const CODES: Tag = *b"codes   ";
const BOOK: Tag = *b"codebook";
const BLOCKS: Tag = *b"blocks  ";
const FACTS_OF: Tag = *b"facts   ";
const PLANES: Tag = *b"planes  ";
const RANKS: Tag = *b"ranks   ";
const NORMS: Tag = *b"codenorm";

pub(super) fn write(index: &Ivf, out: &mut dyn io::Write) -> io::Result<()> {
    let mut params = vec![KeyValue::new("nlist", index.centroids.len().to_string())];
    let mut sections: Vec<(Tag, &[u8])> = vec![
        (CENTROIDS, index.centroids.section()),
        (ENDS, index.ends.as_bytes()),
        (ROWS, index.rows.as_bytes()),
    ];
    match &index.codes {
        Codes::None => params.push(KeyValue::new("codes", "vectors")),
        Codes::Sq8 { mean, rows } => {
            params.push(KeyValue::new("codes", "sq8"));
            sections.extend([(MEAN, mean.as_bytes()), (CODES, rows.as_bytes())]);
        }
        Codes::Short(short) => {
            params.push(KeyValue::new("codes", format!("sq{}", short.layout.width.bits())));
            sections.extend([(MEAN, short.mean.as_bytes()), (CODES, short.rows.as_bytes())]);
        }
        Codes::Product(product) => {
            let names = product.book.as_slice().len() / (index.dim() * product.stages).max(1);
            params.push(KeyValue::new("codes", "blocks"));
            params.push(KeyValue::new("parts", product.m.to_string()));
            params.push(KeyValue::new("names", names.to_string()));
            params.push(KeyValue::new("bits", product.bits.to_string()));
            sections.extend([(BOOK, product.book.as_bytes()), (BLOCKS, product.blocks.as_bytes())]);
            if product.stages > 1 {
                params.push(KeyValue::new("stages", product.stages.to_string()));
                sections.push((NORMS, product.norms.as_bytes()));
            }
        }
        Codes::Signs(signs) => {
            params.push(KeyValue::new("codes", "signs"));
            sections.extend([
                (MEAN, signs.mean.as_bytes()),
                (BLOCKS, signs.blocks.as_bytes()),
                (FACTS_OF, signs.facts.as_bytes()),
            ]);
            if let Some(planes) = &signs.planes {
                params.push(KeyValue::new("bits", (planes.bits + 1).to_string()));
                sections.push((PLANES, planes.codes.as_bytes()));
                sections.push((RANKS, planes.facts.as_bytes()));
            }
        }
    }
    let header = Header {
        index_type: index.index_type.name().to_owned(),
        metric: index.metric(),
        dim: index.dim(),
        rows: index.rows(),
        params,
    };
    container::write(out, &header, &sections)
}

/// Opens the lists in `container`; every row number in it is checked.
pub(crate) fn open(
    index_type: IndexType,
    metric: Metric,
    container: &Container,
    vectors: VectorData,
) -> Result<Ivf, OpenError> {
    let (rows, dim) = (vectors.rows(), vectors.dim());
    let lists = container.header.number("nlist")?;
    let centroids = if vectors.data_type() == DataType::BinaryVector {
        let width = dim / 8;
        Centroids::Bits { bytes: container.section(CENTROIDS, product(lists, width)?)?, width }
    } else {
        Centroids::of_floats(container.section(CENTROIDS, product(lists, dim)?)?, dim)
    };
    let ends: Section<u32> = container.section(ENDS, lists)?;
    let list_rows: Section<u32> = container.section(ROWS, rows)?;
    check_lists(ends.as_slice(), list_rows.as_slice())?;
    if vectors.data_type() == DataType::BinaryVector && container.header.text("codes")? != "vectors"
    {
        return Err(OpenError::malformed("bits have no codes"));
    }
    let listed = (list_rows.as_slice(), ends.as_slice(), &centroids);
    let codes = codes(container, metric, &vectors, listed)?;
    Ok(Ivf { index_type, metric, vectors, centroids, ends, rows: list_rows, codes })
}

fn codes(
    container: &Container,
    metric: Metric,
    vectors: &VectorData,
    listed: (&[u32], &[u32], &Centroids),
) -> Result<Codes, OpenError> {
    let (rows, dim, lists) = (vectors.rows(), vectors.dim(), listed.1.len());
    match container.header.text("codes")? {
        "vectors" => Ok(Codes::None),
        "sq8" => Ok(Codes::Sq8 {
            mean: container.section(MEAN, dim)?,
            rows: container.section(CODES, product(rows, sq8::stride(dim))?)?,
        }),
        "sq4" => short(container, Width::Four, vectors),
        "sq6" => short(container, Width::Six, vectors),
        "signs" => {
            let blocks = rows / fastscan::BLOCK + lists;
            Ok(Codes::Signs(Signs {
                mean: container.section(MEAN, dim)?,
                blocks: container
                    .section(BLOCKS, product(blocks, fastscan::block_bytes(parts(dim)))?)?,
                facts: container.section(FACTS_OF, product(rows, FACTS)?)?,
                planes: planes(container, rows, dim)?,
            }))
        }
        "blocks" => blocks(container, metric, vectors, lists).map(Codes::Product),
        // Files from before codes lay in blocks: the vectors are encoded anew.
        "bits" => Ok(encoded(IvfCodes::Bits(1), metric, vectors, listed)),
        "product" => {
            let (m, names) = (container.header.number("parts")?, container.header.number("names")?);
            let nbits = if names <= fastscan::ENTRIES { 4 } else { 8 };
            if m == 0 || !dim.is_multiple_of(m) {
                return Err(OpenError::malformed(format!("{dim} dimensions in {m} parts")));
            }
            let params = ProductParams { m, nbits, stages: 1 };
            Ok(encoded(IvfCodes::Product(params), metric, vectors, listed))
        }
        other => Err(OpenError::malformed(format!("codes are {other}"))),
    }
}

/// The short codes in `container`.
fn short(container: &Container, width: Width, vectors: &VectorData) -> Result<Codes, OpenError> {
    let layout = Layout::new(width, vectors.dim());
    Ok(Codes::Short(Short {
        layout,
        mean: container.section(MEAN, vectors.dim())?,
        rows: container.section(CODES, product(vectors.rows(), layout.stride())?)?,
    }))
}

/// The bits behind the first of signs in `container`, where there are more.
fn planes(container: &Container, rows: usize, dim: usize) -> Result<Option<Planes>, OpenError> {
    let Ok(all) = container.header.number("bits") else {
        return Ok(None);
    };
    let bits = u32::try_from(all).ok().filter(|bits| (2..=8).contains(bits));
    let Some(bits) = bits.map(|bits| bits - 1) else {
        return Err(OpenError::malformed(format!("codes have {all} bits")));
    };
    let bytes = planes::bytes(padded(dim), bits);
    Ok(Some(Planes {
        bits,
        codes: container.section(PLANES, product(rows, bytes)?)?,
        facts: container.section(RANKS, product(rows, planes::FACTS)?)?,
    }))
}

/// The rows of the lists, encoded anew.
fn encoded(
    codes: IvfCodes,
    metric: Metric,
    vectors: &VectorData,
    (order, ends, centroids): (&[u32], &[u32], &Centroids),
) -> Codes {
    let mut nearest = vec![0; order.len()];
    let lists = Lists::new(order, ends, 1);
    for list in 0..ends.len() {
        for &row in &order[lists.range(list)] {
            nearest[row as usize] = row_number(list);
        }
    }
    let lists = (order, &*nearest, ends, centroids);
    Codes::build(codes, metric, vectors, lists, 1, &AtomicBool::new(false))
}

/// The product codes in `container`.
fn blocks(
    container: &Container,
    metric: Metric,
    vectors: &VectorData,
    lists: usize,
) -> Result<ProductLists, OpenError> {
    let number = |key| container.header.number(key);
    let (m, names, bits) = (number("parts")?, number("names")?, number("bits")?);
    let (rows, dim) = (vectors.rows(), vectors.dim());
    let fits = m > 0 && dim.is_multiple_of(m) && matches!(bits, 4 | 8);
    if !fits || names == 0 || names > 1 << bits {
        return Err(OpenError::malformed(format!(
            "{dim} dimensions in {m} parts of {names} names in {bits} bits"
        )));
    }
    let stages = number("stages").unwrap_or(1);
    if stages == 0 || m.checked_mul(stages).is_none_or(|parts| parts > MOST_PARTS) {
        return Err(OpenError::malformed(format!("{m} parts of {stages} stages")));
    }
    let book = container.section(BOOK, product(product(names, dim)?, stages)?)?;
    let mut read = ProductLists::new((m, stages), bits, book, dim);
    if stages > 1 && metric != Metric::Ip {
        read.norms = container.section(NORMS, rows)?;
    }
    let blocks = rows / read.block() + lists;
    read.blocks = container.section(BLOCKS, product(blocks, read.block_bytes())?)?;
    Ok(read)
}

/// Checks that the lists, and what is behind the last, hold every row once.
fn check_lists(ends: &[u32], rows: &[u32]) -> Result<(), OpenError> {
    let reach = ends.last().map_or(0, |&end| end as usize);
    let mut seen = Bitset::zeros(rows.len());
    for &row in rows.iter().filter(|&&row| (row as usize) < rows.len()) {
        seen.set(row as usize);
    }
    if ends.is_sorted() && reach <= rows.len() && seen.count() == rows.len() {
        return Ok(());
    }
    Err(OpenError::malformed("lists do not hold every row once"))
}

fn product(a: usize, b: usize) -> Result<usize, OpenError> {
    a.checked_mul(b).ok_or_else(|| OpenError::malformed("a size is out of reach"))
}
