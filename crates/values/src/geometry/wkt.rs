//! Well-known text, read and written with Milvus's rules and words.
//!
//! Names are of any case, `Z`, `M` and `ZM` stand behind them with or without blanks. A name without
//! one has the layout that its first point shows. Lines have two points or more, rings four or more
//! and end where they began.

use std::fmt::Write;

use super::shape::{Flat, Geometry, GeometryError, Layout, MAX_DEPTH, Shape};

pub(super) fn read(text: &str) -> Result<Geometry, GeometryError> {
    let mut reader = Reader { text, at: 0, token: 0, layout: None };
    let shape = reader.geometry(0)?;
    if reader.peek().is_some() {
        return Err(reader.error("unexpected input behind the geometry"));
    }
    let mut geometry = Geometry { layout: reader.layout.unwrap_or(Layout::Xy), shape };
    set_layout(&mut geometry);
    Ok(geometry)
}

/// Gives the parts of collections the layout of the whole.
fn set_layout(geometry: &mut Geometry) {
    if let Shape::Collection(parts) = &mut geometry.shape {
        for part in parts {
            part.layout = geometry.layout;
            set_layout(part);
        }
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    /// Where the latest token began.
    token: usize,
    layout: Option<Layout>,
}

impl<'t> Reader<'t> {
    fn error(&self, problem: impl Into<String>) -> GeometryError {
        let before = self.text.get(..self.token).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        GeometryError::Wkt {
            problem: problem.into(),
            line: before.matches('\n').count() + 1,
            column: self.token - line_start,
        }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&mut self) -> Option<char> {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
        self.token = self.at;
        self.rest().chars().next()
    }

    fn unexpected(&mut self) -> GeometryError {
        match self.peek() {
            None => self.error("unexpected $end"),
            Some('(' | ')' | ',') => {
                let symbol = self.rest().chars().next().unwrap_or_default();
                self.error(format!("unexpected '{symbol}'"))
            }
            Some(letter) if letter.is_alphabetic() => self.error("invalid keyword"),
            Some(number) if number.is_ascii_digit() || matches!(number, '-' | '.') => {
                self.error("unexpected NUM")
            }
            Some(_) => self.error("invalid character"),
        }
    }

    fn take(&mut self, symbol: char) -> bool {
        let found = self.peek() == Some(symbol);
        if found {
            self.at += symbol.len_utf8();
        }
        found
    }

    fn expect(&mut self, symbol: char) -> Result<(), GeometryError> {
        if self.take(symbol) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// Takes a word of letters, if one comes.
    fn word(&mut self) -> Option<String> {
        self.peek();
        let rest = self.rest();
        let length = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
        let word = rest.get(..length).filter(|word| !word.is_empty())?;
        self.at += length;
        Some(word.to_uppercase())
    }

    /// Takes `EMPTY`, if it comes.
    fn empty(&mut self) -> bool {
        let before = self.at;
        let found = self.word().as_deref() == Some("EMPTY");
        if !found {
            self.at = before;
        }
        found
    }

    /// Takes the name of a type and its layout.
    fn name(&mut self) -> Result<(String, Option<Layout>), GeometryError> {
        let word = self.word().ok_or_else(|| self.unexpected())?;
        let split = ["ZM", "Z", "M"].iter().find_map(|suffix| {
            let name = word.strip_suffix(suffix)?;
            (!name.is_empty()).then(|| (name.to_owned(), *suffix))
        });
        if let Some((name, suffix)) = split {
            return Ok((name, layout_of(suffix)));
        }
        let (before, token) = (self.at, self.token);
        let layout = self.word().and_then(|suffix| layout_of(&suffix));
        if layout.is_none() {
            self.at = before;
        }
        self.token = token;
        Ok((word, layout))
    }

    fn geometry(&mut self, depth: usize) -> Result<Shape, GeometryError> {
        let (name, layout) = self.name()?;
        if let Some(layout) = layout {
            self.set_layout(layout)?;
        }
        let shape = match name.as_str() {
            "POINT" => Shape::Point(self.point()?),
            "LINESTRING" => Shape::LineString(self.line()?),
            "POLYGON" => Shape::Polygon(self.polygon()?),
            "MULTIPOINT" => Shape::MultiPoint(self.list(Self::multi_point)?),
            "MULTILINESTRING" => Shape::MultiLineString(self.list(Self::line)?),
            "MULTIPOLYGON" => Shape::MultiPolygon(self.list(Self::polygon)?),
            "GEOMETRYCOLLECTION" if depth >= MAX_DEPTH => {
                return Err(self.error("geometries are nested too deeply"));
            }
            "GEOMETRYCOLLECTION" => Shape::Collection(self.list(|reader| {
                let shape = reader.geometry(depth + 1)?;
                Ok(Geometry { layout: Layout::Xy, shape })
            })?),
            _ => return Err(self.error("invalid keyword")),
        };
        if self.layout.is_none() && depth == 0 {
            self.layout = Some(Layout::Xy);
        }
        Ok(shape)
    }

    fn set_layout(&mut self, layout: Layout) -> Result<(), GeometryError> {
        match self.layout {
            Some(known) if known != layout => Err(self.error(format!(
                "mixed dimensionality, parsed layout is {} but encountered layout of {}",
                known.name(),
                layout.name()
            ))),
            _ => {
                self.layout = Some(layout);
                Ok(())
            }
        }
    }

    /// `EMPTY`, or parts in parentheses.
    fn list<T>(
        &mut self,
        part: impl Fn(&mut Self) -> Result<T, GeometryError>,
    ) -> Result<Vec<T>, GeometryError> {
        if self.empty() {
            return Ok(Vec::new());
        }
        self.expect('(')?;
        let mut parts = vec![part(self)?];
        while self.take(',') {
            parts.push(part(self)?);
        }
        self.expect(')')?;
        Ok(parts)
    }

    fn point(&mut self) -> Result<Flat, GeometryError> {
        if self.empty() {
            return Ok(Vec::new());
        }
        self.expect('(')?;
        let point = self.coordinates()?;
        self.expect(')')?;
        Ok(point)
    }

    fn multi_point(&mut self) -> Result<Flat, GeometryError> {
        match self.peek() {
            Some('(') => self.point(),
            Some(letter) if letter.is_alphabetic() => self.point(),
            _ => self.coordinates(),
        }
    }

    fn line(&mut self) -> Result<Flat, GeometryError> {
        let points = self.list(Self::coordinates)?;
        if points.len() == 1 {
            return Err(self.error("non-empty linestring with only one point"));
        }
        Ok(points.concat())
    }

    fn polygon(&mut self) -> Result<Vec<Flat>, GeometryError> {
        self.list(Self::ring)
    }

    fn ring(&mut self) -> Result<Flat, GeometryError> {
        self.expect('(')?;
        let mut points = vec![self.coordinates()?];
        while self.take(',') {
            points.push(self.coordinates()?);
        }
        self.expect(')')?;
        if points.len() < 4 {
            return Err(self.error("polygon ring doesn't have enough points"));
        }
        let dimensions = match self.layout {
            Some(Layout::Xyz | Layout::Xyzm) => 3,
            Some(Layout::Xy | Layout::Xym) | None => 2,
        };
        let end =
            |point: Option<&Flat>| point.map(|point| point.get(..dimensions).map(<[f64]>::to_vec));
        if end(points.first()) != end(points.last()) {
            return Err(self.error("polygon ring not closed"));
        }
        Ok(points.concat())
    }

    /// The coordinates of one point.
    fn coordinates(&mut self) -> Result<Flat, GeometryError> {
        let mut point = Vec::with_capacity(2);
        while let Some(first) = self.peek()
            && (first.is_ascii_digit() || matches!(first, '-' | '.'))
        {
            point.push(self.number()?);
        }
        match point.len() {
            0 => return Err(self.unexpected()),
            1 => return Err(self.error("not enough coordinates")),
            2..=4 => {}
            _ => return Err(self.error("too many coordinates")),
        }
        match self.layout {
            Some(layout) if layout.stride() != point.len() => Err(self.error(format!(
                "mixed dimensionality, parsed layout is {} so expecting {} coords but got {} coords",
                layout.name(),
                layout.stride(),
                point.len()
            ))),
            Some(_) => Ok(point),
            None => {
                self.layout = Some(match point.len() {
                    2 => Layout::Xy,
                    3 => Layout::Xyz,
                    _ => Layout::Xyzm,
                });
                Ok(point)
            }
        }
    }

    fn number(&mut self) -> Result<f64, GeometryError> {
        let rest = self.rest();
        let part = |c: char| c.is_ascii_digit() || matches!(c, '-' | '.' | 'e' | 'E' | '+');
        let length = rest.find(|c| !part(c)).unwrap_or(rest.len());
        let value: f64 = rest
            .get(..length)
            .and_then(|digits| digits.parse().ok())
            .filter(|value: &f64| value.is_finite())
            .ok_or_else(|| self.error("invalid number"))?;
        self.at += length;
        Ok(value)
    }
}

fn layout_of(suffix: &str) -> Option<Layout> {
    match suffix {
        "Z" => Some(Layout::Xyz),
        "M" => Some(Layout::Xym),
        "ZM" => Some(Layout::Xyzm),
        _ => None,
    }
}

pub(super) fn write(geometry: &Geometry) -> String {
    let mut text = String::new();
    put(&mut text, geometry);
    text
}

fn put(text: &mut String, geometry: &Geometry) {
    let Geometry { layout, shape } = geometry;
    text.push_str(shape.name());
    text.push_str(match layout {
        Layout::Xy => " ",
        Layout::Xyz => " Z ",
        Layout::Xym => " M ",
        Layout::Xyzm => " ZM ",
    });
    let stride = layout.stride();
    match shape {
        Shape::Point(flat) | Shape::LineString(flat) => put_line(text, flat, stride),
        Shape::Polygon(rings) => put_list(text, rings, |text, ring| put_line(text, ring, stride)),
        Shape::MultiPoint(points) => put_list(text, points, |text, point| {
            if point.is_empty() {
                text.push_str("EMPTY");
            } else {
                put_point(text, point);
            }
        }),
        Shape::MultiLineString(lines) => {
            put_list(text, lines, |text, line| put_line(text, line, stride));
        }
        Shape::MultiPolygon(polygons) => put_list(text, polygons, |text, rings| {
            put_list(text, rings, |text, ring| put_line(text, ring, stride));
        }),
        Shape::Collection(parts) => put_list(text, parts, put),
    }
}

fn put_list<T>(text: &mut String, parts: &[T], part: impl Fn(&mut String, &T)) {
    if parts.is_empty() {
        text.push_str("EMPTY");
        return;
    }
    text.push('(');
    for (index, each) in parts.iter().enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        part(text, each);
    }
    text.push(')');
}

fn put_line(text: &mut String, flat: &[f64], stride: usize) {
    let points: Vec<&[f64]> = flat.chunks_exact(stride).collect();
    put_list(text, &points, |text, point| put_point(text, point));
}

fn put_point(text: &mut String, point: &[f64]) {
    for (index, coordinate) in point.iter().enumerate() {
        if index > 0 {
            text.push(' ');
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "{coordinate}");
    }
}
