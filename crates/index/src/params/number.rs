//! Values of parameters as Milvus reads them, with its texts for those it does not take.
//!
//! At creation a number is any text that reads as one; at search a value is JSON text, and a JSON
//! string that holds a number counts as one.

use milvus_types::KeyValue;
use milvus_types::index_meta::find;

use crate::error::IndexParamError;

/// The most a whole number may be where nothing else limits it.
pub(super) const I32_MAX: i64 = i32::MAX as i64;

/// The parameters of an index at creation.
#[derive(Clone, Copy)]
pub(super) struct Created<'a>(pub(super) &'a [KeyValue]);

impl<'a> Created<'a> {
    /// The text of `key`, unless it stands for nothing.
    pub(super) fn text(self, key: &str) -> Option<&'a str> {
        find(self.0, key).filter(|text| !matches!(*text, "" | "None" | "null"))
    }

    /// The whole number `key`, if it is given.
    pub(super) fn given(
        self,
        key: &str,
        least: i64,
        most: i64,
    ) -> Result<Option<usize>, IndexParamError> {
        let Some(text) = self.text(key) else {
            return Ok(None);
        };
        let number = whole_number(key, text).and_then(|number| in_range(key, number, least, most));
        number.map(Some).map_err(IndexParamError::Create)
    }

    /// The whole number `key`.
    pub(super) fn number(
        self,
        key: &str,
        default: usize,
        least: i64,
        most: i64,
    ) -> Result<usize, IndexParamError> {
        self.given(key, least, most).map(|number| number.unwrap_or(default))
    }

    /// The number `key`, from `least` to `most`, the latter excluded if `open`.
    pub(super) fn float(
        self,
        key: &str,
        least: f32,
        most: f32,
        open: bool,
    ) -> Result<Option<f32>, IndexParamError> {
        let Some(text) = self.text(key) else {
            return Ok(None);
        };
        let number = float(key, text).and_then(|number| {
            float_in_range(key, number, &format!("{number:?}"), least, most, open)
        });
        number.map(Some).map_err(IndexParamError::Create)
    }

    /// The switch `key`, off if it is not given.
    pub(super) fn boolean(self, key: &str) -> Result<bool, IndexParamError> {
        match self.text(key) {
            None => Ok(false),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(text) => Err(IndexParamError::Create(format!(
                "Type conflict in json: param '{key}' (\"{text}\") should be a boolean"
            ))),
        }
    }
}

/// The parameters of a search.
#[derive(Clone, Copy)]
pub(super) struct Searched<'a>(pub(super) &'a [KeyValue]);

impl<'a> Searched<'a> {
    fn json(self, key: &str) -> Option<&'a str> {
        find(self.0, key).map(|json| match json.trim() {
            "True" => "true",
            "False" => "false",
            "None" => "null",
            json => json,
        })
    }

    /// The whole number `key`, if it is given, from `least` to `most`, which may be below 0.
    pub(super) fn whole(
        self,
        key: &str,
        least: i64,
        most: i64,
    ) -> Result<Option<i64>, IndexParamError> {
        let Some(json) = self.json(key) else {
            return Ok(None);
        };
        let number = if let Some(text) = quoted(json) {
            whole_number(key, text)
        } else {
            json.parse::<i64>().map_err(|_| {
                format!("Type conflict in json: param '{key}' ({json}) should be integer")
            })
        };
        let number = number.and_then(|number| {
            in_bounds(key, number, least, most)?;
            Ok(number)
        });
        number.map(Some).map_err(IndexParamError::Search)
    }

    /// The whole number `key`, if it is given, from `least`, which is at least 0, to `most`.
    pub(super) fn number(
        self,
        key: &str,
        least: i64,
        most: i64,
    ) -> Result<Option<usize>, IndexParamError> {
        let number = self.whole(key, least.max(0), most)?;
        Ok(number.and_then(|number| usize::try_from(number).ok()))
    }

    /// The switch `key`, off if it is not given.
    pub(super) fn boolean(self, key: &str) -> Result<bool, IndexParamError> {
        match self.json(key).map(|json| quoted(json).unwrap_or(json)) {
            None => Ok(false),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(text) => Err(IndexParamError::Search(format!(
                "Type conflict in json: param '{key}' ({text}) should be a boolean"
            ))),
        }
    }

    /// The number `key`, from `least` to `most`, the latter excluded if `open`.
    pub(super) fn float(
        self,
        key: &str,
        least: f32,
        most: f32,
        open: bool,
    ) -> Result<Option<f32>, IndexParamError> {
        let Some(json) = self.json(key) else {
            return Ok(None);
        };
        let number = if let Some(text) = quoted(json) {
            float(key, text)
        } else {
            json.parse::<f32>().ok().filter(|number| number.is_finite()).ok_or_else(|| {
                format!("Type conflict in json: param '{key}' ({json}) should be a number")
            })
        };
        let number = number.and_then(|number| float_in_range(key, number, json, least, most, open));
        number.map(Some).map_err(IndexParamError::Search)
    }
}

fn quoted(json: &str) -> Option<&str> {
    json.strip_prefix('"').and_then(|text| text.strip_suffix('"'))
}

/// Reads `text` as C's `stoi` does: blanks, a sign, digits, and then nothing more.
fn whole_number(key: &str, text: &str) -> Result<i64, String> {
    let trimmed = text.trim_start();
    let digits_at = usize::from(trimmed.starts_with(['+', '-']));
    let (sign, rest) = trimmed.split_at(digits_at);
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    if digits == 0 {
        return Err(format!("invalid integer value, key: '{key}', value: '{text}'"));
    }
    let number = rest[..digits].parse::<i64>().ok().filter(|number| *number <= I32_MAX + 1);
    let number = match (sign, number) {
        ("-", Some(number)) => -number,
        (_, Some(number)) if number <= I32_MAX => number,
        _ => {
            return Err(format!("integer value out of range, key: '{key}', value: '{text}'"));
        }
    };
    if digits < rest.len() {
        return Err(format!("wrong data type in json, key: '{key}', value: '{text}'"));
    }
    Ok(number)
}

fn float(key: &str, text: &str) -> Result<f32, String> {
    let number = text.trim_start().parse::<f32>().ok().filter(|number| number.is_finite());
    number.ok_or_else(|| format!("invalid float value, key: '{key}', value: '{text}'"))
}

fn in_range(key: &str, number: i64, least: i64, most: i64) -> Result<usize, String> {
    in_bounds(key, number, least, most)?;
    usize::try_from(number).map_err(|_| out_of_range(key, number, least, most))
}

fn in_bounds(key: &str, number: i64, least: i64, most: i64) -> Result<(), String> {
    if (least..=most).contains(&number) {
        return Ok(());
    }
    Err(out_of_range(key, number, least, most))
}

fn out_of_range(key: &str, number: i64, least: i64, most: i64) -> String {
    format!("Out of range in json: param '{key}' ({number}) should be in range [{least}, {most}]")
}

fn float_in_range(
    key: &str,
    number: f32,
    text: &str,
    least: f32,
    most: f32,
    open: bool,
) -> Result<f32, String> {
    if number >= least && (number < most || (!open && number <= most)) {
        return Ok(number);
    }
    let end = if open { ')' } else { ']' };
    Err(format!(
        "Out of range in json: param '{key}' ({text}) should be in range [{least:.6}, {most:.6}{end}"
    ))
}
