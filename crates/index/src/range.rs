//! The range of scores that a range search asks for.

use milvus_types::MetricType;

/// Scores between a radius, outer and exclusive, and a range filter, inner and inclusive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The worst score, itself excluded.
    pub radius: f32,
    /// The best score, itself included; `None` is without limit.
    pub range_filter: Option<f32>,
}

impl Range {
    /// Whether `score` is within the range: `range_filter <= score < radius` for distances,
    /// `radius < score <= range_filter` for similarities.
    #[inline]
    pub fn contains(&self, metric: MetricType, score: f32) -> bool {
        if metric.larger_is_better() {
            score > self.radius && self.range_filter.is_none_or(|best| score <= best)
        } else {
            score < self.radius && self.range_filter.is_none_or(|best| score >= best)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_radius_is_excluded_and_the_filter_included() {
        let range = Range { radius: 2.0, range_filter: Some(1.0) };
        let within = |score| range.contains(MetricType::L2, score);
        assert!(within(1.0) && within(1.5) && !within(2.0) && !within(0.5));
        let range = Range { radius: 0.5, range_filter: Some(0.9) };
        let within = |score| range.contains(MetricType::Cosine, score);
        assert!(within(0.9) && within(0.6) && !within(0.5) && !within(0.95));
        let open = Range { radius: 0.5, range_filter: None };
        assert!(open.contains(MetricType::Ip, 9.0) && !open.contains(MetricType::Ip, f32::NAN));
    }
}
