//! Samples of one scrape, from sources outside the registry.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A number that a sample may have.
pub trait Number {
    /// The number as Prometheus counts.
    fn as_f64(&self) -> f64;
}

impl Number for f64 {
    fn as_f64(&self) -> f64 {
        *self
    }
}

impl Number for u32 {
    fn as_f64(&self) -> f64 {
        f64::from(*self)
    }
}

impl Number for u64 {
    fn as_f64(&self) -> f64 {
        *self as f64
    }
}

impl Number for usize {
    fn as_f64(&self) -> f64 {
        *self as f64
    }
}

#[derive(Debug)]
struct Family {
    kind: &'static str,
    help: &'static str,
    lines: String,
}

/// Samples by metric name, so that those of one metric stand together.
#[derive(Debug, Default)]
pub struct Samples(BTreeMap<&'static str, Family>);

impl Samples {
    /// A value that goes up and down.
    pub fn gauge(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
        value: impl Number,
    ) {
        self.push("gauge", name, help, labels, value.as_f64());
    }

    /// A value that only goes up.
    pub fn counter(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
        value: impl Number,
    ) {
        self.push("counter", name, help, labels, value.as_f64());
    }

    fn push(
        &mut self,
        kind: &'static str,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
        value: f64,
    ) {
        let family =
            self.0.entry(name).or_insert_with(|| Family { kind, help, lines: String::new() });
        let labels: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
        let braces =
            if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        family.lines.push_str(&format!("{name}{braces} {value}\n"));
    }

    pub(super) fn write(&self, text: &mut String) {
        for (name, Family { kind, help, lines }) in &self.0 {
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{lines}");
        }
    }
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
