"""A disk that fails under a running server: a typed error, no lost row, writable again by itself.

The disk fails at once for all files named, for some requests, and then no more. What was acknowledged
before, during and after is there: on the running server, and after it was killed and started again.
"""

import time

import pytest
from pymilvus import MilvusException

from faults.rows import Rows

# What the issue promises: writable again within this time after the fault.
AGAIN_S = 10

def known(name, why):
    """A fault after which the server is not yet as promised; the test says when it is."""
    return pytest.param(name, marks=pytest.mark.xfail(strict=True, raises=AssertionError, reason=why))


LOG_FAULTS = {
    "log-write-eio": [("write", "EIO", "/log/"), ("truncate", "EIO", "/log/")],
    "log-sync-eio": [("sync", "EIO", "/log/")],
    "log-write-enospc": [("write", "ENOSPC", "/log/")],
    "log-torn-write": [("write", -100, "/log/")],
    "read-only": [(op, "EROFS", "/data/") for op in ("write", "truncate", "open", "rename")],
}


POISONED = "a log channel whose file could not be cut or synced refuses records until a restart"
CLOSED = "the catalogue's file is not opened again after it failed once"


@pytest.mark.parametrize(
    "fault",
    [
        known(name, POISONED) if name in ("log-write-eio", "log-sync-eio", "read-only") else name
        for name in LOG_FAULTS
    ],
)
def test_writes_fail_typed_and_go_on_when_the_fault_ends(new, faults, fault):
    server = new(env=faults.env).start()
    rows = Rows(server.uri)
    rows.create()
    for _ in range(5):
        assert rows.insert()
    faults.begin(*LOG_FAULTS[fault])
    for _ in range(5):
        assert not rows.insert(), "acknowledged although nothing can be written"
    for error in rows.errors:
        assert "panic" not in str(error).lower(), error
        assert error.code != 2 or "UNAVAILABLE" not in str(error), f"the server was away: {error}"
    assert server.is_running(), server.log_text()[-2000:]
    rows.check()
    faults.end()
    rows.writable_within(AGAIN_S)
    for _ in range(5):
        assert rows.insert()
    rows.check()
    server.kill()
    again = new().start()
    rows.connect(again.uri)
    rows.check()
    assert rows.insert()
    rows.check()


OBJECT_FAULTS = {
    "object-write-enospc": [("write", "ENOSPC", "/objects/")],
    "object-sync-eio": [("sync", "EIO", "/objects/")],
    "object-rename-eio": [("rename", "EIO", "/objects/")],
    "catalogue-write-eio": [("write", "EIO", "/meta.redb")],
    "catalogue-sync-eio": [("sync", "EIO", "/meta.redb")],
}


@pytest.mark.parametrize(
    "fault",
    [known(name, CLOSED) if name.startswith("catalogue") else name for name in OBJECT_FAULTS],
)
def test_a_flush_fails_and_is_made_good_when_the_fault_ends(new, faults, fault):
    server = new(env=faults.env).start()
    rows = Rows(server.uri)
    rows.create()
    for _ in range(5):
        assert rows.insert()
    faults.begin(*OBJECT_FAULTS[fault])
    with pytest.raises(MilvusException):
        rows.store.client.flush(rows.name, timeout=3)
    assert server.is_running(), server.log_text()[-2000:]
    if not fault.startswith("catalogue"):
        rows.check()  # without the catalogue no time can be handed out that it has not set aside
    faults.end()
    deadline = time.monotonic() + AGAIN_S
    while True:
        try:
            rows.store.client.flush(rows.name, timeout=5)
            break
        except MilvusException as error:
            assert time.monotonic() < deadline, f"no flush after the fault: {error}"
            time.sleep(0.3)
    rows.writable_within(AGAIN_S)
    rows.check()
    server.kill()
    again = new().start()
    rows.connect(again.uri)
    rows.check()
