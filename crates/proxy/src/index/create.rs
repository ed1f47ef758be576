//! `CreateIndex`: checks the parameters in Milvus's order and hands over what to build.
//!
//! Not here: the rules of vector fields (`vector`), those of scalar fields (`scalar`).

use milvus_index::IndexType;
use milvus_roles::CreateIndex;
use milvus_scalar::{ScalarIndexType, prepare_params};
use milvus_types::error::OrFailure as _;
use milvus_types::index_meta::find;
use milvus_types::limits::Limits;
use milvus_types::{CollectionSchema, Failure, FieldSchema, KeyValue, Result};

use super::params::{
    AUTO_INDEX, INDEX_TYPE, IndexParams, check_mmap, check_offset_cache, check_size, flattened,
    invalid_index,
};
use super::vector::vector_index;
use crate::Proxy;
use crate::api::{Context, CreateIndexRequest};
use crate::validate::{names, warmup};

/// Vector indexes that a build of Milvus without accelerators does not have either.
const UNKNOWN: [&str; 1] = ["GPU_"];

impl Proxy {
    /// Defines an index; it is built in the background.
    pub async fn create_index(&self, cx: &Context, request: CreateIndexRequest) -> Result<()> {
        let limits = &self.options().limits;
        let collection = self.collection(cx, &request.collection_name).await?;
        names::index(&request.index_name, limits.name_length)?;
        let field = indexed_field(&collection.schema, &request.field_name)?;
        let params = index_params(&collection.schema, field, &request, limits)?;
        self.data()
            .create_index(CreateIndex {
                collection_id: collection.id,
                field_id: field.id,
                field_name: field.name.clone(),
                index_name: stored_name(&request.index_name),
                user_params: params.user,
                index_params: params.build,
            })
            .await
    }
}

/// The field called `name`; an unknown name is a key of the dynamic field where there is one.
fn indexed_field<'s>(schema: &'s CollectionSchema, name: &str) -> Result<&'s FieldSchema> {
    let field = schema.field(name);
    let field = field.or_else(|| schema.dynamic_field().filter(|_| !name.is_empty()));
    field.ok_or_else(|| {
        Failure::parameter_invalid(format!("cannot create index on non-exist field: {name}"))
    })
}

fn index_params(
    schema: &CollectionSchema,
    field: &FieldSchema,
    request: &CreateIndexRequest,
    limits: &Limits,
) -> Result<IndexParams> {
    check_size(&request.params, limits.index_params_bytes)?;
    let params = flattened(&request.params)?;
    check_size(&params, limits.index_params_bytes)?;
    let index_type = find(&params, INDEX_TYPE).unwrap_or_default();
    if !index_type.is_empty() {
        check_mmap(index_type, &params)?;
        if !is_known(index_type) {
            return Err(invalid_index(index_type));
        }
    }
    warmup::of_index(&params)?;
    let params = if field.data_type.is_vector() {
        vector_index(field, &request.params, params)?
    } else {
        scalar_index(schema, field, request, params)?
    };
    check_offset_cache(find(&params.build, INDEX_TYPE).unwrap_or_default(), &params.build)?;
    Ok(params)
}

/// Whether Milvus has an index type called `name` that users can ask for.
fn is_known(name: &str) -> bool {
    let of_vectors =
        IndexType::is_milvus_name(name) && !UNKNOWN.iter().any(|family| name.starts_with(family));
    let of_scalars =
        ScalarIndexType::parse(name).is_some_and(|kind| kind != ScalarIndexType::Hybrid);
    of_vectors || of_scalars || name == AUTO_INDEX
}

/// Checks the flattened parameters of an index on scalar field `field`. It is described as it was
/// sent, whatever AUTOINDEX makes of it.
fn scalar_index(
    schema: &CollectionSchema,
    field: &FieldSchema,
    request: &CreateIndexRequest,
    params: Vec<KeyValue>,
) -> Result<IndexParams> {
    let index_type = find(&params, INDEX_TYPE).unwrap_or_default();
    let of_vectors = IndexType::is_milvus_name(index_type) && index_type != AUTO_INDEX;
    if of_vectors {
        return Err(Failure::parameter_invalid(format!(
            "index {index_type} only supports vector data type"
        )));
    }
    let build = prepare_params(schema, field, &request.field_name, params).or_failure()?;
    Ok(IndexParams { user: request.params.clone(), build })
}

/// Names are kept as they were sent; one of blanks alone is none.
fn stored_name(name: &str) -> String {
    if name.trim().is_empty() { String::new() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use milvus_types::DataType;

    use super::*;

    fn vector() -> FieldSchema {
        FieldSchema {
            name: "v".to_owned(),
            data_type: DataType::FloatVector,
            type_params: vec![KeyValue::new("dim", "8")],
            ..FieldSchema::default()
        }
    }

    fn pairs(given: &[(&str, &str)]) -> Vec<KeyValue> {
        given.iter().map(|(key, value)| KeyValue::new(*key, *value)).collect()
    }

    fn read(field: &FieldSchema, given: &[(&str, &str)]) -> Result<IndexParams> {
        let request = CreateIndexRequest {
            field_name: field.name.clone(),
            params: pairs(given),
            ..CreateIndexRequest::default()
        };
        let schema =
            CollectionSchema { fields: vec![field.clone()], ..CollectionSchema::default() };
        index_params(&schema, field, &request, &Limits::default())
    }

    #[test]
    fn nested_parameters_are_flattened_and_described_as_sent() {
        let given = [
            ("index_type", "HNSW"),
            ("metric_type", "L2"),
            ("params", r#"{"M": 16, "efConstruction": "200"}"#),
        ];
        let params = read(&vector(), &given).unwrap();
        assert_eq!(params.user, pairs(&given));
        assert_eq!(
            params.build,
            pairs(&[
                ("index_type", "HNSW"),
                ("metric_type", "L2"),
                ("M", "16"),
                ("efConstruction", "200"),
            ])
        );
    }

    #[test]
    fn an_auto_index_takes_a_metric_only() {
        let auto = |metric| pairs(&[("index_type", "AUTOINDEX"), ("metric_type", metric)]);
        let plain = read(&vector(), &[]).unwrap();
        assert_eq!((plain.user, plain.build), (auto("COSINE"), auto("COSINE")));
        let empty = read(&vector(), &[("index_type", ""), ("metric_type", "L2")]).unwrap();
        assert_eq!(empty.build, auto("L2"));
        let with_metric = [("index_type", "AUTOINDEX"), ("metric_type", "IP"), ("params", "{}")];
        assert_eq!(read(&vector(), &with_metric).unwrap().user, auto("IP"));
        let tuned = [("index_type", "AUTOINDEX"), ("metric_type", "IP"), ("M", "8")];
        assert_eq!(
            read(&vector(), &tuned).unwrap_err().reason,
            "only metric type can be passed when use AutoIndex: invalid parameter"
        );
    }

    #[test]
    fn unsound_parameters_are_refused_with_milvus_texts() {
        let invalid =
            ": invalid parameter[expected=valid index params][actual=invalid index params]";
        for (given, reason) in [
            (
                &[("index_type", "LSM"), ("metric_type", "L2")][..],
                "invalid parameter[expected=valid index][actual=invalid index type: LSM]"
                    .to_owned(),
            ),
            (&[("index_type", "HNSW")], format!("metric type not set for vector index{invalid}")),
            (
                &[("index_type", "HNSW"), ("metric_type", "HAMMING")],
                format!("float vector index does not support metric type: HAMMING{invalid}"),
            ),
            (
                &[("index_type", "BIN_FLAT"), ("metric_type", "L2")],
                "data type FloatVector can't build with this index BIN_FLAT: invalid parameter"
                    .to_owned(),
            ),
            (
                &[("index_type", "GPU_CAGRA"), ("metric_type", "L2")],
                "invalid parameter[expected=valid index][actual=invalid index type: GPU_CAGRA]"
                    .to_owned(),
            ),
            (
                &[("index_type", "INVERTED"), ("metric_type", "L2")],
                "data type FloatVector can't build with this index INVERTED: invalid parameter"
                    .to_owned(),
            ),
            (
                &[("index_type", "HNSW"), ("metric_type", "L2"), ("M", "1")],
                "Out of range in json: param 'M' (1) should be in range [2, 2048]: invalid \
                 parameter"
                    .to_owned(),
            ),
            (
                &[("metric_type", "L2"), ("metric_type", "IP")],
                "duplicated index param (key=metric_type) (value=IP) found: invalid parameter"
                    .to_owned(),
            ),
        ] {
            assert_eq!(read(&vector(), given).unwrap_err().reason, reason);
        }
        let scalar = FieldSchema { name: "n".to_owned(), ..FieldSchema::default() };
        assert_eq!(
            read(&scalar, &[("index_type", "TRIE")]).unwrap_err().reason,
            "TRIE are only supported on varchar field: invalid parameter"
        );
        assert_eq!(
            read(&scalar, &[("index_type", "HNSW")]).unwrap_err().reason,
            "index HNSW only supports vector data type: invalid parameter"
        );
        assert_eq!(
            read(&scalar, &[("index_type", "HYBRID")]).unwrap_err().reason,
            "invalid parameter[expected=valid index][actual=invalid index type: HYBRID]"
        );
    }

    #[test]
    fn scalar_indexes_are_described_as_sent() {
        let scalar = FieldSchema { name: "n".to_owned(), ..FieldSchema::default() };
        let params = read(&scalar, &[("index_type", "AUTOINDEX")]).unwrap();
        assert_eq!(params.user, pairs(&[("index_type", "AUTOINDEX")]));
        assert_eq!(find(&params.build, "index_type"), Some("HYBRID"));
        assert_eq!(read(&scalar, &[]).unwrap().user, []);
        let json = FieldSchema { data_type: DataType::JSON, ..scalar };
        let given = [
            ("index_type", "INVERTED"),
            ("json_cast_type", "double"),
            ("json_path", "n[\"a\"][0]"),
        ];
        let params = read(&json, &given).unwrap();
        assert_eq!(params.user, pairs(&given));
        assert_eq!(find(&params.build, "json_path"), Some("/a/0"));
    }
}
