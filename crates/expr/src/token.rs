//! Tokens of the filter language, with the names that messages give them.

macro_rules! tokens {
    ($($name:ident = $display:literal,)*) => {
        /// What a token is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Kind {
            $($name,)*
        }

        impl Kind {
            /// How messages about what was expected write it.
            pub(crate) fn display(self) -> &'static str {
                match self {
                    $(Self::$name => $display,)*
                }
            }
        }
    };
}

// In the order of the grammar, which is the order of names in messages.
tokens! {
    LeftParen = "'('",
    RightParen = "')'",
    LeftBracket = "'['",
    Comma = "','",
    RightBracket = "']'",
    LeftBrace = "'{'",
    RightBrace = "'}'",
    Less = "'<'",
    LessEqual = "'<='",
    Greater = "'>'",
    GreaterEqual = "'>='",
    Equal = "'=='",
    NotEqual = "'!='",
    Like = "LIKE",
    Exists = "EXISTS",
    TextMatch = "TEXTMATCH",
    PhraseMatch = "PHRASEMATCH",
    RandomSample = "RANDOMSAMPLE",
    MatchAll = "MATCH_ALL",
    MatchAny = "MATCH_ANY",
    MatchLeast = "MATCH_LEAST",
    MatchMost = "MATCH_MOST",
    MatchExact = "MATCH_EXACT",
    Interval = "INTERVAL",
    Iso = "ISO",
    MinimumShouldMatch = "MINIMUM_SHOULD_MATCH",
    Threshold = "THRESHOLD",
    RegexMatch = "'=~'",
    RegexNotMatch = "'!~'",
    Assign = "'='",
    Add = "'+'",
    Subtract = "'-'",
    Multiply = "'*'",
    Divide = "'/'",
    Modulo = "'%'",
    Power = "'**'",
    ShiftLeft = "'<<'",
    ShiftRight = "'>>'",
    BitAnd = "'&'",
    BitOr = "'|'",
    BitXor = "'^'",
    And = "AND",
    Or = "OR",
    IsNull = "ISNULL",
    IsNotNull = "ISNOTNULL",
    BitNot = "'~'",
    Not = "NOT",
    In = "IN",
    EmptyArray = "EmptyArray",
    JsonContains = "JSONContains",
    JsonContainsAll = "JSONContainsAll",
    JsonContainsAny = "JSONContainsAny",
    ArrayContains = "ArrayContains",
    ArrayContainsAll = "ArrayContainsAll",
    ArrayContainsAny = "ArrayContainsAny",
    ArrayLength = "ArrayLength",
    ElementFilter = "ElementFilter",
    StEquals = "STEuqals",
    StTouches = "STTouches",
    StOverlaps = "STOverlaps",
    StCrosses = "STCrosses",
    StContains = "STContains",
    StIntersects = "STIntersects",
    StWithin = "STWithin",
    StDWithin = "STDWithin",
    StIsValid = "STIsValid",
    Boolean = "BooleanConstant",
    Integer = "IntegerConstant",
    Floating = "FloatingConstant",
    Identifier = "Identifier",
    Meta = "'$meta'",
    String = "StringLiteral",
    JsonIdentifier = "JSONIdentifier",
    StructIndexField = "StructIndexFieldIdentifier",
    StructField = "StructFieldIdentifier",
    StructSubField = "StructSubFieldIdentifier",
    End = "<EOF>",
}

/// What an expression may begin with.
pub(crate) const EXPRESSION_START: &[Kind] = &[
    Kind::LeftParen,
    Kind::LeftBracket,
    Kind::LeftBrace,
    Kind::Exists,
    Kind::TextMatch,
    Kind::PhraseMatch,
    Kind::RandomSample,
    Kind::MatchAll,
    Kind::MatchAny,
    Kind::MatchLeast,
    Kind::MatchMost,
    Kind::MatchExact,
    Kind::Iso,
    Kind::Add,
    Kind::Subtract,
    Kind::BitNot,
    Kind::Not,
    Kind::EmptyArray,
    Kind::JsonContains,
    Kind::JsonContainsAll,
    Kind::JsonContainsAny,
    Kind::ArrayContains,
    Kind::ArrayContainsAll,
    Kind::ArrayContainsAny,
    Kind::ArrayLength,
    Kind::ElementFilter,
    Kind::StEquals,
    Kind::StTouches,
    Kind::StOverlaps,
    Kind::StCrosses,
    Kind::StContains,
    Kind::StIntersects,
    Kind::StWithin,
    Kind::StDWithin,
    Kind::StIsValid,
    Kind::Boolean,
    Kind::Integer,
    Kind::Floating,
    Kind::Identifier,
    Kind::Meta,
    Kind::String,
    Kind::JsonIdentifier,
    Kind::StructIndexField,
    Kind::StructField,
    Kind::StructSubField,
];

/// The words that are not identifiers, all lower or all upper case.
const KEYWORDS: &[(&str, Kind)] = &[
    ("like", Kind::Like),
    ("exists", Kind::Exists),
    ("text_match", Kind::TextMatch),
    ("phrase_match", Kind::PhraseMatch),
    ("random_sample", Kind::RandomSample),
    ("match_all", Kind::MatchAll),
    ("match_any", Kind::MatchAny),
    ("match_least", Kind::MatchLeast),
    ("match_most", Kind::MatchMost),
    ("match_exact", Kind::MatchExact),
    ("interval", Kind::Interval),
    ("iso", Kind::Iso),
    ("minimum_should_match", Kind::MinimumShouldMatch),
    ("threshold", Kind::Threshold),
    ("and", Kind::And),
    ("or", Kind::Or),
    ("not", Kind::Not),
    ("in", Kind::In),
    ("json_contains", Kind::JsonContains),
    ("json_contains_all", Kind::JsonContainsAll),
    ("json_contains_any", Kind::JsonContainsAny),
    ("array_contains", Kind::ArrayContains),
    ("array_contains_all", Kind::ArrayContainsAll),
    ("array_contains_any", Kind::ArrayContainsAny),
    ("array_length", Kind::ArrayLength),
    ("element_filter", Kind::ElementFilter),
    ("st_equals", Kind::StEquals),
    ("st_touches", Kind::StTouches),
    ("st_overlaps", Kind::StOverlaps),
    ("st_crosses", Kind::StCrosses),
    ("st_contains", Kind::StContains),
    ("st_intersects", Kind::StIntersects),
    ("st_within", Kind::StWithin),
    ("st_dwithin", Kind::StDWithin),
    ("st_isvalid", Kind::StIsValid),
    ("true", Kind::Boolean),
    ("false", Kind::Boolean),
];

/// The keyword `word` is, if it is one.
pub(crate) fn keyword(word: &str) -> Option<Kind> {
    if matches!(word, "True" | "False") {
        return Some(Kind::Boolean);
    }
    let lower = word.bytes().all(|byte| !byte.is_ascii_uppercase());
    let upper = word.bytes().all(|byte| !byte.is_ascii_lowercase());
    if !lower && !upper {
        return None;
    }
    KEYWORDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, kind)| *kind)
}

/// One token of a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    /// As written; empty at the end of the text.
    pub(crate) text: &'a str,
    /// Counted from one.
    pub(crate) line: u32,
    /// Counted from zero, in characters.
    pub(crate) column: u32,
}

impl Token<'_> {
    /// The token in quotes, as messages show what was met.
    pub(crate) fn quoted(&self) -> String {
        if self.kind == Kind::End {
            return "'<EOF>'".to_owned();
        }
        let text = self.text.replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t");
        format!("'{text}'")
    }
}
