//! Synthetic sparse vectors, seeded: the shape of learned sparse embeddings such as SPLADE's.
//!
//! A row has a topic; most of its terms are from the topic's own list, the others from the whole
//! vocabulary, where the n-th term is drawn in proportion to 1/n. Weights are log-normal and lower
//! for frequent terms. Queries are made the same way, with fewer terms.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// What the vectors are like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Terms there are.
    pub(crate) terms: u32,
    /// Topics there are.
    pub(crate) topics: u32,
    /// Of all that is drawn.
    pub(crate) seed: u64,
}

/// Terms of a topic.
const TOPIC_TERMS: usize = 400;
/// The share of a row's terms that are from its topic.
const ON_TOPIC: f64 = 0.6;

/// Draws vectors of one shape.
pub(crate) struct Source {
    shape: Shape,
    random: StdRng,
    topics: Vec<Vec<u32>>,
}

impl Source {
    pub(crate) fn new(shape: Shape) -> Self {
        let random = StdRng::seed_from_u64(shape.seed);
        let mut source = Self { shape, random, topics: Vec::new() };
        for _ in 0..shape.topics {
            let terms = (0..TOPIC_TERMS).map(|_| source.term()).collect();
            source.topics.push(terms);
        }
        source
    }

    /// A vector of `least` to `most` drawn terms, sorted; drawn twice, a term counts once.
    pub(crate) fn vector(&mut self, least: usize, most: usize) -> Vec<(u32, f32)> {
        let topic = self.random.random_range(0..self.topics.len().max(1));
        let mut pairs = BTreeMap::new();
        for _ in 0..self.random.random_range(least..=most) {
            let on_topic = self.random.random::<f64>() < ON_TOPIC;
            let term = match self.topics.get(topic) {
                Some(own) if on_topic => own[self.random.random_range(0..own.len())],
                _ => self.term(),
            };
            pairs.insert(term, self.weight(term));
        }
        pairs.into_iter().collect()
    }

    /// A term of the vocabulary, the n-th in proportion to 1/n.
    #[expect(clippy::cast_possible_truncation, reason = "it is below the count of terms")]
    fn term(&mut self) -> u32 {
        let share: f64 = self.random.random();
        let terms = f64::from(self.shape.terms);
        ((terms + 1.0).powf(share) - 1.0).min(terms - 1.0) as u32
    }

    #[expect(clippy::cast_possible_truncation, reason = "weights are of single precision")]
    fn weight(&mut self, term: u32) -> f32 {
        // The sum of a few uniform numbers is near enough to a normal one.
        let normal: f64 = (0..6).map(|_| self.random.random::<f64>() - 0.5).sum();
        let rarity = f64::from(term + 2).ln() / f64::from(self.shape.terms).ln();
        (rarity * (0.6 * normal).exp()) as f32
    }
}

/// A vector as the bytes of a sparse row: pairs of u32 and f32, little-endian.
pub(crate) fn bytes(vector: &[(u32, f32)]) -> Vec<u8> {
    let pair = |(term, weight): &(u32, f32)| [term.to_le_bytes(), weight.to_le_bytes()].concat();
    vector.iter().flat_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_sorted_positive_and_the_same_for_a_seed() {
        let shape = Shape { terms: 1000, topics: 5, seed: 7 };
        let (mut source, mut again) = (Source::new(shape), Source::new(shape));
        for _ in 0..50 {
            let vector = source.vector(5, 20);
            assert_eq!(vector, again.vector(5, 20));
            assert!(vector.windows(2).all(|pair| pair[0].0 < pair[1].0));
            assert!(vector.iter().all(|&(term, weight)| term < 1000 && weight > 0.0));
            assert!(vector.len() <= 20 && bytes(&vector).len() == vector.len() * 8);
        }
    }
}
