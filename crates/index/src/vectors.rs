//! Vectors of every kind: rows of a segment and queries alike.
//!
//! | data type | numbers | bytes of a row |
//! |---|---|---|
//! | FloatVector | f32 | 4 dim |
//! | Float16Vector, BFloat16Vector | f16, bf16 | 2 dim |
//! | Int8Vector | i8 | dim |
//! | BinaryVector | bits | dim / 8 |
//! | SparseFloatVector | (u32, f32) pairs | 8 for each pair |
//!
//! Nothing here knows of null rows: a row without a vector is not live, and whoever searches clears
//! its bit.

use half::{bf16, f16};
use milvus_types::DataType;

pub use crate::dense::{Dense, Vectors, VectorsShape};
use crate::error::CompareError;
use crate::section::Mapped;
use crate::sparse_rows::SparseView;
pub use crate::sparse_rows::{SparseRows, SparseShape};

/// Rows of vectors of one kind; a view kept alive by its owner, or owned. Cloning is cheap.
#[derive(Clone, Debug)]
pub enum VectorData {
    /// 32-bit floats.
    Float(Dense<f32>),
    /// 16-bit floats.
    Float16(Dense<f16>),
    /// bfloat16.
    BFloat16(Dense<bf16>),
    /// 8-bit signed integers.
    Int8(Dense<i8>),
    /// Packed bits, eight dimensions to a byte.
    Binary(Dense<u8>),
    /// Pairs of index and value.
    Sparse(SparseRows),
}

/// Queries: as many rows as there are queries, of the searched field's kind.
pub type QueryData = VectorData;

/// Bytes that are not vectors of the kind and dimension they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VectorShape {
    /// The bytes do not make up whole rows.
    #[error("{bytes} bytes are not rows of {data_type} with {dim} dimensions")]
    Rows {
        /// Of the vectors.
        data_type: DataType,
        /// Bytes there are.
        bytes: usize,
        /// Dimensions of a row.
        dim: usize,
    },
    /// The type is not one of dense vectors.
    #[error("{0} is not a type of dense vectors")]
    NotDense(DataType),
}

impl VectorData {
    /// The bytes of `owner`, little-endian, as rows of `dim` dimensions; nothing is copied if they
    /// are aligned. For dense types, those of binary vectors among them.
    pub fn dense(data_type: DataType, dim: usize, owner: Mapped) -> Result<Self, VectorShape> {
        let shape = VectorShape::Rows { data_type, bytes: (*owner).as_ref().len(), dim };
        let wrong = |_| shape;
        #[expect(clippy::wildcard_enum_match_arm, reason = "the others are not dense vectors")]
        Ok(match data_type {
            DataType::FloatVector => Self::Float(Dense::from_bytes(owner, dim).map_err(wrong)?),
            DataType::Float16Vector => Self::Float16(Dense::from_bytes(owner, dim).map_err(wrong)?),
            DataType::BFloat16Vector => {
                Self::BFloat16(Dense::from_bytes(owner, dim).map_err(wrong)?)
            }
            DataType::Int8Vector => Self::Int8(Dense::from_bytes(owner, dim).map_err(wrong)?),
            DataType::BinaryVector if dim.is_multiple_of(8) => {
                Self::Binary(Dense::from_bytes(owner, dim / 8).map_err(wrong)?)
            }
            DataType::BinaryVector => return Err(shape),
            other => return Err(VectorShape::NotDense(other)),
        })
    }

    /// Float vectors of `dim` dimensions.
    pub fn floats(values: Vec<f32>, dim: usize) -> Result<Self, VectorsShape> {
        Dense::from_vec(values, dim).map(Self::Float)
    }

    /// The data type of the vectors.
    pub fn data_type(&self) -> DataType {
        match self {
            Self::Float(_) => DataType::FloatVector,
            Self::Float16(_) => DataType::Float16Vector,
            Self::BFloat16(_) => DataType::BFloat16Vector,
            Self::Int8(_) => DataType::Int8Vector,
            Self::Binary(_) => DataType::BinaryVector,
            Self::Sparse(_) => DataType::SparseFloatVector,
        }
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        match self {
            Self::Float(rows) => rows.rows(),
            Self::Float16(rows) => rows.rows(),
            Self::BFloat16(rows) => rows.rows(),
            Self::Int8(rows) => rows.rows(),
            Self::Binary(rows) => rows.rows(),
            Self::Sparse(rows) => rows.rows(),
        }
    }

    /// Dimensions of a row; 0 of sparse vectors.
    pub fn dim(&self) -> usize {
        match self {
            Self::Float(rows) => rows.dim(),
            Self::Float16(rows) => rows.dim(),
            Self::BFloat16(rows) => rows.dim(),
            Self::Int8(rows) => rows.dim(),
            Self::Binary(rows) => rows.dim() * 8,
            Self::Sparse(_) => 0,
        }
    }

    /// Bytes of all rows.
    pub fn bytes(&self) -> usize {
        match self.view() {
            View::Float { block, .. } => size_of_val(block),
            View::Float16 { block, .. } => size_of_val(block),
            View::BFloat16 { block, .. } => size_of_val(block),
            View::Int8 { block, .. } => size_of_val(block),
            View::Binary { block, .. } => size_of_val(block),
            View::Sparse(rows) => (0..self.rows()).map(|row| rows.row(row).len()).sum(),
        }
    }

    /// Row `row`. Panics past the end.
    #[inline]
    pub fn row(&self, row: usize) -> VectorRef<'_> {
        self.view().row(row)
    }

    /// Every row.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = VectorRef<'_>> {
        let view = self.view();
        (0..self.rows()).map(move |row| view.row(row))
    }

    /// The same vectors as `data_type`: floats of any width turn into each other, anything else
    /// only into itself.
    pub fn converted(&self, data_type: DataType) -> Result<Self, CompareError> {
        if self.data_type() == data_type {
            return Ok(self.clone());
        }
        let refused = CompareError::Kind { got: self.data_type(), want: data_type };
        let floats: Vec<f32> = match self.view() {
            View::Float { block, .. } => block.to_vec(),
            View::Float16 { block, .. } => block.iter().map(|x| x.to_f32()).collect(),
            View::BFloat16 { block, .. } => block.iter().map(|x| x.to_f32()).collect(),
            View::Int8 { .. } | View::Binary { .. } | View::Sparse(_) => return Err(refused),
        };
        let dim = self.dim();
        #[expect(clippy::wildcard_enum_match_arm, reason = "the others are not floats")]
        let converted = match data_type {
            DataType::FloatVector => Dense::from_vec(floats, dim).map(Self::Float),
            DataType::Float16Vector => {
                Dense::from_vec(floats.into_iter().map(f16::from_f32).collect(), dim)
                    .map(Self::Float16)
            }
            DataType::BFloat16Vector => {
                Dense::from_vec(floats.into_iter().map(bf16::from_f32).collect(), dim)
                    .map(Self::BFloat16)
            }
            _ => return Err(refused),
        };
        converted.map_err(|_| refused)
    }

    /// The rows named by `rows`, copied. Panics past the end.
    pub fn take(&self, rows: &[u32]) -> Self {
        fn gathered<T: Copy + Send + Sync + 'static>(from: &Dense<T>, rows: &[u32]) -> Dense<T> {
            let values = rows.iter().flat_map(|&row| from.row(row as usize)).copied().collect();
            Dense::from_vec(values, from.dim()).unwrap_or_else(|_| from.clone())
        }
        match self {
            Self::Float(from) => Self::Float(gathered(from, rows)),
            Self::Float16(from) => Self::Float16(gathered(from, rows)),
            Self::BFloat16(from) => Self::BFloat16(gathered(from, rows)),
            Self::Int8(from) => Self::Int8(gathered(from, rows)),
            Self::Binary(from) => Self::Binary(gathered(from, rows)),
            Self::Sparse(from) => {
                let view = from.view();
                let rows = rows.iter().map(|&row| view.row(row as usize));
                Self::Sparse(SparseRows::from_rows(rows).unwrap_or_else(|_| from.clone()))
            }
        }
    }

    /// The bytes of all rows and of each row; `None` of sparse vectors, whose rows differ in length.
    pub(crate) fn fixed_bytes(&self) -> Option<(&[u8], usize)> {
        let (bytes, width): (&[u8], usize) = match self.view() {
            View::Float { block, dim } => (bytemuck::cast_slice(block), dim * 4),
            View::Float16 { block, dim } => (bytemuck::cast_slice(block), dim * 2),
            View::BFloat16 { block, dim } => (bytemuck::cast_slice(block), dim * 2),
            View::Int8 { block, dim } => (bytemuck::cast_slice(block), dim),
            View::Binary { block, width } => (block, width),
            View::Sparse(_) => return None,
        };
        Some((bytes, width))
    }

    /// The same, to read rows from without asking the owner again.
    #[inline]
    pub(crate) fn view(&self) -> View<'_> {
        match self {
            Self::Float(rows) => View::Float { block: rows.as_slice(), dim: rows.dim() },
            Self::Float16(rows) => View::Float16 { block: rows.as_slice(), dim: rows.dim() },
            Self::BFloat16(rows) => View::BFloat16 { block: rows.as_slice(), dim: rows.dim() },
            Self::Int8(rows) => View::Int8 { block: rows.as_slice(), dim: rows.dim() },
            Self::Binary(rows) => View::Binary { block: rows.as_slice(), width: rows.dim() },
            Self::Sparse(rows) => View::Sparse(rows.view()),
        }
    }
}

impl From<Vectors> for VectorData {
    fn from(vectors: Vectors) -> Self {
        Self::Float(vectors)
    }
}

/// Equal kinds, dimensions and numbers, to the bit.
impl PartialEq for VectorData {
    fn eq(&self, other: &Self) -> bool {
        (self.data_type(), self.dim(), self.rows())
            == (other.data_type(), other.dim(), other.rows())
            && self.iter().zip(other.iter()).all(|(a, b)| a.bytes() == b.bytes())
    }
}

/// One vector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum VectorRef<'a> {
    /// 32-bit floats.
    Float(&'a [f32]),
    /// 16-bit floats.
    Float16(&'a [f16]),
    /// bfloat16.
    BFloat16(&'a [bf16]),
    /// 8-bit signed integers.
    Int8(&'a [i8]),
    /// Packed bits.
    Binary(&'a [u8]),
    /// Pairs of index and value, 8 bytes each.
    Sparse(&'a [u8]),
}

impl<'a> VectorRef<'a> {
    /// The vector's data type.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Float(_) => DataType::FloatVector,
            Self::Float16(_) => DataType::Float16Vector,
            Self::BFloat16(_) => DataType::BFloat16Vector,
            Self::Int8(_) => DataType::Int8Vector,
            Self::Binary(_) => DataType::BinaryVector,
            Self::Sparse(_) => DataType::SparseFloatVector,
        }
    }

    /// The vector's dimensions; 0 of a sparse one.
    pub fn dim(self) -> usize {
        match self {
            Self::Float(x) => x.len(),
            Self::Float16(x) => x.len(),
            Self::BFloat16(x) => x.len(),
            Self::Int8(x) => x.len(),
            Self::Binary(x) => x.len() * 8,
            Self::Sparse(_) => 0,
        }
    }

    /// The vector's bytes.
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Self::Float(x) => bytemuck::cast_slice(x),
            Self::Float16(x) => bytemuck::cast_slice(x),
            Self::BFloat16(x) => bytemuck::cast_slice(x),
            Self::Int8(x) => bytemuck::cast_slice(x),
            Self::Binary(x) | Self::Sparse(x) => x,
        }
    }
}

impl<'a> From<&'a [f32]> for VectorRef<'a> {
    fn from(vector: &'a [f32]) -> Self {
        Self::Float(vector)
    }
}

impl<'a> From<&'a Vec<f32>> for VectorRef<'a> {
    fn from(vector: &'a Vec<f32>) -> Self {
        Self::Float(vector)
    }
}

impl<'a, const N: usize> From<&'a [f32; N]> for VectorRef<'a> {
    fn from(vector: &'a [f32; N]) -> Self {
        Self::Float(vector)
    }
}

/// Borrowed rows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum View<'a> {
    Float { block: &'a [f32], dim: usize },
    Float16 { block: &'a [f16], dim: usize },
    BFloat16 { block: &'a [bf16], dim: usize },
    Int8 { block: &'a [i8], dim: usize },
    Binary { block: &'a [u8], width: usize },
    Sparse(SparseView<'a>),
}

impl<'a> View<'a> {
    #[inline]
    pub(crate) fn row(&self, row: usize) -> VectorRef<'a> {
        match *self {
            Self::Float { block, dim } => VectorRef::Float(&block[row * dim..][..dim]),
            Self::Float16 { block, dim } => VectorRef::Float16(&block[row * dim..][..dim]),
            Self::BFloat16 { block, dim } => VectorRef::BFloat16(&block[row * dim..][..dim]),
            Self::Int8 { block, dim } => VectorRef::Int8(&block[row * dim..][..dim]),
            Self::Binary { block, width } => VectorRef::Binary(&block[row * width..][..width]),
            Self::Sparse(rows) => VectorRef::Sparse(rows.row(row)),
        }
    }

    pub(crate) fn data_type(&self) -> DataType {
        match self {
            Self::Float { .. } => DataType::FloatVector,
            Self::Float16 { .. } => DataType::Float16Vector,
            Self::BFloat16 { .. } => DataType::BFloat16Vector,
            Self::Int8 { .. } => DataType::Int8Vector,
            Self::Binary { .. } => DataType::BinaryVector,
            Self::Sparse(_) => DataType::SparseFloatVector,
        }
    }

    pub(crate) fn dim(&self) -> usize {
        match *self {
            Self::Float { dim, .. }
            | Self::Float16 { dim, .. }
            | Self::BFloat16 { dim, .. }
            | Self::Int8 { dim, .. } => dim,
            Self::Binary { width, .. } => width * 8,
            Self::Sparse(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn every_kind_reads_its_rows_back() {
        let bytes: Vec<u8> = (0u8..64).collect();
        for (data_type, dim, rows) in [
            (DataType::FloatVector, 4, 4),
            (DataType::Float16Vector, 4, 8),
            (DataType::BFloat16Vector, 8, 4),
            (DataType::Int8Vector, 16, 4),
            (DataType::BinaryVector, 32, 16),
        ] {
            let data = VectorData::dense(data_type, dim, Arc::new(bytes.clone())).unwrap();
            assert_eq!((data.data_type(), data.dim(), data.rows()), (data_type, dim, rows));
            assert_eq!(data.row(1).bytes(), &bytes[64 / rows..][..64 / rows]);
            assert_eq!((data.row(1).data_type(), data.row(1).dim()), (data_type, dim));
            assert_eq!(data.bytes(), 64);
            assert_eq!(data.take(&[1, 0]).row(0).bytes(), data.row(1).bytes());
            assert_eq!(data, VectorData::dense(data_type, dim, Arc::new(bytes.clone())).unwrap());
            assert!(VectorData::dense(data_type, dim, Arc::new(bytes[1..].to_vec())).is_err());
        }
        let odd = VectorData::dense(DataType::BinaryVector, 12, Arc::new(bytes.clone()));
        assert_eq!(
            odd.unwrap_err().to_string(),
            "64 bytes are not rows of BinaryVector with 12 dimensions"
        );
        let scalar = VectorData::dense(DataType::Int64, 8, Arc::new(bytes));
        assert_eq!(scalar.unwrap_err().to_string(), "Int64 is not a type of dense vectors");
    }

    #[test]
    fn floats_of_any_width_convert_and_others_do_not() {
        let floats = VectorData::floats(vec![1.0, -0.5, 3.0, 4.0], 2).unwrap();
        for data_type in [DataType::Float16Vector, DataType::BFloat16Vector] {
            let narrow = floats.converted(data_type).unwrap();
            assert_eq!((narrow.data_type(), narrow.rows()), (data_type, 2));
            assert_eq!(narrow.converted(DataType::FloatVector).unwrap(), floats);
        }
        assert!(floats.converted(DataType::Int8Vector).is_err());
        let sparse = VectorData::Sparse(SparseRows::from_rows([&[0u8; 8][..]]).unwrap());
        assert!(sparse.converted(DataType::FloatVector).is_err());
        assert_eq!(sparse.take(&[0, 0]).rows(), 2);
    }
}
