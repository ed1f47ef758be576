//! The bytes of a segment's statistics within a manifest.

use milvus_types::{FieldId, FieldStats, ValueRange};
use prost::Message;

/// At most one of the ranges is there.
#[derive(Clone, PartialEq, Message)]
pub(super) struct StatsMessage {
    #[prost(int64, tag = "1")]
    field_id: i64,
    #[prost(uint64, tag = "2")]
    nulls: u64,
    #[prost(message, optional, tag = "3")]
    ints: Option<IntsMessage>,
    #[prost(message, optional, tag = "4")]
    floats: Option<FloatsMessage>,
    #[prost(message, optional, tag = "5")]
    texts: Option<TextsMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct IntsMessage {
    #[prost(sint64, tag = "1")]
    min: i64,
    #[prost(sint64, tag = "2")]
    max: i64,
}

#[derive(Clone, PartialEq, Message)]
struct FloatsMessage {
    #[prost(double, tag = "1")]
    min: f64,
    #[prost(double, tag = "2")]
    max: f64,
}

#[derive(Clone, PartialEq, Message)]
struct TextsMessage {
    #[prost(string, tag = "1")]
    min: String,
    #[prost(string, optional, tag = "2")]
    max: Option<String>,
}

pub(super) fn stats_message(stats: &FieldStats) -> StatsMessage {
    let (mut ints, mut floats, mut texts) = (None, None, None);
    match &stats.range {
        None => {}
        Some(ValueRange::Int { min, max }) => ints = Some(IntsMessage { min: *min, max: *max }),
        Some(ValueRange::Float { min, max }) => {
            floats = Some(FloatsMessage { min: *min, max: *max });
        }
        Some(ValueRange::Text { min, max }) => {
            texts =
                Some(TextsMessage { min: (&**min).into(), max: max.as_deref().map(str::to_owned) });
        }
    }
    StatsMessage { field_id: stats.field_id.0, nulls: stats.nulls, ints, floats, texts }
}

/// The statistics of a column of `rows` rows, or what is wrong with them.
pub(super) fn field_stats(message: StatsMessage, rows: u64) -> Result<FieldStats, String> {
    let StatsMessage { field_id, nulls, ints, floats, texts } = message;
    if nulls > rows {
        return Err(format!("{nulls} nulls of field {field_id} in {rows} rows"));
    }
    let range = match (ints, floats, texts) {
        (None, None, None) => None,
        (Some(IntsMessage { min, max }), None, None) => {
            ordered(field_id, min, max)?;
            Some(ValueRange::Int { min, max })
        }
        (None, Some(FloatsMessage { min, max }), None) => {
            ordered(field_id, min, max)?;
            Some(ValueRange::Float { min, max })
        }
        (None, None, Some(TextsMessage { min, max })) => {
            if let Some(max) = &max {
                ordered(field_id, &min, max)?;
            }
            Some(ValueRange::Text { min: min.into(), max: max.map(String::into) })
        }
        _ => return Err(format!("several kinds of values of field {field_id}")),
    };
    Ok(FieldStats { field_id: FieldId(field_id), rows, nulls, range })
}

/// Neither bound is NaN, and they are in order.
fn ordered<T: PartialOrd + std::fmt::Display>(field: i64, min: T, max: T) -> Result<(), String> {
    match min <= max {
        true => Ok(()),
        false => Err(format!("values of field {field} between {min} and {max}")),
    }
}
