//! Does the store keep the conditions of puts? Asked at start: without them two servers that both
//! believe to own a log, or a manifest, could overwrite each other's.
//!
//! The object that it is tried with stays: servers that start together would otherwise see each
//! other's deletes.

use super::RemoteStore;
use crate::error::StoreError;
use crate::payload::Payload;
use crate::store::{ETag, ObjectMeta, ObjectStore as _};

const PATH: &str = "wp/conditional_write_test_object";
/// No state of an object has this tag.
const WRONG: &str = "00000000000000000000000000000000";
/// Other servers' tries may come between ours so often.
const TRIES: u32 = 10;

impl RemoteStore {
    /// Fails, with the message that Milvus fails with, if a put with a condition is refused although
    /// the condition holds, or done although it does not.
    pub async fn probe_conditional_write(&self) -> Result<(), StoreError> {
        self.probe().await.map_err(|reason| StoreError::ConditionsUnsupported {
            bucket: self.bucket().to_owned(),
            key: format!("{}{PATH}", self.prefix()),
            reason,
        })
    }

    async fn probe(&self) -> Result<(), String> {
        match self.put_if_absent(PATH, unique()).await {
            Ok(_) | Err(StoreError::AlreadyExists { .. } | StoreError::InDoubt { .. }) => {}
            Err(error) => return Err(all(&error)),
        }
        match self.put_beside().await {
            Err(StoreError::AlreadyExists { .. }) => {}
            Ok(_) => return Err("an object was put although one was there".to_owned()),
            Err(error) => return Err(all(&error)),
        }
        match self.put_over_another().await {
            Err(StoreError::PreconditionFailed { .. }) => {}
            Ok(_) => return Err("an object was put although another was expected".to_owned()),
            Err(error) => return Err(all(&error)),
        }
        for _ in 0..TRIES {
            let there = self.head(PATH).await.map_err(|error| all(&error))?;
            match self.put_if_match(PATH, unique(), &there.etag).await {
                Ok(_) => return Ok(()),
                Err(StoreError::PreconditionFailed { .. } | StoreError::InDoubt { .. }) => {}
                Err(error) => return Err(all(&error)),
            }
        }
        Err("an object was not put although what was expected is there".to_owned())
    }

    /// A put where something is already, asked again while lost replies leave the answer open.
    async fn put_beside(&self) -> Result<ObjectMeta, StoreError> {
        for _ in 0..TRIES {
            match self.put_if_absent(PATH, unique()).await {
                Err(StoreError::InDoubt { .. }) => {}
                answer => return answer,
            }
        }
        self.put_if_absent(PATH, unique()).await
    }

    /// A put in the place of an object that is not there, asked again in the same way.
    async fn put_over_another(&self) -> Result<ObjectMeta, StoreError> {
        for _ in 0..TRIES {
            match self.put_if_match(PATH, unique(), &ETag::new(WRONG)).await {
                Err(StoreError::InDoubt { .. }) => {}
                answer => return answer,
            }
        }
        self.put_if_match(PATH, unique(), &ETag::new(WRONG)).await
    }
}

fn unique() -> Payload {
    milvus_base::random::unique_name().into_bytes().into()
}

/// `error` and what led to it.
fn all(error: &StoreError) -> String {
    let chain = std::iter::successors(Some(error as &dyn std::error::Error), |e| e.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
