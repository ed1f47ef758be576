//! A graph on disk in an index container.
//!
//! | section | elements | what |
//! |---|---|---|
//! | `nodes` | sectors of 4 KiB, at a multiple of that | see `nodes` |
//! | `mean`, `kept`, `codes` | f32 × width, u32 × K, u8 × rows × stride | codes of four bits |
//! | `codebook`, `codes`, `codenorm` | see `product` | product codes, where there is no `stride` |
//!
//! Parameters: `degree`, `list`, `entry` (a row, or `none`), `code_share` and `cache_share` (in
//! millionths of the vectors' size), `stride` of codes of four bits.

use std::io;

use milvus_types::{DataType, KeyValue};
use parking_lot::Mutex;

use crate::container::{self, Container, Content, Header, Tag};
use crate::disk::DiskAnn;
use crate::disk::codes::Codes;
use crate::disk::nodes::{Cache, Layout, Nodes, Sectors};
use crate::error::OpenError;
use crate::index_type::IndexType;
use crate::params::DiskParams;
use crate::score::Metric;
use crate::source::Source;
use crate::vector_index::VectorIndex;
use crate::vectors::VectorData;

/// The parameter by which the files of this family are known.
pub(crate) const DEGREE: &str = "degree";

const NODES: Tag = *b"nodes   ";
/// The most links of a row that an index is created with.
const MOST_LINKS: usize = 2048;

pub(super) fn write(disk: &DiskAnn, out: &mut dyn io::Write) -> io::Result<()> {
    let entry = disk.entry.map_or_else(|| "none".to_owned(), |row| row.to_string());
    let (params, parts) = disk.codes.parts(disk.dim());
    let mut header = Header {
        index_type: disk.index_type.name().to_owned(),
        metric: disk.metric(),
        dim: disk.dim(),
        rows: disk.rows(),
        params: vec![
            KeyValue::new(DEGREE, disk.params.degree.to_string()),
            KeyValue::new("list", disk.params.list.to_string()),
            KeyValue::new("entry", entry),
            KeyValue::new("code_share", disk.params.code_share.to_string()),
            KeyValue::new("cache_share", disk.params.cache_share.to_string()),
        ],
    };
    header.params.extend(params);
    let nodes = Sectors { layout: disk.layout, nodes: &disk.nodes, vectors: &disk.vectors };
    let codes = parts.iter().map(|(tag, data)| (*tag, data as &dyn Content));
    let sections: Vec<(Tag, &dyn Content)> =
        [(NODES, &nodes as &dyn Content)].into_iter().chain(codes).collect();
    container::write_contents(out, &header, &sections)
}

/// Opens the graph in `container`. Links are checked as they are read.
pub(crate) fn open(
    index_type: IndexType,
    metric: Metric,
    container: &Container,
    vectors: VectorData,
) -> Result<DiskAnn, OpenError> {
    let header = &container.header;
    let share = |key| {
        let share = u32::try_from(header.number(key)?);
        share.map_err(|_| OpenError::malformed(format!("{key} is out of reach")))
    };
    let params = DiskParams {
        degree: header.number(DEGREE)?,
        list: header.number("list")?,
        code_share: share("code_share")?,
        cache_share: share("cache_share")?,
    };
    let floats = matches!(
        vectors.data_type(),
        DataType::FloatVector | DataType::Float16Vector | DataType::BFloat16Vector
    );
    if !floats || params.degree > MOST_LINKS {
        return Err(OpenError::malformed(format!(
            "graph of {} links over {}",
            params.degree,
            vectors.data_type()
        )));
    }
    let layout = Layout::new(&vectors, params.degree);
    let bytes = layout.total_bytes(vectors.rows());
    let bytes = bytes.ok_or_else(|| OpenError::malformed("nodes are out of reach"))?;
    let region = container.region(NODES, bytes)?;
    let read_from = matches!(region.source, Source::File(_));
    let mut disk = DiskAnn {
        index_type,
        metric,
        params,
        layout,
        entry: entry(header, vectors.rows())?,
        codes: Codes::open(metric, container, &vectors)?,
        nodes: Nodes::Stored { region, cache: Cache::default() },
        scratch: Mutex::default(),
        vectors,
    };
    if read_from {
        let kept = disk.around_entry();
        disk.nodes.keep(&disk.layout, &disk.vectors, &kept);
    }
    Ok(disk)
}

fn entry(header: &Header, rows: usize) -> Result<Option<u32>, OpenError> {
    let text = header.text("entry")?;
    match text.parse::<u32>().ok() {
        Some(row) if (row as usize) < rows => Ok(Some(row)),
        None if text == "none" && rows == 0 => Ok(None),
        _ => Err(OpenError::malformed(format!("entry row is {text} of {rows} rows"))),
    }
}
