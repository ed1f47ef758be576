"""One server for the programs of this folder; MILVUS_BIN names the binary."""

import os
import pathlib

import pytest
from harness.server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    path = os.environ.get("MILVUS_BIN")
    if not path or not os.access(path, os.X_OK):
        pytest.fail(f"MILVUS_BIN={path} is not an executable; scripts/test builds and sets it")
    running = Server(pathlib.Path(path), tmp_path_factory.mktemp("server") / "data").start()
    yield running
    running.kill()
