//! Primary keys in requests and replies.

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

/// The keys of a request, `None` if there are none.
pub fn from_wire(ids: pb::IDs) -> Option<PrimaryKeys> {
    let keys = match ids.id_field? {
        pb::i_ds::IdField::IntId(keys) => PrimaryKeys::Int64(keys.data.into()),
        pb::i_ds::IdField::StrId(keys) => PrimaryKeys::VarChar(keys.data.into()),
        // No field has keys of this type.
        pb::i_ds::IdField::UuidId(_) => return None,
    };
    Some(keys).filter(|keys| !keys.is_empty())
}
