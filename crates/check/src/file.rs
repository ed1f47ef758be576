//! One file that a manifest names: it is there, as long as it should be, and unchanged.

use bytes::Bytes;
use milvus_base::Panicked;
use milvus_format::{DecodeError, FileMeta};
use milvus_storage::{ObjectStore, StoreError};

use crate::check::Run;
use crate::finding::{Finding, Severity};
use crate::options::PlantedBug;
use crate::outcome::Outcome;

/// How a file was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Found {
    /// Unchanged.
    #[default]
    Sound,
    /// Changed, and as long as it should be: opening it may say where.
    Changed(Finding),
    /// Not there, not readable, or of another length.
    Gone(Finding),
}

/// Reads `file` piece by piece and says how it was found.
pub(crate) async fn verify(run: &Run<'_>, file: &FileMeta, outcome: &mut Outcome) -> Found {
    run.progress.begin(&file.path);
    outcome.counts.files += 1;
    let found = match read(run, file, outcome).await {
        Ok(found) => found,
        Err(error) => Found::Gone(unread(&file.path, &error)),
    };
    run.progress.end();
    found
}

async fn read(run: &Run<'_>, file: &FileMeta, outcome: &mut Outcome) -> Result<Found, StoreError> {
    let store = &*run.target.store;
    let (got, want) = (store.head(&file.path).await?.size, file.bytes);
    if got != want {
        let what = format!("it has {got} bytes, its manifest says {want}");
        return Ok(Found::Gone(Finding::damage(&file.path, what).at(Some(got.min(want)))));
    }
    if run.options.planted_bug == PlantedBug::SkipChecksums {
        return Ok(Found::Sound);
    }
    let crc = checksum(run, store, file, outcome).await?;
    if crc == file.crc32c {
        return Ok(Found::Sound);
    }
    let what = format!("its checksum is {crc:08x}, its manifest says {:08x}", file.crc32c);
    Ok(Found::Changed(Finding::damage(&file.path, what)))
}

async fn checksum(
    run: &Run<'_>,
    store: &dyn ObjectStore,
    file: &FileMeta,
    outcome: &mut Outcome,
) -> Result<u32, StoreError> {
    let piece = run.options.piece_bytes.max(1);
    let (mut at, mut crc) = (0, 0);
    while at < file.bytes {
        let end = file.bytes.min(at.saturating_add(piece));
        let bytes = store.get_range(&file.path, at..end).await?;
        crc = crc32c::crc32c_append(crc, &bytes);
        outcome.counts.bytes += end - at;
        run.progress.read(end - at, &file.path);
        at = end;
    }
    Ok(crc)
}

/// What it means that `path` could not be read.
pub(crate) fn unread(path: &str, error: &StoreError) -> Finding {
    if error.is_not_found() {
        return Finding::new(Severity::Missing, path, "it is not there");
    }
    let what = format!("it cannot be read: {}", chain(error));
    Finding::new(Severity::Unreadable, path, what)
        .advise("find out what is wrong with the disk or the store, then check again")
}

/// What it means that the bytes of `path` cannot be decoded.
pub(crate) fn undecoded(path: &str, error: &DecodeError) -> Finding {
    if let DecodeError::NewerVersion { .. } = error {
        return Finding::new(Severity::Unreadable, path, error.to_string());
    }
    Finding::damage(path, chain(error))
}

/// Runs `look` on the bytes of `path`, on a thread that may compute.
pub(crate) async fn look<T: Send + 'static>(
    run: &Run<'_>,
    path: &str,
    look: impl FnOnce(Bytes) -> T + Send + 'static,
) -> Result<T, Finding> {
    let bytes = run.target.store.map(path).await.map_err(|error| unread(path, &error))?;
    milvus_base::io::run(move || look(bytes)).await.map_err(|panicked| bug(path, &panicked))
}

fn bug(path: &str, panicked: &Panicked) -> Finding {
    Finding::new(Severity::Unreadable, path, panicked.to_string())
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}
