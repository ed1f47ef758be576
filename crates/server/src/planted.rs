//! What tests of crashes ask a server for: defects, by `MILVUS_PLANTED_BUG`, to show that the checker
//! finds them; and a place to end at, by `MILVUS_FAILPOINT`. No real run sets them; one that does says
//! so loudly.

use milvus_base::failpoint;
use milvus_streaming::PlantedBug;
use milvus_wal::PlantedBug as PlantedLogBug;

use crate::start_error::StartError;

const VARIABLE: &str = "MILVUS_PLANTED_BUG";
const FAILPOINT: &str = "MILVUS_FAILPOINT";

/// The places of `milvus_base::failpoint::hit` that a running server comes by, besides those in the log.
const FAILPOINTS: &[&str] = &[
    "storage.upload.before-complete",
    "storage.put.before-answer",
    "flush.files-written",
    "flush.before-commit",
    "flush.after-commit",
    "manifest.written",
    "manifest.current",
    "log.cut-recorded",
    "index.file-written",
    "index.committed",
    "compact.job-recorded",
    "compact.columns",
    "compact.written",
    "compact.outputs-written",
    "compact.before-commit",
    "compact.after-commit",
];

/// Arms the failpoint that the environment names, if it names one.
pub(crate) fn arm_failpoint() -> Result<(), StartError> {
    let Some(spec) = std::env::var_os(FAILPOINT) else { return Ok(()) };
    let spec = spec.to_string_lossy();
    let known: Vec<&str> = FAILPOINTS.iter().copied().chain(milvus_wal::FAILPOINTS).collect();
    failpoint::arm(&spec, &known)?;
    tracing::error!(%spec, "this server ends at a failpoint on purpose");
    Ok(())
}

/// Which defects are on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Planted {
    pub(crate) log: PlantedLogBug,
    pub(crate) streaming: Option<PlantedBug>,
}

impl Planted {
    pub(crate) fn from_environment() -> Result<Self, StartError> {
        let Some(name) = std::env::var_os(VARIABLE) else { return Ok(Self::default()) };
        let name = name.to_string_lossy();
        tracing::error!(%name, "a defect is planted: this server loses data on purpose");
        match &*name {
            "ack-before-append" => Ok(Self {
                log: PlantedLogBug::AcknowledgeUnwritten { one_in: 16 },
                streaming: None,
            }),
            "rename-on-timeout" => {
                Ok(Self { log: PlantedLogBug::RenameOnTimeout, streaming: None })
            }
            "skip-sync" => Ok(Self { log: PlantedLogBug::SkipSync, streaming: None }),
            other => match PlantedBug::parse(other) {
                Some(bug) => Ok(Self { streaming: Some(bug), ..Self::default() }),
                None => Err(StartError::UnknownPlantedBug { name: other.to_owned() }),
            },
        }
    }
}
