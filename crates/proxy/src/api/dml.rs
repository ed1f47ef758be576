//! Requests and replies of inserts, upserts and deletes.

use arrow::array::ArrayRef;
use arrow::buffer::Buffer;

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
    /// Scalars: Boolean, Int32 (Int8..Int32 fields), Int64, Float32, Float64, Utf8 (VarChar, Text;
    /// JSON text; WKT of geometries; texts of timestamps), checked to be UTF-8 by the adapter.
    Scalars(ArrayRef),
    /// Arrays.
    Arrays(InputArrays),
    /// Dense vectors of one kind.
    Vectors(PackedVectors),
    /// Sparse vectors: `BinaryArray`, one row for each vector.
    SparseVectors(ArrayRef),
    /// Lists of vectors.
    VectorLists(InputVectorLists),
    /// The sub-fields of a struct array, under their own names.
    Structs(Vec<InputColumn>),
    /// Rows that exist, in the layout of `milvus_types::columns`, nulls and all: what a partial
    /// update carries over.
    Stored(ArrayRef),
    /// A kind that this version does not serve; its name for the message, and how many rows.
    Unsupported {
        /// `Bytes`, `Mol`, ...
        kind: String,
        /// Rows, as far as the adapter can tell.
        rows: usize,
    },
    /// The oneof was empty.
    Missing,
}

/// Arrays as the client sent them, one list for each value that is present.
#[derive(Clone, Debug)]
pub struct InputArrays {
    /// `ListArray` of Boolean, Int32, Int64, Float32, Float64 or Utf8; of Null where there are no
    /// rows to tell by. Ends before the first row that is not of the kind of the first.
    pub lists: ArrayRef,
    /// The kind of that row as the wire names it, `nil` if it has none.
    pub odd: Option<String>,
}

/// Dense vectors, one after the other, as the bytes that arrived.
#[derive(Clone, Debug)]
pub struct PackedVectors {
    /// Which vectors: float, float16, bfloat16, int8, binary.
    pub kind: DataType,
    /// As the wire says.
    pub dim: i64,
    /// Little-endian.
    pub bytes: Buffer,
}

/// Lists of vectors, one list for each value that is present.
#[derive(Clone, Debug)]
pub struct InputVectorLists {
    /// Which vectors; `None` where there are no rows to tell by.
    pub kind: Option<DataType>,
    /// As the wire says.
    pub dim: i64,
    /// Bytes of each row.
    pub lengths: Vec<usize>,
    /// The vectors of all rows.
    pub bytes: Buffer,
    /// Whether a row is not of the kind of the first; `lengths` ends before it.
    pub odd: bool,
}

/// What a partial update does with a field of rows that exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldOpKind {
    /// The new value in the place of the old.
    Replace,
    /// The new elements behind the old.
    ArrayAppend,
    /// The old elements without the given ones.
    ArrayRemove,
}

/// One field's operation in a partial update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldOp {
    /// The field.
    pub field_name: String,
    /// `None` if the wire's number is unknown.
    pub kind: Option<FieldOpKind>,
    /// The wire's number.
    pub number: i32,
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
    /// Upsert only: what to do with single fields; any but `Replace` makes it a partial update.
    pub field_ops: Vec<FieldOp>,
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
