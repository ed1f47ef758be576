//! Sparse vectors, borrowed from whoever keeps them.

use std::fmt;
use std::sync::Arc;

use milvus_kernel::sparse::PAIR;

use crate::section::{Mapped, Section};

/// A zero-copy view of rows of (u32 index, f32 value) pairs: the bytes of all rows behind each
/// other, and where each begins. Kept alive by its owners; cloning is cheap.
#[derive(Clone)]
pub struct SparseRows {
    offsets: Arc<Section<i32>>,
    bytes: Mapped,
    rows: usize,
}

/// Offsets that do not cut bytes into whole pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sparse row {row} ends at {end} of {bytes} bytes, which does not leave whole pairs")]
pub struct SparseShape {
    /// The first row that is wrong.
    pub row: usize,
    /// Where its bytes end.
    pub end: i64,
    /// Bytes there are.
    pub bytes: usize,
}

impl SparseRows {
    /// Rows of `bytes` between each two neighbours of `offsets`, which are i32, little-endian, as
    /// an Arrow binary column keeps them.
    pub fn new(offsets: &Mapped, bytes: Mapped) -> Result<Self, SparseShape> {
        let len = (**offsets).as_ref().len();
        let whole = len - len % size_of::<i32>();
        let offsets = Section::<i32>::map(offsets, 0..whole).unwrap_or_else(|| Vec::new().into());
        Self::with_offsets(offsets, bytes)
    }

    /// `rows`, copied.
    pub fn from_rows<'a>(rows: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, SparseShape> {
        let (mut offsets, mut bytes) = (vec![0], Vec::new());
        for row in rows {
            bytes.extend(row);
            let end = i32::try_from(bytes.len()).map_err(|_| SparseShape {
                row: offsets.len() - 1,
                end: i64::MAX,
                bytes: bytes.len(),
            })?;
            offsets.push(end);
        }
        Self::with_offsets(offsets.into(), Arc::new(bytes))
    }

    fn with_offsets(offsets: Section<i32>, bytes: Mapped) -> Result<Self, SparseShape> {
        let len = (*bytes).as_ref().len();
        let slice = offsets.as_slice();
        for (row, ends) in slice.windows(2).enumerate() {
            let (start, end) = (i64::from(ends[0]), i64::from(ends[1]));
            let fits = usize::try_from(end).is_ok_and(|end| end <= len);
            if start < 0 || end < start || !fits || (end - start) % PAIR as i64 != 0 {
                return Err(SparseShape { row, end, bytes: len });
            }
        }
        let rows = slice.len().saturating_sub(1);
        Ok(Self { offsets: Arc::new(offsets), bytes, rows })
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The same, to read rows from without asking the owners again.
    #[inline]
    pub(crate) fn view(&self) -> SparseView<'_> {
        SparseView { offsets: self.offsets.as_slice(), bytes: (*self.bytes).as_ref() }
    }
}

impl fmt::Debug for SparseRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SparseRows").field("rows", &self.rows).finish()
    }
}

/// Borrowed sparse rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SparseView<'a> {
    offsets: &'a [i32],
    bytes: &'a [u8],
}

impl<'a> SparseView<'a> {
    /// The bytes of row `row`. Panics past the end.
    #[inline]
    #[expect(clippy::cast_sign_loss, reason = "checked when the rows were made")]
    pub(crate) fn row(&self, row: usize) -> &'a [u8] {
        &self.bytes[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sparse(offsets: &[i32], bytes: usize) -> Result<SparseRows, SparseShape> {
        let offsets: Vec<u8> = offsets.iter().flat_map(|end| end.to_le_bytes()).collect();
        let offsets: Mapped = Arc::new(offsets);
        SparseRows::new(&offsets, Arc::new(vec![7u8; bytes]))
    }

    #[test]
    fn offsets_cut_whole_pairs() {
        let rows = sparse(&[8, 24, 24], 32).unwrap();
        assert_eq!((rows.rows(), rows.view().row(0).len(), rows.view().row(1).len()), (2, 16, 0));
        assert_eq!(sparse(&[], 8).unwrap().rows(), 0);
        for wrong in [&[0, 4][..], &[0, 40], &[8, 0], &[-8, 0]] {
            assert!(sparse(wrong, 32).is_err(), "{wrong:?}");
        }
        let error = sparse(&[0, 8, 20], 32).unwrap_err();
        assert_eq!(
            error.to_string(),
            "sparse row 1 ends at 20 of 32 bytes, which does not leave whole pairs"
        );
        let copied = SparseRows::from_rows([&[1u8; 8][..], &[]]).unwrap();
        assert_eq!((copied.rows(), copied.view().row(0)), (2, &[1u8; 8][..]));
    }
}
