//! Files of a segment, mapped and checked.

use bytes::Bytes;
use milvus_base::{CpuPool, Priority};
use milvus_format::{DecodeError, FileMeta};
use milvus_storage::ObjectStore;
use milvus_types::error::OrFailure;
use milvus_types::{Failure, Result};

use crate::error;

/// How many bytes one job checks, so that searches get their turn in between.
const PIECE_BYTES: usize = 32 << 20;

/// Maps `file`; it has the length that its manifest says.
pub(crate) async fn map(store: &dyn ObjectStore, file: &FileMeta) -> Result<Bytes> {
    let bytes = store.map(&file.path).await.or_failure()?;
    if bytes.len() as u64 != file.bytes {
        let error = DecodeError::Length { what: "file", got: bytes.len() as u64, want: file.bytes };
        return Err(Failure::from(&error).context(&file.path));
    }
    Ok(bytes)
}

/// Checks that `bytes` are those that were written as `file`.
pub(crate) async fn verify(cpu: &CpuPool, bytes: &Bytes, file: &FileMeta) -> Result<()> {
    let mut got = 0;
    for start in (0..bytes.len()).step_by(PIECE_BYTES) {
        let piece = bytes.slice(start..bytes.len().min(start + PIECE_BYTES));
        let job = move || crc32c::crc32c_append(got, &piece);
        got = cpu.run(Priority::Write, job).await.map_err(error::cpu)?;
    }
    if got != file.crc32c {
        let error = DecodeError::Checksum { what: "file", got, want: file.crc32c };
        return Err(Failure::from(&error).context(&file.path));
    }
    Ok(())
}
