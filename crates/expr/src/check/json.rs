//! `exists`, `is null`, the `contains` family and `array_length`.

use milvus_types::DataType;

use crate::ast::{ContainsOp, Expr, Node};
use crate::column::Column;
use crate::error::TypeError;
use crate::literal::{Literal, decode_unicode};
use crate::predicate::Predicate;
use crate::rewrite::not;

use super::typed::{Typed, comparable, type_name};
use super::{Checker, Result, in_template, not_found};

impl<'e, 'a> Checker<'e, 'a> {
    pub(super) fn exists(&mut self, operand: &'e Expr<'a>) -> Result<Predicate> {
        let Typed::Column(column) = self.visit(operand)? else {
            let text = self.parsed.text(operand);
            return Err(TypeError::ExistsOfExpression { text }.into());
        };
        if !column.is_json() {
            let data_type = column.data_type.name().to_owned();
            return Err(TypeError::ExistsType { data_type }.into());
        }
        if column.path.is_empty() {
            return Err(TypeError::ExistsWithoutKey.into());
        }
        Ok(Predicate::Exists(column))
    }

    pub(super) fn is_null(
        &mut self,
        expr: &'e Expr<'a>,
        subject: &'e Expr<'a>,
        negated: bool,
    ) -> Result<Predicate> {
        let column = match self.struct_column(subject) {
            Some(column) => column,
            None => self.column(subject)?,
        };
        if column.data_type.is_vector() && column.data_type != DataType::ArrayOfVector {
            return Err(TypeError::NullOfVector.into());
        }
        if column.path.is_empty() {
            let is_null = Predicate::IsNull(column);
            return Ok(if negated { not(is_null) } else { is_null });
        }
        if column.data_type == DataType::Array {
            return Err(TypeError::NullOfElement { text: self.parsed.text(expr) }.into());
        }
        let exists = Predicate::Exists(column);
        Ok(if negated { exists } else { not(exists) })
    }

    /// The column whose nulls are those of a whole struct array: its first sub-field's.
    fn struct_column(&self, subject: &Expr<'a>) -> Option<Column> {
        let Node::Identifier(name) = subject.node else {
            return None;
        };
        let name = decode_unicode(name);
        if self.schema.field(&name).is_some() {
            return None;
        }
        let owner = self.schema.struct_field(&name)?;
        self.schema.sub_fields(&owner.name).next().map(Column::whole)
    }

    pub(super) fn contains(
        &mut self,
        op: ContainsOp,
        [subject, element]: &'e [Expr<'a>; 2],
    ) -> Result<Predicate> {
        let column = match self.visit(subject)? {
            Typed::Column(column) if column.is_json() || column.data_type == DataType::Array => {
                column
            }
            _ => {
                let text = self.parsed.text(subject);
                return Err(TypeError::ContainsType { op: op.name(), text }.into());
            }
        };
        let elements = match self.visit(element)? {
            Typed::Literal(value) => contained(op, &column, value)?,
            Typed::Template(name) => {
                let value = self.template(&name, not_found)?;
                contained(op, &column, value).map_err(in_template)?
            }
            _ => {
                let text = self.parsed.text(element);
                return Err(TypeError::ContainsElement { op: op.name(), text }.into());
            }
        };
        Ok(Predicate::Contains { column, op, elements })
    }

    pub(super) fn array_length(
        &mut self,
        expr: &'e Expr<'a>,
        subject: &'e Expr<'a>,
    ) -> Result<Typed> {
        let column = self.column(subject)?;
        if !matches!(column.data_type, DataType::JSON | DataType::Array | DataType::ArrayOfVector) {
            return Err(TypeError::ArrayLengthType { text: self.parsed.text(expr) }.into());
        }
        Ok(Typed::ArrayLength(column))
    }
}

/// The elements that `op` looks for, cast to those of an array field.
fn contained(op: ContainsOp, column: &Column, value: Literal) -> Result<Vec<Literal>, TypeError> {
    let elements = match (op, value) {
        (ContainsOp::One, value) => vec![value],
        (ContainsOp::All | ContainsOp::Any, Literal::Array(elements)) => elements,
        (ContainsOp::All | ContainsOp::Any, _) => {
            return Err(TypeError::ContainsNotArray { op: op.wire_name() });
        }
    };
    let (DataType::Array, Some(element_type)) = (column.data_type, column.element_type) else {
        return Ok(elements);
    };
    let cast = elements.into_iter().map(|element| {
        let got = element.data_type();
        if op != ContainsOp::One && !comparable(Some(element_type), Some(got)) {
            return Err(TypeError::ContainsElementType {
                op: op.wire_name(),
                left: type_name(Some(element_type)),
                right: type_name(Some(got)),
            });
        }
        element.cast(element_type)
    });
    cast.collect()
}
