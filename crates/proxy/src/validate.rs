//! Checks that need nothing but the request: names and schemas, with Milvus's texts and order.

pub(crate) mod change;
pub(crate) mod default_value;
pub(crate) mod field;
pub(crate) mod keys;
pub(crate) mod names;
pub(crate) mod properties;
pub(crate) mod schema;
pub(crate) mod structs;
pub(crate) mod warmup;
