//! `like`, `=~` and `!~`.

use milvus_types::DataType;

use crate::ast::{Expr, Node};
use crate::column::Column;
use crate::error::{TemplateError, TypeError};
use crate::literal::{self, Literal};
use crate::pattern::Pattern;
use crate::predicate::Predicate;
use crate::rewrite::not;

use super::typed::Typed;
use super::{Checker, Result, in_template, not_found};

impl<'e, 'a> Checker<'e, 'a> {
    pub(super) fn like(&mut self, [left, right]: &'e [Expr<'a>; 2]) -> Result<Predicate> {
        let column = self.matched_column(left, "like operation")?;
        if !holds_strings(&column) {
            return Err(TypeError::LikeType.into());
        }
        let (pattern, is_template) = self.string_or_template(right, "like pattern", "like")?;
        let pattern = Pattern::like(&pattern);
        let pattern = if is_template { pattern.map_err(in_template)? } else { pattern? };
        Ok(Predicate::Match { column, pattern })
    }

    pub(super) fn regex(
        &mut self,
        negated: bool,
        [left, right]: &'e [Expr<'a>; 2],
    ) -> Result<Predicate> {
        let column = self.matched_column(left, "regex match")?;
        if !holds_strings(&column) {
            return Err(TypeError::RegexType.into());
        }
        let pattern = match &right.node {
            Node::String(token) => Pattern::regex(&literal::regex_pattern(token))?,
            _ => match self.visit(right)? {
                Typed::Template(name) => {
                    let pattern = self.template_string(&name, "regex")?;
                    Pattern::regex(&pattern).map_err(in_template)?
                }
                _ => {
                    let text = self.parsed.text(right);
                    return Err(TypeError::NotStringLiteral { what: "regex pattern", text }.into());
                }
            },
        };
        let matches = Predicate::Match { column, pattern };
        Ok(if negated { not(matches) } else { matches })
    }

    fn matched_column(&mut self, expr: &'e Expr<'a>, op: &'static str) -> Result<Column> {
        let typed = self.visit(expr)?;
        typed.refuse_whole_array()?;
        match typed {
            Typed::Column(column) => Ok(column),
            _ => Err(TypeError::MatchOfExpression { op }.into()),
        }
    }

    /// A string, and whether it came from a variable.
    pub(super) fn string_or_template(
        &mut self,
        expr: &'e Expr<'a>,
        what: &'static str,
        operation: &'static str,
    ) -> Result<(Box<str>, bool)> {
        match self.visit(expr)? {
            Typed::Template(name) => Ok((self.template_string(&name, operation)?, true)),
            Typed::Literal(Literal::VarChar(text)) => Ok((text, false)),
            _ => {
                let text = self.parsed.text(expr);
                Err(TypeError::NotStringLiteral { what, text }.into())
            }
        }
    }

    fn template_string(&self, name: &str, what: &'static str) -> Result<Box<str>> {
        match self.template(name, not_found)? {
            Literal::VarChar(text) => Ok(text),
            _ => Err(TemplateError::NotString { what, name: name.to_owned() }.into()),
        }
    }
}

fn holds_strings(column: &Column) -> bool {
    column.data_type.is_string()
        || column.is_json()
        || (column.data_type == DataType::Array
            && column.element_type.is_some_and(DataType::is_string))
}
