//! `CreateIndex`: checks the parameters in Milvus's order and hands over what to build.
//!
//! Parameters come flat, or as a JSON object under `params`, or both. What is described back is
//! what the client sent; an AUTOINDEX is described by its type and metric alone.

use std::collections::HashSet;

use milvus_index::{IndexType, check_build_params};
use milvus_roles::CreateIndex;
use milvus_types::error::OrFailure as _;
use milvus_types::index_meta::find;
use milvus_types::limits::Limits;
use milvus_types::schema::DYNAMIC_FIELD;
use milvus_types::{
    CollectionSchema, DataType, Failure, FieldSchema, KeyValue, MetricType, Result,
};

use crate::Proxy;
use crate::api::{Context, CreateIndexRequest};
use crate::validate::names;

const INDEX_TYPE: &str = "index_type";
const METRIC_TYPE: &str = "metric_type";
const AUTO_INDEX: &str = "AUTOINDEX";

/// Index types of scalar fields that Milvus knows.
const SCALAR_INDEXES: &[&str] = &[
    "INVERTED",
    "STL_SORT",
    "Asceneding",
    "Trie",
    "TRIE",
    "marisa-trie",
    "BITMAP",
    "NGRAM",
    "RTREE",
    "AUTOINDEX",
];

impl Proxy {
    /// Defines an index; it is built in the background.
    pub async fn create_index(&self, cx: &Context, request: CreateIndexRequest) -> Result<()> {
        let limits = &self.options().limits;
        let collection = self.collection(cx, &request.collection_name).await?;
        names::index(&request.index_name, limits.name_length)?;
        let field = indexed_field(&collection.schema, &request.field_name)?;
        let params = index_params(field, &request, limits)?;
        self.data()
            .create_index(CreateIndex {
                collection_id: collection.id,
                field_id: field.id,
                field_name: field.name.clone(),
                index_name: request.index_name.trim().to_owned(),
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

/// What to describe and what to build.
#[derive(Debug, PartialEq)]
struct IndexParams {
    user: Vec<KeyValue>,
    build: Vec<KeyValue>,
}

fn index_params(
    field: &FieldSchema,
    request: &CreateIndexRequest,
    limits: &Limits,
) -> Result<IndexParams> {
    check_size(&request.params, limits.index_params_bytes)?;
    let mut params = flattened(&request.params)?;
    check_size(&params, limits.index_params_bytes)?;
    let index_type = find(&params, INDEX_TYPE).unwrap_or_default().to_owned();
    if !index_type.is_empty()
        && !IndexType::is_milvus_name(&index_type)
        && !SCALAR_INDEXES.contains(&&*index_type)
    {
        return Err(invalid_index(&index_type));
    }
    if !field.data_type.is_vector() {
        return Err(scalar_refusal(field, &index_type, &params));
    }
    let mut user = request.params.clone();
    if index_type.is_empty() || index_type == AUTO_INDEX {
        user = auto_index(&mut params, !index_type.is_empty())?;
    }
    vector_params(field, &params)?;
    Ok(IndexParams { user, build: params })
}

fn invalid_index(index_type: &str) -> Failure {
    Failure::new(
        milvus_types::ErrorCode::ParameterInvalid,
        format!("invalid parameter[expected=valid index][actual=invalid index type: {index_type}]"),
    )
}

fn check_size(params: &[KeyValue], limit: usize) -> Result<()> {
    let size: usize = params.iter().map(|pair| pair.key.len() + pair.value.len()).sum();
    if size <= limit {
        return Ok(());
    }
    Err(Failure::parameter_invalid(format!("index params size exceeds limit: {size} > {limit}")))
}

/// The parameters with those inside `params` beside the others.
fn flattened(params: &[KeyValue]) -> Result<Vec<KeyValue>> {
    let mut seen = HashSet::new();
    let mut flat: Vec<KeyValue> = Vec::with_capacity(params.len());
    let mut set = |key: String, value: String| match flat.iter_mut().find(|pair| pair.key == key) {
        Some(pair) => pair.value = value,
        None => flat.push(KeyValue { key, value }),
    };
    for pair in params {
        if !seen.insert(pair.key.as_str()) {
            return Err(Failure::parameter_invalid(format!(
                "duplicated index param (key={}) (value={}) found",
                pair.key, pair.value
            )));
        }
        if pair.key != "params" {
            set(pair.key.clone(), pair.value.clone());
            continue;
        }
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&pair.value)
            .map_err(|error| {
                Failure::parameter_invalid(format!("unmarshal params failed: {error}"))
            })?;
        for (key, value) in object {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            set(key, text);
        }
    }
    Ok(flat)
}

/// Completes `params` of an AUTOINDEX, which takes a metric and nothing else; what to describe.
fn auto_index(params: &mut Vec<KeyValue>, type_given: bool) -> Result<Vec<KeyValue>> {
    params.retain(|pair| pair.key != INDEX_TYPE || type_given);
    let others = params.iter().filter(|pair| pair.key != INDEX_TYPE);
    if others.clone().any(|pair| pair.key != METRIC_TYPE) {
        return Err(Failure::parameter_invalid(
            "only metric type can be passed when use AutoIndex",
        ));
    }
    let metric = others.map(|pair| pair.value.clone()).next();
    let metric = metric.unwrap_or_else(|| MetricType::Cosine.name().to_owned());
    *params = vec![KeyValue::new(INDEX_TYPE, AUTO_INDEX), KeyValue::new(METRIC_TYPE, metric)];
    Ok(params.clone())
}

fn vector_params(field: &FieldSchema, params: &[KeyValue]) -> Result<()> {
    let invalid = |what: String| {
        Failure::parameter_mismatch("valid index params", "invalid index params", what)
    };
    let Some(metric) = find(params, METRIC_TYPE) else {
        return Err(invalid("metric type not set for vector index".to_owned()));
    };
    let known = MetricType::parse(metric).filter(|known| {
        known.name() == metric
            && matches!(known, MetricType::L2 | MetricType::Ip | MetricType::Cosine)
    });
    let Some(known) = known else {
        return Err(invalid(format!("float vector index does not support metric type: {metric}")));
    };
    let name = find(params, INDEX_TYPE).unwrap_or_default();
    let Some(index_type) = IndexType::parse(name) else {
        return Err(if fits_float_vectors(name) {
            Failure::parameter_invalid(format!("index type {name} is not supported yet"))
        } else {
            Failure::parameter_invalid(format!(
                "data type {} can't build with this index {name}",
                field.data_type
            ))
        });
    };
    let dim = field.type_param("dim").unwrap_or_default();
    if let Some(given) = find(params, "dim")
        && given != dim
    {
        return Err(Failure::parameter_invalid(format!(
            "dimension mismatch, dimension in schema: {dim}, dimension: {given}"
        )));
    }
    let dim = field.dim().unwrap_or_default();
    check_build_params(index_type, known, dim, params).or_failure().map(drop)
}

/// Whether Milvus could build the index type called `name` over float vectors.
fn fits_float_vectors(name: &str) -> bool {
    let other = name.starts_with("BIN_") || name.starts_with("SPARSE_") || name == "MINHASH_LSH";
    IndexType::is_milvus_name(name) && !other
}

/// Why an index of a scalar field is refused: by Milvus's own rules, or because there are none yet.
fn scalar_refusal(field: &FieldSchema, index_type: &str, params: &[KeyValue]) -> Failure {
    let data_type = field.data_type;
    let json_cast = find(params, "json_cast_type");
    let text = match index_type {
        "STL_SORT" | "Asceneding"
            if !data_type.is_numeric()
                && !matches!(data_type, DataType::VarChar | DataType::JSON) =>
        {
            format!(
                "STL_SORT are only supported on numeric, varchar or timestamptz field, got \
                 {data_type}"
            )
        }
        "Trie" | "TRIE" | "marisa-trie" if data_type != DataType::VarChar => {
            "TRIE are only supported on varchar field".to_owned()
        }
        "BITMAP" if field.is_primary_key => {
            "create bitmap index on primary key not supported".to_owned()
        }
        "BITMAP" if data_type.is_floating() => {
            "bitmap index are only supported on bool, int, string and array field".to_owned()
        }
        _ if data_type == DataType::JSON && json_cast.is_none() && index_type != AUTO_INDEX => {
            return Failure::parameter_missing(
                "json_cast_type",
                "json index must specify cast type",
            );
        }
        name if !name.is_empty() && !SCALAR_INDEXES.contains(&name) => {
            format!("index type {name} is not supported on {data_type} field")
        }
        name => {
            let name = if name.is_empty() { AUTO_INDEX } else { name };
            let field = if field.is_dynamic { DYNAMIC_FIELD } else { &field.name };
            format!("index {name} on field {field} of type {data_type} is not supported yet")
        }
    };
    Failure::parameter_invalid(text)
}

#[cfg(test)]
mod tests {
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
        let request = CreateIndexRequest { params: pairs(given), ..CreateIndexRequest::default() };
        index_params(field, &request, &Limits::default())
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
                &[("index_type", "IVF_PQ"), ("metric_type", "L2")],
                "index type IVF_PQ is not supported yet: invalid parameter".to_owned(),
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
            read(&scalar, &[("index_type", "INVERTED")]).unwrap_err().reason,
            "index INVERTED on field n of type Int64 is not supported yet: invalid parameter"
        );
    }
}
