//! Arrow IPC, read from bytes that nobody vouches for, and written from many chunks as one batch.
//!
//! Arrow's own decoder trusts lengths in its metadata and panics on impossible ones. So before it
//! is called, [`read`] checks every number it will use; it then builds arrays with full validation
//! (offsets, UTF-8, null counts), as views of the given buffer where that is aligned.
//!
//! Types: those of `milvus_types::columns`. Others are refused by name both ways.

mod plan;
pub(crate) mod read;
pub(crate) mod write;

use arrow::datatypes::{DataType as ArrowType, TimeUnit};

/// Buffers begin at multiples of this.
pub(crate) const ALIGNMENT: usize = 64;
/// What precedes each message's metadata: a continuation marker and a length.
pub(crate) const CONTINUATION: [u8; 4] = [0xff; 4];

/// The next multiple of [`ALIGNMENT`].
pub(crate) fn padded(len: u64) -> u64 {
    len.next_multiple_of(ALIGNMENT as u64)
}

/// Whether columns of `data_type` may stand in our files.
pub(crate) fn supported(data_type: &ArrowType) -> bool {
    #[expect(clippy::wildcard_enum_match_arm, reason = "types not listed have no place in a file")]
    match data_type {
        ArrowType::List(element) => {
            !matches!(element.data_type(), ArrowType::List(_)) && supported(element.data_type())
        }
        ArrowType::FixedSizeList(element, size) => {
            *size > 0 && fixed_width(element.data_type()).is_some()
        }
        ArrowType::Boolean | ArrowType::Utf8 | ArrowType::Binary => true,
        other => fixed_width(other).is_some(),
    }
}

/// Bytes per value of the types that have a fixed number of them.
pub(crate) fn fixed_width(data_type: &ArrowType) -> Option<usize> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "types not listed have no place in a file")]
    match data_type {
        ArrowType::Int8 | ArrowType::UInt8 => Some(1),
        ArrowType::Int16 | ArrowType::UInt16 | ArrowType::Float16 => Some(2),
        ArrowType::Int32 | ArrowType::UInt32 | ArrowType::Float32 => Some(4),
        ArrowType::Int64
        | ArrowType::UInt64
        | ArrowType::Float64
        | ArrowType::Timestamp(TimeUnit::Microsecond, _) => Some(8),
        ArrowType::FixedSizeBinary(size) => usize::try_from(*size).ok().filter(|size| *size > 0),
        _ => None,
    }
}
