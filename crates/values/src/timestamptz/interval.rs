//! Intervals: ISO 8601 durations, added to points in time by the calendar.

use super::calendar::{MICROS_PER_SECOND, SECONDS_PER_DAY, civil_from_days, days_from_civil};

/// A duration by its parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interval {
    /// `P1Y`
    pub years: i64,
    /// `P1M`
    pub months: i64,
    /// `P1D`
    pub days: i64,
    /// `PT1H`
    pub hours: i64,
    /// `PT1M`
    pub minutes: i64,
    /// `PT1S`
    pub seconds: i64,
}

impl Interval {
    /// Reads `P1Y2M3DT4H5M6S`, any part of which may be left out; `None` if it is something else or
    /// a part exceeds `i32`.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix('P')?;
        let (date, time) = match rest.split_once('T') {
            Some((date, time)) => (date, time),
            None => (rest, ""),
        };
        let mut interval = Self::default();
        let Self { years, months, days, hours, minutes, seconds } = &mut interval;
        parts(date, [('Y', years), ('M', months), ('D', days)])?;
        parts(time, [('H', hours), ('M', minutes), ('S', seconds)])?;
        Some(interval)
    }

    /// The same duration the other way.
    #[must_use]
    pub fn negated(self) -> Self {
        Self {
            years: -self.years,
            months: -self.months,
            days: -self.days,
            hours: -self.hours,
            minutes: -self.minutes,
            seconds: -self.seconds,
        }
    }

    /// The point in time that lies the interval after `micros`, by the calendar of UTC: years and
    /// months first, a day that the month lacks running over into the next. `None` beyond `i64`.
    pub fn after(&self, micros: i64) -> Option<i64> {
        let (seconds, fraction) =
            (micros.div_euclid(MICROS_PER_SECOND), micros.rem_euclid(MICROS_PER_SECOND));
        let (mut days, clock) =
            (seconds.div_euclid(SECONDS_PER_DAY), seconds.rem_euclid(SECONDS_PER_DAY));
        if self.years != 0 || self.months != 0 {
            let (year, month, day) = civil_from_days(days);
            days = days_from_civil(year + self.years, month + self.months, day);
        }
        let clock = clock + self.hours * 3600 + self.minutes * 60 + self.seconds;
        let seconds = days
            .checked_add(self.days)?
            .checked_mul(SECONDS_PER_DAY)?
            .checked_add(clock)?
            .checked_mul(MICROS_PER_SECOND)?;
        seconds.checked_add(fraction)
    }

    /// The microseconds that the interval always lasts, `None` if it has years or months.
    pub fn fixed_micros(&self) -> Option<i64> {
        if self.years != 0 || self.months != 0 {
            return None;
        }
        let clock = self.hours * 3600 + self.minutes * 60 + self.seconds;
        self.days.checked_mul(SECONDS_PER_DAY)?.checked_add(clock)?.checked_mul(MICROS_PER_SECOND)
    }
}

fn parts(mut text: &str, units: [(char, &mut i64); 3]) -> Option<()> {
    for (unit, value) in units {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 && text.get(digits..)?.starts_with(unit) {
            let part: i32 = text.get(..digits)?.parse().ok()?;
            *value = part.into();
            text = text.get(digits + 1..)?;
        }
    }
    text.is_empty().then_some(())
}

#[cfg(test)]
mod tests {
    use super::super::{Zone, format, parse};
    use super::*;

    #[test]
    fn calendar_months_and_days() {
        for (from, interval, want) in [
            ("2024-01-31T12:00:00Z", "P1M", "2024-03-02T12:00:00Z"),
            ("2023-01-31T00:00:00Z", "P1M", "2023-03-03T00:00:00Z"),
            ("2024-02-29T00:00:00Z", "P1Y", "2025-03-01T00:00:00Z"),
            ("2025-01-01T00:00:00.5Z", "P1Y2M3DT4H5M6S", "2026-03-04T04:05:06.5Z"),
            ("1969-12-31T23:59:59Z", "PT1S", "1970-01-01T00:00:00Z"),
            ("2025-01-01T00:00:00Z", "P", "2025-01-01T00:00:00Z"),
            ("2025-11-30T00:00:00Z", "P3M", "2026-03-02T00:00:00Z"),
        ] {
            let interval = Interval::parse(interval).unwrap();
            let after = interval.after(parse(from, &Zone::utc()).unwrap()).unwrap();
            assert_eq!(format(after, &Zone::utc()), want, "{from} + {interval:?}");
        }
        let back = Interval::parse("P1M3D").unwrap().negated();
        let from = parse("2024-03-31T00:00:00Z", &Zone::utc()).unwrap();
        assert_eq!(format(back.after(from).unwrap(), &Zone::utc()), "2024-02-28T00:00:00Z");
        assert_eq!(Interval::parse("P1000000D").unwrap().after(i64::MAX), None);
    }

    #[test]
    fn malformed_durations_are_refused() {
        for text in ["", "1D", "P1", "P1H", "PT1D", "P-1D", "P1.5D", "P1W", "P99999999999D", "P1DX"]
        {
            assert_eq!(Interval::parse(text), None, "{text}");
        }
    }
}
