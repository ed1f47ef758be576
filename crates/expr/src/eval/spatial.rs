//! Spatial conditions on geometries, in the plane as OGC has them.
//!
//! Only `st_dwithin` knows the earth: between points it takes great circles on a sphere of Milvus's
//! radius, between a point and another geometry the distance in degrees times the metres a degree has
//! at the point's latitude, as Milvus does.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use geo::algorithm::line_measures::{Distance, Euclidean};
use geo::algorithm::{BoundingRect, Relate, Validation};
use geo::{Geometry, Point, Rect};
use milvus_values::geometry::{GeometryError, from_wkt, to_geo};

use crate::error::EvaluateError;
use crate::leaf::Extent;

use super::Run;
use super::bits::{Bits, Truth};
use super::columns::Source;

const EARTH_RADIUS_METRES: f64 = 6_371_000.0;
const METRES_PER_DEGREE: f64 = 111_320.0;

/// A spatial function of a row's geometry and, but for `st_isvalid`, a constant one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Function {
    Equals,
    Touches,
    Overlaps,
    Crosses,
    Contains,
    Intersects,
    Within,
    DWithin { metres: f64 },
    IsValid,
}

/// A spatial condition.
#[derive(Clone)]
pub(crate) struct Spatial {
    function: Function,
    wkt: Box<str>,
    /// Nothing of `st_isvalid`.
    other: Option<Arc<Geometry<f64>>>,
}

impl Spatial {
    /// `function(row, wkt)`.
    pub(crate) fn new(function: Function, wkt: &str) -> Result<Self, GeometryError> {
        let other = Arc::new(to_geo(&from_wkt(wkt)?)?);
        Ok(Self { function, wkt: wkt.into(), other: Some(other) })
    }

    pub(crate) fn is_valid() -> Self {
        Self { function: Function::IsValid, wkt: "".into(), other: None }
    }

    /// Whether the constant is a point.
    pub(crate) fn is_point(&self) -> bool {
        matches!(self.other.as_deref(), Some(Geometry::Point(_)))
    }

    /// Where rows can lie that satisfy the condition, `None` if anywhere.
    pub(crate) fn extent(&self) -> Option<Extent> {
        match (self.function, self.other.as_deref()) {
            (Function::IsValid, _) | (_, None) => None,
            (Function::DWithin { metres }, Some(Geometry::Point(centre))) => {
                Some(Extent { rectangles: around(*centre, metres) })
            }
            (Function::DWithin { .. }, Some(_)) => Some(Extent { rectangles: Vec::new() }),
            (_, Some(other)) => {
                let corners =
                    |rect: Rect<f64>| [rect.min().x, rect.min().y, rect.max().x, rect.max().y];
                let rectangles = other.bounding_rect().map(corners).into_iter().collect();
                Some(Extent { rectangles })
            }
        }
    }

    fn holds(&self, row: &Geometry<f64>) -> bool {
        let Some(other) = self.other.as_deref() else {
            return row.is_valid();
        };
        match self.function {
            Function::Equals => row.relate(other).is_equal_topo(),
            Function::Touches => row.relate(other).is_touches(),
            Function::Overlaps => row.relate(other).is_overlaps(),
            Function::Crosses => row.relate(other).is_crosses(),
            Function::Contains => row.relate(other).is_contains(),
            Function::Intersects => row.relate(other).is_intersects(),
            Function::Within => row.relate(other).is_within(),
            Function::DWithin { metres } => match other {
                Geometry::Point(centre) => within_metres(row, *centre, metres),
                _ => false,
            },
            Function::IsValid => row.is_valid(),
        }
    }
}

fn within_metres(row: &Geometry<f64>, centre: Point<f64>, metres: f64) -> bool {
    if let Geometry::Point(point) = row {
        return haversine(*point, centre) <= metres;
    }
    if row.bounding_rect().is_none() {
        return false;
    }
    let degrees = Euclidean.distance(row, &Geometry::Point(centre));
    degrees * metres_per_degree(centre.y()) <= metres
}

fn metres_per_degree(latitude: f64) -> f64 {
    let cos = latitude.to_radians().cos();
    METRES_PER_DEGREE * ((1.0 + cos * cos) / 2.0).sqrt()
}

/// The great circle between two points given in degrees, in metres.
fn haversine(a: Point<f64>, b: Point<f64>) -> f64 {
    let (a_latitude, b_latitude) = (a.y().to_radians(), b.y().to_radians());
    let by_latitude = ((b_latitude - a_latitude) / 2.0).sin();
    let by_longitude = ((b.x().to_radians() - a.x().to_radians()) / 2.0).sin();
    let chord = by_latitude * by_latitude
        + a_latitude.cos() * b_latitude.cos() * by_longitude * by_longitude;
    EARTH_RADIUS_METRES * 2.0 * chord.sqrt().atan2((1.0 - chord).sqrt())
}

/// Rectangles in degrees that hold every geometry within `metres` of `centre`: one around it, those
/// across the antimeridian and the poles, and all that lies beyond the world's edges, where degrees
/// come round again.
fn around(centre: Point<f64>, metres: f64) -> Vec<[f64; 4]> {
    const ALL: f64 = f64::INFINITY;
    let (x, y) = (centre.x(), centre.y());
    // A little more than needed, against rounding.
    let on_sphere = (metres / EARTH_RADIUS_METRES).to_degrees() * 1.001 + 1e-9;
    let in_plane = metres / metres_per_degree(y) * 1.001 + 1e-9;
    let tall = on_sphere.max(in_plane);
    let beyond = [
        [180.0, -ALL, ALL, ALL],
        [-ALL, -ALL, -180.0, ALL],
        [-ALL, 90.0, ALL, ALL],
        [-ALL, -ALL, ALL, -90.0],
    ];
    let highest = y.abs() + on_sphere;
    let (centred, near_pole) = (x.abs() <= 180.0 && y.abs() <= 90.0, highest >= 89.0);
    // The angle on the circle of the latitude farthest from the equator.
    let ratio = (on_sphere.to_radians() / 2.0).sin() / highest.to_radians().cos();
    if !centred || near_pole || ratio >= 1.0 {
        return vec![[-ALL, -ALL, ALL, ALL]];
    }
    let wide = (2.0 * ratio.asin().to_degrees() * 1.001 + 1e-9).max(in_plane);
    let (low, high) = (y - tall, y + tall);
    let mut rectangles = vec![[x - wide, low, x + wide, high]];
    rectangles.extend(beyond);
    if x + wide > 180.0 {
        rectangles.push([-180.0, low, x + wide - 360.0, high]);
    }
    if x - wide < -180.0 {
        rectangles.push([x - wide + 360.0, low, 180.0, high]);
    }
    rectangles
}

impl fmt::Debug for Spatial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Spatial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.function {
            Function::Equals => "st_equals",
            Function::Touches => "st_touches",
            Function::Overlaps => "st_overlaps",
            Function::Crosses => "st_crosses",
            Function::Contains => "st_contains",
            Function::Intersects => "st_intersects",
            Function::Within => "st_within",
            Function::DWithin { metres } => {
                return write!(f, "st_dwithin({:?}, {metres:?})", self.wkt);
            }
            Function::IsValid => return f.write_str("st_isvalid"),
        };
        write!(f, "{name}({:?})", self.wkt)
    }
}

/// A spatial condition on a column of WKB.
#[derive(Debug)]
pub(super) struct SpatialTest {
    condition: Spatial,
    /// Rows whose envelope meets none of these do not satisfy the condition.
    rectangles: Option<Vec<[f64; 4]>>,
}

impl SpatialTest {
    pub(super) fn new(condition: &Spatial) -> Self {
        let rectangles = condition.extent().map(|extent| extent.rectangles);
        Self { condition: condition.clone(), rectangles }
    }

    pub(super) fn run(
        &self,
        source: &Source,
        run: &Run<'_>,
        active: Option<&Bits>,
    ) -> Result<Truth, EvaluateError> {
        let array = source.column(run.batch)?;
        let geometries = array.as_binary_opt::<i32>().ok_or_else(|| source.mismatch(array))?;
        let mut damaged = None;
        let yes = Bits::of_rows(geometries.len(), active, |row| {
            if geometries.is_null(row) {
                return false;
            }
            match to_geo(geometries.value(row)) {
                Ok(geometry) => self.passes(&geometry),
                Err(cause) => {
                    damaged.get_or_insert(cause);
                    false
                }
            }
        });
        if let Some(cause) = damaged {
            return Err(EvaluateError::Geometry { column: source.name().to_owned(), cause });
        }
        Ok(Truth::new(yes, Bits::nulls(geometries)))
    }

    fn passes(&self, geometry: &Geometry<f64>) -> bool {
        if let Some(rectangles) = &self.rectangles {
            let Some(rect) = geometry.bounding_rect() else {
                return false;
            };
            let (min, max) = (rect.min(), rect.max());
            if ![min.x, min.y, max.x, max.y].iter().all(|edge| edge.is_finite()) {
                return false;
            }
            let meets = |[x0, y0, x1, y1]: &[f64; 4]| {
                min.x <= *x1 && max.x >= *x0 && min.y <= *y1 && max.y >= *y0
            };
            if !rectangles.iter().any(meets) {
                return false;
            }
        }
        // Geometries that are not valid (a polygon that crosses itself) may be more than the
        // algorithms bear; to Milvus's own such a row does not satisfy the condition.
        catch_unwind(AssertUnwindSafe(|| self.condition.holds(geometry))).unwrap_or(false)
    }
}
