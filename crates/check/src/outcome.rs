//! What one part of a check has found and counted.

use crate::finding::Finding;
use crate::report::Counts;

/// Findings and counts on their way into a report.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) findings: Vec<Finding>,
    pub(crate) counts: Counts,
}

impl Outcome {
    pub(crate) fn push(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.findings.extend(other.findings);
        self.counts.add(&other.counts);
    }
}
