"""The server as the checker sees it, through pymilvus: a few writes, and one full observation.

Each row carries the number of the operation that wrote it, and a text and a vector computed from key
and number: a row that mixes two writes does not pass `check_row`.
"""

import time

import numpy as np
from pymilvus import DataType, MilvusClient, MilvusException

DIM = 8
PAGE = 4000
PREFIX = "crash_"
# What pymilvus says when gRPC still remembers that a port refused it.
NO_CONNECTION = 2


class Corrupt(Exception):
    """The server returned something no correct server returns: a mixed row, a wrong count."""


def vector_of(key, op):
    return np.random.default_rng((key, op)).standard_normal(DIM).astype(np.float32)


def make_row(key, op):
    return {"key": key, "op": op, "text": f"{key}:{op}", "vector": vector_of(key, op).tolist()}


def check_row(row):
    key, op = row["key"], row["op"]
    if row["text"] != f"{key}:{op}" or row["vector"] != vector_of(key, op).tolist():
        raise Corrupt(f"row {key} mixes writes: op {op}, text {row['text']!r}")


def connect(uri, within_s=15.0):
    """A client. gRPC remembers for a while that a port refused it, also when a new server has it."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            return MilvusClient(uri=uri, timeout=10)
        except MilvusException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


class PymilvusStore:
    """One connection. `timeout_s` bounds each call; a call past it is in doubt."""

    def __init__(self, uri, timeout_s=3.0):
        self.uri = uri
        self.client = connect(uri)
        self.timeout = timeout_s
        self.loaded_here = []  # what `observe` had to load to see its rows

    def close(self):
        self.client.close()

    def create_collection(self, name, op):
        """An empty collection, indexed and loaded; its description carries the operation."""
        schema = self.client.create_schema(description=str(op), enable_dynamic_field=False)
        schema.add_field("key", DataType.INT64, is_primary=True)
        schema.add_field("op", DataType.INT64)
        schema.add_field("text", DataType.VARCHAR, max_length=64)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
        self.client.create_collection(
            name, schema=schema, consistency_level="Strong", timeout=self.timeout
        )

    def load(self, name):
        index = self.client.prepare_index_params()
        index.add_index("vector", index_type="FLAT", metric_type="L2")
        self.client.create_index(name, index, timeout=self.timeout)
        self.client.load_collection(name, timeout=self.timeout)

    def drop_collection(self, name):
        self.client.drop_collection(name, timeout=self.timeout)

    def create_partition(self, name, partition):
        self.client.create_partition(name, partition, timeout=self.timeout)

    def release_partition(self, name, partition):
        self.client.release_partitions(name, [partition], timeout=self.timeout)

    def drop_partition(self, name, partition):
        self.client.drop_partition(name, partition, timeout=self.timeout)

    def insert(self, name, keys, op, partition="_default"):
        rows = [make_row(key, op) for key in keys]
        self.client.insert(name, rows, partition_name=partition, timeout=self.timeout)

    def upsert(self, name, keys, op):
        self.client.upsert(name, [make_row(key, op) for key in keys], timeout=self.timeout)

    def delete(self, name, keys):
        self.client.delete(name, ids=list(keys), timeout=self.timeout)

    def delete_range(self, name, first, last, below_op):
        """Deletes keys first..last whose row an operation before `below_op` wrote."""
        expression = f"key >= {first} and key <= {last} and op < {below_op}"
        self.client.delete(name, filter=expression, timeout=self.timeout)

    def flush(self, name):
        # Flushes are limited per collection; being refused is an answer, waiting for one is not.
        self.client.flush(name, timeout=self.timeout, retry_on_rate_limit=False)

    def get(self, name, key):
        """The operation that wrote the row, or None."""
        found = self.client.query(
            name, filter=f"key == {key}", output_fields=["op"], timeout=self.timeout
        )
        return found[0]["op"] if found else None

    def observe(self):
        """Every cell the server has: collections, partitions, loads, and each row, checked."""
        for attempt in range(5):
            try:
                return self._observe()
            except MilvusException as error:
                if error.code == NO_CONNECTION and attempt < 4:
                    self.client.close()
                    self.client = connect(self.uri)
                    continue
                # The server is up: what it cannot show any more is as good as lost.
                raise Corrupt(f"cannot be read: {error}") from error

    def _observe(self):
        cells = {}
        for name in self.client.list_collections():
            described = self.client.describe_collection(name)
            cells["collection", name] = int(described["description"] or 0)
            for partition in self.client.list_partitions(name):
                if partition != "_default":
                    cells["partition", name, partition] = 1
            if self._is_loaded(name):
                cells["load", name] = 1
            else:
                self._load_again(name)
            self._load_released_partitions(name)
            for row in self._scan(name):
                cells["row", name, row["key"]] = row["op"]
        return cells

    def _is_loaded(self, name, **partition):
        return self.client.get_load_state(name, **partition)["state"].name == "Loaded"

    def _load_again(self, name):
        """A crash may have come before the index, or between index and load."""
        self.loaded_here.append(("load", name))
        if self.client.list_indexes(name):
            self.client.load_collection(name, timeout=10)
        else:
            self.load(name)

    def _load_released_partitions(self, name):
        """A crash between release and drop of a partition leaves it there, its rows out of sight."""
        for partition in self.client.list_partitions(name):
            if not self._is_loaded(name, partition_name=partition):
                self.client.load_partitions(name, [partition], timeout=10)

    def _scan(self, name):
        fields = ["key", "op", "text", "vector"]
        rows, last = [], -1
        for _ in range(1000):
            page = self.client.query(
                name,
                filter=f"key > {last}",
                output_fields=fields,
                limit=PAGE,
                consistency_level="Strong",
            )
            rows += page
            if len(page) < PAGE:
                break
            last = max(row["key"] for row in page)
        for row in rows:
            check_row(row)
        keys = {row["key"] for row in rows}
        if len(keys) != len(rows):
            raise Corrupt(f"{name}: {len(rows)} rows, {len(keys)} different keys")
        counted = self.client.query(
            name, filter="", output_fields=["count(*)"], consistency_level="Strong"
        )
        if counted[0]["count(*)"] != len(rows):
            raise Corrupt(f"{name}: count(*) {counted[0]['count(*)']}, query {len(rows)} rows")
        self._search(name, {row["key"]: row["op"] for row in rows})
        return rows

    def _search(self, name, present):
        """A search finds as many rows as there are (up to 100), and only such rows."""
        hits = self.client.search(
            name,
            [vector_of(1, 1).tolist()],
            limit=100,
            output_fields=["op"],
            consistency_level="Strong",
        )[0]
        wrong = [hit["key"] for hit in hits if present.get(hit["key"]) != hit["entity"]["op"]]
        if wrong or len(hits) != min(100, len(present)):
            raise Corrupt(f"{name}: search returns {len(hits)} hits, not in the scan: {wrong[:5]}")
