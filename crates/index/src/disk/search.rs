//! One search: which nodes to read, and their exact scores.
//!
//! The codes in memory say which rows are worth a read. Few live rows: compared with the segment's
//! vectors, without the graph. Else a walk over the graph reads about as many nodes as its list is
//! long, longer by the share of live rows; or the codes of all live rows are looked at and the best of
//! them read, where reads cost more than that. A walk that found too few live rows gives way to the
//! codes, which always find `min(k, live rows)`.

use milvus_kernel::{Bitset, Scored, TopK};

use crate::brute::{row_number, search_into};
use crate::compare::{Comparer, query_of};
use crate::disk::DiskAnn;
use crate::disk::codes::Query;
use crate::disk::nodes::Node;
use crate::disk::pool::{Pool, Visited};
use crate::params::SearchParams;
use crate::vector_index::Hit;
use crate::vectors::VectorRef;

/// Up to this many live rows are compared exactly at once.
const FEW: usize = 512;
/// What things cost, in nanoseconds: reading a node, comparing the codes of a node's links, comparing
/// a code in a scan of all.
const READ: f64 = 10_000.0;
const STEP: f64 = 400.0;
const CODE: f64 = 8.0;
/// Rows whose codes are compared at a time in a scan.
const CHUNK: usize = 256;

/// The memory of one search at a time.
pub(super) struct Scratch {
    visited: Visited,
    pool: Pool,
    near: Vec<u32>,
    distances: Vec<f32>,
    node: Node,
}

impl Scratch {
    pub(super) fn new(rows: usize) -> Self {
        Self {
            visited: Visited::new(rows),
            pool: Pool::default(),
            near: Vec::new(),
            distances: Vec::new(),
            node: Node::default(),
        }
    }
}

/// See [`crate::VectorIndex::search`].
pub(super) fn search(
    disk: &DiskAnn,
    query: VectorRef<'_>,
    k: usize,
    params: &SearchParams,
    live: Option<&Bitset>,
    scratch: &mut Scratch,
    out: &mut Vec<Hit>,
) {
    let rows = disk.vectors.rows();
    let live_count = live.map_or(rows, |live| live.count().min(rows));
    let k = k.min(live_count);
    let (Some(entry), true) = (disk.entry, live_count > FEW) else {
        let comparer = Comparer::new(disk.metric, query, disk.vectors.view(), &[]);
        return search_into(&query_of(comparer), rows, live, k, out);
    };
    let codes = disk.codes.query(disk.metric, query);
    let list = disk.codes.list(params.ef.max(k).max(1), disk.vectors.dim());
    let wide = list as f64 * rows as f64 / live_count as f64;
    let search = Search { disk, query, codes, k, live, beam: params.beam_width.max(1) };
    let mut best = TopK::new(k);
    if wide * (READ + STEP) < live_count as f64 * CODE + list as f64 * READ {
        #[expect(clippy::cast_possible_truncation, reason = "float to integer casts saturate")]
        #[expect(clippy::cast_sign_loss, reason = "a count")]
        search.walk(entry, wide.ceil() as usize, scratch, &mut best);
    }
    if !best.is_full() {
        best.reset(k);
        search.scan(list, scratch, &mut best);
    }
    out.clear();
    out.extend(best.into_sorted().into_iter().map(|scored| disk.metric.hit(scored)));
}

/// The request.
struct Search<'a> {
    disk: &'a DiskAnn,
    query: VectorRef<'a>,
    codes: Query<'a>,
    k: usize,
    live: Option<&'a Bitset>,
    beam: usize,
}

impl Search<'_> {
    fn is_live(&self, row: u32) -> bool {
        self.live.is_none_or(|live| live.get(row as usize))
    }

    /// Walks from `entry` with a list of `size` candidates; the live rows read go into `best`.
    fn walk(&self, entry: u32, size: usize, scratch: &mut Scratch, best: &mut TopK) {
        let rows = self.disk.vectors.rows();
        let Scratch { visited, pool, near, distances, node } = scratch;
        visited.begin();
        pool.reset(size);
        near.clear();
        near.push(entry);
        visited.insert(entry);
        loop {
            distances.resize(near.len(), 0.0);
            self.codes.distances(near, distances);
            for (&near, &distance) in near.iter().zip(&*distances) {
                pool.insert(Scored::new(distance, near));
            }
            near.clear();
            for _ in 0..self.beam {
                let Some(row) = pool.take() else { break };
                self.read(row, node, best);
                self.disk.layout.links(node, rows, near);
            }
            near.retain(|&near| visited.insert(near));
            if near.is_empty() && pool.is_done() {
                return;
            }
        }
    }

    /// Reads the node of `row`; it goes into `best` if it is live.
    fn read(&self, row: u32, node: &mut Node, best: &mut TopK) {
        let disk = self.disk;
        disk.nodes.read(&disk.layout, &disk.vectors, row, node);
        if self.is_live(row) {
            let rows = disk.layout.vector(node);
            let mut distance = [0.0];
            query_of(Comparer::new(disk.metric, self.query, rows, &[])).gather(&[0], &mut distance);
            best.push(Scored::new(distance[0], row));
        }
    }

    /// Compares the codes of all live rows and reads the best `list` of them.
    fn scan(&self, list: usize, scratch: &mut Scratch, best: &mut TopK) {
        let rows = self.disk.vectors.rows();
        let mut wide = TopK::new(list.max(self.k));
        let Scratch { near, distances, node, .. } = scratch;
        let mut first = 0;
        while first < rows {
            near.clear();
            while first < rows && near.len() < CHUNK {
                let row = row_number(first);
                if self.is_live(row) {
                    near.push(row);
                }
                first += 1;
            }
            distances.resize(near.len(), 0.0);
            self.codes.distances(near, distances);
            for (&row, &distance) in near.iter().zip(&*distances) {
                wide.push(Scored::new(distance, row));
            }
        }
        near.clear();
        near.extend(wide.into_sorted().iter().map(|scored| scored.row()));
        // In the order they lie.
        near.sort_unstable();
        for row in std::mem::take(near) {
            self.read(row, node, best);
        }
    }
}
