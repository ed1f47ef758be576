//! Comparison, ranges and arithmetic.

use crate::ast::{ArithOp, CompareOp, Expr};
use crate::column::Column;
use crate::error::{TemplateError, TypeError};
use crate::literal::Literal;
use crate::predicate::{Bound, Predicate};
use milvus_types::DataType;

use super::typed::{Arith, Typed, arithmetic_type, can_combine, takes_modulo, type_name};
use super::{Checker, Result, constant, in_template, not_found};

impl<'e, 'a> Checker<'e, 'a> {
    pub(super) fn compare(
        &mut self,
        expr: &'e Expr<'a>,
        op: CompareOp,
        [left, right]: &'e [Expr<'a>; 2],
    ) -> Result<Typed> {
        let (left, right) = (self.visit(left)?, self.visit(right)?);
        if let (Typed::Literal(left), Typed::Literal(right)) = (&left, &right) {
            let holds = constant::compare(op, left, right)
                .ok_or_else(|| TypeError::IncompatibleConstants { text: self.parsed.text(expr) })?;
            return Ok(Typed::Literal(Literal::Bool(holds)));
        }
        if left.is_constant() && right.is_constant() {
            return Err(TypeError::PlaceholderBetweenConstants { op: op.symbol() }.into());
        }
        if !matches!(op, CompareOp::Equal | CompareOp::NotEqual) {
            left.refuse_whole_array()?;
            right.refuse_whole_array()?;
        }
        if !left.has_template() && !right.has_template() && !left.comparable(&right) {
            let (left, right) = (left.shown_type(), right.shown_type());
            return Err(TypeError::NotComparable { left, right }.into());
        }
        Ok(Typed::Predicate(if left.is_constant() {
            self.with_constant(op.reversed(), right, left)?
        } else if right.is_constant() {
            self.with_constant(op, left, right)?
        } else {
            fields(op, left, right)?
        }))
    }

    /// `left op value`, where `value` is a literal or a variable.
    fn with_constant(&self, op: CompareOp, left: Typed, value: Typed) -> Result<Predicate> {
        match left {
            Typed::Column(column) => {
                let value = self.constant(value, column.value_type())?;
                Ok(Predicate::Compare { column, op, value })
            }
            Typed::ArrayLength(column) => {
                let value = self.constant(value, DataType::Int64)?;
                Ok(Predicate::ArrayLength { column, op, value })
            }
            Typed::Arith(arith) => self.arith_with_constant(op, *arith, value),
            Typed::Predicate(_) | Typed::Literal(_) | Typed::Template(_) => {
                Err(TypeError::CombinedFields.into())
            }
        }
    }

    /// The literal that `value` is or stands for, as a `data_type`.
    fn constant(&self, value: Typed, data_type: DataType) -> Result<Literal> {
        match value {
            Typed::Literal(value) => Ok(value.cast(data_type)?),
            Typed::Template(name) => {
                self.template(&name, not_found)?.cast(data_type).map_err(in_template)
            }
            Typed::Column(_) | Typed::Arith(_) | Typed::ArrayLength(_) | Typed::Predicate(_) => {
                Err(TypeError::NotTwoFields.into())
            }
        }
    }

    fn arith_with_constant(&self, op: CompareOp, arith: Arith, value: Typed) -> Result<Predicate> {
        let Arith { op: arith_op, left, right, data_type } = arith;
        let value = match (value, data_type) {
            (Typed::Literal(value), Some(data_type))
                if !left.has_template() && !right.has_template() =>
            {
                Typed::Literal(value.cast(data_type)?)
            }
            (value, _) => value,
        };
        let (column, operand) = match (left, right) {
            (Typed::Column(_), Typed::Column(_)) => {
                return Err(TypeError::ArithmeticOfFields.into());
            }
            (Typed::Column(column), operand) if operand.is_constant() => (column, operand),
            (operand, Typed::Column(column)) if operand.is_constant() => {
                if !matches!(arith_op, ArithOp::Add | ArithOp::Multiply) {
                    return Err(TypeError::ConstantFirst.into());
                }
                (column, operand)
            }
            _ => return Err(TypeError::ComplicatedArithmetic.into()),
        };
        if let (Typed::Literal(operand), Typed::Literal(value), Some(data_type)) =
            (&operand, &value, data_type)
        {
            let operand = operand.clone().cast(data_type)?;
            refuse_zero(arith_op, &operand)?;
            let value = value.clone();
            return Ok(Predicate::Arith { column, arith: arith_op, operand, op, value });
        }
        self.arith_with_template(column, arith_op, operand, op, value)
    }

    /// Arithmetic whose operand or result is a variable: types are checked on its value.
    fn arith_with_template(
        &self,
        column: Column,
        arith: ArithOp,
        operand: Typed,
        op: CompareOp,
        value: Typed,
    ) -> Result<Predicate> {
        let operand_missing = |name| TemplateError::OperandNotFound { name };
        let literal = |typed: Typed, missing: fn(String) -> TemplateError| match typed {
            Typed::Template(name) => self.template(&name, missing),
            Typed::Literal(value) => Ok(value),
            Typed::Column(_) | Typed::Arith(_) | Typed::ArrayLength(_) | Typed::Predicate(_) => {
                Err(TypeError::ComplicatedArithmetic.into())
            }
        };
        let operand = literal(operand, operand_missing)?;
        let operand_type = Some(operand.data_type());
        let field_type = Typed::Column(column.clone()).operand_type();
        if arith == ArithOp::Modulo && !(takes_modulo(field_type) && takes_modulo(operand_type)) {
            return Err(in_template(TypeError::Modulo));
        }
        if matches!(operand, Literal::Array(_)) {
            return Err(in_template(TypeError::ArrayOperand));
        }
        let data_type = arithmetic_type(field_type, operand_type).map_err(in_template)?;
        if field_type.is_some_and(DataType::is_integer) && data_type == DataType::Double {
            // An integer column is not computed in floating point, with a literal or without.
            return Err(in_template(TypeError::Arithmetic {
                op: arith.name(),
                left: type_name(field_type),
                right: type_name(operand_type),
            }));
        }
        let operand = operand.cast(data_type).map_err(in_template)?;
        refuse_zero(arith, &operand).map_err(in_template)?;
        let value = literal(value, not_found)?.cast(data_type).map_err(in_template)?;
        Ok(Predicate::Arith { column, arith, operand, op, value })
    }

    pub(super) fn arith(
        &mut self,
        op: ArithOp,
        [left_expr, right_expr]: &'e [Expr<'a>; 2],
    ) -> Result<Typed> {
        let (left, right) = (self.visit(left_expr)?, self.visit(right_expr)?);
        if let (Typed::Literal(left), Typed::Literal(right)) = (&left, &right) {
            return Ok(Typed::Literal(constant::arith(op, left, right)?));
        }
        if left.is_constant() && right.is_constant() {
            return Err(TypeError::PlaceholderBetweenConstants { op: op.symbol() }.into());
        }
        left.refuse_whole_array()?;
        right.refuse_whole_array()?;
        let data_type = if left.has_template() {
            right.data_type()
        } else if right.has_template() {
            left.data_type()
        } else {
            Some(operation_type(op, &left, &right)?)
        };
        Ok(Typed::Arith(Box::new(Arith { op, left, right, data_type })))
    }

    pub(super) fn power(
        &mut self,
        expr: &'e Expr<'a>,
        [left, right]: &'e [Expr<'a>; 2],
    ) -> Result<Typed> {
        let (left, right) = (self.visit(left)?, self.visit(right)?);
        let text = || self.parsed.text(expr);
        let (Typed::Literal(left), Typed::Literal(right)) = (&left, &right) else {
            return Err(TypeError::PowerOfField { text: text() }.into());
        };
        let value =
            constant::power(left, right).ok_or_else(|| TypeError::Unsupported { text: text() })?;
        Ok(Typed::Literal(value))
    }

    pub(super) fn range(
        &mut self,
        [first, second]: [CompareOp; 2],
        [left, subject, right]: &'e [Expr<'a>; 3],
    ) -> Result<Predicate> {
        let column = self.column(subject)?;
        Typed::Column(column.clone()).refuse_whole_array()?;
        let inclusive = |op| matches!(op, CompareOp::LessEqual | CompareOp::GreaterEqual);
        let rises = matches!(first, CompareOp::Less | CompareOp::LessEqual);
        let ((low, low_op), (high, high_op)) =
            if rises { ((left, first), (right, second)) } else { ((right, second), (left, first)) };
        let (lower, upper) = (self.visit(low)?, self.visit(high)?);
        if !lower.is_constant() {
            return Err(TypeError::LowerNotConstant { text: self.parsed.text(low) }.into());
        }
        if !upper.is_constant() {
            return Err(TypeError::UpperNotConstant { text: self.parsed.text(high) }.into());
        }
        let templated = lower.has_template() || upper.has_template();
        let lower_missing = |name| TemplateError::LowerNotFound { name };
        let upper_missing = |name| TemplateError::UpperNotFound { name };
        let lower = self.bound(lower, &column, inclusive(low_op), lower_missing)?;
        let upper = self.bound(upper, &column, inclusive(high_op), upper_missing)?;
        let crossed = if lower.inclusive && upper.inclusive {
            CompareOp::Greater
        } else {
            CompareOp::GreaterEqual
        };
        if constant::compare(crossed, &lower.value, &upper.value) == Some(true) {
            let error = TypeError::EmptyRange;
            return Err(if templated { in_template(error) } else { error.into() });
        }
        Ok(Predicate::Range { column, lower, upper })
    }

    fn bound(
        &self,
        bound: Typed,
        column: &Column,
        inclusive: bool,
        missing: fn(String) -> TemplateError,
    ) -> Result<Bound> {
        let value = match bound {
            Typed::Template(name) => {
                self.template(&name, missing)?.cast(column.value_type()).map_err(in_template)?
            }
            Typed::Literal(value) => range_value(column.value_type(), value)?,
            Typed::Column(_) | Typed::Arith(_) | Typed::ArrayLength(_) | Typed::Predicate(_) => {
                return Err(TypeError::RangeType.into());
            }
        };
        Ok(Bound { value, inclusive })
    }
}

/// The type of `left op right`, neither being a variable.
fn operation_type(op: ArithOp, left: &Typed, right: &Typed) -> Result<DataType, TypeError> {
    let (mut field, mut other) = (left.operand_type(), right.operand_type());
    if left.is_constant() {
        std::mem::swap(&mut field, &mut other);
    }
    if !can_combine(field, other) {
        let (left, right) = (type_name(field), type_name(other));
        return Err(TypeError::Arithmetic { op: op.name(), left, right });
    }
    if op == ArithOp::Modulo && !(takes_modulo(field) && takes_modulo(other)) {
        return Err(TypeError::Modulo);
    }
    arithmetic_type(field, other)
}

fn refuse_zero(op: ArithOp, operand: &Literal) -> Result<(), TypeError> {
    if matches!(op, ArithOp::Divide | ArithOp::Modulo) && operand.is_zero() {
        return Err(TypeError::DivisionByZero);
    }
    Ok(())
}

/// Comparison of two fields.
fn fields(op: CompareOp, left: Typed, right: Typed) -> Result<Predicate, TypeError> {
    left.refuse_whole_array()?;
    right.refuse_whole_array()?;
    let (Typed::Column(left), Typed::Column(right)) = (left, right) else {
        return Err(TypeError::NotTwoFields);
    };
    if left.is_json() || right.is_json() {
        return Err(TypeError::TwoJsonColumns);
    }
    Ok(Predicate::Fields { left, op, right })
}

fn range_value(data_type: DataType, value: Literal) -> Result<Literal, TypeError> {
    let fits = match data_type {
        DataType::Bool => return Err(TypeError::RangeOnBool),
        DataType::String | DataType::VarChar => matches!(value, Literal::VarChar(_)),
        data_type if data_type.is_integer() || data_type == DataType::Timestamptz => {
            matches!(value, Literal::Int64(_))
        }
        data_type if data_type.is_floating() && value.is_number() => {
            return value.cast(data_type);
        }
        data_type => !data_type.is_floating(),
    };
    if fits { Ok(value) } else { Err(TypeError::RangeType) }
}
