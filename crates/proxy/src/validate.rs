//! Checks that need nothing but the request: names and schemas, with Milvus's texts and order.

pub(crate) mod field;
pub(crate) mod names;
pub(crate) mod properties;
pub(crate) mod schema;
