//! Function scores of a request.

use milvus_proto::schema as pb;
use milvus_proxy::api::{FunctionScore, RankFunction};

use super::key_values;

/// The functions and their parameters.
pub fn from_wire(score: pb::FunctionScore) -> FunctionScore {
    let function = |function: pb::FunctionSchema| RankFunction {
        name: function.name,
        input_fields: function.input_field_names,
        params: key_values::from_wire(function.params),
    };
    FunctionScore {
        functions: score.functions.into_iter().map(function).collect(),
        params: key_values::from_wire(score.params),
    }
}
