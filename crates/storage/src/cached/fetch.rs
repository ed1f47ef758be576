//! Fetching an object into a copy: once for all who ask for it, several pieces at once.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use milvus_base::io::run;

use super::disk::{self, Copy, Part};
use super::space::{FetchGuard, Space, Turn};
use crate::error::StoreError;
use crate::store::{ObjectMeta, ObjectStore};

/// What is fetched in one request.
const PIECE_LEN: usize = 8 * 1024 * 1024;
const PIECE_BYTES: u64 = PIECE_LEN as u64;
/// So many are on their way at once, and in memory.
const PIECES_AT_ONCE: usize = 4;
/// An object that changes so often while it is fetched is read into memory.
const RESTARTS: u32 = 3;

/// Where an object can be read.
pub(super) enum Fetched {
    /// In its copy, opened.
    File(Copy, File),
    /// Not here.
    Memory,
}

/// What became of one fetch.
enum Outcome {
    Done(Copy, File),
    /// The object changed meanwhile.
    Changed,
    /// There is no room for it, or the disk failed.
    NoRoom,
}

/// The copy of the object at `path`, fetched if there is none.
pub(super) async fn copy(
    inner: &dyn ObjectStore,
    space: &Arc<Space>,
    path: &str,
) -> Result<Fetched, StoreError> {
    let mut changes = 0;
    loop {
        match space.turn(path) {
            Turn::Hit(copy) => {
                let opened = copy.clone();
                match run(move || opened.open()).await? {
                    Ok(file) => return Ok(Fetched::File(copy, file)),
                    // It left just now, or the disk lost some of it: next time it is fetched.
                    Err(error) => {
                        tracing::debug!(path, %error, "a copy is fetched anew");
                        space.forget(path);
                    }
                }
            }
            // Whether it came or not is seen at the next turn.
            Turn::Wait(mut done) => while done.changed().await.is_ok() {},
            Turn::Fetch(guard) => match fetch(inner, space, path, &guard).await? {
                Outcome::Done(copy, file) => return Ok(Fetched::File(copy, file)),
                Outcome::Changed if changes < RESTARTS => changes += 1,
                Outcome::Changed | Outcome::NoRoom => {
                    space.bypassed();
                    return Ok(Fetched::Memory);
                }
            },
        }
    }
}

async fn fetch(
    inner: &dyn ObjectStore,
    space: &Arc<Space>,
    path: &str,
    guard: &FetchGuard,
) -> Result<Outcome, StoreError> {
    let meta = inner.head(path).await?;
    let Some(reserved) = space.reserve(meta.size) else {
        return Ok(Outcome::NoRoom);
    };
    let directory = Arc::clone(space);
    let part = match run(move || Part::create(directory.directory())).await? {
        Ok(part) => part,
        Err(error) => return Ok(no_room(path, &error)),
    };
    let part = match fill(inner, &meta, part).await? {
        Ok(part) => part,
        Err(error) => return Ok(no_room(path, &error)),
    };
    // All pieces are of one state if that state is still there.
    if inner.head(path).await? != meta {
        return Ok(Outcome::Changed);
    }
    let finished = run(move || {
        let copy = part.finish(meta)?;
        let file = copy.open()?;
        Ok::<_, io::Error>((copy, file))
    });
    let (copy, file) = match finished.await? {
        Ok(done) => done,
        Err(error) => return Ok(no_room(path, &error)),
    };
    if space.fetched(copy.clone(), reserved, guard) {
        Ok(Outcome::Done(copy, file))
    } else {
        Ok(Outcome::Changed)
    }
}

/// Writes the bytes of the object into `part`. The inner error is the disk's.
async fn fill(
    inner: &dyn ObjectStore,
    meta: &ObjectMeta,
    mut part: Part,
) -> Result<io::Result<Part>, StoreError> {
    let starts = (0..meta.size).step_by(PIECE_LEN);
    let mut pieces = futures::stream::iter(starts)
        .map(|start| inner.get_range(&meta.path, start..meta.size.min(start + PIECE_BYTES)))
        .buffered(PIECES_AT_ONCE);
    while let Some(bytes) = pieces.try_next().await? {
        let written = run(move || write(part, &bytes)).await?;
        part = match written {
            Ok(part) => part,
            Err(error) => return Ok(Err(error)),
        };
    }
    Ok(Ok(part))
}

fn write(mut part: Part, bytes: &Bytes) -> io::Result<Part> {
    part.append(bytes)?;
    Ok(part)
}

fn no_room(path: &str, error: &io::Error) -> Outcome {
    disk::report(path, error);
    Outcome::NoRoom
}
