//! Expiry: rows that a collection's properties take out of every read before they are deleted.

use arrow::array::{Array, AsArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::TimestampMicrosecondType;

use milvus_types::Timestamp;

use crate::chunk::Rows;

/// Which rows are too old to be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expiry {
    /// Rows inserted before this (`collection.ttl.seconds`).
    pub rows_before: Option<Timestamp>,
    /// Rows whose value in this field is at or before these microseconds (`ttl_field`); rows
    /// without a value stay.
    pub field: Option<(String, i64)>,
}

impl Expiry {
    /// Whether no row expires.
    pub fn is_never(&self) -> bool {
        self.rows_before.is_none() && self.field.is_none()
    }

    /// Which of the first `visible` rows have not expired by their field; `None` for all.
    pub(crate) fn unexpired(&self, rows: &Rows, visible: u32) -> Option<BooleanBuffer> {
        let (name, now) = self.field.as_ref()?;
        let field = rows.schema.field(name)?;
        let mut alive = arrow::array::BooleanBufferBuilder::new(visible as usize);
        for (chunk, len) in rows.visible(visible) {
            let column = chunk.column_or_constant(field);
            match column.as_primitive_opt::<TimestampMicrosecondType>() {
                Some(times) => {
                    for row in 0..len as usize {
                        alive.append(times.is_null(row) || times.value(row) > *now);
                    }
                }
                None => alive.append_n(len as usize, true),
            }
        }
        Some(alive.finish())
    }
}
