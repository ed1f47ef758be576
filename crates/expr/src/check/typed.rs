//! What a node can be once its type is known, and which types go together.

use milvus_types::DataType;

use crate::ast::ArithOp;
use crate::column::Column;
use crate::error::TypeError;
use crate::literal::Literal;
use crate::predicate::Predicate;

/// A checked node.
#[derive(Clone, Debug)]
pub(super) enum Typed {
    Literal(Literal),
    /// A variable whose value is looked up where its use is known.
    Template(Box<str>),
    Column(Column),
    Arith(Box<Arith>),
    ArrayLength(Column),
    Predicate(Predicate),
}

/// Arithmetic of which at least one operand is not constant.
#[derive(Clone, Debug)]
pub(super) struct Arith {
    pub(super) op: ArithOp,
    pub(super) left: Typed,
    pub(super) right: Typed,
    pub(super) data_type: Option<DataType>,
}

impl Typed {
    /// The type, `None` of a variable.
    pub(super) fn data_type(&self) -> Option<DataType> {
        match self {
            Self::Literal(value) => Some(value.data_type()),
            Self::Template(_) => None,
            Self::Column(column) => Some(column.data_type),
            Self::Arith(arith) => arith.data_type,
            Self::ArrayLength(_) => Some(DataType::Int64),
            Self::Predicate(_) => Some(DataType::Bool),
        }
    }

    /// The type, of an array its elements'.
    pub(super) fn operand_type(&self) -> Option<DataType> {
        match self.data_type() {
            Some(DataType::Array) => self.element_type(),
            data_type => data_type,
        }
    }

    fn element_type(&self) -> Option<DataType> {
        match self {
            Self::Literal(value) => value.element_type(),
            Self::Column(column) => column.element_type,
            Self::Template(_) | Self::Arith(_) | Self::ArrayLength(_) | Self::Predicate(_) => None,
        }
    }

    pub(super) fn is_constant(&self) -> bool {
        matches!(self, Self::Literal(_) | Self::Template(_))
    }

    /// Whether a variable takes part.
    pub(super) fn has_template(&self) -> bool {
        match self {
            Self::Template(_) => true,
            Self::Arith(arith) => arith.left.has_template() || arith.right.has_template(),
            Self::Literal(_) | Self::Column(_) | Self::ArrayLength(_) | Self::Predicate(_) => false,
        }
    }

    /// Refuses an array as a whole.
    pub(super) fn refuse_whole_array(&self) -> Result<(), TypeError> {
        match self {
            Self::Column(column) if column.is_whole_array() => Err(TypeError::WholeArray),
            _ => Ok(()),
        }
    }

    /// The type's name in messages: `Array[Int64]`.
    pub(super) fn shown_type(&self) -> String {
        match self.data_type() {
            Some(DataType::Array) => format!("Array[{}]", type_name(self.element_type())),
            data_type => type_name(data_type),
        }
    }

    /// Whether values of the two can be compared.
    pub(super) fn comparable(&self, other: &Self) -> bool {
        comparable(self.operand_type(), other.operand_type())
    }
}

/// The name of a type in messages; a variable and an empty list have none.
pub(super) fn type_name(data_type: Option<DataType>) -> String {
    data_type.map_or("None", DataType::name).to_owned()
}

/// Whether values of type `left` can be compared with those of `right`.
pub(super) fn comparable(left: Option<DataType>, right: Option<DataType>) -> bool {
    let Some(left) = left else { return false };
    if left == DataType::JSON {
        return true;
    }
    let Some(right) = right else { return false };
    if right == DataType::JSON {
        return left == DataType::Bool || left.is_numeric() || is_varchar(left);
    }
    if left == DataType::Bool {
        return right == DataType::Bool;
    }
    (left.is_numeric() && right.is_numeric()) || (is_varchar(left) && right.is_string())
}

fn is_varchar(data_type: DataType) -> bool {
    matches!(data_type, DataType::String | DataType::VarChar)
}

/// The type that arithmetic between `left` and `right` is done in.
pub(super) fn arithmetic_type(
    left: Option<DataType>,
    right: Option<DataType>,
) -> Result<DataType, TypeError> {
    let refused =
        || TypeError::IncompatibleTypes { left: type_name(left), right: type_name(right) };
    let (Some(l), Some(r)) = (left, right) else {
        return Err(refused());
    };
    if l == DataType::JSON {
        return match r {
            DataType::JSON => Ok(DataType::JSON),
            r if r.is_floating() => Ok(DataType::Double),
            r if r.is_integer() => Ok(DataType::Int64),
            _ => Err(refused()),
        };
    }
    if l.is_floating() && (r == DataType::JSON || r.is_numeric()) {
        return Ok(DataType::Double);
    }
    if l.is_integer() {
        if r.is_floating() {
            return Ok(DataType::Double);
        }
        if r.is_integer() || r == DataType::JSON {
            return Ok(DataType::Int64);
        }
    }
    Err(refused())
}

/// Whether a field of type `left` may be combined with `right`.
pub(super) fn can_combine(left: Option<DataType>, right: Option<DataType>) -> bool {
    let (Some(left), Some(right)) = (left, right) else {
        return false;
    };
    if left == DataType::JSON {
        return right.is_numeric();
    }
    let json = right == DataType::JSON;
    (left.is_integer() && (right.is_integer() || json))
        || (left.is_floating() && (right.is_numeric() || json))
}

/// Whether `%` applies to values of `data_type`.
pub(super) fn takes_modulo(data_type: Option<DataType>) -> bool {
    data_type.is_some_and(|data_type| {
        data_type.is_integer() || matches!(data_type, DataType::JSON | DataType::Timestamptz)
    })
}
