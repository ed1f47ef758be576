//! Everything a filter can be refused for, in Milvus's words where clients match on them.
//!
//! `Display` gives the cause alone; [`PlanError::message`] puts it in Milvus's frame.

use arrow::datatypes::DataType as ArrowType;
use milvus_types::{Coded, ErrorCode};

/// Why a text is not a filter of a schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The text is not in the grammar.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// The parts do not fit together or the schema.
    #[error(transparent)]
    Type(#[from] TypeError),
    /// A template variable has no fitting value.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The whole is a value, not a condition.
    #[error(transparent)]
    NotBoolean(#[from] NotBoolean),
    /// There is no such function.
    #[error(transparent)]
    FunctionNotFound(#[from] FunctionNotFound),
    /// Sound, but not evaluated by this version.
    #[error(transparent)]
    NotSupported(#[from] NotSupported),
}

impl PlanError {
    /// The text Milvus answers with for filter `expression`, before the caller's own
    /// `failed to create query plan: `.
    pub fn message(&self, expression: &str) -> String {
        match self {
            Self::Syntax(_) | Self::Type(_) | Self::NotSupported(_) => {
                format!("cannot parse expression: {expression}, error: {self}")
            }
            Self::Template(_) | Self::NotBoolean(_) | Self::FunctionNotFound(_) => self.to_string(),
        }
    }
}

impl Coded for PlanError {
    fn code(&self) -> ErrorCode {
        ErrorCode::ParameterInvalid
    }
}

/// A text outside the grammar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// A token, or a character, where it cannot stand.
    #[error("line {line}:{column} {what}")]
    Unexpected {
        /// Counted from one.
        line: u32,
        /// Counted from zero, in characters.
        column: u32,
        /// What was met and what was expected.
        what: String,
    },
    /// A complete expression with something after it.
    #[error("invalid expression: {expression}")]
    TrailingInput {
        /// The whole text.
        expression: String,
    },
    /// More operators within operators than the stack should bear.
    #[error("expression is nested too deeply, at most {limit} levels are allowed")]
    TooDeep {
        /// The most levels.
        limit: usize,
    },
}

/// A template variable without a fitting value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's text says what it is")]
pub enum TemplateError {
    #[error("the value of expression template variable name {{{name}}} is not found")]
    NotFound { name: String },
    #[error("the lower value of expression template variable name {{{name}}} is not found")]
    LowerNotFound { name: String },
    #[error("the upper value of expression template variable name {{{name}}} is not found")]
    UpperNotFound { name: String },
    #[error("the right operand value of expression template variable name {{{name}}} is not found")]
    OperandNotFound { name: String },
    #[error("the value of term expression template variable {{{name}}} is not array")]
    NotArray { name: String },
    #[error("the value of {what} expression template variable {{{name}}} is not string")]
    NotString { what: &'static str, name: String },
    #[error("the value of expression template variable {{{name}}} is not valid JSON")]
    NotJson { name: String },
    #[error(transparent)]
    Type(#[from] Box<TypeError>),
}

/// A whole that is a value, not a condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("predicate is not a boolean expression: {expression}, data type: {data_type}")]
pub struct NotBoolean {
    /// The text.
    pub expression: String,
    /// What it is instead.
    pub data_type: String,
}

/// A function that is not among those called by name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("function {signature} not found.")]
pub struct FunctionNotFound {
    /// Its name and the types of its arguments.
    pub signature: String,
}

/// A sound filter that this version does not evaluate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is not supported yet")]
pub struct NotSupported {
    /// The operation or the kind of field.
    pub what: String,
}

/// Parts that do not fit together or the schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's text says what it is")]
pub enum TypeError {
    // Names.
    #[error("field {name} not exist")]
    FieldNotExist { name: String },
    #[error("filter on text field ({name}) is not supported yet")]
    TextField { name: String },
    #[error("{data_type} data type not supported accessed with []")]
    NotSubscriptable { data_type: String },
    #[error("invalid identifier: {identifier}")]
    InvalidIdentifier { identifier: String },
    #[error("can only access array field with integer index")]
    ArrayIndexNotInteger,
    #[error("json key must be enclosed in double quotes or single quotes: \"{key}\"")]
    UnquotedKey { key: String },
    #[error("struct field not found: {name}, error: field {name} not exist")]
    StructFieldNotFound { name: String },
    #[error("array field not found: {name}, error: field {name} not exist")]
    ArrayFieldNotFound { name: String },
    #[error("$[{name}] syntax can only be used inside ElementFilter or MATCH_*")]
    SubFieldOutside { name: String },

    // Literals.
    #[error("strconv.ParseInt: parsing \"{literal}\": value out of range")]
    IntegerRange { literal: String },
    #[error("int64 overflow: {literal}")]
    Int64Overflow { literal: String },
    #[error("strconv.ParseFloat: parsing \"{literal}\": value out of range")]
    FloatRange { literal: String },
    #[error("invalid syntax")]
    StringEscape,
    #[error("array element type must be generic value, but got: {got}")]
    ArrayElement { got: String },

    // Constants.
    #[error("placeholder was not supported between two constants with operator: {op}")]
    PlaceholderBetweenConstants { op: &'static str },
    #[error("{op} cannot apply on {kind} field")]
    ConstantArithmetic { op: &'static str, kind: &'static str },
    #[error("modulo can only apply on integer")]
    ConstantModulo,
    #[error("cannot divide by zero")]
    ConstantDivideByZero,
    #[error("cannot modulo by zero")]
    ConstantModuloByZero,
    #[error("{op} can only apply on boolean")]
    ConstantLogic { op: &'static str },
    #[error("comparison operations cannot be applied to two incompatible operands: {text}")]
    IncompatibleConstants { text: String },
    #[error("power can only apply on constants: {text}")]
    PowerOfField { text: String },
    #[error("unsupported expression: {text}")]
    Unsupported { text: String },

    // Comparison.
    #[error("comparisons between {left} and {right} are not supported")]
    NotComparable { left: String, right: String },
    #[error("cannot cast value to {data_type}, value: {value}")]
    Cast { data_type: String, value: String },
    #[error("can not comparisons array fields directly")]
    WholeArray,
    #[error("can not comparisons array directly")]
    ArrayOperand,
    #[error("not supported to combine multiple fields")]
    CombinedFields,
    #[error("only comparison between two fields is supported")]
    NotTwoFields,
    #[error("two column comparison with JSON type is not supported")]
    TwoJsonColumns,
    #[error("invalid range operations")]
    RangeType,
    #[error("invalid range operations on boolean expr")]
    RangeOnBool,
    #[error("invalid range: lowerbound is greater than upperbound")]
    EmptyRange,
    #[error("lowerbound cannot be a non-const expression: {text}")]
    LowerNotConstant { text: String },
    #[error("upperbound cannot be a non-const expression: {text}")]
    UpperNotConstant { text: String },

    // Arithmetic.
    #[error("'{op}' cannot perform arithmetic between {left} field and {right}")]
    Arithmetic { op: &'static str, left: String, right: String },
    #[error("incompatible data type, {left}, {right}")]
    IncompatibleTypes { left: String, right: String },
    #[error("modulo can only apply on integer types")]
    Modulo,
    #[error("division or modulus by zero")]
    DivisionByZero,
    #[error("not supported to do arithmetic operations between multiple fields")]
    ArithmeticOfFields,
    #[error("module field is not yet supported")]
    ConstantFirst,
    #[error("complicated arithmetic operations are not supported")]
    ComplicatedArithmetic,
    #[error("invalid arithmetic expression, left: {left}, op: {op}, right: {right}")]
    InvalidArithmetic { left: String, op: &'static str, right: String },
    #[error("{op} is not supported: {text}")]
    BitOperation { op: &'static str, text: String },

    // Logic.
    #[error("unexpected op: {op}")]
    UnexpectedOp { op: &'static str },
    #[error("not op can only be applied on boolean expression")]
    NotOfValue,
    #[error("'{op}' can only be used between boolean expressions")]
    LogicOfValues { op: &'static str },
    #[error("random sample expression cannot be used in {place} expression")]
    RandomSamplePlace { place: &'static str },
    #[error(
        "random sample expression can only be the last expression in the logical and expression"
    )]
    RandomSampleNotLast,
    #[error("element filter expression cannot be used in unary expression")]
    ElementFilterInUnary,
    #[error(
        "element filter expression can only be the last expression in the logical {op} expression"
    )]
    ElementFilterNotLast { op: &'static str },

    // `in`.
    #[error("'term' can only be used on non-const expression, but got: {text}")]
    TermOfConstant { text: String },
    #[error("'term' can only be used on single field, but got: {text}")]
    TermOfExpression { text: String },
    #[error("value '{text}' in list cannot be a non-const expression")]
    TermNotConstant { text: String },
    #[error("the right-hand side of 'in' must be a list, but got: {text}")]
    TermNotList { text: String },
    #[error("value '{value}' in list cannot be casted to {data_type}")]
    TermCast { value: String, data_type: String },

    // Patterns.
    #[error("{op} on complicated expr is unsupported")]
    MatchOfExpression { op: &'static str },
    #[error("like operation on non-string or no-json field is unsupported")]
    LikeType,
    #[error("regex match on non-string or non-json field is unsupported")]
    RegexType,
    #[error("{what} should be a string literal or template variable, got: {text}")]
    NotStringLiteral { what: &'static str, text: String },
    #[error("invalid regex pattern: {cause}")]
    Regex { cause: String },
    #[error("invalid like pattern: trailing backslash has nothing to escape")]
    LikeTrailingBackslash,

    // JSON.
    #[error("exists operations are only supported on single fields now, got: {text}")]
    ExistsOfExpression { text: String },
    #[error("exists operations are only supportted on json field, got:{data_type}")]
    ExistsType { data_type: String },
    #[error("exists operations are only supportted on json key")]
    ExistsWithoutKey,
    #[error("IsNull/IsNotNull operations are not supported on vector fields")]
    NullOfVector,
    #[error("IsNull/IsNotNull operations are not supported on array element access, got: {text}")]
    NullOfElement { text: String },
    #[error("{op} operation are only supported on json or array fields now, got: {text}")]
    ContainsType { op: &'static str, text: String },
    #[error("{op} operation are only supported explicitly specified element, got: {text}")]
    ContainsElement { op: &'static str, text: String },
    #[error("{op} operation element must be an array")]
    ContainsNotArray { op: &'static str },
    #[error("{op} operation can't compare between array element type: {left} and {right}")]
    ContainsElementType { op: &'static str, left: String, right: String },
    #[error(
        "array_length operation are only supported on json, array or array-of-vector fields now, \
         got: {text}"
    )]
    ArrayLengthType { text: String },

    // Functions.
    #[error("{op} match operation on non-string is unsupported")]
    TextMatchType { op: &'static str },
    #[error("field \"{name}\" does not enable match")]
    MatchNotEnabled { name: String },
    #[error("invalid minimum_should_match value: {value}")]
    MinimumShouldMatch { value: String },
    #[error("minimum_should_match should be >= 1, got {value}")]
    MinimumShouldMatchLow { value: i64 },
    #[error("minimum_should_match should be <= 1000, got {value}")]
    MinimumShouldMatchHigh { value: i64 },
    #[error(
        "\"slop\" should be a const integer expression with \"uint32\" value. \"slop\" expression \
         passed: {text}"
    )]
    SlopType { text: String },
    #[error("\"slop\" should not be a negative interger. \"slop\" passed: {text}")]
    SlopNegative { text: String },
    #[error("\"slop\" exceeds the range of \"uint32\". \"slop\" expression passed: {text}")]
    SlopRange { text: String },
    #[error("\"float factor\" should be a const float expression: \"float factor\" passed: {text}")]
    SampleFactorType { text: String },
    #[error(
        "the sample factor should be between 0 and 1 and not too close to 0 or 1(the difference \
         should be larger than 1e-10), but got {text}"
    )]
    SampleFactorRange { text: String },
    #[error("nested {op} is not supported, already inside {outer} for field: {field}")]
    NestedElementFilter { op: &'static str, outer: &'static str, field: String },
    #[error("cannot parse {what} expression: {text}, error: {cause}")]
    ElementExpression { what: &'static str, text: String, cause: Box<PlanError> },
    #[error("invalid count: {value}")]
    ThresholdRange { value: String },
    #[error("count in {op} must be positive, got: {value}")]
    ThresholdNotPositive { op: &'static str, value: i64 },
    #[error("{op} operation are only supported on geometry fields now, got: {text}")]
    SpatialType { op: &'static str, text: String },
    #[error("distance parameter must be a constant numeric value, got: {text}")]
    DistanceType { text: String },
    #[error("distance parameter must be non-negative, got: {value}")]
    DistanceNegative { value: String },
    #[error("can not translate identifier: {name}")]
    TimestamptzField { name: String },
    #[error("field '{name}' is not a timestamptz datatype")]
    TimestamptzType { name: String },
    #[error("invalid ISO 8601 duration: {text}")]
    Duration { text: String },
    #[error(transparent)]
    Timestamp { cause: milvus_values::timestamptz::TimestampError },
    #[error(transparent)]
    Wkt { cause: milvus_values::geometry::GeometryError },
    #[error("only supports POINT geometry: {wkt}")]
    NotPoint { wkt: String },
}

/// Why a plan could not run over a batch. Each is the caller's fault, not the user's.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EvaluateError {
    /// A column the plan reads is not there.
    #[error("column {column} is not in the batch")]
    MissingColumn {
        /// The column's name.
        column: String,
    },
    /// A column has another type than the schema said.
    #[error("column {column} has type {got}, want {want}")]
    ColumnType {
        /// The column's name.
        column: String,
        /// The batch's type.
        got: ArrowType,
        /// The Milvus type the plan was made for.
        want: milvus_types::DataType,
    },
    /// The sub-fields of a struct array have unequal numbers of elements in a row.
    #[error("column {column} has other numbers of elements than its struct's first")]
    ElementCount {
        /// The sub-field's column.
        column: String,
    },
    /// A stored geometry cannot be read.
    #[error("column {column} has a geometry that cannot be read: {cause}")]
    Geometry {
        /// The column's name.
        column: String,
        /// What is wrong with it.
        cause: milvus_values::geometry::GeometryError,
    },
    /// A kernel failed.
    #[error("arrow: {cause}")]
    Arrow {
        /// Its words.
        cause: String,
    },
}

impl Coded for EvaluateError {
    fn code(&self) -> ErrorCode {
        if matches!(self, Self::MissingColumn { .. }) {
            ErrorCode::FieldNotFound
        } else {
            ErrorCode::ServiceInternal
        }
    }
}
