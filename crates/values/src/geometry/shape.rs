//! A geometry between its two forms: coordinates in flat lists, as many to a point as its layout has.

use milvus_types::{Coded, ErrorCode};

/// The most collections within each other.
pub(super) const MAX_DEPTH: usize = 64;

/// Why a text or bytes are no geometry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GeometryError {
    /// The text is not WKT.
    #[error("syntax error: {problem} at line {line}, pos {column}")]
    Wkt {
        /// What is wrong, as Milvus words it.
        problem: String,
        /// Counted from one.
        line: usize,
        /// Counted from zero.
        column: usize,
    },
    /// The bytes are not WKB.
    #[error("invalid WKB at byte {offset}: {problem}")]
    Wkb {
        /// What is wrong.
        problem: &'static str,
        /// Where.
        offset: usize,
    },
}

impl Coded for GeometryError {
    fn code(&self) -> ErrorCode {
        ErrorCode::ParameterInvalid
    }
}

/// Which coordinates a point has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    Xy,
    Xyz,
    Xym,
    Xyzm,
}

impl Layout {
    pub(super) fn stride(self) -> usize {
        match self {
            Self::Xy => 2,
            Self::Xyz | Self::Xym => 3,
            Self::Xyzm => 4,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Xy => "XY",
            Self::Xyz => "XYZ",
            Self::Xym => "XYM",
            Self::Xyzm => "XYZM",
        }
    }

    /// The thousands of WKB's type number.
    pub(super) fn code(self) -> u32 {
        match self {
            Self::Xy => 0,
            Self::Xyz => 1,
            Self::Xym => 2,
            Self::Xyzm => 3,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Geometry {
    pub(super) layout: Layout,
    pub(super) shape: Shape,
}

/// Points one after the other; none: empty.
pub(super) type Flat = Vec<f64>;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    Point(Flat),
    LineString(Flat),
    Polygon(Vec<Flat>),
    MultiPoint(Vec<Flat>),
    MultiLineString(Vec<Flat>),
    MultiPolygon(Vec<Vec<Flat>>),
    Collection(Vec<Geometry>),
}

impl Shape {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Point(_) => "POINT",
            Self::LineString(_) => "LINESTRING",
            Self::Polygon(_) => "POLYGON",
            Self::MultiPoint(_) => "MULTIPOINT",
            Self::MultiLineString(_) => "MULTILINESTRING",
            Self::MultiPolygon(_) => "MULTIPOLYGON",
            Self::Collection(_) => "GEOMETRYCOLLECTION",
        }
    }

    /// WKB's type number of the plane.
    pub(super) fn code(&self) -> u32 {
        match self {
            Self::Point(_) => 1,
            Self::LineString(_) => 2,
            Self::Polygon(_) => 3,
            Self::MultiPoint(_) => 4,
            Self::MultiLineString(_) => 5,
            Self::MultiPolygon(_) => 6,
            Self::Collection(_) => 7,
        }
    }
}
