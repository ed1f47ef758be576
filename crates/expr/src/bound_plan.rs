//! A plan with what the scalar indexes of one segment know of it.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::BooleanBuffer;

use crate::error::EvaluateError;
use crate::leaf::Answer;
use crate::plan::Plan;

/// A plan bound to one segment's indexes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BoundPlan {
    plan: Plan,
    answers: Arc<[Option<Answer>]>,
}

impl BoundPlan {
    pub(crate) fn new(plan: Plan, answers: Vec<Option<Answer>>) -> Self {
        Self { plan, answers: answers.into() }
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whether indexes know anything of it.
    pub fn is_indexed(&self) -> bool {
        self.answers.iter().any(Option::is_some)
    }

    /// Evaluates as [`Plan::evaluate_from`] does, over the segment's rows from `first_row` on.
    pub fn evaluate(
        &self,
        batch: &RecordBatch,
        first_row: u32,
    ) -> Result<BooleanBuffer, EvaluateError> {
        self.plan.program().evaluate(batch, first_row, &self.answers)
    }
}
