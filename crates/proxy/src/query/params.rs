//! The parameters of a query, checked in Milvus's order.

use milvus_types::limits::Limits;
use milvus_types::{CollectionId, Failure, KeyValue, Result};

use crate::search::ignore_growing;
use crate::validate::properties;
use crate::wire_text::{param, parse_bool, parse_int};

/// What `query_params` say.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Params {
    /// How many rows to return; `None` for all.
    pub(crate) limit: Option<usize>,
    /// How many rows to leave out.
    pub(crate) offset: usize,
    /// Leave out rows that are not flushed.
    pub(crate) ignore_growing: bool,
    /// Whether an iterator of a client asks.
    pub(crate) iterator: bool,
    collection_id: i64,
    /// What this version does not serve.
    unsupported: Option<&'static str>,
}

impl Params {
    /// A client's iterator must not wander into another collection of the same name.
    pub(crate) fn check_collection(&self, id: CollectionId) -> Result<()> {
        if self.collection_id <= 0 || self.collection_id == id.0 {
            return Ok(());
        }
        Err(Failure::parameter_invalid(
            "Input collection id is not consistent to collectionID in the context,alias or \
             database may have changed",
        ))
    }

    /// Refuses by name what Milvus serves and this version does not.
    pub(crate) fn check_supported(&self) -> Result<()> {
        self.unsupported.map_or(Ok(()), |what| {
            Err(Failure::parameter_invalid(format!("{what} is not supported yet")))
        })
    }
}

/// Reads `query_params`.
pub(crate) fn parse(params: &[KeyValue], limits: &Limits) -> Result<Params> {
    let ignore_growing = ignore_growing(params)?;
    flag(params, "reduce_stop_for_best", "value for reduce_stop_for_best is invalid")?;
    let iterator = flag(params, "iterator", "value for iterator field is invalid")?;
    let collection_id = match param(params, "collection_id") {
        None => 0,
        Some(text) => parse_int(text).ok_or_else(|| {
            Failure::parameter_mismatch(
                "int value for collection_id",
                "collection_id",
                "value for collection id is invalid",
            )
        })?,
    };
    let (limit, offset) = page(params, limits.query_result_window)?;
    if let Some(zone) = param(params, "timezone").filter(|zone| !zone.is_empty()) {
        properties::time_zone(zone)?;
    }
    let given = |key: &str| param(params, key).is_some_and(|value| !value.is_empty());
    if given("order_by_fields") && limit.is_none() {
        return Err(Failure::parameter_invalid("ORDER BY requires explicit limit"));
    }
    let refused = ["group_by_fields", "order_by_fields", "query_iter_last_pk"];
    Ok(Params {
        limit,
        offset,
        ignore_growing,
        iterator,
        collection_id,
        unsupported: refused.into_iter().find(|key| given(key)),
    })
}

fn flag(params: &[KeyValue], key: &str, what: &str) -> Result<bool> {
    let Some(text) = param(params, key) else {
        return Ok(false);
    };
    parse_bool(text).ok_or_else(|| Failure::parameter_mismatch("true or false", text, what))
}

/// Limit and offset; an offset without a limit counts for nothing.
fn page(params: &[KeyValue], window: i64) -> Result<(Option<usize>, usize)> {
    let number = |key: &str, text: &str| {
        parse_int(text)
            .ok_or_else(|| Failure::parameter_invalid(format!("{key} [{text}] is invalid")))
    };
    let Some(limit) = param(params, "limit") else {
        return Ok((None, 0));
    };
    let limit = number("limit", limit)?;
    let offset = param(params, "offset").map_or(Ok(0), |text| number("offset", text))?;
    let depth = offset.saturating_add(limit);
    let refusal = if offset < 0 {
        format!("offset [{offset}] is invalid, should be gte than 0")
    } else if limit <= 0 {
        format!("limit [{limit}] is invalid, should be greater than 0")
    } else if depth > window {
        format!("(offset+limit) should be in range [1, {window}], but got {depth}")
    } else {
        let at = |number| usize::try_from(number).unwrap_or_default();
        return Ok((Some(at(limit)), at(offset)));
    };
    Err(Failure::parameter_invalid(format!(
        "invalid max query result window, {refusal}: invalid parameter"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: &[(&str, &str)]) -> Result<Params> {
        let pairs: Vec<KeyValue> =
            given.iter().map(|(key, value)| KeyValue::new(*key, *value)).collect();
        parse(&pairs, &Limits::default())
    }

    #[test]
    fn pages() {
        let params = read(&[("limit", "10"), ("offset", "3")]).unwrap();
        assert_eq!((params.limit, params.offset), (Some(10), 3));
        assert_eq!(read(&[("offset", "3")]).unwrap(), Params::default());
        for (given, reason) in [
            (&[("limit", "abc")][..], "limit [abc] is invalid: invalid parameter"),
            (&[("limit", " ")], "limit [] is invalid: invalid parameter"),
            (&[("limit", "1"), ("offset", "x")], "offset [x] is invalid: invalid parameter"),
            (
                &[("limit", "1"), ("offset", "-1")],
                "invalid max query result window, offset [-1] is invalid, should be gte than 0: \
                 invalid parameter: invalid parameter",
            ),
            (
                &[("limit", "0")],
                "invalid max query result window, limit [0] is invalid, should be greater than 0: \
                 invalid parameter: invalid parameter",
            ),
            (
                &[("limit", "16384"), ("offset", "1")],
                "invalid max query result window, (offset+limit) should be in range [1, 16384], \
                 but got 16385: invalid parameter: invalid parameter",
            ),
            (
                &[("order_by_fields", "a:desc")],
                "ORDER BY requires explicit limit: invalid parameter",
            ),
        ] {
            assert_eq!(read(given).unwrap_err().reason, reason);
        }
        let grouped = read(&[("group_by_fields", "a")]).unwrap();
        assert_eq!(
            grouped.check_supported().unwrap_err().reason,
            "group_by_fields is not supported yet: invalid parameter"
        );
    }
}
