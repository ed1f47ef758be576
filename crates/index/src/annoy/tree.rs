//! One tree: rows are halved by planes until few are left together.
//!
//! A plane is at right angles to the line between the means of two groups of a sample of the rows,
//! and lies so that half of the rows are on each side: how many nodes a tree has depends on nothing
//! but the number of rows.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use milvus_kernel::{Scored, distance};

use crate::brute::row_number;
use crate::points::Points;

/// The most rows of a leaf.
pub(super) const LEAF: usize = 128;
/// In place of a plane's number: the node is a leaf.
pub(super) const NO_PLANE: u32 = u32::MAX;
/// Rows that a plane is chosen by, and how often their two means are moved.
const SAMPLE: usize = 96;
const ROUNDS: usize = 3;
/// Rows between two looks at whether to stop.
const BATCH: usize = 4096;

/// `[plane, left, right]`, or `[NO_PLANE, first, end]` of a leaf: where its rows are.
pub(super) type Node = [u32; 3];

/// A tree; its first node is the root, and children come behind their parents.
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    /// `[planes, width + 1]`: a unit normal and the offset behind it.
    pub(super) planes: Vec<f32>,
    /// Every row once, those of a leaf together.
    pub(super) rows: Vec<u32>,
}

/// How many leaves a tree over `rows` rows has.
pub(super) fn leaves(rows: usize) -> usize {
    // Halves of halves differ by one row at most.
    let mut leaves = 1;
    while rows.div_ceil(leaves) > LEAF {
        if rows / leaves <= LEAF {
            // Those that have a row more are halved once more.
            return leaves + rows % leaves;
        }
        leaves *= 2;
    }
    leaves
}

/// How far `point` is on the left side of `plane`.
#[inline]
pub(super) fn margin(plane: &[f32], point: &[f32]) -> f32 {
    let (normal, offset) = plane.split_at(point.len());
    distance::ip(normal, point) + offset.first().copied().unwrap_or_default()
}

/// Numbers that look random.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let wide = u128::from(x ^ (x >> 31)) * end as u128;
        usize::try_from(wide >> 64).unwrap_or_default()
    }
}

/// Grows the `number`th tree over rows `0..count`, points of `width` dimensions; unfinished where
/// `cancel` is set.
pub(super) fn grow(
    points: Points<'_>,
    (count, width): (usize, usize),
    number: usize,
    cancel: &AtomicBool,
) -> Tree {
    let rows = (0..count).map(row_number).collect();
    let mut tree = Tree { nodes: vec![[NO_PLANE, 0, 0]], planes: Vec::new(), rows };
    let mut split = Split {
        points,
        width,
        dice: Dice(number as u64),
        sample: Vec::new(),
        floats: Vec::new(),
        ranked: Vec::new(),
        cancel,
    };
    let mut open: Vec<(usize, Range<usize>)> = vec![(0, 0..count)];
    while let Some((node, range)) = open.pop() {
        if range.len() <= LEAF || cancel.load(Relaxed) {
            tree.nodes[node] = [NO_PLANE, row_number(range.start), row_number(range.end)];
            continue;
        }
        let plane = split.halve(&mut tree.rows[range.clone()]);
        let children = tree.nodes.len();
        let number = row_number(tree.planes.len() / plane.len());
        tree.planes.extend(plane);
        tree.nodes[node] = [number, row_number(children), row_number(children + 1)];
        tree.nodes.extend([[NO_PLANE, 0, 0]; 2]);
        let middle = range.start + range.len() / 2;
        open.push((children, range.start..middle));
        open.push((children + 1, middle..range.end));
    }
    tree
}

/// What halving needs besides the rows.
struct Split<'a> {
    points: Points<'a>,
    width: usize,
    dice: Dice,
    sample: Vec<f32>,
    floats: Vec<f32>,
    /// Rows by how far they are on the right side.
    ranked: Vec<Scored>,
    cancel: &'a AtomicBool,
}

impl Split<'_> {
    /// Orders `rows` so that the first half is on the left side of a plane; the plane.
    fn halve(&mut self, rows: &mut [u32]) -> Vec<f32> {
        // Where rows are in one place, all are as far on both sides of no plane.
        let mut plane = self.plane(rows).unwrap_or_else(|| vec![0.0; self.width + 1]);
        self.ranked.clear();
        for (n, &row) in rows.iter().enumerate() {
            if n % BATCH == 0 && self.cancel.load(Relaxed) {
                return plane;
            }
            self.points.read(row, &mut self.floats);
            self.ranked.push(Scored::new(-margin(&plane, &self.floats), row));
        }
        let middle = rows.len() / 2;
        let (left, first, _) = self.ranked.select_nth_unstable(middle);
        let last = left.iter().max().map_or(0.0, |last| last.distance());
        let offset = f32::midpoint(last, first.distance());
        if let Some(end) = plane.last_mut()
            && offset.is_finite()
        {
            *end = offset;
        }
        rows.iter_mut().zip(&self.ranked).for_each(|(row, ranked)| *row = ranked.row());
        plane
    }

    /// The direction between two groups of `rows` and an offset of 0; `None` where they are in one
    /// place, or nowhere.
    fn plane(&mut self, rows: &[u32]) -> Option<Vec<f32>> {
        self.sample.clear();
        for _ in 0..SAMPLE {
            let row = rows[self.dice.below(rows.len())];
            self.points.read(row, &mut self.floats);
            self.sample.extend_from_slice(&self.floats);
        }
        let (a, b) = two_means(&self.sample, self.width)?;
        let mut plane: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
        let inverse = distance::inverse_norm(distance::norm_squared(&plane));
        plane.iter_mut().for_each(|x| *x *= inverse);
        plane.push(0.0);
        (inverse > 0.0 && plane.iter().all(|x| x.is_finite())).then_some(plane)
    }
}

/// The means of two groups of `sample`, rows of `width`, that lie apart.
fn two_means(sample: &[f32], width: usize) -> Option<(Vec<f32>, Vec<f32>)> {
    let mut points = sample.chunks_exact(width);
    let mut a = points.next()?.to_vec();
    let mut b = points.find(|point| **point != *a)?.to_vec();
    for _ in 0..ROUNDS {
        let mut sums = [vec![0.0; width], vec![0.0; width]];
        let mut counts = [0.0f32; 2];
        for point in sample.chunks_exact(width) {
            let side = usize::from(distance::l2(&a, point) > distance::l2(&b, point));
            counts[side] += 1.0;
            sums[side].iter_mut().zip(point).for_each(|(sum, x)| *sum += x);
        }
        for (mean, (sum, count)) in [&mut a, &mut b].into_iter().zip(sums.iter().zip(counts)) {
            if count > 0.0 {
                mean.iter_mut().zip(sum).for_each(|(mean, sum)| *mean = sum / count);
            }
        }
    }
    Some((a, b))
}
