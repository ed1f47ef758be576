"""A disk that fails under a running server: a typed error, no lost row, writable again by itself.

The disk fails at once for all files named, for some requests, and then no more. What was acknowledged
before, during and after is there: on the running server, and after it was killed and started again.
"""

import pytest
from harness.server import StartError
from pymilvus import MilvusException

from faults.rows import Rows

# What the issue promises: writable again within this time after the fault.
AGAIN_S = 10

LOG_FAULTS = {
    "log-write-eio": [("write", "EIO", "/log/"), ("truncate", "EIO", "/log/")],
    "log-sync-eio": [("sync", "EIO", "/log/")],
    "log-write-enospc": [("write", "ENOSPC", "/log/")],
    "log-torn-write": [("write", -100, "/log/")],
    "read-only": [(op, "EROFS", "/data/") for op in ("write", "truncate", "open", "rename")],
}
OBJECT_FAULTS = {
    "object-write-enospc": [("write", "ENOSPC", "/objects/")],
    "object-sync-eio": [("sync", "EIO", "/objects/")],
    "object-rename-eio": [("rename", "EIO", "/objects/")],
    "catalogue-write-eio": [("write", "EIO", "/meta.redb")],
    "catalogue-sync-eio": [("sync", "EIO", "/meta.redb")],
}


@pytest.fixture
def filled(new, faults):
    """A server with fifty rows in its log."""
    server = new(env=faults.env).start()
    rows = Rows(server.uri)
    rows.create()
    for _ in range(5):
        assert rows.insert()
    return server, rows


def refuse_writes(server, rows, faults, fault):
    faults.begin(*LOG_FAULTS[fault])
    for _ in range(5):
        assert not rows.insert(), "acknowledged although nothing can be written"
    for error in rows.errors:
        assert "panic" not in str(error).lower(), error
        assert "UNAVAILABLE" not in str(error), f"the server was away: {error}"
    assert server.is_running(), server.log_text()[-2000:]
    rows.check()
    faults.end()


def fail_flush(server, rows, faults, fault):
    faults.begin(*OBJECT_FAULTS[fault])
    with pytest.raises(MilvusException):
        rows.store.client.flush(rows.name, timeout=3)
    assert server.is_running(), server.log_text()[-2000:]
    if not fault.startswith("catalogue"):
        rows.check()  # without the catalogue no time can be handed out that it has not set aside
    faults.end()


def start_again(new, server, rows):
    server.kill()
    again = new().start()
    rows.connect(again.uri)
    rows.check()
    assert rows.insert()
    rows.check()


@pytest.mark.parametrize("fault", LOG_FAULTS)
def test_a_failing_log_refuses_writes_and_loses_none_that_it_took(new, faults, filled, fault):
    server, rows = filled
    refuse_writes(server, rows, faults, fault)
    start_again(new, server, rows)


@pytest.mark.parametrize("fault", LOG_FAULTS)
def test_writes_go_on_by_themselves_when_the_log_works_again(new, faults, filled, fault):
    server, rows = filled
    refuse_writes(server, rows, faults, fault)
    rows.writable_within(AGAIN_S)
    for _ in range(5):
        assert rows.insert()
    rows.check()
    start_again(new, server, rows)


@pytest.mark.parametrize("fault", OBJECT_FAULTS)
def test_a_failing_flush_loses_nothing(new, faults, filled, fault):
    server, rows = filled
    fail_flush(server, rows, faults, fault)
    start_again(new, server, rows)


@pytest.mark.parametrize("fault", OBJECT_FAULTS)
def test_a_flush_is_made_good_when_the_disk_works_again(new, faults, filled, fault):
    server, rows = filled
    fail_flush(server, rows, faults, fault)
    rows.flushed_within(AGAIN_S)
    rows.writable_within(AGAIN_S)
    rows.check()
    start_again(new, server, rows)


@pytest.mark.parametrize("unreadable", ["/meta.redb", "/log/", "/manifests/"])
def test_a_start_on_an_unreadable_disk_says_so_and_harms_nothing(new, faults, filled, unreadable):
    server, rows = filled
    rows.flush()
    rows.insert()
    server.kill()
    faults.begin(("read", "EIO", unreadable))
    starting = new(env=faults.env)
    try:
        starting.start(timeout_s=20)
        # What can be read is served; this collection cannot.
        rows.connect(starting.uri)
        with pytest.raises(MilvusException):
            rows.check()
    except StartError:
        pass
    text = starting.log_text()
    assert "Input/output error" in text, text[-2000:]
    assert "panicked" not in text, text[-2000:]
    starting.kill()
    faults.end()
    start_again(new, starting, rows)
