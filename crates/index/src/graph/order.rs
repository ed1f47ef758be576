//! Where the rows of a graph lie: near rows side by side.
//!
//! A walk reads the codes, links and marks of a few hundred rows that are near each other. In the
//! order of insertion each of them lies on a page of its own, and walks mostly wait for pages. So a
//! finished graph is laid out along the tree that its levels make: every row follows the nearest row
//! of a higher level, its own followers behind it. Rows are then known inside the graph by their
//! *place*; `rows_at` leads from a place to the row.

use crate::brute::row_number;
use crate::graph::links::{Adjacency, Layout, NONE};
use crate::graph::space::Space;
use crate::graph::walk::Walk;
use crate::ivf::kmeans::in_parts;

/// The rows in the order in which they are to lie. Rows outside the graph (`followed[row]` is another
/// row) lie behind the one that stands for them.
pub(crate) fn arrange<S: Space>(
    space: &S,
    links: &(impl Adjacency + Sync),
    levels: &[u8],
    entry: u32,
    followed: &[u32],
    threads: usize,
) -> Vec<u32> {
    let rows = levels.len();
    let above: Vec<(u32, f32)> = in_parts(rows, threads, |range| {
        let mut walk = Walk::new(0);
        range
            .map(row_number)
            .map(|row| match followed[row as usize] {
                other if other != row => (other, 0.0),
                _ => nearest_above(space, links, levels, entry, row, &mut walk),
            })
            .collect::<Vec<_>>()
    })
    .concat();
    // The followers of each row, those of low levels first, near ones first.
    let mut followers: Vec<u32> =
        (0..rows).map(row_number).filter(|&row| above[row as usize].0 != row).collect();
    followers.sort_by(|&a, &b| {
        let key = |row: u32| (above[row as usize].0, levels[row as usize]);
        let (near, far) = (above[a as usize].1, above[b as usize].1);
        key(a).cmp(&key(b)).then(near.total_cmp(&far)).then(a.cmp(&b))
    });
    let of = |row: u32| {
        let start = followers.partition_point(|&other| above[other as usize].0 < row);
        let end = followers.partition_point(|&other| above[other as usize].0 <= row);
        &followers[start..end]
    };
    let mut order = Vec::with_capacity(rows);
    let mut open = vec![entry];
    while let Some(row) = open.pop() {
        order.push(row);
        open.extend(of(row).iter().rev());
    }
    order
}

/// The nearest row above the level of `row` that a descent finds, and its distance; the entry for
/// rows of the highest level, itself for the entry.
fn nearest_above<S: Space>(
    space: &S,
    links: &impl Adjacency,
    levels: &[u8],
    entry: u32,
    row: u32,
    walk: &mut Walk,
) -> (u32, f32) {
    let (own, top) = (levels[row as usize], levels[entry as usize]);
    if row == entry {
        return (entry, 0.0);
    }
    let target = space.target(row);
    let mut nearest = walk.start(&target, entry);
    for level in (own + 1..=top).rev() {
        nearest = walk.descend(&target, links, usize::from(level), nearest);
    }
    (nearest.row(), nearest.distance())
}

/// The place of each row that lies as `rows_at` says; `None` where that does not name each of `rows`
/// rows once.
pub(crate) fn places(rows_at: &[u32], rows: usize) -> Option<Vec<u32>> {
    let mut places = vec![NONE; rows];
    for (place, &row) in (0u32..).zip(rows_at) {
        let slot = places.get_mut(row as usize).filter(|slot| **slot == NONE)?;
        *slot = place;
    }
    (rows_at.len() == rows).then_some(places)
}

/// `parts` of `width` elements each, in the order of `rows_at`.
pub(crate) fn in_order<T: Copy>(parts: &[T], width: usize, rows_at: &[u32]) -> Vec<T> {
    rows_at.iter().flat_map(|&row| &parts[row as usize * width..][..width]).copied().collect()
}

/// Links between places from those between rows: level 0 and the levels above it, which `layout`
/// says the place of.
pub(crate) fn relink(
    level0: &[u32],
    upper: &[u32],
    layout: Layout<'_>,
    rows_at: &[u32],
    places: &[u32],
) -> (Vec<u32>, Vec<u32>) {
    let to_place = |&row: &u32| places.get(row as usize).copied().unwrap_or(NONE);
    let level0 = in_order(level0, layout.m0(), rows_at).iter().map(to_place).collect();
    let lists = rows_at.iter().flat_map(|&row| {
        let (row, m) = (row as usize, layout.m);
        &upper[layout.upper_at[row] as usize * m..][..usize::from(layout.levels[row]) * m]
    });
    (level0, lists.map(to_place).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_that_is_none_is_refused() {
        assert_eq!(places(&[2, 0, 1], 3), Some(vec![1, 2, 0]));
        for wrong in [&[0, 0, 1][..], &[0, 1], &[0, 1, 3], &[0, 1, 2, 2]] {
            assert_eq!(places(wrong, 3), None, "{wrong:?}");
        }
    }

    #[test]
    fn links_follow_their_rows() {
        let levels = [0, 1, 0];
        let layout = Layout { m: 1, levels: &levels, upper_at: &[0, 0, 1] };
        let rows_at = [1, 2, 0];
        let places = places(&rows_at, 3).unwrap();
        let (level0, upper) = relink(&[1, 2, 0, NONE, 1, NONE], &[2], layout, &rows_at, &places);
        assert_eq!(level0, [2, NONE, 0, NONE, 0, 1]);
        assert_eq!(upper, [1]);
    }
}
