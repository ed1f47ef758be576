//! Scalar indexes from columns through bytes to answers.
#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod arbitrary;
mod files;
mod same_results;
