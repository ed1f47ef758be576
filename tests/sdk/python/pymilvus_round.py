"""One round of work that every pymilvus from 2.4 on can do, with MilvusClient and with the ORM.

Usage: pymilvus_round.py URI. Each version has its own way to talk to the server; all must be served.
"""

import random
import sys

import numpy
import pymilvus
from pymilvus import (
    AnnSearchRequest,
    Collection,
    CollectionSchema,
    DataType,
    FieldSchema,
    MilvusClient,
    RRFRanker,
    WeightedRanker,
    connections,
    db,
    utility,
)

URI = sys.argv[1]
DIM, ROWS = 8, 400
rng = random.Random(7)
VECTORS = [[rng.uniform(-1, 1) for _ in range(DIM)] for _ in range(ROWS)]
TAG = pymilvus.__version__.replace(".", "_")


def nearest(vector, count):
    matrix = numpy.array(VECTORS, dtype=numpy.float32)
    distances = ((matrix - numpy.array(vector, dtype=numpy.float32)) ** 2).sum(axis=1)
    return numpy.argsort(distances, kind="stable")[:count].tolist()


def with_client():
    client = MilvusClient(uri=URI)
    name = f"client_{TAG}"
    schema = client.create_schema(auto_id=False, enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    schema.add_field("weights", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_field("color", DataType.VARCHAR, max_length=16)
    schema.add_field("tags", DataType.ARRAY, element_type=DataType.INT64, max_capacity=4)
    schema.add_field("extra", DataType.JSON)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="HNSW", metric_type="L2", params={"M": 16, "efConstruction": 100})
    index.add_index("weights", index_type="SPARSE_INVERTED_INDEX", metric_type="IP")
    client.create_collection(name, schema=schema, index_params=index, consistency_level="Strong")
    assert client.has_collection(name) and name in client.list_collections()
    rows = [
        {
            "id": i,
            "vector": VECTORS[i],
            "weights": {i % 20: 1.0, 30 + i % 3: 0.5},
            "color": ["red", "green", "blue"][i % 3],
            "tags": [i % 5],
            "extra": {"rank": i},
            "loose": f"l{i}",
        }
        for i in range(ROWS)
    ]
    assert client.insert(name, rows)["insert_count"] == ROWS
    client.flush(name) if hasattr(client, "flush") else None

    found = client.search(name, data=[VECTORS[3]], anns_field="vector", limit=5, output_fields=["color", "loose"],
                          search_params={"params": {"ef": 200}})
    assert [hit["id"] for hit in found[0]] == nearest(VECTORS[3], 5), found
    assert found[0][0]["entity"]["loose"] == "l3"
    found = client.search(name, data=[VECTORS[3]], anns_field="vector", limit=5, filter="array_contains(tags, 2)")
    assert len(found[0]) == 5 and all(hit["id"] % 5 == 2 for hit in found[0])
    parts = [
        AnnSearchRequest([VECTORS[9]], "vector", {"metric_type": "L2", "params": {"ef": 100}}, limit=10),
        AnnSearchRequest([{9: 1.0}], "weights", {"metric_type": "IP"}, limit=10),
    ]
    for ranker in (RRFRanker(), WeightedRanker(0.7, 0.3)):
        found = client.hybrid_search(name, parts, ranker, limit=5)
        assert found[0][0]["id"] == 9, found
    rows = client.query(name, filter='color == "red" and extra["rank"] < 10', output_fields=["id", "loose"])
    assert [row["id"] for row in rows] == [0, 3, 6, 9]
    assert client.query(name, filter="", output_fields=["count(*)"])[0]["count(*)"] == ROWS
    assert [row["id"] for row in client.get(name, ids=[7, 8])] == [7, 8]
    client.upsert(name, [{**rows[0], "id": 0, "vector": VECTORS[0], "weights": {1: 1.0}, "color": "black",
                          "tags": [], "extra": {}}])
    assert client.query(name, filter='color == "black"', output_fields=["id"])[0]["id"] == 0
    client.delete(name, filter="id in [1, 2]")
    assert client.query(name, filter="id < 4", output_fields=["id"]) == [{"id": 0}, {"id": 3}]
    client.create_alias(name, f"alias_{TAG}")
    assert client.describe_collection(f"alias_{TAG}")["collection_name"] == name
    client.drop_alias(f"alias_{TAG}")
    client.create_partition(name, "extra_rows")
    assert client.list_partitions(name) == ["_default", "extra_rows"]
    client.release_collection(name)
    client.drop_collection(name)
    assert not client.has_collection(name)
    client.close()


def with_orm():
    connections.connect("default", uri=URI)
    database = f"db_{TAG}"
    db.create_database(database)
    db.using_database(database)
    name = f"orm_{TAG}"
    schema = CollectionSchema([
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("half", DataType.FLOAT16_VECTOR, dim=DIM),
        FieldSchema("bits", DataType.BINARY_VECTOR, dim=16),
        FieldSchema("number", DataType.DOUBLE),
    ])
    collection = Collection(name, schema, consistency_level="Strong")
    halves = [numpy.array(vector, dtype=numpy.float16) for vector in VECTORS]
    bits = [rng.randbytes(2) for _ in range(ROWS)]
    collection.insert([list(range(ROWS)), halves, bits, [i / 2 for i in range(ROWS)]])
    collection.flush()
    assert collection.num_entities == ROWS
    collection.create_index("half", {"index_type": "FLAT", "metric_type": "IP", "params": {}})
    collection.create_index("bits", {"index_type": "BIN_FLAT", "metric_type": "HAMMING", "params": {}})
    assert utility.index_building_progress(name, index_name="half")["total_rows"] == ROWS
    collection.load()
    assert utility.loading_progress(name)["loading_progress"] == "100%"
    found = collection.search([bits[5]], "bits", {"metric_type": "HAMMING"}, limit=3, output_fields=["number"])
    assert found[0][0].distance == 0 and found[0][0].entity.get("number") == found[0][0].id / 2
    found = collection.search([halves[5]], "half", {"metric_type": "IP"}, limit=3)
    scores = numpy.array(halves, dtype=numpy.float32) @ halves[5].astype(numpy.float32)
    assert found[0].ids[0] == int(scores.argmax())
    seen = []
    iterator = collection.query_iterator(batch_size=90, expr="number < 100", output_fields=["id"])
    while batch := iterator.next():
        seen += [row["id"] for row in batch]
    iterator.close()
    assert seen == list(range(200)), len(seen)
    hits = []
    iterator = collection.search_iterator([halves[1]], "half", {"metric_type": "IP"}, batch_size=60, limit=200)
    while batch := iterator.next():
        hits += batch.ids()
    iterator.close()
    assert len(set(hits)) == 200, len(set(hits))
    collection.delete("number >= 100")
    assert collection.query("", output_fields=["count(*)"])[0]["count(*)"] == 200
    utility.get_query_segment_info(name)
    collection.release()
    collection.drop()
    db.using_database("default")
    db.drop_database(database)
    connections.disconnect("default")


with_client()
with_orm()
print("done")
