//! Indexes of vector fields: AUTOINDEX, and the parameters of the others.
//!
//! What is described back is what the client sent; an AUTOINDEX is described by its type and metric
//! alone. Which metrics and families fit which vectors: `milvus_index`.

use milvus_index::{VectorField, check_index};
use milvus_types::error::OrFailure as _;
use milvus_types::index_meta::find;
use milvus_types::{DataType, Failure, FieldSchema, KeyValue, Result};

use super::params::{AUTO_INDEX, INDEX_TYPE, IndexParams, METRIC_TYPE};

/// Checks the flattened parameters of an index on vector field `field`.
pub(super) fn vector_index(
    field: &FieldSchema,
    sent: &[KeyValue],
    mut params: Vec<KeyValue>,
) -> Result<IndexParams> {
    let vectors = vector_field(field);
    let index_type = find(&params, INDEX_TYPE).unwrap_or_default();
    let mut user = sent.to_vec();
    if index_type.is_empty() || index_type == AUTO_INDEX {
        let type_given = !index_type.is_empty();
        user = auto_index(&vectors, &mut params, type_given)?;
    }
    check_index(&vectors, &params).or_failure()?;
    Ok(IndexParams { user, build: params })
}

fn vector_field(field: &FieldSchema) -> VectorField {
    let dim = field.dim().unwrap_or_default();
    let data_type = field.data_type;
    let element_type = field.element_type.filter(|_| data_type == DataType::ArrayOfVector);
    VectorField { data_type, element_type, dim }
}

/// Completes `params` of an AUTOINDEX, which takes a metric and nothing else; what to describe.
fn auto_index(
    vectors: &VectorField,
    params: &mut Vec<KeyValue>,
    type_given: bool,
) -> Result<Vec<KeyValue>> {
    params.retain(|pair| pair.key != INDEX_TYPE || type_given);
    let others = params.iter().filter(|pair| pair.key != INDEX_TYPE);
    if others.clone().any(|pair| pair.key != METRIC_TYPE) {
        return Err(Failure::parameter_invalid(
            "only metric type can be passed when use AutoIndex",
        ));
    }
    let metric = others.map(|pair| pair.value.clone()).next();
    let metric = metric.unwrap_or_else(|| vectors.default_metric().name().to_owned());
    *params = vec![KeyValue::new(INDEX_TYPE, AUTO_INDEX), KeyValue::new(METRIC_TYPE, metric)];
    Ok(params.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(data_type: DataType, element_type: Option<DataType>) -> FieldSchema {
        FieldSchema {
            name: "v".to_owned(),
            data_type,
            element_type,
            type_params: vec![KeyValue::new("dim", "8")],
            ..FieldSchema::default()
        }
    }

    #[test]
    fn an_auto_index_has_the_metric_of_its_vectors() {
        for (field, metric) in [
            (field(DataType::Float16Vector, None), "COSINE"),
            (field(DataType::Int8Vector, None), "COSINE"),
            (field(DataType::SparseFloatVector, None), "IP"),
            (field(DataType::BinaryVector, None), "HAMMING"),
            (field(DataType::ArrayOfVector, Some(DataType::FloatVector)), "MAX_SIM_COSINE"),
            (field(DataType::ArrayOfVector, Some(DataType::BinaryVector)), "MAX_SIM_HAMMING"),
        ] {
            let described = vector_index(&field, &[], Vec::new()).unwrap().user;
            assert_eq!(find(&described, METRIC_TYPE), Some(metric));
            assert_eq!(find(&described, INDEX_TYPE), Some(AUTO_INDEX));
        }
    }
}
