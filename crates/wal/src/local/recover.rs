//! Finds out, when a channel is opened, what of its files is the log.
//!
//! - The log begins where it says that it does (`trim.rs`).
//! - Every file but the last was made durable before the next was begun: they must follow each other
//!   without a gap. Their records are checked when they are read.
//! - The last file is read whole. Where its records stop being sound, a write was cut short, and the
//!   rest is cut off; unless a sound record behind shows that the place had been durable. Then bytes
//!   were lost that somebody was promised, and the channel does not open.
//! - What was found but possibly not durable is made durable before anyone is told of it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::format::{FILE_HEADER, FileHeader, HeaderFlaw, Kind, VERSION};
use super::name;
use super::scan::{Scanner, Step};
use super::trim;
use crate::error::{IoFailed, OpenError, WalDamaged};

/// Positions beyond this are not reached by any log; a larger one in a name is damage.
const MAX_POSITION: u64 = 1 << 60;

/// A channel's log as found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Recovered {
    /// The positions at which files begin, ascending.
    pub(super) bases: Vec<u64>,
    /// Where the next byte goes.
    pub(super) tail: u64,
    /// The position after the last record of data.
    pub(super) end: u64,
    /// The highest term seen.
    pub(super) term: u64,
}

/// Reads the log of `channel` in `dir`; a directory that does not exist is an empty log.
pub(super) fn recover(dir: &Path, channel: &str) -> Result<Recovered, OpenError> {
    let mut bases = list(dir)?;
    let begin = check_beginning(dir, &bases)?;
    let Some(mut base) = bases.last().copied() else {
        return Ok(Recovered::default());
    };
    if begin.is_none() {
        trim::advance(dir, bases.first().copied().unwrap_or(0))?;
    }
    if was_never_begun(&name::segment(dir, base))? {
        // Nothing in it was ever acknowledged: the first records and the header become durable together.
        let path = name::segment(dir, base);
        bases.pop();
        match bases.last() {
            Some(previous) => base = *previous,
            None if base == 0 => base = 0,
            None => {
                return Err(damaged(&path, 0, "the file is empty, and those before it are gone"));
            }
        }
        tracing::warn!(file = %path.display(), "removed a log file whose creation was cut short");
        fs::remove_file(&path).map_err(|e| IoFailed::new("remove log file", &path, e))?;
        if bases.is_empty() {
            return Ok(Recovered::default());
        }
    }
    let mut term = 0;
    for (i, base) in bases.iter().enumerate() {
        let path = name::segment(dir, *base);
        let (header, length) = head(&path)?;
        if header != FileHeader::new(channel, *base, header.term) {
            return Err(damaged(&path, 0, "the file belongs to another channel or place"));
        }
        if let Some(next) = bases.get(i + 1)
            && length != FILE_HEADER as u64 + (next - base)
        {
            let what = format!("the file has {length} bytes, but the next begins at {next}");
            return Err(damaged(&path, length, &what));
        }
        term = term.max(header.term);
    }
    let found = Recovered { bases, tail: base, end: base, term };
    recover_last(&name::segment(dir, base), base, found)
}

/// Where the log begins, if it says so. Files before that may still be there, but none from there on may
/// be missing.
fn check_beginning(dir: &Path, bases: &[u64]) -> Result<Option<u64>, OpenError> {
    let begin = match trim::find(dir) {
        Err(error) if error.source.kind() == io::ErrorKind::NotFound => None,
        found => found?,
    };
    match (begin, bases.first()) {
        (Some(begin), None) if begin > 0 => {}
        (Some(begin), Some(first)) if begin < *first => {}
        _ => return Ok(begin),
    }
    let path = name::segment(dir, begin.unwrap_or(0));
    Err(damaged(&path, 0, "the file is missing, and the log begins with it"))
}

/// Reads the last file and settles where it ends.
fn recover_last(path: &Path, base: u64, mut found: Recovered) -> Result<Recovered, OpenError> {
    let open = OpenOptions::new().read(true).write(true).open(path);
    let file = open.map_err(|e| IoFailed::new("open log file", path, e))?;
    let length = length(&file, path)?;
    let limit = base + (length - FILE_HEADER as u64);
    let reading = file.try_clone().map_err(|e| IoFailed::new("open log file", path, e))?;
    let mut scanner = Scanner::new(reading, path, base, base, limit);
    let mut durable = true;
    loop {
        match scanner.next()? {
            Step::Record(header, _) => {
                durable = header.kind == Kind::Mark;
                found.tail = header.next();
                found.term = found.term.max(header.term);
                if header.kind == Kind::Data {
                    found.end = found.tail;
                }
            }
            Step::End => break,
            Step::Bad(mut damage) => {
                if let Some(proof) = scanner.proof_of_loss()? {
                    let at = FILE_HEADER as u64 + (proof - base);
                    damage.what += &format!(", and the record at byte {at} shows that one was");
                    return Err(damage.into());
                }
                let cut = FILE_HEADER as u64 + (found.tail - base);
                tracing::warn!(
                    file = %path.display(), offset = cut, bytes = length - cut, what = damage.what,
                    "cut off the end of a log file that was not written to its end"
                );
                file.set_len(cut).map_err(|e| IoFailed::new("shorten log file", path, e))?;
                durable = false;
                break;
            }
        }
    }
    if !durable {
        file.sync_all().map_err(|e| IoFailed::new("sync log file", path, e))?;
    }
    Ok(found)
}

/// The positions in the names of `dir`'s log files, ascending.
fn list(dir: &Path) -> Result<Vec<u64>, OpenError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(IoFailed::new("list", dir, error).into()),
    };
    let mut bases = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| IoFailed::new("list", dir, e))?;
        let Some(base) = entry.file_name().to_str().and_then(name::segment_base) else {
            continue;
        };
        if base > MAX_POSITION {
            return Err(damaged(&entry.path(), 0, "the file's name is beyond every position"));
        }
        bases.push(base);
    }
    bases.sort_unstable();
    Ok(bases)
}

/// Whether the file at `path` has no more than a part of its header, or nothing but zeros.
fn was_never_begun(path: &Path) -> Result<bool, OpenError> {
    let failed = |e| IoFailed::new("read log file", path, e);
    let mut file = File::open(path).map_err(failed)?;
    if length(&file, path)? < FILE_HEADER as u64 {
        return Ok(true);
    }
    let mut bytes = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut bytes).map_err(failed)?;
        let read = bytes.get(..count).unwrap_or(&[]);
        if read.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        if count == 0 {
            return Ok(true);
        }
    }
}

/// The header and the length of the log file at `path`.
fn head(path: &Path) -> Result<(FileHeader, u64), OpenError> {
    let failed = |e| IoFailed::new("read log file", path, e);
    let file = File::open(path).map_err(failed)?;
    let length = length(&file, path)?;
    let mut bytes = Vec::with_capacity(FILE_HEADER);
    file.take(FILE_HEADER as u64).read_to_end(&mut bytes).map_err(failed)?;
    match FileHeader::decode(&bytes) {
        Ok(header) => Ok((header, length)),
        Err(HeaderFlaw::Bad(what)) => Err(damaged(path, 0, what)),
        Err(HeaderFlaw::Newer(got)) => {
            Err(OpenError::NewerFormat { file: path.to_owned(), got, want: VERSION })
        }
    }
}

fn length(file: &File, path: &Path) -> Result<u64, IoFailed> {
    let metadata = file.metadata().map_err(|e| IoFailed::new("read log file", path, e))?;
    Ok(metadata.len())
}

fn damaged(file: &Path, offset: u64, what: &str) -> OpenError {
    WalDamaged { file: PathBuf::from(file), offset, what: what.to_owned() }.into()
}
