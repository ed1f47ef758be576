//! Literals: constants of a filter, how they are written, and constant folding of them.

use std::fmt;

use milvus_types::DataType;

use crate::error::TypeError;

/// A constant of a filter, as type checking has cast it for its column.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// true or false
    Bool(bool),
    /// An integer, or microseconds since the epoch of a `Timestamptz`.
    Int64(i64),
    /// A number that is no integer, or any number a floating-point column is compared with.
    Double(f64),
    /// A string.
    VarChar(Box<str>),
    /// A list, to be compared with an array as a whole.
    Array(Vec<Self>),
}

impl Literal {
    pub(crate) fn data_type(&self) -> DataType {
        match self {
            Self::Bool(_) => DataType::Bool,
            Self::Int64(_) => DataType::Int64,
            Self::Double(_) => DataType::Double,
            Self::VarChar(_) => DataType::VarChar,
            Self::Array(_) => DataType::Array,
        }
    }

    pub(crate) fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int64(value) => Some(*value as f64),
            Self::Double(value) => Some(*value),
            Self::Bool(_) | Self::VarChar(_) | Self::Array(_) => None,
        }
    }

    pub(crate) fn is_number(&self) -> bool {
        matches!(self, Self::Int64(_) | Self::Double(_))
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.as_f64() == Some(0.0)
    }

    /// The one type of an array's elements, `None` if they differ or there are none.
    pub(crate) fn element_type(&self) -> Option<DataType> {
        let Self::Array(elements) = self else {
            return None;
        };
        let first = elements.first()?.data_type();
        elements.iter().all(|element| element.data_type() == first).then_some(first)
    }

    /// `self` as a value of `data_type`, which must hold it without loss of kind.
    pub(crate) fn cast(self, data_type: DataType) -> Result<Self, TypeError> {
        let fits = match &self {
            _ if data_type == DataType::JSON => true,
            // Microseconds; texts stand behind ISO.
            _ if data_type == DataType::Timestamptz => matches!(self, Self::Int64(_)),
            Self::Array(_) => data_type == DataType::Array,
            Self::VarChar(_) => data_type.is_string(),
            Self::Bool(_) => data_type == DataType::Bool,
            Self::Double(_) => data_type.is_floating(),
            Self::Int64(value) if data_type.is_floating() => {
                return Ok(Self::Double(*value as f64));
            }
            Self::Int64(_) => data_type.is_integer(),
        };
        if fits {
            return Ok(self);
        }
        Err(TypeError::Cast { data_type: data_type.name().to_owned(), value: self.wire_text() })
    }

    /// The literal as the wire's text format prints it, which Milvus shows in messages.
    pub(crate) fn wire_text(&self) -> String {
        match self {
            Self::Bool(value) => format!("bool_val:{value}"),
            Self::Int64(value) => format!("int64_val:{value}"),
            Self::Double(value) => format!("float_val:{value}"),
            Self::VarChar(value) => format!("string_val:{value:?}"),
            Self::Array(values) => {
                let elements: Vec<_> =
                    values.iter().map(|value| format!("array:{{{}}}", value.wire_text())).collect();
                format!("array_val:{{{}}}", elements.join(" "))
            }
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Int64(value) => value.fmt(f),
            Self::Double(value) => write!(f, "{value:?}"),
            Self::VarChar(value) => write!(f, "{value:?}"),
            Self::Array(values) => {
                f.write_str("[")?;
                for (i, value) in values.iter().enumerate() {
                    if i > 0 {
                        f.write_str(", ")?;
                    }
                    value.fmt(f)?;
                }
                f.write_str("]")
            }
        }
    }
}

/// The literal that would overflow but for a minus before it.
pub(crate) const MIN_INT64_MAGNITUDE: &str = "9223372036854775808";

/// The value of an integer token.
pub(crate) fn integer(text: &str) -> Result<i64, TypeError> {
    let range = || match text {
        MIN_INT64_MAGNITUDE => TypeError::Int64Overflow { literal: text.to_owned() },
        _ => TypeError::IntegerRange { literal: text.to_owned() },
    };
    let digits = |radix, digits: &str| i64::from_str_radix(digits, radix).map_err(|_| range());
    match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => digits(16, text.get(2..).unwrap_or_default()),
        [b'0', b'b' | b'B', ..] => digits(2, text.get(2..).unwrap_or_default()),
        [b'0', _, ..] => digits(8, text.get(1..).unwrap_or_default()),
        _ => digits(10, text),
    }
}

/// The value of a floating-point token, decimal or hexadecimal.
pub(crate) fn floating(text: &str) -> Result<f64, TypeError> {
    let range = || TypeError::FloatRange { literal: text.to_owned() };
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let value = match hex {
        Some(hex) => hex_float(hex).ok_or_else(range)?,
        None => text.parse().map_err(|_| range())?,
    };
    if value.is_finite() { Ok(value) } else { Err(range()) }
}

fn hex_float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once(['p', 'P'])?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut value = 0.0;
    for digit in whole.chars() {
        value = value * 16.0 + f64::from(digit.to_digit(16)?);
    }
    let mut scale = 1.0;
    for digit in fraction.chars() {
        scale /= 16.0;
        value += f64::from(digit.to_digit(16)?) * scale;
    }
    let exponent: i32 = exponent.parse().ok()?;
    Some(value * 2f64.powi(exponent))
}

/// The text within a string token, escapes replaced.
pub(crate) fn string(token: &str) -> Result<Box<str>, TypeError> {
    let inner = unquoted(token);
    if !inner.contains('\\') {
        return Ok(inner.into());
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(rest.get(..at).unwrap_or_default().as_bytes());
        rest = unescape(rest.get(at + 1..).unwrap_or_default(), &mut bytes)
            .ok_or(TypeError::StringEscape)?;
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).map(Into::into).map_err(|_| TypeError::StringEscape)
}

/// Decodes the escape that `rest` begins with (its backslash gone) and returns what follows it.
fn unescape<'a>(rest: &'a str, bytes: &mut Vec<u8>) -> Option<&'a str> {
    let mut chars = rest.chars();
    let escape = chars.next()?;
    let simple = match escape {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        '\'' => b'\'',
        '"' => b'"',
        'x' => {
            bytes.push(u8::from_str_radix(rest.get(1..3)?, 16).ok()?);
            return rest.get(3..);
        }
        '0'..='7' => {
            bytes.push(u8::from_str_radix(rest.get(..3)?, 8).ok()?);
            return rest.get(3..);
        }
        'u' | 'U' => {
            let end = if escape == 'u' { 5 } else { 9 };
            let code = u32::from_str_radix(rest.get(1..end)?, 16).ok()?;
            let decoded = char::from_u32(code)?;
            bytes.extend_from_slice(decoded.encode_utf8(&mut [0; 4]).as_bytes());
            return rest.get(end..);
        }
        _ => return None,
    };
    bytes.push(simple);
    Some(chars.as_str())
}

/// The text within a string token as a regular expression: only quotes and backslashes unescaped.
pub(crate) fn regex_pattern(token: &str) -> Box<str> {
    let quote = if token.ends_with('\'') { '\'' } else { '"' };
    let mut pattern = String::with_capacity(token.len());
    let mut chars = unquoted(token).chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            pattern.push(c);
            continue;
        }
        match chars.next() {
            Some(next) if next == quote || next == '\\' => pattern.push(next),
            Some(next) => pattern.extend(['\\', next]),
            None => pattern.push('\\'),
        }
    }
    pattern.into()
}

/// A string token without its prefix and quotes.
pub(crate) fn unquoted(token: &str) -> &str {
    let start = token.find(['"', '\'']).map_or(0, |at| at + 1);
    token.get(start..token.len().saturating_sub(1)).unwrap_or_default()
}

/// Replaces `\uXXXX` by the character, anywhere in an identifier.
pub(crate) fn decode_unicode(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\\u") {
        decoded.push_str(rest.get(..at).unwrap_or_default());
        let tail = rest.get(at..).unwrap_or_default();
        let code = tail
            .get(2..6)
            .filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|hex| u32::from_str_radix(hex, 16).ok());
        let taken = match code {
            Some(code) => {
                decoded.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                6
            }
            None => {
                decoded.push_str("\\u");
                2
            }
        };
        rest = tail.get(taken..).unwrap_or_default();
    }
    decoded.push_str(rest);
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_every_base() {
        assert_eq!(integer("0"), Ok(0));
        assert_eq!(integer("0x1F"), Ok(31));
        assert_eq!(integer("0b101"), Ok(5));
        assert_eq!(integer("017"), Ok(15));
        assert_eq!(integer("9223372036854775807"), Ok(i64::MAX));
        assert!(integer("9223372036854775808").is_err());
    }

    #[test]
    fn floats_decimal_and_hexadecimal() {
        assert_eq!(floating("5."), Ok(5.0));
        assert_eq!(floating(".5e1"), Ok(5.0));
        assert_eq!(floating("0x1.8p1"), Ok(3.0));
        assert!(floating("1e999").is_err());
    }

    #[test]
    fn string_escapes() {
        assert_eq!(&*string(r#""a\n\"\x41\101\u00e9""#).unwrap(), "a\n\"AA\u{e9}");
        assert_eq!(&*string(r"'it\'s'").unwrap(), "it's");
        assert!(string(r#""\_""#).is_err());
        assert_eq!(&*regex_pattern(r#""\d\\.\"""#), "\\d\\.\"");
        assert_eq!(decode_unicode(r"a\u4e2d\u"), "a中\\u");
    }
}
