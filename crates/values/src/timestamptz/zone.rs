//! Time zones of the IANA database, which is compiled in.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A name that is no time zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown time zone {name}")]
pub struct InvalidZone {
    /// The name.
    pub name: String,
}

/// A time zone. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Zone {
    zone: TimeZone,
    name: Box<str>,
}

impl Default for Zone {
    fn default() -> Self {
        Self::utc()
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Zone {
    /// Coordinated universal time.
    pub fn utc() -> Self {
        Self { zone: TimeZone::UTC, name: "UTC".into() }
    }

    /// The zone called `name` in the IANA database (`UTC`, `Asia/Shanghai`), case respected.
    pub fn parse(name: &str) -> Result<Self, InvalidZone> {
        if name == "UTC" {
            return Ok(Self::utc());
        }
        let invalid = || InvalidZone { name: name.to_owned() };
        let zone = jiff::tz::TimeZoneDatabase::bundled().get(name).map_err(|_| invalid())?;
        if zone.iana_name() != Some(name) {
            return Err(invalid());
        }
        Ok(Self { zone, name: name.into() })
    }

    /// Its name in the IANA database.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Seconds east of Greenwich at a point in time given in seconds since the epoch.
    pub(super) fn offset_at(&self, seconds: i64) -> i64 {
        let (least, most) = (Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
        let at =
            Timestamp::from_second(seconds.clamp(least, most)).unwrap_or(Timestamp::UNIX_EPOCH);
        self.zone.to_offset(at).seconds().into()
    }

    /// The offset in force where the zone's clocks read `local` seconds since the epoch.
    pub(super) fn offset_of_reading(&self, local: i64) -> i64 {
        self.offset_at(local.saturating_sub(self.offset_at(local)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_database() {
        for name in ["UTC", "Asia/Shanghai", "America/New_York", "Europe/Berlin", "GMT"] {
            assert_eq!(Zone::parse(name).unwrap().name(), name);
        }
        for name in ["", "utc", "Asia/shanghai", "Mars/Olympus", "+08:00", "../UTC"] {
            assert!(Zone::parse(name).is_err(), "{name}");
        }
    }
}
