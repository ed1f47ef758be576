//! Faults are what they are called; signatures are checked; the control endpoint switches faults.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use milvus_s3_double::{Options, Server};
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt as _, PutMode};

use crate::client::{client, client_with, put, start};

async fn outcome(faults: &str) -> (Server, Option<String>) {
    let server = start(Options { faults: faults.parse().unwrap(), ..Options::default() }).await;
    let put = put(&client(&server), "k", "bytes".into(), PutMode::Create).await;
    assert_eq!(server.faults_shown(), 1, "{faults}");
    (server, put.err().map(|error| format!("{error:?}")))
}

fn is_there(server: &Server) -> bool {
    server.objects().find("bkt", "k").unwrap().is_some()
}

#[tokio::test]
async fn faults_before_the_deed_do_nothing() {
    for (faults, words) in [
        ("slow_down=1", "SlowDown"),
        ("error=1", "InternalError"),
        ("cut=1", "Http"),
        ("conflict=1", "ConditionalRequestConflict"),
    ] {
        let (server, error) = outcome(faults).await;
        assert!(error.is_some_and(|error| error.contains(words)), "{faults}");
        assert!(!is_there(&server), "{faults}");
    }
}

#[tokio::test]
async fn faults_after_the_deed_leave_it_done() {
    for (faults, words) in [("error_after=1", "InternalError"), ("lost_reply=1", "Http")] {
        let (server, error) = outcome(faults).await;
        assert!(error.is_some_and(|error| error.contains(words)), "{faults}");
        assert!(is_there(&server), "{faults}");
    }
}

#[tokio::test]
async fn signatures_are_checked() {
    let server = start(Options::default()).await;
    let wrong = client_with(&server, "not-the-secret");
    let error = put(&wrong, "k", "bytes".into(), PutMode::Overwrite).await.unwrap_err();
    assert!(matches!(error, Error::PermissionDenied { .. }), "{error:?}");
    assert!(!is_there(&server));
}

/// One HTTP exchange, by hand.
fn control(port: u16, method: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let length = body.len();
    write!(stream, "{method} / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_switched_while_it_runs() {
    let server = start(Options::default()).await;
    let (port, client) = (server.control_port(), client(&server));
    let set = move |text: &'static str| milvus_base::io::run(move || control(port, "PUT", text));
    assert!(set("error=1,method=PUT").await.unwrap().starts_with("HTTP/1.1 200"));
    put(&client, "k", "bytes".into(), PutMode::Overwrite).await.unwrap_err();
    assert!(set("eror=1").await.unwrap().contains("fault eror is not known"));
    put(&client, "k", "bytes".into(), PutMode::Overwrite).await.unwrap_err();
    let report = milvus_base::io::run(move || control(port, "GET", "")).await.unwrap();
    assert!(report.contains("shown=2") && report.contains("error: 1.0"), "{report}");
    set("").await.unwrap();
    put(&client, "k", "bytes".into(), PutMode::Overwrite).await.unwrap();
    assert_eq!(client.head(&Path::from("k")).await.unwrap().size, 5);
}
