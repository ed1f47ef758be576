//! Precedence of sources, and what wrong keys and values are told.

use std::fs;

use super::*;

fn flag(key: &'static str, name: &'static str, value: &str) -> Flag {
    Flag { key, name, value: value.to_owned() }
}

fn variable(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// A configuration from a file of `yaml` and the other sources.
fn load(
    yaml: &str,
    environment: Vec<(String, String)>,
    flags: Vec<Flag>,
) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("milvus.yaml");
    fs::write(&path, yaml).unwrap();
    Config::load(&Sources { file: Some(path), environment, flags })
}

fn message(yaml: &str, environment: Vec<(String, String)>, flags: Vec<Flag>) -> String {
    load(yaml, environment, flags).unwrap_err().to_string()
}

#[test]
fn defaults_are_those_of_milvus() {
    let config = load("# nothing\n---\n", vec![], vec![]).unwrap();
    assert_eq!(config.limits, Limits::default());
    assert_eq!((config.port, config.metrics_port), (19530, 9091));
    assert!(!config.metrics_port_is_asked_for && config.notes.is_empty());
    assert_eq!((config.max_request_bytes, config.max_reply_bytes), (64 << 20, 256 << 20));
    assert_eq!(config.flush_rate, Some(0.1));
    assert_eq!(
        (config.channel_count, config.channel_prefix.as_str()),
        (16, "by-dev-rootcoord-dml")
    );
    assert_eq!(config.segments.max_bytes, 1 << 30);
    assert_eq!(config.graceful_stop, Duration::from_secs(30));
}

#[test]
fn a_flag_beats_the_environment_and_that_the_file() {
    let yaml = "proxy:\n  port: 1\n  maxNameLength: 2\nmetrics:\n  port: 3\n";
    let environment = vec![
        variable("MILVUS_CONF_PROXY_PORT", "11"),
        variable("PROXY_PORT", "10"),
        variable("PROXY_MAXNAMELENGTH", "12"),
        variable("HOME", "/"),
    ];
    let config = load(yaml, environment, vec![flag("proxy.port", "--port", "21")]).unwrap();
    assert_eq!((config.port, config.limits.name_length, config.metrics_port), (21, 12, 3));
    assert!(config.metrics_port_is_asked_for);
}

#[test]
fn a_variable_matches_its_key_in_every_spelling_milvus_knows() {
    for name in [
        "QUOTAANDLIMITS_FLUSHRATE_ENABLED",
        "quotaAndLimits.flushRate.enabled",
        "milvus.quotaAndLimits.flushRate.enabled",
        "MILVUS_CONF_QUOTA_AND_LIMITS_FLUSH_RATE_ENABLED",
    ] {
        let config = load("", vec![variable(name, "false")], vec![]).unwrap();
        assert_eq!(config.flush_rate, None, "{name}");
    }
    let with_prefix = vec![variable("MILVUS_CONF_PROXY_PORT", "5"), variable("proxy_port", "6")];
    assert_eq!(load("", with_prefix, vec![]).unwrap().port, 5);
}

#[test]
fn keys_are_matched_in_any_case_and_in_both_forms() {
    let config = load("PROXY.Port: 7\nLOG:\n  Level: DEBUG\n  format: json\n", vec![], vec![]);
    let config = config.unwrap();
    assert_eq!((config.port, config.log_level.as_str()), (7, "debug"));
    assert_eq!(config.log_format, LogFormat::Json);
}

#[test]
fn keys_of_milvus_without_effect_are_noted() {
    let config =
        load("queryNode:\n  enableDisk: true\npulsar:\n  port: 1\n", vec![], vec![]).unwrap();
    assert_eq!(config.notes.len(), 1);
    assert!(config.notes[0].starts_with("2 keys of "), "{:?}", config.notes);
    assert!(config.notes[0].ends_with("not used yet: pulsar.port, queryNode.enableDisk"));
}

#[test]
fn an_unknown_key_is_named_with_the_file_and_the_likely_one() {
    let text = message("prxy:\n  port: 1\n", vec![], vec![]);
    assert!(text.starts_with("unknown key prxy.port in "), "{text}");
    assert!(text.ends_with("milvus.yaml, did you mean proxy.port?"), "{text}");
    let text = message("", vec![variable("MILVUS_CONF_POXY_PORT", "1")], vec![]);
    assert_eq!(
        text,
        "unknown key MILVUS_CONF_POXY_PORT in the environment variable MILVUS_CONF_POXY_PORT, \
         did you mean proxy.port?"
    );
    assert!(message("colour: red\n", vec![], vec![]).contains("unknown key colour in"));
}

#[test]
fn a_wrong_value_is_told_with_what_was_expected() {
    assert_eq!(
        message("", vec![], vec![flag("proxy.port", "--port", "70000")]),
        "wrong value for proxy.port in the flag --port: got \"70000\", \
         expected a whole number from 0 to 65535"
    );
    let cases = [
        ("proxy:\n  maxFieldNum: many\n", "proxy.maxFieldNum", "a whole number from 1 to"),
        ("proxy:\n  maxFieldNum: 0\n", "proxy.maxFieldNum", "got \"0\""),
        ("proxy:\n  ip: example.org\n", "proxy.ip", "an IP address such as 127.0.0.1"),
        ("mq:\n  type: pulsar\n", "mq.type", "one of default, rocksmq, woodpecker (kafka"),
        ("log:\n  level: loud\n", "log.level", "one of trace, debug, info, warn, error"),
        ("quotaAndLimits:\n  enabled: perhaps\n", "quotaAndLimits.enabled", "true or false"),
        ("dataCoord:\n  segment:\n    sealProportion: 2\n", "sealProportion", "from 0 to 1"),
        ("common:\n  gracefulTime: -1\n", "common.gracefulTime", "a whole number from 0 (ms)"),
    ];
    for (yaml, key, expected) in cases {
        let text = message(yaml, vec![], vec![]);
        assert!(text.contains(key) && text.contains(expected), "{text}");
        assert!(text.contains("milvus.yaml"), "{text}");
    }
}

#[test]
fn a_group_has_keys_and_no_value() {
    for yaml in ["proxy: [1]\n", "proxy: 1\n", "PROXY: one\n"] {
        let text = message(yaml, vec![], vec![]);
        assert!(text.starts_with("wrong value for "), "{text}");
        assert!(text.contains("expected keys below it, such as proxy.ip = 127.0.0.1"), "{text}");
    }
}

#[test]
fn a_broken_or_missing_file_is_named() {
    assert!(message("proxy: [1\n", vec![], vec![]).contains("is not valid YAML"));
    assert!(message("just words\n", vec![], vec![]).contains("expected keys and values"));
    let missing = Sources { file: Some("/nonexistent/milvus.yaml".into()), ..Default::default() };
    let text = Config::load(&missing).unwrap_err().to_string();
    assert!(text.starts_with("cannot read configuration file /nonexistent/milvus.yaml"), "{text}");
}

/// The storage of a configuration with these variables.
fn storage(environment: &[(&str, &str)]) -> (StorageConfig, LogConfig) {
    let environment = environment.iter().map(|(name, value)| variable(name, value)).collect();
    let config = load("", environment, vec![]).unwrap();
    (config.storage, config.log)
}

fn remote(environment: &[(&str, &str)]) -> milvus_storage::RemoteConfig {
    match storage(environment).0 {
        StorageConfig::Remote { store, .. } => *store,
        StorageConfig::Local => panic!("{environment:?} is local"),
    }
}

#[test]
fn data_is_local_until_somebody_names_object_storage() {
    assert_eq!(storage(&[]), (StorageConfig::Local, LogConfig::Files));
    let named = remote(&[("MINIO_ADDRESS", "minio:9000")]);
    assert_eq!((named.address.as_str(), named.bucket.as_str()), ("minio:9000", "a-bucket"));
    let local = storage(&[("MINIO_ADDRESS", "minio:9000"), ("COMMON_STORAGETYPE", "local")]);
    assert_eq!(local.0, StorageConfig::Local);
    let (_, log) = storage(&[("MINIO_ADDRESS", "minio:9000")]);
    assert!(matches!(log, LogConfig::Objects { in_data_dir: false, .. }), "{log:?}");
    let (_, log) = storage(&[("MINIO_ADDRESS", "minio"), ("MQ_TYPE", "rocksmq")]);
    assert_eq!(log, LogConfig::Files);
    let (_, log) = storage(&[("MQ_TYPE", "woodpecker")]);
    let at_once =
        matches!(log, LogConfig::Objects { in_data_dir: true, flush_interval: Duration::ZERO, .. });
    assert!(at_once, "{log:?}");
}

#[test]
fn variables_of_images_and_charts_name_object_storage() {
    let full = remote(&[
        ("MINIO_ADDRESS", "s3.example.org:443"),
        ("MINIO_ACCESS_KEY_ID", "id"),
        ("MINIO_SECRET_ACCESS_KEY", "secret"),
        ("MINIO_BUCKET_NAME", "mine"),
        ("MINIO_REGION", "eu-1"),
        ("MINIO_USE_VIRTUAL_HOST", "true"),
    ]);
    assert_eq!((full.access_key.as_str(), full.secret_key.as_str()), ("id", "secret"));
    assert_eq!((full.bucket.as_str(), full.region.as_str()), ("mine", "eu-1"));
    assert!(full.use_ssl && full.use_virtual_host, "port 443 speaks TLS");
    let short = remote(&[
        ("MINIO_ADDRESS", "minio"),
        ("MINIO_ACCESS_KEY", "id"),
        ("MINIO_SECRET_KEY", "secret"),
        ("MINIO_PORT", "tcp://10.0.0.7:9000"),
        ("MINIO_USE_SSL", "false"),
    ]);
    assert_eq!((short.access_key.as_str(), short.secret_key.as_str()), ("id", "secret"));
    assert_eq!(short.address, "minio:9000", "what Kubernetes sets is no port");
    let own = remote(&[("MINIO_ADDRESS", "minio"), ("MINIO_PORT", "9100")]);
    assert_eq!(own.address, "minio:9100");
    let azure = [("MINIO_ADDRESS", "core.windows.net"), ("MINIO_CLOUD_PROVIDER", "azure")];
    assert_eq!(remote(&azure).address, "core.windows.net");
}

#[test]
fn times_and_sizes_of_the_log_are_checked() {
    let text = message("woodpecker.logstore.segmentSyncPolicy.maxInterval: soon\n", vec![], vec![]);
    assert!(text.contains("soon") && text.contains("10ms"), "{text}");
    let key = "woodpecker.logstore.segmentSyncPolicy.maxFlushSize: 1\nmq.type: woodpecker\n";
    let text = message(key, vec![], vec![]);
    assert!(text.contains("maxFlushSize") && text.contains("64K"), "{text}");
    let text = message("mq.type: woodpecker\nwoodpecker.storage.type: minio\n", vec![], vec![]);
    assert!(text.contains("woodpecker.storage.type"), "{text}");
}
