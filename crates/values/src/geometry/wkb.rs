//! Well-known binary: `order u8 | type u32 | parts`, parts as their type has it.

use super::shape::{Flat, Geometry, GeometryError, Layout, MAX_DEPTH, Shape};

const LITTLE_ENDIAN: u8 = 1;

pub(super) fn write(geometry: &Geometry) -> Vec<u8> {
    let mut bytes = Vec::new();
    put(&mut bytes, geometry.layout, &geometry.shape);
    bytes
}

fn put(bytes: &mut Vec<u8>, layout: Layout, shape: &Shape) {
    bytes.push(LITTLE_ENDIAN);
    put_u32(bytes, layout.code() * 1000 + shape.code());
    match shape {
        Shape::Point(flat) if flat.is_empty() => {
            put_coordinates(bytes, &vec![f64::NAN; layout.stride()]);
        }
        Shape::Point(flat) => put_coordinates(bytes, flat),
        Shape::LineString(flat) => put_line(bytes, layout, flat),
        Shape::Polygon(rings) => {
            put_count(bytes, rings.len());
            for ring in rings {
                put_line(bytes, layout, ring);
            }
        }
        Shape::MultiPoint(points) => {
            put_count(bytes, points.len());
            for point in points {
                put(bytes, layout, &Shape::Point(point.clone()));
            }
        }
        Shape::MultiLineString(lines) => {
            put_count(bytes, lines.len());
            for line in lines {
                put(bytes, layout, &Shape::LineString(line.clone()));
            }
        }
        Shape::MultiPolygon(polygons) => {
            put_count(bytes, polygons.len());
            for polygon in polygons {
                put(bytes, layout, &Shape::Polygon(polygon.clone()));
            }
        }
        Shape::Collection(parts) => {
            put_count(bytes, parts.len());
            for part in parts {
                put(bytes, part.layout, &part.shape);
            }
        }
    }
}

fn put_u32(bytes: &mut Vec<u8>, value: u32) {
    bytes.extend_from_slice(&value.to_le_bytes());
}

#[expect(clippy::cast_possible_truncation, reason = "text of 4 GiB points does not arrive")]
fn put_count(bytes: &mut Vec<u8>, count: usize) {
    put_u32(bytes, count as u32);
}

fn put_line(bytes: &mut Vec<u8>, layout: Layout, flat: &[f64]) {
    put_count(bytes, flat.len() / layout.stride());
    put_coordinates(bytes, flat);
}

fn put_coordinates(bytes: &mut Vec<u8>, flat: &[f64]) {
    for coordinate in flat {
        bytes.extend_from_slice(&coordinate.to_le_bytes());
    }
}

pub(super) fn read(bytes: &[u8]) -> Result<Geometry, GeometryError> {
    let mut reader = Reader { bytes, at: 0, little: true };
    let geometry = reader.geometry(0)?;
    if reader.at < bytes.len() {
        return Err(reader.error("trailing bytes"));
    }
    Ok(geometry)
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
    little: bool,
}

impl Reader<'_> {
    fn error(&self, problem: &'static str) -> GeometryError {
        GeometryError::Wkb { problem, offset: self.at }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], GeometryError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = *rest.first_chunk::<N>().ok_or_else(|| self.error("cut short"))?;
        self.at += N;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32, GeometryError> {
        let bytes = self.take::<4>()?;
        Ok(if self.little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    fn f64(&mut self) -> Result<f64, GeometryError> {
        let bytes = self.take::<8>()?;
        Ok(if self.little { f64::from_le_bytes(bytes) } else { f64::from_be_bytes(bytes) })
    }

    /// A number of parts of at least `least` bytes each, which the rest has room for.
    fn count(&mut self, least: usize) -> Result<usize, GeometryError> {
        let count = self.u32()? as usize;
        if count > (self.bytes.len() - self.at) / least {
            return Err(self.error("more parts than bytes"));
        }
        Ok(count)
    }

    /// The byte order and type of what follows.
    fn head(&mut self) -> Result<(Layout, u32), GeometryError> {
        let [order] = self.take::<1>()?;
        self.little = match order {
            0 => false,
            1 => true,
            _ => return Err(self.error("unknown byte order")),
        };
        let code = self.u32()?;
        let layout = match code / 1000 {
            0 => Layout::Xy,
            1 => Layout::Xyz,
            2 => Layout::Xym,
            3 => Layout::Xyzm,
            _ => return Err(self.error("unknown type")),
        };
        Ok((layout, code % 1000))
    }

    fn geometry(&mut self, depth: usize) -> Result<Geometry, GeometryError> {
        let (layout, code) = self.head()?;
        let shape = match code {
            1 => Shape::Point(self.point(layout)?),
            2 => Shape::LineString(self.line(layout)?),
            3 => Shape::Polygon(self.polygon(layout)?),
            4 => Shape::MultiPoint(self.parts(layout, 1, Self::point)?),
            5 => Shape::MultiLineString(self.parts(layout, 2, Self::line)?),
            6 => Shape::MultiPolygon(self.parts(layout, 3, Self::polygon)?),
            7 if depth >= MAX_DEPTH => return Err(self.error("nested too deeply")),
            7 => {
                let count = self.count(5)?;
                let parts = (0..count).map(|_| self.geometry(depth + 1));
                Shape::Collection(parts.collect::<Result<_, _>>()?)
            }
            _ => return Err(self.error("unknown type")),
        };
        Ok(Geometry { layout, shape })
    }

    fn parts<T>(
        &mut self,
        layout: Layout,
        want: u32,
        part: impl Fn(&mut Self, Layout) -> Result<T, GeometryError>,
    ) -> Result<Vec<T>, GeometryError> {
        let count = self.count(5)?;
        let mut parts = Vec::with_capacity(count);
        for _ in 0..count {
            if self.head()? != (layout, want) {
                return Err(self.error("part of another type"));
            }
            parts.push(part(self, layout)?);
        }
        Ok(parts)
    }

    fn flat(&mut self, points: usize, layout: Layout) -> Result<Flat, GeometryError> {
        (0..points * layout.stride())
            .map(|_| match self.f64()? {
                coordinate if coordinate.is_finite() => Ok(coordinate),
                _ => Err(self.error("coordinate is not a finite number")),
            })
            .collect()
    }

    fn point(&mut self, layout: Layout) -> Result<Flat, GeometryError> {
        let start = self.at;
        let is_nan: Result<Vec<bool>, _> =
            (0..layout.stride()).map(|_| self.f64().map(f64::is_nan)).collect();
        if is_nan?.iter().all(|is_nan| *is_nan) {
            return Ok(Vec::new());
        }
        self.at = start;
        self.flat(1, layout)
    }

    fn line(&mut self, layout: Layout) -> Result<Flat, GeometryError> {
        let points = self.count(8 * layout.stride())?;
        self.flat(points, layout)
    }

    fn polygon(&mut self, layout: Layout) -> Result<Vec<Flat>, GeometryError> {
        let rings = self.count(4)?;
        (0..rings)
            .map(|_| match self.line(layout)? {
                ring if ring.is_empty() => Err(self.error("ring without points")),
                ring => Ok(ring),
            })
            .collect()
    }
}

/// The smallest rectangle around the geometry: minimum x, minimum y, maximum x, maximum y. `None`
/// of one that is empty or no WKB.
pub fn envelope(wkb: &[u8]) -> Option<[f64; 4]> {
    let mut bounds: Option<[f64; 4]> = None;
    visit(&read(wkb).ok()?, &mut |x, y| {
        let [least_x, least_y, most_x, most_y] = bounds.unwrap_or([x, y, x, y]);
        bounds = Some([least_x.min(x), least_y.min(y), most_x.max(x), most_y.max(y)]);
    });
    bounds
}

fn visit(geometry: &Geometry, point: &mut dyn FnMut(f64, f64)) {
    let stride = geometry.layout.stride();
    let mut flat = |flat: &Flat| {
        for coordinates in flat.chunks_exact(stride) {
            if let [x, y, ..] = coordinates {
                point(*x, *y);
            }
        }
    };
    match &geometry.shape {
        Shape::Point(points) | Shape::LineString(points) => flat(points),
        Shape::Polygon(parts) | Shape::MultiPoint(parts) | Shape::MultiLineString(parts) => {
            parts.iter().for_each(flat);
        }
        Shape::MultiPolygon(polygons) => polygons.iter().flatten().for_each(flat),
        Shape::Collection(parts) => {
            for part in parts {
                visit(part, point);
            }
        }
    }
}
