//! Which vectors may have which metric, and which index.
//!
//! Source: semantics of Milvus's `internal/util/indexparamcheck` and knowhere's feature table.

use milvus_types::{DataType, MetricType};

use crate::error::IndexParamError;
use crate::lists::element_metric;

const FLOAT: u8 = 1;
const FLOAT16: u8 = 2;
const BFLOAT16: u8 = 4;
const INT8: u8 = 8;
const BINARY: u8 = 16;
const SPARSE: u8 = 32;
/// Rows may be lists of vectors.
const LIST: u8 = 64;
const FLOATS: u8 = FLOAT | FLOAT16 | BFLOAT16;

/// What each of Milvus's indexes can be built over.
const FEATURES: &[(&str, u8)] = &[
    ("FLAT", FLOATS),
    ("BIN_FLAT", BINARY),
    ("IVF_FLAT", FLOATS | LIST),
    ("BIN_IVF_FLAT", BINARY),
    ("IVF_SQ8", FLOATS),
    ("IVF_PQ", FLOATS),
    ("SCANN", FLOATS | LIST),
    ("SCANN_DVR", FLOATS),
    ("IVF_RABITQ", FLOATS),
    ("IVF_RABITQ_FASTSCAN", FLOATS),
    ("IVF_SQ_CC", FLOATS),
    ("IVF_FLAT_CC", FLOATS),
    ("HNSW", FLOATS | INT8 | BINARY | LIST),
    ("HNSW_SQ", FLOATS | INT8 | LIST),
    ("HNSW_PQ", FLOATS | INT8 | LIST),
    ("HNSW_PRQ", FLOATS | INT8 | LIST),
    ("DISKANN", FLOATS | LIST),
    ("AISAQ", FLOATS),
    ("ANNOY", FLOATS),
    ("SPARSE_INVERTED_INDEX", SPARSE),
    ("SPARSE_WAND", SPARSE),
    ("MINHASH_LSH", BINARY),
    ("GPU_CAGRA", FLOAT | FLOAT16 | INT8 | BINARY),
    ("GPU_IVF_FLAT", FLOAT | FLOAT16 | INT8),
    ("GPU_IVF_PQ", FLOAT | FLOAT16 | INT8),
    ("GPU_BRUTE_FORCE", FLOAT | FLOAT16),
    ("SVS_FLAT", FLOAT),
    ("SVS_VAMANA", FLOAT),
    ("SVS_VAMANA_LVQ", FLOAT),
    ("SVS_VAMANA_LEANVEC", FLOAT),
];

const FLOAT_LISTS: &str = "L2 IP COSINE MAX_SIM MAX_SIM_COSINE MAX_SIM_L2 MAX_SIM_IP";
const BINARY_LISTS: &str =
    "HAMMING JACCARD SUBSTRUCTURE SUPERSTRUCTURE MHJACCARD MAX_SIM_HAMMING MAX_SIM_JACCARD";

/// A vector field as indexes see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VectorField {
    /// Its type.
    pub data_type: DataType,
    /// The type of the vectors in its lists, where it is an `ArrayOfVector`.
    pub element_type: Option<DataType>,
    /// Dimensions of a vector; 0 of sparse ones.
    pub dim: usize,
}

impl VectorField {
    /// A field of single vectors.
    pub fn new(data_type: DataType, dim: usize) -> Self {
        Self { data_type, element_type: None, dim }
    }

    /// The type of the vectors themselves.
    pub fn vector_type(&self) -> DataType {
        match (self.data_type, self.element_type) {
            (DataType::ArrayOfVector, Some(element)) => element,
            _ => self.data_type,
        }
    }

    fn is_list(&self) -> bool {
        self.data_type == DataType::ArrayOfVector
    }

    /// The metric of an index that names none, as AUTOINDEX fills it in.
    pub fn default_metric(&self) -> MetricType {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the others are dense numbers")]
        let metric = match self.vector_type() {
            DataType::BinaryVector => MetricType::Hamming,
            DataType::SparseFloatVector => MetricType::Ip,
            _ => MetricType::Cosine,
        };
        match (self.is_list(), metric) {
            (true, MetricType::Hamming) => MetricType::MaxSimHamming,
            (true, MetricType::Cosine) => MetricType::MaxSimCosine,
            _ => metric,
        }
    }

    /// The metric called `name`, in its exact case, if the field can have it.
    pub(super) fn metric(&self, name: &str) -> Result<MetricType, IndexParamError> {
        let metric = MetricType::parse(name).filter(|metric| metric.name() == name);
        let metric = metric.filter(|metric| self.has_metric(*metric));
        metric.ok_or_else(|| IndexParamError::Mismatch(self.refuse_metric(name)))
    }

    fn has_metric(&self, metric: MetricType) -> bool {
        let of_pairs = element_metric(metric).filter(|_| self.is_list()).unwrap_or(metric);
        crate::score::Metric::of(of_pairs, self.vector_type()).is_some()
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are floats")]
    fn refuse_metric(&self, name: &str) -> String {
        let element = self.vector_type();
        if !self.is_list() {
            return match element {
                DataType::SparseFloatVector if name == MetricType::Bm25.name() => {
                    "only BM25 Function output field support BM25 metric type".to_owned()
                }
                DataType::SparseFloatVector => {
                    "only IP&BM25 is the supported metric type for sparse index".to_owned()
                }
                DataType::BinaryVector => {
                    format!("binary vector index does not support metric type: {name}")
                }
                DataType::Int8Vector => {
                    format!("int vector index does not support metric type: {name}")
                }
                _ => format!("float vector index does not support metric type: {name}"),
            };
        }
        let (kind, supported) = match element {
            DataType::BinaryVector => ("binary", BINARY_LISTS),
            DataType::Int8Vector => ("int", FLOAT_LISTS),
            DataType::SparseFloatVector => {
                return format!("array of vector index does not support element type: {element}");
            }
            _ => ("float", FLOAT_LISTS),
        };
        format!(
            "array of vector with {kind} element type does not support metric type: {name}, \
             supported: [{supported}]"
        )
    }

    /// Whether Milvus builds the index called `name` over this field under `metric`.
    pub(super) fn has_index(&self, name: &str, metric: MetricType) -> bool {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the others are not vectors")]
        let kind = match self.vector_type() {
            DataType::FloatVector => FLOAT,
            DataType::Float16Vector => FLOAT16,
            DataType::BFloat16Vector => BFLOAT16,
            DataType::Int8Vector => INT8,
            DataType::BinaryVector => BINARY,
            DataType::SparseFloatVector => SPARSE,
            _ => return false,
        };
        let needed = if element_metric(metric).is_some() { kind | LIST } else { kind };
        name == "AUTOINDEX"
            || FEATURES.iter().any(|(other, has)| *other == name && has & needed == needed)
    }
}
