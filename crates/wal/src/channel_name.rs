//! A channel's name as a name in a file system or an object store.
//!
//! Letters, digits, `_`, `-` and inner dots stand for themselves, every other byte is `%XX`; so any
//! channel name is one directory name, and the reverse.

use std::fmt::Write as _;

const LONGEST_NAME: usize = 200;

/// Whether a channel may be called `name`.
pub(crate) fn is_valid(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len()) && directory(name).len() <= 255
}

/// The directory of channel `name`.
pub(crate) fn directory(name: &str) -> String {
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
pub(crate) fn channel(name: &str) -> Option<String> {
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
    }

    #[test]
    fn foreign_directories_are_no_channels() {
        for name in ["~removed-1", ".x", "a%2", "a%zz", "a%41", "a b"] {
            assert_eq!(channel(name), None, "{name}");
        }
        assert_eq!(directory("by-dev-rootcoord-dml_0"), "by-dev-rootcoord-dml_0");
    }
}
