//! A graph in an index container.
//!
//! | section | elements | what |
//! |---|---|---|
//! | `rowsat` | u32 × rows, or none | the row at each place, see `order`; what follows is in the order of places |
//! | `levels` | u8 × rows | the highest level of each row |
//! | `links0` | u32 × rows × 2M | neighbours at level 0; a short list ends in `u32::MAX` |
//! | `links` | u32 × sum of levels × M | neighbours above, row after row, level after level |
//! | `codes`, `mean` | u8 × rows × stride, f32 × dim | what walks are on, where `space` is `codes` |
//! | `codes`, `mean`, `directio` | u8 × rows × stride, f32 × dim, u8 × kept × `sq8` stride | see `lean`, where `space` is `lean` |
//! | `codes`, `mean` | u8 × rows × stride, f32 × dim | see `short`, where `space` is `short` |
//! | `codebook`, `codes`, `codenorm` | see `product` | where `space` is `product` |
//! | `skmean`, `skdirect`, `skbook`, `skblocks` | f32 × dim, u8 × kept × `sq8` stride, f32, u8 | see `sketch`, where there are sketches |
//! | `invnorms` | f32 × rows | COSINE only |
//! | `dupfirst`, `dupends`, `dupother` | u32 | groups of identical rows |
//!
//! Parameters: `M`, `efConstruction`, `entry` (a row, or `none`), `space` (`lean`, `short`,
//! `codes`, `product` or `vectors`), `stride` (of lean codes), `bits` (of short ones).

use std::io;

use milvus_kernel::prefetch::CACHE_LINE;
use milvus_kernel::short_codes::{Layout, Width};
use milvus_kernel::{lvq4, sq8};
use milvus_types::{DataType, KeyValue};
use parking_lot::Mutex;

use crate::container::{self, Container, Header, Tag};
use crate::error::OpenError;
use crate::graph::lean::{Lean, Projection};
use crate::graph::links::{NONE, upper_at};
use crate::graph::order::places;
use crate::graph::short::Short;
use crate::graph::sketch::{self, Sketches};
use crate::graph::{Codes, DuplicateSections, Graph};
use crate::index_type::IndexType;
use crate::params::{GraphCodes, GraphParams};
use crate::product::Product;
use crate::score::Metric;
use crate::section::Section;
use crate::vector_index::VectorIndex;
use crate::vectors::VectorData;

const ROWS_AT: Tag = *b"rowsat  ";
const LEVELS: Tag = *b"levels  ";
const LINKS0: Tag = *b"links0  ";
const LINKS: Tag = *b"links   ";
const CODES: Tag = *b"codes   ";
const MEAN: Tag = *b"mean    ";
const DIRECTIONS: Tag = *b"directio";
const SKETCH_MEAN: Tag = *b"skmean  ";
const SKETCH_DIRECTIONS: Tag = *b"skdirect";
const SKETCH_BOOK: Tag = *b"skbook  ";
const SKETCH_BLOCKS: Tag = *b"skblocks";
const NORMS: Tag = *b"invnorms";
const DUP_FIRST: Tag = *b"dupfirst";
const DUP_ENDS: Tag = *b"dupends ";
const DUP_OTHERS: Tag = *b"dupother";

pub(crate) fn write(graph: &Graph, out: &mut dyn io::Write) -> io::Result<()> {
    let space = match &graph.codes {
        None => "vectors",
        Some(Codes::Lean(_)) => "lean",
        Some(Codes::Short(_)) => "short",
        Some(Codes::Scalar { .. }) => "codes",
        Some(Codes::Product(_)) => "product",
    };
    let entry = graph.entry.map_or_else(|| "none".to_owned(), |row| row.to_string());
    let mut header = Header {
        index_type: graph.index_type.name().to_owned(),
        metric: graph.metric(),
        dim: graph.dim(),
        rows: graph.rows(),
        params: vec![
            KeyValue::new("M", graph.params.m.to_string()),
            KeyValue::new("efConstruction", graph.params.ef_construction.to_string()),
            KeyValue::new("entry", entry),
            KeyValue::new("space", space),
        ],
    };
    let mut sections: Vec<(Tag, &[u8])> = vec![
        (LEVELS, graph.levels.as_bytes()),
        (LINKS0, graph.level0.as_bytes()),
        (LINKS, graph.upper.as_bytes()),
        (NORMS, graph.inverse_norms.as_bytes()),
        (DUP_FIRST, graph.duplicates.first.as_bytes()),
        (DUP_ENDS, graph.duplicates.ends.as_bytes()),
        (DUP_OTHERS, graph.duplicates.others.as_bytes()),
    ];
    if !graph.places.is_empty() {
        sections.push((ROWS_AT, graph.rows_at.as_bytes()));
    }
    if let Some(sketches) = &graph.sketches {
        sections.push((SKETCH_MEAN, sketches.projection.mean.as_bytes()));
        sections.push((SKETCH_DIRECTIONS, sketches.projection.directions.as_bytes()));
        sections.push((SKETCH_BOOK, sketches.book.as_bytes()));
        sections.push((SKETCH_BLOCKS, sketches.blocks.as_bytes()));
    }
    match &graph.codes {
        None => {}
        Some(Codes::Lean(lean)) => {
            header.params.push(KeyValue::new("stride", lean.stride.to_string()));
            sections.push((MEAN, lean.projection.mean.as_bytes()));
            sections.push((DIRECTIONS, lean.projection.directions.as_bytes()));
            sections.push((CODES, lean.rows.as_bytes()));
        }
        Some(Codes::Short(short)) => {
            header.params.push(KeyValue::new("bits", short.layout.width.bits().to_string()));
            sections.push((MEAN, short.mean.as_bytes()));
            sections.push((CODES, short.rows.as_bytes()));
        }
        Some(Codes::Scalar { mean, rows }) => {
            sections.push((MEAN, mean.as_bytes()));
            sections.push((CODES, rows.as_bytes()));
        }
        Some(Codes::Product(product)) => {
            let (params, parts) = product.parts(graph.dim());
            header.params.extend(params);
            sections.extend(parts);
        }
    }
    container::write(out, &header, &sections)
}

/// Opens the graph in `container`; every row number in it is checked.
pub(crate) fn open(
    index_type: IndexType,
    metric: Metric,
    container: &Container,
    vectors: VectorData,
) -> Result<Graph, OpenError> {
    let header = &container.header;
    let rows = vectors.rows();
    let params = GraphParams {
        m: header.number("M")?,
        ef_construction: header.number("efConstruction")?,
        codes: GraphCodes::Best,
    };
    let levels: Section<u8> = container.section(LEVELS, rows)?;
    let (upper_at, lists) = upper_at(levels.as_slice());
    let upper_links = lists.checked_mul(params.m);
    let links0 = rows.checked_mul(params.m).and_then(|links| links.checked_mul(2));
    let (Some(upper_links), Some(links0), true) = (upper_links, links0, params.m > 0) else {
        return Err(OpenError::malformed(format!("M is {}", params.m)));
    };
    let level0: Section<u32> = container.section(LINKS0, links0)?;
    let upper: Section<u32> = container.section(LINKS, upper_links)?;
    check_rows("links0", level0.as_slice(), rows)?;
    check_rows("links", upper.as_slice(), rows)?;
    let duplicates = DuplicateSections {
        first: container.section(DUP_FIRST, container.count::<u32>(DUP_FIRST))?,
        ends: container.section(DUP_ENDS, container.count::<u32>(DUP_ENDS))?,
        others: container.section(DUP_OTHERS, container.count::<u32>(DUP_OTHERS))?,
    };
    if !duplicates.view().are_sound(rows) {
        return Err(OpenError::malformed("groups of identical rows make no sense"));
    }
    // Files from before rows were laid out anew have no such section.
    let (mut rows_at, mut row_places) = (Section::from(Vec::new()), Vec::new());
    if container.count::<u32>(ROWS_AT) > 0 {
        rows_at = container.section(ROWS_AT, rows)?;
        row_places = places(rows_at.as_slice(), rows)
            .ok_or_else(|| OpenError::malformed("rows do not lie at one place each"))?;
    }
    let norms = container.section(NORMS, if metric == Metric::Cosine { rows } else { 0 })?;
    Ok(Graph {
        index_type,
        metric,
        params,
        entry: entry(header, rows)?,
        rows_at,
        places: row_places,
        levels,
        upper_at,
        level0,
        upper,
        codes: codes(container, &vectors)?,
        sketches: sketches(metric, container, &vectors)?,
        inverse_norms: norms,
        duplicates,
        scratch: Mutex::default(),
        vectors,
    })
}

fn entry(header: &Header, rows: usize) -> Result<Option<u32>, OpenError> {
    let text = header.text("entry")?;
    let row = text.parse::<u32>().ok();
    match row {
        Some(row) if (row as usize) < rows => Ok(Some(row)),
        None if text == "none" && rows == 0 => Ok(None),
        _ => Err(OpenError::malformed(format!("entry row is {text} of {rows} rows"))),
    }
}

fn codes(container: &Container, vectors: &VectorData) -> Result<Option<Codes>, OpenError> {
    match container.header.text("space")? {
        "vectors" => Ok(None),
        "lean" if vectors.data_type() != DataType::BinaryVector => {
            Ok(Some(Codes::Lean(lean(container, vectors)?)))
        }
        "codes" if vectors.data_type() == DataType::FloatVector => {
            let bytes = sq8::stride(vectors.dim()).saturating_mul(vectors.rows());
            Ok(Some(Codes::Scalar {
                mean: container.section(MEAN, vectors.dim())?,
                rows: container.section(CODES, bytes)?,
            }))
        }
        "short" if vectors.data_type() != DataType::BinaryVector => {
            let width = match container.header.number("bits")? {
                4 => Width::Four,
                6 => Width::Six,
                bits => return Err(OpenError::malformed(format!("codes have {bits} bits"))),
            };
            let layout = Layout::new(width, vectors.dim());
            let bytes = layout.stride().saturating_mul(vectors.rows());
            Ok(Some(Codes::Short(Short {
                layout,
                mean: container.section(MEAN, vectors.dim())?,
                rows: container.section(CODES, bytes)?,
            })))
        }
        "product" => Ok(Some(Codes::Product(Product::open(container, vectors)?))),
        other => Err(OpenError::malformed(format!("space is {other}"))),
    }
}

/// The lean codes in `container`.
fn lean(container: &Container, vectors: &VectorData) -> Result<Lean, OpenError> {
    let (dim, stride) = (vectors.dim(), container.header.number("stride")?);
    if stride == 0 || !stride.is_multiple_of(CACHE_LINE) || dim == 0 {
        return Err(OpenError::malformed(format!("rows of codes have {stride} bytes")));
    }
    let kept = lvq4::capacity(stride).min(dim);
    Ok(Lean {
        projection: Projection {
            mean: container.section(MEAN, dim)?,
            directions: container.section(DIRECTIONS, kept.saturating_mul(sq8::stride(dim)))?,
        },
        rows: container.section(CODES, stride.saturating_mul(vectors.rows()))?,
        stride,
    })
}

/// The sketches in `container`; files from before there were any have none.
fn sketches(
    metric: Metric,
    container: &Container,
    vectors: &VectorData,
) -> Result<Option<Sketches>, OpenError> {
    let dim = vectors.dim();
    if container.count::<u8>(SKETCH_BLOCKS) == 0 || vectors.data_type() == DataType::BinaryVector {
        return Ok(None);
    }
    let (kept, _) = sketch::shape(metric, dim);
    Ok(Some(Sketches {
        projection: Projection {
            mean: container.section(SKETCH_MEAN, dim)?,
            directions: container
                .section(SKETCH_DIRECTIONS, kept.saturating_mul(sq8::stride(dim)))?,
        },
        book: container.section(SKETCH_BOOK, sketch::book_floats(metric, dim))?,
        blocks: container
            .section(SKETCH_BLOCKS, sketch::blocks_bytes(metric, dim, vectors.rows()))?,
    }))
}

fn check_rows(section: &str, links: &[u32], rows: usize) -> Result<(), OpenError> {
    match links.iter().find(|&&row| row != NONE && row as usize >= rows) {
        Some(row) => Err(OpenError::malformed(format!("{section} lead to row {row} of {rows}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use milvus_types::MetricType;

    use super::*;
    use crate::{IndexType, build, check_build_params};

    fn vectors() -> crate::Vectors {
        let floats = (0..60 * 20).map(|i| (i * 37 % 101) as f32).collect();
        crate::Vectors::from_vec(floats, 20).unwrap()
    }

    /// A graph's container with one section or parameter replaced, its checksums right.
    fn altered(tag: Tag, change: &dyn Fn(&mut Vec<u8>), param: Option<(&str, &str)>) -> Vec<u8> {
        let m = [KeyValue::new("M", "4")];
        let definition = check_build_params(IndexType::Hnsw, MetricType::Cosine, 20, &m).unwrap();
        let built = build(&definition, vectors(), 1, &|_, _| (), &AtomicBool::new(false)).unwrap();
        let mut bytes = Vec::new();
        built.write(&mut bytes).unwrap();
        let container = Container::open(Arc::new(bytes)).unwrap();
        let mut header = container.header.clone();
        if let Some((key, value)) = param {
            header.params.retain(|param| param.key != key);
            header.params.push(KeyValue::new(key, value));
        }
        let tags =
            [ROWS_AT, LEVELS, LINKS0, LINKS, NORMS, DUP_FIRST, DUP_ENDS, DUP_OTHERS, MEAN, CODES];
        let mut sections: Vec<(Tag, Vec<u8>)> = tags
            .iter()
            .map(|&tag| {
                let section = container.section::<u8>(tag, container.count::<u8>(tag)).unwrap();
                (tag, section.as_slice().to_vec())
            })
            .collect();
        sections.iter_mut().filter(|(other, _)| *other == tag).for_each(|(_, data)| change(data));
        let sections: Vec<(Tag, &[u8])> =
            sections.iter().map(|(tag, data)| (*tag, data.as_slice())).collect();
        let mut bytes = Vec::new();
        container::write(&mut bytes, &header, &sections).unwrap();
        bytes
    }

    #[test]
    fn content_that_makes_no_sense_is_refused_even_if_checksums_match() {
        let open = |bytes: Vec<u8>| crate::open(Arc::new(bytes), vectors()).map(|_| ());
        assert_eq!(open(altered(LINKS0, &|_| (), None)), Ok(()));
        let error = open(altered(LINKS0, &|data| data[..4].copy_from_slice(&[60, 0, 0, 0]), None));
        assert_eq!(
            error.unwrap_err().to_string(),
            "index file is malformed: links0 lead to row 60 of 60"
        );
        let refused: [Vec<u8>; 10] = [
            altered(ROWS_AT, &|data| data.fill(0), None),
            altered(ROWS_AT, &|data| data.truncate(8), None),
            altered(LINKS, &|data| data.fill(0x7f), None),
            altered(LEVELS, &|data| data.fill(9), None),
            altered(LEVELS, &|data| data.truncate(59), None),
            altered(CODES, &|data| data.truncate(64), None),
            altered(DUP_FIRST, &|data| data.extend([1, 0, 0, 0]), None),
            altered(NORMS, &Vec::clear, None),
            altered(NORMS, &|_| (), Some(("entry", "60"))),
            altered(NORMS, &|_| (), Some(("M", "18446744073709551615"))),
        ];
        for (case, bytes) in refused.into_iter().enumerate() {
            assert!(matches!(open(bytes), Err(OpenError::Malformed(_))), "case {case}");
        }
        let other = crate::Vectors::from_vec(vec![0.0; 20], 20).unwrap();
        let bytes = altered(NORMS, &|_| (), None);
        assert!(matches!(crate::open(Arc::new(bytes), other), Err(OpenError::OtherVectors { .. })));
    }
}
