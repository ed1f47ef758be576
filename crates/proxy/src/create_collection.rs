//! `CreateCollection`: checks the schema, adds the hidden dynamic field and the columns of struct
//! arrays, hands over to the coordinator.

use milvus_roles::CreateCollection;
use milvus_types::index_meta::find;
use milvus_types::schema::DYNAMIC_FIELD;
use milvus_types::{
    CollectionSchema, ConsistencyLevel, DataType, FieldSchema, KeyValue, Result, Value,
};

use crate::Proxy;
use crate::api::{self, Context, CreateCollectionRequest};
use crate::validate::properties::{self, TIME_ZONE};
use crate::validate::{default_value, keys, schema, structs};
use crate::wire_text::param;

/// The property that names the level of reads that name none.
pub(crate) const CONSISTENCY_LEVEL: &str = "consistency_level";
const MAX_FIELD_ID: &str = "max_field_id";

impl Proxy {
    /// Creates a collection; again with an equal schema is a success.
    pub async fn create_collection(
        &self,
        cx: &Context,
        request: CreateCollectionRequest,
    ) -> Result<()> {
        let check = schema::Request {
            collection_name: &request.collection_name,
            schema: &request.schema,
            structs: &request.structs,
            unsupported: &request.unsupported,
            shards_num: request.shards_num,
            consistency_level: request.consistency_level,
            properties: &request.properties,
            num_partitions: request.num_partitions,
        };
        schema::validate(&check, &self.options().limits)?;
        schema::supported(&check)?;
        let has_partition_key = request.schema.partition_key().is_some();
        let num_partitions = physical_partitions(
            has_partition_key,
            request.num_partitions,
            self.options().limits.partitions,
        );
        let consistency_level = level(request.consistency_level, &request.properties);
        let properties = self.stored_properties(cx, request.properties).await?;
        let zone = properties::zone_of(find(&properties, TIME_ZONE).unwrap_or_default())?;
        let mut schema = with_dynamic_field(request.schema);
        for field in &mut schema.fields {
            default_value::normalize(field, &zone)?;
        }
        structs::flatten(&mut schema, request.structs);
        let create = CreateCollection {
            db_name: cx.db_name.clone(),
            schema,
            shards_num: usize::try_from(request.shards_num).unwrap_or(0).max(1),
            num_partitions,
            consistency_level,
            properties,
        };
        self.root().create_collection(create).await.map(drop)
    }

    /// The properties that are kept: the level of reads has a place of its own, which field ids were
    /// given is not the client's to say, and there is always a time zone, the database's where the
    /// collection names none.
    async fn stored_properties(
        &self,
        cx: &Context,
        mut properties: Vec<KeyValue>,
    ) -> Result<Vec<KeyValue>> {
        properties.retain(|pair| pair.key != CONSISTENCY_LEVEL && pair.key != MAX_FIELD_ID);
        if find(&properties, TIME_ZONE).is_none() {
            let database = self.describe_database(&cx.db_name).await?;
            let zone = find(&database.properties, TIME_ZONE).unwrap_or("UTC");
            properties.push(KeyValue::new(TIME_ZONE, zone));
        }
        Ok(properties)
    }
}

/// How many partitions rows are routed over by their partition key, if there is one.
fn physical_partitions(has_partition_key: bool, asked_for: i64, limit: usize) -> Option<usize> {
    has_partition_key.then(|| match usize::try_from(asked_for) {
        Ok(0) | Err(_) => keys::DEFAULT_KEY_PARTITIONS.min(limit),
        Ok(number) => number,
    })
}

/// The property `consistency_level` overrides the request's number.
fn level(number: i32, properties: &[KeyValue]) -> ConsistencyLevel {
    let named = param(properties, CONSISTENCY_LEVEL).and_then(named_level);
    named.unwrap_or_else(|| api::consistency_level(number))
}

/// The level that a property names, by number or by name.
pub(crate) fn named_level(text: &str) -> Option<ConsistencyLevel> {
    let by_number = text.parse().ok().and_then(ConsistencyLevel::from_number);
    by_number.or_else(|| {
        (0..=4)
            .filter_map(ConsistencyLevel::from_number)
            .find(|level| level.name().eq_ignore_ascii_case(text))
    })
}

fn with_dynamic_field(mut schema: CollectionSchema) -> CollectionSchema {
    if schema.enable_dynamic_field {
        schema.fields.push(dynamic_field());
    }
    schema
}

/// The hidden field that keeps dynamic keys.
pub(crate) fn dynamic_field() -> FieldSchema {
    FieldSchema {
        name: DYNAMIC_FIELD.to_owned(),
        description: "dynamic schema".to_owned(),
        data_type: DataType::JSON,
        is_dynamic: true,
        nullable: true,
        default_value: Some(Value::Bytes(b"{}".to_vec())),
        ..FieldSchema::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_property_overrides_the_level() {
        let named = |value: &str| [KeyValue::new("consistency_level", value)];
        assert_eq!(level(2, &[]), ConsistencyLevel::Bounded);
        assert_eq!(level(2, &named("Strong")), ConsistencyLevel::Strong);
        assert_eq!(level(2, &named("3")), ConsistencyLevel::Eventually);
        assert_eq!(level(99, &named("?")), ConsistencyLevel::Strong);
    }

    #[test]
    fn partitions_of_a_key_have_a_default() {
        assert_eq!(physical_partitions(false, 0, 1024), None);
        assert_eq!(physical_partitions(true, 0, 1024), Some(16));
        assert_eq!(physical_partitions(true, 0, 4), Some(4));
        assert_eq!(physical_partitions(true, 100, 1024), Some(100));
    }
}
