//! Patterns of `like` and `=~`.
//!
//! `%` is any text, `_` any one character, `\` takes the next character as it is; both ends are
//! anchored. Where no wildcard is left inside, a pattern is an equality, a prefix, a suffix or a
//! substring, and then a `\` before anything but a wildcard stands for itself, as in Milvus.

use std::fmt;

use memchr::memmem::Finder;
use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Hir, HirKind};

use crate::error::TypeError;

/// What a string is matched against.
#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    Exact(Box<str>),
    Prefix(Box<str>),
    Suffix(Box<str>),
    Contains(Box<Finder<'static>>),
    Wildcards(Box<[Piece]>),
    Regex(Box<Regex>),
}

/// A part of a pattern with wildcards inside.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Piece {
    Text(Box<str>),
    AnyChar,
    AnyText,
}

impl Pattern {
    /// The pattern of `like pattern`.
    pub(crate) fn like(pattern: &str) -> Result<Self, TypeError> {
        if let Some(simple) = simple(pattern) {
            return Ok(simple);
        }
        Ok(Self::Wildcards(pieces(pattern)?.into()))
    }

    /// The pattern of `=~ pattern`; `.` is any character, a line break too.
    pub(crate) fn regex(pattern: &str) -> Result<Self, TypeError> {
        let built = RegexBuilder::new(pattern).dot_matches_new_line(true).build();
        let regex = built.map_err(|error| {
            // The last line says what is wrong; those before it draw the place.
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            TypeError::Regex { cause: last.trim_start_matches("error: ").to_owned() }
        })?;
        Ok(Self::Regex(Box::new(regex)))
    }

    /// Whether `text` fits.
    pub(crate) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(want) => text == &**want,
            Self::Prefix(prefix) => text.as_bytes().starts_with(prefix.as_bytes()),
            Self::Suffix(suffix) => text.as_bytes().ends_with(suffix.as_bytes()),
            Self::Contains(finder) => finder.find(text.as_bytes()).is_some(),
            Self::Wildcards(pieces) => wildcards(pieces, text),
            Self::Regex(regex) => regex.is_match(text),
        }
    }

    /// The one text that fits, if the pattern has no wildcard.
    pub(crate) fn exact(&self) -> Option<&str> {
        match self {
            Self::Exact(text) => Some(text),
            Self::Prefix(_)
            | Self::Suffix(_)
            | Self::Contains(_)
            | Self::Wildcards(_)
            | Self::Regex(_) => None,
        }
    }

    /// What every text that fits begins with.
    pub(crate) fn prefix(&self) -> &str {
        match self {
            Self::Exact(text) | Self::Prefix(text) => text,
            Self::Wildcards(pieces) => match pieces.first() {
                Some(Piece::Text(text)) => text,
                Some(Piece::AnyChar | Piece::AnyText) | None => "",
            },
            Self::Suffix(_) | Self::Contains(_) | Self::Regex(_) => "",
        }
    }

    /// Whether whatever begins with [`Self::prefix`] fits.
    pub(crate) fn is_prefix(&self) -> bool {
        matches!(self, Self::Prefix(_))
    }

    /// Texts that whatever fits contains.
    pub(crate) fn substrings(&self) -> Vec<String> {
        match self {
            Self::Exact(text) | Self::Prefix(text) | Self::Suffix(text) => vec![text.to_string()],
            Self::Contains(finder) => {
                vec![String::from_utf8_lossy(finder.needle()).into_owned()]
            }
            Self::Wildcards(pieces) => pieces
                .iter()
                .filter_map(|piece| match piece {
                    Piece::Text(text) => Some(text.to_string()),
                    Piece::AnyChar | Piece::AnyText => None,
                })
                .collect(),
            Self::Regex(regex) => {
                let mut texts = Vec::new();
                if let Ok(hir) = regex_syntax::parse(regex.as_str()) {
                    required(&hir, &mut texts);
                }
                texts
            }
        }
    }
}

/// Collects texts that every match of `hir` contains.
fn required(hir: &Hir, texts: &mut Vec<String>) {
    match hir.kind() {
        HirKind::Literal(literal) => {
            if let Ok(text) = std::str::from_utf8(&literal.0) {
                texts.push(text.to_owned());
            }
        }
        HirKind::Capture(capture) => required(&capture.sub, texts),
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub, texts),
        HirKind::Concat(parts) => parts.iter().for_each(|part| required(part, texts)),
        HirKind::Empty
        | HirKind::Class(_)
        | HirKind::Look(_)
        | HirKind::Repetition(_)
        | HirKind::Alternation(_) => {}
    }
}

/// The pattern without inner wildcards, if it has none.
fn simple(pattern: &str) -> Option<Pattern> {
    let leading = pattern.starts_with('%');
    let trailing = pattern.ends_with('%') && {
        let backslashes = pattern.bytes().rev().skip(1).take_while(|byte| *byte == b'\\').count();
        backslashes % 2 == 0
    };
    let mut inner = pattern;
    if leading {
        inner = inner.trim_start_matches('%');
    }
    if trailing {
        inner = inner.strip_suffix('%').unwrap_or(inner);
        while inner.ends_with('%') && !inner.ends_with("\\%") {
            inner = inner.strip_suffix('%').unwrap_or_default();
        }
    }
    let text = literal_text(inner)?;
    Some(match (leading, trailing) {
        (false, false) => Pattern::Exact(text),
        _ if text.is_empty() => Pattern::Prefix(text),
        (false, true) => Pattern::Prefix(text),
        (true, false) => Pattern::Suffix(text),
        (true, true) => Pattern::Contains(Box::new(Finder::new(text.as_bytes()).into_owned())),
    })
}

/// `pattern` with wildcards unescaped, `None` if it has one that is not escaped.
fn literal_text(pattern: &str) -> Option<Box<str>> {
    let mut text = String::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.push(chars.next_if(|next| matches!(next, '%' | '_')).unwrap_or('\\')),
            '%' | '_' => return None,
            c => text.push(c),
        }
    }
    Some(text.into())
}

fn pieces(pattern: &str) -> Result<Vec<Piece>, TypeError> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        let wildcard = match c {
            '%' => Piece::AnyText,
            '_' => Piece::AnyChar,
            '\\' => {
                text.push(chars.next().ok_or(TypeError::LikeTrailingBackslash)?);
                continue;
            }
            c => {
                text.push(c);
                continue;
            }
        };
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text).into()));
        }
        if wildcard != Piece::AnyText || pieces.last() != Some(&Piece::AnyText) {
            pieces.push(wildcard);
        }
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text.into()));
    }
    Ok(pieces)
}

/// Matches with one place to go back to: the latest `%`, tried one character further each time.
fn wildcards(pieces: &[Piece], text: &str) -> bool {
    let (mut piece, mut rest) = (0, text);
    let mut retry: Option<(usize, &str)> = None;
    loop {
        let step = match pieces.get(piece) {
            Some(Piece::AnyText) => {
                retry = Some((piece + 1, rest));
                Some(rest)
            }
            Some(Piece::AnyChar) => skip_char(rest),
            Some(Piece::Text(want)) => rest.strip_prefix(&**want),
            None if rest.is_empty() => return true,
            None => None,
        };
        if let Some(after) = step {
            (piece, rest) = (piece + 1, after);
            continue;
        }
        let Some((after_any, from)) = retry else {
            return false;
        };
        let Some(further) = skip_char(from) else {
            return false;
        };
        retry = Some((after_any, further));
        (piece, rest) = (after_any, further);
    }
}

fn skip_char(text: &str) -> Option<&str> {
    let mut chars = text.chars();
    chars.next()?;
    Some(chars.as_str())
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) => write!(f, "equals {text:?}"),
            Self::Prefix(text) => write!(f, "starts with {text:?}"),
            Self::Suffix(text) => write!(f, "ends with {text:?}"),
            Self::Contains(finder) => {
                write!(f, "contains {:?}", String::from_utf8_lossy(finder.needle()))
            }
            Self::Wildcards(pieces) => {
                f.write_str("like")?;
                for piece in pieces {
                    match piece {
                        Piece::Text(text) => write!(f, " {text:?}")?,
                        Piece::AnyChar => f.write_str(" _")?,
                        Piece::AnyText => f.write_str(" %")?,
                    }
                }
                Ok(())
            }
            Self::Regex(regex) => write!(f, "=~ {:?}", regex.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::like(pattern).unwrap().matches(text)
    }

    #[test]
    fn wildcards_match_characters_not_bytes() {
        assert!(matches("a_c", "aéc"));
        assert!(!matches("a__c", "aéc"));
        assert!(matches("%中_文%", "x中x文y"));
        assert!(matches("_%_", "ab"));
        assert!(!matches("_%_", "a"));
    }

    #[test]
    fn escapes_take_wildcards_as_they_are() {
        assert!(matches(r"100\%", "100%"));
        assert!(!matches(r"100\%", "100x"));
        assert!(matches(r"a\_b%", "a_bcd"));
        assert!(!matches(r"a\_b%", "axbcd"));
        assert!(matches(r"%a\\%", r"xa\\y"));
        assert!(matches(r"a\%_c", "a%bc"));
        assert!(Pattern::like(r"a_b\").is_err());
    }

    #[test]
    fn shapes_without_inner_wildcards_are_simple() {
        let shape = |pattern: &str| Pattern::like(pattern).unwrap().to_string();
        assert_eq!(shape(""), "equals \"\"");
        assert_eq!(shape("%%%"), "starts with \"\"");
        assert_eq!(shape("ab%%"), "starts with \"ab\"");
        assert_eq!(shape("%ab"), "ends with \"ab\"");
        assert_eq!(shape("%ab%"), "contains \"ab\"");
        assert_eq!(shape("a%b"), "like \"a\" % \"b\"");
    }

    #[test]
    fn what_indexes_may_look_for() {
        let like = |pattern: &str| Pattern::like(pattern).unwrap();
        assert_eq!(like("abc").exact(), Some("abc"));
        assert_eq!((like("ab%").prefix(), like("ab%").is_prefix()), ("ab", true));
        assert_eq!((like("ab%c_d").prefix(), like("ab%c_d").is_prefix()), ("ab", false));
        assert_eq!(like("ab%c_d").substrings(), ["ab", "c", "d"]);
        assert_eq!(like("%ab%").substrings(), ["ab"]);
        let regex = |pattern: &str| Pattern::regex(pattern).unwrap().substrings();
        assert_eq!(regex("^abc.*(de)+[xy]z$"), ["abc", "de", "z"]);
        assert_eq!(regex("abc|de"), [""; 0]);
        assert_eq!(regex("(?i)k"), [""; 0]);
    }

    #[test]
    fn backtracking_finds_the_last_chance() {
        assert!(matches("%ab%ab_", "xxabyyababz"));
        assert!(!matches("%ab%ab_", "xxabyyabab"));
        assert!(matches("a%a", "aa"));
        assert!(!matches("a%a", "a"));
    }
}
