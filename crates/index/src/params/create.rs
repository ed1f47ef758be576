//! Creation: what to build for the parameters that a client sends.
//!
//! Families with more to say have a file of their own below `create`.

mod annoy;
mod disk;
mod minhash;
mod sparse;

use milvus_types::index_meta::find;
use milvus_types::{DataType, KeyValue, MetricType};

pub use annoy::AnnoyParams;
pub use disk::DiskParams;
pub use minhash::MinHashParams;
pub use sparse::{SparseAlgo, SparseParams};

use super::number::{Created, I32_MAX};
use super::rules::VectorField;
use crate::comparison::Comparison;
use crate::error::IndexParamError;
use crate::index_type::IndexType;
use crate::lists::element_metric;
use crate::product::ProductParams;

/// The index of one field, checked: what to build over each segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build {
    /// What it was created as.
    pub index_type: IndexType,
    /// How vectors are compared; one of lists (`MAX_SIM...`) says that rows are lists.
    pub metric: MetricType,
    /// The kind of vectors; in lists, of the vectors in them.
    pub data_type: DataType,
    /// Dimensions of a vector; 0 of sparse ones.
    pub dim: usize,
    /// `mh_element_bit_width`: bits of a hash under MHJACCARD; of no meaning elsewhere.
    pub hash_bits: usize,
    /// The family that serves it, and its parameters.
    pub kind: BuildKind,
}

impl Build {
    /// Whether rows are compared as lists of vectors. No family serves that: searches are exact,
    /// through [`crate::max_sim`].
    pub fn is_of_lists(&self) -> bool {
        element_metric(self.metric).is_some()
    }

    /// How it compares vectors.
    pub fn comparison(&self) -> Comparison {
        Comparison { metric: self.metric, hash_bits: self.hash_bits }
    }
}

/// A family of indexes with its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildKind {
    /// Nothing to choose.
    Flat,
    /// A navigable graph.
    Graph(GraphParams),
    /// Lists around centroids.
    Ivf(IvfParams),
    /// Posting lists of sparse vectors.
    Sparse(SparseParams),
    /// Buckets of rows that share hashes.
    MinHash(MinHashParams),
    /// A forest of trees that halve the rows.
    Annoy(AnnoyParams),
    /// A navigable graph on disk, with codes in memory.
    Disk(DiskParams),
}

/// The parameters of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GraphParams {
    /// `M`: links of a node in upper layers; twice as many in the lowest.
    pub m: usize,
    /// `efConstruction`: candidates considered for a node's links.
    pub ef_construction: usize,
    /// What is kept to walk on.
    pub codes: GraphCodes,
}

/// What walks over a graph compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphCodes {
    /// 8-bit codes where they tell near rows apart, else the vectors.
    Best,
    /// Product codes.
    Product(ProductParams),
    /// Four bits for each dimension.
    Four,
    /// Six bits for each dimension.
    Six,
    /// Eight bits for each dimension where they tell near rows apart, else the vectors.
    Eight,
}

/// The parameters of lists around centroids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IvfParams {
    /// `nlist`: lists; fewer where there are too few rows for them.
    pub nlist: usize,
    /// What lists hold to find candidates by.
    pub codes: IvfCodes,
}

/// What the lists of an IVF index hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IvfCodes {
    /// Row numbers; the vectors themselves are compared.
    Vectors,
    /// Codes of so many bits of each dimension, as numbers: 4, 6 or 8.
    Scalar(u8),
    /// So many bits of each dimension, 1 to 8, of the row's direction from its centroid.
    Bits(u8),
    /// Product codes.
    Product(ProductParams),
}

/// The most bits of a dimension that `rbq_bits` is served by: its 9 are a sign and 8 more.
const MOST_BITS: u8 = 8;
/// Milvus's defaults of HNSW.
const HNSW: GraphParams = GraphParams { m: 30, ef_construction: 360, codes: GraphCodes::Best };
/// Our parameters of AUTOINDEX over dense numbers: as good a graph as Milvus's M 18 with
/// efConstruction 240, in two thirds of its building time.
const AUTO: GraphParams = GraphParams { m: 24, ef_construction: 120, codes: GraphCodes::Best };

/// Checks everything about an index at creation, in Milvus's order: the metric for the field, the
/// index type for the field, the dimension, the parameters. `params` are all of them, flat:
/// `index_type` and `metric_type` among the others.
pub fn check_index(field: &VectorField, params: &[KeyValue]) -> Result<Build, IndexParamError> {
    let Some(metric) = find(params, "metric_type") else {
        let text = "metric type not set for vector index";
        return Err(IndexParamError::Mismatch(text.to_owned()));
    };
    let metric = field.metric(metric)?;
    let name = find(params, "index_type").unwrap_or("AUTOINDEX");
    if !field.has_index(name, metric) {
        return Err(IndexParamError::Create(format!(
            "data type {} can't build with this index {name}",
            field.data_type
        )));
    }
    if let (Some(given), true) = (find(params, "dim"), field.dim > 0)
        && given != field.dim.to_string()
    {
        return Err(IndexParamError::Create(format!(
            "dimension mismatch, dimension in schema: {}, dimension: {given}",
            field.dim
        )));
    }
    let index_type = IndexType::parse(name).ok_or_else(|| {
        IndexParamError::Create(format!("index type {name} is not supported yet"))
    })?;
    let hash_bits = minhash::hash_bits(field.dim, metric, Created(params))?;
    let kind = kind(index_type, field, metric, Created(params))?;
    let data_type = field.vector_type();
    Ok(Build { index_type, metric, data_type, dim: field.dim, hash_bits, kind })
}

/// As [`check_index`], for a field of float vectors.
pub fn check_build_params(
    index_type: IndexType,
    metric: MetricType,
    dim: usize,
    params: &[KeyValue],
) -> Result<Build, IndexParamError> {
    let mut all = vec![
        KeyValue::new("index_type", index_type.name()),
        KeyValue::new("metric_type", metric.name()),
    ];
    let others = params.iter().filter(|pair| !matches!(&*pair.key, "index_type" | "metric_type"));
    all.extend(others.cloned());
    check_index(&VectorField::new(DataType::FloatVector, dim), &all)
}

fn kind(
    index_type: IndexType,
    field: &VectorField,
    metric: MetricType,
    params: Created<'_>,
) -> Result<BuildKind, IndexParamError> {
    let dim = field.dim;
    Ok(match index_type {
        IndexType::Flat | IndexType::BinFlat => BuildKind::Flat,
        IndexType::AutoIndex => auto(field.vector_type(), metric)?,
        IndexType::Hnsw => {
            if params.text("refine").is_some_and(|refine| !refine.eq_ignore_ascii_case("false")) {
                let text = "refine is not supported for this index";
                return Err(IndexParamError::Create(text.to_owned()));
            }
            check_bits(metric)?;
            graph(params, GraphCodes::Best)?
        }
        IndexType::HnswSq => {
            scalar_type(params, &["sq4u", "sq6", "sq8", "fp16", "bf16"])?;
            refine(params, true)?;
            let is =
                |name: &str| params.text("sq_type").is_some_and(|t| t.eq_ignore_ascii_case(name));
            let codes = match () {
                () if is("sq4u") => GraphCodes::Four,
                () if is("sq6") => GraphCodes::Six,
                // Half precision is walked on by what is smaller and tells as much.
                () if is("fp16") || is("bf16") => GraphCodes::Best,
                () => GraphCodes::Eight,
            };
            graph(params, codes)?
        }
        IndexType::HnswPq => {
            let (m, nbits) = product(params, 32, dim, Whose::The)?;
            refine(params, true)?;
            graph(params, GraphCodes::Product(ProductParams::new(m, nbits, 1)))?
        }
        IndexType::HnswPrq => {
            let (m, nbits) = product(params, 2, dim, Whose::A)?;
            let stages = params.number("nrq", 2, 1, 16)?;
            refine(params, false)?;
            graph(params, GraphCodes::Product(ProductParams::new(m, nbits, stages)))?
        }
        IndexType::DiskAnn | IndexType::Aisaq => disk::diskann(params),
        IndexType::IvfFlat => ivf(params, IvfCodes::Vectors)?,
        IndexType::BinIvfFlat => {
            check_bits(metric)?;
            ivf(params, IvfCodes::Vectors)?
        }
        IndexType::IvfSq8 => {
            scalar_type(params, &["sq4", "sq6", "sq8"])?;
            refine(params, false)?;
            let bits = match params.text("sq_type") {
                Some(text) if text.eq_ignore_ascii_case("sq4") => 4,
                Some(text) if text.eq_ignore_ascii_case("sq6") => 6,
                _ => 8,
            };
            ivf(params, IvfCodes::Scalar(bits))?
        }
        IndexType::IvfPq => {
            let Some(m) = params.given("m", 1, 65536)? else {
                return Err(IndexParamError::Create("param 'm' not exist in json".to_owned()));
            };
            let (_, nbits) = product(params, m, dim, Whose::The)?;
            refine(params, false)?;
            ivf(params, IvfCodes::Product(ProductParams::new(m, nbits, 1)))?
        }
        IndexType::IvfRabitq | IndexType::IvfRabitqFastScan => {
            let bits = params.number("rbq_bits", 1, 1, 9)?;
            refine(params, false)?;
            ivf(params, IvfCodes::Bits(u8::try_from(bits).map_or(MOST_BITS, |b| b.min(MOST_BITS))))?
        }
        IndexType::Scann => {
            let part = params.number("sub_dim", 2, 1, 65536)?;
            if !dim.is_multiple_of(part) {
                return Err(IndexParamError::Create(format!(
                    "The dimension of a vector (dim) should be a multiple of sub_dim. \
                     Dimension:{dim}, sub_dim:{part}"
                )));
            }
            params.boolean("with_raw_data")?;
            ivf(params, IvfCodes::Product(ProductParams { m: dim / part, nbits: 4, stages: 1 }))?
        }
        IndexType::Annoy => annoy::annoy(params)?,
        IndexType::MinHashLsh => minhash::minhash(metric, params)?,
        IndexType::SparseInvertedIndex | IndexType::SparseWand => sparse::sparse(params)?,
    })
}

/// What AUTOINDEX is over vectors of `data_type`.
fn auto(data_type: DataType, metric: MetricType) -> Result<BuildKind, IndexParamError> {
    if data_type == DataType::SparseFloatVector {
        return Ok(BuildKind::Sparse(SparseParams::default()));
    }
    if metric == MetricType::MhJaccard {
        return Ok(BuildKind::MinHash(MinHashParams::default()));
    }
    check_bits(metric)?;
    Ok(BuildKind::Graph(AUTO))
}

/// Checks that bits can be indexed by `metric` other than by comparing all.
fn check_bits(metric: MetricType) -> Result<(), IndexParamError> {
    let others = [MetricType::Substructure, MetricType::Superstructure, MetricType::MhJaccard];
    if !others.contains(&metric) {
        return Ok(());
    }
    Err(IndexParamError::Create(format!(
        "metric type {metric} not found or not supported, supported: [HAMMING JACCARD]"
    )))
}

fn graph(params: Created<'_>, codes: GraphCodes) -> Result<BuildKind, IndexParamError> {
    Ok(BuildKind::Graph(GraphParams {
        m: params.number("M", HNSW.m, 2, 2048)?,
        ef_construction: params.number("efConstruction", HNSW.ef_construction, 1, I32_MAX)?,
        codes,
    }))
}

fn ivf(params: Created<'_>, codes: IvfCodes) -> Result<BuildKind, IndexParamError> {
    let nlist = params.number("nlist", 128, 1, 65536)?;
    Ok(BuildKind::Ivf(IvfParams { nlist, codes }))
}

fn scalar_type(params: Created<'_>, types: &[&str]) -> Result<(), IndexParamError> {
    match params.text("sq_type") {
        Some(text) if !types.iter().any(|name| name.eq_ignore_ascii_case(text)) => {
            Err(IndexParamError::Create("invalid scalar quantizer type".to_owned()))
        }
        _ => Ok(()),
    }
}

/// Checks `refine` and `refine_type`; 4 bits are a refinement of some indexes only.
fn refine(params: Created<'_>, with_sq4: bool) -> Result<(), IndexParamError> {
    params.boolean("refine")?;
    let types = ["sq4u", "sq6", "sq8", "fp16", "bf16", "fp32", "flat"];
    let types = if with_sq4 { &types[..] } else { &types[1..] };
    match params.text("refine_type") {
        Some(text) if !types.iter().any(|name| name.eq_ignore_ascii_case(text)) => {
            Err(IndexParamError::Create(format!(
                "invalid refine type : {text}, optional types are [{}]",
                types.join(", ")
            )))
        }
        _ => Ok(()),
    }
}

/// How Milvus speaks of the vector in the text about its dimension.
#[derive(Clone, Copy)]
enum Whose {
    The,
    A,
}

/// `m` and `nbits` of product codes.
fn product(
    params: Created<'_>,
    default_m: usize,
    dim: usize,
    whose: Whose,
) -> Result<(usize, usize), IndexParamError> {
    let m = params.number("m", default_m, 1, 65536)?;
    let nbits = params.number("nbits", 8, 1, 24)?;
    if !dim.is_multiple_of(m) {
        let whose = match whose {
            Whose::The => "the",
            Whose::A => "a",
        };
        return Err(IndexParamError::Create(format!(
            "The dimension of {whose} vector (dim) should be a multiple of the number of \
             subquantizers (m). Dimension: {dim}, m: {m}"
        )));
    }
    Ok((m, nbits))
}

fn one_of(
    params: Created<'_>,
    key: &str,
    called: &str,
    names: &[&str],
) -> Result<(), IndexParamError> {
    match params.text(key) {
        Some(text) if !names.contains(&text) => Err(IndexParamError::Create(format!(
            "{called} {text} not found or not supported, supported: [{}]",
            names.join(" ")
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
