//! WKT and WKB, each into the other and back.

use proptest::prelude::*;

use super::*;

#[test]
fn text_is_written_as_milvus_writes_it() {
    for (text, want) in [
        ("point(1 2)", "POINT (1 2)"),
        ("POINT (-73.9857 40.7484)", "POINT (-73.9857 40.7484)"),
        ("POINT (1e3 -1.50)", "POINT (1000 -1.5)"),
        ("POINT EMPTY", "POINT EMPTY"),
        ("POINT Z (1 2 3)", "POINT Z (1 2 3)"),
        ("POINT (1 2 3)", "POINT Z (1 2 3)"),
        ("POINTM(1 2 3)", "POINT M (1 2 3)"),
        ("POINT zm (1 2 3 4)", "POINT ZM (1 2 3 4)"),
        ("LINESTRING(0 0,1 1 , 2 2)", "LINESTRING (0 0, 1 1, 2 2)"),
        (
            "POLYGON((0 0,4 0,4 4,0 0),(1 1,2 1,2 2,1 1))",
            "POLYGON ((0 0, 4 0, 4 4, 0 0), (1 1, 2 1, 2 2, 1 1))",
        ),
        ("MULTIPOINT((1 2),(3 4))", "MULTIPOINT (1 2, 3 4)"),
        ("MULTIPOINT(1 2, EMPTY)", "MULTIPOINT (1 2, EMPTY)"),
        ("MULTILINESTRING((0 0,1 1),(2 2,3 3))", "MULTILINESTRING ((0 0, 1 1), (2 2, 3 3))"),
        (
            "MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((5 5,6 5,6 6,5 5)))",
            "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)), ((5 5, 6 5, 6 6, 5 5)))",
        ),
        (
            "GEOMETRYCOLLECTION(POINT(1 2), GEOMETRYCOLLECTION(LINESTRING(0 0,1 1)))",
            "GEOMETRYCOLLECTION (POINT (1 2), GEOMETRYCOLLECTION (LINESTRING (0 0, 1 1)))",
        ),
        ("GEOMETRYCOLLECTION EMPTY", "GEOMETRYCOLLECTION EMPTY"),
    ] {
        let wkb = from_wkt(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(to_wkt(&wkb).as_deref(), Ok(want), "{text}");
    }
}

#[test]
fn other_texts_are_syntax_errors() {
    for text in [
        "",
        "INVALID_WKT",
        "POINT",
        "POINT ()",
        "POINT (abc def)",
        "POINT (1)",
        "POINT (1 2 3 4 5)",
        "POINT (+1 2)",
        "POINT (1 2) x",
        "POINT (1 1e999)",
        "POLYGON ((0 0, 1 1))",
        "POLYGON ((0 0, 1 0, 1 1, 0 1))",
        "LINESTRING (0 0)",
        "LINESTRING (0 0, 1 1 1)",
        "LINESTRING Z (0 0, 1 1)",
        "POINT (1 2",
        "GEOMETRYCOLLECTION (POINT Z (1 2 3), POINT (1 2))",
    ] {
        let error = from_wkt(text).unwrap_err().to_string();
        assert!(error.starts_with("syntax error: "), "{text}: {error}");
    }
    let deep = format!("{}POINT (1 2){}", "GEOMETRYCOLLECTION (".repeat(9999), ")".repeat(9999));
    assert!(from_wkt(&deep).is_err());
    let error = from_wkt("POINT (1 2,\n x)").unwrap_err().to_string();
    assert_eq!(error, "syntax error: unexpected ',' at line 1, pos 10");
}

#[test]
fn bytes_are_iso_and_little_endian() {
    let mut want = vec![1, 1, 0, 0, 0];
    want.extend([1f64, 2.0].iter().flat_map(|c| c.to_le_bytes()));
    assert_eq!(from_wkt("POINT (1 2)").unwrap(), want);
    assert_eq!(from_wkt("POINT Z (1 2 3)").unwrap().get(1..3), Some(&[0xe9, 0x03][..]));
    let mut big = vec![0, 0, 0, 0, 1];
    big.extend([1f64, 2.0].iter().flat_map(|c| c.to_be_bytes()));
    assert_eq!(to_wkt(&big).as_deref(), Ok("POINT (1 2)"));
}

#[test]
fn coordinates_that_are_no_numbers_are_refused() {
    let mut bytes = from_wkt("POINT (1 2)").unwrap();
    for bad in [f64::NAN, f64::INFINITY] {
        bytes.splice(5..13, bad.to_le_bytes());
        assert!(matches!(check(&bytes), Err(GeometryError::Wkb { offset: 13, .. })), "{bad}");
    }
    assert_eq!(to_wkt(&from_wkt("POINT Z EMPTY").unwrap()).as_deref(), Ok("POINT Z EMPTY"));
    assert!(from_wkt("POINT (1e999 0)").is_err());
}

#[test]
fn envelopes() {
    let of = |text: &str| envelope(&from_wkt(text).unwrap());
    assert_eq!(of("LINESTRING Z (0 5 9, 3 -1 9)"), Some([0.0, -1.0, 3.0, 5.0]));
    assert_eq!(of("GEOMETRYCOLLECTION (POINT (1 2), POINT EMPTY)"), Some([1.0, 2.0, 1.0, 2.0]));
    assert_eq!(of("POINT EMPTY"), None);
    assert_eq!(envelope(b"nonsense"), None);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = to_wkt(&bytes);
        let _ = to_geo(&bytes);
    }

    #[test]
    fn damaged_bytes_are_read_or_refused(at in 0usize..120, byte: u8) {
        let text = "GEOMETRYCOLLECTION (MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0))), MULTIPOINT (1 2))";
        let mut wkb = from_wkt(text).unwrap();
        if let Some(place) = wkb.get_mut(at) {
            *place = byte;
        }
        let _ = to_wkt(&wkb);
    }

    #[test]
    fn points_round_trip(x in -1e12f64..1e12, y: f64) {
        prop_assume!(y.is_finite());
        let text = format!("POINT ({x} {y})");
        prop_assert_eq!(to_wkt(&from_wkt(&text).unwrap()).unwrap(), text);
    }
}
