"""The ORM: connections, Collection, utility."""

import pytest
from pymilvus import (
    Collection,
    CollectionSchema,
    DataType,
    FieldSchema,
    MilvusException,
    connections,
    utility,
)
from support import DIM, vector, vectors


@pytest.fixture(autouse=True)
def connected(server):
    connections.connect("default", uri=server.uri)
    yield
    connections.disconnect("default")


@pytest.fixture
def collection(name):
    fields = [
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("text", DataType.VARCHAR, max_length=32),
        FieldSchema("vector", DataType.FLOAT_VECTOR, dim=DIM),
    ]
    schema = CollectionSchema(fields, description="by the ORM")
    return Collection(name, schema, consistency_level="Strong")


def fill(collection, count=50):
    columns = [list(range(count)), [f"t{i}" for i in range(count)], vectors(count).tolist()]
    assert collection.insert(columns).insert_count == count
    params = {"index_type": "HNSW", "metric_type": "L2", "params": {"M": 8, "efConstruction": 64}}
    collection.create_index("vector", params)
    collection.load()


def test_has_list_drop(collection):
    assert utility.has_collection(collection.name)
    assert collection.name in utility.list_collections()
    assert collection.description == "by the ORM"
    utility.drop_collection(collection.name)
    assert not utility.has_collection(collection.name)


def test_insert_search_query(collection):
    fill(collection)
    found = collection.search(
        [vector(7).tolist()], "vector", {"metric_type": "L2"}, limit=3, output_fields=["text"]
    )
    assert found[0][0].id == 7
    assert found[0][0].distance == 0
    assert found[0][0].entity.get("text") == "t7"
    assert collection.query("id in [3, 4]", output_fields=["text"]) == [
        {"id": 3, "text": "t3"},
        {"id": 4, "text": "t4"},
    ]


def test_upsert_delete_count(collection):
    fill(collection)
    collection.upsert([[3], ["new"], [vector(3).tolist()]])
    collection.delete("id in [4, 5]")
    assert collection.query("id == 3", output_fields=["text"])[0]["text"] == "new"
    assert collection.query("", output_fields=["count(*)"])[0]["count(*)"] == 48


def test_flush_and_num_entities(collection):
    fill(collection)
    collection.flush()
    assert collection.num_entities == 50


def test_index_objects(collection):
    fill(collection)
    assert collection.has_index()
    assert collection.index().params["index_type"] == "HNSW"
    assert utility.index_building_progress(collection.name)["pending_index_rows"] == 0
    collection.release()
    collection.drop_index()
    assert not collection.has_index()


def test_load_progress(collection):
    fill(collection)
    assert utility.loading_progress(collection.name)["loading_progress"] == "100%"
    assert utility.load_state(collection.name).name == "Loaded"


def test_partitions(collection):
    collection.create_partition("p")
    assert collection.has_partition("p")
    assert sorted(part.name for part in collection.partitions) == ["_default", "p"]
    part = collection.partition("p")
    part.insert([[1], ["a"], [vector(1).tolist()]])
    part.drop()
    assert not collection.has_partition("p")


def test_open_by_name(collection):
    opened = Collection(collection.name)
    assert [field.name for field in opened.schema.fields] == ["id", "text", "vector"]
    assert opened.primary_field.name == "id"


def test_rename(collection):
    new = f"{collection.name}_orm"
    utility.rename_collection(collection.name, new)
    assert utility.has_collection(new)
    utility.drop_collection(new)


def test_unknown_collection():
    with pytest.raises(MilvusException):
        Collection("nothing")
