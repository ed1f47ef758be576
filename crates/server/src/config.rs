//! Configuration: `milvus.yaml`, environment and flags, under Milvus's names.
//!
//! A value comes from the first of: flag, environment, file, default. Keys are dotted and matched
//! without regard to case. A key or value that cannot be right is an error that names it and says
//! what was expected; a key of Milvus that this version does not use yet is accepted, and noted in
//! [`Config::notes`] so that the log can say so.
//!
//! The table of keys is [`keys::KEYS`].

pub mod bytes;
pub mod duration;
mod environment;
mod error;
mod file;
pub mod keys;
mod storage;
mod values;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use milvus_types::limits::Limits;

pub use error::ConfigError;
pub use storage::{LogConfig, StorageConfig};
pub use values::Origin;

use values::Values;

/// A value given on the command line for a key.
#[derive(Clone, Debug)]
pub struct Flag {
    /// The key it sets.
    pub key: &'static str,
    /// The flag, as it is typed: `--port`.
    pub name: &'static str,
    /// Its value.
    pub value: String,
}

/// Where configuration comes from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file asked for; without one, `$MILVUSCONF/milvus.yaml` or `./milvus.yaml` if there is.
    pub file: Option<PathBuf>,
    /// Variables of the environment.
    pub environment: Vec<(String, String)>,
    /// Flags.
    pub flags: Vec<Flag>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Everything that can be set.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where clients connect (`proxy.ip`).
    pub address: IpAddr,
    /// The port for gRPC (`proxy.port`); 0 for any free one.
    pub port: u16,
    /// The port of health and metrics (`metrics.port`); 0 for any free one.
    pub metrics_port: u16,
    /// Whether somebody asked for that port, so that no other will do.
    pub metrics_port_is_asked_for: bool,
    /// Where everything is kept (`localStorage.path`).
    pub data_dir: PathBuf,
    /// `log.level`.
    pub log_level: String,
    /// `log.format`.
    pub log_format: LogFormat,
    /// How long requests under way may take after the signal to stop (`proxy.gracefulStopTimeout`).
    pub graceful_stop: Duration,
    /// The largest request (`proxy.grpc.serverMaxRecvSize`).
    pub max_request_bytes: usize,
    /// The largest reply (`proxy.grpc.serverMaxSendSize`).
    pub max_reply_bytes: usize,
    /// Limits of requests and schemas.
    pub limits: Limits,
    /// Flushes a second of one collection (`quotaAndLimits.flushRate.collection.max`); `None` for
    /// any number.
    pub flush_rate: Option<f64>,
    /// How many log channels there are (`rootCoord.dmlChannelNum`).
    pub channel_count: usize,
    /// What their names begin with: `by-dev-rootcoord-dml`.
    pub channel_prefix: String,
    /// When a segment is full and when it has waited long enough.
    pub segments: SegmentConfig,
    /// Where segments and manifests are.
    pub storage: StorageConfig,
    /// Where the log is.
    pub log: LogConfig,
    /// When and how segments are compacted.
    pub compaction: CompactionConfig,
    /// What the user should know: keys that were accepted and are not used yet.
    pub notes: Vec<String>,
    /// The file that was read.
    pub file: Option<PathBuf>,
}

/// When segments are compacted.
#[derive(Clone, Debug, PartialEq)]
pub struct CompactionConfig {
    /// `dataCoord.enableCompaction` and `dataCoord.compaction.enableAutoCompaction`.
    pub is_automatic: bool,
    /// `dataCoord.compaction.single.ratio.threshold`.
    pub min_dead_ratio: f64,
    /// `common.retentionDuration`.
    pub retention: Duration,
    /// Files that nothing names any more stay for so long (`dataCoord.gc.dropTolerance`).
    pub file_grace: Duration,
}

/// The life of a growing segment.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentConfig {
    /// `dataCoord.segment.maxSize`.
    pub max_bytes: u64,
    /// Sealed when this share of `max_bytes` is reached (`dataCoord.segment.sealProportion`).
    pub seal_proportion: f64,
    /// Sealed when nothing was written for so long (`dataCoord.segment.maxIdleTime`).
    pub max_idle: Duration,
    /// Sealed at this age (`dataCoord.segment.maxLife`).
    pub max_life: Duration,
    /// Smaller segments get no index (`indexCoord.segment.minSegmentNumRowsToEnableIndex`).
    pub min_rows_to_index: u64,
}

impl Config {
    /// Reads every source and checks every value.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let mut values = Values::default();
        let file = find_file(sources);
        if let Some(path) = &file {
            file::read(path, &mut values)?;
        }
        environment::read(&sources.environment, &mut values)?;
        for flag in &sources.flags {
            values.set(flag.key, flag.value.clone(), Origin::Flag(flag.name))?;
        }
        Self::from_values(values, file)
    }

    fn from_values(values: Values, file: Option<PathBuf>) -> Result<Self, ConfigError> {
        values.check_choices()?;
        let flush_rate = values.number("quotaAndLimits.flushRate.collection.max")?;
        let is_flush_limited = values.flag("quotaAndLimits.enabled")?
            && values.flag("quotaAndLimits.flushRate.enabled")?;
        let address = values.text("proxy.ip");
        let channel_prefix = format!(
            "{}-{}",
            values.text("msgChannel.chanNamePrefix.cluster"),
            values.text("msgChannel.chanNamePrefix.rootCoordDml")
        );
        let storage = storage::storage(&values)?;
        let log = storage::log(&values, &storage)?;
        Ok(Self {
            address: parse_address(&address).ok_or_else(|| values.wrong("proxy.ip"))?,
            port: values.integer("proxy.port")?,
            metrics_port: values.integer("metrics.port")?,
            metrics_port_is_asked_for: values.is_set("metrics.port"),
            data_dir: values.text("localStorage.path").into(),
            log_level: values.text("log.level").to_lowercase(),
            log_format: match values.text("log.format").to_lowercase().as_str() {
                "json" => LogFormat::Json,
                _ => LogFormat::Text,
            },
            graceful_stop: Duration::from_secs(values.integer("proxy.gracefulStopTimeout")?),
            max_request_bytes: values.integer("proxy.grpc.serverMaxRecvSize")?,
            max_reply_bytes: values.integer("proxy.grpc.serverMaxSendSize")?,
            limits: limits(&values)?,
            flush_rate: (is_flush_limited && flush_rate >= 0.0).then_some(flush_rate),
            channel_count: values.integer("rootCoord.dmlChannelNum")?,
            channel_prefix,
            segments: segments(&values)?,
            storage,
            log,
            compaction: compaction(&values)?,
            notes: values.notes(),
            file,
        })
    }
}

fn find_file(sources: &Sources) -> Option<PathBuf> {
    if sources.file.is_some() {
        return sources.file.clone();
    }
    let folder = sources.environment.iter().find(|(name, _)| name == "MILVUSCONF");
    let beside = Path::new("milvus.yaml").to_owned();
    folder
        .map(|(_, folder)| Path::new(folder).join("milvus.yaml"))
        .into_iter()
        .chain([beside])
        .find(|path| path.is_file())
}

/// An address, without asking any name server.
fn parse_address(text: &str) -> Option<IpAddr> {
    if text.eq_ignore_ascii_case("localhost") {
        return Some(Ipv4Addr::LOCALHOST.into());
    }
    text.parse().ok()
}

fn limits(values: &Values) -> Result<Limits, ConfigError> {
    Ok(Limits {
        name_length: values.integer("proxy.maxNameLength")?,
        description_length: values.integer("proxy.maxCollectionDescriptionLength")?,
        fields: values.integer("proxy.maxFieldNum")?,
        vector_fields: values.integer("proxy.maxVectorFieldNum")?,
        shards: values.integer("proxy.maxShardNum")?,
        dim: values.integer("proxy.maxDimension")?,
        varchar_length: values.integer("proxy.maxVarCharLength")?,
        array_capacity: values.integer("proxy.maxArrayCapacity")?,
        json_length: values.integer("common.JSONMaxLength")?,
        partitions: values.integer("rootCoord.maxPartitionNum")?,
        databases: values.integer("rootCoord.maxDatabaseNum")?,
        collections: values.integer("quotaAndLimits.limits.maxCollectionNum")?,
        collections_per_db: values.integer("quotaAndLimits.limits.maxCollectionNumPerDB")?,
        general_capacity: values.integer("rootCoord.maxGeneralCapacity")?,
        top_k: values.integer("quotaAndLimits.limits.topK")?,
        large_top_k: values.integer("quotaAndLimits.limits.largeTopK")?,
        nq: values.integer("quotaAndLimits.limits.nq")?,
        query_result_window: values.integer("quotaAndLimits.limits.maxQueryResultWindow")?,
        large_query_result_window: values
            .integer("quotaAndLimits.limits.largeMaxQueryResultWindow")?,
        output_bytes: values.integer("quotaAndLimits.limits.maxOutputSize")?,
        index_params_bytes: values.integer("proxy.maxIndexParamsSize")?,
        graceful_time_ms: values.integer("common.gracefulTime")?,
    })
}

fn segments(values: &Values) -> Result<SegmentConfig, ConfigError> {
    let max_size_mb: u64 = values.integer("dataCoord.segment.maxSize")?;
    Ok(SegmentConfig {
        max_bytes: max_size_mb.saturating_mul(1 << 20),
        seal_proportion: values.number("dataCoord.segment.sealProportion")?,
        max_idle: Duration::from_secs(values.integer("dataCoord.segment.maxIdleTime")?),
        max_life: Duration::from_secs(values.integer("dataCoord.segment.maxLife")?),
        min_rows_to_index: values.integer("indexCoord.segment.minSegmentNumRowsToEnableIndex")?,
    })
}

fn compaction(values: &Values) -> Result<CompactionConfig, ConfigError> {
    let is_on = values.flag("dataCoord.enableCompaction")?;
    Ok(CompactionConfig {
        is_automatic: is_on && values.flag("dataCoord.compaction.enableAutoCompaction")?,
        min_dead_ratio: values.number("dataCoord.compaction.single.ratio.threshold")?,
        retention: Duration::from_secs(values.integer("common.retentionDuration")?),
        file_grace: Duration::from_secs(values.integer("dataCoord.gc.dropTolerance")?),
    })
}

#[cfg(test)]
mod tests;
