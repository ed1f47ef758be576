"""Collections: create, describe, list, rename, drop, statistics."""

import pytest
from pymilvus import DataType
from support import DIM, count, make, query_ids, refused, rows, simple_schema, vector

SCALARS = {
    "flag": (DataType.BOOL, {}, True),
    "tiny": (DataType.INT8, {}, -128),
    "small": (DataType.INT16, {}, 32767),
    "medium": (DataType.INT32, {}, -(2**31)),
    "large": (DataType.INT64, {}, 2**63 - 1),
    "single": (DataType.FLOAT, {}, 1.5),
    "double": (DataType.DOUBLE, {}, 1e300),
    "words": (DataType.VARCHAR, {"max_length": 64}, "snow ❄ flake"),
    "doc": (DataType.JSON, {}, {"a": [1, 2.5, None, {"b": "c"}], "t": True}),
}


def test_quick_create_has_id_vector_dynamic_cosine_and_is_loaded(client, name):
    client.create_collection(name, dimension=DIM)
    described = client.describe_collection(name)
    assert [field["name"] for field in described["fields"]] == ["id", "vector"]
    assert described["enable_dynamic_field"] is True
    index = client.describe_index(name, "vector")
    assert (index["index_type"], index["metric_type"]) == ("AUTOINDEX", "COSINE")
    assert client.get_load_state(name)["state"].name == "Loaded"


def test_quick_create_with_string_key(client, name):
    client.create_collection(name, dimension=DIM, id_type="string", max_length=16)
    client.insert(name, [{"id": "k1", "vector": vector(1).tolist()}])
    assert client.get(name, ids=["k1"])[0]["id"] == "k1"


def test_quick_create_with_auto_id(client, name):
    client.create_collection(name, dimension=DIM, auto_id=True)
    given = client.insert(name, [{"vector": vector(i).tolist()} for i in range(3)])["ids"]
    assert len(set(given)) == 3
    assert query_ids(client, name, "id > 0", consistency_level="Strong") == sorted(given)


@pytest.mark.parametrize("field", SCALARS)
def test_scalar_type_round_trip(client, name, field):
    kind, params, value = SCALARS[field]
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field(field, kind, **params)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    client.create_collection(name, schema=schema)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_index(name, index)
    client.load_collection(name)
    client.insert(name, [{"id": 1, field: value, "vector": vector(1).tolist()}])
    found = client.query(name, ids=[1], output_fields=[field], consistency_level="Strong")
    assert found[0][field] == value


def test_describe_full_schema(client, name):
    schema = client.create_schema(auto_id=False, enable_dynamic_field=True, description="about")
    schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=100)
    for field, (kind, params, _) in SCALARS.items():
        schema.add_field(field, kind, nullable=True, description=f"d {field}", **params)
    schema.add_field("five", DataType.INT64, default_value=5)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    client.create_collection(name, schema=schema, consistency_level="Session")

    described = client.describe_collection(name)
    fields = {field["name"]: field for field in described["fields"]}
    assert described["collection_name"] == name
    assert described["description"] == "about"
    assert described["auto_id"] is False
    assert described["num_shards"] == 1
    assert described["num_partitions"] == 1
    assert described["consistency_level"] == 1
    assert described["collection_id"] > 0
    assert described["created_timestamp"] > 0
    assert list(fields) == ["key", *SCALARS, "five", "vector"]  # $meta is not shown
    assert fields["key"]["is_primary"] is True
    assert fields["key"]["params"]["max_length"] == 100
    assert fields["vector"]["params"]["dim"] == DIM
    assert fields["words"]["nullable"] is True
    assert fields["words"]["description"] == "d words"
    assert fields["flag"]["type"] == DataType.BOOL
    assert [field["field_id"] for field in described["fields"]][0] == 100


def test_default_value_fills_a_missing_column_and_an_explicit_null(client, name):
    schema = simple_schema(client)
    schema.add_field("five", DataType.INT64, default_value=5, nullable=True)
    client.create_collection(name, schema=schema)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_index(name, index)
    client.load_collection(name)
    client.insert(name, rows(1))
    client.insert(name, rows(1, first=1, five=None))
    client.insert(name, rows(1, first=2, five=7))
    found = client.query(name, filter="id >= 0", output_fields=["five"], consistency_level="Strong")
    assert {row["id"]: row["five"] for row in found} == {0: 5, 1: 5, 2: 7}


def test_create_again_with_the_same_schema_is_a_no_op(client, name):
    make(client, name, loaded=False)
    client.create_collection(name, schema=simple_schema(client), consistency_level="Strong")
    assert client.list_collections().count(name) == 1


def test_create_again_with_another_schema_is_refused(client, name):
    make(client, name, loaded=False)
    with refused("create duplicate collection with different parameters"):
        client.create_collection(name, schema=simple_schema(client, dim=DIM * 2))


def test_list_and_has(client, name):
    assert not client.has_collection(name)
    make(client, name, loaded=False)
    assert client.has_collection(name)
    assert name in client.list_collections()


def test_describe_unknown_has_the_text_that_clients_look_for(client):
    with refused("can't find collection[database=default][collection=nothing]", code=100):
        client.describe_collection("nothing")


def test_drop_and_drop_again(client, name):
    make(client, name)
    client.drop_collection(name)
    assert not client.has_collection(name)
    client.drop_collection(name)  # unknown collections are dropped successfully


def test_dropped_name_starts_empty(client, name):
    make(client, name)
    client.insert(name, rows(5))
    client.drop_collection(name)
    make(client, name)
    assert count(client, name) == 0


def test_rename_keeps_rows_and_load_state(client, name):
    make(client, name)
    client.insert(name, rows(5))
    client.rename_collection(name, f"{name}_new")
    assert not client.has_collection(name)
    assert count(client, f"{name}_new") == 5
    client.drop_collection(f"{name}_new")


def test_rename_to_a_taken_name_is_refused(client, name):
    make(client, name, loaded=False)
    make(client, f"{name}_b", loaded=False)
    with refused("duplicated new collection name"):
        client.rename_collection(name, f"{name}_b")
    client.drop_collection(f"{name}_b")


def test_rename_unknown_is_refused(client):
    with refused("nothing"):
        client.rename_collection("nothing", "something")


def test_stats_count_flushed_and_growing_rows(client, name):
    make(client, name)
    client.insert(name, rows(30))
    client.flush(name)
    client.insert(name, rows(20, first=30))
    assert int(client.get_collection_stats(name)["row_count"]) == 50


def test_stats_of_unknown_collection(client):
    with refused("nothing", code=100):
        client.get_collection_stats("nothing")


def test_update_timestamp_of_a_recreated_collection_moves_on(client, name):
    make(client, name, loaded=False)
    before = client.describe_collection(name)
    client.drop_collection(name)
    make(client, name, loaded=False)
    after = client.describe_collection(name)
    assert after["created_timestamp"] > before["created_timestamp"]
    assert after["collection_id"] != before["collection_id"]
