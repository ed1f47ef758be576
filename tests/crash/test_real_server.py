"""A short kill -9 loop against the real server, and planted bugs of the real server being found."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

CHECKER = pathlib.Path(__file__).parent / "checker.py"
BINARY = os.environ.get("MILVUS_BIN")
pytestmark = pytest.mark.skipif(
    "MILVUS_TEST_PEER" in os.environ, reason="needs the server of this repository"
)


# What is in a bucket is not in the files that a loss of power would take.
local = pytest.mark.skipif("MILVUS_TEST_S3" in os.environ, reason="data is in a bucket")


def check(tmp_path, *args):
    assert BINARY, "MILVUS_BIN is not set; scripts/test builds the server and sets it"
    command = [sys.executable, CHECKER, "--server", BINARY, "--folder", tmp_path / "run", *args]
    ended = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=110
    )
    return ended.returncode, ended.stdout + ended.stderr


def test_nothing_is_lost_in_a_short_loop(tmp_path):
    status, text = check(tmp_path, "--cycles", 8, "--seed", 11)
    assert status == 0, text


def test_nothing_is_lost_where_a_crash_hurts_most(tmp_path):
    status, text = check(tmp_path, "--cycles", 12, "--seed", 13, "--failpoints")
    assert status == 0, text


def test_nothing_is_lost_where_the_log_is_written(tmp_path):
    """Places that every server comes by within moments, so that some runs surely end there."""
    names = {
        False: ["wal.local.before-sync", "wal.local.after-sync"],
        True: ["wal.object.before-put", "wal.object.after-put"],
    }["MILVUS_TEST_S3" in os.environ]
    status, text = check(tmp_path, "--cycles", 12, "--seed", 17, "--failpoints", *names)
    assert status == 0, text
    assert "ended at: " in text, "no run came by its failpoint"


@local
def test_nothing_is_lost_with_the_power(tmp_path):
    status, text = check(tmp_path, "--cycles", 8, "--seed", 14, "--power")
    assert status == 0, text


@local
def test_a_sync_that_is_skipped_is_found(tmp_path):
    status, text = check(tmp_path, "--cycles", 10, "--seed", 15, "--power", "--planted", "skip-sync")
    assert status == 1, text
    assert "VIOLATED" in text


@pytest.mark.skipif("MILVUS_TEST_S3_DOUBLE" not in os.environ, reason="needs the S3 double")
def test_nothing_is_lost_in_a_bucket_that_fails(tmp_path, monkeypatch):
    """Errors, cut connections, lost replies and conflicts of the object storage, with kill -9."""
    faults = "slow_down=0.03,error=0.02,cut=0.02,lost_reply=0.03,conflict=0.03,seed=5"
    command = [os.environ["MILVUS_TEST_S3_DOUBLE"], "--port", "0", "--memory", "--faults", faults]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as double:
        try:
            port = re.search(r"port=(\d+)", double.stdout.readline())[1]
            monkeypatch.setenv("MILVUS_TEST_S3", f"127.0.0.1:{port}")
            status, text = check(tmp_path, "--cycles", 8, "--seed", 16, "--failpoints")
        finally:
            double.kill()
    assert status == 0, text


@pytest.mark.parametrize("bug", ["ack-before-append", "drop-last-on-replay", "lose-deletes"])
def test_planted_bug_of_the_server_is_found(tmp_path, bug):
    status, text = check(tmp_path, "--cycles", 30, "--seed", 12, "--planted", bug)
    assert status == 1, text
    assert "VIOLATED" in text
