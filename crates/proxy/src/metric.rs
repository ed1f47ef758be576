//! Metrics over many rows: count, sum, avg, min and max of a column, nulls left out.

use milvus_types::{DataType, Failure, Result, Value};

use crate::cell::Cell;

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Count,
    Sum,
    Avg,
    Min,
    Max,
}

impl Op {
    /// The operation called `name`, in any case.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "count" => Self::Count,
            "sum" => Self::Sum,
            "avg" => Self::Avg,
            "min" => Self::Min,
            "max" => Self::Max,
            _ => return None,
        })
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
        }
    }

    /// Refuses columns that the operation means nothing for.
    pub(crate) fn check(self, data_type: DataType) -> Result<()> {
        let applies = match self {
            Self::Count => true,
            Self::Sum | Self::Avg => data_type.is_numeric(),
            Self::Min | Self::Max => {
                data_type.is_numeric()
                    || matches!(
                        data_type,
                        DataType::VarChar | DataType::String | DataType::Timestamptz
                    )
            }
        };
        if applies {
            return Ok(());
        }
        Err(Failure::parameter_invalid(format!(
            "aggregation operator {} does not support data type {data_type}",
            self.name()
        )))
    }

    /// The type of the result over a column of `data_type`.
    pub(crate) fn result(self, data_type: DataType) -> DataType {
        match self {
            Self::Count => DataType::Int64,
            Self::Avg => DataType::Double,
            Self::Sum if data_type.is_integer() => DataType::Int64,
            Self::Sum => DataType::Double,
            Self::Min | Self::Max => data_type,
        }
    }
}

/// A metric under way.
#[derive(Clone, Debug)]
pub(crate) struct Metric {
    op: Op,
    count: i64,
    integers: i64,
    doubles: f64,
    floating: bool,
    best: Option<Value>,
}

impl Metric {
    /// Over no rows yet.
    pub(crate) fn new(op: Op) -> Self {
        Self { op, count: 0, integers: 0, doubles: 0.0, floating: false, best: None }
    }

    /// What is computed.
    pub(crate) fn op(&self) -> Op {
        self.op
    }

    /// Takes one row's value in; nulls do not count.
    pub(crate) fn add(&mut self, cell: Cell<'_>) {
        if cell.is_null() {
            return;
        }
        self.count += 1;
        match self.op {
            Op::Count => {}
            Op::Sum | Op::Avg => match cell {
                // As Milvus: integers wrap.
                Cell::Int(value) => self.integers = self.integers.wrapping_add(value),
                Cell::Float(value) => {
                    self.floating = true;
                    self.doubles += value;
                }
                Cell::Null | Cell::Bool(_) | Cell::Text(_) => {}
            },
            Op::Min | Op::Max => {
                let order = self.best.as_ref().map(|best| cell.compare(&cell_of(best)));
                let better = order.is_none_or(if self.op == Op::Min {
                    std::cmp::Ordering::is_lt
                } else {
                    std::cmp::Ordering::is_gt
                });
                if better {
                    self.best = value_of(cell);
                }
            }
        }
    }

    /// Counts a row whatever it holds.
    pub(crate) fn add_row(&mut self) {
        self.count += 1;
    }

    /// The result; `None` for anything but a count over no values.
    pub(crate) fn result(&self) -> Option<Value> {
        match self.op {
            Op::Count => Some(Value::Int64(self.count)),
            _ if self.count == 0 => None,
            // A column holds numbers of one kind: the other sum is zero.
            #[expect(clippy::cast_precision_loss, reason = "averages are doubles")]
            Op::Avg => {
                Some(Value::Double((self.integers as f64 + self.doubles) / self.count as f64))
            }
            Op::Sum if self.floating => Some(Value::Double(self.doubles)),
            Op::Sum => Some(Value::Int64(self.integers)),
            Op::Min | Op::Max => self.best.clone(),
        }
    }
}

/// A cell as a value that outlives its column; `None` for null.
pub(crate) fn value_of(cell: Cell<'_>) -> Option<Value> {
    Some(match cell {
        Cell::Null => return None,
        Cell::Bool(value) => Value::Bool(value),
        Cell::Int(value) => Value::Int64(value),
        Cell::Float(value) => Value::Double(value),
        Cell::Text(value) => Value::VarChar(value.to_owned()),
    })
}

/// A value as a cell; lists and bytes have none.
pub(crate) fn cell_of(value: &Value) -> Cell<'_> {
    match value {
        Value::Bool(value) => Cell::Bool(*value),
        Value::Int32(value) => Cell::Int((*value).into()),
        Value::Int64(value) => Cell::Int(*value),
        Value::Float(value) => Cell::Float((*value).into()),
        Value::Double(value) => Cell::Float(*value),
        Value::VarChar(value) => Cell::Text(value),
        Value::Bytes(_) | Value::Array(_) => Cell::Null,
    }
}

/// A value that may be null as a cell.
pub(crate) fn cell_of_optional(value: &Option<Value>) -> Cell<'_> {
    value.as_ref().map_or(Cell::Null, cell_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(op: Op, cells: &[Cell<'_>]) -> Option<Value> {
        let mut metric = Metric::new(op);
        cells.iter().for_each(|cell| metric.add(*cell));
        metric.result()
    }

    #[test]
    fn metrics_leave_nulls_out() {
        let ints = [Cell::Int(3), Cell::Null, Cell::Int(-1), Cell::Int(4)];
        assert_eq!(of(Op::Count, &ints), Some(Value::Int64(3)));
        assert_eq!(of(Op::Sum, &ints), Some(Value::Int64(6)));
        assert_eq!(of(Op::Avg, &ints), Some(Value::Double(2.0)));
        assert_eq!(of(Op::Min, &ints), Some(Value::Int64(-1)));
        assert_eq!(of(Op::Max, &ints), Some(Value::Int64(4)));
        let floats = [Cell::Float(0.5), Cell::Float(0.25)];
        assert_eq!(of(Op::Sum, &floats), Some(Value::Double(0.75)));
        let texts = [Cell::Text("b"), Cell::Text("a")];
        assert_eq!(of(Op::Min, &texts), Some(Value::VarChar("a".to_owned())));
        for op in [Op::Sum, Op::Avg, Op::Min, Op::Max] {
            assert_eq!(of(op, &[Cell::Null]), None);
        }
        assert_eq!(of(Op::Count, &[]), Some(Value::Int64(0)));
    }

    #[test]
    fn types_that_an_operation_does_not_apply_to() {
        assert_eq!(
            Op::Sum.check(DataType::VarChar).unwrap_err().reason,
            "aggregation operator sum does not support data type VarChar: invalid parameter"
        );
        assert!(Op::Min.check(DataType::Timestamptz).is_ok());
        assert!(Op::Max.check(DataType::Bool).is_err());
        assert!(Op::Count.check(DataType::JSON).is_ok());
        assert_eq!(Op::Sum.result(DataType::Int8), DataType::Int64);
        assert_eq!(Op::Sum.result(DataType::Float), DataType::Double);
        assert_eq!(Op::Max.result(DataType::Int16), DataType::Int16);
    }
}
