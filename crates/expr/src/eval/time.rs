//! Tests of Timestamptz columns after adding an interval of months or years, which has no one length.

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::TimestampMicrosecondType;
use milvus_values::timestamptz::Interval;

use crate::ast::CompareOp;
use crate::error::EvaluateError;

use super::bits::Bits;
use super::columns::Source;

/// `value + interval op time`; false where the sum is beyond all times.
#[derive(Debug)]
pub(super) struct TimeTest {
    interval: Interval,
    op: CompareOp,
    time: i64,
}

impl TimeTest {
    pub(super) fn new(interval: Interval, op: CompareOp, time: i64) -> Self {
        Self { interval, op, time }
    }

    pub(super) fn bits(
        &self,
        source: &Source,
        array: &ArrayRef,
        active: Option<&Bits>,
    ) -> Result<Bits, EvaluateError> {
        let times = array
            .as_primitive_opt::<TimestampMicrosecondType>()
            .ok_or_else(|| source.mismatch(array))?
            .values();
        Ok(Bits::of_rows(times.len(), active, |row| {
            let after = times.get(row).and_then(|time| self.interval.after(*time));
            after.is_some_and(|after| self.op.holds(Some(after.cmp(&self.time))))
        }))
    }
}
