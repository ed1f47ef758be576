//! Golden files: bytes of every persisted format, kept for good, each decoded by some test.
//!
//! The crates that write to disk have a folder `tests/golden` that is not empty, and every file in a
//! golden folder is named (itself, or the folder it is in) by a Rust file of its crate.

use std::path::Path;

use super::sources::Source;
use crate::command::{Failure, output_of};

/// Crates whose bytes outlive the process.
const PERSISTENT: [&str; 2] = ["format", "wal"];

pub(super) fn check(root: &Path, files: &[Source]) -> Result<Vec<String>, Failure> {
    let list = ["ls-files", "--cached", "--others", "--exclude-standard", "--", "crates"];
    let list = String::from_utf8_lossy(&output_of("git", &list, root)?).into_owned();
    let golden: Vec<&str> = list.lines().filter(|path| path.contains("/tests/golden/")).collect();
    Ok(findings(&golden, files))
}

fn findings(golden: &[&str], files: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for name in PERSISTENT {
        let folder = format!("crates/{name}/tests/golden/");
        let exists = files.iter().any(|file| file.path.starts_with(&format!("crates/{name}/")));
        if exists && !golden.iter().any(|path| path.starts_with(&folder)) {
            found.push(format!("{folder} has no golden file"));
        }
    }
    found.extend(
        golden
            .iter()
            .filter(|path| !is_named(path, files))
            .map(|path| format!("{path}: no test names this golden file or its folder")),
    );
    found
}

fn is_named(path: &str, files: &[Source]) -> bool {
    let Some((home, inside)) = path.split_once("/tests/golden/") else {
        return true;
    };
    let (folder, file) = inside.rsplit_once('/').unwrap_or(("", inside));
    let stem = file.split_once('.').map_or(file, |(stem, _)| stem);
    let named = |text: &str| {
        text.contains(stem) || (!folder.is_empty() && text.contains(&format!("golden/{folder}")))
    };
    files.iter().any(|source| source.path.starts_with(&format!("{home}/")) && named(&source.text))
}

#[cfg(test)]
mod tests {
    use super::{Source, findings};

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_persistent_crate_without_golden_files_is_found() {
        assert_eq!(findings(&[], &[source("crates/wal/src/lib.rs", "")]).len(), 1);
    }

    #[test]
    fn a_golden_file_that_no_test_names_is_found() {
        let files = [source("crates/wal/tests/it/main.rs", "decode(\"record_v1.bin\")")];
        assert!(findings(&["crates/wal/tests/golden/record_v1.bin"], &files).is_empty());
        assert_eq!(findings(&["crates/wal/tests/golden/other.bin"], &files).len(), 1);
    }

    #[test]
    fn naming_the_folder_is_enough() {
        let files = [source("crates/wal/tests/it/main.rs", "read_dir(\"tests/golden/v1\")")];
        assert!(findings(&["crates/wal/tests/golden/v1/a.bin"], &files).is_empty());
    }
}
