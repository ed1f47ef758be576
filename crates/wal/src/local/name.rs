//! Names on disk: a channel's directory, and the log files in it.
//!
//! Letters, digits, `_`, `-` and inner dots stand for themselves, every other byte is `%XX`; so any
//! channel name is one directory name, and the reverse.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Directories of removed channels that wait to be deleted begin with this; no channel's does.
pub(super) const REMOVED: &str = "~removed-";

const LONGEST_NAME: usize = 200;

/// Whether a channel may be called `name`.
pub(super) fn is_valid(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len()) && directory(name).len() <= 255
}

/// The directory of channel `name`.
pub(super) fn directory(name: &str) -> String {
    let mut directory = String::with_capacity(name.len());
    for (i, byte) in name.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => directory.push(byte.into()),
            b'.' if i > 0 => directory.push('.'),
            // Writing to a string cannot fail.
            _ => drop(write!(directory, "%{byte:02X}")),
        }
    }
    directory
}

/// The channel whose directory is called `directory`, if it is one of a channel.
pub(super) fn channel(name: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    let channel = String::from_utf8(bytes).ok()?;
    (directory(&channel) == name).then_some(channel)
}

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
        fn every_channel_name_has_its_own_directory(name: String) {
            let directory = directory(&name);
            prop_assert!(!directory.contains('/') && !directory.starts_with(['.', '~']));
            prop_assert_eq!(channel(&directory), Some(name));
        }

        #[test]
        fn segment_names_carry_their_base(base: u64) {
            let path = segment(Path::new("d"), base);
            prop_assert_eq!(segment_base(path.file_name().unwrap().to_str().unwrap()), Some(base));
        }
    }

    #[test]
    fn foreign_directories_are_no_channels() {
        for name in ["~removed-1", ".x", "a%2", "a%zz", "a%41", "a b"] {
            assert_eq!(channel(name), None, "{name}");
        }
        assert_eq!(directory("by-dev-rootcoord-dml_0"), "by-dev-rootcoord-dml_0");
    }
}
