//! The syntax tree of a filter, as parsed and before any schema is known.
//!
//! `Display` writes each operation in parentheses with its operator first, so that the tests can
//! show how operators bind.

use std::fmt;

use crate::token::Token;

/// A parsed text.
pub(crate) struct Parsed<'a> {
    pub(crate) root: Expr<'a>,
    pub(crate) tokens: Vec<Token<'a>>,
}

impl Parsed<'_> {
    /// The text of `expr` without blanks, as Milvus shows it in messages.
    pub(crate) fn text(&self, expr: &Expr<'_>) -> String {
        let tokens = self.tokens.get(expr.start..expr.end).unwrap_or_default();
        tokens.iter().map(|token| token.text).collect()
    }
}

/// A node and the tokens it spans.
#[derive(Debug)]
pub(crate) struct Expr<'a> {
    pub(crate) node: Node<'a>,
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// How many operations lie within each other here.
    pub(crate) height: usize,
    pub(crate) in_parens: bool,
}

/// Operators of two operands other than `and` and `or`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BinaryOp {
    Power,
    Arith(ArithOp),
    Shift,
    Compare(CompareOp),
    BitAnd,
    BitXor,
    BitOr,
    Like,
    Regex { negated: bool },
    In { negated: bool },
}

/// Arithmetic that a field may take part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ArithOp {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

impl ArithOp {
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Subtract => "subtract",
            Self::Multiply => "multiply",
            Self::Divide => "divide",
            Self::Modulo => "modulo",
        }
    }
}

/// Comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOp {
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

impl CompareOp {
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
        }
    }

    /// The operator that gives the same result with the operands exchanged.
    pub(crate) fn reversed(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessEqual => Self::GreaterEqual,
            Self::Greater => Self::Less,
            Self::GreaterEqual => Self::LessEqual,
            Self::Equal => Self::Equal,
            Self::NotEqual => Self::NotEqual,
        }
    }

    /// Whether operands that stand as `ordering` satisfy the operator; `None` is not a number.
    pub fn holds(self, ordering: Option<std::cmp::Ordering>) -> bool {
        match (self, ordering) {
            (Self::NotEqual, None) => true,
            (_, None) => false,
            (Self::Less, Some(ordering)) => ordering.is_lt(),
            (Self::LessEqual, Some(ordering)) => ordering.is_le(),
            (Self::Greater, Some(ordering)) => ordering.is_gt(),
            (Self::GreaterEqual, Some(ordering)) => ordering.is_ge(),
            (Self::Equal, Some(ordering)) => ordering.is_eq(),
            (Self::NotEqual, Some(ordering)) => ordering.is_ne(),
        }
    }
}

/// Operators before one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnaryOp {
    Plus,
    Minus,
    BitNot,
    Not,
}

impl UnaryOp {
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Plus => "+",
            Self::Minus => "-",
            Self::BitNot => "~",
            Self::Not => "not",
        }
    }
}

/// The family of `json_contains` and `array_contains`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContainsOp {
    /// `array_contains(a, x)`: the one element is in the array.
    One,
    /// `array_contains_all(a, [..])`
    All,
    /// `array_contains_any(a, [..])`
    Any,
}

impl ContainsOp {
    /// The name within "operation are only supported".
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::One => "contains",
            Self::All => "contains_all",
            Self::Any => "contains_any",
        }
    }

    /// The name of the wire's enum.
    pub(crate) fn wire_name(self) -> &'static str {
        match self {
            Self::One => "Contains",
            Self::All => "ContainsAll",
            Self::Any => "ContainsAny",
        }
    }
}

/// How many elements of a struct array must match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantifier {
    All,
    Any,
    Least,
    Most,
    Exact,
}

impl Quantifier {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::All => "MATCH_ALL",
            Self::Any => "MATCH_ANY",
            Self::Least => "MATCH_LEAST",
            Self::Most => "MATCH_MOST",
            Self::Exact => "MATCH_EXACT",
        }
    }
}

/// `ts [+|- INTERVAL 'P1D'] op ISO '…'` or its reverse.
#[derive(Debug)]
pub(crate) struct Timestamptz<'a> {
    pub(crate) field: &'a str,
    /// As if the field stood on the left.
    pub(crate) op: CompareOp,
    /// The sign and the duration's token.
    pub(crate) interval: Option<(ArithOp, &'a str)>,
    /// The time's token.
    pub(crate) time: &'a str,
}

/// What a node is. Strings are token texts.
#[derive(Debug)]
pub(crate) enum Node<'a> {
    Integer(&'a str),
    Floating(&'a str),
    Boolean(bool),
    String(&'a str),
    Identifier(&'a str),
    JsonIdentifier(&'a str),
    StructField(&'a str),
    StructIndexField(&'a str),
    StructSubField(&'a str),
    Template(&'a str),
    Array(Vec<Expr<'a>>),
    Unary(UnaryOp, Box<Expr<'a>>),
    Exists(Box<Expr<'a>>),
    Binary(BinaryOp, Box<[Expr<'a>; 2]>),
    /// Left operand, subject, right operand; both operators point the same way.
    Range([CompareOp; 2], Box<[Expr<'a>; 3]>),
    And(Vec<Expr<'a>>),
    Or(Vec<Expr<'a>>),
    IsNull {
        subject: Box<Expr<'a>>,
        negated: bool,
    },
    Timestamptz(Timestamptz<'a>),
    TextMatch {
        field: &'a str,
        query: Box<Expr<'a>>,
        minimum: Option<&'a str>,
    },
    PhraseMatch {
        field: &'a str,
        query: Box<Expr<'a>>,
        slop: Option<Box<Expr<'a>>>,
    },
    RandomSample(Box<Expr<'a>>),
    ElementFilter {
        field: &'a str,
        predicate: Box<Expr<'a>>,
    },
    Match {
        quantifier: Quantifier,
        field: &'a str,
        predicate: Box<Expr<'a>>,
        threshold: Option<&'a str>,
    },
    Contains {
        op: ContainsOp,
        operands: Box<[Expr<'a>; 2]>,
    },
    Spatial {
        function: &'a str,
        field: &'a str,
        wkt: Box<Expr<'a>>,
    },
    DWithin {
        field: &'a str,
        operands: Box<[Expr<'a>; 2]>,
    },
    IsValid {
        field: &'a str,
    },
    ArrayLength(Box<Expr<'a>>),
    Call {
        name: &'a str,
        args: Vec<Expr<'a>>,
    },
}

/// Writes `(operator operand ..)`.
struct List<'e, 'a>(&'e str, &'e [Expr<'a>]);

impl fmt::Display for List<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}", self.0)?;
        for operand in self.1 {
            write!(f, " {operand}")?;
        }
        f.write_str(")")
    }
}

impl fmt::Display for Expr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.node {
            Node::Integer(text)
            | Node::Floating(text)
            | Node::String(text)
            | Node::Identifier(text)
            | Node::JsonIdentifier(text)
            | Node::StructField(text)
            | Node::StructIndexField(text)
            | Node::StructSubField(text) => f.write_str(text),
            Node::Boolean(value) => value.fmt(f),
            Node::Template(name) => write!(f, "{{{name}}}"),
            Node::Array(elements) => List("list", elements).fmt(f),
            Node::Unary(op, operand) => write!(f, "({} {operand})", op.symbol()),
            Node::Exists(operand) => write!(f, "(exists {operand})"),
            Node::Binary(op, operands) => List(binary_symbol(*op), &**operands).fmt(f),
            Node::Range([first, second], operands) => {
                let symbol = format!("range{}{}", first.symbol(), second.symbol());
                List(&symbol, &**operands).fmt(f)
            }
            Node::And(operands) => List("and", operands).fmt(f),
            Node::Or(operands) => List("or", operands).fmt(f),
            Node::IsNull { subject, negated: false } => write!(f, "(is-null {subject})"),
            Node::IsNull { subject, negated: true } => write!(f, "(is-not-null {subject})"),
            Node::Timestamptz(Timestamptz { field, op, interval, time }) => {
                write!(f, "(timestamptz{} {field}", op.symbol())?;
                if let Some((sign, duration)) = interval {
                    write!(f, " {}{duration}", sign.symbol())?;
                }
                write!(f, " {time})")
            }
            Node::TextMatch { field, query, minimum } => {
                write!(f, "(text-match {field} {query}")?;
                minimum.map_or(Ok(()), |minimum| write!(f, " {minimum}"))?;
                f.write_str(")")
            }
            Node::PhraseMatch { field, query, slop } => {
                write!(f, "(phrase-match {field} {query}")?;
                slop.as_ref().map_or(Ok(()), |slop| write!(f, " {slop}"))?;
                f.write_str(")")
            }
            Node::RandomSample(factor) => write!(f, "(random-sample {factor})"),
            Node::ElementFilter { field, predicate } => {
                write!(f, "(element-filter {field} {predicate})")
            }
            Node::Match { quantifier, field, predicate, threshold } => {
                write!(f, "({} {field} {predicate}", quantifier.name())?;
                threshold.map_or(Ok(()), |threshold| write!(f, " {threshold}"))?;
                f.write_str(")")
            }
            Node::Contains { op, operands } => List(op.name(), &**operands).fmt(f),
            Node::Spatial { function, field, wkt } => write!(f, "({function} {field} {wkt})"),
            Node::DWithin { field, operands } => {
                List(&format!("st_dwithin {field}"), &**operands).fmt(f)
            }
            Node::IsValid { field } => write!(f, "(st_isvalid {field})"),
            Node::ArrayLength(subject) => write!(f, "(array-length {subject})"),
            Node::Call { name, args } => List(&format!("call {name}"), args).fmt(f),
        }
    }
}

fn binary_symbol(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Power => "**",
        BinaryOp::Arith(op) => op.symbol(),
        BinaryOp::Shift => "shift",
        BinaryOp::Compare(op) => op.symbol(),
        BinaryOp::BitAnd => "&",
        BinaryOp::BitXor => "^",
        BinaryOp::BitOr => "|",
        BinaryOp::Like => "like",
        BinaryOp::Regex { negated: false } => "=~",
        BinaryOp::Regex { negated: true } => "!~",
        BinaryOp::In { negated: false } => "in",
        BinaryOp::In { negated: true } => "not-in",
    }
}
