"""A server in memory with a log, a crash and planted bugs: shows that the checker can fail.

It has the face of `store.PymilvusStore`. A crash forgets everything but the durable log and replays
it. `bug` is one of BUGS, or None for a correct server.
"""

import threading
import time

from crash.workload import partition_of_key

BUGS = (
    "ack-before-append",
    "drop-last-on-replay",
    "lose-deletes",
    "half-a-batch",
    "invent-a-row",
    "forget-drop",
    "stale-read",
)


class Down(Exception):
    """The server is gone: the call may or may not have happened."""


class FakeServer:
    def __init__(self, bug=None):
        self.bug = bug
        self.lock = threading.Lock()
        self.log = []  # durable records
        self.unwritten = []  # acknowledged too early (ack-before-append)
        self.cells = {}
        self.up = True
        self.fail_in = None  # crash in the middle of the n-th write from now

    def crash(self):
        with self.lock:
            self.up = False

    def restart(self):
        with self.lock:
            self.unwritten = []
            log = self.log
            if self.bug == "drop-last-on-replay":
                log = log[:-1]
            elif self.bug == "lose-deletes":
                log = [r for r in log if not self._is_row_delete(r)]
            elif self.bug == "forget-drop":
                log = [r for r in log if not any(c[0] == "collection" and v is None for c, v in r)]
            elif self.bug == "half-a-batch" and log and len(log[-1]) > 1:
                log = [*log[:-1], log[-1][: len(log[-1]) // 2]]
            self.log = list(log)
            self.cells = {}
            for record in log:
                self._apply(record)
            if self.bug == "invent-a-row":
                table = next((c[1] for c, v in self.cells.items() if c[0] == "collection" and v), None)
                if table:
                    self.cells["row", table, 10**9] = 7
            self.up, self.fail_in = True, None

    @staticmethod
    def _is_row_delete(record):
        return all(cell[0] == "row" and value is None for cell, value in record)

    def _apply(self, record):
        for cell, value in record:
            if value is None:
                self.cells.pop(cell, None)
            else:
                self.cells[cell] = value

    def write(self, make_record):
        """One atomic change; `make_record` sees the cells and returns (cell, value) pairs."""
        time.sleep(0.0005)  # about a group commit: lets every writer have its turn
        with self.lock:
            if not self.up:
                raise Down
            record = make_record(self.cells)
            crash_now = self.fail_in == 0
            if self.fail_in is not None:
                self.fail_in -= 1
            if self.bug == "ack-before-append":
                self.unwritten.append(record)
                if len(self.unwritten) > 3:
                    self.log.append(self.unwritten.pop(0))
            else:
                self.log.append(record)
            self._apply(record)
            if crash_now:
                self.up = False
                raise Down

    def read(self, cell):
        with self.lock:
            if not self.up:
                raise Down
            return None if self.bug == "stale-read" else self.cells.get(cell)


class FakeStore:
    """A connection to a FakeServer."""

    def __init__(self, server):
        self.server = server
        self.loaded_here = []

    def close(self):
        pass

    def create_collection(self, name, op):
        self.server.write(lambda cells: [(("collection", name), op)])

    def load(self, name):
        self.server.write(lambda cells: [(("load", name), 1)])

    def drop_collection(self, name):
        self.server.write(lambda cells: [(cell, None) for cell in cells if cell[1] == name])

    def create_partition(self, name, partition):
        self.server.write(lambda cells: [(("partition", name, partition), 1)])

    def release_partition(self, name, partition):
        pass

    def drop_partition(self, name, partition):
        def record(cells):
            rows = [c for c in cells if c[:2] == ("row", name) and self._home(c) == partition]
            return [(("partition", name, partition), None), *((row, None) for row in rows)]

        self.server.write(record)

    @staticmethod
    def _home(cell):
        """The workload puts keys of one range into one partition."""
        return partition_of_key(cell[2])

    def insert(self, name, keys, op, partition="_default"):
        self.server.write(lambda cells: [(("row", name, key), op) for key in keys])

    def upsert(self, name, keys, op):
        self.insert(name, keys, op)

    def delete(self, name, keys):
        self.server.write(lambda cells: [(("row", name, key), None) for key in keys])

    def delete_range(self, name, first, last, below_op):
        self.server.write(
            lambda cells: [
                (cell, None)
                for cell, op in cells.items()
                if cell[:2] == ("row", name) and first <= cell[2] <= last and op < below_op
            ]
        )

    def flush(self, name):
        self.server.write(lambda cells: [])

    def get(self, name, key):
        return self.server.read(("row", name, key))

    def observe(self):
        with self.server.lock:
            return dict(self.server.cells)
