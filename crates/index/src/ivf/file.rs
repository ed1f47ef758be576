//! Lists in an index container.
//!
//! | section | elements | what |
//! |---|---|---|
//! | `centroid` | f32 × nlist × dim, or u8 × nlist × dim / 8 | the centre of each list |
//! | `listends` | u32 × nlist | where each list ends in `listrows` |
//! | `listrows` | u32 × rows | the rows of each list, list after list |
//! | `mean`, `codes` | f32 × dim, u8 × rows × stride | where `codes` is `sq8` |
//! | `codes`, `facts` | u8 × rows × width, f32 × rows × 3 | where `codes` is `bits` |
//! | `codebook`, `codes`, `codenorm` | see `product` | where `codes` is `product` |
//!
//! Parameters: `nlist`, `codes` (`vectors`, `sq8`, `bits` or `product`).

use std::io;

use milvus_kernel::{Bitset, sq8};
use milvus_types::{DataType, KeyValue};

use super::Ivf;
use super::bits::{FACTS, padded};
use super::codes::Codes;
use super::kmeans::Centroids;
use crate::container::{self, Container, Header, Tag};
use crate::error::OpenError;
use crate::index_type::IndexType;
use crate::product::Product;
use crate::score::Metric;
use crate::section::Section;
use crate::vector_index::VectorIndex;
use crate::vectors::VectorData;

const CENTROIDS: Tag = *b"centroid";
const ENDS: Tag = *b"listends";
const ROWS: Tag = *b"listrows";
const MEAN: Tag = *b"mean    ";
const CODES: Tag = *b"codes   ";
const FACTS_OF: Tag = *b"facts   ";

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
        Codes::Product(product) => {
            params.push(KeyValue::new("codes", "product"));
            let (more, parts) = product.parts(index.dim());
            params.extend(more);
            sections.extend(parts);
        }
        Codes::Bits { rows, facts } => {
            params.push(KeyValue::new("codes", "bits"));
            sections.extend([(CODES, rows.as_bytes()), (FACTS_OF, facts.as_bytes())]);
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
        Centroids::Floats { values: container.section(CENTROIDS, product(lists, dim)?)?, dim }
    };
    let ends: Section<u32> = container.section(ENDS, lists)?;
    let list_rows: Section<u32> = container.section(ROWS, rows)?;
    check_lists(ends.as_slice(), list_rows.as_slice())?;
    if vectors.data_type() == DataType::BinaryVector && container.header.text("codes")? != "vectors"
    {
        return Err(OpenError::malformed("bits have no codes"));
    }
    let codes = codes(container, &vectors)?;
    Ok(Ivf { index_type, metric, vectors, centroids, ends, rows: list_rows, codes })
}

fn codes(container: &Container, vectors: &VectorData) -> Result<Codes, OpenError> {
    let (rows, dim) = (vectors.rows(), vectors.dim());
    match container.header.text("codes")? {
        "vectors" => Ok(Codes::None),
        "sq8" => Ok(Codes::Sq8 {
            mean: container.section(MEAN, dim)?,
            rows: container.section(CODES, product(rows, sq8::stride(dim))?)?,
        }),
        "bits" => Ok(Codes::Bits {
            rows: container.section(CODES, product(rows, padded(dim) / 8)?)?,
            facts: container.section(FACTS_OF, product(rows, FACTS)?)?,
        }),
        "product" => Product::open(container, vectors).map(Codes::Product),
        other => Err(OpenError::malformed(format!("codes are {other}"))),
    }
}

/// Checks that the lists hold every row once.
fn check_lists(ends: &[u32], rows: &[u32]) -> Result<(), OpenError> {
    let reach = ends.last().map_or(0, |&end| end as usize);
    let mut seen = Bitset::zeros(rows.len());
    for &row in rows.iter().filter(|&&row| (row as usize) < rows.len()) {
        seen.set(row as usize);
    }
    if ends.is_sorted() && reach == rows.len() && seen.count() == rows.len() {
        return Ok(());
    }
    Err(OpenError::malformed("lists do not hold every row once"))
}

fn product(a: usize, b: usize) -> Result<usize, OpenError> {
    a.checked_mul(b).ok_or_else(|| OpenError::malformed("a size is out of reach"))
}
