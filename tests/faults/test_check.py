"""`milvus check`: sound after kill -9 at any moment, and a repair that the server starts on.

Needs a binary that has the subcommand.
"""

import json
import random
import subprocess
import threading

import pytest

from faults.rows import Rows


@pytest.fixture(scope="session")
def check(binary):
    """Runs `milvus check` on a data directory: (exit status, what it says as JSON)."""
    def check(data_dir, *args):
        command = [binary, "check", "--data-dir", str(data_dir), "--json", *args]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if ended.returncode == 2:
            return 2, ended.stderr
        return ended.returncode, json.loads(ended.stdout)

    return check


def bad(report):
    harmless = ("orphan", "note")
    return [found for found in report["findings"] if found["severity"] not in harmless]


def test_a_server_killed_at_any_moment_leaves_a_sound_directory(new, check, tmp_path):
    env = {
        "QUOTAANDLIMITS_FLUSHRATE_ENABLED": "false",
        "INDEXCOORD_SEGMENT_MINSEGMENTNUMROWSTOENABLEINDEX": "10",
    }
    chance = random.Random(7)
    rows = None
    for cycle in range(12):
        server = new(env=env).start()
        if rows is None:
            rows = Rows(server.uri, timeout_s=3)
            rows.create()
        else:
            rows.connect(server.uri)
        threading.Timer(chance.uniform(0.1, 0.8), server.kill).start()
        try:
            while rows.insert(30):
                rows.store.upsert(rows.name, range(20), 1)  # the same rows anew: deletes
                rows.flush()
        except Exception:
            pass  # killed
        server.kill()
        status, report = check(tmp_path / "data")
        assert (status, bad(report)) == (0, []), f"cycle {cycle}"
    server = new(env=env).start()
    rows.connect(server.uri)
    rows.check()
    assert len(rows.acknowledged) > 300, "too little was written to show anything"


def test_a_directory_in_use_is_refused(new, check, tmp_path):
    server = new().start()
    for args in ([], ["--repair"]):
        status, text = check(tmp_path / "data", *args)
        assert status == 2
        assert "in use by process" in text and str(server.pid) in text, text
    assert server.is_running()


def test_a_repaired_directory_serves_the_rest_of_the_damaged_collection(new, check, tmp_path):
    server = new(env={"QUOTAANDLIMITS_FLUSHRATE_ENABLED": "false"}).start()
    rows = Rows(server.uri)
    rows.create()
    for _ in range(3):
        rows.insert(50)
        rows.flush()
    rows.insert(10)
    assert server.stop() == 0
    columns = sorted((tmp_path / "data").glob("objects/segments/*/*/*/columns.arrow"))
    assert len(columns) == 3
    blob = bytearray(columns[1].read_bytes())
    blob[len(blob) // 3] ^= 1
    columns[1].write_bytes(blob)
    status, report = check(tmp_path / "data")
    [found] = bad(report)
    assert status == 1
    assert str(columns[1]).endswith(found["object"]) and found["severity"] == "damage"
    assert found["concerns"]["collection"] == f"default.{rows.name}"
    assert found["concerns"]["rows"] == 50
    status, dry = check(tmp_path / "data", "--repair", "--dry-run")
    assert status == 1 and columns[1].exists() and dry["steps"]
    status, done = check(tmp_path / "data", "--repair")
    assert status == 0, done
    assert not columns[1].exists()
    kept = list((tmp_path / "data").glob("objects/quarantine/*/segments/*/*/*/columns.arrow"))
    assert [copy.read_bytes() for copy in kept] == [bytes(blob)]
    again = new().start()
    rows.connect(again.uri)
    # The rows of the damaged segment are gone, and no others.
    found = rows.store.client.query(
        rows.name, filter="key >= 0", output_fields=["key"], limit=1000
    )
    gone = rows.acknowledged - {row["key"] for row in found}
    assert gone == set(range(50, 100))
    rows.acknowledged -= gone
    rows.check()
    assert rows.insert()
    rows.check()
    again.stop()
    assert check(tmp_path / "data")[0] == 0
    assert kept[0].exists(), "a server's start took away what was put aside"
