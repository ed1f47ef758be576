//! The index under test: built from a data set, written, and opened again as it is served.

use std::fs::File;
use std::io::{BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use milvus_index::{
    Build, IndexType, VectorData, VectorField, VectorIndex, build, check_index,
    estimate_build_bytes, open, open_file,
};
use milvus_types::{KeyValue, MetricType};
use serde_json::{Value, json};

use crate::gauge::{Memory, mb, timed};
use crate::{Outcome, mapped};

/// What to build.
pub(crate) struct Wanted {
    /// Its type.
    pub(crate) index_type: IndexType,
    /// How vectors are compared.
    pub(crate) metric: MetricType,
    /// Parameters of creation, a JSON object.
    pub(crate) params: Value,
    /// Threads that build.
    pub(crate) threads: usize,
}

/// An index that was written to a file and opened from it.
pub(crate) struct Subject {
    /// What is searched.
    pub(crate) index: Arc<dyn VectorIndex>,
    /// Where it lies.
    pub(crate) file: PathBuf,
    /// What building it took.
    pub(crate) figures: Value,
}

impl Wanted {
    fn check(&self, vectors: &VectorData) -> Outcome<Build> {
        let given = self.params.as_object().ok_or("--params is not a JSON object")?;
        let mut params: Vec<KeyValue> = given
            .iter()
            .map(|(key, value)| {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                KeyValue::new(key.as_str(), text)
            })
            .collect();
        params.push(KeyValue::new("index_type", self.index_type.name()));
        params.push(KeyValue::new("metric_type", self.metric.name()));
        Ok(check_index(&VectorField::new(vectors.data_type(), vectors.dim()), &params)?)
    }

    /// Builds over `vectors`, writes to `file` and opens that.
    pub(crate) fn build(&self, vectors: &VectorData, file: &Path) -> Outcome<Subject> {
        let definition = self.check(vectors)?;
        touch(vectors);
        Memory::forget_peak();
        let before = Memory::now();
        let (built, spent) = timed(|| {
            let never = AtomicBool::new(false);
            build(&definition, vectors.clone(), self.threads, &|_, _| (), &never)
        });
        let built = built?;
        let peak = Memory::now().peak.saturating_sub(before.resident);
        let estimate = estimate_build_bytes(&definition, vectors.rows());
        let ((), written) = {
            let (outcome, spent) = timed(|| -> Outcome<()> {
                let mut out = BufWriter::new(File::create(file)?);
                built.write(&mut out)?;
                Ok(out.flush()?)
            });
            (outcome?, spent)
        };
        let kept = built.index().memory_bytes();
        drop(built);
        let (index, opened) = timed(|| open_index(file, vectors));
        let file_bytes = std::fs::metadata(file)?.len();
        let figures = json!({
            "build_s": spent.wall_s, "build_cpu_s": spent.cpu_s, "build_threads": self.threads,
            "peak_mb": mb(peak), "estimate_mb": mb(estimate),
            "index_mb": mb(file_bytes), "memory_mb": mb(kept),
            "vectors_mb": mb(vectors.bytes() as u64),
            "write_s": written.wall_s, "open_warm_ms": opened.wall_s * 1e3,
        });
        Ok(Subject { index: index?, file: file.to_owned(), figures })
    }
}

/// Bytes at the beginning of an index file that name its type.
const HEAD: usize = 256;

/// Opens the index in `file` over the `vectors` it was built from, as the server does: mapped, but
/// DISKANN to be read from.
pub(crate) fn open_index(file: &Path, vectors: &VectorData) -> Outcome<Arc<dyn VectorIndex>> {
    let mut head = Vec::new();
    File::open(file)?.take(HEAD as u64).read_to_end(&mut head)?;
    let name = IndexType::DiskAnn.name().as_bytes();
    if head.windows(name.len()).any(|part| part == name) {
        return Ok(open_file(Arc::new(File::open(file)?), vectors.clone())?);
    }
    Ok(open(mapped::map(file, 0)?, vectors.clone())?)
}

/// Reads every vector once, so that the pages of a mapped file are not counted as a build's.
fn touch(vectors: &VectorData) {
    let sum: u64 = vectors
        .iter()
        .map(|row| row.bytes().iter().step_by(512).map(|byte| u64::from(*byte)).sum::<u64>())
        .sum();
    std::hint::black_box(sum);
}
