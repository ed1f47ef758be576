//! A running server, stopped when dropped.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

/// The program, without the configuration of whoever runs the tests.
pub(crate) fn milvus() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_milvus"));
    command.env_clear().stdin(Stdio::null());
    command
}

/// A server on free ports.
pub(crate) struct Server {
    child: Child,
    /// Its first lines.
    pub(crate) lines: Vec<String>,
}

impl Server {
    /// Starts a server on `dir` and waits until it has said where it listens.
    pub(crate) fn start(dir: &Path) -> Self {
        let mut command = milvus();
        command.current_dir(dir).args(["run", "standalone", "--port", "0", "--metrics-port", "0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let lines = lines.take(4).map(Result::unwrap).collect();
        Self { child, lines }
    }

    /// Where clients connect.
    pub(crate) fn address(&self) -> &str {
        self.lines[0].strip_prefix("listening on ").unwrap()
    }

    /// The reply to a `GET` of `path` on the admin port.
    pub(crate) fn get(&self, path: &str) -> String {
        let address = self.lines[1].strip_prefix("metrics on ").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply
    }

    /// Asks the server to stop and waits until it has.
    pub(crate) fn stop(mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
