//! The parameters of a query, checked in Milvus's order.

use milvus_types::limits::Window;
use milvus_types::{CollectionId, Failure, KeyValue, PkType, PrimaryKey, Result};

use crate::order_by::list;
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
    /// The fields whose values make groups.
    pub(crate) group_by: Vec<String>,
    /// What to order by, as sent.
    pub(crate) order_by: String,
    /// Where an iterator over elements stands.
    pub(crate) cursor: Option<ElementCursor>,
    collection_id: i64,
}

/// The element that an iterator returned last.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ElementCursor {
    pub(crate) key: PrimaryKey,
    pub(crate) element: i64,
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

    /// An order needs a limit and is not for iterators, whose order is that of keys.
    pub(crate) fn check_order(&self) -> Result<()> {
        if self.order_by.is_empty() {
            return Ok(());
        }
        if self.limit.is_none() {
            return Err(Failure::parameter_invalid("ORDER BY requires explicit limit"));
        }
        if self.iterator {
            return Err(Failure::parameter_invalid("ORDER BY with iterator is not supported"));
        }
        Ok(())
    }
}

/// Reads `query_params` of a collection whose keys are of `pk_type`.
pub(crate) fn parse(params: &[KeyValue], window: Window, pk_type: PkType) -> Result<Params> {
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
    let (limit, offset) = page(params, window.rows)?;
    if let Some(zone) = param(params, "timezone").filter(|zone| !zone.is_empty()) {
        properties::time_zone(zone)?;
    }
    let group_by = list(param(params, "group_by_fields").unwrap_or_default());
    Ok(Params {
        limit,
        offset,
        ignore_growing,
        iterator,
        group_by: group_by.map(str::to_owned).collect(),
        order_by: list(param(params, "order_by_fields").unwrap_or_default())
            .collect::<Vec<_>>()
            .join(","),
        cursor: cursor(params, iterator, pk_type)?,
        collection_id,
    })
}

fn cursor(params: &[KeyValue], iterator: bool, pk_type: PkType) -> Result<Option<ElementCursor>> {
    const KEY: &str = "query_iter_last_pk";
    const ELEMENT: &str = "query_iter_last_element_offset";
    let (key, element) = (param(params, KEY), param(params, ELEMENT));
    if key.is_none() && element.is_none() {
        return Ok(None);
    }
    if !iterator {
        return Err(Failure::parameter_invalid(format!(
            "invalid query iterator cursor params: {KEY} and {ELEMENT} can only be used when \
             iterator=true"
        )));
    }
    let (Some(key), Some(element)) = (key, element) else {
        return Err(Failure::parameter_invalid(format!(
            "incomplete query iterator cursor params: {KEY} and {ELEMENT} must be provided \
             together, has_last_pk={}, has_last_element_offset={}",
            key.is_some(),
            element.is_some()
        )));
    };
    let element = parse_int(element).filter(|element| *element >= 0).ok_or_else(|| {
        Failure::parameter_mismatch(
            "non-negative int value",
            element,
            "value for query iterator last element offset is invalid",
        )
    })?;
    let key = match pk_type {
        PkType::VarChar => PrimaryKey::VarChar(key.into()),
        PkType::Int64 => PrimaryKey::Int64(parse_int(key).ok_or_else(|| {
            Failure::parameter_mismatch(
                "int64 primary key",
                key,
                "value for query iterator last primary key is invalid",
            )
        })?),
    };
    Ok(Some(ElementCursor { key, element }))
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
    check_window(offset, limit, window)?;
    let at = |number| usize::try_from(number).unwrap_or_default();
    Ok((Some(at(limit)), at(offset)))
}

/// How deep a page may lie.
pub(crate) fn check_window(offset: i64, limit: i64, window: i64) -> Result<()> {
    let depth = offset.saturating_add(limit);
    let refusal = if offset < 0 {
        format!("offset [{offset}] is invalid, should be gte than 0")
    } else if limit <= 0 {
        format!("limit [{limit}] is invalid, should be greater than 0")
    } else if depth > window {
        format!("(offset+limit) should be in range [1, {window}], but got {depth}")
    } else {
        return Ok(());
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
        parse(&pairs, Window::default(), PkType::Int64)
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
                &[("query_iter_last_pk", "1")],
                "invalid query iterator cursor params: query_iter_last_pk and \
                 query_iter_last_element_offset can only be used when iterator=true: invalid \
                 parameter",
            ),
        ] {
            assert_eq!(read(given).unwrap_err().reason, reason);
        }
        let ordered = |given: &[(&str, &str)]| read(given).unwrap().check_order();
        assert_eq!(
            ordered(&[("order_by_fields", "a:desc")]).unwrap_err().reason,
            "ORDER BY requires explicit limit: invalid parameter"
        );
        let given = [("order_by_fields", "a"), ("limit", "1"), ("iterator", "True")];
        assert_eq!(
            ordered(&given).unwrap_err().reason,
            "ORDER BY with iterator is not supported: invalid parameter"
        );
        assert!(ordered(&given[..2]).is_ok());
        assert_eq!(read(&[("group_by_fields", "a, b,")]).unwrap().group_by, ["a", "b"]);
    }

    #[test]
    fn iterators_over_elements_say_where_they_stand() {
        let given = [
            ("iterator", "True"),
            ("query_iter_last_pk", "7"),
            ("query_iter_last_element_offset", "3"),
        ];
        let cursor = ElementCursor { key: PrimaryKey::Int64(7), element: 3 };
        assert_eq!(read(&given).unwrap().cursor, Some(cursor));
        let error = read(&given[..2]).unwrap_err();
        assert!(error.reason.starts_with("incomplete query iterator cursor params"), "{error}");
    }
}
