//! Ways to break the promises of the log on purpose, so that checkers of them can be shown to notice.

/// What is wrong with a log on purpose. Tests only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlantedBug {
    /// Nothing is wrong.
    #[default]
    None,
    /// Nothing is synced: what is acknowledged survives a kill, not a loss of power. Only where the log
    /// itself syncs; an object store makes durable whatever it takes.
    SkipSync,
    /// One batch in so many is acknowledged and never written: lost with the process.
    AcknowledgeUnwritten {
        /// Every how manyth batch.
        one_in: u64,
    },
    /// A put whose reply was lost counts as failed, and the same records are written again under the
    /// next name. Only where the log lies in an object store.
    RenameOnTimeout,
}
