//! List after list: every posting of the query's dimensions is added to its row's sum.
//!
//! For what other ways to search have no bounds for. Sums are made in the order of the dimensions, so
//! scores have the bits of a comparison row by row.

use milvus_kernel::{Bitset, Scored, TopK, sparse};

use crate::brute::row_number;
use crate::inverted::Inverted;

/// The best `k` live rows.
pub(super) fn search(index: &Inverted, query: &[u8], k: usize, live: Option<&Bitset>) -> TopK {
    let rows = index.vectors.rows();
    let mut sums = vec![0.0f32; rows];
    for (dim, weight) in sparse::pairs(query) {
        let Ok(list) = index.dims.as_slice().binary_search(&dim) else { continue };
        let (rows, values) = index.list(list);
        for (&row, value) in rows.iter().zip(values) {
            sums[row as usize] += weight * value;
        }
    }
    let mut top = TopK::new(k.min(rows));
    for (row, &sum) in sums.iter().enumerate() {
        if sum > 0.0 && live.is_none_or(|live| live.get(row)) {
            top.push(Scored::new(-sum, row_number(row)));
        }
    }
    top
}
