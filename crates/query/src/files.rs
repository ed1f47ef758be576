//! Files of a segment, mapped and checked.

use std::fs::File;
use std::io::{self, Read as _};

use bytes::Bytes;
use milvus_base::{CpuPool, Priority};
use milvus_format::{DecodeError, FileMeta};
use milvus_storage::ObjectStore;
use milvus_types::error::OrFailure;
use milvus_types::{ErrorCode, Failure, Result};

use crate::error;

/// How many bytes one job checks, so that searches get their turn in between.
const PIECE_BYTES: usize = 32 << 20;
/// How many bytes of a file are read at a time.
const READ_BYTES: usize = 1 << 20;

/// Maps `file`; it has the length that its manifest says.
pub(crate) async fn map(store: &dyn ObjectStore, file: &FileMeta) -> Result<Bytes> {
    let bytes = store.map(&file.path).await.or_failure()?;
    if bytes.len() as u64 != file.bytes {
        let error = DecodeError::Length { what: "file", got: bytes.len() as u64, want: file.bytes };
        return Err(Failure::from(&error).context(&file.path));
    }
    Ok(bytes)
}

/// Checks that the file at `file`, mapped as `bytes`, is the one that was written.
///
/// Where it is a file of this machine it is read as one, so that a file larger than memory does not
/// become memory of this process by being looked at once.
pub(crate) async fn verify(
    store: &dyn ObjectStore,
    cpu: &CpuPool,
    bytes: &Bytes,
    file: &FileMeta,
) -> Result<()> {
    let got = match store.file(&file.path).await.or_failure()? {
        Some(source) => {
            let summed = milvus_base::io::run(move || checksum(&source)).await;
            summed.map_err(Failure::internal)?.map_err(|error| unreadable(&error, file))?
        }
        None => mapped_checksum(cpu, bytes).await?,
    };
    if got != file.crc32c {
        let error = DecodeError::Checksum { what: "file", got, want: file.crc32c };
        return Err(Failure::from(&error).context(&file.path));
    }
    Ok(())
}

/// Reads `file` to its end. Blocks.
fn checksum(mut file: &File) -> io::Result<u32> {
    let mut buffer = vec![0; READ_BYTES];
    let mut sum = 0;
    loop {
        let count = file.read(&mut buffer)?;
        match buffer.get(..count) {
            Some(piece) if count > 0 => sum = crc32c::crc32c_append(sum, piece),
            _ => return Ok(sum),
        }
    }
}

async fn mapped_checksum(cpu: &CpuPool, bytes: &Bytes) -> Result<u32> {
    let mut sum = 0;
    for start in (0..bytes.len()).step_by(PIECE_BYTES) {
        let piece = bytes.slice(start..bytes.len().min(start + PIECE_BYTES));
        let job = move || crc32c::crc32c_append(sum, &piece);
        sum = cpu.run(Priority::Write, job).await.map_err(error::cpu)?;
    }
    Ok(sum)
}

fn unreadable(error: &io::Error, file: &FileMeta) -> Failure {
    Failure::wrap(ErrorCode::IoFailed, format!("cannot read {}: {error}", file.path))
}
