"""Writers, readers and flushes at once: what each writer was told must be what everybody reads."""

import random
import threading
import time

import numpy as np
import pytest
from harness.server import Server
from pymilvus import DataType, MilvusClient

DIM, SECONDS, WRITERS, KEYS = 16, 3.0, 3, 2000
LEVELS = ["Strong", "Session", "Bounded", "Eventually"]


@pytest.fixture(scope="module")
def uri(binary, tmp_path_factory):
    """Flushes come faster than Milvus's default lets them."""
    folder = tmp_path_factory.mktemp("concurrency") / "data"
    with Server(binary, folder, env={"QUOTAANDLIMITS_FLUSHRATE_ENABLED": "false"}) as server:
        yield server.uri


def key(kind, number):
    """Int64 keys begin near the least; string keys share their first 100 bytes, and one is empty."""
    if kind == DataType.INT64:
        return number - 2**62
    return "é" * 40 + "x" * 60 + str(number) if number else ""


def vector(number, op):
    return np.random.default_rng([number, op]).normal(size=DIM).astype(np.float32)


def create(client, name, kind, shards):
    schema = client.create_schema(enable_dynamic_field=True)
    length = {"max_length": 300} if kind == DataType.VARCHAR else {}
    schema.add_field("id", kind, is_primary=True, **length)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    schema.add_field("op", DataType.INT64)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="HNSW", metric_type="L2", params={"M": 8, "efConstruction": 64})
    client.create_collection(name, schema=schema, index_params=index, num_shards=shards)


class Worker(threading.Thread):
    """Repeats `step` with a client of its own until time is up; keeps what went wrong."""

    def __init__(self, uri, name, step, until):
        super().__init__()
        self.client, self.name_, self.step, self.until = MilvusClient(uri=uri), name, step, until
        self.failure = None

    def run(self):
        try:
            while time.monotonic() < self.until:
                self.step(self.client, self.name_)
        except Exception as failure:
            self.failure = failure
        finally:
            self.client.close()


class Writer:
    """Owns a range of keys, and knows which operation last wrote each."""

    def __init__(self, kind, number):
        self.kind, self.first, self.op = kind, number * KEYS, 0
        self.random, self.model = random.Random(number), {}

    def __call__(self, client, name):
        self.op += 1
        numbers = self.random.sample(range(self.first, self.first + KEYS), self.random.choice([1, 7, 300]))
        rows = [{"id": key(self.kind, n), "vector": vector(n, self.op), "op": self.op} for n in numbers]
        what = self.random.random()
        if what < 0.8:
            (client.insert if what < 0.4 else client.upsert)(name, rows)
            self.model.update(dict.fromkeys(numbers, self.op))
        else:
            client.delete(name, ids=[row["id"] for row in rows])
            for number in numbers:
                self.model.pop(number, None)
        self.read_back(client, name, self.random.choice(numbers))

    def read_back(self, client, name, number):
        level = self.random.choice(LEVELS)
        found = client.get(name, ids=[key(self.kind, number)], consistency_level=level)
        want = [self.model[number]] if number in self.model else []
        assert [row["op"] for row in found] == want, f"key {number}, {level}"


def read(client, name):
    hits = client.search(name, [vector(0, 0)], limit=50)[0]
    ids = [hit["id"] for hit in hits]
    assert len(ids) == len(set(ids)), "a key twice in one search"
    distances = [hit["distance"] for hit in hits]
    assert distances == sorted(distances)
    ids = [row["id"] for row in client.query(name, filter="op > 0", output_fields=["id"])]
    assert len(ids) == len(set(ids)), "a key twice in one query"


def flush(client, name):
    client.flush(name)
    time.sleep(0.1)


@pytest.mark.parametrize("kind", [DataType.INT64, DataType.VARCHAR])
@pytest.mark.parametrize("shards", [1, 3])
def test_everybody_reads_what_every_writer_was_told(uri, kind, shards):
    client, name = MilvusClient(uri=uri), f"busy_{kind.name}_{shards}"
    create(client, name, kind, shards)
    until = time.monotonic() + SECONDS
    writers = [Writer(kind, number) for number in range(WRITERS)]
    workers = [Worker(uri, name, step, until) for step in [*writers, read, flush]]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.failure for worker in workers if worker.failure] == []
    want = {key(kind, n): op for writer in writers for n, op in writer.model.items()}
    rows = client.query(name, filter="op > 0", output_fields=["op"], consistency_level="Strong")
    assert {row["id"]: row["op"] for row in rows} == want
    assert len(rows) == len(want)
    counted = client.query(name, output_fields=["count(*)"], consistency_level="Strong")
    assert counted[0]["count(*)"] == len(want)
    client.close()
