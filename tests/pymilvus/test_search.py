"""Search: exact answers, scores and order, paging, output fields, refusals."""

import numpy as np
import pytest
from support import DIM, make, nearest, refused, rows, vector, vector_index, vectors

ROWS = 300
BASE = vectors(ROWS)
QUERIES = vectors(4, first=10_000)


@pytest.fixture(scope="module", params=["L2", "IP", "COSINE"])
def metric(request):
    return request.param


@pytest.fixture(scope="module")
def searched(shared_client, metric):
    """FLAT; 200 rows flushed, 100 growing."""
    name = f"flat_{metric}"
    make(shared_client, name, metric_type=metric, dynamic=True)
    shared_client.insert(name, rows(200, kind="old"))
    shared_client.flush(name)
    shared_client.insert(name, rows(100, first=200, kind="new"))
    return name


def test_exact_answer_and_scores(client, searched, metric):
    found = client.search(searched, QUERIES.tolist(), limit=10)
    assert len(found) == len(QUERIES)
    for query, hits in zip(QUERIES, found):
        want_ids, want_scores = nearest(query, BASE, 10, metric)
        assert [hit["id"] for hit in hits] == want_ids
        np.testing.assert_allclose([hit["distance"] for hit in hits], want_scores, rtol=1e-4)


def test_offset(client, searched, metric):
    want, _ = nearest(QUERIES[0], BASE, 15, metric)
    hits = client.search(searched, [QUERIES[0].tolist()], limit=5, offset=10)[0]
    assert [hit["id"] for hit in hits] == want[10:]


def test_limit_beyond_the_rows(client, searched):
    assert len(client.search(searched, [QUERIES[0].tolist()], limit=1000)[0]) == ROWS


def test_filter(client, searched, metric):
    chosen = [i for i in range(ROWS) if i % 7 == 3]
    want, _ = nearest(QUERIES[1], BASE[chosen], 10, metric)
    hits = client.search(searched, [QUERIES[1].tolist()], limit=10, filter="id % 7 == 3")[0]
    assert [hit["id"] for hit in hits] == [chosen[i] for i in want]


def test_filter_that_nothing_passes(client, searched):
    found = client.search(searched, QUERIES.tolist(), limit=10, filter="id < 0")
    assert [list(hits) for hits in found] == [[]] * len(QUERIES)


def test_output_fields(client, searched):
    hit = client.search(searched, [vector(250).tolist()], limit=300, output_fields=["text", "kind"])
    by_id = {h["id"]: h["entity"] for h in hit[0]}
    assert by_id[250] == {"text": "t250", "kind": "new"}
    assert by_id[3] == {"text": "t3", "kind": "old"}


def test_no_output_fields(client, searched):
    hit = client.search(searched, [QUERIES[0].tolist()], limit=1)[0][0]
    assert dict(hit["entity"]) == {}


def test_output_star(client, searched):
    hits = client.search(searched, [QUERIES[0].tolist()], limit=ROWS, output_fields=["*"])[0]
    entity = next(hit["entity"] for hit in hits if hit["id"] == 42)
    assert {"n", "text", "vector", "kind"} <= set(entity)
    assert entity["vector"] == vector(42).tolist()


def test_wrong_metric(client, searched, metric):
    other = "IP" if metric != "IP" else "L2"
    with refused(f"metric type not match: invalid parameter[expected={metric}][actual={other}]"):
        client.search(
            searched, [QUERIES[0].tolist()], limit=1, search_params={"metric_type": other}
        )


def test_wrong_dimension(client, searched):
    with refused("vector dimension mismatch, expected vector size(byte)"):
        client.search(searched, [[0.5] * (DIM + 1)], limit=1)


@pytest.mark.parametrize("limit", [16385, 20000])
def test_limit_too_large(client, searched, limit):
    text = f"topk [{limit}] is invalid, it should be in range [1, 16384], but got {limit}"
    with refused(text):
        client.search(searched, [QUERIES[0].tolist()], limit=limit)


def test_limit_and_offset_too_large(client, searched):
    with refused("offset+topk [16385] is invalid"):
        client.search(searched, [QUERIES[0].tolist()], limit=16384, offset=1)


def test_too_many_queries(client, searched):
    with refused("nq [16385] is invalid, nq (number of search vector per search request)"):
        client.search(searched, [[0.0] * DIM] * 16385, limit=1)


def test_unknown_vector_field(client, searched):
    with refused("absent"):
        client.search(searched, [QUERIES[0].tolist()], limit=1, anns_field="absent")


def test_ties_are_in_key_order(client, name):
    make(client, name)
    same = [{**row, "vector": [1.0] * DIM} for row in rows(20)]
    client.insert(name, same[10:])
    client.flush(name)
    client.insert(name, same[:10])
    hits = client.search(name, [[1.0] * DIM], limit=20)[0]
    assert [hit["id"] for hit in hits] == list(range(20))


def test_round_decimal(client, name):
    make(client, name)
    client.insert(name, rows(5))
    hits = client.search(name, [QUERIES[0].tolist()], limit=5, round_decimal=2)[0]
    exact = client.search(name, [QUERIES[0].tolist()], limit=5)[0]
    for rounded, hit in zip(hits, exact):
        assert rounded["distance"] == pytest.approx(round(hit["distance"], 2), abs=0.0051)


def test_empty_collection(client, name):
    make(client, name)
    assert [list(hits) for hits in client.search(name, QUERIES.tolist(), limit=3)] == [[]] * 4


def test_several_vector_fields_need_a_name(client, name):
    from pymilvus import DataType
    from support import simple_schema

    schema = simple_schema(client)
    schema.add_field("second", DataType.FLOAT_VECTOR, dim=DIM)
    index = vector_index(client)
    index.add_index("second", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=index, consistency_level="Strong")
    client.insert(name, [{**row, "second": (-vector(row["id"])).tolist()} for row in rows(20)])
    hits = client.search(name, [vector(4).tolist()], limit=1, anns_field="vector")[0]
    assert hits[0]["id"] == 4
    hits = client.search(name, [(-vector(6)).tolist()], limit=1, anns_field="second")[0]
    assert hits[0]["id"] == 6
    with refused("multiple anns_fields exist, please specify a anns_field in search_params"):
        client.search(name, [vector(4).tolist()], limit=1)


@pytest.mark.parametrize("index_type", ["HNSW", "AUTOINDEX"])
def test_recall_of_graph_indexes(client, name, index_type, metric):
    make(client, name, loaded=False, dim=32)
    base, queries = vectors(3000, dim=32), vectors(50, dim=32, first=50_000)
    client.insert(name, [{**row, "vector": base[row["id"]].tolist()} for row in rows(3000)])
    client.flush(name)
    params = {"M": 16, "efConstruction": 200} if index_type == "HNSW" else {}
    client.create_index(name, vector_index(client, index_type, metric, **params))
    client.load_collection(name)
    tuning = {"ef": 128} if index_type == "HNSW" else {}
    found = client.search(name, queries.tolist(), limit=10, search_params={"params": tuning})
    hits = sum(
        len({hit["id"] for hit in answer} & set(nearest(query, base, 10, metric)[0]))
        for query, answer in zip(queries, found)
    )
    # AUTOINDEX takes no tuning, and random vectors are the hard case for a graph.
    assert hits / 500 >= (0.95 if index_type == "HNSW" else 0.75)


def test_ef_below_k_is_refused(client, name):
    make(client, name, loaded=False)
    client.insert(name, rows(2000))
    client.flush(name)
    client.create_index(name, vector_index(client, "HNSW", "L2", M=8, efConstruction=64))
    client.load_collection(name)
    with refused("ef(5) should be larger than k(10)"):
        client.search(name, [vector(0).tolist()], limit=10, search_params={"params": {"ef": 5}})
