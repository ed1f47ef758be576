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
    let groups = rotated.chunks(GROUP);
    for (group, table) in groups.zip(tables.as_chunks_mut::<ENTRIES>().0) {
        let mut elements = [0.0; GROUP];
        elements[..group.len()].copy_from_slice(group);
        table[0] = -elements.iter().sum::<f32>();
        for (bit, x) in elements.into_iter().enumerate() {
            let (without, with) = table.split_at_mut(1 << bit);
            for (with, without) in with.iter_mut().zip(without) {
                *with = *without + 2.0 * x;
            }
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
