//! What the binary refuses, with which exit code and words.

use std::fs;
use std::net::TcpListener;

use crate::binary::{Server, milvus};

/// The exit code and the words on standard error of a command that must fail.
fn refusal(args: &[&str]) -> (Option<i32>, String) {
    let output = milvus().args(args).output().unwrap();
    assert!(output.stdout.is_empty(), "{output:?}");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn words_and_flags_that_are_not_known_are_named() {
    let (code, text) = refusal(&["run", "querynode"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("\"querynode\"") && text.contains("standalone"), "{text}");
    let (code, text) = refusal(&["run", "standalone", "--prot", "1"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("--prot") && text.contains("--port"), "{text}");
}

#[test]
fn a_wrong_configuration_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("m.yaml");
    fs::write(&file, "mq:\n  type: kafka\n").unwrap();
    let (code, text) = refusal(&["run", "standalone", "--config", file.to_str().unwrap()]);
    assert_eq!(code, Some(2));
    assert!(
        text.contains("mq.type") && text.contains("kafka") && text.contains("m.yaml"),
        "{text}"
    );
}

#[test]
fn a_data_directory_has_one_server() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let data = dir.path().join("milvus-data");
    let (code, text) =
        refusal(&["run", "standalone", "--port", "0", "--data-dir", data.to_str().unwrap()]);
    assert_eq!(code, Some(1));
    assert!(text.contains("in use by process"), "{text}");
    assert!(server.stop().success());
    let again = Server::start(dir.path());
    assert!(again.stop().success());
}

#[test]
fn a_port_that_is_taken_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let data = dir.path().to_str().unwrap();
    let with = |flag| refusal(&["run", "standalone", "--data-dir", data, flag, &port]);
    let (code, text) = with("--port");
    assert_eq!(code, Some(1));
    assert!(text.contains(&port) && text.contains("--port"), "{text}");
    let args = ["run", "standalone", "--data-dir", data, "--port", "0", "--metrics-port", &port];
    let (code, text) = refusal(&args);
    assert_eq!(code, Some(1));
    assert!(text.contains(&port) && text.contains("--metrics-port"), "{text}");
}
