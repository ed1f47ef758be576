"""Indexes: create, describe, list, drop, and the rules between them."""

import pytest
from pymilvus import DataType
from support import DIM, count, make, refused, rows, simple_schema, vector, vector_index


@pytest.fixture
def bare(client, name):
    """No index, not loaded."""
    make(client, name, loaded=False)
    return name


def create(client, name, field="vector", index_name="", index_type="FLAT", metric="L2", **params):
    index = client.prepare_index_params()
    index.add_index(
        field, index_name=index_name, index_type=index_type, metric_type=metric, params=params
    )
    client.create_index(name, index)


def test_name_defaults_to_the_field(client, bare):
    create(client, bare)
    assert client.list_indexes(bare) == ["vector"]


def test_describe_returns_what_was_sent(client, bare):
    create(client, bare, index_name="mine", index_type="HNSW", metric="IP", M=12, efConstruction=80)
    described = client.describe_index(bare, "mine")
    assert described["index_name"] == "mine"
    assert described["field_name"] == "vector"
    assert described["index_type"] == "HNSW"
    assert described["metric_type"] == "IP"
    assert int(described["M"]) == 12
    assert int(described["efConstruction"]) == 80
    assert described["state"] == "Finished"
    assert (described["total_rows"], described["indexed_rows"]) == (0, 0)


def test_autoindex_shows_itself_only(client, bare):
    create(client, bare, index_type="AUTOINDEX", metric="COSINE")
    described = client.describe_index(bare, "vector")
    assert (described["index_type"], described["metric_type"]) == ("AUTOINDEX", "COSINE")
    assert not {"M", "efConstruction"} & set(described)


def test_progress_counts_flushed_rows(client, bare):
    client.insert(bare, rows(3000))
    client.flush(bare)
    create(client, bare, index_type="HNSW", M=8, efConstruction=64)
    described = client.describe_index(bare, "vector")
    assert described["total_rows"] == 3000
    assert described["indexed_rows"] == 3000
    assert described["pending_index_rows"] == 0


def test_same_index_again_is_a_no_op(client, bare):
    create(client, bare, index_type="HNSW", M=8, efConstruction=64)
    create(client, bare, index_type="HNSW", M=8, efConstruction=64)
    assert client.list_indexes(bare) == ["vector"]


def test_same_name_with_other_params_is_refused(client, bare):
    create(client, bare, index_name="a", index_type="HNSW", M=8, efConstruction=64)
    with refused("at most one distinct index is allowed per field", code=1100):
        create(client, bare, index_name="a", index_type="HNSW", M=16, efConstruction=64)


def test_second_index_on_a_field_is_refused(client, bare):
    create(client, bare, index_name="a")
    with refused("creating multiple indexes on same field is not supported", code=1100):
        create(client, bare, index_name="b")


def test_unknown_field(client, bare):
    with refused("cannot create index on non-exist field: absent"):
        create(client, bare, field="absent")


def test_unknown_type(client, bare):
    with refused("invalid parameter[expected=valid index][actual=invalid index type: FOO]"):
        create(client, bare, index_type="FOO")


@pytest.mark.parametrize("metric", ["HAMMING", "JACCARD", "UNKNOWN"])
def test_metric_of_another_type(client, bare, metric):
    with refused(f"float vector index does not support metric type: {metric}"):
        create(client, bare, index_type="HNSW", metric=metric, M=8, efConstruction=64)


@pytest.mark.parametrize(
    ("param", "value", "text"),
    [
        ("M", 1, "param 'M' (1) should be in range [2, 2048]"),
        ("M", 2049, "param 'M' (2049) should be in range [2, 2048]"),
        ("efConstruction", 0, "param 'efConstruction' (0) should be in range [1, 2147483647]"),
    ],
)
def test_param_out_of_range(client, bare, param, value, text):
    params = {"M": 8, "efConstruction": 64, param: value}
    with refused(text):
        create(client, bare, index_type="HNSW", **params)


def test_autoindex_takes_a_metric_only(client, bare):
    with refused("only metric type can be passed when use AutoIndex"):
        create(client, bare, index_type="AUTOINDEX", M=8)


def test_describe_unknown(client, bare):
    # The client turns code 700 into None.
    assert client.describe_index(bare, "absent") is None


def test_list_without_indexes(client, bare):
    assert client.list_indexes(bare) == []


def test_drop_unknown_succeeds(client, bare):
    client.drop_index(bare, "absent")


def test_drop_of_a_loaded_vector_index_is_refused(client, name):
    make(client, name)
    with refused("vector index cannot be dropped on loaded collection"):
        client.drop_index(name, "vector")
    assert client.list_indexes(name) == ["vector"]


def test_drop_after_release_and_create_another(client, name):
    make(client, name)
    client.insert(name, rows(50))
    client.release_collection(name)
    client.drop_index(name, "vector")
    assert client.list_indexes(name) == []
    create(client, name, index_type="HNSW", M=8, efConstruction=64)
    client.load_collection(name)
    assert count(client, name) == 50


def test_index_on_a_loaded_collection_keeps_answers(client, name):
    """Rows inserted after the index are searched too, and later flushes are indexed by themselves."""
    make(client, name, index_type="HNSW")
    client.insert(name, rows(2000))
    client.flush(name)
    client.insert(name, rows(100, first=2000))
    for i in (5, 1999, 2000, 2099):
        hits = client.search(name, [vector(i).tolist()], limit=1)[0]
        assert (hits[0]["id"], hits[0]["distance"]) == (i, 0)


def test_list_by_field(client, name):
    schema = simple_schema(client)
    schema.add_field("second", DataType.FLOAT_VECTOR, dim=DIM)
    client.create_collection(name, schema=schema)
    index = vector_index(client)
    index.add_index("second", index_name="other", index_type="FLAT", metric_type="IP")
    client.create_index(name, index)
    assert sorted(client.list_indexes(name)) == ["other", "vector"]
    assert client.list_indexes(name, field_name="second") == ["other"]


def test_index_of_unknown_collection(client):
    with refused("nothing", code=100):
        create(client, "nothing")
