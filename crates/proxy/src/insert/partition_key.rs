//! Partition keys: which of a collection's partitions a row's key sends it to.
//!
//! The partitions are in the order of the numbers at the end of their names; a key's hash modulo
//! their number is the one. The hashes are those of shards.

use arrow::array::{Array as _, ArrayRef, AsArray as _};
use arrow::datatypes::Int64Type;
use milvus_types::{Collection, Failure, PartitionId, Result, Value};

use super::split::{hash_int64, hash_string};

/// Partitions are not the client's to name where keys decide.
pub(crate) fn refuse_name(name: &str) -> Result<()> {
    if name.is_empty() {
        return Ok(());
    }
    Err(Failure::parameter_invalid(
        "not support manually specifying the partition names if partition key mode is used",
    ))
}

/// The partitions in the order that hashes count in.
fn ordered(collection: &Collection) -> Result<Vec<PartitionId>> {
    let count = collection.partitions.len();
    let mut ordered = vec![None; count];
    for partition in &collection.partitions {
        let number = partition.name.rsplit_once('_').and_then(|(_, number)| number.parse().ok());
        let Some(slot) = number.and_then(|number: usize| ordered.get_mut(number)) else {
            return Err(Failure::parameter_invalid(format!(
                "illegal partition index in partition key mode: {}",
                partition.name
            )));
        };
        *slot = Some(partition.id);
    }
    let all: Option<Vec<PartitionId>> = ordered.into_iter().collect();
    all.filter(|all| !all.is_empty()).ok_or_else(|| {
        Failure::internal(format!("two partitions of {} have one number", collection.name))
    })
}

/// The partition of each row, given its key.
pub(crate) fn of_rows(collection: &Collection, keys: &ArrayRef) -> Result<Vec<PartitionId>> {
    let partitions = ordered(collection)?;
    if let Some(keys) = keys.as_primitive_opt::<Int64Type>() {
        return Ok(keys.values().iter().map(|key| place(&partitions, hash_int64(*key))).collect());
    }
    if let Some(keys) = keys.as_string_opt::<i32>() {
        let hashes = (0..keys.len()).map(|row| hash_string(keys.value(row)));
        return Ok(hashes.map(|hash| place(&partitions, hash)).collect());
    }
    Err(Failure::parameter_invalid(
        "currently only support DataType Int64 or VarChar as partition key Field",
    ))
}

/// The partitions in which rows with these keys lie, each once.
pub(crate) fn of_values(collection: &Collection, keys: &[Value]) -> Result<Vec<PartitionId>> {
    let partitions = ordered(collection)?;
    let mut found = Vec::new();
    for key in keys {
        let hash = match key {
            Value::Int64(key) => hash_int64(*key),
            Value::Int32(key) => hash_int64(i64::from(*key)),
            Value::VarChar(key) => hash_string(key),
            Value::Bool(_)
            | Value::Float(_)
            | Value::Double(_)
            | Value::Bytes(_)
            | Value::Array(_) => {
                return Err(Failure::parameter_invalid(
                    "the data type of the data and the schema do not match",
                ));
            }
        };
        let partition = place(&partitions, hash);
        if !found.contains(&partition) {
            found.push(partition);
        }
    }
    Ok(found)
}

fn place(partitions: &[PartitionId], hash: u32) -> PartitionId {
    let at = usize::try_from(hash).unwrap_or_default() % partitions.len().max(1);
    partitions.get(at).copied().unwrap_or(PartitionId(0))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use milvus_types::collection::Partition;
    use milvus_types::{CollectionId, CollectionSchema, ConsistencyLevel, DatabaseId, Timestamp};

    use super::*;

    fn collection(names: &[&str]) -> Collection {
        let partition = |(id, name): (i64, &&str)| Partition {
            id: PartitionId(id),
            name: (*name).to_owned(),
            create_ts: Timestamp::ZERO,
        };
        Collection {
            id: CollectionId(1),
            db_id: DatabaseId::DEFAULT,
            db_name: "default".to_owned(),
            name: "c".to_owned(),
            schema: CollectionSchema::default(),
            partitions: (10..).zip(names).map(partition).collect(),
            vchannels: vec![],
            consistency_level: ConsistencyLevel::Strong,
            properties: vec![],
            create_ts: Timestamp::ZERO,
            update_ts: Timestamp::ZERO,
        }
    }

    #[test]
    fn keys_find_their_partitions_by_number_not_by_order() {
        let collection = collection(&["_default_2", "_default_0", "_default_1"]);
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![0, 1, 100]));
        let by_number = [PartitionId(11), PartitionId(12), PartitionId(10)];
        let expected: Vec<PartitionId> = [0x6385_2afc_usize, 0x5307_5d44, 0x462b_1070]
            .iter()
            .map(|hash| by_number[hash % 3])
            .collect();
        assert_eq!(of_rows(&collection, &ids).unwrap(), expected);
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["123456789"]));
        let expected = vec![by_number[0xcbf4_3926_usize % 3]];
        assert_eq!(of_rows(&collection, &texts).unwrap(), expected);
        let same = [Value::VarChar("123456789".to_owned()), Value::VarChar("123456789".to_owned())];
        assert_eq!(of_values(&collection, &same).unwrap(), expected);
    }

    #[test]
    fn other_names_and_values_are_refused() {
        for names in [&["_default_1"][..], &["p"], &["_default_0", "x_0"], &[]] {
            assert!(of_values(&collection(names), &[]).is_err(), "{names:?}");
        }
        let whole = collection(&["_default_0"]);
        assert!(of_values(&whole, &[Value::Double(1.0)]).is_err());
        assert!(refuse_name("_default_0").is_err() && refuse_name("").is_ok());
    }
}
