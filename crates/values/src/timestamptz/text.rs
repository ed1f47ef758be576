//! ISO 8601 text of points in time, as Milvus reads and writes it.

use std::fmt::Write;

use milvus_types::{Coded, ErrorCode};

use super::calendar::{
    MICROS_PER_SECOND, SECONDS_PER_DAY, civil_from_days, days_from_civil, days_in_month,
};
use super::zone::Zone;

/// Why a text is no point in time, as Milvus words it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    /// None of the forms.
    #[error("invalid timestamp string: '{text}'. Does not match any known format")]
    Format {
        /// The text.
        text: String,
    },
    /// An offset no zone has.
    #[error("UTC offset hour {hours} is out of the valid range [-12, 14]")]
    Offset {
        /// Its hours.
        hours: i64,
    },
}

impl Coded for TimestampError {
    fn code(&self) -> ErrorCode {
        ErrorCode::ParameterInvalid
    }
}

const LEAST_OFFSET: i64 = -12 * 3600;
const MOST_OFFSET: i64 = 14 * 3600;

/// Microseconds from the epoch to `text`, which is read in `zone` if it has no offset of its own.
///
/// Forms: `2006-01-02T15:04:05` with `T` or one blank, with or without a fraction, with or without
/// `Z` or an offset `+07:00` (after a blank also `+07`).
pub fn parse(text: &str, zone: &Zone) -> Result<i64, TimestampError> {
    let refused = || TimestampError::Format { text: text.to_owned() };
    let reading = reading(text).ok_or_else(refused)?;
    let offset = match reading.offset {
        Some(offset) if !(LEAST_OFFSET..=MOST_OFFSET).contains(&offset) => {
            return Err(TimestampError::Offset { hours: offset / 3600 });
        }
        Some(offset) => offset,
        None => zone.offset_of_reading(reading.seconds),
    };
    Ok((reading.seconds - offset) * MICROS_PER_SECOND + reading.micros)
}

/// A clock's reading as if it were in UTC, and the offset written beside it.
struct Reading {
    seconds: i64,
    micros: i64,
    offset: Option<i64>,
}

fn reading(text: &str) -> Option<Reading> {
    let mut rest = text;
    let year = number(&mut rest, 4, 4)?;
    symbol(&mut rest, '-')?;
    let month = number(&mut rest, 2, 2).filter(|month| (1..=12).contains(month))?;
    symbol(&mut rest, '-')?;
    let day =
        number(&mut rest, 2, 2).filter(|day| (1..=days_in_month(year, month)).contains(day))?;
    let spaced = symbol(&mut rest, 'T').is_none();
    if spaced {
        symbol(&mut rest, ' ')?;
    }
    let hour = number(&mut rest, 1, 2).filter(|hour| *hour < 24)?;
    symbol(&mut rest, ':')?;
    let minute = number(&mut rest, 2, 2).filter(|minute| *minute < 60)?;
    symbol(&mut rest, ':')?;
    let second = number(&mut rest, 2, 2).filter(|second| *second < 60)?;
    let micros = fraction(&mut rest)?;
    let seconds =
        days_from_civil(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
    Some(Reading { seconds, micros, offset: offset(rest, spaced)? })
}

/// Takes a number of `least..=most` digits.
fn number(rest: &mut &str, least: usize, most: usize) -> Option<i64> {
    let digits = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if digits < least {
        return None;
    }
    let (taken, tail) = rest.split_at(digits);
    *rest = tail;
    taken.parse().ok()
}

fn symbol(rest: &mut &str, symbol: char) -> Option<()> {
    *rest = rest.strip_prefix(symbol)?;
    Some(())
}

/// Takes a fraction, if there is one; what lies behind microseconds is cut off.
fn fraction(rest: &mut &str) -> Option<i64> {
    let Some(tail) = rest.strip_prefix(['.', ',']) else {
        return Some(0);
    };
    let digits = tail.bytes().take_while(u8::is_ascii_digit).count();
    let (taken, tail) = tail.split_at(digits);
    *rest = tail;
    let micros = format!("{:0<6}", taken.get(..digits.min(6))?);
    if digits == 0 { None } else { micros.parse().ok() }
}

/// The offset in seconds that `rest` is: `Some(None)` if it is empty.
fn offset(mut rest: &str, spaced: bool) -> Option<Option<i64>> {
    match rest {
        "" => return Some(None),
        "Z" => return Some(Some(0)),
        _ => {}
    }
    let sign = match symbol(&mut rest, '+') {
        Some(()) => 1,
        None => symbol(&mut rest, '-').map(|()| -1)?,
    };
    let hours = number(&mut rest, 2, 2).filter(|hours| *hours <= 24)?;
    let minutes = if rest.is_empty() && spaced {
        0
    } else {
        symbol(&mut rest, ':')?;
        number(&mut rest, 2, 2).filter(|minutes| *minutes <= 60)?
    };
    rest.is_empty().then_some(Some(sign * (hours * 3600 + minutes * 60)))
}

/// The point in time `micros` after the epoch as `zone`'s clocks read it: `2025-01-01T08:00:00+08:00`,
/// with as much of a fraction as is needed, `Z` where the offset is nought.
pub fn format(micros: i64, zone: &Zone) -> String {
    let (seconds, fraction) =
        (micros.div_euclid(MICROS_PER_SECOND), micros.rem_euclid(MICROS_PER_SECOND));
    let offset = zone.offset_at(seconds);
    let local = seconds + offset;
    let (year, month, day) = civil_from_days(local.div_euclid(SECONDS_PER_DAY));
    let clock = local.rem_euclid(SECONDS_PER_DAY);
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    let sign = if year < 0 { "-" } else { "" };
    let mut text = format!(
        "{sign}{:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}",
        year.unsigned_abs()
    );
    // Writing to a string cannot fail.
    if fraction > 0 {
        let _ = write!(text, ".{fraction:06}");
        text.truncate(text.trim_end_matches('0').len());
    }
    if offset == 0 {
        text.push('Z');
    } else {
        let sign = if offset < 0 { '-' } else { '+' };
        let minutes = offset.unsigned_abs() / 60;
        let _ = write!(text, "{sign}{:02}:{:02}", minutes / 60, minutes % 60);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn zone(name: &str) -> Zone {
        Zone::parse(name).unwrap()
    }

    /// Read in one zone, written in another.
    fn read(text: &str, from: &str, to: &str) -> String {
        format(parse(text, &zone(from)).unwrap(), &zone(to))
    }

    #[test]
    fn text_with_an_offset_is_a_point_in_time() {
        for (text, to, want) in [
            ("2024-10-23T15:30:00Z", "UTC", "2024-10-23T15:30:00Z"),
            ("2024-10-23T15:30:00+05:30", "UTC", "2024-10-23T10:00:00Z"),
            ("2025-05-30T23:46:05+05:30", "Asia/Shanghai", "2025-05-31T02:16:05+08:00"),
            ("2024-12-31 22:00:00Z", "America/New_York", "2024-12-31T17:00:00-05:00"),
            ("2024-12-31 22:00:00+08", "UTC", "2024-12-31T14:00:00Z"),
            ("2024-12-31 22:00:00-08:00", "UTC", "2025-01-01T06:00:00Z"),
            ("0000-01-01T00:00:00.5Z", "UTC", "0000-01-01T00:00:00.5Z"),
            ("1969-12-31T23:59:59.123456789Z", "UTC", "1969-12-31T23:59:59.123456Z"),
        ] {
            assert_eq!(read(text, "Asia/Tokyo", to), want, "{text}");
        }
    }

    #[test]
    fn text_without_an_offset_is_read_in_the_zone() {
        for (text, from, want) in [
            ("2024-10-23 15:30:00", "Asia/Shanghai", "2024-10-23T07:30:00Z"),
            ("2024-10-23 15:30:00.123456", "America/Los_Angeles", "2024-10-23T22:30:00.123456Z"),
            ("9999-12-31T23:59:59", "UTC", "9999-12-31T23:59:59Z"),
            ("9999-12-31T23:46:05", "Asia/Shanghai", "9999-12-31T15:46:05Z"),
            ("1970-01-01T00:00:00", "Europe/Berlin", "1969-12-31T23:00:00Z"),
            // Skipped and repeated by clocks.
            ("2024-03-10 02:30:00", "America/New_York", "2024-03-10T06:30:00Z"),
            ("2024-11-03 01:30:00", "America/New_York", "2024-11-03T05:30:00Z"),
        ] {
            assert_eq!(read(text, from, "UTC"), want, "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "invalid_time_format",
            "2025-02-30T00:00:00",
            "2025-13-01T00:00:00",
            "2025-01-01",
            "2025-01-01T25:00:00",
            "2025-01-01T00:60:00",
            "2025-01-01T00:00:00.",
            "2025-01-01T00:00:00+0800",
            "2025-01-01T00:00:00 Z",
            "23-10-2024 15:30",
            "٢٠25-01-01T00:00:00",
        ] {
            let error = parse(text, &Zone::utc()).unwrap_err();
            let want =
                format!("invalid timestamp string: '{text}'. Does not match any known format");
            assert_eq!(error.to_string(), want);
        }
        for (text, hours) in [
            ("2025-01-01T00:00:00+24:00", 24),
            ("2025-01-01T00:00:00+15:00", 15),
            ("2025-01-01T00:00:00-13:00", -13),
        ] {
            assert_eq!(parse(text, &Zone::utc()), Err(TimestampError::Offset { hours }));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            micros in -62_167_219_200_000_000i64..253_402_300_799_000_000,
            name in prop::sample::select(&["UTC", "Asia/Shanghai", "America/New_York"][..]),
        ) {
            // Before standard time offsets had seconds, which text has not.
            let micros = if name == "UTC" { micros } else { micros.rem_euclid(1 << 55) };
            let text = format(micros, &zone(name));
            prop_assert_eq!(parse(&text, &Zone::utc()), Ok(micros), "{}", text);
        }

        #[test]
        fn no_number_of_microseconds_panics(micros: i64) {
            let _ = format(micros, &zone("Asia/Shanghai"));
        }
    }
}
