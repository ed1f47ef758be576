"""Writes with a memory: what was acknowledged must be there, what failed may be, nothing twice."""

import time

from crash.store import PymilvusStore, check_row, make_row
from pymilvus import MilvusException

NAME = "kept"


class NotByItself(AssertionError):
    """The fault is over, and the server does not do again what it did before."""


class Rows:
    """Rows of one collection, keys counted upwards, ten to a request."""

    def __init__(self, uri, name=NAME, timeout_s=10.0):
        self.name, self.timeout_s = name, timeout_s
        self.acknowledged, self.doubtful, self.errors = set(), set(), []
        self.next_key = 0
        self.connect(uri)

    def connect(self, uri):
        self.store = PymilvusStore(uri, timeout_s=self.timeout_s)

    def create(self):
        self.store.create_collection(self.name, 1)
        self.store.load(self.name)

    def insert(self, count=10):
        """Whether the server took them."""
        keys = range(self.next_key, self.next_key + count)
        self.next_key += count
        rows = [make_row(key, 1) for key in keys]
        try:
            # The client's own retries would hide the fault, and may write twice.
            self.store.client.insert(self.name, rows, timeout=self.timeout_s, retry_times=1)
        except MilvusException as error:
            self.doubtful.update(keys)
            self.errors.append(error)
            return False
        self.acknowledged.update(keys)
        return True

    def flush(self):
        self.store.flush(self.name)

    def writable_within(self, seconds):
        """Inserts until one is taken."""
        deadline = time.monotonic() + seconds
        while not self.insert():
            if time.monotonic() > deadline:
                raise NotByItself(f"no row taken {seconds} s after the fault: {self.errors[-1]}")
            time.sleep(0.1)

    def flushed_within(self, seconds):
        """Flushes until that succeeds."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.store.client.flush(self.name, timeout=5)
            except MilvusException as error:
                if time.monotonic() > deadline:
                    raise NotByItself(f"no flush {seconds} s after the fault: {error}") from error
                time.sleep(0.3)

    def check(self):
        """Every acknowledged row is there, whole and once; nothing else but what is in doubt."""
        client = self.store.client
        found = client.query(
            self.name, filter="key >= 0", output_fields=["*"], limit=16000,
            consistency_level="Strong", timeout=self.timeout_s,
        )
        keys = [row["key"] for row in found]
        for row in found:
            check_row(row)
        assert len(keys) == len(set(keys)), "a key is there twice"
        lost = self.acknowledged - set(keys)
        assert not lost, f"{len(lost)} acknowledged rows are lost: {sorted(lost)[:10]}"
        invented = set(keys) - self.acknowledged - self.doubtful
        assert not invented, f"rows nobody wrote: {sorted(invented)[:10]}"
        counted = client.query(self.name, filter="", output_fields=["count(*)"])[0]["count(*)"]
        assert counted == len(keys), "count(*) is not how many rows there are"
        return keys
