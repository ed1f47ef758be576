//! Query vectors: the bytes of a placeholder as vectors of the searched field's kind.
//!
//! A field of single vectors takes vectors of its own type; 16-bit float fields also take 32-bit
//! floats. A field of vector lists takes single vectors, which are compared with every element, or,
//! where its metric is one of lists (`MAX_SIM...`), lists of vectors.

use std::sync::Arc;

use bytes::Bytes;
use milvus_index::vectors::{QueryData, SparseRows};
use milvus_segment::Queries;
use milvus_types::{DataType, Failure, FieldSchema, MetricType, Result};

use super::group_by::engine_name;
use crate::api::Placeholder;

/// Placeholder types of lists of vectors are those of vectors plus this.
const LISTS: i32 = 200;

/// Whether the placeholder holds lists of vectors.
pub(crate) fn is_lists(kind: i32) -> bool {
    DataType::from_number(kind - LISTS).is_some_and(DataType::is_vector)
}

/// Whether a metric compares lists of vectors.
pub(crate) fn compares_lists(metric: MetricType) -> bool {
    matches!(
        metric,
        MetricType::MaxSim
            | MetricType::MaxSimCosine
            | MetricType::MaxSimIp
            | MetricType::MaxSimL2
            | MetricType::MaxSimHamming
            | MetricType::MaxSimJaccard
    )
}

fn invalid<T>(what: impl std::fmt::Display) -> Result<T> {
    Err(Failure::parameter_invalid(what))
}

/// The one placeholder there must be.
pub(crate) fn only(mut placeholders: Vec<Placeholder>) -> Result<Placeholder> {
    if placeholders.len() > 1 {
        return invalid(format!(
            "one placeholder is expected in a search request, got {}",
            placeholders.len()
        ));
    }
    match placeholders.pop() {
        Some(one) if one.values.is_empty() => invalid("must have queries"),
        Some(one) if one.tag != "$0" => {
            invalid(format!("placeholder $0 is expected in a search request, got {}", one.tag))
        }
        Some(one) => Ok(one),
        None => invalid("must have queries"),
    }
}

/// The vectors of `placeholder` for a search of `field` by `metric`.
pub(crate) fn decode(
    placeholder: Placeholder,
    field: &FieldSchema,
    metric: MetricType,
) -> Result<Queries> {
    let element_type = field.element_type.filter(|_| field.data_type == DataType::ArrayOfVector);
    let lists = is_lists(placeholder.kind);
    if element_type.is_some() && compares_lists(metric) != lists {
        let (takes, data) = if lists {
            ("does not support", "embedding list")
        } else {
            ("requires", "plain vector")
        };
        return invalid(format!(
            "search type mismatch for VECTOR_ARRAY field {}: metric_type {metric} {takes} \
             embedding list search, but search data is {data}",
            field.name
        ));
    }
    let want = element_type.unwrap_or(field.data_type);
    let got = if lists { placeholder.kind - LISTS } else { placeholder.kind };
    let got = got_type(got, want, lists, field)?;
    if got == DataType::SparseFloatVector {
        return sparse(&placeholder.values);
    }
    let dim = field
        .dim()
        .ok_or_else(|| Failure::internal(format!("field {} has no dimension", field.name)))?;
    let (data, lists) = dense(&placeholder.values, got, dim, lists)?;
    let data = data.converted(want).map_err(Failure::internal)?;
    Ok(Queries { data, lists })
}

/// The type of the vectors that came.
fn got_type(kind: i32, want: DataType, lists: bool, field: &FieldSchema) -> Result<DataType> {
    let got = DataType::from_number(kind).filter(|data_type| data_type.is_vector());
    match got {
        // Lists are of list fields only; what a list field wants has been looked at.
        Some(got) if got == want && lists == (lists && field.element_type.is_some()) => {
            return Ok(got);
        }
        Some(got @ DataType::FloatVector)
            if matches!(field.data_type, DataType::Float16Vector | DataType::BFloat16Vector) =>
        {
            return Ok(got);
        }
        Some(got)
            if matches!(field.data_type, DataType::Float16Vector | DataType::BFloat16Vector) =>
        {
            return invalid(format!(
                "vector type must be the same: field type {want}, search type {got}"
            ));
        }
        Some(_) | None => {}
    }
    let got = DataType::from_number(kind).map_or_else(|| kind.to_string(), engine_name);
    invalid(format!(
        "vector type must be the same, field {} - type {}, search ph type {got}",
        field.name,
        engine_name(field.data_type)
    ))
}

fn dense(
    values: &[Bytes],
    data_type: DataType,
    dim: usize,
    lists: bool,
) -> Result<(QueryData, Option<Vec<u32>>)> {
    let width = width(data_type, dim);
    let mut offsets = vec![0_u32];
    let mut bytes = Vec::with_capacity(values.iter().map(Bytes::len).sum());
    for value in values {
        let fits = if lists { value.len() % width.max(1) == 0 } else { value.len() == width };
        if !fits {
            return invalid(format!(
                "vector dimension mismatch, expected vector size(byte) {width}, actual {}.",
                value.len()
            ));
        }
        bytes.extend_from_slice(value);
        offsets.push(u32::try_from(bytes.len() / width.max(1)).unwrap_or(u32::MAX));
    }
    finite(&bytes, data_type)?;
    let data = QueryData::dense(data_type, dim, Arc::new(bytes)).map_err(Failure::internal)?;
    Ok((data, lists.then_some(offsets)))
}

fn width(data_type: DataType, dim: usize) -> usize {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others have no fixed width")]
    match data_type {
        DataType::FloatVector => 4 * dim,
        DataType::Float16Vector | DataType::BFloat16Vector => 2 * dim,
        DataType::BinaryVector => dim / 8,
        _ => dim,
    }
}

/// Refuses numbers that compare with nothing.
fn finite(bytes: &[u8], data_type: DataType) -> Result<()> {
    // All bits of the exponent are set in infinities and in what is no number.
    let halves = |mask: u16| {
        bytes.as_chunks::<2>().0.iter().all(|half| u16::from_le_bytes(*half) & mask != mask)
    };
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are integers")]
    let finite = match data_type {
        DataType::FloatVector => {
            bytes.as_chunks::<4>().0.iter().all(|float| f32::from_le_bytes(*float).is_finite())
        }
        DataType::Float16Vector => halves(0x7c00),
        DataType::BFloat16Vector => halves(0x7f80),
        _ => true,
    };
    if finite {
        return Ok(());
    }
    invalid("search vectors hold a value that is not a number or infinity")
}

fn sparse(values: &[Bytes]) -> Result<Queries> {
    for row in values {
        let (pairs, rest) = row.as_chunks::<8>();
        if !rest.is_empty() {
            return invalid(format!("Invalid sparse row: {} bytes are not pairs", row.len()));
        }
        let mut last = None;
        for pair in pairs {
            let index = u32::from_le_bytes([pair[0], pair[1], pair[2], pair[3]]);
            let value = f32::from_le_bytes([pair[4], pair[5], pair[6], pair[7]]);
            if last.is_some_and(|last| index <= last) {
                return invalid("Invalid sparse row: id should be strict ascending");
            }
            if index == u32::MAX || !value.is_finite() {
                return invalid(format!(
                    "Invalid sparse row: id should be smaller than uint32 max and value finite, \
                     got {index}: {value}"
                ));
            }
            last = Some(index);
        }
    }
    let rows = SparseRows::from_rows(values.iter().map(|row| &row[..]));
    let data = QueryData::Sparse(rows.map_err(Failure::parameter_invalid)?);
    Ok(Queries { data, lists: None })
}

#[cfg(test)]
mod tests {
    use milvus_types::KeyValue;

    use super::*;

    fn field(data_type: DataType, element_type: Option<DataType>, dim: &str) -> FieldSchema {
        FieldSchema {
            name: "v".to_owned(),
            data_type,
            element_type,
            type_params: vec![KeyValue::new("dim", dim)],
            ..FieldSchema::default()
        }
    }

    fn decoded(
        field: &FieldSchema,
        metric: MetricType,
        kind: i32,
        vectors: &[&[u8]],
    ) -> Result<Queries> {
        let values = vectors.iter().map(|vector| Bytes::copy_from_slice(vector)).collect();
        let placeholder = Placeholder { tag: "$0".to_owned(), kind, values };
        decode(only(vec![placeholder])?, field, metric)
    }

    fn floats(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|x| x.to_le_bytes()).collect()
    }

    #[test]
    fn vectors_of_every_kind() {
        for (data_type, kind, vector) in [
            (DataType::FloatVector, 101, floats(&[1.0; 8])),
            (DataType::Float16Vector, 102, vec![0; 16]),
            (DataType::Float16Vector, 101, floats(&[1.0; 8])),
            (DataType::BFloat16Vector, 103, vec![0; 16]),
            (DataType::BFloat16Vector, 101, floats(&[1.0; 8])),
            (DataType::Int8Vector, 105, vec![0; 8]),
            (DataType::BinaryVector, 100, vec![1]),
        ] {
            let two = [&vector[..], &vector];
            let decoded =
                decoded(&field(data_type, None, "8"), MetricType::Ip, kind, &two).unwrap();
            assert_eq!((decoded.nq(), decoded.data.rows()), (2, 2));
            assert_eq!((decoded.data.data_type(), decoded.data.dim()), (data_type, 8));
        }
        let row: Vec<u8> = [1_u32.to_le_bytes(), 0.5_f32.to_le_bytes()].concat();
        let sparse = field(DataType::SparseFloatVector, None, "");
        assert_eq!(decoded(&sparse, MetricType::Ip, 104, &[&row, &[]]).unwrap().nq(), 2);
    }

    #[test]
    fn lists_of_vectors_and_elements() {
        let list = field(DataType::ArrayOfVector, Some(DataType::FloatVector), "2");
        let one = floats(&[1.0, 2.0]);
        let three = floats(&[1.0; 6]);
        let lists = decoded(&list, MetricType::MaxSim, 301, &[&one, &three]).unwrap();
        assert_eq!((lists.nq(), lists.data.rows(), lists.lists), (2, 4, Some(vec![0, 1, 4])));
        let elements = decoded(&list, MetricType::L2, 101, &[&one]).unwrap();
        assert_eq!((elements.nq(), elements.lists), (1, None));
        for (metric, kind, text) in [
            (MetricType::MaxSim, 101, "MAX_SIM requires embedding list search, but search data is"),
            (MetricType::L2, 301, "L2 does not support embedding list search, but search data is"),
        ] {
            let error = decoded(&list, metric, kind, &[&one]).unwrap_err();
            assert!(error.reason.contains(text), "{error}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_milvus_texts() {
        let float = field(DataType::FloatVector, None, "2");
        let half = field(DataType::Float16Vector, None, "2");
        let sparse = field(DataType::SparseFloatVector, None, "");
        let twice = [2_u32.to_le_bytes(), 1.0_f32.to_le_bytes()].concat().repeat(2);
        for (field, kind, vector, reason) in [
            (
                &float,
                101,
                floats(&[1.0, 2.0, 3.0]),
                "vector dimension mismatch, expected vector size(byte) 8, actual 12.",
            ),
            (
                &float,
                100,
                vec![0],
                "vector type must be the same, field v - type VECTOR_FLOAT, search ph type \
                 VECTOR_BINARY",
            ),
            (&float, 301, floats(&[1.0, 2.0]), "vector type must be the same, field v"),
            (
                &half,
                105,
                vec![0; 2],
                "vector type must be the same: field type Float16Vector, search type Int8Vector",
            ),
            (&float, 101, floats(&[f32::NAN, 1.0]), "search vectors hold a value that is not"),
            (&half, 102, vec![0, 0x7c, 0, 0], "search vectors hold a value that is not"),
            (&sparse, 104, twice, "Invalid sparse row: id should be strict ascending"),
            (&sparse, 104, vec![0; 7], "Invalid sparse row: 7 bytes are not pairs"),
        ] {
            let error = decoded(field, MetricType::Ip, kind, &[&vector]).unwrap_err();
            assert!(error.reason.starts_with(reason), "{error}");
        }
        assert!(decoded(&float, MetricType::L2, 101, &[]).is_err());
        let two = vec![
            Placeholder { tag: "$0".to_owned(), kind: 101, values: vec![Bytes::new()] },
            Placeholder { tag: "$1".to_owned(), kind: 101, values: vec![Bytes::new()] },
        ];
        assert!(only(two[1..].to_vec()).is_err() && only(two).is_err());
    }
}
