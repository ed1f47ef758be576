//! Reading a channel: from file to file, up to what is durable.

use std::fs::File;
use std::sync::Arc;

use super::channel::Shared;
use super::format::Kind;
use super::name;
use super::scan::{Scanner, Step};
use crate::error::{IoFailed, ReadError};
use crate::log::{Position, Record};

/// A reader of one channel; stays valid while records are appended and given up.
pub(super) struct LocalReader {
    shared: Arc<Shared>,
    position: u64,
    scanner: Option<Scanner>,
    failed: bool,
}

impl LocalReader {
    pub(super) fn new(shared: Arc<Shared>, from: Position) -> Self {
        Self { shared, position: from.0, scanner: None, failed: false }
    }

    fn advance(&mut self) -> Result<Option<Record>, ReadError> {
        loop {
            let scanner = match &mut self.scanner {
                Some(scanner) => scanner,
                None => match self.open()? {
                    Some(scanner) => self.scanner.insert(scanner),
                    None => return Ok(None),
                },
            };
            let step = scanner.next()?;
            self.position = scanner.position();
            match step {
                Step::Record(header, payload) if header.kind == Kind::Data => {
                    let position = Position(header.position);
                    return Ok(Some(Record { position, next: Position(header.next()), payload }));
                }
                Step::Record(..) => {}
                Step::End => self.scanner = None,
                Step::Bad(damage) => return Err(damage.into()),
            }
        }
    }

    /// Opens the file in which the next record lies, if it is durable already.
    fn open(&self) -> Result<Option<Scanner>, ReadError> {
        let (base, limit) = {
            let state = self.shared.state.lock();
            if self.position > state.end {
                return Err(ReadError::BeyondEnd {
                    channel: self.shared.name.clone(),
                    position: Position(self.position),
                    end: Position(state.end),
                });
            }
            let first = state.bases.front().copied().unwrap_or(0);
            if self.position < first {
                return Err(self.trimmed(first));
            }
            if self.position == state.end {
                return Ok(None);
            }
            let after = state.bases.partition_point(|base| *base <= self.position);
            let base = after.checked_sub(1).and_then(|i| state.bases.get(i).copied());
            let next = state.bases.get(after).copied();
            (base.unwrap_or(first), next.unwrap_or(state.end).min(state.end))
        };
        let path = name::segment(&self.shared.dir, base);
        match File::open(&path) {
            Ok(file) => Ok(Some(Scanner::new(file, &path, base, self.position, limit))),
            Err(error) => {
                // It may have been given up since.
                let first = self.shared.state.lock().bases.front().copied().unwrap_or(0);
                if self.position < first {
                    return Err(self.trimmed(first));
                }
                Err(IoFailed::new("open log file", &path, error).into())
            }
        }
    }

    fn trimmed(&self, trim_point: u64) -> ReadError {
        ReadError::Trimmed {
            channel: self.shared.name.clone(),
            position: Position(self.position),
            trim_point: Position(trim_point),
        }
    }
}

impl Iterator for LocalReader {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let record = self.advance().transpose();
        self.failed = matches!(record, Some(Err(_)));
        record
    }
}
