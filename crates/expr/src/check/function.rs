//! Functions: text matching, samples, elements of structs, geometry, time, and those called by name.

use milvus_types::DataType;
use milvus_values::timestamptz::{self, Interval};

use crate::ast::{ArithOp, CompareOp, Expr, Node, Quantifier, Timestamptz};
use crate::column::{self, Column};
use crate::error::{FunctionNotFound, PlanError, TypeError};
use crate::eval::{Function, Spatial};
use crate::literal::{self, Literal};
use crate::pattern::Pattern;
use crate::predicate::{Operand, Predicate};

use super::typed::Typed;
use super::{Checker, Result, in_template, not_boolean};

/// How near to 0 or 1 a sample's factor may not be.
const SAMPLE_MARGIN: f64 = 1e-10;

impl<'e, 'a> Checker<'e, 'a> {
    pub(super) fn function(&mut self, expr: &'e Expr<'a>) -> Result<Predicate> {
        match &expr.node {
            Node::TextMatch { field, query, minimum } => self.text_match(field, query, *minimum),
            Node::PhraseMatch { field, query, slop } => {
                self.phrase_match(field, query, slop.as_deref())
            }
            Node::RandomSample(factor) => self.random_sample(factor),
            Node::ElementFilter { field, predicate } => {
                let field: &'a str = field;
                let (first, element) =
                    self.element("ElementFilter", "element", field, predicate)?;
                Ok(Predicate::ElementFilter {
                    field: field.into(),
                    first,
                    element,
                    predicate: None,
                })
            }
            Node::Match { quantifier, field, predicate, threshold } => {
                let field: &'a str = field;
                let threshold = self.threshold(*quantifier, *threshold)?;
                let (first, element) =
                    self.element(quantifier.name(), "predicate", field, predicate)?;
                let (quantifier, field) = (*quantifier, field.into());
                Ok(Predicate::MatchElements { quantifier, field, first, element, threshold })
            }
            Node::Spatial { function, field, wkt } => {
                let column = self.geometry(field, "spatial", expr)?;
                let function = spatial_function(function)
                    .ok_or_else(|| TypeError::Unsupported { text: self.parsed.text(expr) })?;
                Ok(Predicate::Spatial { column, test: self.spatial(function, wkt)? })
            }
            Node::DWithin { field, operands } => {
                let [wkt, distance] = &**operands;
                let column = self.geometry(field, "ST_DWITHIN", expr)?;
                let metres = self.distance(distance)?;
                let test = self.spatial(Function::DWithin { metres }, wkt)?;
                if !test.is_point() {
                    let wkt = self.string_or_template(wkt, "WKT string", "GIS WKT")?.0.into();
                    return Err(TypeError::NotPoint { wkt }.into());
                }
                Ok(Predicate::Spatial { column, test })
            }
            Node::IsValid { field } => {
                let column = self.geometry(field, "STIsValid", expr)?;
                Ok(Predicate::Spatial { column, test: Spatial::is_valid() })
            }
            Node::Timestamptz(comparison) => self.timestamptz(comparison),
            Node::Call { name, args } => self.call(name, args),
            _ => Err(TypeError::Unsupported { text: self.parsed.text(expr) }.into()),
        }
    }

    /// The string field `name` that texts can be matched against.
    fn matchable(&self, name: &str, op: &'static str) -> Result<Column, TypeError> {
        let column = column::identifier(self.schema, name, true)?;
        if !column.data_type.is_string() {
            return Err(TypeError::TextMatchType { op });
        }
        let enabled = self
            .schema
            .field_by_id(column.field)
            .and_then(|field| field.type_param("enable_match"))
            .is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if !enabled {
            return Err(TypeError::MatchNotEnabled { name: name.to_owned() });
        }
        Ok(column)
    }

    fn text_match(
        &mut self,
        field: &str,
        query: &'e Expr<'a>,
        minimum: Option<&str>,
    ) -> Result<Predicate> {
        let column = self.matchable(field, "text")?;
        let (query, _) = self.string_or_template(query, "text_match query", "text_match")?;
        let minimum = minimum.map(minimum_should_match).transpose()?;
        Ok(Predicate::TextMatch { column, query, minimum })
    }

    fn phrase_match(
        &mut self,
        field: &str,
        query: &'e Expr<'a>,
        slop: Option<&'e Expr<'a>>,
    ) -> Result<Predicate> {
        let column = self.matchable(field, "phrase")?;
        let (query, _) = self.string_or_template(query, "phrase_match query", "phrase_match")?;
        let Some(expr) = slop else {
            return Ok(Predicate::PhraseMatch { column, query, slop: 0 });
        };
        let text = self.parsed.text(expr);
        let slop = match self.visit(expr)? {
            Typed::Literal(Literal::Int64(slop)) => slop,
            _ => return Err(TypeError::SlopType { text }.into()),
        };
        if slop < 0 {
            return Err(TypeError::SlopNegative { text }.into());
        }
        if slop > i64::from(u32::MAX) {
            return Err(TypeError::SlopRange { text }.into());
        }
        Ok(Predicate::PhraseMatch { column, query, slop })
    }

    fn random_sample(&mut self, expr: &'e Expr<'a>) -> Result<Predicate> {
        let text = self.parsed.text(expr);
        let factor = match self.visit(expr)? {
            Typed::Literal(Literal::Double(factor)) => factor,
            Typed::Literal(_) => return Err(TypeError::SampleFactorRange { text }.into()),
            _ => return Err(TypeError::SampleFactorType { text }.into()),
        };
        if factor <= SAMPLE_MARGIN || factor >= 1.0 - SAMPLE_MARGIN {
            return Err(TypeError::SampleFactorRange { text }.into());
        }
        Ok(Predicate::RandomSample { factor, seed: self.options.seed, predicate: None })
    }

    /// The condition `expr` on the elements of struct array `field`, and the sub-field that counts
    /// them.
    fn element(
        &mut self,
        op: &'static str,
        what: &'static str,
        field: &'a str,
        expr: &'e Expr<'a>,
    ) -> Result<(Column, Box<Predicate>)> {
        if let Some((outer, field)) = self.outer {
            let field = field.to_owned();
            return Err(TypeError::NestedElementFilter { op, outer, field }.into());
        }
        self.outer = Some((op, field));
        let visited = self.visit(expr);
        self.outer = None;
        let text = self.parsed.text(expr);
        let cause = match visited {
            Ok(Typed::Predicate(predicate)) => {
                let first = self.first_sub_field(field, &predicate)?;
                return Ok((first, Box::new(predicate)));
            }
            Ok(Typed::Literal(Literal::Bool(value))) => {
                let predicate = Predicate::Constant(value);
                return Ok((self.first_sub_field(field, &predicate)?, Box::new(predicate)));
            }
            Ok(other) => not_boolean(&text, &other).into(),
            Err(error) => error,
        };
        Err(TypeError::ElementExpression { what, text, cause: Box::new(cause) }.into())
    }

    /// The sub-field of struct array `field` that says how many elements a row has: one the condition
    /// reads, or else the struct's first.
    fn first_sub_field(&self, field: &str, predicate: &Predicate) -> Result<Column, TypeError> {
        let mut read = None;
        predicate.visit_columns(&mut |column| {
            if column.is_element {
                read.get_or_insert(column.field);
            }
        });
        let read = read.and_then(|id| self.schema.field_by_id(id));
        match read.or_else(|| self.schema.sub_fields(field).next()) {
            Some(sub_field) => Ok(Column::whole(sub_field)),
            None => Err(TypeError::FieldNotExist { name: field.to_owned() }),
        }
    }

    fn spatial(&mut self, function: Function, wkt: &'e Expr<'a>) -> Result<Spatial> {
        let (wkt, is_template) = self.string_or_template(wkt, "WKT string", "GIS WKT")?;
        Spatial::new(function, &wkt).map_err(|cause| {
            let error = TypeError::Wkt { cause };
            if is_template { in_template(error) } else { error.into() }
        })
    }

    /// A function by its name: `empty(text)` and `starts_with(text, prefix)`.
    fn call(&mut self, name: &str, args: &'e [Expr<'a>]) -> Result<Predicate> {
        let name = name.to_lowercase();
        let args = args.iter().map(|arg| self.visit(arg)).collect::<Result<Vec<_>>>()?;
        let types: Vec<_> = args.iter().map(|arg| signature_name(arg.operand_type())).collect();
        let not_found = || {
            PlanError::from(FunctionNotFound { signature: format!("{name}({})", types.join(", ")) })
        };
        let operands: Option<Vec<_>> = args.iter().map(text_operand).collect();
        let mut operands = operands.ok_or_else(not_found)?.into_iter();
        let operands = (operands.next(), operands.next(), operands.next());
        match (name.as_str(), operands) {
            ("empty", (Some(Operand::Text(text)), None, None)) => {
                Ok(Predicate::Constant(text.is_empty()))
            }
            ("empty", (Some(Operand::Column(column)), None, None)) => {
                let (op, value) = (CompareOp::Equal, Literal::VarChar("".into()));
                Ok(Predicate::Compare { column, op, value })
            }
            ("starts_with", (Some(text), Some(prefix), None)) => Ok(match (text, prefix) {
                (Operand::Text(text), Operand::Text(prefix)) => {
                    Predicate::Constant(text.starts_with(&*prefix))
                }
                (Operand::Column(column), Operand::Text(prefix)) => {
                    Predicate::Match { column, pattern: Pattern::Prefix(prefix) }
                }
                (text, Operand::Column(prefix)) => Predicate::StartsWith { text, prefix },
            }),
            _ => Err(not_found()),
        }
    }

    fn threshold(&self, quantifier: Quantifier, threshold: Option<&str>) -> Result<i64, TypeError> {
        let Some(text) = threshold else { return Ok(0) };
        let value: i64 =
            text.parse().map_err(|_| TypeError::ThresholdRange { value: text.to_owned() })?;
        if quantifier == Quantifier::Least && value <= 0 {
            return Err(TypeError::ThresholdNotPositive { op: quantifier.name(), value });
        }
        Ok(value)
    }

    fn geometry(&self, name: &str, op: &'static str, expr: &Expr<'a>) -> Result<Column, TypeError> {
        let column = column::identifier(self.schema, name, false)?;
        if column.data_type != DataType::Geometry {
            return Err(TypeError::SpatialType { op, text: self.parsed.text(expr) });
        }
        Ok(column)
    }

    fn distance(&mut self, expr: &'e Expr<'a>) -> Result<f64> {
        let distance = match self.visit(expr)? {
            Typed::Literal(value) => value.as_f64(),
            _ => None,
        };
        let distance =
            distance.ok_or_else(|| TypeError::DistanceType { text: self.parsed.text(expr) })?;
        if distance < 0.0 {
            let value = format!("{distance:.6}");
            return Err(TypeError::DistanceNegative { value }.into());
        }
        Ok(distance)
    }

    fn timestamptz(&self, comparison: &Timestamptz<'a>) -> Result<Predicate> {
        let name = comparison.field;
        let column = column::identifier(self.schema, name, false)
            .map_err(|_| TypeError::TimestamptzField { name: name.to_owned() })?;
        if column.data_type != DataType::Timestamptz {
            return Err(TypeError::TimestamptzType { name: name.to_owned() }.into());
        }
        let text = literal::string(comparison.time)?;
        let time = timestamptz::parse(&text, &self.options.zone)
            .map_err(|cause| TypeError::Timestamp { cause })?;
        let op = comparison.op;
        let Some((sign, token)) = comparison.interval else {
            return Ok(Predicate::Compare { column, op, value: Literal::Int64(time) });
        };
        let text = literal::string(token)?;
        let interval = Interval::parse(&text)
            .ok_or_else(|| TypeError::Duration { text: text.clone().into() })?;
        let interval = if sign == ArithOp::Subtract { interval.negated() } else { interval };
        match interval.fixed_micros().and_then(|fixed| time.checked_sub(fixed)) {
            Some(time) => Ok(Predicate::Compare { column, op, value: Literal::Int64(time) }),
            None => Ok(Predicate::Timestamptz { column, interval, op, time }),
        }
    }
}

/// A string argument of a function called by name.
fn text_operand(arg: &Typed) -> Option<Operand> {
    match arg {
        Typed::Literal(Literal::VarChar(text)) => Some(Operand::Text(text.clone())),
        Typed::Column(column) if column.value_type() == DataType::VarChar => {
            Some(Operand::Column(column.clone()))
        }
        _ => None,
    }
}

fn spatial_function(name: &str) -> Option<Function> {
    Some(match name.to_lowercase().as_str() {
        "st_equals" => Function::Equals,
        "st_touches" => Function::Touches,
        "st_overlaps" => Function::Overlaps,
        "st_crosses" => Function::Crosses,
        "st_contains" => Function::Contains,
        "st_intersects" => Function::Intersects,
        "st_within" => Function::Within,
        _ => return None,
    })
}

fn minimum_should_match(text: &str) -> Result<i64, TypeError> {
    let value = literal::integer(text)
        .map_err(|_| TypeError::MinimumShouldMatch { value: text.to_owned() })?;
    match value {
        ..1 => Err(TypeError::MinimumShouldMatchLow { value }),
        1..=1000 => Ok(value),
        1001.. => Err(TypeError::MinimumShouldMatchHigh { value }),
    }
}

/// What a function's signature calls a type, in the message about one that does not exist.
fn signature_name(data_type: Option<DataType>) -> &'static str {
    match data_type {
        None => "none",
        Some(DataType::Bool) => "bool",
        Some(DataType::Int8) => "int8_t",
        Some(DataType::Int16) => "int16_t",
        Some(DataType::Int32) => "int32_t",
        Some(DataType::Int64) => "int64_t",
        Some(DataType::Float) => "float",
        Some(DataType::Double) => "double",
        Some(DataType::Timestamptz) => "timestamptz",
        Some(DataType::String) => "string",
        Some(DataType::VarChar) => "varChar",
        Some(DataType::Array) => "array",
        Some(DataType::JSON) => "json",
        Some(DataType::Geometry) => "geometry",
        Some(other) => other.name(),
    }
}
