//! Putting remote objects, with and without a condition.
//!
//! A put without a condition is repeated as it is. A put with one is repeated as well, under the same
//! condition, so that it happens at most once; when the store then says that the condition does not
//! hold although an earlier reply was lost, we look who put what is there (`write_id`).

use bytes::Bytes;
use milvus_base::failpoint;
use object_store::{PutMode, PutOptions, PutPayload, PutResult, UpdateVersion};

use super::attempt::{Attempts, Failure};
use super::cause::Answer;
use super::config::RemoteKind;
use super::read::quoted;
use super::write_id::{Verdict, WriteId};
use super::{PIECE_BYTES, PIECE_LEN, RemoteStore};
use crate::error::StoreError;
use crate::payload::Payload;
use crate::store::{ETag, ObjectMeta};

/// What must be there for a put to happen.
#[derive(Clone, Copy, Debug)]
pub(super) enum Condition<'a> {
    Absent,
    Match(&'a ETag),
}

impl RemoteStore {
    /// Puts `data`, whatever is there.
    pub(super) async fn put_always(
        &self,
        path: &str,
        data: Payload,
    ) -> Result<ObjectMeta, StoreError> {
        if data.len() > PIECE_BYTES {
            return self.put_in_parts(path, data).await;
        }
        let (key, size) = (self.key(path), data.len());
        let payload = payload(&data);
        let call = self.call("put", path);
        let put = || self.client().put_opts(&key, payload.clone(), PutOptions::default());
        let result = self.policy().repeat(call, size, put).await;
        let result = result.map_err(|failure| put_error(failure, self, path))?;
        self.put_meta(path, size, result).await
    }

    /// Puts `data` if `condition` holds.
    pub(super) async fn put_on(
        &self,
        path: &str,
        data: Payload,
        condition: Condition<'_>,
    ) -> Result<ObjectMeta, StoreError> {
        let id = WriteId::new(match condition {
            Condition::Absent => "*",
            Condition::Match(etag) => etag.as_str(),
        });
        let mode = self.mode(path, condition).await?;
        let (key, size, payload) = (self.key(path), data.len(), payload(&data));
        let mut attempts = self.policy().attempts(self.call("put", path), size);
        loop {
            let options = PutOptions {
                mode: mode.clone(),
                attributes: id.attributes(),
                ..PutOptions::default()
            };
            match attempts.once(self.client().put_opts(&key, payload.clone(), options)).await {
                Ok(result) => {
                    failpoint::hit("storage.put.before-answer");
                    return self.put_meta(path, size, result).await;
                }
                Err(Answer::Condition) => {
                    return self.refused(path, condition, &id, &attempts).await;
                }
                // S3's way to say that nothing is there to match.
                Err(Answer::NotFound) if matches!(condition, Condition::Match(_)) => {
                    return self.refused(path, condition, &id, &attempts).await;
                }
                Err(answer) => {
                    let paused = attempts.pause(answer).await;
                    paused.map_err(|failure| put_error(failure, self, path))?;
                }
            }
        }
    }

    /// How the store is told of `condition`. Google's wants its own name of the state.
    async fn mode(&self, path: &str, condition: Condition<'_>) -> Result<PutMode, StoreError> {
        let Condition::Match(etag) = condition else {
            return Ok(PutMode::Create);
        };
        let mut version = None;
        if self.kind() == RemoteKind::Gcs {
            version = match self.look(path).await {
                Ok(known) if known.meta.etag == *etag => known.version,
                Ok(known) => return Err(mismatch(path, Some(known.meta.etag), etag)),
                Err(Failure { answer: Answer::NotFound, .. }) => {
                    return Err(mismatch(path, None, etag));
                }
                Err(failure) => return Err(put_error(failure, self, path)),
            };
        }
        Ok(PutMode::Update(UpdateVersion { e_tag: Some(quoted(etag)), version }))
    }

    /// What became of a put whose condition the store says does not hold.
    async fn refused(
        &self,
        path: &str,
        condition: Condition<'_>,
        id: &WriteId,
        attempts: &Attempts<'_>,
    ) -> Result<ObjectMeta, StoreError> {
        let there = match self.look(path).await {
            Ok(known) => Some(known),
            Err(Failure { answer: Answer::NotFound, .. }) => None,
            Err(failure) => return Err(put_error(failure, self, path)),
        };
        if attempts.in_doubt() {
            let verdict = there.as_ref().map_or(Verdict::Unknown, |known| id.judge(&known.write));
            match (verdict, there) {
                (Verdict::Ours, Some(known)) => return Ok(known.meta),
                (Verdict::Lost, known) => {
                    return Err(conflict(path, condition, known.map(|k| k.meta)));
                }
                (Verdict::Ours | Verdict::Unknown, _) => {
                    return Err(StoreError::InDoubt { path: path.to_owned() });
                }
            }
        }
        Err(conflict(path, condition, there.map(|known| known.meta)))
    }

    /// What is known of an object that was put just now.
    pub(super) async fn put_meta(
        &self,
        path: &str,
        size: u64,
        result: PutResult,
    ) -> Result<ObjectMeta, StoreError> {
        match result.e_tag {
            Some(etag) => Ok(ObjectMeta { path: path.to_owned(), size, etag: unquoted(&etag) }),
            // The store does not say; it does when asked.
            None => self.read_head(path).await,
        }
    }
}

fn conflict(path: &str, condition: Condition<'_>, there: Option<ObjectMeta>) -> StoreError {
    match condition {
        Condition::Absent => StoreError::AlreadyExists { path: path.to_owned() },
        Condition::Match(want) => mismatch(path, there.map(|meta| meta.etag), want),
    }
}

fn mismatch(path: &str, got: Option<ETag>, want: &ETag) -> StoreError {
    StoreError::PreconditionFailed { path: path.to_owned(), got, want: want.clone() }
}

/// The error of a put. "Not found" says nothing about the object then.
pub(super) fn put_error(failure: Failure, store: &RemoteStore, path: &str) -> StoreError {
    let call = store.call("put", path);
    match failure.answer {
        Answer::NotFound => StoreError::BucketNotFound { bucket: call.bucket.to_owned() },
        Answer::NoBucket
        | Answer::Condition
        | Answer::Range
        | Answer::Denied(_)
        | Answer::Refused(_)
        | Answer::Trouble { .. } => failure.into_error(call),
    }
}

/// An entity tag as the rest of Milvus knows it.
pub(super) fn unquoted(etag: &str) -> ETag {
    ETag::new(etag.trim_matches('"'))
}

pub(super) fn payload(data: &Payload) -> PutPayload {
    data.chunks().iter().cloned().collect::<PutPayload>()
}

/// `data` in pieces of 8 MiB; only buffers are shared, no byte is copied.
pub(super) fn parts(data: &Payload) -> Vec<Vec<Bytes>> {
    let mut parts: Vec<Vec<Bytes>> = vec![Vec::new()];
    let mut room = PIECE_LEN;
    for chunk in data.chunks() {
        let mut rest = chunk.clone();
        while !rest.is_empty() {
            if room == 0 {
                parts.push(Vec::new());
                room = PIECE_LEN;
            }
            let taken = rest.split_to(rest.len().min(room));
            room -= taken.len();
            if let Some(last) = parts.last_mut() {
                last.push(taken);
            }
        }
    }
    parts
}
