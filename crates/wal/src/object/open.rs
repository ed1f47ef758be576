//! Opens a channel: ends the older owner, finds the tail, and claims it.
//!
//! 1. The manifest is put anew with this term and a new owner's id. From here on no other owner trims or
//!    merges: what the manifest says stays so.
//! 2. From its `next` on, object after object is looked for by name, until one is not there: the tail. A
//!    list made before says which to read ahead; and if it shows one behind the tail, the one that is not
//!    there was lost.
//! 3. A claim is put at the tail. If another block is there by then, it belongs to the log, and the tail is
//!    looked for again. Once the claim is there, no older owner writes. Where objects are files, its put
//!    syncs the directory, and so makes the names durable that were found in it.
//! 4. If the manifest is still this owner's, the channel is: nobody has trimmed or merged since step 1, so
//!    the object that was not there never was.
//! 5. What a crash left behind is deleted.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use milvus_storage::{ObjectMeta, Payload, StoreError};

use super::block::{BLOCK_HEADER, BlockHeader, Kind as BlockKind, LogId, UniqueId, unique_id};
use super::channel::Shared;
use super::clean::{self, Listed};
use super::extents::{Extent, Extents, Kind};
use super::manifest::Manifest;
use super::manifest_keeper::{ManifestKeeper, load};
use super::remote::{Put, Remote, damaged, judge_head};
use super::{merge, remove};
use crate::error::OpenError;

/// So many heads of blocks are read at the same time.
const READ_AHEAD: usize = 64;

/// Opens `remote`'s channel for its term.
pub(super) async fn open(remote: Remote) -> Result<Arc<Shared>, OpenError> {
    let owner = unique_id();
    let (manifest, keeper) = take_manifest(&remote, owner).await?;
    let of = manifest.of;
    let mut log = Extents {
        trim: manifest.trim,
        settled: manifest.settled,
        next: manifest.next,
        recent: VecDeque::new(),
        tail: manifest.next,
        end: manifest.end,
    };
    let listed = list(&remote).await?;
    let ahead = read_ahead(&remote, of, log.next, &listed).await;
    walk(&remote, of, &mut log, &ahead).await?;
    check_nothing_lost(&remote, of, owner, &mut log, &listed).await?;
    milvus_base::failpoint::hit("wal.object.before-claim");
    claim(&remote, of, &mut log).await?;
    milvus_base::failpoint::hit("wal.object.after-claim");
    check_still_owner(&remote, owner).await?;
    let garbage = clean::garbage(&remote, of, &log, &listed);
    let shared = Arc::new(Shared::new(remote, of, owner, keeper, log));
    if garbage.is_empty() {
        merge::start_if_due(&shared);
    } else {
        clean::start(&shared, garbage);
    }
    Ok(shared)
}

/// Puts the manifest that makes `owner` the one who may put the next.
async fn take_manifest(
    remote: &Remote,
    owner: UniqueId,
) -> Result<(Manifest, ManifestKeeper), OpenError> {
    let path = remote.manifest_path();
    let mut failures = 0;
    loop {
        let (manifest, put) = match load(remote).await? {
            Some((found, etag)) if found.owner == owner => {
                return Ok((found, ManifestKeeper { etag: Some(etag) }));
            }
            Some((found, _)) if found.removed => {
                let finished = remove::finish(remote, &found).await;
                finished.map_err(|error| remote.failed("remove", 0, error))?;
                continue;
            }
            Some((found, etag)) => {
                refuse_below(remote, found.term)?;
                let next = Manifest { term: remote.term, owner, id: unique_id(), ..found };
                let bytes = next.encode();
                let put = remote.store.put_if_match(&path, bytes.into(), &etag);
                (next, remote.timed("put", &path, put).await)
            }
            None => {
                let first = first_manifest(remote, owner).await?;
                let put = remote.store.put_if_absent(&path, first.encode().into());
                (first, remote.timed("put", &path, put).await)
            }
        };
        let error = match put {
            Ok(meta) => return Ok((manifest, ManifestKeeper { etag: Some(meta.etag) })),
            Err(error) => error,
        };
        // It may be there nevertheless: the next turn looks.
        failures += 1;
        if failures >= remote.options.retry.attempts {
            return Err(remote.failed("open", manifest.next, error).into());
        }
        remote.pause(failures - 1).await;
    }
}

/// Refuses to go on if another owner has put a manifest.
async fn check_still_owner(remote: &Remote, owner: UniqueId) -> Result<(), OpenError> {
    match load(remote).await? {
        Some((found, _)) if found.owner == owner => Ok(()),
        found => Err(OpenError::StaleTerm {
            channel: remote.channel.clone(),
            got: remote.term,
            current: found.map_or(u64::MAX, |(found, _)| found.term),
        }),
    }
}

/// The manifest of a channel that has none, which must then have nothing else either.
async fn first_manifest(remote: &Remote, owner: UniqueId) -> Result<Manifest, OpenError> {
    let objects = list(remote).await?.len();
    if objects > 0 && load(remote).await?.is_none() {
        let what = format!("the manifest is missing, but {objects} objects of the log are there");
        return Err(damaged(&remote.manifest_path(), 0, what).into());
    }
    Ok(Manifest {
        of: LogId { channel: remote.channel_hash(), log: milvus_base::random::u64() },
        term: remote.term,
        owner,
        id: unique_id(),
        trim: 0,
        next: 0,
        end: 0,
        removed: false,
        settled: VecDeque::new(),
    })
}

fn refuse_below(remote: &Remote, current: u64) -> Result<(), OpenError> {
    if remote.term < current {
        let (channel, got) = (remote.channel.clone(), remote.term);
        return Err(OpenError::StaleTerm { channel, got, current });
    }
    Ok(())
}

/// Heads of blocks that were read at the same time, by first position: so that a far store does not make
/// the walk long. What a list does not show is missing here, and nothing follows from that.
pub(super) type Ahead = HashMap<u64, Bytes>;

async fn read_ahead(remote: &Remote, of: LogId, next: u64, listed: &[Listed]) -> Ahead {
    let wanted = listed.iter().filter(|l| l.log == of.log && l.end.is_none() && l.first >= next);
    let read = |listed: &Listed| {
        let (store, path) = (Arc::clone(&remote.store), listed.path.clone());
        let read = async move { store.get_range(&path, 0..BLOCK_HEADER as u64).await };
        (listed.first, milvus_base::task::spawn("log head", read))
    };
    let reads: Vec<_> = wanted.take(READ_AHEAD).map(read).collect();
    let mut ahead = Ahead::new();
    let finish = async {
        for (first, read) in reads {
            // The walk finds out what is wrong with the others.
            if let Ok(Ok(bytes)) = read.await {
                ahead.insert(first, bytes);
            }
        }
        Ok(())
    };
    let _ = remote.timed("read", &remote.dir, finish).await;
    ahead
}

/// Follows the log from where its tail is thought to be to where it is.
pub(super) async fn walk(
    remote: &Remote,
    of: LogId,
    log: &mut Extents,
    ahead: &Ahead,
) -> Result<(), OpenError> {
    loop {
        let at = log.tail;
        let found = match ahead.get(&at) {
            Some(bytes) => judge_head(of, at, &remote.batch_path(of, at), Ok(bytes.clone())),
            None => remote.head(of, at).await,
        };
        let found = found.map_err(|error| error.into_open(remote, at))?;
        let Some(header) = found else {
            return Ok(());
        };
        step_over(remote, log, &header)?;
    }
}

/// Takes the block at the tail for a part of the log.
fn step_over(remote: &Remote, log: &mut Extents, header: &BlockHeader) -> Result<(), OpenError> {
    refuse_below(remote, header.term)?;
    let kind = match header.kind {
        BlockKind::Batch => Kind::Batch,
        BlockKind::Claim => Kind::Claim,
    };
    if !log.recent.is_empty() && header.end != log.end {
        let path = remote.batch_path(header.of, header.first);
        let what = format!("records end at {} before it, want {}", header.end, log.end);
        return Err(damaged(&path, 0, what).into());
    }
    let (first, end) = (header.first, header.next());
    log.push(Extent { first, end, bytes: header.bytes(), kind }, header.data_end());
    Ok(())
}

async fn list(remote: &Remote) -> Result<Vec<Listed>, OpenError> {
    let prefix = format!("{}/", remote.dir);
    let listed = remote.retrying("list", &prefix, || remote.store.list(&prefix)).await;
    let listed: Vec<ObjectMeta> =
        listed.map_err(|error: StoreError| remote.failed("list", 0, error))?;
    Ok(listed.into_iter().filter_map(|meta| Listed::parse(&prefix, meta)).collect())
}

/// Reports the object at the tail as lost if one behind it shows that it was there.
async fn check_nothing_lost(
    remote: &Remote,
    of: LogId,
    owner: UniqueId,
    log: &mut Extents,
    listed: &[Listed],
) -> Result<(), OpenError> {
    for listed in listed.iter().filter(|listed| listed.log == of.log) {
        if listed.end.is_some() || listed.first <= log.tail {
            continue;
        }
        let head = |at| remote.head(of, at);
        let behind = head(listed.first).await;
        if !matches!(behind, Ok(None)) {
            // The older owner may have written since the tail was found.
            walk(remote, of, log, &Ahead::new()).await?;
        }
        if !matches!(behind, Ok(None)) && listed.first >= log.tail {
            check_still_owner(remote, owner).await?;
            let what = format!("the object is missing, but {} is there", listed.path);
            return Err(damaged(&remote.batch_path(of, log.tail), 0, what).into());
        }
    }
    Ok(())
}

/// Puts a claim at the tail, wherever that is by then.
async fn claim(remote: &Remote, of: LogId, log: &mut Extents) -> Result<(), OpenError> {
    loop {
        let claim = BlockHeader::claim(of, remote.term, log.tail, log.end);
        let block = Payload::from(claim.encode());
        match remote.put_block(&claim, &block, remote.options.give_up_after).await {
            Put::Written => return step_over(remote, log, &claim),
            Put::Taken(found) => {
                step_over(remote, log, &found)?;
                walk(remote, of, log, &Ahead::new()).await?;
            }
            Put::Obstructed(damage) => return Err(damage.into()),
            Put::Unknown(error) => return Err(remote.failed("claim", log.tail, error).into()),
        }
    }
}
