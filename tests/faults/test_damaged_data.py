"""A server that starts on damaged data serves the rest, and names what is damaged.

Two collections, flushed and indexed. One file of the first is damaged while the server is down: the
second is whole, the damaged file's name is in the server's log, and what concerns it is refused.
"""

import pytest
from crash.store import vector_of
from harness.server import StartError
from pymilvus import MilvusException

from faults.rows import Rows

KINDS = {
    "columns": "objects/segments/*/*/*/columns.arrow",
    "keys": "objects/segments/*/*/*/keys.idx",
    "deletes": "objects/segments/*/*/*/deletes-*.del",
    "manifest": "objects/manifests/*/*.manifest",
}


@pytest.fixture
def data(new, tmp_path):
    """A data directory with two collections at rest: (its folder, rows of the first, of the second)."""
    # How often one may flush is not what is tested here.
    server = new(env={"QUOTAANDLIMITS_FLUSHRATE_ENABLED": "false"}).start()
    first, second = Rows(server.uri, "first"), Rows(server.uri, "second")
    first.create()
    first.insert(200)
    first.flush()
    # The flush of the second comes with deletes of rows that the first has written.
    first.store.delete("first", range(5))
    first.acknowledged -= set(range(5))
    first.insert(10)
    first.flush()
    mine = {kind: set((tmp_path / "data").glob(pattern)) for kind, pattern in KINDS.items()}
    second.create()
    second.insert(100)
    second.flush()
    second.insert(10)
    assert server.stop() == 0
    return mine, first, second


def damage(path):
    blob = bytearray(path.read_bytes())
    blob[len(blob) // 2] ^= 0x10
    path.write_bytes(blob)


@pytest.mark.parametrize("how", ["flipped", "cut", "removed"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_rest_is_served_and_the_damaged_file_is_named(new, data, kind, how):
    files, first, second = data
    path = max(path for path in files[kind] if path.exists())
    if how == "flipped":
        damage(path)
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        path.unlink()
    server = new().start()
    second.connect(server.uri)
    second.check()
    assert second.insert()
    second.check()
    first.connect(server.uri)
    with pytest.raises(MilvusException):  # refused, not answered without what is damaged
        first.check()
    name = str(path).split("/objects/", 1)[1]
    assert name in server.log_text(), f"{name} is not named"
    assert "panicked" not in server.log_text(), server.log_text()[-2000:]
    assert server.is_running()


def test_a_damaged_index_slows_searches_and_changes_no_answer(new, tmp_path):
    every = {"INDEXCOORD_SEGMENT_MINSEGMENTNUMROWSTOENABLEINDEX": "10"}
    server = new(env=every).start()
    rows = Rows(server.uri)
    rows.create()
    rows.insert(300)
    index = rows.store.client.prepare_index_params()
    index.add_index("op", index_type="INVERTED")
    rows.store.client.create_index(rows.name, index, timeout=10)
    rows.flush()
    pattern = "objects/segments/*/*/*/index-*.vidx"
    server.wait_until(lambda: list((tmp_path / "data").glob(pattern)), 30, "indexed")
    assert server.stop() == 0
    files = list((tmp_path / "data").glob(pattern))
    for path in files:
        damage(path)
    again = new(env=every).start()
    rows.connect(again.uri)
    rows.check()
    assert rows.store.get(rows.name, 7) == 1
    hit = rows.store.client.search(rows.name, [vector_of(7, 1).tolist()], filter="op == 1", limit=1)
    assert hit[0][0]["key"] == 7
    for path in files:
        assert str(path).split("/objects/", 1)[1] in again.log_text()
    assert rows.insert()


def test_a_damaged_log_file_is_named_and_nothing_of_it_is_served_as_whole(new, data, tmp_path):
    _, first, second = data
    for path in sorted((tmp_path / "data" / "log").glob("*/*.log")):
        blob = bytearray(path.read_bytes())
        blob[60] ^= 0x10
        path.write_bytes(blob)
    server = new()
    try:
        server.start(timeout_s=20)
    except StartError:
        pass
    else:
        for rows in (first, second):
            rows.connect(server.uri)
            with pytest.raises(MilvusException):
                rows.check()
    assert "damaged at byte" in server.log_text(), server.log_text()[-2000:]
    assert "panicked" not in server.log_text(), server.log_text()[-2000:]
