"""Schemas, rows and error checks that the tests share."""

import contextlib
import itertools
import os

import numpy as np
import pytest
from pymilvus import DataType, MilvusException

# Tests that look at the files of a data directory have nothing to see where data is in a bucket.
local_files = pytest.mark.skipif("MILVUS_TEST_S3" in os.environ, reason="data is in a bucket")

DIM = 8


def vector(seed, dim=DIM):
    """The same vector for the same seed."""
    return np.random.default_rng(seed).standard_normal(dim).astype(np.float32)


def vectors(count, dim=DIM, first=0):
    return np.stack([vector(first + i, dim) for i in range(count)])


@contextlib.contextmanager
def refused(text, code=None):
    """The block is refused with this text in the message, and this Milvus code."""
    with pytest.raises(MilvusException) as caught:
        yield
    message = str(caught.value.message)
    assert text in message, f"wanted {text!r}, got {message!r}"
    if code is not None:
        assert caught.value.code == code, f"wanted code {code}, got {caught.value.code}: {message}"


def simple_schema(client, dim=DIM, dynamic=False, auto_id=False):
    """id Int64, n Int64, text VarChar, vector."""
    schema = client.create_schema(auto_id=auto_id, enable_dynamic_field=dynamic)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("n", DataType.INT64)
    schema.add_field("text", DataType.VARCHAR, max_length=32)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
    return schema


def vector_index(client, index_type="FLAT", metric_type="L2", **params):
    index = client.prepare_index_params()
    index.add_index("vector", index_type=index_type, metric_type=metric_type, params=params)
    return index


def make(client, name, loaded=True, index_type="FLAT", metric_type="L2", **options):
    """A collection of the simple schema; with an index and loaded unless told otherwise."""
    index = vector_index(client, index_type, metric_type) if loaded else None
    schema = simple_schema(client, **options)
    client.create_collection(name, schema=schema, index_params=index, consistency_level="Strong")


def rows(count, first=0, **extra):
    """Rows for the simple schema: id i, n = i * 10, text t<i>, vector(i)."""
    return [
        {"id": i, "n": i * 10, "text": f"t{i}", "vector": vector(i).tolist(), **extra}
        for i in range(first, first + count)
    ]


def ids(found):
    return [row["id"] for row in found]


def query_ids(client, name, filter, **options):
    """Sorted ids of what a filter finds."""
    found = client.query(name, filter=filter, output_fields=["id"], **options)
    return sorted(ids(found))


def count(client, name, filter="", **options):
    found = client.query(name, filter=filter, output_fields=["count(*)"], **options)
    return found[0]["count(*)"]


def nearest(query, base, k, metric):
    """Row numbers and scores of the exact answer, best first, ties by row number."""
    query, base = np.float64(query), np.float64(base)
    if metric == "L2":
        scores = ((base - query) ** 2).sum(axis=1)
        order = np.argsort(scores, kind="stable")
    else:
        scores = base @ query
        if metric == "COSINE":
            scores = scores / np.linalg.norm(base, axis=1) / np.linalg.norm(query)
        order = np.argsort(-scores, kind="stable")
    return order[:k].tolist(), scores[order[:k]].tolist()


def batches(items, size):
    items = iter(items)
    while batch := list(itertools.islice(items, size)):
        yield batch
