//! Columns: `FieldData` of the wire and Arrow arrays of the engine, once in and once out.

pub mod input;
pub mod output;

#[cfg(test)]
mod tests;
