//! Log lines: to standard error, as text or JSON.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};

/// The variable with the filter, such as `debug` or `info,milvus_wal=debug`.
const FILTER_VARIABLE: &str = "MILVUS_LOG";

/// A filter that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("wrong value for {FILTER_VARIABLE}: got {got:?}: {reason}")]
pub struct WrongFilter {
    /// The filter.
    got: String,
    /// Why.
    reason: String,
}

/// Starts logging. A flag for the level beats `MILVUS_LOG`, which beats every other source.
pub fn start(config: &Config, level_is_flag: bool) -> Result<(), WrongFilter> {
    let variable = std::env::var(FILTER_VARIABLE).ok().filter(|_| !level_is_flag);
    let filter = match variable {
        Some(got) => EnvFilter::try_new(&got)
            .map_err(|error| WrongFilter { got, reason: error.to_string() })?,
        None => EnvFilter::new(&config.log_level),
    };
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match config.log_format {
        LogFormat::Text => lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}
