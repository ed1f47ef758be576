//! Arrays in NumPy's .npy files: what data sets are made of.
//!
//! Layout:  magic "\x93NUMPY" | version 2 | header length u16 (or u32) | header, a Python dict | data
//!
//! Little-endian, row-major, two-dimensional arrays of float16, float32 and int32; anything else is
//! refused with what the file says of itself. Source: NumPy's documentation of `numpy.lib.format`.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use half::f16;

use crate::Outcome;

/// What the header of a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The type of a number, such as `<f4`.
    pub(crate) descr: String,
    /// Rows.
    pub(crate) rows: usize,
    /// Numbers in a row.
    pub(crate) width: usize,
    /// Where the data begins.
    pub(crate) data_at: usize,
}

/// Reads the header of `bytes`, and checks that the data is all there.
pub(crate) fn header(bytes: &[u8]) -> Outcome<Header> {
    let length = |at: usize, width: usize| {
        bytes.get(at..at + width).map(|raw| {
            raw.iter().rev().fold(0usize, |number, byte| (number << 8) | usize::from(*byte))
        })
    };
    if bytes.get(..6) != Some(b"\x93NUMPY") {
        return Err("not a .npy file".into());
    }
    let (text_at, text_len) =
        if bytes.get(6) == Some(&1) { (10, length(8, 2)) } else { (12, length(8, 4)) };
    let data_at = text_at + text_len.ok_or(".npy header is cut off")?;
    let text = bytes.get(text_at..data_at).ok_or(".npy header is cut off")?;
    let text = std::str::from_utf8(text)?;
    let descr = between(text, "'descr': '", "'").ok_or("no descr in .npy header")?;
    let shape = between(text, "'shape': (", ")").ok_or("no shape in .npy header")?;
    let mut sides = shape.split(',').map(|side| side.trim().parse::<usize>());
    let (Some(Ok(rows)), Some(Ok(width))) = (sides.next(), sides.next()) else {
        return Err(format!("shape ({shape}) is not of two dimensions").into());
    };
    if text.contains("'fortran_order': True") {
        return Err("array is column-major, wanted row-major".into());
    }
    let header = Header { descr: descr.to_owned(), rows, width, data_at };
    let size = match descr {
        "<f2" => 2,
        "<f4" | "<i4" => 4,
        other => return Err(format!("numbers are {other}, wanted <f2, <f4 or <i4").into()),
    };
    let (got, want) = (bytes.len() - data_at, rows * width * size);
    if got == want {
        Ok(header)
    } else {
        Err(format!("data has {got} bytes, shape wants {want}").into())
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once(after).map(|(inside, _)| inside)
}

/// The floats of the file at `path`, and how many are in a row.
pub(crate) fn read_floats(path: &Path) -> Outcome<(Vec<f32>, usize)> {
    let bytes = read(path)?;
    let header = header(&bytes).map_err(|reason| named(path, &*reason))?;
    let data = &bytes[header.data_at..];
    let floats = match &*header.descr {
        "<f2" => data.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
        "<f4" => words(data).map(f32::from_le_bytes).collect(),
        other => return Err(named(path, &*format!("numbers are {other}, wanted floats"))),
    };
    Ok((floats, header.width))
}

/// The integers of the file at `path`, and how many are in a row.
pub(crate) fn read_integers(path: &Path) -> Outcome<(Vec<i32>, usize)> {
    let bytes = read(path)?;
    let header = header(&bytes).map_err(|reason| named(path, &*reason))?;
    if header.descr != "<i4" {
        return Err(named(path, &*format!("numbers are {}, wanted <i4", header.descr)));
    }
    Ok((words(&bytes[header.data_at..]).map(i32::from_le_bytes).collect(), header.width))
}

/// Writes rows of four-byte numbers, given as bytes, of type `descr`.
pub(crate) fn write(path: &Path, descr: &str, width: usize, words: &[[u8; 4]]) -> Outcome<()> {
    let shape = format!("({}, {width})", words.len() / width.max(1));
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    while (10 + text.len() + 1) % 64 != 0 {
        text.push(' ');
    }
    text.push('\n');
    let mut out = BufWriter::new(File::create(path).map_err(|reason| named(path, &reason))?);
    out.write_all(b"\x93NUMPY\x01\x00")?;
    out.write_all(&u16::try_from(text.len())?.to_le_bytes())?;
    out.write_all(text.as_bytes())?;
    for word in words {
        out.write_all(word)?;
    }
    Ok(out.flush()?)
}

fn words(data: &[u8]) -> impl Iterator<Item = [u8; 4]> {
    data.chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]])
}

fn read(path: &Path) -> Outcome<Vec<u8>> {
    std::fs::read(path).map_err(|reason| named(path, &reason))
}

fn named(path: &Path, reason: &(impl std::fmt::Display + ?Sized)) -> Box<dyn std::error::Error> {
    format!("{}: {reason}", path.display()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_damage_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        let numbers: Vec<[u8; 4]> = (0..6i32).map(|n| (n - 3).to_le_bytes()).collect();
        write(&path, "<i4", 3, &numbers).unwrap();
        assert_eq!(read_integers(&path).unwrap(), (vec![-3, -2, -1, 0, 1, 2], 3));
        assert!(read_floats(&path).unwrap_err().to_string().contains("<i4"));
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(header(&bytes).unwrap().data_at % 64, 0);
        assert!(header(&bytes[..bytes.len() - 1]).is_err());
        assert!(header(&bytes[..20]).is_err());
        assert!(header(b"PK").is_err());
    }
}
