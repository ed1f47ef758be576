//! Amounts of memory as people write them: `2GiB`, `512MB`, `1073741824`.

/// Why a text is no amount of memory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("got {got:?}, expected bytes with or without a unit, such as 2GiB, 512MB or 1073741824")]
pub struct NotBytes {
    /// The text.
    pub got: String,
}

/// The least memory that the server can work in.
pub const LEAST_MEMORY: u64 = 64 << 20;

/// Why a text is no amount of memory to stay within.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotMemory {
    /// It is no amount at all.
    #[error(transparent)]
    NotBytes(#[from] NotBytes),
    /// Nothing could be loaded or written in it.
    #[error("got {got:?}, which is {bytes} bytes, expected at least {}MiB", LEAST_MEMORY >> 20)]
    TooLittle {
        /// The text.
        got: String,
        /// What it says.
        bytes: u64,
    },
}

/// The bytes to stay within that `text` says; at least [`LEAST_MEMORY`].
pub fn parse_memory(text: &str) -> Result<u64, NotMemory> {
    let bytes = parse(text)?;
    if bytes < LEAST_MEMORY {
        return Err(NotMemory::TooLittle { got: text.to_owned(), bytes });
    }
    Ok(bytes)
}

const UNITS: &[(&str, u64)] = &[
    ("", 1),
    ("b", 1),
    ("k", 1 << 10),
    ("kb", 1000),
    ("kib", 1 << 10),
    ("m", 1 << 20),
    ("mb", 1_000_000),
    ("mib", 1 << 20),
    ("g", 1 << 30),
    ("gb", 1_000_000_000),
    ("gib", 1 << 30),
    ("t", 1 << 40),
    ("tb", 1_000_000_000_000),
    ("tib", 1 << 40),
];

/// The bytes that `text` says; more than none.
pub fn parse(text: &str) -> Result<u64, NotBytes> {
    let not_bytes = || NotBytes { got: text.to_owned() };
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits);
    let unit = unit.trim().to_lowercase();
    let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(not_bytes)?;
    let bytes = match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(*scale).ok_or_else(not_bytes)?,
        Err(_) => fraction(number, *scale).ok_or_else(not_bytes)?,
    };
    if bytes == 0 { Err(not_bytes()) } else { Ok(bytes) }
}

/// `1.5` of `scale`, in thousandths.
fn fraction(number: &str, scale: u64) -> Option<u64> {
    let (whole, part) = number.split_once('.')?;
    let thousandths: u64 = format!("{part:0<3}").get(..3)?.parse().ok()?;
    let whole: u64 = whole.parse().ok()?;
    whole.checked_mul(scale)?.checked_add(scale.checked_mul(thousandths)? / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_with_their_units() {
        for (text, bytes) in [
            ("1024", 1024),
            ("2GiB", 2 << 30),
            ("2 gib", 2 << 30),
            ("2G", 2 << 30),
            ("500MB", 500_000_000),
            ("1.5KiB", 1536),
            ("7b", 7),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn memory_has_a_floor() {
        assert_eq!(parse_memory("64MiB"), Ok(64 << 20));
        assert_eq!(
            parse_memory("1").unwrap_err().to_string(),
            "got \"1\", which is 1 bytes, expected at least 64MiB"
        );
        assert!(parse_memory("lots").unwrap_err().to_string().contains("2GiB"));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "GiB", "-1", "0", "2 apples", "1.2.3", "99999999999999GiB", "½GiB"] {
            let error = parse(text).unwrap_err();
            assert!(error.to_string().contains("2GiB"), "{text}: {error}");
        }
    }
}
