"""Insert, upsert and delete, and what reads show right after."""

import pytest
from pymilvus import DataType, MilvusException
from pymilvus.exceptions import DataNotMatchException
from support import DIM, count, ids, make, query_ids, refused, rows, simple_schema, vector


def test_insert_reports_ids_in_order(client, name):
    make(client, name)
    reply = client.insert(name, rows(5, first=3))
    assert reply["insert_count"] == 5
    assert list(reply["ids"]) == [3, 4, 5, 6, 7]


def test_auto_ids_are_distinct_and_ascending(client, name):
    make(client, name, auto_id=True)
    data = [{k: v for k, v in row.items() if k != "id"} for row in rows(20)]
    given = [*client.insert(name, data[:10])["ids"], *client.insert(name, data[10:])["ids"]]
    assert given == sorted(set(given))
    assert query_ids(client, name, "id > 0") == given


def test_values_come_back_as_they_went_in(client, name):
    make(client, name)
    client.insert(name, rows(3))
    row = client.get(name, ids=[2], output_fields=["*"])[0]
    assert (row["id"], row["n"], row["text"]) == (2, 20, "t2")
    assert row["vector"] == vector(2).tolist()


@pytest.mark.parametrize("flushed", [False, True])
def test_upsert_replaces_a_row(client, name, flushed):
    make(client, name)
    client.insert(name, rows(5))
    if flushed:
        client.flush(name)
    reply = client.upsert(name, [{**rows(1, first=2)[0], "text": "new"}])
    assert reply["upsert_count"] == 1
    assert client.get(name, ids=[2])[0]["text"] == "new"
    assert count(client, name) == 5


def test_upsert_inserts_what_is_not_there(client, name):
    make(client, name)
    client.upsert(name, rows(3))
    assert query_ids(client, name, "id >= 0") == [0, 1, 2]


def test_upsert_with_the_same_key_twice_is_refused(client, name):
    make(client, name)
    with refused("duplicate primary keys are not allowed in the same batch"):
        client.upsert(name, [*rows(1), *rows(1)])
    assert count(client, name) == 0


def test_upserted_row_is_searched_once_with_its_new_vector(client, name):
    make(client, name)
    client.insert(name, rows(5))
    client.upsert(name, [{**rows(1, first=2)[0], "vector": [9.0] * DIM}])
    hits = client.search(name, [[9.0] * DIM], limit=10)[0]
    assert hits[0]["id"] == 2
    assert hits[0]["distance"] == 0
    assert sorted(hit["id"] for hit in hits) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("flushed", [False, True])
def test_delete_by_ids(client, name, flushed):
    make(client, name)
    client.insert(name, rows(10))
    if flushed:
        client.flush(name)
    client.delete(name, ids=[1, 3, 99])
    assert query_ids(client, name, "id >= 0") == [0, 2, 4, 5, 6, 7, 8, 9]
    assert count(client, name) == 8
    hits = client.search(name, [vector(1).tolist()], limit=10)[0]
    assert sorted(hit["id"] for hit in hits) == [0, 2, 4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("flushed", [False, True])
def test_delete_by_expression(client, name, flushed):
    make(client, name)
    client.insert(name, rows(10))
    if flushed:
        client.flush(name)
    client.delete(name, filter="n >= 50 and text != 't7'")
    assert query_ids(client, name, "id >= 0") == [0, 1, 2, 3, 4, 7]


def test_delete_counts_the_keys_that_were_given(client, name):
    make(client, name)
    client.insert(name, rows(2))
    reply = client.delete(name, ids=[0, 1, 2, 3])
    assert reply["delete_count"] == 4


def test_deleted_key_can_come_back(client, name):
    make(client, name)
    client.insert(name, rows(3))
    client.delete(name, ids=[1])
    client.insert(name, [{**rows(1, first=1)[0], "text": "again"}])
    assert client.get(name, ids=[1])[0]["text"] == "again"
    assert count(client, name) == 3


def test_delete_then_flush_then_count(client, name):
    make(client, name)
    client.insert(name, rows(50))
    client.delete(name, ids=list(range(0, 50, 2)))
    client.flush(name)
    assert count(client, name) == 25
    assert query_ids(client, name, "id >= 0") == list(range(1, 50, 2))


def test_duplicate_keys_by_insert_read_as_the_newest_row(client, name):
    make(client, name)
    client.insert(name, rows(1))
    client.insert(name, [{**rows(1)[0], "text": "newer"}])
    found = client.query(name, filter="id == 0", output_fields=["text"])
    assert [row["text"] for row in found] == ["newer"]
    assert count(client, name, "id == 0") == len(found)


def test_string_keys(client, name):
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=16)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=index, consistency_level="Strong")
    client.insert(name, [{"key": f"k{i}", "vector": vector(i).tolist()} for i in range(5)])
    client.delete(name, ids=["k1"])
    client.delete(name, filter='key in ["k2", "k9"]')
    found = client.query(name, filter='key like "k%"', output_fields=["key"])
    assert [row["key"] for row in found] == ["k0", "k3", "k4"]


def test_dynamic_keys_are_kept(client, name):
    make(client, name, dynamic=True)
    client.insert(name, rows(1, colour="red", size=3, tags=["a", "b"]))
    row = client.get(name, ids=[0], output_fields=["colour", "size", "tags"])[0]
    assert (row["colour"], row["size"], row["tags"]) == ("red", 3, ["a", "b"])


def test_unknown_key_without_dynamic_field_is_refused(client, name):
    make(client, name)
    with pytest.raises((DataNotMatchException, MilvusException)):
        client.insert(name, rows(1, colour="red"))
    assert count(client, name) == 0


def test_missing_field_is_refused(client, name):
    make(client, name)
    with pytest.raises((DataNotMatchException, MilvusException)):
        client.insert(name, [{"id": 1, "vector": vector(1).tolist()}])
    assert count(client, name) == 0


def test_wrong_dimension_is_refused(client, name):
    make(client, name)
    with pytest.raises(MilvusException):
        client.insert(name, [{**rows(1)[0], "vector": [1.0] * (DIM * 2)}])
    assert count(client, name) == 0


def test_text_over_max_length_is_refused(client, name):
    make(client, name)
    with refused("length of varchar field text exceeds max length", code=1100):
        client.insert(name, [*rows(3), {**rows(1, first=3)[0], "text": "x" * 33}])
    assert count(client, name) == 0


def test_length_is_counted_in_bytes(client, name):
    make(client, name)
    with refused("length of varchar field text exceeds max length"):
        client.insert(name, [{**rows(1)[0], "text": "❄" * 11}])


def test_not_a_number_in_a_vector_is_refused(client, name):
    make(client, name)
    with refused("is not a number or infinity"):
        client.insert(name, [{**rows(1)[0], "vector": [float("nan")] * DIM}])
    assert count(client, name) == 0


def test_null_in_a_field_that_is_not_nullable_is_refused(client, name):
    make(client, name)
    with pytest.raises((DataNotMatchException, MilvusException)):
        client.insert(name, [{**rows(1)[0], "n": None}])
    assert count(client, name) == 0


def test_nullable_fields(client, name):
    schema = simple_schema(client)
    schema.add_field("opt", DataType.VARCHAR, max_length=8, nullable=True)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=index, consistency_level="Strong")
    client.insert(name, [*rows(1, opt="a"), *rows(1, first=1, opt=None), *rows(1, first=2, opt="c")])
    client.insert(name, rows(1, first=3))
    found = client.query(name, filter="id >= 0", output_fields=["opt"])
    assert [row["opt"] for row in found] == ["a", None, "c", None]
    hits = client.search(name, [vector(1).tolist()], limit=2, output_fields=["opt"])[0]
    assert (hits[0]["id"], hits[0]["entity"]["opt"]) == (1, None)


def test_insert_into_unknown_collection(client):
    with refused("can't find collection[database=default][collection=nothing]", code=100):
        client.insert("nothing", rows(1))


def test_large_batch(client, name):
    make(client, name)
    assert client.insert(name, rows(5000))["insert_count"] == 5000
    assert count(client, name) == 5000
    assert ids(client.query(name, filter="id == 4999")) == [4999]
