//! Times as folder names: `20261121T194500.250Z` sorts as it happened.

const DAY_MS: u64 = 86_400_000;

/// The UTC time of `ms` milliseconds since the epoch.
pub(crate) fn stamp(ms: u64) -> String {
    let (year, month, day) = civil(ms / DAY_MS);
    let in_day = ms % DAY_MS;
    let (hour, minute) = (in_day / 3_600_000, in_day / 60_000 % 60);
    let (second, milli) = (in_day / 1_000 % 60, in_day % 1_000);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}.{milli:03}Z")
}

/// Year, month and day of the `days`-th day after 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    // Years counted from March on, so that the leap day is a year's last: 400 years have 146,097 days.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let leaps = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leaps) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_they_are() {
        assert_eq!(stamp(0), "19700101T000000.000Z");
        assert_eq!(stamp(951_782_400_000), "20000229T000000.000Z");
        assert_eq!(stamp(1_735_689_599_999), "20241231T235959.999Z");
        assert_eq!(stamp(1_795_290_300_250), "20261121T194500.250Z");
    }
}
