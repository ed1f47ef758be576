//! Dense vectors of one kind of number, borrowed from whoever keeps them.

use std::fmt;
use std::sync::Arc;

use bytemuck::Pod;

use crate::section::{Mapped, Section};

/// A zero-copy view of `[rows, width]` numbers, row-major, kept alive by its owner. Cloning is
/// cheap.
///
/// The owner must give the same numbers each time it is asked: a mapped file, an Arrow buffer or a
/// plain vector does.
pub struct Dense<T> {
    owner: Arc<dyn AsRef<[T]> + Send + Sync>,
    width: usize,
    rows: usize,
}

/// Vectors of floats.
pub type Vectors = Dense<f32>;

/// Numbers that do not make up whole rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{floats} floats are not rows of {dim} dimensions")]
pub struct VectorsShape {
    /// Numbers there are.
    pub floats: usize,
    /// Numbers of a row.
    pub dim: usize,
}

impl<T> Dense<T> {
    /// The numbers of `owner` as rows of `width`.
    pub fn new(
        owner: Arc<dyn AsRef<[T]> + Send + Sync>,
        width: usize,
    ) -> Result<Self, VectorsShape> {
        let floats = (*owner).as_ref().len();
        if width == 0 || floats % width != 0 {
            return Err(VectorsShape { floats, dim: width });
        }
        Ok(Self { owner, width, rows: floats / width })
    }

    /// `numbers` as rows of `width`.
    pub fn from_vec(numbers: Vec<T>, width: usize) -> Result<Self, VectorsShape>
    where
        T: Send + Sync + 'static,
    {
        Self::new(Arc::new(numbers), width)
    }

    /// The bytes of `owner`, little-endian, as rows of `width` numbers; copied only if they do not
    /// lie as such numbers must.
    pub fn from_bytes(owner: Mapped, width: usize) -> Result<Self, VectorsShape>
    where
        T: Pod + Send + Sync,
    {
        let bytes = (*owner).as_ref().len();
        let shape = VectorsShape { floats: bytes / size_of::<T>(), dim: width };
        let section = Section::map(&owner, 0..bytes).ok_or(shape)?;
        Self::new(Arc::new(section), width)
    }

    /// Numbers of a row.
    pub fn dim(&self) -> usize {
        self.width
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Every number, row after row.
    #[inline]
    pub fn as_slice(&self) -> &[T] {
        (*self.owner).as_ref()
    }

    /// Row `row`. Panics past the end.
    #[inline]
    pub fn row(&self, row: usize) -> &[T] {
        &self.as_slice()[row * self.width..][..self.width]
    }
}

impl<T: Pod + Send + Sync> AsRef<[T]> for Section<T> {
    fn as_ref(&self) -> &[T] {
        self.as_slice()
    }
}

impl<T> Clone for Dense<T> {
    fn clone(&self) -> Self {
        Self { owner: Arc::clone(&self.owner), width: self.width, rows: self.rows }
    }
}

impl<T> fmt::Debug for Dense<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vectors").field("rows", &self.rows).field("dim", &self.width).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_rows_are_vectors() {
        let vectors = Vectors::from_vec(vec![1.0, 2.0, 3.0, 4.0], 2).unwrap();
        assert_eq!((vectors.rows(), vectors.row(1)), (2, &[3.0, 4.0][..]));
        assert_eq!(Vectors::from_vec(vec![], 2).unwrap().rows(), 0);
        let error = Vectors::from_vec(vec![1.0; 3], 2).unwrap_err();
        assert_eq!(error.to_string(), "3 floats are not rows of 2 dimensions");
        assert!(Vectors::from_vec(vec![], 0).is_err());
    }

    #[test]
    fn bytes_are_numbers_wherever_they_lie() {
        let bytes: Vec<u8> =
            [1.0f32, -2.0, 3.0, 4.5].iter().flat_map(|x| x.to_le_bytes()).collect();
        let vectors = Vectors::from_bytes(Arc::new(bytes.clone()), 2).unwrap();
        assert_eq!(vectors.row(1), [3.0, 4.5]);
        assert!(Vectors::from_bytes(Arc::new(bytes[1..].to_vec()), 3).is_err());
    }
}
