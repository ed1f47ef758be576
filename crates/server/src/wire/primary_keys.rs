//! Primary keys in replies.

use milvus_proto::schema as pb;
use milvus_types::PrimaryKeys;

/// The keys as the wire has them.
pub fn to_wire(keys: &PrimaryKeys) -> pb::IDs {
    let field = match keys {
        PrimaryKeys::Int64(keys) => {
            pb::i_ds::IdField::IntId(pb::LongArray { data: keys.values().to_vec() })
        }
        PrimaryKeys::VarChar(keys) => pb::i_ds::IdField::StrId(pb::StringArray {
            data: keys.iter().map(|key| key.unwrap_or_default().to_owned()).collect(),
        }),
    };
    pb::IDs { id_field: Some(field) }
}
