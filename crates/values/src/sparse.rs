//! Sparse rows: (index, value) pairs, four bytes each, little-endian, ascending by index.
//!
//! A row in a column has passed [`check_row`]; the readers here stop quietly at a torn pair.

use milvus_types::{Coded, ErrorCode};

/// Bytes of one pair.
pub const PAIR_BYTES: usize = 8;

/// Why bytes are no sparse row, as Milvus words it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SparseError {
    /// No whole number of pairs.
    #[error("invalid data length in sparse float vector: {bytes}")]
    Length {
        /// How many bytes there are.
        bytes: usize,
    },
    /// The one index that is not allowed.
    #[error("invalid index in sparse float vector: must be less than 2^32-1")]
    Index,
    /// Indexes do not ascend.
    #[error("unsorted or same indices in sparse float vector")]
    Order,
    /// Not a number.
    #[error("value '{value}' is not a number or infinity")]
    NotFinite {
        /// As Go prints it.
        value: &'static str,
    },
    /// Below nought.
    #[error("negative value in sparse float vector")]
    Negative,
}

impl Coded for SparseError {
    fn code(&self) -> ErrorCode {
        ErrorCode::ParameterInvalid
    }
}

/// Checks that `row` is whole pairs, ascending by index, with finite values that are not negative.
pub fn check_row(row: &[u8]) -> Result<(), SparseError> {
    if !row.len().is_multiple_of(PAIR_BYTES) {
        return Err(SparseError::Length { bytes: row.len() });
    }
    let mut before = None;
    for (index, value) in iter(row) {
        if index == u32::MAX {
            return Err(SparseError::Index);
        }
        if before.is_some_and(|before| index <= before) {
            return Err(SparseError::Order);
        }
        if !value.is_finite() {
            let value = match value {
                value if value.is_nan() => "NaN",
                value if value > 0.0 => "+Inf",
                _ => "-Inf",
            };
            return Err(SparseError::NotFinite { value });
        }
        if value < 0.0 {
            return Err(SparseError::Negative);
        }
        before = Some(index);
    }
    Ok(())
}

/// The pairs of `row` in order.
pub fn iter(row: &[u8]) -> impl ExactSizeIterator<Item = (u32, f32)> + DoubleEndedIterator + '_ {
    let (pairs, _) = row.as_chunks::<PAIR_BYTES>();
    pairs.iter().map(|[a, b, c, d, e, f, g, h]| {
        (u32::from_le_bytes([*a, *b, *c, *d]), f32::from_le_bytes([*e, *f, *g, *h]))
    })
}

/// How many pairs `row` has.
pub fn len(row: &[u8]) -> usize {
    row.len() / PAIR_BYTES
}

/// The least number of dimensions that has room for `row`: its greatest index and one.
pub fn dim(row: &[u8]) -> i64 {
    let last = iter(row).next_back();
    last.map_or(0, |(index, _)| i64::from(index) + 1)
}

/// The row of `pairs`, which are sorted here.
pub fn encode(pairs: impl IntoIterator<Item = (u32, f32)>) -> Vec<u8> {
    let mut pairs: Vec<(u32, f32)> = pairs.into_iter().collect();
    pairs.sort_by_key(|(index, _)| *index);
    let mut row = Vec::with_capacity(pairs.len() * PAIR_BYTES);
    for (index, value) in pairs {
        row.extend_from_slice(&index.to_le_bytes());
        row.extend_from_slice(&value.to_le_bytes());
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_round_trip() {
        let row = encode([(9, 0.5), (3, 1.0), (4_294_967_294, 0.0)]);
        assert_eq!(check_row(&row), Ok(()));
        assert_eq!(iter(&row).collect::<Vec<_>>(), [(3, 1.0), (9, 0.5), (4_294_967_294, 0.0)]);
        assert_eq!((len(&row), dim(&row)), (3, 4_294_967_295));
        assert_eq!((check_row(&[]), dim(&[])), (Ok(()), 0));
    }

    #[test]
    fn wrong_rows_are_named() {
        let pairs = |pairs: &[(u32, f32)]| {
            pairs.iter().flat_map(|pair| encode([*pair])).collect::<Vec<u8>>()
        };
        for (row, want) in [
            (vec![0; 7], SparseError::Length { bytes: 7 }),
            (pairs(&[(u32::MAX, 1.0)]), SparseError::Index),
            (pairs(&[(2, 1.0), (1, 1.0)]), SparseError::Order),
            (pairs(&[(2, 1.0), (2, 1.0)]), SparseError::Order),
            (pairs(&[(2, f32::NAN)]), SparseError::NotFinite { value: "NaN" }),
            (pairs(&[(2, f32::NEG_INFINITY)]), SparseError::NotFinite { value: "-Inf" }),
            (pairs(&[(2, -1.0)]), SparseError::Negative),
        ] {
            assert_eq!(check_row(&row), Err(want));
        }
    }
}
