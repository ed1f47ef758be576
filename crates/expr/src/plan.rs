//! Plans: a filter typed for one schema, ready to run over batches.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::BooleanBuffer;
use milvus_types::{CollectionSchema, FieldId, FieldStats, PkType, PrimaryKey, PrimaryKeys, Value};
use milvus_values::timestamptz::Zone;
use rustc_hash::FxHashSet;

use crate::ast::CompareOp;
use crate::bound_plan::BoundPlan;
use crate::check::check;
use crate::error::{EvaluateError, PlanError};
use crate::eval::{Elements, Program};
use crate::keys;
use crate::leaf::ScalarIndexes;
use crate::literal::Literal;
use crate::parse::parse;
use crate::predicate::Predicate;
use crate::prune;
use crate::rewrite::rewrite;
use crate::template::Templates;

/// A filter typed for one schema. Cheap to clone.
#[derive(Clone)]
pub struct Plan(Arc<Inner>);

struct Inner {
    text: Box<str>,
    fields: Vec<FieldId>,
    primary_keys: Option<PrimaryKeys>,
    predicate: Predicate,
    program: Program,
    /// The condition of an element filter.
    elements: Option<Elements>,
}

/// What a request says besides its filter.
#[derive(Clone, Debug)]
pub struct PlanOptions {
    /// Where texts of time without an offset are read.
    pub zone: Zone,
    /// What random samples are drawn from.
    pub seed: u64,
    /// Whether conditions are rewritten into cheaper ones of the same result.
    pub rewrite: bool,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self { zone: Zone::utc(), seed: 0, rewrite: true }
    }
}

/// Plans filter `text` over rows of `schema`, times in UTC; an empty or blank text is always true.
///
/// Errors: [`PlanError`], whose [`PlanError::message`] is what a client reads.
pub fn plan(
    text: &str,
    schema: &CollectionSchema,
    templates: &Templates,
) -> Result<Plan, PlanError> {
    plan_with(text, schema, templates, &PlanOptions::default())
}

/// Plans as [`plan`] does, with `options`.
pub fn plan_with(
    text: &str,
    schema: &CollectionSchema,
    templates: &Templates,
    options: &PlanOptions,
) -> Result<Plan, PlanError> {
    let predicate = predicate(text, schema, templates, options)?;
    if let Some(refusal) = predicate.unsupported() {
        return Err(refusal.into());
    }
    let mut fields = Vec::new();
    predicate.visit_columns(&mut |column| {
        if !fields.contains(&column.field) {
            fields.push(column.field);
        }
    });
    let primary_keys = primary_keys(&predicate, schema.pk_type());
    let program = Program::new(&predicate);
    let elements = elements(&predicate);
    let text = text.into();
    Ok(Plan(Arc::new(Inner { text, fields, primary_keys, predicate, program, elements })))
}

/// The typed condition of `text`, whether or not evaluation knows all of it.
pub(crate) fn predicate(
    text: &str,
    schema: &CollectionSchema,
    templates: &Templates,
    options: &PlanOptions,
) -> Result<Predicate, PlanError> {
    if text.trim().is_empty() {
        return Ok(Predicate::Constant(true));
    }
    let parsed = parse(text)?;
    let predicate = check(&parsed, text, schema, templates, options)?;
    Ok(if options.rewrite { rewrite(predicate) } else { predicate })
}

impl Plan {
    /// The filter as the user wrote it.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Whether every row passes, whatever it holds.
    pub fn always_true(&self) -> bool {
        matches!(self.0.predicate, Predicate::Constant(true))
    }

    /// Whether no row passes, whatever it holds.
    pub fn always_false(&self) -> bool {
        matches!(self.0.predicate, Predicate::Constant(false))
    }

    /// The fields whose columns a batch must have; dynamic keys count as the dynamic field.
    pub fn fields(&self) -> &[FieldId] {
        &self.0.fields
    }

    /// The keys, without repetition, if the whole plan is `pk == x` or `pk in [..]`.
    pub fn primary_keys(&self) -> Option<PrimaryKeys> {
        self.0.primary_keys.clone()
    }

    /// The values that field `field` must have one of in every row that passes, without repetition;
    /// `None` if nothing is known. An empty list means that no row passes.
    ///
    /// Partition keys are pruned by it.
    pub fn key_values(&self, field: FieldId) -> Option<Vec<Value>> {
        keys::values(&self.0.predicate, field)
    }

    /// Whether a condition `field == x` holds in every row that passes, which isolation by partition
    /// key asks for; the name of the first condition that says something else of the field.
    pub fn isolates(&self, field: FieldId) -> Result<bool, &'static str> {
        keys::isolates(&self.0.predicate, field)
    }

    /// Whether some row of a segment may pass whose columns have `stats`, sorted by field. If not, no
    /// row does; fields without statistics may have any value.
    pub fn may_match(&self, stats: &[FieldStats]) -> bool {
        prune::may_match(&self.0.predicate, stats)
    }

    /// The condition on elements of a struct array, if the plan has an `element_filter`.
    pub fn element_filter(&self) -> Option<ElementFilter<'_>> {
        let mut predicate = &self.0.predicate;
        if let Predicate::RandomSample { predicate: Some(sampled), .. } = predicate {
            predicate = sampled;
        }
        match (predicate, &self.0.elements) {
            (Predicate::ElementFilter { field, .. }, Some(elements)) => {
                Some(ElementFilter { field, elements })
            }
            _ => None,
        }
    }

    /// The share of rows that `random_sample` keeps, if the plan has one.
    pub fn sample_factor(&self) -> Option<f64> {
        if let Predicate::RandomSample { factor, .. } = &self.0.predicate {
            return Some(*factor);
        }
        None
    }

    /// Whether any condition of the plan may be answered by an index.
    pub fn has_leaves(&self) -> bool {
        !self.0.program.leaves().is_empty()
    }

    /// The plan with what `indexes` know of its conditions.
    pub fn bind(&self, indexes: &dyn ScalarIndexes) -> BoundPlan {
        BoundPlan::new(self.clone(), self.0.program.answers(indexes))
    }

    pub(crate) fn program(&self) -> &Program {
        &self.0.program
    }

    /// Evaluates over `batch` as the first rows of their segment: [`Plan::evaluate_from`] row 0.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<BooleanBuffer, EvaluateError> {
        self.evaluate_from(batch, 0)
    }

    /// Evaluates over `batch`, the segment's rows from `first_row` on; bit `row` of the result is set where the condition is true, and
    /// unset where it is false or unknown.
    ///
    /// Columns are found by name and have the layout of [`milvus_types::columns`]; other columns
    /// of the batch are ignored. Cost: one pass per numeric comparison, 64 rows at a time; JSON
    /// text is scanned once per condition on it, only in rows not decided by cheaper conditions.
    /// `random_sample` keeps its share of the rows of the batch.
    pub fn evaluate_from(
        &self,
        batch: &RecordBatch,
        first_row: u32,
    ) -> Result<BooleanBuffer, EvaluateError> {
        self.0.program.evaluate(batch, first_row, &[])
    }
}

/// The condition of an `element_filter`.
#[derive(Clone, Copy, Debug)]
pub struct ElementFilter<'p> {
    field: &'p str,
    elements: &'p Elements,
}

/// Which elements of a batch's struct arrays satisfy a condition.
#[derive(Clone, Debug)]
pub struct ElementMatches {
    /// A bit for each element, one row's after the other's.
    pub bits: BooleanBuffer,
    /// The elements of row `row` are `ends[row]..ends[row + 1]`; a null row has none. This is the
    /// same as the offsets of the sub-fields' lists counted from the first of them, where null rows
    /// are empty lists.
    pub ends: Vec<usize>,
}

impl<'p> ElementFilter<'p> {
    /// The struct array's name.
    pub fn field(&self) -> &'p str {
        self.field
    }

    /// The elements of `batch` that satisfy the condition, in all rows: whether a row itself passes
    /// is [`Plan::evaluate_from`]'s to say.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<ElementMatches, EvaluateError> {
        let (bits, ends) = self.elements.evaluate(batch)?;
        Ok(ElementMatches { bits, ends })
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plan({})", self.0.predicate)
    }
}

/// The typed plan, as the tests compare it.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.predicate.fmt(f)
    }
}

fn elements(predicate: &Predicate) -> Option<Elements> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "an element filter is at the top or nowhere"
    )]
    match predicate {
        Predicate::ElementFilter { first, element, .. } => Some(Elements::new(first, element)),
        Predicate::RandomSample { predicate: Some(sampled), .. } => elements(sampled),
        _ => None,
    }
}

fn primary_keys(predicate: &Predicate, pk_type: PkType) -> Option<PrimaryKeys> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "no other condition is a set of keys")]
    let values = match predicate {
        Predicate::Compare { column, op: CompareOp::Equal, value } if column.is_primary_key => {
            std::slice::from_ref(value)
        }
        Predicate::Term { column, values } if column.is_primary_key => values,
        _ => return None,
    };
    let mut seen = FxHashSet::default();
    let keys: Vec<PrimaryKey> = values
        .iter()
        .filter_map(|value| match value {
            Literal::Int64(key) => Some(PrimaryKey::Int64(*key)),
            Literal::VarChar(key) => Some(PrimaryKey::VarChar(key.clone())),
            Literal::Bool(_) | Literal::Double(_) | Literal::Array(_) => None,
        })
        .filter(|key| seen.insert(key.clone()))
        .collect();
    Some(PrimaryKeys::from_keys(pk_type, &keys))
}
