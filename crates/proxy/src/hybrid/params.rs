//! The parameters of a hybrid search as a whole.

use milvus_types::limits::Window;
use milvus_types::{CollectionSchema, Failure, KeyValue, Result};

use crate::query::params::check_window;
use crate::search::group_by;
use crate::search::params::{Advanced, Rounding, rounding};
use crate::wire_text::{param, parse_int};

/// What `rank_params` say besides the ranker.
#[derive(Clone, Debug)]
pub(crate) struct RankParams {
    /// How many hits (groups) to return for each query.
    pub(crate) limit: usize,
    /// How many better ones to leave out.
    pub(crate) offset: usize,
    pub(crate) rounding: Rounding,
    /// What the searches take over.
    pub(crate) advanced: Advanced,
}

/// Reads `rank_params`.
pub(crate) fn parse(
    params: &[KeyValue],
    schema: &CollectionSchema,
    window: Window,
) -> Result<RankParams> {
    let number = |key: &str, text: &str| {
        parse_int(text)
            .ok_or_else(|| Failure::parameter_invalid(format!("{key} [{text}] is invalid")))
    };
    let limit = param(params, "limit")
        .ok_or_else(|| Failure::parameter_invalid("limit not found in rank_params"))?;
    let limit = number("limit", limit)?;
    let offset = param(params, "offset").map_or(Ok(0), |text| number("offset", text))?;
    check_window(offset, limit, window.rows)?;
    let rounding = rounding(params)?;
    let grouping = group_by::parse(params, schema)?;
    if param(params, "order_by_fields").is_some_and(|fields| !fields.is_empty()) {
        return Err(Failure::parameter_invalid("order_by is not supported for hybrid search"));
    }
    Ok(RankParams {
        limit: usize::try_from(limit).unwrap_or_default(),
        offset: usize::try_from(offset).unwrap_or_default(),
        rounding,
        advanced: Advanced { window: limit.saturating_add(offset), grouping },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_offsets_and_their_refusals() {
        let read = |given: &[(&str, &str)]| {
            let pairs: Vec<_> = given.iter().map(|(k, v)| KeyValue::new(*k, *v)).collect();
            parse(&pairs, &CollectionSchema::default(), Window::default())
        };
        let params = read(&[("limit", "10"), ("offset", "5"), ("round_decimal", "2")]).unwrap();
        assert_eq!((params.limit, params.offset, params.advanced.window), (10, 5, 15));
        for (given, reason) in [
            (&[][..], "limit not found in rank_params: invalid parameter"),
            (&[("limit", "x")], "limit [x] is invalid: invalid parameter"),
            (
                &[("limit", "16384"), ("offset", "1")],
                "invalid max query result window, (offset+limit) should be in range [1, 16384], \
                 but got 16385: invalid parameter: invalid parameter",
            ),
            (
                &[("limit", "1"), ("order_by_fields", "a")],
                "order_by is not supported for hybrid search: invalid parameter",
            ),
        ] {
            assert_eq!(read(given).unwrap_err().reason, reason);
        }
    }
}
