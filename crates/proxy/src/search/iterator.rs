//! Search iterators: pages of one ordered result, each strictly behind the one before.
//!
//! A client sends back the iterator's token and the score of its last hit. Many hits may have that
//! score, so where a page ended exactly, key and element included, is remembered here by token;
//! nothing is lost and nothing comes twice. Of an iterator that was forgotten (there are too many,
//! or the server was restarted) hits that tie with its last one are passed over.

use std::collections::VecDeque;

use milvus_base::random;
use milvus_types::limits::Window;
use milvus_types::{ErrorCode, Failure, KeyValue, MetricType, PkType, PrimaryKey, Result};
use parking_lot::Mutex;

use crate::wire_text::{param, parse_bool, parse_int};

/// Iterators remembered at most.
const REMEMBERED: usize = 4096;
/// Page ends remembered of each, so that a page can be asked for again.
const PAGES: usize = 4;

/// What an iterator asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cursor {
    /// The iterator; empty before its first page.
    pub(crate) token: String,
    /// Hits of a page.
    pub(crate) batch_size: usize,
    /// The score of the last hit so far.
    pub(crate) last_bound: Option<f32>,
}

/// Where a page ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct End {
    pub(crate) score: f32,
    pub(crate) key: PrimaryKey,
    pub(crate) element: Option<u32>,
}

/// Reads the parameters of a second-generation iterator, `None` where there is none.
pub(crate) fn parse(
    params: &[KeyValue],
    grouped: bool,
    iterator: bool,
    offset: i64,
    window: Window,
) -> Result<Option<Cursor>> {
    let read = read(params, grouped, iterator, offset, window);
    read.map_err(|failure| {
        Failure::parameter_invalid(format!("parse iterator v2 info failed: {}", failure.reason))
    })
}

fn read(
    params: &[KeyValue],
    grouped: bool,
    iterator: bool,
    offset: i64,
    window: Window,
) -> Result<Option<Cursor>> {
    if param(params, "search_iter_v2").and_then(parse_bool) != Some(true) {
        return Ok(None);
    }
    let missing = |what| Failure::wrap(ErrorCode::ParameterMissing, what);
    let mismatch = |what| Failure::parameter_mismatch("", "", what);
    if !iterator {
        return Err(missing("both iterator and search_iter_v2 must be set in the SDK"));
    }
    if grouped {
        return Err(mismatch("GroupBy is not permitted when using a search iterator"));
    }
    if offset > 0 {
        return Err(mismatch("Setting an offset is not permitted when using a search iterator v2"));
    }
    let token = param(params, "search_iter_id").unwrap_or_default().to_owned();
    if !token.is_empty() && !is_uuid(&token) {
        return Err(Failure::parameter_invalid("invalid token format"));
    }
    let batch_size = param(params, "search_iter_batch_size").filter(|text| !text.is_empty());
    let text = batch_size.ok_or_else(|| missing("batch size is required"))?;
    let invalid = |what| Failure::parameter_invalid(format!("batch size is invalid, {what}"));
    let size = parse_int(text).ok_or_else(|| invalid(format!("{text} is not an integer")))?;
    super::params::check_limit(size, window.top_k).map_err(invalid)?;
    let last_bound = match param(params, "search_iter_last_bound").filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => match text.parse::<f32>() {
            Ok(bound) if !bound.is_nan() => Some(bound),
            _ => {
                return Err(Failure::parameter_invalid(format!(
                    "failed to parse input last bound, {text} is not a number"
                )));
            }
        },
    };
    let batch_size = usize::try_from(size).unwrap_or_default();
    Ok(Some(Cursor { token, batch_size, last_bound }))
}

fn is_uuid(token: &str) -> bool {
    let groups: Vec<&str> = token.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// A fresh token.
pub(crate) fn new_token() -> String {
    let hex = random::unique_name();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// The bound that an iterator without any hit is told: better than every score.
pub(crate) fn first_bound(metric: MetricType) -> f32 {
    if metric.larger_is_better() { f32::MAX } else { -f32::MAX }
}

/// The bound that a client was told, and where the page ended exactly.
type Page = (f32, End);

/// The ends of pages of the iterators that were used last.
#[derive(Debug, Default)]
pub(crate) struct Iterators(Mutex<VecDeque<(String, Vec<Page>)>>);

impl Iterators {
    /// Where the page that ended with `bound` ended exactly, or, if that is forgotten, behind all hits
    /// of that score.
    pub(crate) fn end(&self, token: &str, bound: f32, pk_type: PkType) -> End {
        let known = self.0.lock();
        let pages = known.iter().find(|(name, _)| name == token).map(|(_, pages)| pages);
        let page = pages.and_then(|pages| pages.iter().rev().find(|(told, _)| *told == bound));
        page.map(|(_, end)| end.clone()).unwrap_or_else(|| End {
            score: bound,
            key: last_key(pk_type),
            element: Some(u32::MAX),
        })
    }

    /// Remembers where the page ended whose last score the client was told as `bound`.
    pub(crate) fn remember(&self, token: &str, bound: f32, end: End) {
        let mut known = self.0.lock();
        let at = known.iter().position(|(name, _)| name == token);
        let (token, mut pages) =
            at.and_then(|at| known.remove(at)).unwrap_or_else(|| (token.to_owned(), Vec::new()));
        if pages.len() == PAGES {
            pages.remove(0);
        }
        pages.push((bound, end));
        known.push_back((token, pages));
        if known.len() > REMEMBERED {
            known.pop_front();
        }
    }
}

/// A key behind every other.
fn last_key(pk_type: PkType) -> PrimaryKey {
    match pk_type {
        PkType::Int64 => PrimaryKey::Int64(i64::MAX),
        // Longer than any key may be, of the last character there is.
        PkType::VarChar => PrimaryKey::VarChar(char::MAX.to_string().repeat(16_384).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(given: &[(&str, &str)]) -> Vec<KeyValue> {
        given.iter().map(|(key, value)| KeyValue::new(*key, *value)).collect()
    }

    #[test]
    fn parameters() {
        let all = [
            ("search_iter_v2", "True"),
            ("search_iter_batch_size", "10"),
            ("search_iter_last_bound", "0.5"),
            ("search_iter_id", "0a1b2c3d-0000-4000-8000-0123456789ab"),
        ];
        let read = |given: &[(&str, &str)], iterator| {
            parse(&pairs(given), false, iterator, 0, Window::default())
        };
        let cursor = read(&all, true).unwrap().unwrap();
        assert_eq!((cursor.batch_size, cursor.last_bound), (10, Some(0.5)));
        assert_eq!(read(&all[1..], true).unwrap(), None);
        for (given, iterator, reason) in [
            (&all[..], false, "both iterator and search_iter_v2 must be set in the SDK"),
            (&all[..1], true, "batch size is required"),
            (&[all[0], ("search_iter_batch_size", "0")], true, "batch size is invalid, it should"),
            (&[all[0], all[1], ("search_iter_id", "x")], true, "invalid token format"),
        ] {
            let error = read(given, iterator).unwrap_err();
            let prefix = format!("parse iterator v2 info failed: {reason}");
            assert!(error.reason.starts_with(&prefix), "{error}");
        }
        assert!(is_uuid(&new_token()) && new_token() != new_token());
    }

    #[test]
    fn ends_are_remembered_for_a_while() {
        let iterators = Iterators::default();
        let end = |key| End { score: 0.5, key: PrimaryKey::Int64(key), element: None };
        iterators.remember("a", 0.5, end(1));
        iterators.remember("a", 0.7, End { score: 0.71, ..end(9) });
        iterators.remember("a", 0.5, end(2));
        assert_eq!(iterators.end("a", 0.5, PkType::Int64), end(2));
        assert_eq!(iterators.end("a", 0.7, PkType::Int64).score, 0.71);
        assert_eq!(iterators.end("b", 0.5, PkType::Int64).key, PrimaryKey::Int64(i64::MAX));
        for i in 0..REMEMBERED {
            iterators.remember(&i.to_string(), 0.5, end(3));
        }
        assert_eq!(iterators.end("a", 0.5, PkType::Int64).key, PrimaryKey::Int64(i64::MAX));
    }
}
