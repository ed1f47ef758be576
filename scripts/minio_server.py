"""A real MinIO for tests: built once from source with Go into the cache folder, started on a free port.

MinIO gives out its source as a Go module and no binaries any more. It is started as a program of its
own and never linked: its licence (AGPL) does not reach us. MILVUS_TEST_MINIO names a finished binary.
"""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import devenv

# The newest that the Go module proxy serves by name; later than RELEASE.2025-10-15T17-29-55Z.
VERSION = "v0.0.0-20260212201848-7aac2a2c5b7c"
OLDEST_GO = (1, 24)
USER, PASSWORD = "minioadmin", "minioadmin"


def binary():
    """The path of a MinIO binary; builds it if there is none, which takes minutes."""
    given = os.environ.get("MILVUS_TEST_MINIO")
    if given:
        if not os.access(given, os.X_OK):
            raise devenv.Problem(f"MILVUS_TEST_MINIO={given} is not an executable")
        return pathlib.Path(given)
    folder = devenv.CACHE / "minio" / VERSION
    built = folder / "minio"
    if built.exists():
        return built
    go = go_program()
    folder.mkdir(parents=True, exist_ok=True)
    print(f"building MinIO {VERSION} in {folder}; this takes minutes", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=folder) as unfinished:
        settings = {"GOBIN": unfinished, "GOFLAGS": "-buildvcs=false", "CGO_ENABLED": "0"}
        command = [go, "install", "-trimpath", "-ldflags=-s -w", f"github.com/minio/minio@{VERSION}"]
        if devenv.run(command, env={**os.environ, **settings}) != 0:
            raise devenv.Problem("MinIO did not build")
        # Whoever is quicker wins; the binaries are the same.
        os.replace(pathlib.Path(unfinished) / "minio", built)
    return built


def go_program():
    """A Go that can build MinIO, or a message about what to do."""
    go = shutil.which("go") or next(
        (path for path in ("/usr/local/go/bin/go", "/usr/lib/go/bin/go") if os.path.exists(path)), None
    )
    wanted = ".".join(map(str, OLDEST_GO))
    if go is None:
        raise devenv.Problem(
            f"MinIO is built with Go {wanted} or later, which is not installed (Debian 12 has 1.19): "
            "see https://go.dev/doc/install, or set MILVUS_TEST_MINIO to a MinIO binary"
        )
    said = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True).stdout
    found = re.match(r"go(\d+)\.(\d+)", said)
    if found is None or (int(found[1]), int(found[2])) < OLDEST_GO:
        raise devenv.Problem(f"{go} is {said.strip()}, and MinIO is built with Go {wanted} or later")
    return go


class Minio:
    """A MinIO on a loopback port, with a directory that goes with it if none is given.

    A context manager; `address` is host:port, the keys are USER and PASSWORD.
    """

    def __init__(self, directory=None, port=0):
        self.temporary = None if directory else tempfile.TemporaryDirectory(prefix="minio-")
        self.directory = directory or self.temporary.name
        self.port = port or free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.process = None

    def __enter__(self):
        command = [binary(), "server", "--quiet", "--address", self.address, self.directory]
        keys = {"MINIO_ROOT_USER": USER, "MINIO_ROOT_PASSWORD": PASSWORD, "MINIO_BROWSER": "off"}
        self.process = subprocess.Popen(
            [str(part) for part in command],
            env={**os.environ, **keys},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self.wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def wait_until_ready(self, seconds=60):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise devenv.Problem(f"MinIO ended with status {self.process.returncode}")
            try:
                with urllib.request.urlopen(f"http://{self.address}/minio/health/ready", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise devenv.Problem(f"MinIO did not answer on {self.address} within {seconds} s")

    def __exit__(self, *_):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.temporary:
            self.temporary.cleanup()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
