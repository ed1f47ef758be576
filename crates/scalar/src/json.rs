//! JSON text, read while an index over it is built.
//!
//! The rules are those of filters: the first of several members with one name counts, integers that
//! fit 64 bits are integers, malformed text reads as missing.

use std::borrow::Cow;

/// A value within a text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Cow<'a, str>),
    Array(&'a [u8]),
    Object(&'a [u8]),
}

/// The value at `path` of `text`; `None` if it is missing.
pub(crate) fn find<'a>(text: &'a [u8], path: &[Box<str>]) -> Option<Json<'a>> {
    let mut value = Cursor { text }.value()?;
    for step in path {
        value = match value {
            Json::Object(text) => member(text, step)?,
            Json::Array(text) => elements(text).nth(step.parse().ok()?)?,
            Json::Null | Json::Bool(_) | Json::Int(_) | Json::Double(_) | Json::Text(_) => {
                return None;
            }
        };
    }
    Some(value)
}

/// Whether a value holds something other than nulls, at any depth: what `exists` asks.
pub(crate) fn holds_anything(value: &Json<'_>) -> bool {
    match value {
        Json::Null => false,
        Json::Bool(_) | Json::Int(_) | Json::Double(_) | Json::Text(_) => true,
        Json::Array(text) => elements(text).any(|element| holds_anything(&element)),
        Json::Object(text) => members(text).any(|(_, value)| holds_anything(&value)),
    }
}

/// The elements of an array's text.
pub(crate) fn elements(text: &[u8]) -> impl Iterator<Item = Json<'_>> {
    let mut cursor = Cursor { text: text.get(1..).unwrap_or_default() };
    let mut first = true;
    std::iter::from_fn(move || {
        cursor.next_item(&mut first, b']')?;
        cursor.value()
    })
}

/// The members of an object's text, names decoded.
pub(crate) fn members(text: &[u8]) -> impl Iterator<Item = (Cow<'_, str>, Json<'_>)> {
    let mut cursor = Cursor { text: text.get(1..).unwrap_or_default() };
    let mut first = true;
    std::iter::from_fn(move || {
        cursor.next_item(&mut first, b'}')?;
        let name = cursor.string()?;
        cursor.take(b':')?;
        Some((decoded(name)?, cursor.value()?))
    })
}

fn member<'a>(text: &'a [u8], name: &str) -> Option<Json<'a>> {
    members(text).find(|(other, _)| other == name).map(|(_, value)| value)
}

#[derive(Clone, Copy)]
struct Cursor<'a> {
    text: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn peek(&mut self) -> Option<u8> {
        while let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] = self.text {
            self.text = rest;
        }
        self.text.first().copied()
    }

    fn advance(&mut self, bytes: usize) {
        self.text = self.text.get(bytes..).unwrap_or_default();
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.advance(1))
    }

    /// Moves to the next item of an array or object that ends with `end`.
    fn next_item(&mut self, first: &mut bool, end: u8) -> Option<()> {
        if self.peek()? == end {
            return None;
        }
        if !std::mem::take(first) {
            self.take(b',')?;
        }
        self.peek().map(drop)
    }

    /// Takes the string that begins here, with its quotes.
    fn string(&mut self) -> Option<&'a [u8]> {
        if self.peek()? != b'"' {
            return None;
        }
        let mut end = 1;
        loop {
            match *self.text.get(end)? {
                b'"' => break,
                b'\\' => end += 2,
                _ => end += 1,
            }
        }
        let quoted = self.text.get(..=end)?;
        self.advance(end + 1);
        Some(quoted)
    }

    /// Takes the value that begins here.
    fn value(&mut self) -> Option<Json<'a>> {
        match self.peek()? {
            b'"' => self.string().and_then(decoded).map(Json::Text),
            b'{' => self.nested().map(Json::Object),
            b'[' => self.nested().map(Json::Array),
            _ => {
                let delimiter =
                    |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n');
                let length = self.text.iter().position(delimiter).unwrap_or(self.text.len());
                let text = self.text.get(..length)?;
                self.advance(length);
                scalar(text)
            }
        }
    }

    /// Takes the array or object that begins here.
    fn nested(&mut self) -> Option<&'a [u8]> {
        let all = self.text;
        let mut depth = 0usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.checked_sub(1)?,
                _ => {}
            }
            self.advance(1);
            if depth == 0 {
                return all.get(..all.len() - self.text.len());
            }
        }
    }
}

fn scalar(text: &[u8]) -> Option<Json<'_>> {
    match text {
        b"null" => Some(Json::Null),
        b"true" => Some(Json::Bool(true)),
        b"false" => Some(Json::Bool(false)),
        _ => {
            let digits = std::str::from_utf8(text).ok()?;
            if !digits.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
                return None;
            }
            digits.parse().map(Json::Int).or_else(|_| digits.parse().map(Json::Double)).ok()
        }
    }
}

/// The text of a string with its quotes.
fn decoded(quoted: &[u8]) -> Option<Cow<'_, str>> {
    let inner = std::str::from_utf8(quoted.get(1..quoted.len().checked_sub(1)?)?).ok()?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((before, after)) = rest.split_once('\\') {
        text.push_str(before);
        let escape = after.chars().next()?;
        rest = after.get(escape.len_utf8()..)?;
        text.push(match escape {
            '"' | '\\' | '/' => escape,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => unicode(&mut rest)?,
            _ => return None,
        });
    }
    text.push_str(rest);
    Some(Cow::Owned(text))
}

/// The character of the `\u` escape whose digits `rest` begins with, its second half included.
fn unicode(rest: &mut &str) -> Option<char> {
    let mut unit = || {
        let digits = rest.get(..4)?;
        *rest = rest.get(4..)?;
        u32::from_str_radix(digits, 16).ok()
    };
    let high = unit()?;
    if !(0xD800..0xDC00).contains(&high) {
        return char::from_u32(high);
    }
    *rest = rest.strip_prefix("\\u")?;
    let digits = rest.get(..4)?;
    *rest = rest.get(4..)?;
    let low = u32::from_str_radix(digits, 16).ok().filter(|low| (0xDC00..0xE000).contains(low))?;
    char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at<'a>(text: &'a str, path: &[&str]) -> Option<Json<'a>> {
        let path: Vec<Box<str>> = path.iter().map(|step| (*step).into()).collect();
        find(text.as_bytes(), &path)
    }

    #[test]
    fn paths_lead_through_objects_and_arrays() {
        let text = r#" { "a\"b" : {"x": [1, [2, "]"], {"k": "v\n\ud83d\ude00"}]}, "n": null } "#;
        assert_eq!(at(text, &["a\"b", "x", "0"]), Some(Json::Int(1)));
        assert_eq!(at(text, &["a\"b", "x", "1", "1"]), Some(Json::Text("]".into())));
        assert_eq!(at(text, &["a\"b", "x", "2", "k"]), Some(Json::Text("v\n😀".into())));
        assert_eq!(at(text, &["n"]), Some(Json::Null));
        assert_eq!(at(text, &["a\"b", "x", "3"]), None);
        assert_eq!(at(r#"{"a": 1, "a": 2}"#, &["a"]), Some(Json::Int(1)));
        assert_eq!(at("18446744073709551615", &[]), Some(Json::Double(18446744073709551615.0)));
    }

    #[test]
    fn malformed_text_reads_as_missing() {
        for text in
            ["", "{", "{\"a\"", "{\"a\":", "{\"a\":\"", "[1,", "{\"a\" 1}", "{\"b\":[}", "\\", "]"]
        {
            assert_eq!(at(text, &["a"]), None, "{text}");
            let _ = at(text, &["0"]);
        }
    }

    #[test]
    fn nulls_at_any_depth_are_nothing() {
        for text in ["null", "{}", "[]", r#"{"a": {}, "b": [null, {"c": null}]}"#] {
            assert!(!holds_anything(&at(text, &[]).unwrap()), "{text}");
        }
        for text in ["0", "\"\"", "false", r#"{"a": {"b": ""}}"#, "[[], [1]]", r#"["n"]"#] {
            assert!(holds_anything(&at(text, &[]).unwrap()), "{text}");
        }
    }
}
