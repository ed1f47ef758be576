"""A real server process for every test module, and a pymilvus client for every test.

MILVUS_BIN names the server binary. MILVUS_TEST_PEER=PYTHON runs against the milvus-lite of that Python
instead, which is only for checking the tests themselves: much of what they ask is not in milvus-lite.
"""

import itertools
import os
import pathlib

import pymilvus
import pytest
from harness.server import Lite, Server
from pymilvus import MilvusClient

PEER = os.environ.get("MILVUS_TEST_PEER")
_numbers = itertools.count(1)


def pytest_report_header():
    return f"pymilvus {pymilvus.__version__}, server {os.environ.get('MILVUS_BIN', 'not given')}"


@pytest.fixture(scope="session")
def binary():
    """The server binary; tests about the process itself need it."""
    if PEER:
        pytest.skip("needs the server of this repository")
    path = os.environ.get("MILVUS_BIN")
    if not path or not os.access(path, os.X_OK):
        pytest.fail(f"MILVUS_BIN={path} is not an executable; scripts/test builds and sets it")
    return pathlib.Path(path)


@pytest.fixture(scope="session")
def start(request):
    """Makes servers: start(folder, args=..., env=...)."""

    def start(folder, **options):
        if PEER:
            return Lite(PEER, folder / "data").start()
        return Server(request.getfixturevalue("binary"), folder / "data", **options).start()

    return start


@pytest.fixture(scope="module")
def server(start, tmp_path_factory):
    running = start(tmp_path_factory.mktemp("server"))
    yield running
    running.kill()


@pytest.fixture(scope="module")
def shared_client(server):
    """For fixtures that prepare one collection for a whole module."""
    client = MilvusClient(uri=server.uri)
    yield client
    client.close()


@pytest.fixture
def client(server):
    client = MilvusClient(uri=server.uri)
    yield client
    client.close()


@pytest.fixture
def name(client):
    """A collection name of this test's own; what has it is dropped at the end."""
    name = f"c{next(_numbers)}"
    yield name
    client.drop_collection(name)

