//! The keys that can be set: name, kind of value, default, unit and meaning.

/// What a key's value may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Any text.
    Text,
    /// An IP address or `localhost`.
    Address,
    /// `true` or `false`.
    Flag,
    /// A whole number from the first to the second.
    Integer(i64, i64),
    /// A number from the first to the second.
    Number(f64, f64),
    /// One of these words, and why not another.
    OneOf(&'static [&'static str], &'static str),
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its dotted name, as Milvus writes it.
    pub name: &'static str,
    /// What its value may be.
    pub kind: Kind,
    /// The value where nothing is set.
    pub default: &'static str,
    /// The unit of the value, if it has one.
    pub unit: &'static str,
    /// What it does.
    pub doc: &'static str,
}

impl Key {
    /// Whether `text` can be its value.
    pub fn accepts(&self, text: &str) -> bool {
        let text = text.trim();
        match self.kind {
            Kind::Text | Kind::Address => true,
            Kind::Flag => {
                let words = ["true", "yes", "on", "1", "false", "no", "off", "0"];
                words.iter().any(|word| word.eq_ignore_ascii_case(text))
            }
            Kind::Integer(from, to) => text.parse().is_ok_and(|n: i64| (from..=to).contains(&n)),
            Kind::Number(from, to) => text.parse().is_ok_and(|n: f64| (from..=to).contains(&n)),
            Kind::OneOf(words, _) => words.iter().any(|word| word.eq_ignore_ascii_case(text)),
        }
    }

    /// What to write for the value, in words.
    pub fn expected(&self) -> String {
        let unit = if self.unit.is_empty() { String::new() } else { format!(" ({})", self.unit) };
        match self.kind {
            Kind::Text => "text".to_owned(),
            Kind::Address => "an IP address such as 127.0.0.1".to_owned(),
            Kind::Flag => "true or false".to_owned(),
            Kind::Integer(from, i64::MAX) => format!("a whole number from {from}{unit}"),
            Kind::Integer(from, to) => format!("a whole number from {from} to {to}{unit}"),
            Kind::Number(from, to) => format!("a number from {from} to {to}{unit}"),
            Kind::OneOf(words, "") => format!("one of {}", words.join(", ")),
            Kind::OneOf(words, why) => format!("one of {} ({why})", words.join(", ")),
        }
    }
}

const fn key(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    unit: &'static str,
    doc: &'static str,
) -> Key {
    Key { name, kind, default, unit, doc }
}

const COUNT: Kind = Kind::Integer(1, 1 << 31);
const BYTES: Kind = Kind::Integer(1, 1 << 31);
const PORT: Kind = Kind::Integer(0, 65535);
const SECONDS: Kind = Kind::Integer(0, 1 << 31);
const LOCAL_ONLY: &str = "this version runs in one process with its log and data on local disk";

/// Every key that has an effect.
pub const KEYS: &[Key] = &[
    key("proxy.ip", Kind::Address, "127.0.0.1", "", "address that clients connect to"),
    key("proxy.port", PORT, "19530", "", "port of gRPC; 0 takes a free one"),
    key("metrics.port", PORT, "9091", "", "port of health and metrics; 0 takes a free one"),
    key("localStorage.path", Kind::Text, "milvus-data", "", "directory that keeps everything"),
    key(
        "log.level",
        Kind::OneOf(&["trace", "debug", "info", "warn", "error"], ""),
        "info",
        "",
        "least important log lines to write",
    ),
    key("log.format", Kind::OneOf(&["text", "json"], ""), "text", "", "form of log lines"),
    key("proxy.gracefulStopTimeout", SECONDS, "30", "seconds", "time to finish requests at a stop"),
    key("proxy.grpc.serverMaxRecvSize", BYTES, "67108864", "bytes", "largest request"),
    key("proxy.grpc.serverMaxSendSize", BYTES, "268435456", "bytes", "largest reply"),
    key("proxy.maxNameLength", COUNT, "255", "bytes", "longest name"),
    key("proxy.maxCollectionDescriptionLength", COUNT, "1024", "bytes", "longest description"),
    key("proxy.maxFieldNum", COUNT, "64", "", "fields of a collection"),
    key("proxy.maxVectorFieldNum", COUNT, "10", "", "vector fields of a collection"),
    key("proxy.maxShardNum", COUNT, "16", "", "shards of a collection"),
    key("proxy.maxDimension", COUNT, "32768", "", "largest dimension of a vector"),
    key("proxy.maxVarCharLength", COUNT, "65535", "bytes", "largest max_length of a VarChar field"),
    key("proxy.maxArrayCapacity", COUNT, "4096", "", "largest max_capacity of an Array field"),
    key("proxy.maxIndexParamsSize", BYTES, "102400", "bytes", "parameters of one index"),
    key("common.JSONMaxLength", BYTES, "65536", "bytes", "longest JSON value"),
    key("common.gracefulTime", Kind::Integer(0, i64::MAX), "5000", "ms", "lag of Bounded reads"),
    key("rootCoord.maxPartitionNum", COUNT, "1024", "", "partitions of a collection"),
    key("rootCoord.maxDatabaseNum", COUNT, "64", "", "databases"),
    key("rootCoord.maxGeneralCapacity", COUNT, "65536", "", "sum of shards x partitions"),
    key("rootCoord.dmlChannelNum", Kind::Integer(1, 4096), "16", "", "log channels"),
    key(
        "msgChannel.chanNamePrefix.cluster",
        Kind::Text,
        "by-dev",
        "",
        "first part of channel names",
    ),
    key(
        "msgChannel.chanNamePrefix.rootCoordDml",
        Kind::Text,
        "rootcoord-dml",
        "",
        "second part of channel names",
    ),
    key("quotaAndLimits.enabled", Kind::Flag, "true", "", "whether rates are limited at all"),
    key("quotaAndLimits.flushRate.enabled", Kind::Flag, "true", "", "whether flushes are limited"),
    key(
        "quotaAndLimits.flushRate.collection.max",
        Kind::Number(-1.0, 1e9),
        "0.1",
        "flushes a second",
        "flushes of one collection; -1 for any number",
    ),
    key("quotaAndLimits.limits.maxCollectionNum", COUNT, "65536", "", "collections"),
    key(
        "quotaAndLimits.limits.maxCollectionNumPerDB",
        COUNT,
        "65536",
        "",
        "collections a database",
    ),
    key("quotaAndLimits.limits.topK", COUNT, "16384", "", "hits of one query"),
    key("quotaAndLimits.limits.largeTopK", COUNT, "1000000", "", "of query_mode large_topk"),
    key("quotaAndLimits.limits.nq", COUNT, "16384", "", "queries of one search"),
    key("quotaAndLimits.limits.maxQueryResultWindow", COUNT, "16384", "", "offset plus limit"),
    key(
        "quotaAndLimits.limits.largeMaxQueryResultWindow",
        COUNT,
        "1000000",
        "",
        "of query_mode large_topk",
    ),
    key("quotaAndLimits.limits.maxOutputSize", BYTES, "104857600", "bytes", "largest result"),
    key("dataCoord.segment.maxSize", COUNT, "1024", "MiB", "size of a full segment"),
    key(
        "dataCoord.segment.sealProportion",
        Kind::Number(0.0, 1.0),
        "0.12",
        "",
        "share of that size at which a growing segment is sealed",
    ),
    key("dataCoord.segment.maxIdleTime", SECONDS, "600", "seconds", "idle time before sealing"),
    key("dataCoord.segment.maxLife", SECONDS, "86400", "seconds", "age at which to seal"),
    key(
        "dataCoord.compaction.enableAutoCompaction",
        Kind::Flag,
        "true",
        "",
        "whether segments are compacted unasked",
    ),
    key(
        "dataCoord.compaction.single.ratio.threshold",
        Kind::Number(0.0, 1.0),
        "0.2",
        "",
        "share of dead rows at which a segment is written anew",
    ),
    key(
        "dataCoord.gc.dropTolerance",
        SECONDS,
        "30",
        "seconds",
        "how long files of compacted segments stay, for reads that began before",
    ),
    key(
        "common.retentionDuration",
        SECONDS,
        "60",
        "seconds",
        "how long dead rows stay for reads of older snapshots, at least",
    ),
    key(
        "indexCoord.segment.minSegmentNumRowsToEnableIndex",
        Kind::Integer(0, i64::MAX),
        "1024",
        "rows",
        "smaller segments are searched without an index",
    ),
    key("mq.type", Kind::OneOf(&["default", "rocksmq"], LOCAL_ONLY), "default", "", "the log"),
    key("common.storageType", Kind::OneOf(&["local"], LOCAL_ONLY), "local", "", "where data is"),
    key("metastore.type", Kind::OneOf(&["etcd"], LOCAL_ONLY), "etcd", "", "always embedded here"),
    key("etcd.use.embed", Kind::OneOf(&["true"], LOCAL_ONLY), "true", "", "always embedded here"),
];

/// The groups of Milvus's keys. A key of one of them that is not in [`KEYS`] is accepted and noted.
pub const GROUPS: &[&str] = &[
    "etcd",
    "metastore",
    "tikv",
    "localStorage",
    "minio",
    "mq",
    "woodpecker",
    "pulsar",
    "kafka",
    "rocksmq",
    "natsmq",
    "mixCoord",
    "rootCoord",
    "proxy",
    "queryCoord",
    "queryNode",
    "indexCoord",
    "indexNode",
    "dataCoord",
    "dataNode",
    "msgChannel",
    "log",
    "grpc",
    "tls",
    "internaltls",
    "common",
    "quotaAndLimits",
    "trace",
    "gpu",
    "streamingNode",
    "streaming",
    "knowhere",
    "credential",
    "function",
    "metrics",
    "hook",
    "glog",
    "version",
];

/// The key called `name`, in any case.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name.eq_ignore_ascii_case(name))
}

/// Whether `name` belongs to a group of Milvus's keys.
pub fn is_of_milvus(name: &str) -> bool {
    let group = name.split('.').next().unwrap_or_default();
    name.contains('.') && GROUPS.iter().any(|known| known.eq_ignore_ascii_case(group))
}

/// The group called `name`, in any case.
pub fn group(name: &str) -> Option<&'static str> {
    GROUPS.iter().copied().find(|known| known.eq_ignore_ascii_case(name))
}

/// A key of `group` as one may write it.
pub fn example_of(group: &str) -> String {
    let of_group = |key: &&Key| key.name.split('.').next() == Some(group);
    let known = KEYS.iter().find(of_group).map(|key| format!("{} = {}", key.name, key.default));
    known.unwrap_or_else(|| format!("{group}.name = value"))
}

/// The key that `name`, which is none, must have been meant to be: in the same place, one slip away.
pub fn slip_of(name: &str) -> Option<&'static str> {
    let (place, last) = name.rsplit_once('.')?;
    let last = last.to_lowercase();
    let is_near = |key: &&Key| {
        key.name.rsplit_once('.').is_some_and(|(known_place, known)| {
            let known = known.to_lowercase();
            known_place.eq_ignore_ascii_case(place)
                && known.len() > 3
                && edit_distance(&last, &known) <= 2
        })
    };
    KEYS.iter().find(is_near).map(|key| key.name)
}

/// The key or group that `name` was most likely meant to be.
pub fn suggestion(name: &str) -> Option<String> {
    let wanted = name.to_lowercase();
    let limit = (wanted.len() / 4).clamp(1, 4);
    let near = |candidate: &str| {
        let distance = edit_distance(&wanted, &candidate.to_lowercase());
        (distance <= limit).then_some(distance)
    };
    let whole = KEYS.iter().filter_map(|key| Some((near(key.name)?, key.name.to_owned()))).min();
    whole.map(|(_, name)| name).or_else(|| {
        let (group, rest) = name.split_once('.')?;
        let group = group.to_lowercase();
        let near = GROUPS.iter().filter(|known| edit_distance(&group, &known.to_lowercase()) <= 2);
        near.map(|known| format!("{known}.{rest}")).next()
    })
}

/// How many letters to insert, remove or replace to make `b` of `a`.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut before = i + 1;
        for (cell, right) in row.iter_mut().skip(1).zip(&b) {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = *cell;
            before = replaced.min(before + 1).min(diagonal + 1);
            *cell = before;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_in_any_case_and_belong_to_a_group() {
        let mut names: Vec<_> = KEYS.iter().map(|key| key.name.to_lowercase()).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), KEYS.len());
        assert!(KEYS.iter().all(|key| is_of_milvus(key.name) && !key.doc.is_empty()));
    }

    #[test]
    fn distances_are_those_of_levenshtein() {
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!((edit_distance("", "abc"), edit_distance("abc", "")), (3, 3));
        assert_eq!(edit_distance("same", "same"), 0);
    }

    #[test]
    fn a_slip_is_told_from_a_key_that_is_not_used() {
        assert_eq!(slip_of("proxy.prot"), Some("proxy.port"));
        assert_eq!(slip_of("proxy.maxTaskNum"), None);
        assert_eq!(slip_of("queryNode.prot"), None, "no key of that group is near");
    }

    #[test]
    fn slips_find_their_key() {
        assert_eq!(suggestion("proxy.prot").as_deref(), Some("proxy.port"));
        assert_eq!(suggestion("prxy.port").as_deref(), Some("proxy.port"));
        assert_eq!(suggestion("prxy.timeTickInterval").as_deref(), Some("proxy.timeTickInterval"));
        assert_eq!(suggestion("something.else"), None);
    }
}
