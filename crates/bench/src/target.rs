//! Finds the cheapest setting that reaches a recall.
//!
//! The main parameter is doubled until the recall is there and then halved down to the smallest
//! value that has it, for each value of the second; the fastest of these wins. So systems are
//! compared at the same recall, not at the next step of a grid.

use std::collections::HashMap;

use serde_json::Value;

use crate::Outcome;
use crate::knobs::Knobs;

/// What one pass at a setting gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Probe {
    /// Recall.
    pub(crate) recall: f64,
    /// Seconds of CPU.
    pub(crate) cpu_s: f64,
}

/// Settings that were tried, so that no pass is made twice.
pub(crate) struct Search<'a, F> {
    knobs: &'a Knobs,
    probe: F,
    seen: HashMap<String, Probe>,
}

impl<'a, F: FnMut(&Value) -> Outcome<Probe>> Search<'a, F> {
    /// A search over `knobs`; `probe` makes a pass at a setting.
    pub(crate) fn new(knobs: &'a Knobs, probe: F) -> Self {
        Self { knobs, probe, seen: HashMap::new() }
    }

    /// The cheapest setting with a recall of at least `target`, if one has it.
    pub(crate) fn cheapest(&mut self, target: f64) -> Outcome<Option<Value>> {
        let seconds = match &self.knobs.second {
            Some((_, values)) => values.iter().copied().map(Some).collect(),
            None => vec![None],
        };
        let mut best: Option<(f64, Value)> = None;
        for second in seconds {
            let least = best.as_ref().map_or(f64::INFINITY, |(least, _)| *least);
            let Some(main) = self.smallest(second, target, least)? else { continue };
            let cost = self.at(main, second)?.cpu_s;
            if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                best = Some((cost, self.knobs.setting(main, second)));
            }
        }
        Ok(best.map(|(_, setting)| setting))
    }

    /// The smallest main value that reaches `target` with this second value, if there is one for
    /// less than about `cost` seconds.
    fn smallest(
        &mut self,
        second: Option<usize>,
        target: f64,
        cost: f64,
    ) -> Outcome<Option<usize>> {
        let (mut below, mut main) = (self.knobs.least, self.knobs.least);
        let mut last = 0.0;
        loop {
            let Probe { recall, cpu_s } = self.at(main, second)?;
            if recall >= target {
                break;
            }
            let stuck = recall < last + 1e-4 && main > 16 * self.knobs.least || cpu_s > 1.2 * cost;
            if self.knobs.main.is_none() || main >= self.knobs.most || stuck {
                return Ok(None);
            }
            (below, last) = (main, recall);
            main = (main * 2).min(self.knobs.most);
        }
        let mut enough = main;
        while below + 1 < enough {
            let middle = below.midpoint(enough);
            if self.at(middle, second)?.recall >= target {
                enough = middle;
            } else {
                below = middle;
            }
        }
        Ok(Some(enough))
    }

    fn at(&mut self, main: usize, second: Option<usize>) -> Outcome<Probe> {
        let setting = self.knobs.setting(main, second);
        let key = setting.to_string();
        if let Some(probe) = self.seen.get(&key) {
            return Ok(*probe);
        }
        let probe = (self.probe)(&setting)?;
        self.seen.insert(key, probe);
        Ok(probe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knobs() -> Knobs {
        Knobs { main: Some("ef"), least: 1, most: 64, second: Some(("refine_k", vec![1, 2])) }
    }

    #[test]
    fn the_smallest_value_of_the_cheapest_row_is_found() {
        // With refine_k 2, recall is 0.05 higher and a pass costs 5 more.
        let probe = |setting: &Value| {
            let (main, second) =
                (setting["ef"].as_f64().unwrap(), setting["refine_k"].as_f64().unwrap());
            let recall = (main / 50.0 + 0.05 * (second - 1.0)).min(0.99);
            Ok(Probe { recall, cpu_s: main + 5.0 * (second - 1.0) })
        };
        let knobs = knobs();
        let mut search = Search::new(&knobs, probe);
        let found = search.cheapest(0.9).unwrap().unwrap();
        assert_eq!(found.to_string(), r#"{"ef":45,"refine_k":1}"#);
        assert_eq!(search.cheapest(0.995).unwrap(), None, "out of reach");
        assert!(search.seen.len() < 40);
    }

    #[test]
    fn what_is_enough_at_the_least_is_not_searched_further() {
        let knobs = knobs();
        let mut passes = 0;
        let mut search = Search::new(&knobs, |_: &Value| {
            passes += 1;
            Ok(Probe { recall: 1.0, cpu_s: 1.0 })
        });
        assert_eq!(search.cheapest(0.9).unwrap().unwrap()["ef"], 1);
        drop(search);
        assert_eq!(passes, 2, "one for each second value");
    }
}
