//! The writer: takes what is queued, writes it with one call, makes it durable with one sync, and only
//! then tells those who wait.
//!
//! A write that the system refuses (a full disk) is taken back and fails its batch; the channel goes
//! on. A sync that fails leaves unknown what is on disk, whatever a second one says: its batch fails, and
//! before the next is written the file is cut back to what an earlier sync made durable, and never
//! written to again. Until the disk lets that happen, appends go on failing; then the channel goes on.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use super::channel::{Pending, Shared};
use super::format::{FILE_HEADER, FileHeader, Kind, RecordHeader, padding, record_bytes};
use super::recover::Recovered;
use super::{DirLock, name, sync_dir, trim};
use crate::error::{AppendError, IoFailed};
use crate::log::{Appended, Position};
use crate::planted::PlantedBug;

/// The most bytes in a batch, unless one record has more.
const BATCH_BYTES: u64 = 32 << 20;

/// The end of the log, as the one who writes sees it.
pub(super) struct Writer {
    file: Option<Open>,
    /// The file that `tail` lies in, to be opened with the first write.
    last_base: Option<u64>,
    /// Where the next byte goes.
    tail: u64,
    /// The part of the log before this was made durable by a sync that succeeded.
    synced: u64,
    /// Whether a sync failed since, so that the last file is to be cut back to `synced`.
    suspect: bool,
    /// Whether something durable lies behind the last mark.
    unmarked: bool,
    batches: u64,
}

struct Open {
    file: File,
    path: PathBuf,
    base: u64,
    /// Whether it has no durable record yet, and so perhaps no durable name.
    fresh: bool,
}

/// Why a batch was not written.
enum WriteFailure {
    /// It is as if nothing had been tried.
    TakenBack(IoFailed),
    /// Nobody knows what is on disk.
    Unknown(IoFailed),
}

impl Writer {
    pub(super) fn new(found: &Recovered) -> Self {
        let last_base = found.bases.last().copied();
        let tail = found.tail;
        let (synced, suspect) = (tail, false);
        Self { file: None, last_base, tail, synced, suspect, unmarked: false, batches: 0 }
    }
}

/// Writes batch after batch until nothing is queued, then lets go of `lock`. Blocks; only for who set
/// `State::writing`.
pub(super) fn drain(shared: &Shared, lock: Arc<DirLock>) {
    let on_panic = StopOnPanic(shared);
    loop {
        let mut writer = shared.writer.lock();
        let batch = take_batch(shared);
        if batch.is_empty() {
            writer.mark(shared);
            drop(writer);
            let mut state = shared.state.lock();
            if state.queue.is_empty() {
                // Whoever waits for the writer may want the directory next.
                drop(lock);
                state.writing = false;
                break;
            }
        } else {
            let written = writer.write(shared, &batch);
            if matches!(written, Err(WriteFailure::Unknown(_))) {
                writer.suspect = true;
                writer.file = None;
            }
            drop(writer);
            settle(shared, batch, written);
        }
    }
    std::mem::forget(on_panic);
    shared.idle.notify_waiters();
}

/// If the writer panics, nobody is left waiting and nothing more is accepted.
struct StopOnPanic<'a>(&'a Shared);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        let poisoned = AppendError::Poisoned {
            channel: self.0.name.clone(),
            cause: "the writer panicked".to_owned(),
        };
        let mut state = self.0.state.lock();
        state.refusal = Some(poisoned);
        state.writing = false;
        let queued = std::mem::take(&mut state.queue);
        drop(state);
        // Their senders are dropped unsent, which their receivers take for an unknown outcome.
        drop(queued);
        self.0.idle.notify_waiters();
    }
}

fn take_batch(shared: &Shared) -> Vec<Pending> {
    let mut state = shared.state.lock();
    let (mut bytes, mut count) = (0, 0);
    for pending in &state.queue {
        bytes += record_bytes(pending.length.into());
        if count > 0 && bytes > BATCH_BYTES {
            bytes -= record_bytes(pending.length.into());
            break;
        }
        count += 1;
    }
    state.queued_bytes = state.queued_bytes.saturating_sub(bytes);
    state.queue.drain(..count).collect()
}

/// Publishes the outcome of `batch`, then tells those who wait for it.
fn settle(shared: &Shared, batch: Vec<Pending>, written: Result<Vec<Appended>, WriteFailure>) {
    match written {
        Ok(places) => {
            for (pending, place) in batch.into_iter().zip(places) {
                // Who no longer waits does not want to know.
                let _ = pending.outcome.send(Ok(place));
            }
        }
        Err(WriteFailure::TakenBack(error) | WriteFailure::Unknown(error)) => {
            tracing::error!(channel = shared.name, %error, cause = %error.source, "append failed");
            for pending in batch {
                let _ = pending.outcome.send(Err(error.clone().into()));
            }
        }
    }
}

impl Writer {
    /// Writes `batch` behind the tail and makes it durable.
    fn write(&mut self, shared: &Shared, batch: &[Pending]) -> Result<Vec<Appended>, WriteFailure> {
        self.batches += 1;
        // First, for it may move the tail back.
        self.ready_file(shared)?;
        let (headers, places, end) = self.lay_out(shared, batch);
        if let PlantedBug::AcknowledgeUnwritten { one_in } = shared.options.planted_bug
            && self.batches.is_multiple_of(one_in)
        {
            return Ok(places);
        }
        let open = self.file.as_mut().ok_or_else(|| no_file(shared))?;
        let offset = FILE_HEADER as u64 + (self.tail - open.base);
        if let Err(error) = write_all(&mut open.file, offset, &slices(&headers, batch)) {
            let error = IoFailed::new("write log file", &open.path, error);
            return Err(match open.file.set_len(offset) {
                Ok(()) => WriteFailure::TakenBack(error),
                Err(_) => WriteFailure::Unknown(error),
            });
        }
        milvus_base::failpoint::hit("wal.local.before-sync");
        if shared.options.planted_bug != PlantedBug::SkipSync {
            sync(shared, open)?;
            if open.fresh {
                sync_dir(&shared.dir).map_err(WriteFailure::Unknown)?;
            }
        }
        milvus_base::failpoint::hit("wal.local.after-sync");
        let bytes = end - self.tail;
        let begun = std::mem::take(&mut open.fresh).then_some(open.base);
        self.tail = end;
        self.synced = end;
        self.unmarked = true;
        let mut state = shared.state.lock();
        state.end = end;
        state.bases.extend(begun);
        state.stats.records += batch.len() as u64;
        state.stats.bytes += bytes;
        state.stats.batches += 1;
        state.stats.syncs += u64::from(shared.options.planted_bug != PlantedBug::SkipSync);
        Ok(places)
    }

    /// The headers of `batch`'s records, the places they will have, and the position behind.
    fn lay_out(&self, shared: &Shared, batch: &[Pending]) -> (Vec<Vec<u8>>, Vec<Appended>, u64) {
        let mut position = self.tail;
        let (mut headers, mut places) = (Vec::new(), Vec::new());
        for pending in batch {
            let header = RecordHeader {
                position,
                durable: self.tail,
                term: shared.term,
                length: pending.length,
                kind: Kind::Data,
            };
            position = header.next();
            places.push(Appended { position: Position(header.position), next: Position(position) });
            headers.push(header.encode(&pending.payload));
        }
        (headers, places, position)
    }

    /// Sees to it that a file is open for the tail.
    fn ready_file(&mut self, shared: &Shared) -> Result<(), WriteFailure> {
        if self.suspect {
            self.cut_back(shared)?;
            return self.begin_file(shared);
        }
        if self.file.is_none()
            && let Some(base) = self.last_base
        {
            let path = name::segment(&shared.dir, base);
            let file = OpenOptions::new()
                .write(true)
                .open(&path)
                .map_err(|e| WriteFailure::TakenBack(IoFailed::new("open log file", &path, e)))?;
            self.file = Some(Open { file, path, base, fresh: false });
        }
        let roll = std::mem::take(&mut shared.state.lock().roll);
        match &self.file {
            // A file without a record has the name that the next one would have.
            Some(open) if self.tail == open.base => Ok(()),
            Some(open) if !roll && self.tail - open.base < shared.options.segment_bytes => Ok(()),
            _ => self.begin_file(shared),
        }
    }

    /// Takes back what nobody knows to be on disk, so that the file ends with what is.
    fn cut_back(&mut self, shared: &Shared) -> Result<(), WriteFailure> {
        self.file = None;
        self.tail = self.synced;
        if let Some(base) = self.last_base
            && base < self.tail
        {
            let path = name::segment(&shared.dir, base);
            let failed = |e| WriteFailure::TakenBack(IoFailed::new("cut back log file", &path, e));
            let file = OpenOptions::new().write(true).open(&path).map_err(failed)?;
            file.set_len(FILE_HEADER as u64 + (self.tail - base)).map_err(failed)?;
            let open = Open { file, path: path.clone(), base, fresh: false };
            sync(shared, &open)?;
        }
        self.suspect = false;
        Ok(())
    }

    /// Finishes the present file and begins one at the tail.
    fn begin_file(&mut self, shared: &Shared) -> Result<(), WriteFailure> {
        if let Some(open) = &self.file {
            // Its last mark, which nobody waited for, must not be lost once a file follows.
            sync(shared, open)?;
            self.synced = self.tail;
        }
        let taken_back = WriteFailure::TakenBack;
        if self.last_base.is_none() {
            std::fs::create_dir_all(&shared.dir)
                .map_err(|e| taken_back(IoFailed::new("create", &shared.dir, e)))?;
            if let Some(parent) = shared.dir.parent() {
                sync_dir(parent).map_err(taken_back)?;
            }
            // Made durable with the first record.
            trim::write(&shared.dir, self.tail).map_err(taken_back)?;
        }
        let path = name::segment(&shared.dir, self.tail);
        let header = FileHeader::new(&shared.name, self.tail, shared.term).encode();
        // A file of this name can only be what is left of a failed attempt.
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path);
        let begun = file.and_then(|mut file| file.write_all(&header).map(|()| file));
        let file = begun.map_err(|e| taken_back(IoFailed::new("create", &path, e)))?;
        self.file = Some(Open { file, path, base: self.tail, fresh: true });
        self.last_base = Some(self.tail);
        milvus_base::failpoint::hit("wal.local.after-begin");
        Ok(())
    }

    /// Notes behind the last record that it is durable. Nobody waits for the disk; if it fails, the
    /// next batch is written over it.
    fn mark(&mut self, shared: &Shared) {
        let Some(open) = self.file.as_mut().filter(|_| self.unmarked) else {
            return;
        };
        let position = self.tail;
        let term = shared.term;
        let mark = RecordHeader { position, durable: position, term, length: 0, kind: Kind::Mark };
        let bytes = mark.encode(&[]);
        let offset = FILE_HEADER as u64 + (self.tail - open.base);
        self.unmarked = false;
        match write_all(&mut open.file, offset, &[&bytes]) {
            Ok(()) => self.tail = mark.next(),
            Err(error) => {
                tracing::warn!(file = %open.path.display(), %error, "log file stays unmarked");
            }
        }
    }
}

/// Makes what was written to the file of `open` durable.
fn sync(shared: &Shared, open: &Open) -> Result<(), WriteFailure> {
    let synced = match shared.disk_fault() {
        None => open.file.sync_data(),
        Some(fault) => Err(fault),
    };
    synced.map_err(|e| WriteFailure::Unknown(IoFailed::new("sync", &open.path, e)))
}

fn no_file(shared: &Shared) -> WriteFailure {
    let error = io::Error::from(io::ErrorKind::NotFound);
    WriteFailure::TakenBack(IoFailed::new("open a log file in", &shared.dir, error))
}

/// The parts of `batch` in the order in which they are written.
fn slices<'a>(headers: &'a [Vec<u8>], batch: &'a [Pending]) -> Vec<&'a [u8]> {
    let mut slices = Vec::with_capacity(batch.len() * 4);
    for (header, pending) in headers.iter().zip(batch) {
        slices.push(header.as_slice());
        slices.extend(pending.payload.iter().map(|part| &**part));
        slices.push(padding(pending.length.into()));
    }
    slices.retain(|slice| !slice.is_empty());
    slices
}

/// Writes `parts` one after the other from `offset`, with as few calls as the system allows.
fn write_all(file: &mut File, offset: u64, parts: &[&[u8]]) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
    let mut slices = &mut slices[..];
    while !slices.is_empty() {
        match file.write_vectored(slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => IoSlice::advance_slices(&mut slices, count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
