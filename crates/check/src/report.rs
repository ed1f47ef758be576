//! What a check found, for people and for programs.
//!
//! Exit status of the command, from [`Report::exit_code`]:
//!
//! | status | meaning |
//! |---|---|
//! | 0 | every checksum and reference holds; there may be orphans and notes |
//! | 1 | something is damaged, missing or unreadable |
//! | 2 | the check, or the repair, could not be done ([`crate::CheckError`] and its like) |
//!
//! After a repair the status is that of the check that follows it: 0 if nothing bad is left.

use std::fmt;

use serde::Serialize;

use crate::finding::{Action, Finding, Severity};

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Entries of the catalogue.
    pub entries: u64,
    /// Collections.
    pub collections: u64,
    /// Sealed segments.
    pub segments: u64,
    /// Rows in them, deleted ones included.
    pub rows: u64,
    /// Files that manifests name, and the manifests.
    pub files: u64,
    /// Their bytes, as far as they were read.
    pub bytes: u64,
    /// Channels of the log.
    pub channels: u64,
    /// Their records.
    pub records: u64,
    /// Objects that nothing names.
    pub orphans: u64,
    /// Their bytes, which come back when a server removes them.
    pub orphan_bytes: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        let Self { entries, collections, segments, rows, files, bytes, channels, records, .. } =
            other;
        self.orphans += other.orphans;
        self.orphan_bytes = self.orphan_bytes.saturating_add(other.orphan_bytes);
        self.entries += entries;
        self.collections += collections;
        self.segments += segments;
        self.rows = self.rows.saturating_add(*rows);
        self.files += files;
        self.bytes = self.bytes.saturating_add(*bytes);
        self.channels += channels;
        self.records += records;
    }
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What was found, worst first, then by object.
    pub findings: Vec<Finding>,
    /// How much was looked at.
    pub counts: Counts,
}

impl Report {
    pub(crate) fn new(mut findings: Vec<Finding>, counts: Counts) -> Self {
        findings.sort_by(|a, b| {
            (a.severity, &a.object, a.byte, &a.what).cmp(&(b.severity, &b.object, b.byte, &b.what))
        });
        Self { findings, counts }
    }

    /// How many findings are of `severity`.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    /// Whether nothing is damaged, missing or unreadable.
    pub fn is_sound(&self) -> bool {
        !self.findings.iter().any(|finding| finding.severity.is_bad())
    }

    /// What a repair would do, each once.
    pub fn actions(&self) -> Vec<Action> {
        let mut actions: Vec<Action> =
            self.findings.iter().filter_map(|finding| finding.repair).collect();
        actions.sort_unstable();
        actions.dedup();
        actions
    }

    /// The command's exit status: 0 if the data is sound, else 1.
    pub fn exit_code(&self) -> u8 {
        u8::from(!self.is_sound())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        let Counts { entries, collections, segments, rows, files, bytes, .. } = self.counts;
        let Counts { channels, records, orphans, orphan_bytes, .. } = self.counts;
        writeln!(
            f,
            "checked {collections} collections, {segments} segments of {rows} rows, {files} files \
             of {bytes} bytes, {entries} catalogue entries, {records} records in {channels} log \
             channels; nothing names {orphans} more objects of {orphan_bytes} bytes"
        )?;
        let count = |severity| self.count(severity);
        write!(
            f,
            "{}: {} damaged, {} missing, {} unreadable, {} orphans, {} notes",
            if self.is_sound() { "sound" } else { "NOT SOUND" },
            count(Severity::Damage),
            count(Severity::Missing),
            count(Severity::Unreadable),
            count(Severity::Orphan),
            count(Severity::Note),
        )
    }
}
