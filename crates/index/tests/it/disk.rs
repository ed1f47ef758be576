//! DISKANN: recall with and without filters, read from a file or mapped, memory, damage.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use milvus_index::{
    BuildError, IndexType, OpenError, ReadAt, SearchParams, VectorData, VectorIndex, Vectors,
    brute_force, build, estimate_build_bytes, exact_search, open, open_file,
};
use milvus_kernel::Bitset;
use milvus_types::{DataType, MetricType};

use crate::data::{METRICS, built, built_over, clustered, definition, of_kind, search, vectors};

/// A file in memory that counts what is read, and fails when told.
struct Counted {
    bytes: Vec<u8>,
    reads: AtomicUsize,
    fails: AtomicBool,
}

impl ReadAt for Counted {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.reads.fetch_add(1, Ordering::Relaxed);
        let start = usize::try_from(offset).unwrap();
        let bytes = self.bytes.get(start..start + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.bytes.len() as u64)
    }
}

fn file_of(index: &dyn VectorIndex) -> Arc<Counted> {
    let mut bytes = Vec::new();
    index.write(&mut bytes).unwrap();
    Arc::new(Counted { bytes, reads: AtomicUsize::new(0), fails: AtomicBool::new(false) })
}

fn recall(
    index: &dyn VectorIndex,
    segment: &Vectors,
    queries: &[f32],
    list: usize,
    live: Option<&Bitset>,
) -> f64 {
    let (mut found, mut wanted) = (0, 0);
    for query in queries.chunks_exact(segment.dim()) {
        let want = brute_force(index.metric(), query, segment.as_slice(), live, 10);
        let hits = search(index, query, 10, list, live);
        assert_eq!(hits.len(), want.len());
        assert!(live.is_none_or(|live| hits.iter().all(|hit| live.get(hit.row as usize))));
        found += hits.iter().filter(|hit| want.contains(hit)).count();
        wanted += want.len();
    }
    found as f64 / wanted as f64
}

#[test]
fn graphs_on_disk_find_the_nearest_in_few_reads_and_little_memory() {
    let (rows, dim) = (3000, 384);
    let segment = vectors(clustered(rows, dim, 300, 0.4, 1), dim);
    let queries = clustered(60, dim, 300, 0.4, 1);
    for metric in METRICS {
        for threads in [1, 2] {
            let built = built(IndexType::DiskAnn, metric, &segment, threads).into_index();
            let file = file_of(&*built);
            let index = open_file(file.clone(), segment.clone()).unwrap();
            let share = index.memory_bytes() as f64 / size_of_val(segment.as_slice()) as f64;
            assert!(share <= 0.15, "{metric}: {share}");
            let before = file.reads.load(Ordering::Relaxed);
            let share = recall(&*index, &segment, &queries, 60, None);
            let reads = (file.reads.load(Ordering::Relaxed) - before) / 60;
            assert!(share >= 0.95 && reads <= 70, "{metric} {threads}: {share} in {reads} reads");
            for query in queries.chunks_exact(dim).step_by(7) {
                let want = search(&*index, query, 10, 60, None);
                assert_eq!(search(&*built, query, 10, 60, None), want);
            }
        }
    }
}

#[test]
fn filters_of_any_share_keep_recall() {
    let (rows, dim) = (8000, 96);
    let segment = vectors(clustered(rows, dim, 200, 0.4, 4), dim);
    let queries = clustered(40, dim, 200, 0.4, 4);
    let index = built(IndexType::DiskAnn, MetricType::Cosine, &segment, 2).into_index();
    for percent in [99, 90, 50, 20, 7, 1] {
        let scattered = Bitset::from_bools((0..rows).map(|row| row * 7919 % 100 < percent));
        let together = Bitset::from_bools((0..rows).map(|row| row % 200 < percent * 2));
        for live in [scattered, together] {
            let share = recall(&*index, &segment, &queries, 60, Some(&live));
            assert!(share >= 0.95, "{percent} %: {share}");
        }
    }
}

#[test]
fn narrow_floats_are_read_from_a_file_as_from_memory() {
    for data_type in [DataType::FloatVector, DataType::Float16Vector, DataType::BFloat16Vector] {
        // Nodes of a fraction of a sector, and of more than one.
        for (rows, dim, metrics) in [(1200, 32, &METRICS[..]), (600, 2400, &METRICS[2..])] {
            let segment = of_kind(data_type, rows, dim, 3);
            let queries = of_kind(data_type, 10, dim, 4);
            for &metric in metrics {
                let built = built_over(IndexType::DiskAnn, metric, &segment, 2).into_index();
                let file = file_of(&*built);
                let mapped = open(Arc::new(file.bytes.clone()), segment.clone()).unwrap();
                let index = open_file(file.clone(), segment.clone()).unwrap();
                let mut again = Vec::new();
                index.write(&mut again).unwrap();
                assert!(again == file.bytes, "a file is written again as it was");
                let want = exact_search(metric, &queries, &segment, None, 10).unwrap();
                let mut near = 0;
                for (query, want) in queries.iter().zip(&want) {
                    let params = milvus_index::SearchParams {
                        ef: 60,
                        ..milvus_index::SearchParams::for_k(10)
                    };
                    let (mut a, mut b) = (Vec::new(), Vec::new());
                    index.search(query, 10, &params, None, &mut a);
                    mapped.search(query, 10, &params, None, &mut b);
                    assert_eq!(a, b);
                    near += a.iter().filter(|hit| want.contains(hit)).count();
                }
                assert!(near >= 80, "{data_type} {dim} {metric}: {near}");
            }
        }
    }
}

#[test]
fn every_type_can_be_read_from_a_file() {
    let segment = of_kind(DataType::FloatVector, 400, 32, 3);
    for index_type in [IndexType::Flat, IndexType::IvfSq8, IndexType::Annoy] {
        let built = built_over(index_type, MetricType::Cosine, &segment, 1).into_index();
        let index = open_file(file_of(&*built), segment.clone()).unwrap();
        assert_eq!(index.memory_bytes(), built.memory_bytes());
        let VectorData::Float(floats) = &segment else { panic!("not floats") };
        assert_eq!(search(&*index, floats.row(3), 9, 16, None)[0].row, 3);
    }
}

#[test]
fn reads_that_fail_are_an_error_at_first_and_cost_nothing_but_time_later() {
    let (rows, dim) = (2000, 64);
    let segment = vectors(clustered(rows, dim, 100, 0.4, 1), dim);
    let built = built(IndexType::DiskAnn, MetricType::L2, &segment, 1).into_index();
    let file = file_of(&*built);
    let index = open_file(file.clone(), segment.clone()).unwrap();
    file.fails.store(true, Ordering::Relaxed);
    let queries = clustered(20, dim, 100, 0.4, 1);
    assert!(recall(&*index, &segment, &queries, 60, None) > 0.0);
    let refused = open_file(file, segment).err();
    assert_eq!(refused, Some(OpenError::Read(io::ErrorKind::TimedOut)));
}

#[test]
fn a_damaged_file_that_is_read_from_is_refused() {
    let segment = vectors(clustered(300, 24, 10, 0.4, 1), 24);
    let good = file_of(&*built(IndexType::DiskAnn, MetricType::Ip, &segment, 1).into_index());
    let damaged = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.bytes.clone();
        change(&mut bytes);
        let fails = AtomicBool::new(false);
        let file = Counted { bytes, reads: AtomicUsize::new(0), fails };
        open_file(Arc::new(file), segment.clone()).err()
    };
    assert_eq!(damaged(&|_| ()), None);
    for bit in (0..good.bytes.len() * 8).step_by(9973) {
        assert!(damaged(&|bytes| bytes[bit / 8] ^= 1 << (bit % 8)).is_some(), "bit {bit}");
    }
    for len in (0..good.bytes.len()).step_by(4999) {
        assert!(damaged(&|bytes| bytes.truncate(len)).is_some(), "cut to {len}");
    }
}

#[test]
fn a_build_is_sized_reported_and_stopped() {
    let segment = vectors(clustered(5000, 20, 40, 0.3, 5), 20);
    let definition = definition(IndexType::DiskAnn, MetricType::L2, 20);
    let seen = AtomicUsize::new(0);
    let progress = |done: usize, total: usize| {
        assert!(done <= total);
        seen.fetch_max(done, Ordering::Relaxed);
    };
    let run = |stop| build(&definition, segment.clone(), 2, &progress, &AtomicBool::new(stop));
    let built = run(false).unwrap();
    assert_eq!(seen.load(Ordering::Relaxed), 5000);
    assert_eq!(run(true).err(), Some(BuildError::Cancelled));
    assert!(built.index().memory_bytes() <= estimate_build_bytes(&definition, 5000));
}

#[test]
fn codes_of_narrow_numbers_find_the_nearest_where_no_parts_divide_the_dimension() {
    let dim = 33;
    for (data_type, metric) in [
        (DataType::Float16Vector, MetricType::Ip),
        (DataType::Float16Vector, MetricType::L2),
        (DataType::BFloat16Vector, MetricType::Cosine),
    ] {
        let segment = of_kind(data_type, 6000, dim, 5);
        let queries = of_kind(data_type, 30, dim, 6);
        let index = built_over(IndexType::DiskAnn, metric, &segment, 2).into_index();
        let want = exact_search(metric, &queries, &segment, None, 10).unwrap();
        let mut found = 0;
        for (query, want) in queries.iter().zip(&want) {
            let mut hits = Vec::new();
            index.search(query, 10, &SearchParams::for_k(10), None, &mut hits);
            // Whole numbers make many rows equally near.
            let worst = want.last().map(|hit| hit.score).unwrap();
            let smaller = metric == MetricType::L2;
            let near = |score: f32| if smaller { score <= worst } else { score >= worst };
            found += hits.iter().filter(|hit| near(hit.score)).count();
        }
        assert!(found >= 285, "{data_type} {metric}: {found} of 300");
    }
}
