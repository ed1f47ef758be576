//! Reading remote objects: small ones in one request, large ones as pieces of 8 MiB, several at once,
//! all of the same state of the object.

use std::ops::Range;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::list::PaginatedListOptions;
use object_store::{GetOptions, GetRange};

use super::attempt::{Failure, Progress};
use super::cause::Answer;
use super::config::RemoteKind;
use super::{PIECE_BYTES, PIECE_LEN, RemoteStore, write_id};
use crate::aligned::AlignedBuffer;
use crate::error::StoreError;
use crate::store::{ETag, ObjectMeta};

/// So many pieces are on their way at once.
const PIECES_AT_ONCE: usize = 4;
/// An object that is replaced so often while it is read is given up.
const RESTARTS: u32 = 5;
/// Larger ends of ranges are not understood everywhere.
const MAX_END: u64 = i64::MAX as u64;

/// What is known of an object, and who put it there if it was a conditional put.
pub(super) struct Known {
    pub(super) meta: ObjectMeta,
    /// What the store itself calls this state, where it does (Google's generation).
    pub(super) version: Option<String>,
    pub(super) write: write_id::Found,
}

impl RemoteStore {
    /// What is known of the object at `path`.
    pub(super) async fn look(&self, path: &str) -> Result<Known, Failure> {
        let key = self.key(path);
        let result = self
            .policy()
            .repeat(self.call("head", path), 0, || {
                self.client().get_opts(&key, GetOptions { head: true, ..GetOptions::default() })
            })
            .await?;
        let write = write_id::Found::of(&result.attributes);
        Ok(Known { meta: self.meta(path, &result.meta)?, version: result.meta.version, write })
    }

    pub(super) async fn read_head(&self, path: &str) -> Result<ObjectMeta, StoreError> {
        let known = self.look(path).await;
        known.map(|known| known.meta).map_err(|failure| failure.into_error(self.call("head", path)))
    }

    /// The whole object, in a buffer that begins at a multiple of 8.
    pub(super) async fn read(&self, path: &str) -> Result<(ObjectMeta, Bytes), StoreError> {
        let call = self.call("get", path);
        for _ in 0..RESTARTS {
            let (meta, whole) = self.read_if_small(path).await.map_err(|f| f.into_error(call))?;
            if let Some(bytes) = whole {
                return Ok((meta, bytes));
            }
            match self.read_pieces(path, 0..meta.size, &meta.etag).await {
                Ok(bytes) => return Ok((meta, bytes)),
                Err(Failure { answer: Answer::Condition, .. }) => {}
                Err(failure) => return Err(failure.into_error(call)),
            }
        }
        Err(self.keeps_changing("get", path))
    }

    /// The object's state, and its bytes unless they are many.
    async fn read_if_small(&self, path: &str) -> Result<(ObjectMeta, Option<Bytes>), Failure> {
        let key = &self.key(path);
        let attempt = |progress: Progress| async move {
            let result = self.client().get_opts(key, GetOptions::default()).await?;
            progress.add(1);
            if result.meta.size > PIECE_BYTES {
                return Ok((result.meta, None));
            }
            let meta = result.meta.clone();
            let bytes = collect(result.into_stream(), meta.size, &progress).await?;
            Ok((meta, Some(bytes)))
        };
        let call = self.call("get", path);
        let (meta, bytes) = self.policy().repeat_read(call, attempt).await?;
        Ok((self.meta(path, &meta)?, bytes))
    }

    /// The bytes `range` of the state `etag` of an object; [`Answer::Condition`] if it has another.
    async fn read_pieces(
        &self,
        path: &str,
        range: Range<u64>,
        etag: &ETag,
    ) -> Result<Bytes, Failure> {
        let len = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let mut buffer = AlignedBuffer::with_capacity(len);
        let mut pieces = futures::stream::iter(pieces(range))
            .map(|piece| self.read_piece(path, piece, Some(etag)))
            .buffered(PIECES_AT_ONCE);
        while let Some((_, bytes)) = pieces.try_next().await? {
            buffer.push(&bytes);
        }
        Ok(buffer.freeze())
    }

    /// The bytes `range` of an object, or as many of them as it has.
    async fn read_piece(
        &self,
        path: &str,
        range: Range<u64>,
        etag: Option<&ETag>,
    ) -> Result<(ObjectMeta, Bytes), Failure> {
        let (key, range) = (&self.key(path), &range);
        let attempt = |progress: Progress| async move {
            let options = GetOptions {
                range: Some(GetRange::Bounded(range.clone())),
                if_match: etag.map(quoted),
                ..GetOptions::default()
            };
            let result = self.client().get_opts(key, options).await?;
            progress.add(1);
            let (meta, got) = (result.meta.clone(), result.range.clone());
            let len = got.end.saturating_sub(got.start);
            let bytes = collect(result.into_stream(), len, &progress).await?;
            Ok((meta, bytes))
        };
        let call = self.call("get a range of", path);
        let (meta, bytes) = self.policy().repeat_read(call, attempt).await?;
        Ok((self.meta(path, &meta)?, bytes))
    }

    /// Exactly the bytes `range` of an object.
    pub(super) async fn read_range(
        &self,
        path: &str,
        range: Range<u64>,
    ) -> Result<Bytes, StoreError> {
        let call = self.call("get a range of", path);
        if range.start >= range.end || range.end > MAX_END {
            return self.no_bytes(path, range).await;
        }
        for _ in 0..RESTARTS {
            let first = range.start..range.end.min(range.start + PIECE_BYTES);
            let (meta, bytes) = match self.read_piece(path, first.clone(), None).await {
                Ok(first) => first,
                Err(Failure { answer: Answer::Range, .. }) => {
                    return self.no_bytes(path, range).await;
                }
                Err(failure) => return Err(failure.into_error(call)),
            };
            if range.end > meta.size {
                return Err(StoreError::InvalidRange { path: meta.path, range, size: meta.size });
            }
            if first == range {
                return Ok(bytes);
            }
            match self.read_pieces(path, first.end..range.end, &meta.etag).await {
                Ok(rest) => return Ok([bytes, rest].concat().into()),
                Err(Failure { answer: Answer::Condition, .. }) => {}
                Err(failure) => return Err(failure.into_error(call)),
            }
        }
        Err(self.keeps_changing("get a range of", path))
    }

    /// A range without bytes, where it is within the object, or the reason why it is not.
    async fn no_bytes(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        let size = self.read_head(path).await?.size;
        if range.start == range.end && range.end <= size {
            return Ok(Bytes::new());
        }
        Err(StoreError::InvalidRange { path: path.to_owned(), range, size })
    }

    pub(super) async fn read_list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StoreError> {
        let call = self.call("list", prefix);
        let full = format!("{}{prefix}", self.prefix());
        let mut found = Vec::new();
        let mut page_token: Option<String> = None;
        loop {
            let page = self
                .policy()
                .repeat(call, 0, || {
                    let page_token = page_token.clone();
                    let options = PaginatedListOptions { page_token, ..Default::default() };
                    let prefix = (!full.is_empty()).then_some(full.as_str());
                    self.client().list_paginated(prefix, options)
                })
                .await
                .map_err(|failure| failure.into_error(call))?;
            found.extend(page.result.objects.iter().filter_map(|meta| self.listed(meta)));
            page_token = page.page_token;
            if page_token.is_none() {
                break;
            }
        }
        // On Azure the client leaves out an object that is called like the prefix.
        if self.kind() == RemoteKind::Azure && crate::path::check(prefix).is_ok() {
            match self.look(prefix).await {
                Ok(known) => found.push(known.meta),
                Err(Failure { answer: Answer::NotFound, .. }) => {}
                Err(failure) => return Err(failure.into_error(call)),
            }
        }
        found.sort_by(|a: &ObjectMeta, b| a.path.cmp(&b.path));
        // Pages may overlap where objects come and go meanwhile.
        found.dedup_by(|b, a| a.path == b.path);
        Ok(found)
    }

    /// An object of a list, if it is one of ours.
    fn listed(&self, meta: &object_store::ObjectMeta) -> Option<ObjectMeta> {
        let path = meta.location.as_ref().strip_prefix(self.prefix())?;
        crate::path::check(path).ok()?;
        self.meta(path, meta).ok()
    }

    fn keeps_changing(&self, op: &'static str, path: &str) -> StoreError {
        let failure = Failure { answer: Answer::Condition, attempts: RESTARTS, in_doubt: false };
        failure.into_error(self.call(op, path))
    }
}

/// An entity tag as it stands in a header.
pub(super) fn quoted(etag: &ETag) -> String {
    format!("\"{etag}\"")
}

fn pieces(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    range.clone().step_by(PIECE_LEN).map(move |start| start..range.end.min(start + PIECE_BYTES))
}

/// The bytes of an answer, of which there shall be `len`, aligned.
async fn collect(
    mut stream: futures::stream::BoxStream<'static, object_store::Result<Bytes>>,
    len: u64,
    progress: &Progress,
) -> object_store::Result<Bytes> {
    let want = usize::try_from(len).unwrap_or(usize::MAX).min(PIECE_LEN);
    let mut buffer = AlignedBuffer::with_capacity(want);
    let mut got = 0;
    while let Some(bytes) = stream.try_next().await? {
        got += bytes.len() as u64;
        progress.add(bytes.len());
        buffer.push(&bytes);
    }
    if got != len {
        let source = format!("the answer has {got} bytes, want {len}").into();
        return Err(object_store::Error::Generic { store: "remote", source });
    }
    Ok(buffer.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_a_range_once() {
        let piece = PIECE_BYTES;
        assert_eq!(pieces(0..1).collect::<Vec<_>>(), [Range { start: 0, end: 1 }]);
        let got: Vec<_> = pieces(5..2 * piece + 6).collect();
        assert_eq!(got, [5..piece + 5, piece + 5..2 * piece + 5, 2 * piece + 5..2 * piece + 6]);
    }

    #[test]
    fn sizes_beyond_32_bits_are_numbers_like_others() {
        const SIX_GIB: u64 = 6 << 30;
        let all: Vec<_> = pieces(0..SIX_GIB + 1).collect();
        assert_eq!(all.len(), 769);
        assert_eq!(all.last(), Some(&(SIX_GIB..SIX_GIB + 1)));
        assert!(all.windows(2).all(|pair| pair[0].end == pair[1].start));
        assert_eq!(all.iter().map(|piece| piece.end - piece.start).sum::<u64>(), SIX_GIB + 1);
    }
}
