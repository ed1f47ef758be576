//! The parser: operators by binding strength (Pratt), in the order of Milvus's grammar.
//!
//! What surprises: `not`, `-` and `+` before an operand bind tighter than comparison and `in`, so
//! `not a in [1]` is `(not a) in [1]`; `a < x < b` with a plain field in the middle is one range.
//! Chains of `and` and of `or` are one node each, so their length costs no depth; everything else
//! nests at most [`MAX_DEPTH`] levels. Messages are those of the ANTLR runtime.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a token that a rule does not name cannot stand there"
)]

use crate::ast::{
    ArithOp, BinaryOp, CompareOp, ContainsOp, Expr, Node, Parsed, Quantifier, Timestamptz, UnaryOp,
};
use crate::error::SyntaxError;
use crate::lexer::lex;
use crate::token::{EXPRESSION_START, Kind, Token};

/// The most operations within each other.
pub(crate) const MAX_DEPTH: usize = 200;

/// How tightly operators bind; tighter is larger.
mod level {
    pub(super) const LOWEST: u8 = 0;
    pub(super) const OR: u8 = 1;
    pub(super) const AND: u8 = 2;
    pub(super) const BIT_OR: u8 = 3;
    pub(super) const BIT_XOR: u8 = 4;
    pub(super) const BIT_AND: u8 = 5;
    pub(super) const EQUALITY: u8 = 6;
    pub(super) const RELATION: u8 = 7;
    pub(super) const RANGE: u8 = 8;
    pub(super) const IN: u8 = 9;
    pub(super) const SHIFT: u8 = 10;
    pub(super) const SUM: u8 = 11;
    pub(super) const PRODUCT: u8 = 12;
    pub(super) const UNARY: u8 = 13;
    pub(super) const POWER: u8 = 14;
    pub(super) const REGEX_NOT: u8 = 15;
    pub(super) const REGEX: u8 = 16;
    pub(super) const LIKE: u8 = 17;
    pub(super) const EXISTS: u8 = 18;
}

/// Parses the whole of `text`.
pub(crate) fn parse(text: &str) -> Result<Parsed<'_>, SyntaxError> {
    let lexed = lex(text);
    let mut parser = Parser { tokens: lexed.tokens, at: 0, depth: 0 };
    let root = parser.expression(level::LOWEST)?;
    if let Some(error) = lexed.error {
        return Err(error);
    }
    if parser.kind() != Kind::End {
        return Err(SyntaxError::TrailingInput { expression: text.to_owned() });
    }
    Ok(Parsed { root, tokens: parser.tokens })
}

struct Parser<'a> {
    /// Never empty: the last is [`Kind::End`].
    tokens: Vec<Token<'a>>,
    at: usize,
    depth: usize,
}

type Result<T, E = SyntaxError> = std::result::Result<T, E>;

impl<'a> Parser<'a> {
    fn expression(&mut self, min: u8) -> Result<Expr<'a>> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(SyntaxError::TooDeep { limit: MAX_DEPTH });
        }
        let mut left = self.primary()?;
        while let Some((level, op)) = self.operator() {
            if level < min {
                break;
            }
            left = self.combine(left, level, op)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    fn combine(&mut self, left: Expr<'a>, level: u8, op: Operator) -> Result<Expr<'a>> {
        let start = left.start;
        let node = match op {
            Operator::And | Operator::Or => {
                self.at += 1;
                let right = self.expression(level + 1)?;
                let height = left.height.max(right.height + 1);
                let node = chain(op, left, right);
                return self.finish_at(start, node, height);
            }
            Operator::Range(first, second) => {
                self.at += 1;
                let subject = self.subject();
                self.at += 2;
                let right = self.expression(level + 1)?;
                Node::Range([first, second], Box::new([left, subject, right]))
            }
            Operator::Binary(op) => {
                self.at += if op == (BinaryOp::In { negated: true }) { 2 } else { 1 };
                let right = self.expression(level + 1)?;
                Node::Binary(op, Box::new([left, right]))
            }
        };
        self.finish(start, node)
    }

    /// The operator after an operand, if there is one.
    fn operator(&self) -> Option<(u8, Operator)> {
        let binary = |level, op| Some((level, Operator::Binary(op)));
        let arith = |level, op| binary(level, BinaryOp::Arith(op));
        match self.kind() {
            Kind::Or => Some((level::OR, Operator::Or)),
            Kind::And => Some((level::AND, Operator::And)),
            Kind::BitOr => binary(level::BIT_OR, BinaryOp::BitOr),
            Kind::BitXor => binary(level::BIT_XOR, BinaryOp::BitXor),
            Kind::BitAnd => binary(level::BIT_AND, BinaryOp::BitAnd),
            Kind::Equal => binary(level::EQUALITY, BinaryOp::Compare(CompareOp::Equal)),
            Kind::NotEqual => binary(level::EQUALITY, BinaryOp::Compare(CompareOp::NotEqual)),
            Kind::Less | Kind::LessEqual | Kind::Greater | Kind::GreaterEqual => {
                let op = compare_op(self.kind())?;
                match self.range(op) {
                    Some(second) => Some((level::RANGE, Operator::Range(op, second))),
                    None => binary(level::RELATION, BinaryOp::Compare(op)),
                }
            }
            Kind::In => binary(level::IN, BinaryOp::In { negated: false }),
            Kind::Not if self.kind_at(1) == Kind::In => {
                binary(level::IN, BinaryOp::In { negated: true })
            }
            Kind::ShiftLeft | Kind::ShiftRight => binary(level::SHIFT, BinaryOp::Shift),
            Kind::Add => arith(level::SUM, ArithOp::Add),
            Kind::Subtract => arith(level::SUM, ArithOp::Subtract),
            Kind::Multiply => arith(level::PRODUCT, ArithOp::Multiply),
            Kind::Divide => arith(level::PRODUCT, ArithOp::Divide),
            Kind::Modulo => arith(level::PRODUCT, ArithOp::Modulo),
            Kind::Power => binary(level::POWER, BinaryOp::Power),
            Kind::RegexNotMatch => binary(level::REGEX_NOT, BinaryOp::Regex { negated: true }),
            Kind::RegexMatch => binary(level::REGEX, BinaryOp::Regex { negated: false }),
            Kind::Like => binary(level::LIKE, BinaryOp::Like),
            _ => None,
        }
    }

    /// The second operator if the tokens here are `first subject second` of one direction.
    fn range(&self, first: CompareOp) -> Option<CompareOp> {
        let subject = matches!(
            self.kind_at(1),
            Kind::Identifier | Kind::JsonIdentifier | Kind::StructSubField | Kind::StructIndexField
        );
        if !subject || self.kind_at(3) == Kind::Iso {
            return None;
        }
        let second = compare_op(self.kind_at(2))?;
        let rises = |op| matches!(op, CompareOp::Less | CompareOp::LessEqual);
        let falls = |op| matches!(op, CompareOp::Greater | CompareOp::GreaterEqual);
        ((rises(first) && rises(second)) || (falls(first) && falls(second))).then_some(second)
    }

    fn primary(&mut self) -> Result<Expr<'a>> {
        let start = self.at;
        if !EXPRESSION_START.contains(&self.kind()) {
            return Err(self.unexpected(EXPRESSION_START));
        }
        let token = self.next();
        let node = match token.kind {
            Kind::Integer => Node::Integer(token.text),
            Kind::Floating => Node::Floating(token.text),
            Kind::Boolean => Node::Boolean(token.text.eq_ignore_ascii_case("true")),
            Kind::String => Node::String(token.text),
            Kind::Identifier => return self.identifier(start, token),
            Kind::Meta => Node::Identifier(token.text),
            Kind::JsonIdentifier => {
                return self.null_test(start, Node::JsonIdentifier(token.text));
            }
            Kind::StructField => Node::StructField(token.text),
            Kind::StructIndexField => Node::StructIndexField(token.text),
            Kind::StructSubField => Node::StructSubField(token.text),
            Kind::LeftBrace => {
                let name = self.expect(Kind::Identifier)?.text;
                self.expect(Kind::RightBrace)?;
                Node::Template(name)
            }
            Kind::LeftParen => {
                let mut inner = self.expression(level::LOWEST)?;
                self.expect(Kind::RightParen)?;
                inner.in_parens = true;
                (inner.start, inner.end) = (start, self.at);
                return Ok(inner);
            }
            Kind::LeftBracket => Node::Array(self.list(Kind::RightBracket)?),
            Kind::EmptyArray => Node::Array(Vec::new()),
            Kind::Exists => Node::Exists(Box::new(self.expression(level::EXISTS)?)),
            Kind::Add => self.unary(UnaryOp::Plus)?,
            Kind::Subtract => self.unary(UnaryOp::Minus)?,
            Kind::BitNot => self.unary(UnaryOp::BitNot)?,
            Kind::Not => self.unary(UnaryOp::Not)?,
            Kind::Iso => self.timestamptz_reversed()?,
            _ => self.function(token)?,
        };
        self.finish(start, node)
    }

    fn unary(&mut self, op: UnaryOp) -> Result<Node<'a>> {
        Ok(Node::Unary(op, Box::new(self.expression(level::UNARY)?)))
    }

    /// A field, a call, a null test or a comparison of times, `name` being taken already.
    fn identifier(&mut self, start: usize, name: Token<'a>) -> Result<Expr<'a>> {
        if self.kind() == Kind::LeftParen {
            self.at += 1;
            let args = if self.kind() == Kind::RightParen {
                self.at += 1;
                Vec::new()
            } else {
                self.list(Kind::RightParen)?
            };
            return self.finish(start, Node::Call { name: name.text, args });
        }
        let plain = compare_op(self.kind()).is_some() && self.kind_at(1) == Kind::Iso;
        let moved =
            matches!(self.kind(), Kind::Add | Kind::Subtract) && self.kind_at(1) == Kind::Interval;
        if plain || moved {
            let interval = self.interval()?;
            let op = self.compare_op()?;
            self.expect(Kind::Iso)?;
            let time = self.expect(Kind::String)?.text;
            let node = Node::Timestamptz(Timestamptz { field: name.text, op, interval, time });
            return self.finish(start, node);
        }
        self.null_test(start, Node::Identifier(name.text))
    }

    fn timestamptz_reversed(&mut self) -> Result<Node<'a>> {
        let time = self.expect(Kind::String)?.text;
        let op = self.compare_op()?.reversed();
        let field = self.expect(Kind::Identifier)?.text;
        let interval = self.interval()?;
        Ok(Node::Timestamptz(Timestamptz { field, op, interval, time }))
    }

    fn interval(&mut self) -> Result<Option<(ArithOp, &'a str)>> {
        let sign = match self.kind() {
            Kind::Add if self.kind_at(1) == Kind::Interval => ArithOp::Add,
            Kind::Subtract if self.kind_at(1) == Kind::Interval => ArithOp::Subtract,
            _ => return Ok(None),
        };
        self.at += 2;
        Ok(Some((sign, self.expect(Kind::String)?.text)))
    }

    fn compare_op(&mut self) -> Result<CompareOp> {
        let op = compare_op(self.kind()).ok_or_else(|| {
            self.unexpected(&[
                Kind::Less,
                Kind::LessEqual,
                Kind::Greater,
                Kind::GreaterEqual,
                Kind::Equal,
                Kind::NotEqual,
            ])
        })?;
        self.at += 1;
        Ok(op)
    }

    fn null_test(&mut self, start: usize, subject: Node<'a>) -> Result<Expr<'a>> {
        let subject = self.finish(start, subject)?;
        let negated = match self.kind() {
            Kind::IsNull => false,
            Kind::IsNotNull => true,
            _ => return Ok(subject),
        };
        self.at += 1;
        self.finish(start, Node::IsNull { subject: Box::new(subject), negated })
    }

    fn function(&mut self, token: Token<'a>) -> Result<Node<'a>> {
        self.expect(Kind::LeftParen)?;
        let node = match token.kind {
            Kind::TextMatch => self.text_match()?,
            Kind::PhraseMatch => self.phrase_match()?,
            Kind::RandomSample => Node::RandomSample(Box::new(self.expression(level::LOWEST)?)),
            Kind::ElementFilter => {
                let (field, predicate) = self.field_and_expression()?;
                Node::ElementFilter { field, predicate }
            }
            Kind::MatchAll => self.quantified(Quantifier::All)?,
            Kind::MatchAny => self.quantified(Quantifier::Any)?,
            Kind::MatchLeast => self.quantified(Quantifier::Least)?,
            Kind::MatchMost => self.quantified(Quantifier::Most)?,
            Kind::MatchExact => self.quantified(Quantifier::Exact)?,
            Kind::JsonContains | Kind::ArrayContains => self.contains(ContainsOp::One)?,
            Kind::JsonContainsAll | Kind::ArrayContainsAll => self.contains(ContainsOp::All)?,
            Kind::JsonContainsAny | Kind::ArrayContainsAny => self.contains(ContainsOp::Any)?,
            Kind::ArrayLength => self.array_length()?,
            Kind::StIsValid => Node::IsValid { field: self.expect(Kind::Identifier)?.text },
            Kind::StDWithin => {
                let (field, wkt) = self.field_and_expression()?;
                self.expect(Kind::Comma)?;
                let distance = self.expression(level::LOWEST)?;
                Node::DWithin { field, operands: Box::new([*wkt, distance]) }
            }
            _ => {
                let (field, wkt) = self.field_and_expression()?;
                Node::Spatial { function: token.text, field, wkt }
            }
        };
        self.expect(Kind::RightParen)?;
        Ok(node)
    }

    fn field_and_expression(&mut self) -> Result<(&'a str, Box<Expr<'a>>)> {
        let field = self.expect(Kind::Identifier)?.text;
        self.expect(Kind::Comma)?;
        Ok((field, Box::new(self.expression(level::LOWEST)?)))
    }

    fn text_match(&mut self) -> Result<Node<'a>> {
        let (field, query) = self.field_and_expression()?;
        let mut minimum = None;
        if self.kind() == Kind::Comma {
            self.at += 1;
            self.expect(Kind::MinimumShouldMatch)?;
            self.expect(Kind::Assign)?;
            minimum = Some(self.expect(Kind::Integer)?.text);
        }
        Ok(Node::TextMatch { field, query, minimum })
    }

    fn phrase_match(&mut self) -> Result<Node<'a>> {
        let (field, query) = self.field_and_expression()?;
        let mut slop = None;
        if self.kind() == Kind::Comma {
            self.at += 1;
            slop = Some(Box::new(self.expression(level::LOWEST)?));
        }
        Ok(Node::PhraseMatch { field, query, slop })
    }

    fn quantified(&mut self, quantifier: Quantifier) -> Result<Node<'a>> {
        let (field, predicate) = self.field_and_expression()?;
        let mut threshold = None;
        if matches!(quantifier, Quantifier::Least | Quantifier::Most | Quantifier::Exact) {
            self.expect(Kind::Comma)?;
            self.expect(Kind::Threshold)?;
            self.expect(Kind::Assign)?;
            threshold = Some(self.expect(Kind::Integer)?.text);
        }
        Ok(Node::Match { quantifier, field, predicate, threshold })
    }

    fn contains(&mut self, op: ContainsOp) -> Result<Node<'a>> {
        let subject = self.expression(level::LOWEST)?;
        self.expect(Kind::Comma)?;
        let element = self.expression(level::LOWEST)?;
        Ok(Node::Contains { op, operands: Box::new([subject, element]) })
    }

    fn array_length(&mut self) -> Result<Node<'a>> {
        let kinds = &[Kind::Identifier, Kind::JsonIdentifier, Kind::StructField];
        if !kinds.contains(&self.kind()) {
            return Err(self.unexpected(kinds));
        }
        let subject = self.subject();
        self.at += 1;
        Ok(Node::ArrayLength(Box::new(subject)))
    }

    /// The field or path that the current token is.
    fn subject(&self) -> Expr<'a> {
        let token = self.token_at(0);
        let node = match token.kind {
            Kind::JsonIdentifier => Node::JsonIdentifier(token.text),
            Kind::StructSubField => Node::StructSubField(token.text),
            Kind::StructIndexField => Node::StructIndexField(token.text),
            Kind::StructField => Node::StructField(token.text),
            _ => Node::Identifier(token.text),
        };
        Expr { node, start: self.at, end: self.at + 1, height: 1, in_parens: false }
    }

    /// Expressions up to `close`, which is taken; one comma may stand before it.
    fn list(&mut self, close: Kind) -> Result<Vec<Expr<'a>>> {
        let mut elements = vec![self.expression(level::LOWEST)?];
        loop {
            match self.kind() {
                kind if kind == close => break,
                Kind::Comma if self.kind_at(1) == close => {
                    self.at += 1;
                    break;
                }
                Kind::Comma => {
                    self.at += 1;
                    elements.push(self.expression(level::LOWEST)?);
                }
                _ => return Err(self.unexpected(&[Kind::Comma, close])),
            }
        }
        self.at += 1;
        Ok(elements)
    }

    fn finish(&self, start: usize, node: Node<'a>) -> Result<Expr<'a>> {
        let height = 1 + height_within(&node);
        self.finish_at(start, node, height)
    }

    fn finish_at(&self, start: usize, node: Node<'a>, height: usize) -> Result<Expr<'a>> {
        if height > MAX_DEPTH {
            return Err(SyntaxError::TooDeep { limit: MAX_DEPTH });
        }
        Ok(Expr { node, start, end: self.at, height, in_parens: false })
    }

    fn kind(&self) -> Kind {
        self.kind_at(0)
    }

    fn kind_at(&self, ahead: usize) -> Kind {
        self.tokens.get(self.at + ahead).map_or(Kind::End, |token| token.kind)
    }

    fn token_at(&self, ahead: usize) -> Token<'a> {
        let end = Token { kind: Kind::End, text: "", line: 1, column: 0 };
        let token = self.tokens.get(self.at + ahead).or_else(|| self.tokens.last());
        token.copied().unwrap_or(end)
    }

    fn next(&mut self) -> Token<'a> {
        let token = self.token_at(0);
        self.at += 1;
        token
    }

    fn expect(&mut self, kind: Kind) -> Result<Token<'a>> {
        if self.kind() == kind {
            return Ok(self.next());
        }
        if kind == Kind::RightParen && self.kind() == Kind::End {
            let token = self.token_at(0);
            let what = format!("missing {} at {}", kind.display(), token.quoted());
            return Err(SyntaxError::Unexpected { line: token.line, column: token.column, what });
        }
        Err(self.unexpected(&[kind]))
    }

    /// The current token is none of `expected`.
    fn unexpected(&self, expected: &[Kind]) -> SyntaxError {
        let token = self.token_at(0);
        let extraneous = token.kind != Kind::End && expected.contains(&self.kind_at(1));
        let verdict = if extraneous { "extraneous" } else { "mismatched" };
        let names: Vec<_> = expected.iter().map(|kind| kind.display()).collect();
        let names = match names.as_slice() {
            [name] => (*name).to_owned(),
            names => format!("{{{}}}", names.join(", ")),
        };
        let what = format!("{verdict} input {} expecting {names}", token.quoted());
        SyntaxError::Unexpected { line: token.line, column: token.column, what }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    And,
    Or,
    Range(CompareOp, CompareOp),
    Binary(BinaryOp),
}

/// `left and right`, where a `left` that is such a chain itself is made longer.
fn chain<'a>(op: Operator, left: Expr<'a>, right: Expr<'a>) -> Node<'a> {
    let (node, is_and) = (left.node, op == Operator::And);
    match node {
        Node::And(mut operands) if is_and && !left.in_parens => {
            operands.push(right);
            Node::And(operands)
        }
        Node::Or(mut operands) if !is_and && !left.in_parens => {
            operands.push(right);
            Node::Or(operands)
        }
        node => {
            let operands = vec![Expr { node, ..left }, right];
            if is_and { Node::And(operands) } else { Node::Or(operands) }
        }
    }
}

fn compare_op(kind: Kind) -> Option<CompareOp> {
    Some(match kind {
        Kind::Less => CompareOp::Less,
        Kind::LessEqual => CompareOp::LessEqual,
        Kind::Greater => CompareOp::Greater,
        Kind::GreaterEqual => CompareOp::GreaterEqual,
        Kind::Equal => CompareOp::Equal,
        Kind::NotEqual => CompareOp::NotEqual,
        _ => return None,
    })
}

fn height_within(node: &Node<'_>) -> usize {
    let highest = |exprs: &[Expr<'_>]| exprs.iter().map(|expr| expr.height).max().unwrap_or(0);
    match node {
        Node::Integer(_)
        | Node::Floating(_)
        | Node::Boolean(_)
        | Node::String(_)
        | Node::Identifier(_)
        | Node::JsonIdentifier(_)
        | Node::StructField(_)
        | Node::StructIndexField(_)
        | Node::StructSubField(_)
        | Node::Template(_)
        | Node::Timestamptz(_)
        | Node::IsValid { .. } => 0,
        Node::Array(exprs) | Node::And(exprs) | Node::Or(exprs) => highest(exprs),
        Node::Call { args, .. } => highest(args),
        Node::Unary(_, expr)
        | Node::Exists(expr)
        | Node::RandomSample(expr)
        | Node::ArrayLength(expr)
        | Node::IsNull { subject: expr, .. }
        | Node::TextMatch { query: expr, .. }
        | Node::ElementFilter { predicate: expr, .. }
        | Node::Match { predicate: expr, .. }
        | Node::Spatial { wkt: expr, .. } => expr.height,
        Node::Binary(_, operands)
        | Node::Contains { operands, .. }
        | Node::DWithin { operands, .. } => highest(&**operands),
        Node::Range(_, operands) => highest(&**operands),
        Node::PhraseMatch { query, slop, .. } => {
            query.height.max(slop.as_ref().map_or(0, |slop| slop.height))
        }
    }
}
