"""A disk that is really full: a small file system of its own, filled up and emptied again."""

import os
import pathlib
import subprocess

import pytest
from harness.server import Server

from faults.rows import Rows

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
SIZE_MIB = 96
AGAIN_S = 10


class Disk:
    """A file system in memory that only processes started here see, and this test through /proc."""

    def __init__(self, mount_point):
        mount_point.mkdir()
        script = f"mount -t tmpfs -o size={SIZE_MIB}m tmpfs {mount_point} && echo ready && exec cat"
        self.holder = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", script],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        if self.holder.stdout.readline() != "ready\n":
            pytest.skip("no file system can be mounted here")
        self.path = pathlib.Path(f"/proc/{self.holder.pid}/root{mount_point}")

    def inside(self, command):
        return ["nsenter", "-m", "-t", self.holder.pid, "--", *command]

    def fill(self):
        with open(self.path / "filler", "wb") as filler:
            try:
                while True:
                    filler.write(bytes(64 << 10))
                    filler.flush()
            except OSError:
                pass

    def empty(self):
        (self.path / "filler").unlink()

    def remount(self, how):
        mount_point = str(self.path).split("/root", 1)[1]
        command = self.inside(["mount", "-o", f"remount,{how}", mount_point])
        subprocess.run([str(part) for part in command], check=True)

    def close(self):
        self.holder.stdin.close()
        self.holder.wait(10)


class ServerInside(Server):
    """A server whose data directory is on a disk of its own."""

    def __init__(self, binary, disk, data_dir, log_path):
        super().__init__(binary, data_dir, log_path=log_path)
        self.disk = disk

    def command(self):
        return self.disk.inside(super().command())


@pytest.fixture
def disk(tmp_path):
    disk = Disk(tmp_path / "disk")
    yield disk
    disk.close()


@pytest.fixture
def new(binary, disk, tmp_path):
    made = []

    def new():
        data_dir = tmp_path / "disk" / "data"
        made.append(ServerInside(binary, disk, data_dir, tmp_path / "server.log"))
        return made[-1]

    yield new
    for server in made:
        server.kill()


def test_a_full_disk_refuses_writes_and_takes_them_when_there_is_room(new, disk):
    server = new().start()
    rows = Rows(server.uri)
    rows.create()
    for _ in range(5):
        assert rows.insert()
    disk.fill()
    for _ in range(30):
        if not rows.insert(200):
            break
    else:
        pytest.fail("the full disk took every row")
    assert not rows.insert()
    assert "disk is full" in str(rows.errors[-1]) or "No space left" in str(rows.errors[-1])
    assert server.is_running(), server.log_text()[-2000:]
    rows.check()
    disk.empty()
    rows.writable_within(AGAIN_S)
    rows.flush()
    rows.check()
    server.kill()
    again = new().start()
    rows.connect(again.uri)
    rows.check()
    assert rows.insert()


def test_a_server_killed_on_a_full_disk_starts_when_there_is_room(new, disk):
    server = new().start()
    rows = Rows(server.uri)
    rows.create()
    for _ in range(5):
        assert rows.insert()
    disk.fill()
    while rows.insert(200):
        pass
    server.kill()
    disk.empty()
    again = new().start()
    rows.connect(again.uri)
    rows.check()
    rows.writable_within(AGAIN_S)
    rows.check()


def test_a_read_only_directory_is_refused_by_name(new, disk):
    server = new().start()
    rows = Rows(server.uri)
    rows.create()
    assert rows.insert()
    server.stop()
    disk.remount("ro")
    refused = new()
    with pytest.raises(Exception) as error:
        refused.start(timeout_s=20)
    text = str(error.value).lower()
    assert "read-only" in text and "disk/data" in text, text[-1500:]
    assert "panic" not in text, text[-1500:]
    disk.remount("rw")
    again = new().start()
    rows.connect(again.uri)
    rows.check()
    assert rows.insert()
