//! Names on disk of the files in a channel's directory. That of the directory: `channel_name.rs`.

use std::path::{Path, PathBuf};

/// Directories of removed channels that wait to be deleted begin with this; no channel's does.
pub(super) const REMOVED: &str = "~removed-";

/// The log file whose first record has position `base`.
pub(super) fn segment(dir: &Path, base: u64) -> PathBuf {
    dir.join(format!("{base:020}.log"))
}

/// The base in a log file's name.
pub(super) fn segment_base(file_name: &str) -> Option<u64> {
    let digits = file_name.strip_suffix(".log")?;
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
        }
    }
}
