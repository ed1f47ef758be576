//! The trees of an index behind each other, and the walk through all of them at once.
//!
//! Leaves are opened in the order of how near the query lies to the planes between it and them, over
//! all trees, until enough rows have been seen.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use milvus_kernel::{Bitset, Scored};

use crate::annoy::tree::{NO_PLANE, Node, Tree, margin};
use crate::brute::row_number;
use crate::error::OpenError;
use crate::section::Section;

/// Trees as sections.
pub(super) struct Forest {
    /// The first node of each tree.
    pub(super) roots: Section<u32>,
    pub(super) nodes: Section<Node>,
    /// `[planes, width + 1]` floats.
    pub(super) planes: Section<f32>,
    /// `[trees, rows]`.
    pub(super) rows: Section<u32>,
}

impl Forest {
    /// `trees`, each over `count` rows, put together.
    pub(super) fn new(trees: Vec<Tree>, count: usize, plane_floats: usize) -> Self {
        let total = |len: fn(&Tree) -> usize| trees.iter().map(len).sum();
        let mut roots = Vec::with_capacity(trees.len());
        let mut nodes: Vec<Node> = Vec::with_capacity(total(|tree| tree.nodes.len()));
        let mut planes = Vec::with_capacity(total(|tree| tree.planes.len()));
        let mut rows = Vec::with_capacity(trees.len() * count);
        for tree in trees {
            let node_at = row_number(nodes.len());
            let plane_at = row_number(planes.len() / plane_floats);
            let row_at = row_number(rows.len());
            roots.push(node_at);
            nodes.extend(tree.nodes.iter().map(|&[plane, a, b]| match plane {
                NO_PLANE => [NO_PLANE, a + row_at, b + row_at],
                plane => [plane + plane_at, a + node_at, b + node_at],
            }));
            planes.extend(tree.planes);
            rows.extend(tree.rows);
        }
        Self { roots: roots.into(), nodes: nodes.into(), planes: planes.into(), rows: rows.into() }
    }

    /// Whether walks end, stay inside, and see each of `count` rows.
    pub(super) fn check(&self, count: usize, plane_floats: usize) -> Result<(), OpenError> {
        let nodes = self.nodes.as_slice();
        let planes = self.planes.as_slice().len() / plane_floats;
        let rows = self.rows.as_slice();
        let sound = |(at, &[plane, a, b]): (usize, &Node)| {
            let (plane, a, b) = (plane as usize, a as usize, b as usize);
            if plane == NO_PLANE as usize {
                return a <= b && b <= rows.len();
            }
            plane < planes && a > at && b > at && a < nodes.len() && b < nodes.len()
        };
        // No two branches join, or walks could take for ever.
        let mut reached = Bitset::zeros(nodes.len());
        let mut first = |node: u32| {
            let new = !reached.get(node as usize);
            reached.set(node as usize);
            new
        };
        let roots = self.roots.as_slice();
        if !nodes.iter().enumerate().all(sound)
            || roots.iter().any(|&root| root as usize >= nodes.len())
        {
            return Err(OpenError::malformed("a tree leads nowhere"));
        }
        let inner = nodes.iter().filter(|node| node[0] != NO_PLANE);
        if !inner.flat_map(|&[_, a, b]| [a, b]).all(&mut first) {
            return Err(OpenError::malformed("branches of a tree join"));
        }
        for (&root, rows) in roots.iter().zip(rows.chunks_exact(count.max(1))) {
            let mut seen = Bitset::zeros(count);
            if let Some(row) = rows.iter().find(|&&row| row as usize >= count) {
                return Err(OpenError::malformed(format!("a leaf holds row {row} of {count}")));
            }
            self.each_leaf(root, |row| seen.set(row as usize));
            if seen.count() != count {
                return Err(OpenError::malformed("a tree does not hold every row"));
            }
        }
        Ok(())
    }

    /// Calls `visit` with every row below `node`.
    fn each_leaf(&self, node: u32, mut visit: impl FnMut(u32)) {
        let (nodes, rows) = (self.nodes.as_slice(), self.rows.as_slice());
        let mut open = vec![node];
        while let Some(node) = open.pop() {
            match nodes[node as usize] {
                [NO_PLANE, a, b] => {
                    rows[a as usize..b as usize].iter().for_each(|&row| visit(row));
                }
                [_, a, b] => open.extend([a, b]),
            }
        }
    }

    /// At least `wanted` rows near `point` for which `counts`, or all there are, each once, into `found`.
    pub(super) fn near(
        &self,
        point: &[f32],
        wanted: usize,
        counts: impl Fn(u32) -> bool,
        count: usize,
        found: &mut Vec<u32>,
    ) {
        let (nodes, planes) = (self.nodes.as_slice(), self.planes.as_slice());
        let rows = self.rows.as_slice();
        let mut seen = Bitset::zeros(count);
        let open = |margin: f32, node: u32| Reverse(Scored::new(-margin, node));
        let mut queue: BinaryHeap<Reverse<Scored>> =
            self.roots.as_slice().iter().map(|&root| open(f32::INFINITY, root)).collect();
        while let (Some(Reverse(next)), true) = (queue.pop(), found.len() < wanted) {
            match nodes[next.row() as usize] {
                [NO_PLANE, a, b] => {
                    for &row in &rows[a as usize..b as usize] {
                        let at = row as usize;
                        if !seen.get(at) && counts(row) {
                            seen.set(at);
                            found.push(row);
                        }
                    }
                }
                [plane, left, right] => {
                    let floats = point.len() + 1;
                    let side = margin(&planes[plane as usize * floats..][..floats], point);
                    let before = -next.distance();
                    queue.push(open(before.min(side), left));
                    queue.push(open(before.min(-side), right));
                }
            }
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.roots.bytes() + self.nodes.bytes() + self.planes.bytes() + self.rows.bytes()
    }
}
