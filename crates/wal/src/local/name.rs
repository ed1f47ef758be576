//! Names on disk of the files in a channel's directory. That of the directory: `channel_name.rs`.

use std::path::{Path, PathBuf};

/// Directories of removed channels that wait to be deleted begin with this; no channel's does.
pub(super) const REMOVED: &str = "~removed-";

/// The log file whose first record has position `base`.
pub(super) fn segment(dir: &Path, base: u64) -> PathBuf {
    dir.join(format!("{base:020}.log"))
}

/// The mark that the log begins with the file of `base`.
pub(super) fn trim(dir: &Path, base: u64) -> PathBuf {
    dir.join(format!("{base:020}.trim"))
}

/// The base in a log file's name.
pub(super) fn segment_base(file_name: &str) -> Option<u64> {
    number(file_name.strip_suffix(".log")?)
}

/// The base in a mark's name.
pub(super) fn trim_base(file_name: &str) -> Option<u64> {
    number(file_name.strip_suffix(".trim")?)
}

fn number(digits: &str) -> Option<u64> {
    (digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| digits.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn segment_names_carry_their_base(base: u64) {
            let path = segment(Path::new("d"), base);
            prop_assert_eq!(segment_base(path.file_name().unwrap().to_str().unwrap()), Some(base));
            let path = trim(Path::new("d"), base);
            prop_assert_eq!(trim_base(path.file_name().unwrap().to_str().unwrap()), Some(base));
        }
    }
}
