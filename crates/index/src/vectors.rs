//! The vectors of a segment, borrowed from whoever keeps them.

use std::fmt;
use std::sync::Arc;

/// A zero-copy view of `[rows, dim]` floats, row-major, kept alive by its owner. Cloning is cheap.
///
/// The owner must give the same floats each time it is asked: a mapped file, an Arrow buffer or a
/// plain vector does.
#[derive(Clone)]
pub struct Vectors {
    owner: Arc<dyn AsRef<[f32]> + Send + Sync>,
    dim: usize,
    rows: usize,
}

/// Floats that do not make up whole rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{floats} floats are not rows of {dim} dimensions")]
pub struct VectorsShape {
    /// Floats there are.
    pub floats: usize,
    /// Floats of a row.
    pub dim: usize,
}

impl Vectors {
    /// The floats of `owner` as rows of `dim`.
    pub fn new(
        owner: Arc<dyn AsRef<[f32]> + Send + Sync>,
        dim: usize,
    ) -> Result<Self, VectorsShape> {
        let floats = (*owner).as_ref().len();
        if dim == 0 || floats % dim != 0 {
            return Err(VectorsShape { floats, dim });
        }
        Ok(Self { owner, dim, rows: floats / dim })
    }

    /// `floats` as rows of `dim`.
    pub fn from_vec(floats: Vec<f32>, dim: usize) -> Result<Self, VectorsShape> {
        Self::new(Arc::new(floats), dim)
    }

    /// Floats of a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Every float, row after row.
    #[inline]
    pub fn as_slice(&self) -> &[f32] {
        (*self.owner).as_ref()
    }

    /// Row `row`. Panics past the end.
    #[inline]
    pub fn row(&self, row: usize) -> &[f32] {
        &self.as_slice()[row * self.dim..][..self.dim]
    }
}

impl fmt::Debug for Vectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vectors").field("rows", &self.rows).field("dim", &self.dim).finish()
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
}
