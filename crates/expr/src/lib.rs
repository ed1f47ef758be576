//! The filter language: lexer, parser, typed plan, vectorised evaluation over Arrow columns.
//!
//! [`plan`] turns the text of a filter into a [`Plan`] for one schema; [`Plan::evaluate`] runs it
//! over record batches whose columns are named as the fields ([`milvus_types::columns`]).
//! [`Plan::bind`] lets the scalar indexes of a segment answer single conditions ([`Leaf`]).
//! Grammar, precedence and messages follow Milvus's `Plan.g4` and its visitor.
//!
//! Nothing here panics on any text: nesting is bounded, and every refusal is a [`PlanError`].
//! Not here: fetching columns, visibility by timestamp, deletes.
#![warn(missing_docs)]

mod ast;
mod bound_plan;
mod check;
mod column;
mod error;
mod eval;
mod keys;
mod leaf;
mod lexer;
mod literal;
mod output_field;
mod parse;
mod pattern;
mod plan;
mod predicate;
mod prune;
mod rewrite;
mod template;
mod token;

pub use ast::{CompareOp, ContainsOp};
pub use bound_plan::BoundPlan;
pub use error::{
    EvaluateError, FunctionNotFound, NotBoolean, NotSupported, PlanError, SyntaxError,
    TemplateError, TypeError,
};
pub use leaf::{Answer, Condition, Extent, Leaf, Matcher, ScalarIndexes};
pub use literal::Literal;
pub use output_field::{
    Identifier, IdentifierError, OutputField, OutputFieldError, parse_identifier,
    parse_output_field,
};
pub use plan::{ElementFilter, ElementMatches, Plan, PlanOptions, plan, plan_with};
pub use predicate::Bound;
pub use template::{TemplateValue, Templates};

/// Parses `text` without a schema and renders its tree, each operation in parentheses.
///
/// Promises to return, and never to panic, on any text.
pub fn parse(text: &str) -> Result<String, PlanError> {
    Ok(parse::parse(text)?.root.to_string())
}
