//! Functions that are checked and not evaluated yet: text, elements of structs, geometry, time.

use milvus_types::DataType;

use crate::ast::{Expr, Node, Quantifier, Timestamptz};
use crate::column::{self, Column};
use crate::error::TypeError;
use crate::literal::{self, Literal};
use crate::predicate::{Interval, Predicate};

use super::typed::Typed;
use super::{Checker, Result, not_boolean};

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
                let element = self.element("ElementFilter", "element", field, predicate)?;
                Ok(Predicate::ElementFilter { field: field.into(), element, predicate: None })
            }
            Node::Match { quantifier, field, predicate, threshold } => {
                let field: &'a str = field;
                let threshold = self.threshold(*quantifier, *threshold)?;
                let element = self.element(quantifier.name(), "predicate", field, predicate)?;
                let (quantifier, field) = (*quantifier, field.into());
                Ok(Predicate::MatchElements { quantifier, field, element, threshold })
            }
            Node::Spatial { function, field, wkt } => {
                let column = self.geometry(field, "spatial", expr)?;
                let (wkt, _) = self.string_or_template(wkt, "WKT string", "GIS WKT")?;
                let function = function.to_lowercase().into();
                Ok(Predicate::Spatial { function, column, wkt: Some(wkt), distance: 0.0 })
            }
            Node::DWithin { field, operands } => {
                let [wkt, distance] = &**operands;
                let column = self.geometry(field, "ST_DWITHIN", expr)?;
                let (wkt, _) = self.string_or_template(wkt, "WKT string", "GIS WKT")?;
                let distance = self.distance(distance)?;
                let function = "st_dwithin".into();
                Ok(Predicate::Spatial { function, column, wkt: Some(wkt), distance })
            }
            Node::IsValid { field } => {
                let column = self.geometry(field, "STIsValid", expr)?;
                let function = "st_isvalid".into();
                Ok(Predicate::Spatial { function, column, wkt: None, distance: 0.0 })
            }
            Node::Timestamptz(comparison) => self.timestamptz(comparison),
            Node::Call { name, args } => {
                for arg in args {
                    self.visit(arg)?;
                }
                Ok(Predicate::Call { name: name.to_lowercase().into(), args: args.len() })
            }
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
        Ok(Predicate::RandomSample { factor, predicate: None })
    }

    /// The condition `expr` on the elements of struct array `field`.
    fn element(
        &mut self,
        op: &'static str,
        what: &'static str,
        field: &'a str,
        expr: &'e Expr<'a>,
    ) -> Result<Box<Predicate>> {
        if let Some((outer, field)) = self.outer {
            let field = field.to_owned();
            return Err(TypeError::NestedElementFilter { op, outer, field }.into());
        }
        self.outer = Some((op, field));
        let visited = self.visit(expr);
        self.outer = None;
        let text = self.parsed.text(expr);
        let cause = match visited {
            Ok(Typed::Predicate(predicate)) => return Ok(Box::new(predicate)),
            Ok(Typed::Literal(Literal::Bool(value))) => {
                return Ok(Box::new(Predicate::Constant(value)));
            }
            Ok(other) => not_boolean(&text, &other).into(),
            Err(error) => error,
        };
        Err(TypeError::ElementExpression { what, text, cause: Box::new(cause) }.into())
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
        let interval = match comparison.interval {
            Some((sign, token)) => Some((sign, duration(&literal::string(token)?)?)),
            None => None,
        };
        let time = literal::string(comparison.time)?;
        Ok(Predicate::Timestamptz { column, interval, op: comparison.op, time })
    }
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

/// Reads `P1Y2M3DT4H5M6S`, any part of which may be left out.
fn duration(text: &str) -> Result<Interval, TypeError> {
    let refused = || TypeError::Duration { text: text.to_owned() };
    let rest = text.strip_prefix('P').ok_or_else(refused)?;
    let (date, time) = rest.split_once('T').unwrap_or((rest, ""));
    let mut interval = Interval::default();
    let date = parts(
        date,
        [('Y', &mut interval.years), ('M', &mut interval.months), ('D', &mut interval.days)],
    );
    let time = parts(
        time,
        [('H', &mut interval.hours), ('M', &mut interval.minutes), ('S', &mut interval.seconds)],
    );
    date.and(time).map(|()| interval).ok_or_else(refused)
}

fn parts(mut text: &str, units: [(char, &mut i64); 3]) -> Option<()> {
    for (unit, value) in units {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 && text.get(digits..)?.starts_with(unit) {
            *value = text.get(..digits)?.parse().ok()?;
            text = text.get(digits + 1..)?;
        }
    }
    text.is_empty().then_some(())
}
