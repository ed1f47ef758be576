"""One running `milvus run standalone`: started on free ports, ended by its own process id.

Promises: `start` returns only when the server has printed its address; `stop`, `kill` and the end of
this Python process end the server; nothing is ended by name. Everything listens on loopback.
"""

import atexit
import hashlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
import weakref

LISTENING = re.compile(r"^listening on 127\.0\.0\.1:(\d+)", re.MULTILINE)
METRICS = re.compile(r"^(?!\{).*\bmetrics\b.*127\.0\.0\.1:(\d+)", re.MULTILINE)

_running = weakref.WeakSet()


def _end_all():
    for server in list(_running):
        server.kill()


atexit.register(_end_all)


class StartError(RuntimeError):
    """The server ended, or said nothing, before it listened. Carries the end of its log."""


class Process:
    """What every server here has: a process, a log file, an address, and an end."""

    def __init__(self, data_dir, log_path=None):
        self.data_dir = pathlib.Path(data_dir)
        self.log_path = pathlib.Path(log_path or f"{self.data_dir}.log")
        self.process = None
        self.asked_port = 0
        self.port = None
        self.metrics_port = None
        self.started_in = None

    @property
    def uri(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self):
        return self.process.pid

    def spawn(self, command, env=None):
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log_path, "ab") as log:
            self._log_start = log.tell()
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **(env or {})},
            )
        _running.add(self)

    def log_text(self):
        """What this run of the process has printed so far."""
        with open(self.log_path, "rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def wait_until(self, ready, timeout_s, what):
        """Polls `ready` until it is true, the process ends, or the time is over."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if ready():
                return
            if not self.is_running():
                if ready():
                    return
                code = self.process.returncode
                raise StartError(f"ended with {code} before {what}\n{self.log_text()[-4000:]}")
            time.sleep(0.002)
        raise StartError(f"not {what} within {timeout_s} s\n{self.log_text()[-4000:]}")

    def kill(self):
        """kill -9, and waits until the process is gone."""
        if self.is_running():
            self.process.kill()
        if self.process is not None:
            self.process.wait(30)
        _running.discard(self)

    def stop(self, timeout_s=30):
        """SIGTERM; returns the exit status. A server that does not end in time is killed."""
        if self.is_running():
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        finally:
            _running.discard(self)

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.kill()


class Server(Process):
    """The server of this repository."""

    def __init__(self, binary, data_dir, args=(), env=None, log_path=None):
        super().__init__(data_dir, log_path)
        self.binary, self.args, self.env = binary, list(args), dict(env or {})

    def command(self):
        command = [self.binary, "run", "standalone", "--data-dir", self.data_dir]
        return [*command, "--port", self.asked_port, "--metrics-port", 0, *self.args]

    def start(self, timeout_s=60):
        began = time.monotonic()
        self.spawn(self.command(), {**object_storage(self.data_dir), **self.env})
        self.wait_until(self._read_ports, timeout_s, "listening")
        self.started_in = time.monotonic() - began
        return self

    def _read_ports(self):
        text = self.log_text()
        listening, metrics = LISTENING.search(text), METRICS.search(text)
        if not (listening and metrics and text[max(listening.end(), metrics.end()) :].count("\n")):
            return False
        self.port, self.metrics_port = int(listening[1]), int(metrics[1])
        return True

    def admin(self, path, timeout_s=5):
        """GET on the admin port: (status, body as text)."""
        url = f"http://127.0.0.1:{self.metrics_port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=timeout_s) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


def object_storage(data_dir):
    """Variables of a server whose data and log are in the S3 server at MILVUS_TEST_S3 (host:port), if
    there is one; each data directory has a part of the bucket to itself."""
    address = os.environ.get("MILVUS_TEST_S3")
    if not address:
        return {}
    part = hashlib.sha256(str(data_dir).encode()).hexdigest()[:16]
    return {
        "COMMON_STORAGETYPE": "remote",
        "MQ_TYPE": "woodpecker",
        "MINIO_ADDRESS": address,
        "MINIO_ROOT_PATH": f"tests/{part}",
        "MINIO_BUCKET_NAME": os.environ.get("MILVUS_TEST_S3_BUCKET", "milvus-tests"),
    }


class Lite(Process):
    """milvus-lite as a server of its own, out of the virtual environment `python` belongs to.

    The peer of the benches, and a second opinion on what a client sees. 2.x is a compiled server,
    3.x a Python one; which of them is found decides.
    """

    def __init__(self, python, data_dir, log_path=None):
        super().__init__(data_dir, log_path)
        self.python = pathlib.Path(python)

    def start(self, timeout_s=60):
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        began = time.monotonic()
        lib = next(self.python.parent.parent.glob("lib/python3*/site-packages/milvus_lite/lib"), None)
        if lib is not None and (lib / "milvus").exists():
            command = [lib / "milvus", self.data_dir / "lite.db", f"127.0.0.1:{self.port}", "ERROR"]
            self.spawn(command, {"LD_LIBRARY_PATH": str(lib)})
        else:
            command = [self.python.parent / "milvus-lite", "server", "--host", "127.0.0.1"]
            self.spawn([*command, "--port", self.port, "--data-dir", self.data_dir])
        self.wait_until(lambda: is_open(self.port), timeout_s, "listening")
        self.started_in = time.monotonic() - began
        return self


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def is_open(port):
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
        return True
    except OSError:
        return False
