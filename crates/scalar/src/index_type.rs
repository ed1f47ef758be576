//! Index types of scalar fields and their names.

use std::fmt;

/// What is built on a scalar field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScalarIndexType {
    /// Value to rows, for every type with values in an order.
    Inverted,
    /// Value to rows, for few distinct values.
    Bitmap,
    /// Values in order.
    StlSort,
    /// Strings in order, their common beginnings stored once.
    Trie,
    /// Substrings to rows.
    Ngram,
    /// Envelopes of geometries.
    Rtree,
    /// BITMAP or STL_SORT, by the number of distinct values. Not for users: AUTOINDEX becomes it.
    Hybrid,
}

impl ScalarIndexType {
    /// Every type.
    pub const ALL: [Self; 7] = [
        Self::Inverted,
        Self::Bitmap,
        Self::StlSort,
        Self::Trie,
        Self::Ngram,
        Self::Rtree,
        Self::Hybrid,
    ];

    /// The type called `name`, Milvus's aliases included; `None` for AUTOINDEX, which depends on the
    /// field ([`crate::prepare_params`]).
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "INVERTED" => Self::Inverted,
            "BITMAP" => Self::Bitmap,
            "STL_SORT" | "Asceneding" => Self::StlSort,
            "TRIE" | "Trie" | "marisa-trie" => Self::Trie,
            "NGRAM" => Self::Ngram,
            "RTREE" => Self::Rtree,
            "HYBRID" => Self::Hybrid,
            _ => return None,
        })
    }

    /// The name under which it is stored.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inverted => "INVERTED",
            Self::Bitmap => "BITMAP",
            Self::StlSort => "STL_SORT",
            Self::Trie => "TRIE",
            Self::Ngram => "NGRAM",
            Self::Rtree => "RTREE",
            Self::Hybrid => "HYBRID",
        }
    }

    /// Whether Milvus can serve it mapped (`mmap.enabled`).
    pub fn takes_mmap(self) -> bool {
        matches!(self, Self::Inverted | Self::Bitmap | Self::Hybrid | Self::Trie | Self::Ngram)
    }
}

impl fmt::Display for ScalarIndexType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
