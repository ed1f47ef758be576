//! The places in the log at which a test can have the process end (`milvus_base::failpoint`).

/// Their names.
pub const FAILPOINTS: [&str; 13] = [
    // Log in files: the head of a new file is written, nothing of it is durable.
    "wal.local.after-begin",
    // A batch is written and not durable.
    "wal.local.before-sync",
    // A batch is durable and nobody knows.
    "wal.local.after-sync",
    // The log begins later than its first file.
    "wal.local.before-delete",
    // Log in objects: the manifest has a new owner, who has claimed nothing.
    "wal.object.before-claim",
    "wal.object.after-claim",
    // A batch is about to be put.
    "wal.object.before-put",
    // A batch is there and nobody knows.
    "wal.object.after-put",
    // Objects are copied into one; no manifest lists it.
    "wal.object.before-merged",
    "wal.object.after-merged",
    // A manifest is about to give objects up.
    "wal.object.before-manifest",
    // A manifest no longer lists objects that are there.
    "wal.object.after-manifest",
    // One of them is about to be deleted.
    "wal.object.before-delete",
];

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::FAILPOINTS;

    /// The sources under `dir`, but tests.
    fn sources(dir: &Path) -> String {
        let mut text = String::new();
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                text += &sources(&path);
            } else if path.file_name().is_some_and(|name| name != "failpoints.rs") {
                text += &fs::read_to_string(path).unwrap();
            }
        }
        text
    }

    #[test]
    fn every_place_is_listed_and_every_listed_one_exists() {
        let text = sources(Path::new("src"));
        let hits: Vec<&str> = text
            .split("failpoint::hit(\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        for name in FAILPOINTS {
            assert!(hits.contains(&name), "{name} is nowhere");
        }
        for hit in hits {
            assert!(FAILPOINTS.contains(&hit), "{hit} is not listed");
        }
    }
}
