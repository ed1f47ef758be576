//! Requests and replies of inserts, upserts and deletes.

use arrow::array::ArrayRef;

use milvus_expr::Templates;
use milvus_types::{DataType, PrimaryKeys, Timestamp};

/// One column of an insert as the client sent it.
#[derive(Clone, Debug)]
pub struct InputColumn {
    /// `field_name` on the wire; may be empty for the dynamic column.
    pub name: String,
    /// `is_dynamic` on the wire.
    pub is_dynamic: bool,
    /// The wire's type number, as a type; `None` if the number is unknown.
    pub data_type: Option<DataType>,
    /// The values that are present ("compact": nulls are left out where `valid` says so).
    pub values: InputValues,
    /// One flag per row; empty means every row is present.
    pub valid: Vec<bool>,
}

/// The typed array that the wire's oneof carried.
#[derive(Clone, Debug)]
pub enum InputValues {
    /// Scalars: Boolean, Int32 (Int8..Int32 fields), Int64, Float32, Float64, Utf8 (VarChar; JSON
    /// text, checked to be UTF-8 by the adapter).
    Scalars(ArrayRef),
    /// Float vectors: `dim` as the wire says, values row-major Float32 (`[rows * dim]`).
    FloatVectors {
        /// As the wire says.
        dim: i64,
        /// `Float32Array`.
        values: ArrayRef,
    },
    /// A kind that this version does not serve; its name for the message, and how many rows.
    Unsupported {
        /// `SparseFloatVector`, `Array`, ...
        kind: String,
        /// Rows, as far as the adapter can tell.
        rows: usize,
    },
    /// The oneof was empty.
    Missing,
}

/// `Insert` and `Upsert`.
#[derive(Clone, Debug, Default)]
pub struct InsertRequest {
    /// The collection.
    pub collection_name: String,
    /// The partition; empty for the default.
    pub partition_name: String,
    /// Columns.
    pub columns: Vec<InputColumn>,
    /// Rows the client says there are.
    pub num_rows: u32,
    /// The client's view of the schema; 0 when it sends none.
    pub schema_timestamp: u64,
    /// Upsert only: overlay the given columns.
    pub partial_update: bool,
}

/// `Delete`.
#[derive(Clone, Debug, Default)]
pub struct DeleteRequest {
    /// The collection.
    pub collection_name: String,
    /// The partition; empty for all.
    pub partition_name: String,
    /// Which rows.
    pub expr: String,
    /// Values of `{names}` in `expr`.
    pub templates: Templates,
    /// The wire's number, for deletes that must query first.
    pub consistency_level: i32,
}

/// `MutationResult`.
#[derive(Clone, Debug)]
pub struct MutationReply {
    /// The rows' keys (new ones where the server makes them); the deleted keys of a delete.
    pub keys: PrimaryKeys,
    /// Rows inserted.
    pub insert_count: i64,
    /// Keys deleted.
    pub delete_count: i64,
    /// Rows upserted.
    pub upsert_count: i64,
    /// When: what the client sends back for Session reads.
    pub timestamp: Timestamp,
}
