//! Points in time as clients see them: texts in a zone, or the parts of the date they ask for.

use arrow::array::PrimitiveArray;
use arrow::datatypes::TimestampMicrosecondType;

use milvus_proto::schema as pb;
use milvus_proxy::api::TimeFormat;
use milvus_types::{DataType, Failure, Result};
use milvus_values::timestamptz::{self, Zone};
use pb::scalar_field::Data as Scalars;

/// A [`TimeFormat`] that makes sense.
pub(super) struct TimeForm {
    zone: Zone,
    parts: Vec<Part>,
}

#[derive(Clone, Copy)]
enum Part {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Microsecond,
}

impl TimeForm {
    pub(super) fn new(format: &TimeFormat) -> Result<Self> {
        let zone = match format.zone.as_str() {
            "" => Zone::utc(),
            name => Zone::parse(name)
                .map_err(|_| Failure::parameter_invalid(format!("got invalid timezone: {name}")))?,
        };
        let parts = format.fields.iter().map(|name| Part::named(name)).collect::<Result<_>>()?;
        Ok(Self { zone, parts })
    }

    /// Whether columns become arrays of numbers.
    pub(super) fn is_in_parts(&self) -> bool {
        !self.parts.is_empty()
    }

    /// One value for each row, that of the epoch where it is null.
    pub(super) fn data(&self, values: &PrimitiveArray<TimestampMicrosecondType>) -> Scalars {
        let texts =
            values.iter().map(|micros| timestamptz::format(micros.unwrap_or(0), &self.zone));
        if !self.is_in_parts() {
            return Scalars::StringData(pb::StringArray { data: texts.collect() });
        }
        let row = |text: String| {
            let data = self.parts.iter().map(|part| part.of(&text)).collect();
            let data = Some(Scalars::LongData(pb::LongArray { data }));
            pb::ScalarField { data, valid_data: Vec::new() }
        };
        Scalars::ArrayData(pb::ArrayArray {
            data: texts.map(row).collect(),
            element_type: DataType::Int64.number(),
        })
    }
}

impl Part {
    fn named(name: &str) -> Result<Self> {
        Ok(match name.to_ascii_lowercase().as_str() {
            "year" => Self::Year,
            "month" => Self::Month,
            "day" => Self::Day,
            "hour" => Self::Hour,
            "minute" => Self::Minute,
            "second" => Self::Second,
            "microsecond" => Self::Microsecond,
            _ => {
                return Err(Failure::parameter_invalid(format!(
                    "unsupported field for extraction: {name}, fields should be seprated by ',' or \
                     ' '"
                )));
            }
        })
    }

    /// This part of `2025-01-01T08:00:00.5+08:00`.
    fn of(self, text: &str) -> i64 {
        let (date, clock) = text.split_once('T').unwrap_or((text, ""));
        // Years before the first have a sign.
        let (sign, date) = date.strip_prefix('-').map_or((1, date), |date| (-1, date));
        let number = |text: Option<&str>| text.and_then(|text| text.parse().ok()).unwrap_or(0);
        let clock = clock.get(..8).unwrap_or(clock);
        match self {
            Self::Year => sign * number(date.split('-').next()),
            Self::Month => number(date.split('-').nth(1)),
            Self::Day => number(date.split('-').nth(2)),
            Self::Hour => number(clock.split(':').next()),
            Self::Minute => number(clock.split(':').nth(1)),
            Self::Second => number(clock.split(':').nth(2)),
            Self::Microsecond => {
                let digits = text.split_once('.').map_or("", |(_, rest)| rest);
                let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
                number(digits.get(..end).map(|digits| format!("{digits:0<6}")).as_deref())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_texts_or_parts() {
        let values = PrimitiveArray::<TimestampMicrosecondType>::from(vec![
            Some(1_735_689_600_500_000),
            None,
        ]);
        let format = |zone: &str, fields: &[&str]| TimeFormat {
            zone: zone.to_owned(),
            fields: fields.iter().map(|field| (*field).to_owned()).collect(),
        };
        let texts = TimeForm::new(&format("Asia/Shanghai", &[])).unwrap().data(&values);
        let Scalars::StringData(texts) = texts else { panic!("no texts") };
        assert_eq!(texts.data, ["2025-01-01T08:00:00.5+08:00", "1970-01-01T08:00:00+08:00"]);
        let all = ["YEAR", "month", "day", "hour", "minute", "second", "microsecond"];
        let parts = TimeForm::new(&format("", &all)).unwrap().data(&values);
        let Scalars::ArrayData(parts) = parts else { panic!("no arrays") };
        assert_eq!(parts.element_type, 5);
        let first = Scalars::LongData(pb::LongArray { data: vec![2025, 1, 1, 0, 0, 0, 500_000] });
        assert_eq!(parts.data[0].data, Some(first));
        for (zone, field) in [("Mars/Olympus", "year"), ("", "century")] {
            assert!(TimeForm::new(&format(zone, &[field])).is_err(), "{zone} {field}");
        }
    }
}
