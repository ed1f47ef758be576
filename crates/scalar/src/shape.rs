//! What an index is over: a column's values, an array's elements, or a path of a JSON field.

use std::fmt;

use milvus_expr::Leaf;
use milvus_types::{DataType, FieldId, FieldSchema, KeyValue};

use crate::container::Header;
use crate::error::OpenError;
use crate::pointer::{json_pointer, parse_json_pointer};

/// What the values at a JSON path are taken as. Values of other types are not in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonCast {
    /// Booleans.
    Bool,
    /// Numbers.
    Double,
    /// Strings.
    VarChar,
    /// The booleans of arrays.
    ArrayBool,
    /// The numbers of arrays.
    ArrayDouble,
    /// The strings of arrays.
    ArrayVarChar,
    /// Every value at and below the path.
    Json,
}

impl JsonCast {
    /// Every cast.
    pub const ALL: [Self; 7] = [
        Self::Bool,
        Self::Double,
        Self::VarChar,
        Self::ArrayBool,
        Self::ArrayDouble,
        Self::ArrayVarChar,
        Self::Json,
    ];

    /// The cast called `name`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cast| cast.name() == name)
    }

    /// Its name as `json_cast_type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::Double => "DOUBLE",
            Self::VarChar => "VARCHAR",
            Self::ArrayBool => "ARRAY_BOOL",
            Self::ArrayDouble => "ARRAY_DOUBLE",
            Self::ArrayVarChar => "ARRAY_VARCHAR",
            Self::Json => "JSON",
        }
    }

    /// What keys stand for; a flat index has keys of every kind.
    pub(crate) fn value(self) -> Option<Value> {
        match self {
            Self::Bool | Self::ArrayBool => Some(Value::Bool),
            Self::Double | Self::ArrayDouble => Some(Value::Double),
            Self::VarChar | Self::ArrayVarChar => Some(Value::Text),
            Self::Json => None,
        }
    }

    pub(crate) fn is_array(self) -> bool {
        matches!(self, Self::ArrayBool | Self::ArrayDouble | Self::ArrayVarChar)
    }
}

/// The kind of values that keys stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Bool,
    Int,
    /// Single precision: constants are rounded to it before they are compared.
    Float,
    Double,
    Text,
}

impl Value {
    const ALL: [Self; 5] = [Self::Bool, Self::Int, Self::Float, Self::Double, Self::Text];

    /// The kind of `data_type`'s values, if they have an order that filters use.
    pub(crate) fn of(data_type: DataType) -> Option<Self> {
        if data_type.is_integer() || data_type == DataType::Timestamptz {
            return Some(Self::Int);
        }
        if data_type.is_string() {
            return Some(Self::Text);
        }
        #[expect(clippy::wildcard_enum_match_arm, reason = "every other type has no keys")]
        match data_type {
            DataType::Bool => Some(Self::Bool),
            DataType::Float => Some(Self::Float),
            DataType::Double => Some(Self::Double),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Float => "float",
            Self::Double => "double",
            Self::Text => "text",
        }
    }
}

/// What an index is over, within its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Column(Value),
    Elements(Value),
    Json(JsonCast),
    Geometry,
}

impl Shape {
    /// The shape of an index on `field`; `cast` counts for JSON only.
    pub(crate) fn of(field: &FieldSchema, cast: Option<JsonCast>) -> Option<Self> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the others are plain columns")]
        match field.data_type {
            DataType::JSON => cast.map(Self::Json),
            DataType::Geometry => Some(Self::Geometry),
            DataType::Array => Value::of(field.element_type?).map(Self::Elements),
            other => Value::of(other).map(Self::Column),
        }
    }

    /// The kind of its keys, `None` if there are several or none.
    pub(crate) fn value(self) -> Option<Value> {
        match self {
            Self::Column(value) | Self::Elements(value) => Some(value),
            Self::Json(cast) => cast.value(),
            Self::Geometry => None,
        }
    }

    /// Whether a row may have several keys.
    pub(crate) fn is_multiple(self) -> bool {
        match self {
            Self::Column(_) | Self::Geometry => false,
            Self::Elements(_) => true,
            Self::Json(cast) => cast.is_array() || cast == JsonCast::Json,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (kind, of) = text.split_once(' ').unwrap_or((text, ""));
        let value = || Value::ALL.into_iter().find(|value| value.name() == of);
        match kind {
            "column" => value().map(Self::Column),
            "elements" => value().map(Self::Elements),
            "json" => JsonCast::parse(of).map(Self::Json),
            "geometry" => Some(Self::Geometry),
            _ => None,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column(value) => write!(f, "column {}", value.name()),
            Self::Elements(value) => write!(f, "elements {}", value.name()),
            Self::Json(cast) => write!(f, "json {}", cast.name()),
            Self::Geometry => f.write_str("geometry"),
        }
    }
}

/// Where the values of an index come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) field: FieldId,
    pub(crate) shape: Shape,
    /// The path within a JSON field.
    pub(crate) path: Vec<Box<str>>,
}

impl Target {
    pub(crate) fn open(header: &Header) -> Result<Self, OpenError> {
        let shape = header.text("shape")?;
        let shape = Shape::parse(shape)
            .ok_or_else(|| OpenError::malformed(format!("shape {shape} is unknown")))?;
        let path = parse_json_pointer(header.text("path")?)
            .ok_or_else(|| OpenError::malformed("path is no JSON pointer"))?;
        Ok(Self { field: header.field, shape, path })
    }

    pub(crate) fn params(&self) -> [KeyValue; 2] {
        [
            KeyValue::new("shape", self.shape.to_string()),
            KeyValue::new("path", json_pointer(&self.path)),
        ]
    }

    /// What is left of `leaf`'s path behind this path; `None` if the leaf is about something else.
    pub(crate) fn rest<'l>(&self, leaf: &Leaf<'l>) -> Option<&'l [Box<str>]> {
        if leaf.field != self.field {
            return None;
        }
        leaf.path.strip_prefix(self.path.as_slice())
    }
}
