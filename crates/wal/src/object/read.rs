//! Reading a channel: from object to object, up to what is durable.

use std::sync::Arc;

use milvus_storage::StoreError;

use super::ahead::Ahead;
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
    ahead: Ahead,
    /// The object that was not there when it should be read.
    missed: Option<Extent>,
    failed: bool,
}

impl ObjectReader {
    pub(super) fn new(shared: Arc<Shared>, from: Position) -> Self {
        Self {
            shared,
            position: from.0,
            moved: false,
            scanner: None,
            ahead: Ahead::default(),
            missed: None,
            failed: false,
        }
    }

    async fn advance(&mut self) -> Result<Option<Record>, ReadError> {
        loop {
            let step = match &mut self.scanner {
                Some((_, scanner)) => scanner.next(&self.shared.remote).await,
                None => match self.enter().await? {
                    Some(entered) => entered,
                    None => return Ok(None),
                },
            };
            match step {
                Ok(Step::Record(position, payload)) => {
                    let (position, next) = (Position(position), Position(position + 1));
                    self.position = next.0;
                    self.moved = true;
                    return Ok(Some(Record { position, next, payload }));
                }
                Ok(Step::End) => {
                    if let Some((_, scanner)) = self.scanner.take() {
                        self.position = scanner.position();
                        self.moved = true;
                    }
                }
                Ok(Step::Bad(damage)) => return Err(damage.into()),
                Err(error) => self.fail(error).await?,
            }
        }
    }

    /// Goes into the object in which the next record lies and takes its first step there; `None` if no
    /// record is durable yet.
    async fn enter(&mut self) -> Result<Option<Result<Step, StoreError>>, ReadError> {
        let Some(extent) = self.locate()? else {
            return Ok(None);
        };
        let shared = &self.shared;
        let path = shared.remote.path(shared.of, &extent);
        let mut scanner = Scanner::new(path, shared.of, &extent, self.position);
        let fetched = self.ahead.take(&extent).await;
        self.ahead.fetch_behind(shared, &extent);
        let (_, scanner) = match fetched {
            Some(Err(error)) => {
                self.scanner = Some((extent, scanner));
                return Ok(Some(Err(error)));
            }
            Some(Ok(bytes)) => {
                scanner.begin_with(bytes);
                self.scanner.insert((extent, scanner))
            }
            None => self.scanner.insert((extent, scanner)),
        };
        Ok(Some(scanner.next(&shared.remote).await))
    }

    /// What an object that could not be read means: look again, or an error.
    async fn fail(&mut self, error: StoreError) -> Result<(), ReadError> {
        self.ahead.clear();
        let shared = &self.shared;
        let at = self.scanner.take().map(|(extent, _)| extent);
        let StoreError::NotFound { path } = error else {
            return Err(shared.remote.failed("read", self.position, error).into());
        };
        if at.is_some() && self.missed != at {
            // Merged or given up since it was found: look again.
            self.missed = at;
            return Ok(());
        }
        if let Err(KeepError::Fenced { by }) = own(shared).await {
            shared.fence(by);
            let channel = shared.remote.channel.clone();
            return Err(ReadError::Fenced { channel, term: shared.remote.term, by });
        }
        Err(damaged(&path, 0, "the object is missing").into())
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
        if self.failed {
            self.ahead.clear();
        }
        record
    }
}
