//! Walks the records of one object of the log, in large reads; records share the memory of their read.

use bytes::Bytes;
use milvus_storage::StoreError;

use super::block::{
    BLOCK_HEADER, BlockHeader, Flaw, Kind, LogId, RECORD_HEADER, UniqueId, decode_record,
};
use super::extents::Extent;
use super::remote::{Remote, damaged};
use crate::error::WalDamaged;

/// Bytes read at a time, unless a record is larger.
pub(super) const READ_BYTES: u64 = 4 << 20;

/// A walk over the records of an object.
pub(super) struct Scanner {
    path: String,
    of: LogId,
    /// Records before this are passed over.
    from: u64,
    /// The position of the next record or block.
    position: u64,
    /// The position after the last of the object.
    end: u64,
    size: u64,
    /// Where `ahead` begins in the object.
    offset: u64,
    ahead: Bytes,
    block: Option<Open>,
}

/// The block that the walk is in.
struct Open {
    id: UniqueId,
    next: u64,
    /// Where it ends in the object.
    ends: u64,
}

/// What the walk met.
pub(super) enum Step {
    Record(u64, Bytes),
    /// The walk has come to the end of the object.
    End,
    /// No sound record is here.
    Bad(WalDamaged),
}

impl Scanner {
    /// A walk over the records at and after `from` of the object `path`, which is `extent`.
    pub(super) fn new(path: String, of: LogId, extent: &Extent, from: u64) -> Self {
        Self {
            path,
            of,
            from,
            position: extent.first,
            end: extent.end,
            size: extent.bytes,
            offset: 0,
            ahead: Bytes::new(),
            block: None,
        }
    }

    /// Begins with `bytes`, the first of the object.
    pub(super) fn begin_with(&mut self, bytes: Bytes) {
        if self.offset == 0 {
            self.ahead = bytes;
        }
    }

    /// Where the walk is.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The next record.
    pub(super) async fn next(&mut self, remote: &Remote) -> Result<Step, StoreError> {
        while self.position < self.end {
            let decoded = match &self.block {
                None => self.decode_header(),
                Some(block) => decode_record(&self.ahead, &block.id, self.position).map(Some),
            };
            match decoded {
                Ok(None) => {}
                Ok(Some(length)) => {
                    let (position, payload) = (self.position, self.step_over(length));
                    if let Some(damage) = self.leave_block() {
                        return Ok(Step::Bad(damage));
                    }
                    if position >= self.from {
                        return Ok(Step::Record(position, payload));
                    }
                }
                Err(Flaw::Short(need)) => {
                    if let Some(damage) = self.read(remote, need as u64).await? {
                        return Ok(Step::Bad(damage));
                    }
                }
                Err(Flaw::Bad(what)) => return Ok(Step::Bad(self.bad(what))),
                Err(Flaw::Newer(got)) => {
                    let what =
                        format!("the block has format {got}, which this program cannot read");
                    return Ok(Step::Bad(self.bad(what)));
                }
            }
        }
        Ok(Step::End)
    }

    /// Enters the block that begins here, or passes over it. Never gives a record.
    fn decode_header(&mut self) -> Result<Option<usize>, Flaw> {
        let header = BlockHeader::decode(&self.ahead)?;
        header.check(self.of, self.position).map_err(Flaw::Bad)?;
        if header.next() > self.end {
            return Err(Flaw::Bad("the block has more records than the log says"));
        }
        if header.kind == Kind::Claim || header.next() <= self.from {
            self.position = header.next();
            self.skip(header.bytes());
        } else {
            let ends = self.offset.saturating_add(header.bytes());
            self.skip(BLOCK_HEADER as u64);
            self.block = Some(Open { id: header.id, next: header.next(), ends });
        }
        Ok(None)
    }

    fn step_over(&mut self, length: usize) -> Bytes {
        // The record was decoded from `ahead`, so it lies within it.
        let payload = self.ahead.slice(RECORD_HEADER..RECORD_HEADER + length);
        self.skip((RECORD_HEADER + length) as u64);
        self.position += 1;
        payload
    }

    /// Leaves the block behind its last record, which must be its end.
    fn leave_block(&mut self) -> Option<WalDamaged> {
        let block = self.block.take_if(|block| block.next == self.position)?;
        (block.ends != self.offset).then(|| self.bad("the records do not fill their block"))
    }

    fn skip(&mut self, bytes: u64) {
        let within = usize::try_from(bytes).unwrap_or(usize::MAX).min(self.ahead.len());
        self.ahead = self.ahead.slice(within..);
        self.offset = self.offset.saturating_add(bytes);
    }

    /// Reads ahead, `need` bytes at least; gives the damage if there are not so many.
    async fn read(&mut self, remote: &Remote, need: u64) -> Result<Option<WalDamaged>, StoreError> {
        let limit = self.block.as_ref().map_or(self.size, |block| block.ends);
        if self.offset.saturating_add(need) > limit {
            return Ok(Some(self.bad("the block ends within a record")));
        }
        loop {
            let end = self.offset.saturating_add(need.max(READ_BYTES)).min(self.size);
            let range = self.offset..end.max(self.offset);
            let read = || remote.store.get_range(&self.path, range.clone());
            match remote.retrying_read(&self.path, range.end - range.start, read).await {
                Ok(bytes) => self.ahead = bytes,
                // Shorter than it was: what it still has is read.
                Err(StoreError::InvalidRange { size, .. }) if size < self.size => {
                    self.size = size;
                    if size > self.offset {
                        continue;
                    }
                }
                Err(error) => return Err(error),
            }
            let short = (self.ahead.len() as u64) < need;
            return Ok(short.then(|| {
                let what = format!("the object ends at byte {}, within a block", self.size);
                self.bad(what)
            }));
        }
    }

    fn bad(&self, what: impl Into<String>) -> WalDamaged {
        damaged(&self.path, self.offset, what)
    }
}

/// Checks that `bytes`, the object `path`, are the blocks of `extent`, every byte of them.
pub(super) fn check_blocks(
    path: &str,
    bytes: &[u8],
    of: LogId,
    extent: &Extent,
) -> Result<(), WalDamaged> {
    let (mut rest, mut position) = (bytes, extent.first);
    let mut check = || {
        while position < extent.end {
            let header = BlockHeader::decode(rest)?;
            header.check(of, position).map_err(Flaw::Bad)?;
            rest = rest.get(BLOCK_HEADER..).unwrap_or_default();
            let records = if header.kind == Kind::Batch { header.count } else { 0 };
            for record in header.first..header.first + u64::from(records) {
                let length = decode_record(rest, &header.id, record)?;
                rest = rest.get(RECORD_HEADER + length..).unwrap_or_default();
            }
            position = header.next();
        }
        if rest.is_empty() && position == extent.end {
            return Ok(());
        }
        Err(Flaw::Bad("the object has more than its blocks"))
    };
    check().map_err(|flaw| {
        let what = match flaw {
            Flaw::Bad(what) => what,
            Flaw::Short(_) => "the object ends within a block",
            Flaw::Newer(_) => "the block is of a format that this program cannot read",
        };
        damaged(path, (bytes.len() - rest.len()) as u64, what)
    })
}
