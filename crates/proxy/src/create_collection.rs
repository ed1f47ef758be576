//! `CreateCollection`: checks the schema, adds the hidden dynamic field, hands over to the
//! coordinator.

use milvus_roles::CreateCollection;
use milvus_types::schema::DYNAMIC_FIELD;
use milvus_types::{
    CollectionSchema, ConsistencyLevel, DataType, FieldSchema, KeyValue, Result, Value,
};

use crate::Proxy;
use crate::api::{self, Context, CreateCollectionRequest};
use crate::validate::schema;
use crate::wire_text::param;

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
            unsupported: &request.unsupported,
            shards_num: request.shards_num,
            properties: &request.properties,
            num_partitions: request.num_partitions,
        };
        schema::validate(&check, &self.options().limits)?;
        schema::supported(&check)?;
        let consistency_level = level(request.consistency_level, &request.properties);
        let create = CreateCollection {
            db_name: cx.db_name.clone(),
            schema: with_dynamic_field(request.schema),
            shards_num: usize::try_from(request.shards_num).unwrap_or(0).max(1),
            consistency_level,
            properties: with_time_zone(request.properties),
        };
        self.root().create_collection(create).await.map(drop)
    }
}

/// The property `consistency_level` overrides the request's number.
fn level(number: i32, properties: &[KeyValue]) -> ConsistencyLevel {
    let named = param(properties, "consistency_level").and_then(|text| {
        let by_number = text.parse().ok().and_then(ConsistencyLevel::from_number);
        by_number.or_else(|| {
            (0..=4)
                .filter_map(ConsistencyLevel::from_number)
                .find(|level| level.name().eq_ignore_ascii_case(text))
        })
    });
    named.unwrap_or_else(|| api::consistency_level(number))
}

fn with_dynamic_field(mut schema: CollectionSchema) -> CollectionSchema {
    if schema.enable_dynamic_field {
        schema.fields.push(FieldSchema {
            name: DYNAMIC_FIELD.to_owned(),
            description: "dynamic schema".to_owned(),
            data_type: DataType::JSON,
            is_dynamic: true,
            nullable: true,
            default_value: Some(Value::Bytes(b"{}".to_vec())),
            ..FieldSchema::default()
        });
    }
    schema
}

fn with_time_zone(mut properties: Vec<KeyValue>) -> Vec<KeyValue> {
    if param(&properties, "timezone").is_none() {
        properties.push(KeyValue::new("timezone", "UTC"));
    }
    properties
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
}
