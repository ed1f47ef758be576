//! The scalar indexes of one segment, asked together.

use std::sync::Arc;

use milvus_expr::{Answer, Leaf, ScalarIndexes};

use crate::scalar_index::ScalarIndex;

/// The scalar indexes of one segment.
#[derive(Clone, Debug, Default)]
pub struct ScalarIndexSet {
    indexes: Vec<Arc<dyn ScalarIndex>>,
}

impl ScalarIndexSet {
    /// The set of `indexes`, all over the same segment.
    pub fn new(indexes: Vec<Arc<dyn ScalarIndex>>) -> Self {
        Self { indexes }
    }

    /// Adds an index.
    pub fn push(&mut self, index: Arc<dyn ScalarIndex>) {
        self.indexes.push(index);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.indexes.is_empty()
    }

    /// The indexes.
    pub fn indexes(&self) -> &[Arc<dyn ScalarIndex>] {
        &self.indexes
    }
}

impl ScalarIndexes for ScalarIndexSet {
    /// The first exact answer; else the superset with the fewest rows.
    fn answer(&self, leaf: &Leaf<'_>) -> Option<Answer> {
        let mut best: Option<(usize, Answer)> = None;
        for index in self.indexes.iter().filter(|index| index.field() == leaf.field) {
            let Some(answer) = index.answer(leaf) else { continue };
            if answer.exact {
                return Some(answer);
            }
            let rows = answer.yes.count_set_bits();
            if best.as_ref().is_none_or(|(fewest, _)| rows < *fewest) {
                best = Some((rows, answer));
            }
        }
        best.map(|(_, answer)| answer)
    }
}
