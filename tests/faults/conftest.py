"""What the tests of faults share: the server's binary, the shim, servers that end with their test."""

import os

import pytest
from harness.server import Server

from faults.shim import Faults, compile_shim


@pytest.fixture(scope="session")
def binary():
    assert os.environ.get("MILVUS_BIN"), "MILVUS_BIN is not set; scripts/test builds and sets it"
    return os.environ["MILVUS_BIN"]


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    return compile_shim(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def faults(shim, tmp_path):
    return Faults(shim, tmp_path, tmp_path / "data")


@pytest.fixture
def new(binary, tmp_path):
    """Makes servers on this test's own folder, and ends them."""
    made = []

    def new(**options):
        made.append(Server(binary, tmp_path / "data", **options))
        return made[-1]

    yield new
    for server in made:
        server.kill()
