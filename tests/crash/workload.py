"""What the writers do between two crashes.

Each writer owns a range of keys of the collection `crash_rows`, so its own order is the order of its
operations. A DDL writer owns collections and partitions. A writer stops at the first call that
fails: from there on its last operation is in doubt, and nothing of its own may follow it.
"""

import dataclasses
import random
import threading
import time

ROWS = "crash_rows"
KEYS_PER_WRITER = 400
DDL_KEYS = 100_000  # the DDL writers' keys start here
KEYS_PER_PARTITION = 100


def partition_of_key(key):
    """Where a DDL writer puts a key of its partitioned collection; the others use _default."""
    return f"p{(key - DDL_KEYS) // KEYS_PER_PARTITION}" if key >= DDL_KEYS else "_default"


@dataclasses.dataclass
class Failure:
    writer: str
    kind: str
    error: str
    at: float  # time.monotonic()


class Writer(threading.Thread):
    """Runs random operations until `stop` is set or a call fails."""

    def __init__(self, label, store, model, seed, stop):
        super().__init__(name=label, daemon=True)
        self.store, self.model, self.stopping = store, model, stop
        self.random = random.Random(seed)
        self.failure = None

    def run(self):
        while not self.stopping.is_set() and self.step():
            pass

    def failed(self, kind, error):
        text = f"{type(error).__name__}: {error}"[:300]
        self.failure = Failure(self.name, kind, text, time.monotonic())
        return False

    def attempt(self, kind, number, effects, call, *args):
        """One operation against server and model. False: it is in doubt, and the writer ends."""
        operation = self.model.begin(number, kind, effects)
        try:
            call(*args)
        except Exception as error:  # whatever a client library raises, the outcome is unknown
            self.model.doubt(operation)
            return self.failed(kind, error)
        self.model.acknowledge(operation)
        return True


class RowWriter(Writer):
    def __init__(self, label, store, model, seed, stop, index):
        super().__init__(label, store, model, seed, stop)
        self.first = index * KEYS_PER_WRITER

    def step(self):
        kinds = {"upsert": 40, "insert": 20, "delete": 20, "delete_range": 8, "get": 10, "flush": 1}
        kind = self.random.choices(list(kinds), list(kinds.values()))[0]
        return getattr(self, f"do_{kind}")()

    def some_keys(self):
        count = self.random.choice((1, 1, 1, 2, 5, 20))
        return self.random.sample(range(self.first, self.first + KEYS_PER_WRITER), count)

    def write(self, kind, keys):
        op = self.model.number()
        effects = {("row", ROWS, key): op for key in keys}
        return self.attempt(kind, op, effects, getattr(self.store, kind), ROWS, keys, op)

    def do_upsert(self):
        return self.write("upsert", self.some_keys())

    def do_insert(self):
        """Keys that have no row: what a second insert of a key means is not this checker's matter."""
        keys = [key for key in self.some_keys() if self.model.get(("row", ROWS, key)) is None]
        return self.write("insert", keys) if keys else True

    def do_delete(self):
        keys = self.some_keys()
        effects = {("row", ROWS, key): None for key in keys}
        return self.attempt("delete", self.model.number(), effects, self.store.delete, ROWS, keys)

    def do_delete_range(self):
        first = self.random.randrange(self.first, self.first + KEYS_PER_WRITER)
        last = min(first + 30, self.first + KEYS_PER_WRITER - 1)
        op = self.model.number()
        below = self.random.randint(max(1, op - 2000), op)
        effects = {}
        for key in range(first, last + 1):
            cell = ("row", ROWS, key)
            wrote = self.model.get(cell)
            if wrote is not None and wrote < below:
                effects[cell] = None
        call = self.store.delete_range
        return self.attempt("delete_range", op, effects, call, ROWS, first, last, below)

    def do_get(self):
        """Reads back an acknowledged write: it must be there at once."""
        cell = ("row", ROWS, self.random.randrange(self.first, self.first + KEYS_PER_WRITER))
        try:
            got = self.store.get(ROWS, cell[2])
        except Exception as error:
            return self.failed("get", error)
        if got != self.model.get(cell):
            self.model.saw(cell, self.model.get(cell), got)
        return True

    def do_flush(self):
        try:
            self.store.flush(ROWS)
        except Exception as error:
            if "rate limit" in str(error).lower():
                return True
            return self.failed("flush", error)
        operation = self.model.begin(self.model.number(), "flush", {})
        self.model.acknowledge(operation)
        return True


class DdlWriter(Writer):
    """Creates and drops collections, and partitions with rows, over and over under the same names."""

    def __init__(self, label, store, model, seed, stop, index):
        super().__init__(label, store, model, seed, stop)
        self.names = [f"crash_ddl{index}_{n}" for n in range(2)]
        self.first = DDL_KEYS

    def step(self):
        name = self.random.choice(self.names)
        if self.model.get(("collection", name)) is None:
            return self.create(name)
        if self.model.get(("load", name)) is None:
            return self.load(name)
        action = self.random.random()
        if action < 0.12:
            return self.drop(name)
        return self.partition_step(name, self.random.randrange(3))

    def create(self, name):
        op = self.model.number()
        call = self.store.create_collection
        return self.attempt("create_collection", op, {("collection", name): op}, call, name, op)

    def load(self, name):
        op = self.model.number()
        return self.attempt("load", op, {("load", name): 1}, self.store.load, name)

    def drop(self, name):
        op = self.model.number()
        cells = [("collection", name), ("load", name)]
        cells += [*self.model.live("row", name), *self.model.live("partition", name)]
        effects = {cell: None for cell in cells}
        return self.attempt("drop_collection", op, effects, self.store.drop_collection, name)

    def partition_step(self, name, number):
        partition, op = f"p{number}", self.model.number()
        cell = ("partition", name, partition)
        if self.model.get(cell) is None:
            call = self.store.create_partition
            return self.attempt("create_partition", op, {cell: 1}, call, name, partition)
        first = DDL_KEYS + number * KEYS_PER_PARTITION
        if self.random.random() < 0.6:
            keys = self.random.sample(range(first, first + KEYS_PER_PARTITION), 5)
            keys = [key for key in keys if self.model.get(("row", name, key)) is None]
            if not keys:
                return True
            effects = {("row", name, key): op for key in keys}
            call = self.store.insert
            return self.attempt("insert", op, effects, call, name, keys, op, partition)
        return self.drop_partition(name, partition, first)

    def drop_partition(self, name, partition, first):
        """A loaded partition must be released first; a release in between is seen as not loaded."""
        keys = range(first, first + KEYS_PER_PARTITION)
        cells = [("row", name, key) for key in keys]
        effects = {cell: None for cell in cells if self.model.get(cell) is not None}
        effects[("partition", name, partition)] = None

        def release_and_drop():
            self.store.release_partition(name, partition)
            self.store.drop_partition(name, partition)

        return self.attempt("drop_partition", self.model.number(), effects, release_and_drop)
