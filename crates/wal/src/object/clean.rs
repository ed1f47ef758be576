//! What crashes leave behind in a channel's part of the store, found when it is opened.

use std::sync::Arc;

use milvus_storage::ObjectMeta;

use super::block::{BLOCK_HEADER, LogId};
use super::channel::Shared;
use super::extents::Extents;
use super::merge::{Done, start_if_due};
use super::remote::Remote;

/// An object of a log that a list shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) path: String,
    /// The log that it was put for.
    pub(super) log: u64,
    pub(super) size: u64,
    /// The position in its name.
    pub(super) first: u64,
    /// The position at which it ends, in the name of a merged one only.
    pub(super) end: Option<u64>,
}

impl Listed {
    /// The object in `meta`, if its name behind `prefix` is that of one.
    pub(super) fn parse(prefix: &str, meta: ObjectMeta) -> Option<Self> {
        let (log, name) = meta.path.strip_prefix(prefix)?.split_once('/')?;
        let log = u64::from_str_radix(log, 16).ok().filter(|_| log.len() == 16)?;
        let (first, end) = match name.strip_suffix(".merged") {
            Some(name) => {
                let (first, rest) = name.split_once('-')?;
                let (end, _) = rest.split_once('-')?;
                (position(first)?, Some(position(end)?))
            }
            None => (position(name.strip_suffix(".batch")?)?, None),
        };
        Some(Self { path: meta.path, log, size: meta.size, first, end })
    }
}

fn position(digits: &str) -> Option<u64> {
    let plain = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// The paths of those objects `listed` before `log` was claimed that are no part of it: copies that no
/// manifest lists, originals that should have been deleted, and what is left of logs of this channel that
/// were removed. Claims stay.
///
/// Only for who has claimed the log since: another owner that merged before the list would have put its
/// claim first.
pub(super) fn garbage(remote: &Remote, of: LogId, log: &Extents, listed: &[Listed]) -> Vec<String> {
    let is_known = |listed: &&Listed| log.settled.iter().any(|e| remote.path(of, e) == listed.path);
    let is_garbage = |listed: &&Listed| match listed.end {
        Some(_) => true,
        None if listed.log != of.log => true,
        None => listed.first < log.next && listed.size != BLOCK_HEADER as u64,
    };
    let garbage = listed.iter().filter(is_garbage).filter(|listed| !is_known(listed));
    garbage.map(|listed| listed.path.clone()).collect()
}

/// Deletes `garbage` in the background, then looks for something to merge.
pub(super) fn start(shared: &Arc<Shared>, garbage: Vec<String>) {
    shared.state.lock().merging = true;
    let shared = Arc::clone(shared);
    milvus_base::task::spawn("log cleaner", async move {
        let (channel, objects) = (&shared.remote.channel, garbage.len());
        tracing::info!(channel, objects, "deleting what the log does not need");
        let done = Done(&shared);
        shared.remote.delete_all(garbage).await;
        drop(done);
        start_if_due(&shared);
    });
}

#[cfg(test)]
mod tests {
    use milvus_storage::ETag;

    use super::*;

    #[test]
    fn names_say_what_an_object_is() {
        let parse = |name: &str| {
            let path = format!("log/a/00000000000000ff/{name}");
            let listed =
                Listed::parse("log/a/", ObjectMeta { path, size: 5, etag: ETag::new("x") });
            listed.map(|listed| (listed.first, listed.end))
        };
        assert_eq!(parse("00000000000000000007.batch"), Some((7, None)));
        let merged = "00000000000000000007-00000000000000000019-00000000000000ab.merged";
        assert_eq!(parse(merged), Some((7, Some(19))));
        let elsewhere =
            ObjectMeta { path: "log/a/manifest".to_owned(), size: 5, etag: ETag::new("x") };
        assert_eq!(Listed::parse("log/a/", elsewhere), None);
        for other in ["manifest", "7.batch", "0000000000000000000x.batch", "1-2-3.merged", "x"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
