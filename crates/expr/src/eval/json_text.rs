//! JSON text read in place: a path is followed by skipping over what lies beside it.
//!
//! Nothing is allocated unless a string has escapes. Malformed text reads as missing, never as an
//! error: what is stored was checked when it was written.

use std::borrow::Cow;

use memchr::memchr2;

/// A value within a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Cow<'a, str>),
    /// The text from the opening bracket on.
    Array(&'a [u8]),
    /// The text from the opening brace on.
    Object(&'a [u8]),
}

/// The value at `path` of `text`.
pub(super) fn find<'a>(text: &'a [u8], path: &[Box<str>]) -> Option<Json<'a>> {
    let mut cursor = Cursor { text };
    for step in path {
        cursor.skip_blanks();
        match cursor.peek()? {
            b'{' => cursor.enter_member(step)?,
            b'[' => cursor.enter_element(step.parse().ok()?)?,
            _ => return None,
        }
    }
    cursor.value()
}

/// The elements of an array's text.
pub(super) fn elements(array: &[u8]) -> Elements<'_> {
    Elements { cursor: Cursor { text: array.get(1..).unwrap_or_default() }, first: true }
}

/// Whether a value of any depth holds no more than nulls, as `exists` has it.
pub(super) fn is_hollow(value: &Json<'_>) -> bool {
    let text = match value {
        Json::Null => return true,
        Json::Bool(_) | Json::Int(_) | Json::Double(_) | Json::Text(_) => return false,
        Json::Array(text) | Json::Object(text) => *text,
    };
    let mut cursor = Cursor { text };
    let mut depth = 0usize;
    while let Some(byte) = cursor.peek() {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return true;
                }
            }
            b'"' => {
                if cursor.string().is_none() {
                    return true;
                }
                cursor.skip_blanks();
                if cursor.peek() != Some(b':') {
                    return false;
                }
            }
            b'n' => cursor.skip_scalar(),
            b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => return false,
        }
        if byte != b'n' && byte != b'"' || cursor.peek() == Some(b':') {
            cursor.advance(1);
        }
    }
    true
}

struct Cursor<'a> {
    text: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.first().copied()
    }

    fn advance(&mut self, bytes: usize) {
        self.text = self.text.get(bytes..).unwrap_or_default();
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        self.skip_blanks();
        (self.peek()? == byte).then(|| self.advance(1))
    }

    fn skip_blanks(&mut self) {
        while let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] = self.text {
            self.text = rest;
        }
    }

    /// Moves to the value of member `key` of the object that begins here.
    fn enter_member(&mut self, key: &str) -> Option<()> {
        self.advance(1);
        self.skip_blanks();
        if self.peek()? == b'}' {
            return None;
        }
        loop {
            self.skip_blanks();
            let name = self.string()?;
            self.take(b':')?;
            if name.is(key) {
                return Some(());
            }
            self.skip_value()?;
            self.take(b',')?;
        }
    }

    /// Moves to element `index` of the array that begins here.
    fn enter_element(&mut self, index: usize) -> Option<()> {
        self.advance(1);
        self.skip_blanks();
        if self.peek()? == b']' {
            return None;
        }
        for _ in 0..index {
            self.skip_value()?;
            self.take(b',')?;
        }
        Some(())
    }

    /// Takes the string that begins here.
    fn string(&mut self) -> Option<RawString<'a>> {
        if self.peek()? != b'"' {
            return None;
        }
        let mut end = 1;
        let mut has_escapes = false;
        loop {
            end += end_of_run(self.text.get(end..)?)?;
            if self.text.get(end) == Some(&b'"') {
                break;
            }
            has_escapes = true;
            end += 2;
        }
        let quoted = self.text.get(..=end)?;
        self.advance(end + 1);
        Some(RawString { quoted, has_escapes })
    }

    fn skip_scalar(&mut self) {
        let delimiter =
            |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n');
        let length = self.text.iter().position(delimiter).unwrap_or(self.text.len());
        self.advance(length);
    }

    fn skip_value(&mut self) -> Option<()> {
        self.skip_blanks();
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'{' | b'[' => self.skip_nested(),
            _ => {
                self.skip_scalar();
                Some(())
            }
        }
    }

    fn skip_nested(&mut self) -> Option<()> {
        let mut depth = 0usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.advance(1);
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// The value that begins here.
    fn value(&mut self) -> Option<Json<'a>> {
        self.skip_blanks();
        match self.peek()? {
            b'"' => self.string()?.decoded().map(Json::Text),
            b'{' => Some(Json::Object(self.text)),
            b'[' => Some(Json::Array(self.text)),
            _ => {
                let text = self.text;
                self.skip_scalar();
                let length = text.len() - self.text.len();
                scalar(text.get(..length)?)
            }
        }
    }
}

/// Where the next quote or backslash is. Most strings are short, for which a call costs more than a
/// look at each byte.
fn end_of_run(text: &[u8]) -> Option<usize> {
    const SHORT: usize = 16;
    let ends = |byte: &u8| matches!(byte, b'"' | b'\\');
    let short = text.get(..SHORT).unwrap_or(text);
    match short.iter().position(ends) {
        Some(at) => Some(at),
        None => Some(SHORT + memchr2(b'"', b'\\', text.get(SHORT..)?)?),
    }
}

fn scalar(text: &[u8]) -> Option<Json<'_>> {
    match text {
        b"null" => Some(Json::Null),
        b"true" => Some(Json::Bool(true)),
        b"false" => Some(Json::Bool(false)),
        _ => {
            if let Some(value) = short_integer(text) {
                return Some(Json::Int(value));
            }
            let digits = std::str::from_utf8(text).ok()?;
            if !digits.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
                return None;
            }
            digits.parse().map(Json::Int).or_else(|_| digits.parse().map(Json::Double)).ok()
        }
    }
}

/// An integer of so few digits that it cannot overflow.
fn short_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let mut value = 0i64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i64::from(digit - b'0');
    }
    Some(if negative { -value } else { value })
}

/// A string with its quotes.
struct RawString<'a> {
    quoted: &'a [u8],
    has_escapes: bool,
}

impl<'a> RawString<'a> {
    fn is(&self, text: &str) -> bool {
        if self.has_escapes {
            return self.decoded().is_some_and(|decoded| decoded == text);
        }
        self.quoted.len() == text.len() + 2
            && self.quoted.get(1..=text.len()) == Some(text.as_bytes())
    }

    fn decoded(&self) -> Option<Cow<'a, str>> {
        if self.has_escapes {
            return serde_json::from_slice::<String>(self.quoted).ok().map(Cow::Owned);
        }
        let inner = self.quoted.get(1..self.quoted.len() - 1)?;
        std::str::from_utf8(inner).ok().map(Cow::Borrowed)
    }
}

/// Iterates over an array's elements; ends early where the text is malformed.
pub(super) struct Elements<'a> {
    cursor: Cursor<'a>,
    first: bool,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Json<'a>;

    fn next(&mut self) -> Option<Json<'a>> {
        self.cursor.skip_blanks();
        if self.cursor.peek()? == b']' {
            return None;
        }
        if !std::mem::take(&mut self.first) {
            self.cursor.take(b',')?;
            self.cursor.skip_blanks();
        }
        let value = self.cursor.value()?;
        if matches!(value, Json::Array(_) | Json::Object(_)) {
            self.cursor.skip_nested()?;
        }
        Some(value)
    }
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
        let text = r#" { "a\"b" : {"x": [1, [2, "]"], {"k": "v\n"}]}, "n": null, "d": -1.5e1 } "#;
        assert_eq!(at(text, &["a\"b", "x", "0"]), Some(Json::Int(1)));
        assert_eq!(at(text, &["a\"b", "x", "1", "1"]), Some(Json::Text("]".into())));
        assert_eq!(at(text, &["a\"b", "x", "2", "k"]), Some(Json::Text("v\n".into())));
        assert_eq!(at(text, &["n"]), Some(Json::Null));
        assert_eq!(at(text, &["d"]), Some(Json::Double(-15.0)));
        assert_eq!(at(text, &["a\"b", "x", "3"]), None);
        assert_eq!(at(text, &["d", "x"]), None);
        assert_eq!(at("{}", &["x"]), None);
        assert_eq!(at("18446744073709551615", &[]), Some(Json::Double(18446744073709551615.0)));
    }

    #[test]
    fn malformed_text_reads_as_missing() {
        for text in
            ["", "{", "{\"a\"", "{\"a\":", "{\"a\":\"", "[1,", "{\"a\" 1}", "{\"b\":[}", "\\"]
        {
            assert_eq!(at(text, &["a"]), None, "{text}");
            let _ = at(text, &["0"]);
            let _ = elements(text.as_bytes()).count();
        }
    }

    #[test]
    fn hollow_values_hold_nothing_but_nulls() {
        let hollow = |text: &str| is_hollow(&find(text.as_bytes(), &[]).unwrap());
        for text in ["null", "{}", "[]", r#"{"a": {}, "b": [null, {"c": null}]}"#] {
            assert!(hollow(text), "{text}");
        }
        for text in ["0", "\"\"", "false", r#"{"a": {"b": ""}}"#, "[[], [1]]", r#"["n"]"#] {
            assert!(!hollow(text), "{text}");
        }
    }

    #[test]
    fn elements_end_with_their_array() {
        let all: Vec<_> = elements(b"[1, [2, 3], {\"a\": 4}, \"x\"] , 5").collect();
        assert_eq!(all.len(), 4);
        assert_eq!(all.first(), Some(&Json::Int(1)));
        assert_eq!(all.last(), Some(&Json::Text("x".into())));
    }
}
