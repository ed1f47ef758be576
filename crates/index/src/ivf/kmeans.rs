//! Centroids: k-means over a sample of the rows.
//!
//! Floats of every width are trained and assigned as 32-bit floats by Euclidean distance, after
//! normalising them where the metric is cosine. Bits are trained by majority and assigned by the
//! metric itself. The same rows give the same centroids, whatever the number of threads.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use milvus_kernel::narrow::Narrow;
use milvus_kernel::{Scored, binary, distance, many, sq8};

use crate::brute::row_number;
use crate::graph::space::zero_bias;
use crate::score::Metric;
use crate::section::Section;
use crate::vectors::{VectorData, VectorRef, View};

/// Rows that are sampled for each list, and in all.
pub(super) const SAMPLE_OF_A_LIST: usize = 64;
pub(super) const MOST_SAMPLED: usize = 1 << 17;
/// Rows that are compared with all centroids at a time.
const TILE: usize = 64;
/// How often centroids are moved.
const ROUNDS: usize = 8;

/// The centres of the lists.
pub(super) enum Centroids {
    /// `[lists, dim]` floats, and the same as 8-bit codes, less their mean, to rank lists by.
    Floats { values: Section<f32>, codes: Vec<u8>, mean: Vec<f32>, dim: usize },
    /// `[lists, width]` bytes of bits.
    Bits { bytes: Section<u8>, width: usize },
}

/// The row `vector` as floats, of length 1 where the metric is cosine, into `out`.
pub(crate) fn widen(metric: Metric, vector: VectorRef<'_>, out: &mut Vec<f32>) {
    fn all<T: Narrow>(from: &[T], out: &mut Vec<f32>) {
        out.extend(from.iter().map(|x| x.widen()));
    }
    out.clear();
    match vector {
        VectorRef::Float(vector) => out.extend(vector),
        VectorRef::Float16(vector) => all(vector, out),
        VectorRef::BFloat16(vector) => all(vector, out),
        VectorRef::Int8(vector) => all(vector, out),
        VectorRef::Binary(_) | VectorRef::Sparse(_) => {}
    }
    if metric == Metric::Cosine {
        let inverse = distance::inverse_norm(distance::norm_squared(out));
        out.iter_mut().for_each(|x| *x *= inverse);
    }
}

/// Does `work` on every part of `0..count` on `threads` threads; parts come back in order.
pub(crate) fn in_parts<T: Send>(
    count: usize,
    threads: usize,
    work: impl Fn(std::ops::Range<usize>) -> T + Sync,
) -> Vec<T> {
    let share = count.div_ceil(threads.max(1)).max(1);
    thread::scope(|scope| {
        let running: Vec<_> = (0..count)
            .step_by(share)
            .map(|first| {
                let work = &work;
                scope.spawn(move || work(first..count.min(first + share)))
            })
            .collect();
        running.into_iter().filter_map(|part| part.join().ok()).collect()
    })
}

impl Centroids {
    /// Trains `lists` centroids on rows that are not among `strays`, which ascend.
    pub(super) fn train(
        metric: Metric,
        (vectors, strays): (&VectorData, &[u32]),
        lists: usize,
        (threads, cancel): (usize, &AtomicBool),
        step: &dyn Fn(usize, usize),
    ) -> Self {
        let rows = vectors.rows();
        let sampled = rows.min(lists * SAMPLE_OF_A_LIST).min(MOST_SAMPLED);
        let sample = (0..sampled).map(|n| n * rows / sampled.max(1));
        let sample = sample.filter(|&row| strays.binary_search(&row_number(row)).is_err());
        if let View::Binary { width, .. } = vectors.view() {
            let sample: Vec<&[u8]> = sample.map(|row| vectors.row(row).bytes()).collect();
            let bytes = train_bits(metric, &sample, width, lists, threads, cancel);
            return Self::Bits { bytes: bytes.into(), width };
        }
        let dim = vectors.dim();
        let mut floats = Vec::with_capacity(sampled * dim);
        let mut row_floats = Vec::with_capacity(dim);
        for row in sample {
            widen(metric, vectors.row(row), &mut row_floats);
            floats.extend_from_slice(&row_floats);
        }
        let values = train(&floats, dim, lists, (threads, cancel), step);
        Self::of_floats(values.into(), dim)
    }

    /// Centroids of `dim` floats each.
    pub(super) fn of_floats(values: Section<f32>, dim: usize) -> Self {
        let stride = sq8::stride(dim);
        let count = values.as_slice().len() / dim.max(1);
        let mut mean = vec![0.0f32; dim];
        for row in values.as_slice().chunks_exact(dim.max(1)) {
            mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += x / count as f32);
        }
        let mut codes = vec![0; count * stride];
        let mut centred = Vec::with_capacity(dim);
        let rows = values.as_slice().chunks_exact(dim.max(1));
        for (row, code) in rows.zip(codes.chunks_exact_mut(stride)) {
            centred.clear();
            centred.extend(row.iter().zip(&mean).map(|(x, mean)| x - mean));
            let length = sq8::encode(&centred, code);
            sq8::set_bias(code, length);
        }
        Self::Floats { values, codes, mean, dim }
    }

    /// The same and one more, which is zero.
    pub(super) fn with_zero(self) -> Self {
        match self {
            Self::Floats { values, dim, .. } => {
                let mut values = values.as_slice().to_vec();
                values.resize(values.len() + dim, 0.0);
                Self::of_floats(values.into(), dim)
            }
            Self::Bits { .. } => self,
        }
    }

    /// Whether `list` is that of rows of length 0 under cosine, and 1 if so: see
    /// [`crate::graph::space::zero_bias`].
    pub(super) fn bias(&self, metric: Metric, list: usize) -> f32 {
        zero_bias(metric, self.floats(list)) * f32::from(u8::from(!self.floats(list).is_empty()))
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Floats { values, dim, .. } => values.as_slice().len() / dim.max(&1),
            Self::Bits { bytes, width } => bytes.as_slice().len() / width.max(&1),
        }
    }

    /// Centroid `list` as floats; nothing of bits.
    pub(super) fn floats(&self, list: usize) -> &[f32] {
        match self {
            Self::Floats { values, dim, .. } => &values.as_slice()[list * dim..][..*dim],
            Self::Bits { .. } => &[],
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        let codes = match self {
            Self::Floats { codes, .. } => codes.len(),
            Self::Bits { .. } => 0,
        };
        (self.section().len() + codes) as u64
    }

    pub(super) fn section(&self) -> &[u8] {
        match self {
            Self::Floats { values, .. } => values.as_bytes(),
            Self::Bits { bytes, .. } => bytes.as_bytes(),
        }
    }

    /// The list of each row.
    pub(super) fn assign(
        &self,
        metric: Metric,
        vectors: &VectorData,
        threads: usize,
        cancel: &AtomicBool,
    ) -> Vec<u32> {
        let part = |range: std::ops::Range<usize>| -> Vec<u32> {
            match self {
                Self::Floats { values, dim, .. } => {
                    let mut found = Vec::with_capacity(range.len());
                    let mut nearest = Nearest::new(values.as_slice(), *dim);
                    let (mut floats, mut rows) = (Vec::new(), Vec::with_capacity(TILE * dim));
                    for start in range.clone().step_by(TILE) {
                        if cancel.load(Relaxed) {
                            return vec![0; range.len()];
                        }
                        rows.clear();
                        for row in start..range.end.min(start + TILE) {
                            widen(metric, vectors.row(row), &mut floats);
                            rows.extend_from_slice(&floats);
                        }
                        nearest.of(&rows, &mut found);
                    }
                    found
                }
                Self::Bits { bytes, width } => {
                    let mut distances = vec![0.0; self.len()];
                    let list = |row| {
                        let row = vectors.row(row).bytes();
                        bit_distances(metric, row, bytes.as_slice(), *width, &mut distances);
                        nearest(&distances)
                    };
                    let stopped = |row: &usize| row.is_multiple_of(TILE) && cancel.load(Relaxed);
                    let mut found: Vec<u32> =
                        range.clone().take_while(|row| !stopped(row)).map(list).collect();
                    found.resize(range.len(), 0);
                    found
                }
            }
        };
        in_parts(vectors.rows(), threads, part).concat()
    }

    /// Every list, the `nprobe` nearest to `query` first and in order, the others in any. `floats` is
    /// the query, widened. Near lists are told apart as well as 8-bit codes can.
    pub(super) fn ranked(
        &self,
        metric: Metric,
        query: VectorRef<'_>,
        floats: &[f32],
        nprobe: usize,
    ) -> Vec<Scored> {
        let mut distances = vec![0.0; self.len()];
        match self {
            Self::Floats { codes, mean, dim, .. } => {
                let mut coded = vec![0; sq8::stride(*dim)];
                if metric == Metric::Ip {
                    sq8::encode(floats, &mut coded);
                    sq8::block(&coded, codes, -1.0, &mut distances);
                    let biases = codes.chunks_exact(coded.len()).map(sq8::bias);
                    distances.iter_mut().zip(biases).for_each(|(d, bias)| *d -= bias);
                } else {
                    let centred: Vec<f32> = floats.iter().zip(mean).map(|(x, m)| x - m).collect();
                    sq8::encode(&centred, &mut coded);
                    sq8::block(&coded, codes, -2.0, &mut distances);
                    // The list of rows of length 0 comes last, where there is one.
                    if let Some(last) = distances.last_mut() {
                        *last += self.bias(metric, self.len() - 1);
                    }
                }
            }
            Self::Bits { bytes, width } => {
                bit_distances(metric, query.bytes(), bytes.as_slice(), *width, &mut distances);
            }
        }
        let lists = distances.iter().enumerate();
        let mut ranked: Vec<Scored> =
            lists.map(|(list, &distance)| Scored::new(distance, row_number(list))).collect();
        if nprobe < ranked.len() {
            ranked.select_nth_unstable(nprobe);
        }
        let near = nprobe.min(ranked.len());
        ranked[..near].sort_unstable();
        ranked
    }
}

/// Finds the nearest of some centroids for many rows at a time.
struct Nearest<'a> {
    centroids: &'a [f32],
    dim: usize,
    distances: Vec<f32>,
}

impl<'a> Nearest<'a> {
    fn new(centroids: &'a [f32], dim: usize) -> Self {
        Self { centroids, dim, distances: Vec::new() }
    }

    /// Adds the nearest centroid of each of `rows` to `found`. Differences are squared, so that
    /// vectors far from the origin are told apart as well as others.
    fn of(&mut self, rows: &[f32], found: &mut Vec<u32>) {
        let (count, lists) = (rows.len() / self.dim.max(1), self.centroids.len() / self.dim.max(1));
        self.distances.resize(count * lists, 0.0);
        many::l2(rows, self.centroids, self.dim, &mut self.distances);
        found.extend(self.distances.chunks_exact(lists.max(1)).map(nearest));
    }
}

fn nearest(distances: &[f32]) -> u32 {
    let lists = distances.iter().enumerate();
    let best = lists.map(|(list, &distance)| Scored::new(distance, row_number(list))).min();
    best.map_or(0, Scored::row)
}

fn bit_distances(metric: Metric, row: &[u8], centroids: &[u8], width: usize, out: &mut [f32]) {
    for (out, centroid) in out.iter_mut().zip(centroids.chunks_exact(width.max(1))) {
        *out = if metric == Metric::Jaccard {
            binary::jaccard(row, centroid)
        } else {
            binary::hamming(row, centroid) as f32
        };
    }
}

/// The mean of the rows of `vectors` that `rows` names, normalised first where the metric is cosine.
pub(crate) fn mean_of(
    metric: Metric,
    vectors: &VectorData,
    rows: impl ExactSizeIterator<Item = usize>,
) -> Vec<f32> {
    let mut sums = vec![0.0f64; vectors.dim()];
    let mut floats = Vec::with_capacity(vectors.dim());
    let count = rows.len().max(1) as f64;
    for row in rows {
        widen(metric, vectors.row(row), &mut floats);
        sums.iter_mut().zip(&floats).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    #[expect(clippy::cast_possible_truncation, reason = "a mean of floats is a float")]
    let mean = sums.into_iter().map(|sum| (sum / count) as f32);
    mean.map(|x| if x.is_finite() { x } else { 0.0 }).collect()
}

/// `lists` means of `sample`, rows of `dim` floats.
pub(crate) fn train_floats(
    sample: &[f32],
    dim: usize,
    lists: usize,
    threads: usize,
    cancel: &AtomicBool,
) -> Vec<f32> {
    train(sample, dim, lists, (threads, cancel), &|_, _| ())
}

/// As [`train_floats`]; `step` is told how many of how many rounds are done.
fn train(
    sample: &[f32],
    dim: usize,
    lists: usize,
    (threads, cancel): (usize, &AtomicBool),
    step: &dyn Fn(usize, usize),
) -> Vec<f32> {
    let rows = sample.len() / dim.max(1);
    let row = |row: usize| &sample[row * dim..][..dim];
    let mut centroids: Vec<f32> = (0..lists)
        .flat_map(|list| if rows == 0 { vec![0.0; dim] } else { row(list * rows / lists).to_vec() })
        .collect();
    for round in 0..ROUNDS {
        if rows == 0 || cancel.load(Relaxed) {
            break;
        }
        step(round, ROUNDS);
        let part = |range: std::ops::Range<usize>| -> Vec<u32> {
            let mut found = Vec::with_capacity(range.len());
            let mut nearest = Nearest::new(&centroids, dim);
            for rows in sample[range.start * dim..range.end * dim].chunks(TILE * dim) {
                if cancel.load(Relaxed) {
                    break;
                }
                nearest.of(rows, &mut found);
            }
            found
        };
        let assigned = in_parts(rows, threads, part).concat();
        if cancel.load(Relaxed) {
            break;
        }
        let mut sums = vec![0.0f64; lists * dim];
        let mut counts = vec![0usize; lists];
        for (n, &list) in assigned.iter().enumerate() {
            counts[list as usize] += 1;
            let sums = &mut sums[list as usize * dim..][..dim];
            sums.iter_mut().zip(row(n)).for_each(|(sum, &x)| *sum += f64::from(x));
        }
        for list in 0..lists {
            let centroid = &mut centroids[list * dim..][..dim];
            if counts[list] == 0 {
                // A list that lost all its rows starts again at another row.
                centroid.copy_from_slice(row((list * 31 + 7) % rows));
                continue;
            }
            for (x, sum) in centroid.iter_mut().zip(&sums[list * dim..]) {
                #[expect(clippy::cast_possible_truncation, reason = "a mean of floats is a float")]
                let mean = (sum / counts[list] as f64) as f32;
                *x = if mean.is_finite() { mean } else { 0.0 };
            }
        }
    }
    centroids
}

fn train_bits(
    metric: Metric,
    sample: &[&[u8]],
    width: usize,
    lists: usize,
    threads: usize,
    cancel: &AtomicBool,
) -> Vec<u8> {
    let rows = sample.len();
    let mut centroids: Vec<u8> = (0..lists)
        .flat_map(|list| sample.get(list * rows / lists).map_or(vec![0; width], |row| row.to_vec()))
        .collect();
    for _ in 0..ROUNDS {
        if rows == 0 || cancel.load(Relaxed) {
            break;
        }
        let part = |range: std::ops::Range<usize>| -> Vec<u32> {
            let mut distances = vec![0.0; lists];
            range
                .take_while(|n| n % TILE != 0 || !cancel.load(Relaxed))
                .map(|n| {
                    bit_distances(metric, sample[n], &centroids, width, &mut distances);
                    nearest(&distances)
                })
                .collect()
        };
        let assigned = in_parts(rows, threads, part).concat();
        if cancel.load(Relaxed) {
            break;
        }
        let mut votes = vec![0i32; lists * width * 8];
        for (row, &list) in sample.iter().zip(&assigned) {
            let votes = &mut votes[list as usize * width * 8..][..width * 8];
            for (bit, vote) in votes.iter_mut().enumerate() {
                *vote += if row[bit / 8] >> (bit % 8) & 1 == 1 { 1 } else { -1 };
            }
        }
        let voted = votes.chunks_exact(8).map(|votes| {
            let bits = votes.iter().enumerate();
            bits.fold(0u8, |byte, (bit, &vote)| byte | u8::from(vote > 0) << bit)
        });
        let mut used = vec![false; lists];
        assigned.iter().for_each(|&list| used[list as usize] = true);
        for (n, byte) in voted.enumerate() {
            if used[n / width.max(1)] {
                centroids[n] = byte;
            }
        }
    }
    centroids
}
