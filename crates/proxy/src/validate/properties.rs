//! Collection properties that Milvus looks at when a collection is created.

use milvus_types::{CollectionSchema, DataType, Failure, KeyValue, Result};

use crate::wire_text::{param, parse_bool};

const MAX_TTL_SECONDS: i64 = 3_155_760_000;

/// Regions of the time zone database; a zone is `Region/City`.
const REGIONS: &[&str] = &[
    "Africa",
    "America",
    "Antarctica",
    "Arctic",
    "Asia",
    "Atlantic",
    "Australia",
    "Brazil",
    "Canada",
    "Chile",
    "Etc",
    "Europe",
    "Indian",
    "Mexico",
    "Pacific",
    "US",
];

/// Zones without a region.
const ZONES: &[&str] = &[
    "UTC",
    "GMT",
    "UCT",
    "Zulu",
    "Universal",
    "Greenwich",
    "CET",
    "CST6CDT",
    "EET",
    "EST",
    "EST5EDT",
    "HST",
    "MET",
    "MST",
    "MST7MDT",
    "PST8PDT",
    "WET",
    "Cuba",
    "Egypt",
    "Eire",
    "Hongkong",
    "Iceland",
    "Iran",
    "Israel",
    "Jamaica",
    "Japan",
    "Kwajalein",
    "Libya",
    "NZ",
    "Navajo",
    "PRC",
    "Poland",
    "Portugal",
    "ROC",
    "ROK",
    "Singapore",
    "Turkey",
];

/// Whether `zone` has the form of a name in the time zone database. No field type depends on the
/// zone yet, so its rules are not needed.
fn is_time_zone(zone: &str) -> bool {
    if ZONES.contains(&zone) {
        return true;
    }
    let Some((region, city)) = zone.split_once('/') else {
        return false;
    };
    REGIONS.contains(&region)
        && !city.is_empty()
        && city.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-+/".contains(&byte))
}

/// Refuses a time zone that does not exist.
pub(crate) fn time_zone(zone: &str) -> Result<()> {
    if is_time_zone(zone) {
        return Ok(());
    }
    Err(Failure::parameter_invalid(format!("unknown or invalid IANA Time Zone ID: {zone}")))
}

/// Properties before the fields are looked at.
pub(crate) fn validate(properties: &[KeyValue]) -> Result<()> {
    if let Some(value) = param(properties, "partitionkey.isolation") {
        let on = parse_bool(&value.to_lowercase()).ok_or_else(|| {
            Failure::parameter_invalid(format!(
                "failed to parse partition key isolation property: {value}"
            ))
        })?;
        if on {
            return Err(Failure::parameter_invalid(
                "partition key isolation mode is enabled but no partition key field is set. \
                 Please set the partition key first",
            ));
        }
    }
    if let Some(zone) = param(properties, "timezone") {
        time_zone(zone)?;
    }
    if let Some(value) = param(properties, "collection.ttl.seconds")
        && value.parse::<i64>().is_err()
    {
        return Err(Failure::parameter_invalid(format!(
            "collection ttl property value not valid, parse error: strconv.ParseInt: parsing \
             {value:?}: invalid syntax"
        )));
    }
    Ok(())
}

/// Time to live, which is either of the collection or of each row.
pub(crate) fn validate_ttl(properties: &[KeyValue], schema: &CollectionSchema) -> Result<()> {
    let seconds = param(properties, "collection.ttl.seconds");
    if let Some(seconds) = seconds.and_then(|value| value.parse::<i64>().ok())
        && !(-1..=MAX_TTL_SECONDS).contains(&seconds)
    {
        return Err(Failure::parameter_invalid(format!(
            "collection TTL is out of range, expect [-1, {MAX_TTL_SECONDS}], got {seconds}"
        )));
    }
    let Some(name) = param(properties, "ttl_field") else {
        return Ok(());
    };
    match schema.field(name) {
        None => {
            Err(Failure::parameter_invalid(format!("ttl field name {name} not found in schema")))
        }
        Some(field) if field.data_type != DataType::Timestamptz => Err(Failure::parameter_invalid(
            format!("ttl field must be timestamptz, field name = {name}"),
        )),
        Some(_) if seconds.is_some() => Err(Failure::parameter_invalid(
            "collection TTL and ttl field cannot be set at the same time",
        )),
        Some(_) => Ok(()),
    }
}

/// Refuses by name the properties that would change what a collection does and are not served.
pub(crate) fn supported(properties: &[KeyValue]) -> Result<()> {
    for pair in properties {
        let refused = match pair.key.as_str() {
            "collection.ttl.seconds" => pair.value.trim().parse::<i64>().is_ok_and(|ttl| ttl > 0),
            "ttl_field" | "query_mode" => !pair.value.is_empty(),
            "namespace.sharding.enabled" => parse_bool(&pair.value) == Some(true),
            key => key.starts_with("cipher."),
        };
        if refused {
            return Err(Failure::parameter_invalid(format!(
                "property {} is not supported yet",
                pair.key
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_zones() {
        for zone in ["UTC", "Asia/Shanghai", "America/Argentina/Buenos_Aires", "Etc/GMT+8"] {
            assert_eq!(time_zone(zone), Ok(()), "{zone}");
        }
        for zone in ["", "utc+8", "Asia/", "Nowhere/City", "Asia/Shang hai"] {
            assert!(time_zone(zone).is_err(), "{zone}");
        }
    }

    #[test]
    fn times_to_live() {
        let schema = CollectionSchema::default();
        let ttl = |value: &str| [KeyValue::new("collection.ttl.seconds", value)];
        assert_eq!(validate_ttl(&ttl("-1"), &schema), Ok(()));
        assert_eq!(supported(&ttl("0")), Ok(()));
        assert_eq!(
            validate_ttl(&ttl("3155760001"), &schema).unwrap_err().reason,
            "collection TTL is out of range, expect [-1, 3155760000], got 3155760001: invalid \
             parameter"
        );
    }
}
