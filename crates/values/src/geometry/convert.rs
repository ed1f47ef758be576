//! WKB as the types of the geometry algorithms: the plane only.

use geo_types::{
    Coord, Geometry as Geo, GeometryCollection, LineString, MultiLineString, MultiPoint,
    MultiPolygon, Point, Polygon,
};

use super::shape::{Flat, Geometry, GeometryError, Shape};
use super::wkb;

/// The geometry of `wkb` in the plane; an empty point is an empty multipoint.
pub fn to_geo(wkb: &[u8]) -> Result<Geo<f64>, GeometryError> {
    Ok(geo(&wkb::read(wkb)?))
}

fn geo(geometry: &Geometry) -> Geo<f64> {
    let stride = geometry.layout.stride();
    match &geometry.shape {
        Shape::Point(flat) => match coords(flat, stride).next() {
            Some(coord) => Geo::Point(Point(coord)),
            None => Geo::MultiPoint(MultiPoint(Vec::new())),
        },
        Shape::LineString(flat) => Geo::LineString(line(flat, stride)),
        Shape::Polygon(rings) => Geo::Polygon(polygon(rings, stride)),
        Shape::MultiPoint(points) => Geo::MultiPoint(MultiPoint(
            points.iter().flat_map(|flat| coords(flat, stride)).map(Point).collect(),
        )),
        Shape::MultiLineString(lines) => Geo::MultiLineString(MultiLineString(
            lines.iter().map(|flat| line(flat, stride)).collect(),
        )),
        Shape::MultiPolygon(polygons) => Geo::MultiPolygon(MultiPolygon(
            polygons.iter().map(|rings| polygon(rings, stride)).collect(),
        )),
        Shape::Collection(parts) => {
            Geo::GeometryCollection(GeometryCollection(parts.iter().map(geo).collect()))
        }
    }
}

fn coords(flat: &Flat, stride: usize) -> impl Iterator<Item = Coord<f64>> + '_ {
    flat.chunks_exact(stride).filter_map(|coordinates| match coordinates {
        [x, y, ..] => Some(Coord { x: *x, y: *y }),
        _ => None,
    })
}

fn line(flat: &Flat, stride: usize) -> LineString<f64> {
    LineString(coords(flat, stride).collect())
}

fn polygon(rings: &[Flat], stride: usize) -> Polygon<f64> {
    let mut rings = rings.iter().map(|ring| line(ring, stride));
    let exterior = rings.next().unwrap_or_else(|| LineString(Vec::new()));
    Polygon::new(exterior, rings.collect())
}
