//! Primary keys: one row's, and a column of them.

use std::fmt;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use arrow::datatypes::Int64Type;
use std::sync::Arc;

/// The types a primary key may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PkType {
    /// `Int64`
    Int64,
    /// `VarChar`
    VarChar,
}

/// One row's primary key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PrimaryKey {
    /// Of an `Int64` field.
    Int64(i64),
    /// Of a `VarChar` field.
    VarChar(Box<str>),
}

impl fmt::Display for PrimaryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int64(key) => key.fmt(f),
            Self::VarChar(key) => key.fmt(f),
        }
    }
}

/// A column of primary keys, without nulls.
#[derive(Clone, Debug, PartialEq)]
pub enum PrimaryKeys {
    /// Of an `Int64` field.
    Int64(Int64Array),
    /// Of a `VarChar` field.
    VarChar(StringArray),
}

impl PrimaryKeys {
    /// No keys of type `pk_type`.
    pub fn empty(pk_type: PkType) -> Self {
        match pk_type {
            PkType::Int64 => Self::Int64(Int64Array::from(Vec::<i64>::new())),
            PkType::VarChar => Self::VarChar(StringArray::from(Vec::<&str>::new())),
        }
    }

    /// The keys in an Arrow column, if it is one of 64-bit integers or strings.
    pub fn from_array(array: &dyn Array) -> Option<Self> {
        if let Some(keys) = array.as_primitive_opt::<Int64Type>() {
            Some(Self::Int64(keys.clone()))
        } else {
            array.as_string_opt::<i32>().map(|keys| Self::VarChar(keys.clone()))
        }
    }

    /// `keys`, all of type `pk_type`; keys of the other type are left out.
    pub fn from_keys<'a>(pk_type: PkType, keys: impl IntoIterator<Item = &'a PrimaryKey>) -> Self {
        let keys = keys.into_iter();
        match pk_type {
            PkType::Int64 => Self::Int64(
                keys.filter_map(|key| match key {
                    PrimaryKey::Int64(key) => Some(*key),
                    PrimaryKey::VarChar(_) => None,
                })
                .collect::<Vec<_>>()
                .into(),
            ),
            PkType::VarChar => Self::VarChar(
                keys.filter_map(|key| match key {
                    PrimaryKey::VarChar(key) => Some(&**key),
                    PrimaryKey::Int64(_) => None,
                })
                .collect::<Vec<_>>()
                .into(),
            ),
        }
    }

    /// The type of the keys.
    pub fn pk_type(&self) -> PkType {
        match self {
            Self::Int64(_) => PkType::Int64,
            Self::VarChar(_) => PkType::VarChar,
        }
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Int64(keys) => keys.len(),
            Self::VarChar(keys) => keys.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The key at `row`. Panics beyond the end.
    pub fn get(&self, row: usize) -> PrimaryKey {
        match self {
            Self::Int64(keys) => PrimaryKey::Int64(keys.value(row)),
            Self::VarChar(keys) => PrimaryKey::VarChar(keys.value(row).into()),
        }
    }

    /// The keys in order.
    pub fn iter(&self) -> impl Iterator<Item = PrimaryKey> + '_ {
        (0..self.len()).map(|row| self.get(row))
    }

    /// The same keys as an Arrow column.
    pub fn to_array(&self) -> ArrayRef {
        match self {
            Self::Int64(keys) => Arc::new(keys.clone()),
            Self::VarChar(keys) => Arc::new(keys.clone()),
        }
    }
}
