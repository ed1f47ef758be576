//! Defects that a test of the crash checker switches on through `MILVUS_PLANTED_BUG`, to show that
//! the checker finds them. No real run sets it; one that does says so loudly.

use milvus_streaming::PlantedBug;
use milvus_wal::PlantedBug as PlantedLogBug;

use crate::start_error::StartError;

const VARIABLE: &str = "MILVUS_PLANTED_BUG";

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
            "skip-sync" => Ok(Self { log: PlantedLogBug::SkipSync, streaming: None }),
            other => match PlantedBug::parse(other) {
                Some(bug) => Ok(Self { streaming: Some(bug), ..Self::default() }),
                None => Err(StartError::UnknownPlantedBug { name: other.to_owned() }),
            },
        }
    }
}
