//! Times as people write them: `10ms`, `2s`, `1m`; a bare number is milliseconds.

use std::time::Duration;

/// The time that `text` says; at most an hour.
pub fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    let (number, unit_ms) = [("ms", 1.0), ("s", 1e3), ("m", 6e4), ("", 1.0)]
        .into_iter()
        .find_map(|(unit, ms)| Some((text.strip_suffix(unit)?, ms)))?;
    let ms = number.trim().parse::<f64>().ok()? * unit_ms;
    (0.0..=3.6e6).contains(&ms).then(|| Duration::from_secs_f64(ms / 1e3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_units() {
        for (text, ms) in [("10ms", 10), ("2s", 2000), ("1m", 60_000), ("200", 200), ("0", 0)] {
            assert_eq!(parse(text), Some(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "ms", "-1s", "2 apples", "2h", "1e9s", "NaN"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
