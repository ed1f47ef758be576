//! One-bit codes through [`crate::fastscan`]: four signs are one of its parts.

use crate::fastscan::ENTRIES;

/// Dimensions of a part.
const GROUP: usize = 4;

/// Parts of `dim` dimensions.
pub fn parts(dim: usize) -> usize {
    dim.div_ceil(GROUP)
}

/// The tables `[parts][16]` of `rotated`: entry `m` of a part is the sum of its four elements, those
/// whose bit of `m` is 0 taken from it. The entries that a code chooses add up to `<v, q>`.
pub fn tables(rotated: &[f32], tables: &mut [f32]) {
    assert_eq!(tables.len(), parts(rotated.len()) * ENTRIES, "dimension and tables disagree");
    for (group, table) in rotated.chunks(GROUP).zip(tables.chunks_exact_mut(ENTRIES)) {
        for (entry, sum) in table.iter_mut().enumerate() {
            let signed = |(i, &x): (usize, &f32)| if entry >> i & 1 == 1 { x } else { -x };
            *sum = group.iter().enumerate().map(signed).sum();
        }
    }
}

/// The codes that [`crate::fastscan::pack`] takes of a row, `[parts]`, from the first plane of its
/// code, see [`super::pack`].
pub fn codes(plane: &[u8], codes: &mut [u8]) {
    assert!(codes.len() <= plane.len() * 2, "plane and parts disagree");
    for (part, code) in codes.iter_mut().enumerate() {
        *code = plane[part / 2] >> (part % 2 * GROUP) & 15;
    }
}
