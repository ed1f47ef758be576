//! Reads while the log cannot be written.
//!
//! What a read promises is about writes that were acknowledged, and this owner has applied every one
//! that it acknowledged: it needs no word of the log to answer, not even a strong read. That holds
//! while it is the owner. Another one can only come with a term that the same catalogue gave, which one
//! process has open at a time; a copy of the catalogue in another place is what remains, and is found
//! out by the next append. From then on nothing is answered here: the other owner may have
//! acknowledged writes that are not known here.

use milvus_types::{Coded, ErrorCode, Failure, Result, Timestamp, VChannel};
use milvus_wal::AppendError;

use super::Shard;
use super::inflight::{Patience, Reached};

/// What the log said last.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// Why the last append failed, if it did.
    last: Option<String>,
    /// Another owner has the log.
    fenced: Option<Failure>,
}

/// A read needs a snapshot that cannot be had yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a write to {vchannel} is undecided: the read is to see everything up to {wanted}, but what is \
     decided ends at {reached}; the log says: {}: tsafe stalled",
    .trouble.as_deref().unwrap_or("nothing yet")
)]
pub(super) struct Undecided {
    vchannel: VChannel,
    wanted: Timestamp,
    reached: Timestamp,
    trouble: Option<String>,
}

impl Coded for Undecided {
    fn code(&self) -> ErrorCode {
        ErrorCode::TSafeStalled
    }
}

impl Shard {
    /// Notes how an append went.
    pub(super) fn appended(&self, outcome: Result<(), &AppendError>) {
        let mut trouble = self.trouble.lock();
        match outcome {
            Ok(()) => trouble.last = None,
            Err(error) => {
                if matches!(error, AppendError::Fenced { .. }) {
                    trouble.fenced = Some(Failure::from(error));
                }
                trouble.last = Some(error.to_string());
            }
        }
    }

    /// The snapshot that a read sees: exactly `exact` where given, else the freshest that there is,
    /// which has every acknowledged write up to `guarantee`.
    pub(super) async fn snapshot(
        &self,
        guarantee: Timestamp,
        exact: Option<Timestamp>,
    ) -> Result<Timestamp> {
        let options = &self.parts.options;
        let patience = match exact {
            Some(_) => Patience::OfReader(options.snapshot_wait),
            None => Patience::OfWrite(options.undecided_after),
        };
        let wanted = exact.unwrap_or(guarantee);
        let reached = self.inflight.wait(wanted, patience).await;
        if self.stop.is_triggered() {
            return Err(self.gone());
        }
        let trouble = self.trouble.lock();
        if let Some(fenced) = &trouble.fenced {
            return Err(fenced.clone());
        }
        match (reached, exact) {
            (Reached::Guarantee(_), Some(exact)) => Ok(exact),
            (Reached::Guarantee(fresh) | Reached::Undecided(fresh), None) => Ok(fresh),
            // A snapshot of the past is as good as ever.
            (Reached::Undecided(reached), Some(exact)) if exact <= reached => Ok(exact),
            (Reached::Undecided(reached), Some(_)) => {
                let (vchannel, trouble) = (self.vchannel.clone(), trouble.last.clone());
                Err(Failure::from(&Undecided { vchannel, wanted, reached, trouble }))
            }
        }
    }
}
