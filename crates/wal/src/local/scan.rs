//! Walks the records of one log file, in large reads; records share the memory of their read.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::format::{FILE_HEADER, RECORD_HEADER, RecordFlaw, RecordHeader};
use crate::error::{IoFailed, WalDamaged};

/// Bytes read at a time, unless a record is larger.
const READ_BYTES: u64 = 4 << 20;

/// A walk over the records of a file.
pub(super) struct Scanner {
    file: File,
    path: PathBuf,
    base: u64,
    /// The position of the next record.
    position: u64,
    /// Records end here.
    limit: u64,
    /// Bytes read ahead, beginning with the next record.
    ahead: Bytes,
}

/// What the walk met.
pub(super) enum Step {
    Record(RecordHeader, Bytes),
    /// The walk has come to its limit.
    End,
    /// No sound record is here.
    Bad(WalDamaged),
}

impl Scanner {
    /// A walk over the records of the file at `path`, whose first has position `base`, from
    /// `position` up to `limit`.
    pub(super) fn new(file: File, path: &Path, base: u64, position: u64, limit: u64) -> Self {
        Self { file, path: path.to_owned(), base, position, limit, ahead: Bytes::new() }
    }

    /// Where the walk is.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The next record.
    pub(super) fn next(&mut self) -> Result<Step, IoFailed> {
        if self.position >= self.limit {
            return Ok(Step::End);
        }
        loop {
            match RecordHeader::decode(&self.ahead, self.position) {
                Ok(header) => return Ok(self.step_over(header)),
                Err(RecordFlaw::Bad(what)) => return Ok(self.bad(what)),
                Err(RecordFlaw::Short(need)) => {
                    if need as u64 > self.limit - self.position {
                        return Ok(self.bad("the record is cut off"));
                    }
                    self.read(need as u64)?;
                    if self.ahead.len() < need {
                        return Ok(self.bad("the file ends within a record"));
                    }
                }
            }
        }
    }

    /// Looks behind a bad record for a sound one that proves it was durable once.
    pub(super) fn proof_of_loss(&mut self) -> Result<Option<u64>, IoFailed> {
        let bad = self.position;
        self.skip_word();
        while self.position + RECORD_HEADER as u64 <= self.limit {
            match self.next()? {
                Step::Record(header, _) if header.durable > bad => {
                    return Ok(Some(header.position));
                }
                Step::Record(..) => {}
                Step::End => break,
                Step::Bad(_) => self.skip_word(),
            }
        }
        Ok(None)
    }

    fn skip_word(&mut self) {
        self.position += 8;
        self.ahead = self.ahead.slice(self.ahead.len().min(8)..);
    }

    fn step_over(&mut self, header: RecordHeader) -> Step {
        // The record was decoded from `ahead`, so it lies within it.
        let length = usize::try_from(header.length).unwrap_or(usize::MAX);
        let payload = self.ahead.slice(RECORD_HEADER..RECORD_HEADER + length);
        let total = usize::try_from(header.next() - header.position).unwrap_or(usize::MAX);
        self.ahead = self.ahead.slice(total..);
        self.position = header.next();
        Step::Record(header, payload)
    }

    /// Reads ahead from the next record, at least `need` bytes if the file has them.
    fn read(&mut self, need: u64) -> Result<(), IoFailed> {
        let offset = self.offset();
        let count = need.max(READ_BYTES).min(self.limit - self.position);
        let mut bytes = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
        let read = |file: &mut File, bytes: &mut Vec<u8>| -> io::Result<usize> {
            file.seek(SeekFrom::Start(offset))?;
            file.take(count).read_to_end(bytes)
        };
        read(&mut self.file, &mut bytes)
            .map_err(|error| IoFailed::new("read log file", &self.path, error))?;
        self.ahead = bytes.into();
        Ok(())
    }

    fn offset(&self) -> u64 {
        FILE_HEADER as u64 + (self.position - self.base)
    }

    fn bad(&self, what: &str) -> Step {
        let (file, offset) = (self.path.clone(), self.offset());
        Step::Bad(WalDamaged { file, offset, what: what.to_owned() })
    }
}
