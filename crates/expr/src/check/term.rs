//! `in` and `not in`.

use crate::ast::Expr;
use crate::error::{TemplateError, TypeError};
use crate::literal::Literal;
use crate::predicate::Predicate;
use crate::rewrite::not;

use super::typed::Typed;
use super::{Checker, Result, in_template, not_found};

impl<'e, 'a> Checker<'e, 'a> {
    pub(super) fn term(
        &mut self,
        negated: bool,
        [left, right]: &'e [Expr<'a>; 2],
    ) -> Result<Predicate> {
        let text = |expr| self.parsed.text(expr);
        let (subject_text, list_text) = (text(left), text(right));
        let column = match self.visit(left)? {
            Typed::Column(column) => column,
            Typed::Literal(_) => {
                return Err(TypeError::TermOfConstant { text: subject_text }.into());
            }
            _ => return Err(TypeError::TermOfExpression { text: subject_text }.into()),
        };
        let data_type = column.value_type();
        let values = match self.visit(right)? {
            Typed::Template(name) => {
                let Literal::Array(values) = self.template(&name, not_found)? else {
                    return Err(TemplateError::NotArray { name: name.into() }.into());
                };
                let cast = values.into_iter().map(|value| value.cast(data_type));
                cast.collect::<Result<Vec<_>, _>>().map_err(in_template)?
            }
            Typed::Literal(Literal::Array(values)) => {
                let cast = values.into_iter().map(|value| {
                    let shown = value.wire_text();
                    value.cast(data_type).map_err(|_| TypeError::TermCast {
                        value: shown,
                        data_type: data_type.name().to_owned(),
                    })
                });
                cast.collect::<Result<Vec<_>, _>>()?
            }
            Typed::Literal(_) => return Err(TypeError::TermNotList { text: list_text }.into()),
            _ => return Err(TypeError::TermNotConstant { text: list_text }.into()),
        };
        let term = Predicate::Term { column, values };
        Ok(if negated { not(term) } else { term })
    }
}
