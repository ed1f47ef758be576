//! The lexer: the longest token at each place, as Milvus's grammar defines them.
//!
//! A path such as `json["a"][0]` is one token and has no blanks in it. Characters that begin no
//! token are skipped and remembered: the parser's own error, where there is one, takes precedence.

use crate::error::SyntaxError;
use crate::token::{Kind, Token, keyword};

/// The tokens of a text, [`Kind::End`] last, and the last character sequence that is no token.
pub(crate) struct Lexed<'a> {
    pub(crate) tokens: Vec<Token<'a>>,
    pub(crate) error: Option<SyntaxError>,
}

/// Splits `text` into tokens.
pub(crate) fn lex(text: &str) -> Lexed<'_> {
    let mut lexer = Lexer { rest: text, line: 1, column: 0 };
    let mut lexed = Lexed { tokens: Vec::with_capacity(text.len() / 4 + 2), error: None };
    loop {
        lexer.skip_blanks();
        let Some(next) = lexer.rest.chars().next() else {
            break;
        };
        let (line, column) = (lexer.line, lexer.column);
        match lexer.scan(next) {
            Ok((kind, length)) => {
                let text = lexer.take(length);
                lexed.tokens.push(Token { kind, text, line, column });
            }
            Err(length) => {
                let shown = lexer.take(length).escape_debug().to_string().replace("\\\"", "\"");
                let what = format!("token recognition error at: '{shown}'");
                lexed.error = Some(SyntaxError::Unexpected { line, column, what });
            }
        }
    }
    lexed.tokens.push(Token { kind: Kind::End, text: "", line: lexer.line, column: lexer.column });
    lexed
}

struct Lexer<'a> {
    rest: &'a str,
    line: u32,
    column: u32,
}

/// A token's kind and length, or how many bytes begin no token.
type Scan = Result<(Kind, usize), usize>;

impl<'a> Lexer<'a> {
    fn skip_blanks(&mut self) {
        let blanks = self.rest.bytes().take_while(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'));
        let length = blanks.count();
        self.take(length);
    }

    /// Takes `length` bytes, counting lines and columns.
    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        for c in taken.chars() {
            if c == '\n' {
                self.line = self.line.saturating_add(1);
                self.column = 0;
            } else {
                self.column = self.column.saturating_add(1);
            }
        }
        self.rest = rest;
        taken
    }

    fn scan(&self, next: char) -> Scan {
        match next {
            '"' | '\'' => string(self.rest).map(|length| (Kind::String, length)),
            'a'..='z' | 'A'..='Z' | '_' => Ok(self.word()),
            '0'..='9' | '.' => number(self.rest).ok_or(1),
            '$' => self.dollar(),
            '[' => Ok(self.bracket()),
            _ => operator(self.rest).ok_or(next.len_utf8()),
        }
    }

    fn word(&self) -> (Kind, usize) {
        let length = identifier(self.rest);
        let (word, after) = self.rest.split_at(length);
        if matches!(word, "u8" | "u" | "U" | "L")
            && after.starts_with(['"', '\''])
            && let Ok(string) = string(after)
        {
            return (Kind::String, length + string);
        }
        if matches!(word, "is" | "IS") {
            let (null, not_null) =
                if word == "is" { (" null", " not null") } else { (" NULL", " NOT NULL") };
            if after.starts_with(not_null) {
                return (Kind::IsNotNull, length + not_null.len());
            }
            if after.starts_with(null) {
                return (Kind::IsNull, length + null.len());
            }
        }
        if let Some((kind, path)) = subscripts(after) {
            return (kind, length + path);
        }
        (keyword(word).unwrap_or(Kind::Identifier), length)
    }

    fn dollar(&self) -> Scan {
        if let Some(after) = self.rest.strip_prefix("$meta") {
            // `$metadata` is `$meta` followed by an identifier, as the grammar has it.
            return Ok(match subscripts(after) {
                Some((Kind::JsonIdentifier, path)) => (Kind::JsonIdentifier, 5 + path),
                _ => (Kind::Meta, 5),
            });
        }
        let after = self.rest.get(1..).unwrap_or_default();
        name_subscript(after).map(|length| (Kind::StructSubField, 1 + length)).ok_or(1)
    }

    fn bracket(&self) -> (Kind, usize) {
        let after = self.rest.get(1..).unwrap_or_default();
        let inner = after.trim_start_matches([' ', '\t', '\r', '\n']);
        if inner.starts_with(']') {
            (Kind::EmptyArray, self.rest.len() - inner.len() + 1)
        } else {
            (Kind::LeftBracket, 1)
        }
    }
}

/// The longest chain of `[..]` that `text` begins with, and the token an identifier makes with it.
fn subscripts(text: &str) -> Option<(Kind, usize)> {
    if let Some(length) = name_subscript(text) {
        return Some((Kind::StructField, length));
    }
    let first = json_subscript(text)?;
    let index = text.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
    if index && let Some(length) = name_subscript(text.get(first..)?) {
        return Some((Kind::StructIndexField, first + length));
    }
    let mut length = first;
    while let Some(next) = json_subscript(text.get(length..)?) {
        length += next;
    }
    Some((Kind::JsonIdentifier, length))
}

/// The length of `["key"]` or `[0]` at the beginning of `text`.
fn json_subscript(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('[')?;
    let length = match inner.as_bytes().first()? {
        b'0' => 1,
        b'1'..=b'9' => digits(inner, |byte| byte.is_ascii_digit()),
        b'"' | b'\'' => string(inner).ok()?,
        b'u' | b'U' | b'L' => {
            let prefix = if inner.starts_with("u8") { 2 } else { 1 };
            let quoted = inner.get(prefix..).filter(|rest| rest.starts_with(['"', '\'']))?;
            prefix + string(quoted).ok()?
        }
        _ => return None,
    };
    inner.get(length..)?.starts_with(']').then_some(length + 2)
}

/// The length of `[name]` at the beginning of `text`.
fn name_subscript(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('[')?;
    let length = identifier(inner);
    (length > 0 && inner.get(length..)?.starts_with(']')).then_some(length + 2)
}

/// The length of the identifier that `text` begins with, zero if it begins with none.
fn identifier(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    digits(text, |byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn digits(text: &str, is_digit: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|byte| is_digit(*byte)).count()
}

/// The length of the quoted string that `text` begins with, or of what is no string.
fn string(text: &str) -> Result<usize, usize> {
    let mut bytes = text.bytes().enumerate();
    let Some((_, quote)) = bytes.next() else {
        return Err(0);
    };
    while let Some((at, byte)) = bytes.next() {
        match byte {
            _ if byte == quote => return Ok(at + 1),
            b'\r' | b'\n' => return Err(at),
            b'\\' => match bytes.next() {
                Some((_, b'\r')) => {
                    if !matches!(bytes.next(), Some((_, b'\n'))) {
                        return Err(at);
                    }
                }
                Some(_) => {}
                None => return Err(text.len()),
            },
            _ => {}
        }
    }
    Err(text.len())
}

/// The number that `text` begins with: the longest of an integer and a floating-point one.
fn number(text: &str) -> Option<(Kind, usize)> {
    let decimal = |text: &str| digits(text, |byte| byte.is_ascii_digit());
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        if let Some(length) = hex_floating(hex) {
            return Some((Kind::Floating, 2 + length));
        }
        let length = digits(hex, |byte| byte.is_ascii_hexdigit());
        if length > 0 {
            return Some((Kind::Integer, 2 + length));
        }
    }
    if let Some(binary) = text.strip_prefix("0b").or_else(|| text.strip_prefix("0B")) {
        let length = digits(binary, |byte| matches!(byte, b'0' | b'1'));
        if length > 0 {
            return Some((Kind::Integer, 2 + length));
        }
    }
    let whole = decimal(text);
    let mut length = whole;
    let mut is_floating = false;
    if text.get(length..)?.starts_with('.') {
        let fraction = decimal(text.get(length + 1..)?);
        if whole + fraction == 0 {
            return None;
        }
        length += 1 + fraction;
        is_floating = true;
    }
    if let Some(exponent) = exponent(text.get(length..)?, ['e', 'E']) {
        length += exponent;
        is_floating = true;
    }
    if is_floating {
        return Some((Kind::Floating, length));
    }
    let integer = if text.starts_with('0') {
        digits(text, |byte| matches!(byte, b'0'..=b'7'))
    } else {
        whole
    };
    Some((Kind::Integer, integer))
}

fn hex_floating(text: &str) -> Option<usize> {
    let hex = |text: &str| digits(text, |byte| byte.is_ascii_hexdigit());
    let whole = hex(text);
    let mut length = whole;
    if text.get(length..)?.starts_with('.') {
        let fraction = hex(text.get(length + 1..)?);
        if whole + fraction == 0 {
            return None;
        }
        length += 1 + fraction;
    } else if whole == 0 {
        return None;
    }
    Some(length + exponent(text.get(length..)?, ['p', 'P'])?)
}

fn exponent(text: &str, marks: [char; 2]) -> Option<usize> {
    let after = text.strip_prefix(marks)?;
    let sign = usize::from(after.starts_with(['+', '-']));
    let length = digits(after.get(sign..)?, |byte| byte.is_ascii_digit());
    (length > 0).then_some(1 + sign + length)
}

/// The operator or punctuation that `text` begins with, longest first.
fn operator(text: &str) -> Option<(Kind, usize)> {
    const OPERATORS: &[(&str, Kind)] = &[
        ("<=", Kind::LessEqual),
        ("<<", Kind::ShiftLeft),
        (">=", Kind::GreaterEqual),
        (">>", Kind::ShiftRight),
        ("==", Kind::Equal),
        ("=~", Kind::RegexMatch),
        ("!=", Kind::NotEqual),
        ("!~", Kind::RegexNotMatch),
        ("**", Kind::Power),
        ("&&", Kind::And),
        ("||", Kind::Or),
        ("<", Kind::Less),
        (">", Kind::Greater),
        ("=", Kind::Assign),
        ("!", Kind::Not),
        ("+", Kind::Add),
        ("-", Kind::Subtract),
        ("*", Kind::Multiply),
        ("/", Kind::Divide),
        ("%", Kind::Modulo),
        ("&", Kind::BitAnd),
        ("|", Kind::BitOr),
        ("^", Kind::BitXor),
        ("~", Kind::BitNot),
        ("(", Kind::LeftParen),
        (")", Kind::RightParen),
        ("]", Kind::RightBracket),
        ("{", Kind::LeftBrace),
        ("}", Kind::RightBrace),
        (",", Kind::Comma),
    ];
    OPERATORS
        .iter()
        .find(|(operator, _)| text.starts_with(operator))
        .map(|(operator, kind)| (*kind, operator.len()))
}
