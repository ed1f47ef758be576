//! Reading a channel: from object to object, up to what is durable.

use std::sync::Arc;

use milvus_storage::StoreError;

use super::channel::Shared;
use super::extents::Extent;
use super::manifest_keeper::{KeepError, own};
use super::remote::damaged;
use super::scan::{Scanner, Step};
use crate::error::ReadError;
use crate::log::{Position, Record};

/// A reader of one channel; stays valid while records are appended, merged and given up.
pub(super) struct ObjectReader {
    shared: Arc<Shared>,
    position: u64,
    /// Whether `position` is one that this reader came to, not one that it was given.
    moved: bool,
    scanner: Option<(Extent, Scanner)>,
    /// The object that was not there when it should be read.
    missed: Option<Extent>,
    failed: bool,
}

impl ObjectReader {
    pub(super) fn new(shared: Arc<Shared>, from: Position) -> Self {
        Self { shared, position: from.0, moved: false, scanner: None, missed: None, failed: false }
    }

    async fn advance(&mut self) -> Result<Option<Record>, ReadError> {
        loop {
            let shared = &self.shared;
            let (extent, scanner) = match &mut self.scanner {
                Some((extent, scanner)) => (*extent, scanner),
                None => {
                    let Some(extent) = self.locate()? else {
                        return Ok(None);
                    };
                    let path = shared.remote.path(shared.of, &extent);
                    let scanner = Scanner::new(path, shared.of, &extent, self.position);
                    (extent, &mut self.scanner.insert((extent, scanner)).1)
                }
            };
            match scanner.next(&shared.remote).await {
                Ok(Step::Record(position, payload)) => {
                    let (position, next) = (Position(position), Position(position + 1));
                    self.position = next.0;
                    self.moved = true;
                    return Ok(Some(Record { position, next, payload }));
                }
                Ok(Step::End) => {
                    self.position = scanner.position();
                    self.moved = true;
                    self.scanner = None;
                }
                Ok(Step::Bad(damage)) => return Err(damage.into()),
                Err(StoreError::NotFound { .. }) if self.missed != Some(extent) => {
                    // Merged or given up since it was found: look again.
                    self.missed = Some(extent);
                    self.scanner = None;
                }
                Err(StoreError::NotFound { path }) => {
                    if let Err(KeepError::Fenced { by }) = own(shared).await {
                        shared.fence(by);
                        let channel = shared.remote.channel.clone();
                        return Err(ReadError::Fenced { channel, term: shared.remote.term, by });
                    }
                    return Err(damaged(&path, 0, "the object is missing").into());
                }
                Err(error) => {
                    return Err(shared.remote.failed("read", self.position, error).into());
                }
            }
        }
    }

    /// The object in which the next record lies, if it is durable already.
    fn locate(&self) -> Result<Option<Extent>, ReadError> {
        let state = self.shared.state.lock();
        let log = &state.log;
        let channel = || self.shared.remote.channel.clone();
        let (position, end) = (Position(self.position), Position(log.end));
        if position > end && !self.moved {
            return Err(ReadError::BeyondEnd { channel: channel(), position, end });
        }
        if self.position < log.trim {
            let trim_point = Position(log.trim);
            return Err(ReadError::Trimmed { channel: channel(), position, trim_point });
        }
        if position >= end {
            return Ok(None);
        }
        let found = log.find(self.position);
        let missing = || {
            let path = self.shared.remote.batch_path(self.shared.of, self.position);
            damaged(&path, 0, "no object of the log holds this position")
        };
        found.map(Some).ok_or_else(|| missing().into())
    }
}

impl Iterator for ObjectReader {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let runtime = self.shared.runtime.clone();
        let record = runtime.block_on(self.advance()).transpose();
        self.failed = matches!(record, Some(Err(_)));
        record
    }
}
