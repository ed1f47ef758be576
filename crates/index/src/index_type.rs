//! Index types by their Milvus names: those there is a family for, and all that Milvus knows.

use std::fmt;

/// A vector index type that can be built here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IndexType {
    /// Exact: compares with every vector.
    Flat,
    /// A hierarchical navigable small-world graph.
    Hnsw,
    /// The best there is without tuning: a graph with Milvus's automatic parameters.
    AutoIndex,
}

/// Every vector index type of Milvus by its wire name, so that a caller can tell "not supported
/// yet" from "no such index".
pub const MILVUS_VECTOR_INDEXES: &[&str] = &[
    "FLAT",
    "BIN_FLAT",
    "IVF_FLAT",
    "BIN_IVF_FLAT",
    "IVF_SQ8",
    "IVF_PQ",
    "SCANN",
    "SCANN_DVR",
    "IVF_RABITQ",
    "IVF_RABITQ_FASTSCAN",
    "IVF_SQ_CC",
    "IVF_FLAT_CC",
    "HNSW",
    "HNSW_SQ",
    "HNSW_PQ",
    "HNSW_PRQ",
    "DISKANN",
    "AISAQ",
    "ANNOY",
    "SPARSE_INVERTED_INDEX",
    "SPARSE_WAND",
    "MINHASH_LSH",
    "GPU_CAGRA",
    "GPU_IVF_FLAT",
    "GPU_IVF_PQ",
    "GPU_BRUTE_FORCE",
    "SVS_FLAT",
    "SVS_VAMANA",
    "SVS_VAMANA_LVQ",
    "SVS_VAMANA_LEANVEC",
    "AUTOINDEX",
];

impl IndexType {
    /// Every type, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::Flat, Self::Hnsw, Self::AutoIndex];

    /// The type called `name` on the wire, in that exact case; `None` of types that are unknown or
    /// come later.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|index_type| index_type.name() == name)
    }

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flat => "FLAT",
            Self::Hnsw => "HNSW",
            Self::AutoIndex => "AUTOINDEX",
        }
    }

    /// Whether Milvus has a vector index called `name`, here or not.
    pub fn is_milvus_name(name: &str) -> bool {
        MILVUS_VECTOR_INDEXES.contains(&name)
    }
}

impl fmt::Display for IndexType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_exact_and_every_type_is_one_of_milvus() {
        for index_type in IndexType::ALL {
            assert_eq!(IndexType::parse(index_type.name()), Some(index_type));
            assert!(IndexType::is_milvus_name(index_type.name()));
        }
        assert_eq!(IndexType::parse("hnsw"), None);
        assert_eq!(IndexType::parse("IVF_PQ"), None);
        assert!(IndexType::is_milvus_name("IVF_PQ") && !IndexType::is_milvus_name("LSM"));
    }
}
