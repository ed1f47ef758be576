"""What searches promise beyond their best hits: ties by key, whole groups, limits, isolation, loaded fields."""

import pytest
from pymilvus import DataType, Function, FunctionType
from support import make, refused, rows, simple_schema, vector_index


def found_ids(client, name, query, **options):
    return [hit["id"] for hit in client.search(name, [query], anns_field="vector", **options)[0]]


def equal_rows(count, copies):
    """Rows in descending order of their keys, of which `copies` always have one vector."""
    return [
        {"id": i, "n": i // copies, "text": "t", "vector": [float(i // copies)] * 8}
        for i in reversed(range(count))
    ]


@pytest.mark.parametrize("flushed", [False, True])
def test_ties_at_the_end_of_a_page_go_to_the_smallest_keys(client, name, flushed):
    """An index orders rows by place; keys are in another order here."""
    make(client, name)
    client.insert(name, equal_rows(2100, 7))
    if flushed:
        client.flush(name)
        client.load_collection(name)
    everything = list(range(2100))
    for limit in (1, 5, 10, 100, 1000):
        assert found_ids(client, name, [0.0] * 8, limit=limit) == everything[:limit]
    for offset in range(0, 40, 5):
        assert found_ids(client, name, [0.0] * 8, limit=5, offset=offset) == everything[offset : offset + 5]


def test_strict_groups_are_filled_from_every_segment(client, name):
    """Group 0 is best in the flushed segment alone, where group 9 of the other has its only rows."""
    make(client, name)
    near = [{"id": i, "n": i, "text": "t", "vector": [float(i)] * 8} for i in range(3)]
    client.insert(name, near)
    client.flush(name)
    far = [{"id": 100 + i, "n": i % 3 if i > 20 else 50 + i, "text": "t", "vector": [10.0 + i] * 8} for i in range(30)]
    client.insert(name, far)
    found = client.search(
        name, [[0.0] * 8], anns_field="vector", limit=2, group_by_field="n", group_size=3,
        strict_group_size=True, output_fields=["n"],
    )[0]
    assert [(hit["id"], hit["entity"]["n"]) for hit in found] == [
        (0, 0), (121, 0), (124, 0), (1, 1), (122, 1), (125, 1),
    ]


def test_the_depth_of_a_graph_is_compared_with_what_a_plain_search_asks_for(client, name):
    make(client, name, index_type="HNSW")
    client.insert(name, rows(60))
    shallow = {"ef": 20}
    query = [0.0] * 8

    def search(**options):
        params = {**shallow, **options.pop("params", {})}
        return client.search(name, [query], anns_field="vector", search_params={"params": params}, **options)[0]

    assert len(search(limit=20)) == 20
    with refused("ef(20) should be larger than k(30)"):
        search(limit=30)
    assert len(search(limit=30, params={"radius": 1e6})) == 30
    assert len(search(limit=30, group_by_field="n")) == 30


def test_collections_of_query_mode_large_topk_return_more(client, name):
    with refused("invalid query_mode value \"x\", valid values: [large_topk]"):
        client.create_collection(name, schema=simple_schema(client), properties={"query_mode": "x"})
    client.create_collection(
        name, schema=simple_schema(client), index_params=vector_index(client),
        properties={"query_mode": "large_topk"}, consistency_level="Strong",
    )
    query = [0.0] * 8
    client.insert(name, [{"id": i, "n": i, "text": "t", "vector": query} for i in range(16500)])
    assert len(found_ids(client, name, query, limit=16450)) == 16450
    assert len(client.query(name, filter="id >= 0", limit=16450, output_fields=["id"])) == 16450
    with refused("topk [1000001] is invalid, it should be in range [1, 1000000], but got 1000001"):
        found_ids(client, name, query, limit=1000001)
    change = "can not alter query_mode if the collection already has a vector index"
    with refused(change, code=702):
        client.drop_collection_properties(name, property_keys=["query_mode"])
    client.release_collection(name)
    client.drop_index(name, "vector")
    client.drop_collection_properties(name, property_keys=["query_mode"])
    client.create_index(name, vector_index(client))
    client.load_collection(name)
    with refused("topk [16450] is invalid, it should be in range [1, 16384], but got 16450"):
        found_ids(client, name, query, limit=16450)
    with refused(change, code=702):
        client.alter_collection_properties(name, properties={"query_mode": "large_topk"})


@pytest.mark.parametrize(
    ("filter", "what"),
    [
        ("key == 'a' or n > 3", "OR"),
        ("not (key == 'a')", "NOT"),
        ("key in ['a', 'b']", "IN"),
        ("key != 'a'", "NotEqual"),
        ("key >= 'a'", "GreaterEqual"),
        ("'a' < key < 'c'", "BinaryRange"),
        ("key like 'a%'", "PrefixMatch"),
        ("key == 'a' and key != 'b'", "NotEqual"),
    ],
)
def test_isolated_partition_keys_are_named_by_one_equality(isolated, filter, what):
    client, name = isolated
    with refused(f"partition key isolation does not support {what}"):
        found_ids(client, name, [0.0] * 8, limit=3, filter=filter)


@pytest.fixture
def isolated(client, name):
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("key", DataType.VARCHAR, max_length=8, is_partition_key=True)
    schema.add_field("n", DataType.INT64)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
    client.create_collection(
        name, schema=schema, index_params=vector_index(client, "HNSW"), num_partitions=4,
        properties={"partitionkey.isolation": True}, consistency_level="Strong",
    )
    return client, name


def test_what_is_not_loaded_decides_nothing(client, name):
    make(client, name)
    client.insert(name, rows(10))
    client.release_collection(name)
    client.load_collection(name, load_fields=["id", "vector"])
    query = [0.0] * 8
    decay = Function(
        "decay", FunctionType.RERANK, ["n"], [],
        params={"reranker": "decay", "function": "gauss", "origin": 1, "scale": 2},
    )
    missing = "field n is not loaded"
    assert len(found_ids(client, name, query, limit=3)) == 3
    with refused(missing):
        found_ids(client, name, query, limit=3, group_by_field="n")
    with refused(missing):
        found_ids(client, name, query, limit=3, ranker=decay)
    with refused(missing):
        client.query(name, filter="", output_fields=["sum(n)"])
