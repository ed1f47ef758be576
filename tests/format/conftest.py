"""Files on disk, opened by tools that know nothing of Milvus: pyarrow.

MILVUS_BIN names the server binary. MILVUS_SEGMENT_FILES names a folder that
`cargo run -p milvus-data --example segment_files -- FOLDER` has written.
"""

import json
import os
import pathlib

import pytest
from harness.server import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    path = os.environ.get("MILVUS_BIN")
    if not path or not os.access(path, os.X_OK):
        pytest.fail(f"MILVUS_BIN={path} is not an executable; scripts/test builds and sets it")
    running = Server(pathlib.Path(path), tmp_path_factory.mktemp("server") / "data").start()
    yield running
    running.kill()


@pytest.fixture(scope="session")
def files():
    """The example's files, by name; `expected.json` read."""
    folder = os.environ.get("MILVUS_SEGMENT_FILES")
    if not folder:
        pytest.fail("MILVUS_SEGMENT_FILES is not set: it names what the example segment_files wrote")
    folder = pathlib.Path(folder)
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    return folder / "columns.arrow", folder / "rows.parquet", expected
