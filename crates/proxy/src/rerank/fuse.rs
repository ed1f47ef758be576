//! Fusing: the score of every row that any of the searches found.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use milvus_types::MetricType;

use super::decay::ScoreMode;
use super::{HitId, Ranked, Ranker, Ranking, Turn, normalized, turned_round};

/// Every hit once, best first, ties by key.
#[derive(Debug, PartialEq)]
pub(crate) struct Fused {
    pub(crate) rows: Vec<Ranked>,
    /// Whether a larger score is a better one.
    pub(crate) descending: bool,
}

/// Fuses the lists that the searches found for one query; `metrics[i]` is the metric of `lists[i]`.
///
/// Ranks count every list as it is, best first. Weighted scores stay as they are, in the natural
/// order of their metrics, unless they are to be normalised or the metrics differ in direction:
/// then distances are turned round. For a decay the scores always are similarities.
pub(crate) fn fuse(ranker: &Ranker, metrics: &[MetricType], lists: &[Ranking]) -> Fused {
    match ranker {
        Ranker::Rrf { k } => {
            let reciprocal = |_: usize, rank: usize, _: f32| {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_precision_loss,
                    reason = "scores are singles, ranks below 2^24"
                )]
                let score = (1.0 / (k + (rank + 1) as f64)) as f32;
                score
            };
            collect(lists, reciprocal, ScoreMode::Sum, true)
        }
        Ranker::Weighted { weights, normalize } => {
            let (turns, descending) = turns(metrics, *normalize, false);
            let weighted = |list: usize, _: usize, score: f32| {
                weights.get(list).copied().unwrap_or(0.0) * turn(&turns, list, score)
            };
            collect(lists, weighted, ScoreMode::Sum, descending)
        }
        Ranker::Decay(decay) => {
            let (turns, _) = turns(metrics, decay.normalize, true);
            let turned = |list: usize, _: usize, score: f32| turn(&turns, list, score);
            collect(lists, turned, decay.mode, true)
        }
    }
}

fn turn(turns: &[Option<Turn>], list: usize, score: f32) -> f32 {
    match turns.get(list) {
        Some(Some(turn)) => turn(score),
        _ => score,
    }
}

/// What each list's scores go through, and whether larger is better afterwards.
fn turns(metrics: &[MetricType], normalize: bool, descending: bool) -> (Vec<Option<Turn>>, bool) {
    if normalize {
        return (metrics.iter().map(|metric| Some(normalized(*metric))).collect(), true);
    }
    let similarities = metrics.iter().filter(|metric| metric.larger_is_better()).count();
    let mixed = similarities > 0 && similarities < metrics.len();
    if mixed || descending {
        let distance = |metric: &MetricType| {
            if metric.larger_is_better() { None } else { Some(turned_round as Turn) }
        };
        return (metrics.iter().map(distance).collect(), true);
    }
    (vec![None; metrics.len()], similarities == metrics.len())
}

fn collect(
    lists: &[Ranking],
    score_of: impl Fn(usize, usize, f32) -> f32,
    mode: ScoreMode,
    descending: bool,
) -> Fused {
    let mut places: HashMap<&HitId, usize> = HashMap::new();
    let mut rows: Vec<Ranked> = Vec::new();
    let mut counts: Vec<f32> = Vec::new();
    for (list, hits) in lists.iter().enumerate() {
        for (rank, (id, score)) in hits.iter().enumerate() {
            let score = score_of(list, rank, *score);
            match places.entry(id) {
                Entry::Vacant(entry) => {
                    entry.insert(rows.len());
                    rows.push(Ranked { id: id.clone(), score, from: (list, rank) });
                    counts.push(1.0);
                }
                Entry::Occupied(entry) => {
                    let (row, count) = (&mut rows[*entry.get()], &mut counts[*entry.get()]);
                    *count += 1.0;
                    row.score = match mode {
                        ScoreMode::Max => row.score.max(score),
                        ScoreMode::Sum | ScoreMode::Avg => row.score + score,
                    };
                }
            }
        }
    }
    if mode == ScoreMode::Avg {
        rows.iter_mut().zip(counts).for_each(|(row, count)| row.score /= count);
    }
    rows.sort_by(|a, b| better_first(a, b, descending).then_with(|| a.id.cmp(&b.id)));
    Fused { rows, descending }
}

/// The order of two scores.
pub(crate) fn better_first(a: &Ranked, b: &Ranked, descending: bool) -> std::cmp::Ordering {
    if descending { b.score.total_cmp(&a.score) } else { a.score.total_cmp(&b.score) }
}

#[cfg(test)]
mod tests {
    use milvus_types::PrimaryKey;

    use super::*;

    fn ranking(hits: &[(i64, f32)]) -> Ranking {
        hits.iter().map(|(key, score)| ((PrimaryKey::Int64(*key), None), *score)).collect()
    }

    fn fused(ranker: &Ranker, lists: &[(MetricType, &[(i64, f32)])]) -> (Vec<(i64, f32)>, bool) {
        let metrics: Vec<_> = lists.iter().map(|(metric, _)| *metric).collect();
        let rankings: Vec<_> = lists.iter().map(|(_, hits)| ranking(hits)).collect();
        let fused = fuse(ranker, &metrics, &rankings);
        let row = |row: &Ranked| match row.id.0 {
            PrimaryKey::Int64(key) => (key, row.score),
            PrimaryKey::VarChar(_) => unreachable!(),
        };
        (fused.rows.iter().map(row).collect(), fused.descending)
    }

    #[test]
    fn reciprocal_ranks_ignore_scores_and_break_ties_by_key() {
        let lists = [
            (MetricType::L2, &[(1, 0.1), (2, 0.2)][..]),
            (MetricType::Cosine, &[(2, 0.9), (1, 0.8), (3, 0.7)]),
        ];
        let (rows, descending) = fused(&Ranker::Rrf { k: 60.0 }, &lists);
        let score = 1.0 / 61.0_f32 + 1.0 / 62.0_f32;
        assert!(descending);
        assert_eq!(rows, [(1, score), (2, score), (3, 1.0 / 63.0_f32)]);
    }

    #[test]
    fn weighted_scores_keep_their_direction_unless_they_differ_in_it() {
        let ranker = |normalize| Ranker::Weighted { weights: vec![0.5, 1.0], normalize };
        let distances =
            [(MetricType::L2, &[(1, 1.0), (2, 3.0)][..]), (MetricType::Hamming, &[(2, 2.0)])];
        let (rows, descending) = fused(&ranker(false), &distances);
        assert_eq!((rows, descending), (vec![(1, 0.5), (2, 3.5)], false));
        let mixed = [(MetricType::L2, &[(1, 1.0)][..]), (MetricType::Ip, &[(1, 2.0), (2, 1.5)])];
        let (rows, descending) = fused(&ranker(false), &mixed);
        assert!(descending);
        // 1 - 2 atan(1) / pi is one half.
        assert_eq!(rows[0].0, 1);
        assert!((rows[0].1 - 2.25).abs() < 1e-6 && rows[1] == (2, 1.5), "{rows:?}");
        let (rows, _) = fused(&ranker(true), &[(MetricType::Cosine, &[(1, 0.5)])]);
        assert_eq!(rows, [(1, 0.375)]);
    }

    #[test]
    fn normalised_scores_lie_between_zero_and_one_and_grow_with_likeness() {
        for metric in [
            MetricType::L2,
            MetricType::Ip,
            MetricType::Cosine,
            MetricType::Hamming,
            MetricType::Jaccard,
            MetricType::Bm25,
            MetricType::MaxSim,
            MetricType::MaxSimL2,
        ] {
            let turn = normalized(metric);
            let (worse, better) = if metric.larger_is_better() { (0.1, 0.9) } else { (0.9, 0.1) };
            assert!(turn(worse) < turn(better), "{metric}");
            assert!((0.0..=1.0).contains(&turn(worse)) && turn(better) <= 1.0, "{metric}");
        }
        assert!((normalized(MetricType::Ip)(1.0) - 0.75).abs() < 1e-6);
    }

    #[test]
    fn every_list_and_score_agrees_with_a_plain_sum() {
        // Many keys over three lists; the model walks all pairs.
        let list = |seed: i64| -> Vec<(i64, f32)> {
            (0..40).map(|i| ((i * seed) % 67, 1.0 / (i + 1) as f32)).collect()
        };
        let lists = [list(3), list(5), list(11)];
        let weights = vec![0.2, 0.3, 0.5];
        let ranker = Ranker::Weighted { weights: weights.clone(), normalize: false };
        let given: Vec<_> = lists.iter().map(|l| (MetricType::Ip, l.as_slice())).collect();
        let (rows, _) = fused(&ranker, &given);
        let mut model: Vec<(i64, f32)> = (0..67)
            .filter(|key| lists.iter().flatten().any(|(k, _)| k == key))
            .map(|key| {
                let scores = lists.iter().zip(&weights).flat_map(|(l, w)| {
                    l.iter().filter(|(k, _)| *k == key).map(move |(_, score)| w * score)
                });
                (key, scores.fold(0.0, |sum, score| sum + score))
            })
            .collect();
        model.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        assert_eq!(rows, model);
    }
}
