//! How a check and a repair are done.

use std::fmt;
use std::sync::Arc;

use milvus_base::Clock;

/// Who is told how far a check has come.
pub type OnProgress = Arc<dyn Fn(&Progress) + Send + Sync>;

/// How far a check has come. Shown, it is one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Files done.
    pub files: u64,
    /// Files there are, as far as is known.
    pub files_total: u64,
    /// Bytes read of them.
    pub bytes: u64,
    /// Bytes there are.
    pub bytes_total: u64,
    /// What is being looked at.
    pub object: String,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { files, files_total, bytes, bytes_total, object } = self;
        let mib = |bytes: &u64| bytes >> 20;
        let (done, total) = (mib(bytes), mib(bytes_total));
        write!(f, "{files} of {files_total} files, {done} of {total} MiB: {object}")
    }
}

/// How a check is done.
#[derive(Clone)]
pub struct CheckOptions {
    /// Bytes read at a time.
    pub piece_bytes: u64,
    /// Segments looked at at the same time; more help where reading means waiting.
    pub parallel: usize,
    /// Told before each file, and within large ones.
    pub on_progress: Option<OnProgress>,
    /// What is left out on purpose. Tests only.
    pub planted_bug: PlantedBug,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self { piece_bytes: 1 << 20, parallel: 4, on_progress: None, planted_bug: PlantedBug::None }
    }
}

impl fmt::Debug for CheckOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { piece_bytes, parallel, on_progress: _, planted_bug } = self;
        f.debug_struct("CheckOptions")
            .field("piece_bytes", piece_bytes)
            .field("parallel", parallel)
            .field("planted_bug", planted_bug)
            .finish_non_exhaustive()
    }
}

/// A part of the check that is left out, so that the tests of it can be shown to notice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlantedBug {
    /// Nothing is left out.
    #[default]
    None,
    /// Checksums of whole files.
    SkipChecksums,
    /// What is in columns.
    SkipColumns,
    /// What manifests say of the values in columns.
    SkipStats,
    /// What is in key indexes.
    SkipKeys,
    /// What is in delete files.
    SkipDeletes,
    /// What is in index files.
    SkipIndexes,
    /// Whether what is named exists.
    SkipReferences,
    /// Whether the log reaches to where replay begins.
    SkipCheckpoints,
    /// The log.
    SkipLog,
    /// Files that nothing names.
    SkipOrphans,
}

/// How a repair is done.
#[derive(Clone, Debug, Default)]
pub struct RepairOptions {
    /// How the checks before and after it are done.
    pub check: CheckOptions,
    /// Says what would be done and does nothing.
    pub dry_run: bool,
    /// Names the folder of what is put aside.
    pub clock: Clock,
}
