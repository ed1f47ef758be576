//! Which texts are paths of objects. A path can never leave the store's directory.

use crate::error::StoreError;

const NAME_BYTES: usize = 255;
const PATH_BYTES: usize = 1024;

/// Refuses what is no path of an object.
pub(crate) fn check(path: &str) -> Result<(), StoreError> {
    let reason = match path {
        "" => Some("is empty"),
        _ => path.split('/').find_map(bad_name),
    };
    refuse(path, reason)
}

/// Refuses what no path of an object can begin with.
pub(crate) fn check_prefix(prefix: &str) -> Result<(), StoreError> {
    let (names, last) = prefix.rsplit_once('/').unwrap_or(("", prefix));
    let names = if prefix.contains('/') { names.split('/').find_map(bad_name) } else { None };
    refuse(prefix, names.or_else(|| if last.is_empty() { None } else { bad_name(last) }))
}

fn refuse(path: &str, reason: Option<&'static str>) -> Result<(), StoreError> {
    let reason =
        reason.or_else(|| (path.len() > PATH_BYTES).then_some("is longer than 1024 bytes"));
    match reason {
        Some(reason) => Err(StoreError::InvalidPath { path: path.to_owned(), reason }),
        None => Ok(()),
    }
}

fn bad_name(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("has an empty name")
    } else if name.starts_with('.') {
        Some("has a name that begins with a dot")
    } else if name.chars().any(|c| c == '\\' || c.is_control()) {
        Some("has a backslash or a control character")
    } else if name.len() > NAME_BYTES {
        Some("has a name longer than 255 bytes")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        for good in ["a", "a/b.c", "segments/1/2/3/index-4-5.vidx", "ä b"] {
            check(good).unwrap();
        }
        let long = "x".repeat(256);
        let deep = "x/".repeat(600) + "x";
        for bad in
            ["", "/", "/a", "a/", "a//b", "..", "a/../b", ".tmp/x", "a\\b", "a\0b", &long, &deep]
        {
            assert!(matches!(check(bad), Err(StoreError::InvalidPath { .. })), "{bad:?}");
        }
        for good in ["", "a", "a/", "a/b", "segments/1/"] {
            check_prefix(good).unwrap();
        }
        for bad in ["/", "../", "a//", "a/../", ".tmp"] {
            assert!(check_prefix(bad).is_err(), "{bad:?}");
        }
    }
}
