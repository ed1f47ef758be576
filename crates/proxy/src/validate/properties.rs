//! Collection properties that mean something when a collection is created or altered.

use milvus_types::{CollectionSchema, DataType, ErrorCode, Failure, KeyValue, Result};
use milvus_values::timestamptz::Zone;

use crate::wire_text::{param, parse_bool};

/// The longest time to live: a hundred years.
const MAX_TTL_SECONDS: i64 = 3_155_760_000;

/// After how many seconds rows end; none for -1 and 0.
pub(crate) const TTL_SECONDS: &str = "collection.ttl.seconds";
/// The field that says when each row ends.
pub(crate) const TTL_FIELD: &str = "ttl_field";
/// Whether each search names one partition key.
pub(crate) const ISOLATION: &str = "partitionkey.isolation";
/// How searches of very many hits are served.
pub(crate) const QUERY_MODE: &str = "query_mode";
/// The zone of points in time that name none.
pub(crate) const TIME_ZONE: &str = "timezone";
/// Fixed when a collection is created.
const NAMESPACE_SHARDING: &str = "namespace.sharding.enabled";

/// Refuses a time zone that does not exist.
pub(crate) fn time_zone(zone: &str) -> Result<()> {
    zone_of(zone).map(drop)
}

/// The time zone called `zone`.
pub(crate) fn zone_of(zone: &str) -> Result<Zone> {
    Zone::parse(zone).map_err(|_| {
        Failure::parameter_invalid(format!("unknown or invalid IANA Time Zone ID: {zone}"))
    })
}

/// Whether `properties` isolate the rows of each partition key from each other.
pub(crate) fn isolation(
    collection: &str,
    has_partition_key: bool,
    properties: &[KeyValue],
) -> Result<bool> {
    let Some(value) = param(properties, ISOLATION) else { return Ok(false) };
    let on = parse_bool(&value.to_lowercase()).ok_or_else(|| {
        Failure::parameter_invalid(format!(
            "failed to parse partition key isolation: strconv.ParseBool: parsing {value:?}: \
             invalid syntax"
        ))
    })?;
    if on && !has_partition_key {
        let illegal = Failure::with_fields(
            ErrorCode::CollectionIllegalSchema,
            &[("collection", &collection)],
        );
        return Err(illegal.context(
            "partition key isolation mode is enabled but no partition key field is set. Please \
             set the partition key first",
        ));
    }
    Ok(on)
}

/// Properties before the fields are looked at.
pub(crate) fn validate(properties: &[KeyValue]) -> Result<()> {
    query_mode(properties)?;
    namespace_sharding(properties)?;
    if let Some(zone) = param(properties, TIME_ZONE) {
        time_zone(zone)?;
    }
    if let Some(value) = param(properties, TTL_SECONDS)
        && value.parse::<i64>().is_err()
    {
        return Err(Failure::parameter_invalid(format!(
            "collection ttl property value not valid, parse error: strconv.ParseInt: parsing \
             {value:?}: invalid syntax"
        )));
    }
    Ok(())
}

/// `query_mode` has one value, and no spelling but this.
pub(crate) fn query_mode(properties: &[KeyValue]) -> Result<()> {
    for pair in properties {
        if pair.key == QUERY_MODE {
            if pair.value == "large_topk" {
                return Ok(());
            }
            return Err(Failure::parameter_invalid(format!(
                "invalid query_mode value {:?}, valid values: [large_topk]",
                pair.value
            )));
        }
        misspelt(&pair.key, QUERY_MODE)?;
    }
    Ok(())
}

fn namespace_sharding(properties: &[KeyValue]) -> Result<()> {
    for pair in properties {
        if pair.key == NAMESPACE_SHARDING {
            return match parse_bool(&pair.value) {
                Some(_) => Ok(()),
                None => Err(Failure::parameter_invalid(format!(
                    "invalid {NAMESPACE_SHARDING} value {:?}",
                    pair.value
                ))),
            };
        }
        misspelt(&pair.key, NAMESPACE_SHARDING)?;
    }
    Ok(())
}

/// What is fixed when a collection is created.
pub(crate) fn namespace_sharding_is_not_altered(set: &[KeyValue], delete: &[String]) -> Result<()> {
    let keys = set.iter().map(|pair| (&pair.key, "alter"));
    for (key, verb) in keys.chain(delete.iter().map(|key| (key, "delete"))) {
        if key == NAMESPACE_SHARDING {
            return Err(Failure::parameter_invalid(format!(
                "cannot {verb} {NAMESPACE_SHARDING} after collection creation"
            )));
        }
        misspelt(key, NAMESPACE_SHARDING)?;
    }
    Ok(())
}

fn misspelt(key: &str, meant: &str) -> Result<()> {
    if key != meant && key.eq_ignore_ascii_case(meant) {
        return Err(Failure::parameter_invalid(format!(
            "invalid property key {key:?}, did you mean {meant:?}?"
        )));
    }
    Ok(())
}

/// The checked time to live of a collection's rows, if `properties` have one.
pub(crate) fn ttl_seconds(properties: &[KeyValue]) -> Result<Option<i64>> {
    let Some(value) = param(properties, TTL_SECONDS) else { return Ok(None) };
    let seconds = value.parse::<i64>().map_err(|_| {
        Failure::parameter_invalid("collection TTL is not a valid positive integer")
    })?;
    if (-1..=MAX_TTL_SECONDS).contains(&seconds) {
        return Ok(Some(seconds));
    }
    Err(Failure::parameter_invalid(format!(
        "collection TTL is out of range, expect [-1, {MAX_TTL_SECONDS}], got {seconds}"
    )))
}

/// The checked field that says when a row ends, if `properties` have one.
pub(crate) fn ttl_field<'p>(
    properties: &'p [KeyValue],
    schema: &CollectionSchema,
) -> Result<Option<&'p str>> {
    let Some(name) = param(properties, TTL_FIELD) else { return Ok(None) };
    match schema.field(name) {
        None => {
            Err(Failure::parameter_invalid(format!("ttl field name {name} not found in schema")))
        }
        Some(field) if field.data_type != DataType::Timestamptz => Err(Failure::parameter_invalid(
            format!("ttl field must be timestamptz, field name = {name}"),
        )),
        Some(_) => Ok(Some(name)),
    }
}

/// Time to live, which is either of the collection or of each row.
pub(crate) fn validate_ttl(properties: &[KeyValue], schema: &CollectionSchema) -> Result<()> {
    let seconds = ttl_seconds(properties)?;
    let field = ttl_field(properties, schema)?;
    if seconds.is_some() && field.is_some() {
        return Err(Failure::parameter_invalid(
            "collection TTL and ttl field cannot be set at the same time",
        ));
    }
    Ok(())
}

/// Properties of a database.
pub(crate) fn validate_of_database(properties: &[KeyValue]) -> Result<()> {
    param(properties, TIME_ZONE).map_or(Ok(()), time_zone)
}

/// Encryption is decided when something is created.
pub(crate) fn no_cipher(set: &[KeyValue], delete: &[String]) -> Result<()> {
    let mut keys = set.iter().map(|pair| &pair.key).chain(delete);
    if keys.any(|key| key.starts_with("cipher.")) {
        return Err(Failure::parameter_invalid("can not alter cipher related properties"));
    }
    Ok(())
}

/// Refuses by name the properties that would change what a collection does and are not served.
pub(crate) fn supported(properties: &[KeyValue]) -> Result<()> {
    for pair in properties {
        let refused = match pair.key.as_str() {
            NAMESPACE_SHARDING => parse_bool(&pair.value) == Some(true),
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
        for zone in ["UTC", "Asia/Shanghai", "America/Argentina/Buenos_Aires"] {
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
