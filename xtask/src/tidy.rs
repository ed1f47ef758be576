//! `cargo xtask tidy`: the rules of the house that no compiler checks.
//!
//! A rule returns findings; any finding fails the run. Long files are listed to be read, and do not.
//! Not here: format and lints (`cargo xtask check` runs those too).

mod golden;
mod layers;
mod sources;

use std::path::Path;

use crate::command::{Failure, say};

pub(crate) fn run(root: &Path) -> Result<(), Failure> {
    let files = sources::rust_files(root)?;
    let mut findings = layers::check(root)?;
    findings.extend(sources::check(&files));
    findings.extend(golden::check(root, &files)?);
    for long in sources::long_files(&files) {
        say(&format!("long: {long}"));
    }
    for finding in &findings {
        say(&format!("tidy: {finding}"));
    }
    if findings.is_empty() {
        say(&format!("tidy: {} files, nothing found", files.len()));
        Ok(())
    } else {
        Err(Failure::new(format!("tidy found {} things", findings.len())))
    }
}
