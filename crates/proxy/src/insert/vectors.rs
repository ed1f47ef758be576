//! Dense vectors: checked as the bytes that arrived, laid out without a copy where they are aligned
//! and no row is null.
//!
//! Float vectors are taken for float16 and bfloat16 fields too. A null row's slot holds zeros.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, FixedSizeBinaryArray, FixedSizeListArray, Float16Array, Float32Array, Int8Array,
};
use arrow::buffer::{Buffer, NullBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowNativeType, DataType as ArrowType};
use half::f16;
use milvus_types::columns::vector_element;
use milvus_types::{DataType, Failure, FieldSchema, Result};

use super::floats;
use crate::api::PackedVectors;

/// Bytes of one vector; `None` for types that are no dense vectors.
pub(crate) fn row_bytes(kind: DataType, dim: usize) -> Option<usize> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other type has no fixed width")]
    match kind {
        DataType::FloatVector => dim.checked_mul(4),
        DataType::Float16Vector | DataType::BFloat16Vector => dim.checked_mul(2),
        DataType::Int8Vector => Some(dim),
        DataType::BinaryVector => Some(dim.div_ceil(8)),
        _ => None,
    }
}

/// The vectors in the kind that `want` is, if the given kind can be had for it.
pub(crate) fn of_kind(want: DataType, given: &PackedVectors) -> Result<Option<PackedVectors>> {
    let halves = matches!(want, DataType::Float16Vector | DataType::BFloat16Vector);
    if given.kind == want {
        return Ok(Some(given.clone()));
    }
    if given.kind != DataType::FloatVector || !halves {
        return Ok(None);
    }
    let numbers = aligned::<f32>(&given.bytes);
    floats::finite_f32(&numbers)?;
    let bytes: Vec<u16> = if want == DataType::Float16Vector {
        numbers.iter().map(|number| f16::from_f32(*number).to_bits()).collect()
    } else {
        // Cut, not rounded, as Milvus does.
        numbers.iter().map(|number| (number.to_bits() >> 16) as u16).collect()
    };
    Ok(Some(PackedVectors { kind: want, dim: given.dim, bytes: Buffer::from_vec(bytes) }))
}

/// Complains about numbers that are none.
pub(crate) fn check_finite(kind: DataType, bytes: &Buffer) -> Result<()> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others have no such numbers")]
    match kind {
        DataType::FloatVector => floats::finite_f32(&aligned::<f32>(bytes)),
        DataType::Float16Vector => floats::finite_f16(bytes),
        DataType::BFloat16Vector => floats::finite_bf16(bytes),
        _ => Ok(()),
    }
}

/// How many vectors of `field` there are, after complaints about lengths and dimensions in the
/// order of Milvus, which is not the same for all kinds.
pub(crate) fn count(field: &FieldSchema, given: &PackedVectors) -> Result<usize> {
    let dim = field.dim().unwrap_or(0);
    if dim == 0 {
        return Err(Failure::parameter_invalid("dim(0) should be greater than 0"));
    }
    let bytes = given.bytes.len();
    let width = row_bytes(given.kind, dim).unwrap_or(usize::MAX);
    let same_dim = || check_dim(field, given.dim, dim);
    let whole = |what: String| {
        if bytes.is_multiple_of(width) { Ok(()) } else { Err(Failure::parameter_invalid(what)) }
    };
    #[expect(clippy::wildcard_enum_match_arm, reason = "no other kind gets here")]
    match given.kind {
        DataType::FloatVector => {
            let length = bytes / 4;
            whole(format!("the length({length}) of float data should divide the dim({dim})"))?;
            same_dim()?;
        }
        DataType::Int8Vector => {
            whole(format!("the length({bytes}) of int8 data should divide the dim({dim})"))?;
            same_dim()?;
        }
        DataType::BinaryVector => {
            same_dim()?;
            let bits = bytes.saturating_mul(8);
            whole(format!("the num({bits}) of all bits should divide the dim({dim})"))?;
        }
        kind => {
            same_dim()?;
            let kind = if kind == DataType::Float16Vector { "float16" } else { "bfloat" };
            whole(format!(
                "the length({bytes}) of {kind} data should divide the row width({width})"
            ))?;
        }
    }
    Ok(bytes / width)
}

pub(crate) fn check_dim(field: &FieldSchema, given: i64, dim: usize) -> Result<()> {
    if usize::try_from(given) == Ok(dim) {
        return Ok(());
    }
    Err(Failure::parameter_mismatch(
        dim,
        given,
        format!(
            "the dim ({given}) of field data({}) is not equal to schema dim ({dim})",
            field.name
        ),
    ))
}

/// A column of vectors; with `valid` its true rows take the vectors in order, the others are null.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others are bytes")]
pub(crate) fn layout(
    kind: DataType,
    dim: usize,
    bytes: Buffer,
    valid: Option<&[bool]>,
) -> Result<ArrayRef> {
    let (bytes, nulls) = match valid {
        None => (bytes, None),
        Some(valid) => {
            let width = row_bytes(kind, dim).unwrap_or(0);
            (spread(&bytes, width, valid), Some(NullBuffer::from(valid)))
        }
    };
    let failed = |error: arrow::error::ArrowError| Failure::internal(format!("vectors: {error}"));
    let size = i32::try_from(dim).map_err(|_| Failure::internal(format!("dimension {dim}")))?;
    let (element, values): (ArrowType, ArrayRef) = match kind {
        DataType::FloatVector => {
            (ArrowType::Float32, Arc::new(Float32Array::new(aligned(&bytes), None)))
        }
        DataType::Float16Vector => {
            (ArrowType::Float16, Arc::new(Float16Array::new(aligned(&bytes), None)))
        }
        DataType::Int8Vector => (ArrowType::Int8, Arc::new(Int8Array::new(aligned(&bytes), None))),
        _ => {
            let width = row_bytes(kind, dim).and_then(|width| i32::try_from(width).ok());
            let width = width.ok_or_else(|| Failure::internal(format!("vectors of {kind}")))?;
            let array = FixedSizeBinaryArray::try_new(width, bytes, nulls).map_err(failed)?;
            return Ok(Arc::new(array));
        }
    };
    let array = FixedSizeListArray::try_new(vector_element(element), size, values, nulls);
    Ok(Arc::new(array.map_err(failed)?))
}

/// Rows of `width` bytes, zeros where `valid` says there is none.
fn spread(bytes: &Buffer, width: usize, valid: &[bool]) -> Buffer {
    let mut all = Vec::with_capacity(width.saturating_mul(valid.len()));
    let mut given = bytes.chunks_exact(width.max(1));
    for valid in valid {
        match valid.then(|| given.next()).flatten() {
            Some(row) => all.extend_from_slice(row),
            None => all.resize(all.len() + width, 0),
        }
    }
    Buffer::from_vec(all)
}

/// The numbers in `bytes`, copied only if they are not aligned.
pub(crate) fn aligned<T: ArrowNativeType>(bytes: &Buffer) -> ScalarBuffer<T> {
    let length = bytes.len() / size_of::<T>();
    let is_aligned = bytes.as_ptr().align_offset(align_of::<T>()) == 0;
    let bytes = if is_aligned { bytes.clone() } else { Buffer::from(&bytes[..]) };
    ScalarBuffer::new(bytes, 0, length)
}
