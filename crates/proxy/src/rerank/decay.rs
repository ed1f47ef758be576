//! Decay: a factor between 0 and 1 that falls as a numeric field moves away from an origin.

use milvus_types::FieldSchema;

/// The shape of the fall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    Gauss,
    Exp,
    Linear,
}

/// How the scores of one row in several searches become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScoreMode {
    Max,
    Sum,
    Avg,
}

/// A decay ranker.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decay {
    /// The field.
    pub(crate) field: FieldSchema,
    pub(crate) curve: Curve,
    pub(crate) origin: f64,
    /// Where, beyond `offset`, the factor is `decay`.
    pub(crate) scale: f64,
    /// Up to here from the origin the factor is 1.
    pub(crate) offset: f64,
    pub(crate) decay: f64,
    pub(crate) mode: ScoreMode,
    /// Whether scores are brought between 0 and 1 first.
    pub(crate) normalize: bool,
}

impl Decay {
    /// The factor of a row whose field holds `value`; 0 for null.
    pub(crate) fn factor(&self, value: Option<f64>) -> f32 {
        let Some(value) = value else {
            return 0.0;
        };
        let beyond = ((value - self.origin).abs() - self.offset).max(0.0);
        let factor = match self.curve {
            Curve::Gauss => (beyond * beyond * self.decay.ln() / (self.scale * self.scale)).exp(),
            Curve::Exp => (beyond * self.decay.ln() / self.scale).exp(),
            Curve::Linear => (1.0 - beyond * (1.0 - self.decay) / self.scale).max(self.decay),
        };
        #[expect(clippy::cast_possible_truncation, reason = "scores are singles")]
        let factor = factor as f32;
        factor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_one_within_the_offset_and_decay_at_the_scale() {
        for curve in [Curve::Gauss, Curve::Exp, Curve::Linear] {
            let decay = Decay {
                field: FieldSchema::default(),
                curve,
                origin: 100.0,
                scale: 20.0,
                offset: 5.0,
                decay: 0.3,
                mode: ScoreMode::Max,
                normalize: false,
            };
            assert_eq!(decay.factor(Some(104.0)), 1.0);
            assert!((decay.factor(Some(125.0)) - 0.3).abs() < 1e-6, "{curve:?}");
            assert!((decay.factor(Some(75.0)) - 0.3).abs() < 1e-6, "{curve:?}");
            assert!(decay.factor(Some(110.0)) > decay.factor(Some(115.0)));
            assert_eq!(decay.factor(None), 0.0);
        }
    }

    #[test]
    fn the_curves_differ_beyond_the_scale() {
        let at = |curve| {
            Decay {
                field: FieldSchema::default(),
                curve,
                origin: 0.0,
                scale: 1.0,
                offset: 0.0,
                decay: 0.5,
                mode: ScoreMode::Max,
                normalize: false,
            }
            .factor(Some(2.0))
        };
        assert_eq!((at(Curve::Gauss), at(Curve::Exp), at(Curve::Linear)), (0.0625, 0.25, 0.5));
    }
}
