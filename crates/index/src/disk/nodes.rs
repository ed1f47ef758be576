//! Nodes: the vector and the links of each row together, in sectors of 4 KiB, so that one read brings
//! both.
//!
//! ```text
//! node    vector | link count u32 | links u32 x degree | zeros to a multiple of 8
//! ```
//!
//! Nodes that are smaller than a sector do not cross its end; larger ones begin with one. A few that
//! most walks pass are kept in memory.

use std::io::{self, Write};

use bytemuck::Pod;
use half::{bf16, f16};
use milvus_types::DataType;
use rustc_hash::FxHashMap;

use crate::container::Content;
use crate::disk::vamana::{Links, NONE};
use crate::source::{Region, Source};
use crate::vectors::{VectorData, View};

/// Bytes of a sector.
pub(super) const SECTOR: usize = 4096;
/// A node's bytes are kept in words of this type, so that numbers in them lie right.
type Word = u64;

/// Where nodes lie.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    data_type: DataType,
    dim: usize,
    vector_bytes: usize,
    pub(super) degree: usize,
}

/// One node, as it was read.
#[derive(Default)]
pub(super) struct Node {
    words: Vec<Word>,
    /// Where in the words it begins.
    start: usize,
}

impl Layout {
    pub(super) fn new(vectors: &VectorData, degree: usize) -> Self {
        let vector_bytes = vectors.fixed_bytes().map_or(0, |(_, width)| width);
        Self { data_type: vectors.data_type(), dim: vectors.dim(), vector_bytes, degree }
    }

    /// Bytes of a node.
    pub(super) fn node_bytes(&self) -> usize {
        (self.vector_bytes + 4 + 4 * self.degree).next_multiple_of(size_of::<Word>())
    }

    /// Nodes in a sector; 0 if one takes more than a sector.
    fn in_sector(&self) -> usize {
        SECTOR / self.node_bytes()
    }

    /// The sectors that `row` is in, from their first byte on, how many bytes, and where in them.
    fn place(&self, row: usize) -> (usize, usize, usize) {
        let in_sector = self.in_sector();
        if in_sector == 0 {
            let bytes = self.node_bytes().next_multiple_of(SECTOR);
            return (row * bytes, bytes, 0);
        }
        (row / in_sector * SECTOR, SECTOR, row % in_sector * self.node_bytes())
    }

    /// Bytes of all sectors of `rows` rows; `None` if that is out of reach.
    pub(super) fn total_bytes(&self, rows: usize) -> Option<usize> {
        let in_sector = self.in_sector();
        if in_sector == 0 {
            return rows.checked_mul(self.node_bytes().next_multiple_of(SECTOR));
        }
        rows.div_ceil(in_sector).checked_mul(SECTOR)
    }

    /// The vector of `node`.
    pub(super) fn vector<'n>(&self, node: &'n Node) -> View<'n> {
        fn numbers<T: Pod>(bytes: &[u8]) -> &[T] {
            bytemuck::try_cast_slice(bytes).unwrap_or_default()
        }
        let bytes = &node.bytes()[..self.vector_bytes];
        let dim = self.dim;
        #[expect(clippy::wildcard_enum_match_arm, reason = "graphs on disk are of floats")]
        match self.data_type {
            DataType::Float16Vector => View::Float16 { block: numbers::<f16>(bytes), dim },
            DataType::BFloat16Vector => View::BFloat16 { block: numbers::<bf16>(bytes), dim },
            DataType::Int8Vector => View::Int8 { block: numbers::<i8>(bytes), dim },
            _ => View::Float { block: numbers::<f32>(bytes), dim },
        }
    }

    /// Puts the links of `node` that lead to one of `rows` rows into `out`.
    pub(super) fn links(&self, node: &Node, rows: usize, out: &mut Vec<u32>) {
        let bytes = node.bytes().get(self.vector_bytes..).unwrap_or_default();
        let words = bytes.as_chunks::<4>().0;
        let [count, links @ ..] = words else { return };
        let count = (u32::from_le_bytes(*count) as usize).min(self.degree);
        let links = links.iter().take(count).map(|link| u32::from_le_bytes(*link));
        // Bytes are read anew each time: what has been checked once may have changed.
        out.extend(links.filter(|&row| (row as usize) < rows));
    }
}

impl Node {
    fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.words[self.start..])
    }

    /// Makes it hold `bytes` bytes, of which those from `start` on count.
    fn room(&mut self, bytes: usize, start: usize) -> &mut [u8] {
        self.words.resize(bytes / size_of::<Word>(), 0);
        self.start = start / size_of::<Word>();
        bytemuck::cast_slice_mut(&mut self.words)
    }
}

/// The nodes of an index.
pub(super) enum Nodes {
    /// Of an index that has not been written.
    Built(Links),
    /// In sectors, and nodes kept in memory.
    Stored { region: Region, cache: Cache },
}

/// Nodes that are kept in memory.
#[derive(Default)]
pub(super) struct Cache {
    places: FxHashMap<u32, u32>,
    words: Vec<Word>,
}

impl Cache {
    fn bytes(&self) -> u64 {
        (self.places.capacity() * 9 + size_of_val(self.words.as_slice())) as u64
    }
}

impl Nodes {
    /// Reads `row` into `node`. Where it cannot be read, the node has the segment's vector and no
    /// links: a walk then goes on from others.
    pub(super) fn read(&self, layout: &Layout, vectors: &VectorData, row: u32, node: &mut Node) {
        let done = match self {
            Self::Built(links) => {
                let list = &links.lists[row as usize * links.degree..][..links.degree];
                put(layout, vectors.row(row as usize).bytes(), list, node);
                true
            }
            Self::Stored { region, cache } => {
                if let Some(&place) = cache.places.get(&row) {
                    let bytes = layout.node_bytes();
                    let words = bytes / size_of::<Word>();
                    let from = &cache.words[place as usize * words..][..words];
                    node.room(bytes, 0);
                    node.words.copy_from_slice(from);
                    true
                } else {
                    let (offset, bytes, start) = layout.place(row as usize);
                    region.read(offset, node.room(bytes, start)).is_ok()
                }
            }
        };
        if !done {
            put(layout, vectors.row(row as usize).bytes(), &[], node);
        }
    }

    /// Bytes in memory or mapped.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Built(links) => size_of_val(links.lists.as_slice()) as u64,
            Self::Stored { region: Region { source: Source::File(_), .. }, cache } => cache.bytes(),
            Self::Stored { region, cache } => region.range.len() as u64 + cache.bytes(),
        }
    }

    /// Keeps the nodes of `rows` in memory, where they are in a file.
    pub(super) fn keep(&mut self, layout: &Layout, vectors: &VectorData, rows: &[u32]) {
        let mut kept = Cache::default();
        let mut node = Node::default();
        for (place, &row) in (0..).zip(rows) {
            self.read(layout, vectors, row, &mut node);
            kept.places.insert(row, place);
            let words = layout.node_bytes() / size_of::<Word>();
            kept.words.extend_from_slice(&node.words[node.start..][..words]);
        }
        if let Self::Stored { cache, .. } = self {
            *cache = kept;
        }
    }
}

/// Makes `node` one of `vector` and `list`, which ends early in [`NONE`].
fn put(layout: &Layout, vector: &[u8], list: &[u32], node: &mut Node) {
    let out = node.room(layout.node_bytes(), 0);
    out.fill(0);
    let (head, rest) = out.split_at_mut(layout.vector_bytes);
    head.copy_from_slice(vector);
    let mut slots = rest.as_chunks_mut::<4>().0.iter_mut();
    let links = list.iter().copied().take_while(|&row| row != NONE);
    if let Some(count) = slots.next() {
        *count = u32::try_from(links.clone().count()).unwrap_or_default().to_le_bytes();
    }
    slots.zip(links).for_each(|(slot, link)| *slot = link.to_le_bytes());
}

/// The nodes of all rows as a section of a file.
pub(super) struct Sectors<'a> {
    pub(super) layout: Layout,
    pub(super) nodes: &'a Nodes,
    pub(super) vectors: &'a VectorData,
}

impl Content for Sectors<'_> {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        if let Nodes::Stored { region, .. } = self.nodes {
            let mut done = Ok(());
            let seen = region.source.each(region.range.clone(), &mut |piece| {
                if done.is_ok() {
                    done = out.write_all(piece);
                }
            });
            return seen.map_err(io::Error::other).and(done);
        }
        let mut node = Node::default();
        let mut sector = Vec::new();
        for row in 0..self.vectors.rows() {
            let (_, bytes, start) = self.layout.place(row);
            if start == 0 {
                out.write_all(&sector)?;
                sector.clear();
                sector.resize(bytes, 0);
            }
            let number = crate::brute::row_number(row);
            self.nodes.read(&self.layout, self.vectors, number, &mut node);
            sector[start..][..self.layout.node_bytes()].copy_from_slice(node.bytes());
        }
        out.write_all(&sector)
    }

    fn align(&self) -> usize {
        SECTOR
    }
}
