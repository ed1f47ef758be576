//! Who put an object: a name in the object's metadata, by which a writer whose reply was lost finds
//! its own object again.
//!
//! Every conditional put carries two pieces of metadata: a name that no other put has, and the
//! condition that it was made under. If the object that is there has our name, we put it. If it has
//! another's name and the very condition that ours had, that put came first and ours cannot have
//! succeeded. Anything else says nothing: our object may have been there and been replaced.
//!
//! This rests on states being distinct: two objects at one path, one after the other, differ in their
//! bytes (S3 makes the entity tag from them), and none is deleted while a put to it is under way.

use object_store::{Attribute, Attributes};

/// Azure takes only letters, digits and underscores.
const WRITE: &str = "milvuswrite";
const BASE: &str = "milvusbase";

/// What a conditional put of ours is marked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WriteId {
    write: String,
    base: String,
}

/// What the object that is there is marked with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    write: Option<String>,
    base: Option<String>,
}

/// What that says about our put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the object.
    Ours,
    /// Another put came first.
    Lost,
    /// It cannot be told.
    Unknown,
}

impl WriteId {
    /// A new name for a put under the condition `base`.
    pub(super) fn new(base: &str) -> Self {
        Self { write: milvus_base::random::unique_name(), base: base.to_owned() }
    }

    /// The metadata.
    pub(super) fn attributes(&self) -> Attributes {
        Attributes::from_iter([
            (Attribute::Metadata(WRITE.into()), self.write.clone()),
            (Attribute::Metadata(BASE.into()), self.base.clone()),
        ])
    }

    /// What the marks of the object that is there say about the put with this name.
    pub(super) fn judge(&self, found: &Found) -> Verdict {
        if found.write.as_ref() == Some(&self.write) {
            Verdict::Ours
        } else if found.base.as_ref() == Some(&self.base) {
            Verdict::Lost
        } else {
            Verdict::Unknown
        }
    }
}

impl Found {
    /// The marks among `attributes`.
    pub(super) fn of(attributes: &Attributes) -> Self {
        let text = |name: &'static str| {
            attributes.get(&Attribute::Metadata(name.into())).map(|value| value.to_string())
        };
        Self { write: text(WRITE), base: text(BASE) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_certain_is_said() {
        let ours = WriteId::new("etag-1");
        let rival = WriteId::new("etag-1");
        let later = WriteId::new("etag-2");
        let judge = |there: &WriteId| ours.judge(&Found::of(&there.attributes()));
        assert_eq!(judge(&ours), Verdict::Ours);
        assert_eq!(judge(&rival), Verdict::Lost);
        assert_eq!(judge(&later), Verdict::Unknown);
        assert_eq!(ours.judge(&Found::default()), Verdict::Unknown);
    }
}
