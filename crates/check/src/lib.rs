//! `milvus check`: is every byte of a data directory or bucket what was written, and does everything
//! that names something name something that is there? And `--repair`: damage leaves the collection,
//! and is kept aside.
//!
//! ```text
//!   DataDir      a data directory: seen without a change of one byte, or locked for repair
//!   check        catalogue -> log -> manifests -> files -> what nothing names     => Report
//!   repair       Report -> copy aside -> manifest by compare-and-swap -> remove    => Repair
//! ```
//!
//! What [`check`] promises: it changes nothing, reads every byte that counts, needs memory for one
//! file at a time and not for the data, and says of each [`Finding`] which object, which byte where
//! that is known, whom it concerns and what can be done. A failure to read is never taken for damage.
//! What [`repair`] promises: it deletes no data, a crash at any moment leaves a directory that a
//! further repair finishes, and repeating it changes nothing.
//!
//! | module | what it verifies |
//! |---|---|
//! | `catalogue` | every entry decodes, and what it refers to is there |
//! | `log` | every record of every channel |
//! | `manifest` | the current manifest of each collection, and what it refers to |
//! | `checkpoints` | the log reaches to where manifests say that replay begins |
//! | `segment`, `columns`, `keys`, `deletes`, `indexes` | the files of a segment |
//! | `stats` | what manifests say of the values in columns |
//! | `owner` | the bucket is the catalogue's |
//! | `newer` | manifests later than the one that the catalogue calls current |
//! | `orphans` | files that nothing names, and what is in quarantine |
//!
//! Not here: the formats (`format`, `index`, `scalar`, `wal`, `meta`), the command line (`server`).
#![warn(missing_docs)]

mod catalogue;
mod check;
mod checkpoints;
mod columns;
mod data_dir;
mod deletes;
mod error;
mod file;
mod finding;
mod indexes;
mod keys;
mod log;
mod manifest;
mod newer;
mod options;
mod orphans;
mod outcome;
mod overlay;
mod owner;
mod quarantine;
mod repair;
mod report;
mod segment;
mod stats;
mod target;
mod time;
mod view;

pub use check::check;
pub use data_dir::DataDir;
pub use error::{CheckError, DataDirError, RepairError};
pub use finding::{Action, Concern, Finding, Severity};
pub use options::{CheckOptions, OnProgress, PlantedBug, Progress, RepairOptions};
pub use overlay::Overlay;
pub use quarantine::{QUARANTINE, QuarantineNote, QuarantinedFile};
pub use repair::{FAILPOINTS, Repair, Step, repair};
pub use report::{Counts, Report};
pub use target::{LogSource, Placement, Target};
