"""Load and release: states, progress, and what is refused without them."""

from pymilvus import DataType
from support import (
    DIM,
    count,
    make,
    query_ids,
    refused,
    rows,
    simple_schema,
    vector,
    vector_index,
)


def state(client, name, **options):
    return client.get_load_state(name, **options)["state"].name


def test_states_from_nothing_to_loaded_and_back(client, name):
    assert state(client, name) == "NotExist"
    make(client, name, loaded=False)
    assert state(client, name) == "NotLoad"
    client.create_index(name, vector_index(client))
    client.load_collection(name)
    assert state(client, name) == "Loaded"
    client.release_collection(name)
    assert state(client, name) == "NotLoad"


def test_load_needs_an_index(client, name):
    make(client, name, loaded=False)
    with refused(f"index not found[collection={name}]", code=700):
        client.load_collection(name)


def test_load_needs_an_index_on_every_vector_field(client, name):
    schema = simple_schema(client)
    schema.add_field("second", DataType.FLOAT_VECTOR, dim=DIM)
    client.create_collection(name, schema=schema)
    client.create_index(name, vector_index(client))
    with refused("there is no vector index on field: [second], please create index firstly"):
        client.load_collection(name)


def test_load_and_release_twice(client, name):
    make(client, name)
    client.load_collection(name)
    assert state(client, name) == "Loaded"
    client.release_collection(name)
    client.release_collection(name)
    assert state(client, name) == "NotLoad"


def test_search_and_query_need_a_load(client, name):
    make(client, name)
    client.release_collection(name)
    with refused("collection not loaded", code=101):
        client.search(name, [vector(0).tolist()], limit=1)
    with refused("collection not loaded", code=101):
        client.query(name, filter="id > 0")


def test_rows_inserted_while_released_are_there_after_load(client, name):
    make(client, name)
    client.release_collection(name)
    client.insert(name, rows(40))
    client.load_collection(name)
    assert count(client, name) == 40


def test_flushed_and_growing_rows_survive_release_and_load(client, name):
    make(client, name)
    client.insert(name, rows(20))
    client.flush(name)
    client.insert(name, rows(20, first=20))
    client.delete(name, ids=[3, 33])
    client.release_collection(name)
    client.load_collection(name)
    assert query_ids(client, name, "id >= 0") == [i for i in range(40) if i not in (3, 33)]


def test_load_of_unknown_collection(client):
    with refused("nothing"):
        client.load_collection("nothing")


def test_load_one_partition_leaves_the_others(client, name):
    make(client, name)
    client.release_collection(name)
    client.create_partition(name, "p")
    client.insert(name, rows(5))
    client.insert(name, rows(5, first=5), partition_name="p")
    client.load_partitions(name, ["p"])
    assert state(client, name, partition_name="p") == "Loaded"
    assert state(client, name, partition_name="_default") == "NotLoad"
    assert query_ids(client, name, "id >= 0") == [5, 6, 7, 8, 9]


def test_release_one_partition_keeps_the_others(client, name):
    make(client, name)
    client.create_partition(name, "p")
    client.insert(name, rows(5))
    client.insert(name, rows(5, first=5), partition_name="p")
    client.release_partitions(name, ["p"])
    assert state(client, name, partition_name="p") == "NotLoad"
    assert query_ids(client, name, "id >= 0") == [0, 1, 2, 3, 4]


def test_refresh_load(client, name):
    make(client, name)
    client.insert(name, rows(5))
    client.refresh_load(name)
    assert count(client, name) == 5
