//! How a shard owner behaves: when it seals, and the bugs that tests plant to show that the
//! checkers find them.

use std::time::Duration;

/// Settings of [`StreamingService`](crate::StreamingService).
#[derive(Clone, Debug)]
pub struct StreamingOptions {
    /// A shard seals its growing segments when they hold so many bytes
    /// (`dataCoord.segment.maxSize` x `dataCoord.segment.sealProportion`).
    pub seal_bytes: u64,
    /// ... or so many rows.
    pub seal_rows: u64,
    /// ... or when nothing was written for so long (`dataCoord.segment.maxIdleTime`).
    pub max_idle: Duration,
    /// ... or when the oldest row waits for so long (`dataCoord.segment.maxLife`).
    pub max_life: Duration,
    /// How long a segment that was compacted away answers reads that began before: longer than a
    /// search takes from its hits to their fields. Later, such a read is told to search again.
    pub retire_after: Duration,
    /// A write that is under way for so long is undecided: its log cannot be written. Reads then go
    /// on without it.
    pub undecided_after: Duration,
    /// How long a read of one exact snapshot waits for writes that it must see, at most.
    pub snapshot_wait: Duration,
    /// A defect switched on by a test of the checkers; `None` in every real run.
    pub planted_bug: Option<PlantedBug>,
}

impl Default for StreamingOptions {
    fn default() -> Self {
        Self {
            seal_bytes: 120 << 20,
            seal_rows: 4_000_000,
            max_idle: Duration::from_secs(600),
            max_life: Duration::from_secs(86_400),
            retire_after: Duration::from_secs(20),
            undecided_after: Duration::from_secs(2),
            snapshot_wait: Duration::from_secs(10),
            planted_bug: None,
        }
    }
}

/// A defect that a checker must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlantedBug {
    /// Forget the last record when the log is replayed.
    DropLastOnReplay,
    /// Commit a flush without its delete files.
    LoseDeletes,
}

impl PlantedBug {
    /// The bug called `name`.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "drop-last-on-replay" => Self::DropLastOnReplay,
            "lose-deletes" => Self::LoseDeletes,
            _ => return None,
        })
    }
}
