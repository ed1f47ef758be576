//! Index types by their Milvus names: those there is a family for, and all that Milvus knows.

use std::fmt;

macro_rules! index_types {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A vector index type that can be built here.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum IndexType {
            $($(#[$doc])* $variant,)*
        }

        impl IndexType {
            /// Every type, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name on the wire.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

index_types! {
    /// Exact: compares with every vector.
    Flat = "FLAT",
    /// Exact, for binary vectors.
    BinFlat = "BIN_FLAT",
    /// Lists around centroids.
    IvfFlat = "IVF_FLAT",
    /// Lists around centroids, for binary vectors.
    BinIvfFlat = "BIN_IVF_FLAT",
    /// Lists around centroids, of 8-bit codes.
    IvfSq8 = "IVF_SQ8",
    /// Lists around centroids, of product codes.
    IvfPq = "IVF_PQ",
    /// Lists around centroids, of codes with few bits.
    IvfRabitq = "IVF_RABITQ",
    /// The same, by the name of its register scans; all of ours are.
    IvfRabitqFastScan = "IVF_RABITQ_FASTSCAN",
    /// Lists around centroids, of codes, re-ranked.
    Scann = "SCANN",
    /// A hierarchical navigable small-world graph.
    Hnsw = "HNSW",
    /// A graph over scalar codes.
    HnswSq = "HNSW_SQ",
    /// A graph over product codes.
    HnswPq = "HNSW_PQ",
    /// A graph over product codes of residuals.
    HnswPrq = "HNSW_PRQ",
    /// A graph in a mapped file.
    DiskAnn = "DISKANN",
    /// The same, by the name of a form that keeps less in memory.
    Aisaq = "AISAQ",
    /// Posting lists, for sparse vectors.
    SparseInvertedIndex = "SPARSE_INVERTED_INDEX",
    /// The old name of `SPARSE_INVERTED_INDEX`.
    SparseWand = "SPARSE_WAND",
    /// A forest of trees that halve the rows by planes.
    Annoy = "ANNOY",
    /// Buckets of rows that share hashes, for binary vectors of MinHash signatures.
    MinHashLsh = "MINHASH_LSH",
    /// The best there is without tuning, with Milvus's automatic parameters.
    AutoIndex = "AUTOINDEX",
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
    /// The type called `name` on the wire, in that exact case; `None` of types that are unknown or
    /// come later.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|index_type| index_type.name() == name)
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
        for index_type in IndexType::ALL.iter().copied() {
            assert_eq!(IndexType::parse(index_type.name()), Some(index_type));
            assert!(IndexType::is_milvus_name(index_type.name()));
        }
        assert_eq!(IndexType::parse("hnsw"), None);
        assert_eq!(IndexType::parse("SVS_FLAT"), None);
        assert!(IndexType::is_milvus_name("SVS_FLAT") && !IndexType::is_milvus_name("LSM"));
    }
}
