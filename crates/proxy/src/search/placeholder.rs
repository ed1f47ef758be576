//! Query vectors: the bytes of a placeholder as numbers.

use milvus_segment::Queries;
use milvus_types::{Failure, FieldSchema, Result};

use crate::api::Placeholder;

/// The wire's placeholder type of 32-bit float vectors.
const FLOAT_VECTOR: i32 = 101;

/// The vectors of `placeholder`, little-endian floats, each as long as `field` says.
pub(crate) fn decode(placeholder: Option<Placeholder>, field: &FieldSchema) -> Result<Queries> {
    let placeholder = placeholder
        .filter(|placeholder| !placeholder.values.is_empty())
        .ok_or_else(|| Failure::parameter_invalid("must have queries"))?;
    if placeholder.kind != FLOAT_VECTOR {
        return Err(Failure::parameter_invalid(format!(
            "vector type must be the same, field {} - type VECTOR_FLOAT, search info type {}",
            field.name,
            kind_name(placeholder.kind)
        )));
    }
    let dim = field
        .dim()
        .ok_or_else(|| Failure::internal(format!("field {} has no dimension", field.name)))?;
    let size = dim * size_of::<f32>();
    let mut values = Vec::with_capacity(placeholder.values.len().saturating_mul(dim));
    for vector in &placeholder.values {
        if vector.len() != size {
            return Err(Failure::parameter_invalid(format!(
                "vector dimension mismatch, expected vector size(byte) {size}, actual {}.",
                vector.len()
            )));
        }
        let floats = vector.as_chunks::<4>().0;
        values.extend(floats.iter().map(|bytes| f32::from_le_bytes(*bytes)));
    }
    Ok(Queries { dim, values })
}

fn kind_name(kind: i32) -> String {
    match kind {
        100 => "VECTOR_BINARY".to_owned(),
        102 => "VECTOR_FLOAT16".to_owned(),
        103 => "VECTOR_BFLOAT16".to_owned(),
        104 => "VECTOR_SPARSE_U32_F32".to_owned(),
        105 => "VECTOR_INT8".to_owned(),
        21 => "VARCHAR".to_owned(),
        kind => kind.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use milvus_types::{DataType, KeyValue};

    use super::*;

    fn decoded(kind: i32, vectors: &[&[f32]]) -> Result<Queries> {
        let field = FieldSchema {
            name: "v".to_owned(),
            data_type: DataType::FloatVector,
            type_params: vec![KeyValue::new("dim", "2")],
            ..FieldSchema::default()
        };
        let bytes = |vector: &&[f32]| vector.iter().flat_map(|x| x.to_le_bytes()).collect();
        let values = vectors.iter().map(bytes).collect();
        decode(Some(Placeholder { kind, values }), &field)
    }

    #[test]
    fn vectors_have_the_fields_type_and_dimension() {
        let queries = decoded(101, &[&[1.0, -2.0], &[0.5, 3.0]]).unwrap();
        assert_eq!((queries.nq(), queries.get(1)), (2, &[0.5, 3.0][..]));
        assert_eq!(
            decoded(101, &[&[1.0, 2.0, 3.0]]).unwrap_err().reason,
            "vector dimension mismatch, expected vector size(byte) 8, actual 12.: invalid parameter"
        );
        assert_eq!(
            decoded(100, &[&[1.0, 2.0]]).unwrap_err().reason,
            "vector type must be the same, field v - type VECTOR_FLOAT, search info type \
             VECTOR_BINARY: invalid parameter"
        );
        assert!(decoded(101, &[]).is_err());
    }
}
