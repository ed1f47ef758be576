"""Every vector index by its name: created, built in the background, described, loaded, searched with and
without filters, within ranges and page by page, over every kind of vectors it takes, before and after a restart."""

import time

import numpy as np
import pytest
from pymilvus import DataType, MilvusClient
from support import local_files, refused

ROWS, DIM, QUERIES, K = 2000, 64, 20, 10
FLOATS = [DataType.FLOAT_VECTOR, DataType.FLOAT16_VECTOR]
# name: (kinds, what it is created with, what a search asks for, the least recall)
INDEXES = {
    "FLAT": (FLOATS, {}, {}, 1.0),
    "IVF_FLAT": (FLOATS, {"nlist": 32}, {"nprobe": 16}, 0.9),
    "IVF_SQ8": (FLOATS, {"nlist": 32}, {"nprobe": 16}, 0.9),
    "IVF_PQ": (FLOATS, {"nlist": 32, "m": 16}, {"nprobe": 16}, 0.85),
    "IVF_RABITQ": (FLOATS, {"nlist": 32}, {"nprobe": 16}, 0.85),
    "SCANN": (FLOATS, {"nlist": 32}, {"nprobe": 16, "reorder_k": 100}, 0.9),
    "HNSW": ([*FLOATS, DataType.INT8_VECTOR, DataType.BINARY_VECTOR], {"M": 16}, {"ef": 64}, 0.9),
    "HNSW_SQ": ([*FLOATS, DataType.INT8_VECTOR], {"M": 16, "sq_type": "SQ6"}, {"ef": 64}, 0.9),
    "HNSW_PQ": ([*FLOATS, DataType.INT8_VECTOR], {"M": 16, "m": 16}, {"ef": 64}, 0.85),
    "HNSW_PRQ": (FLOATS, {"M": 16, "m": 16, "nrq": 2}, {"ef": 64}, 0.9),
    "DISKANN": (FLOATS, {}, {"search_list": 64}, 0.9),
    "ANNOY": ([DataType.FLOAT_VECTOR], {"n_trees": 8}, {"search_k": 2000}, 0.85),
    "AUTOINDEX": ([*FLOATS, DataType.INT8_VECTOR, DataType.SPARSE_FLOAT_VECTOR], {}, {}, 0.95),
    "BIN_FLAT": ([DataType.BINARY_VECTOR], {}, {}, 1.0),
    "BIN_IVF_FLAT": ([DataType.BINARY_VECTOR], {"nlist": 16}, {"nprobe": 12}, 0.85),
    "SPARSE_INVERTED_INDEX": ([DataType.SPARSE_FLOAT_VECTOR], {}, {}, 1.0),
    "SPARSE_WAND": ([DataType.SPARSE_FLOAT_VECTOR], {"inverted_index_algo": "TAAT_NAIVE"}, {}, 1.0),
}
CASES = [(name, kind) for name, (kinds, *_) in INDEXES.items() for kind in kinds]


def numbers(count, seed):
    """Vectors around a hundred centres, the same for the same seed."""
    centres = np.random.default_rng(1).standard_normal((100, DIM))
    random = np.random.default_rng(seed)
    near = centres[random.integers(0, 100, count)]
    return (near + 0.5 * random.standard_normal((count, DIM))).astype(np.float32)


def sent(kind, floats):
    """The vectors as a client sends them."""
    if kind == DataType.FLOAT16_VECTOR:
        return [row.astype(np.float16) for row in floats]
    if kind == DataType.INT8_VECTOR:
        return [np.clip(np.round(row * 30), -127, 127).astype(np.int8) for row in floats]
    if kind == DataType.BINARY_VECTOR:
        return [np.packbits(row > 0).tobytes() for row in floats]
    if kind == DataType.SPARSE_FLOAT_VECTOR:
        return [{int(i): float(abs(row[i])) for i in np.argsort(-np.abs(row))[:12]} for row in floats]
    return [row.tolist() for row in floats]


def dense(kind, rows):
    """What was sent, as the numbers that scores are made of."""
    if kind == DataType.BINARY_VECTOR:
        return np.unpackbits(np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), -1), axis=1) * 2.0 - 1
    if kind == DataType.SPARSE_FLOAT_VECTOR:
        out = np.zeros((len(rows), DIM))
        for row, pairs in zip(out, rows):
            row[list(pairs)] = list(pairs.values())
        return out
    out = np.stack([np.asarray(row, np.float64) for row in rows])
    return out / np.linalg.norm(out, axis=1, keepdims=True)


def metric_of(kind):
    return {DataType.BINARY_VECTOR: "HAMMING", DataType.SPARSE_FLOAT_VECTOR: "IP"}.get(kind, "COSINE")


def create(client, collection, index, kind):
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("third", DataType.INT64)
    schema.add_field("v", kind, **({} if kind == DataType.SPARSE_FLOAT_VECTOR else {"dim": DIM}))
    client.create_collection(collection, schema=schema, consistency_level="Strong")
    rows = sent(kind, numbers(ROWS, 7))
    for first in range(0, ROWS, 1000):
        client.insert(
            collection, [{"id": i, "third": i % 3, "v": rows[i]} for i in range(first, min(ROWS, first + 1000))]
        )
    client.flush(collection)
    params = client.prepare_index_params()
    params.add_index("v", index_type=index, metric_type=metric_of(kind), params=INDEXES[index][1])
    client.create_index(collection, params)
    client.load_collection(collection)


def recall(client, collection, index, kind, expr=""):
    """The share of hits that are as near as the nearest ten that pass `expr`, which keeps a third."""
    rows, queries = dense(kind, sent(kind, numbers(ROWS, 7))), sent(kind, numbers(QUERIES, 8))
    scores = dense(kind, queries) @ rows.T
    passing = np.arange(ROWS) % 3 == 1 if expr else np.ones(ROWS, bool)
    params = {"metric_type": metric_of(kind), "params": INDEXES[index][2]}
    found = client.search(collection, queries, limit=K, filter=expr, search_params=params)
    shares = []
    for hits, score in zip(found, scores):
        ids = [hit["id"] for hit in hits]
        assert len(set(ids)) == len(ids) == K and all(passing[ids])
        least = np.sort(score[passing])[-K] - 1e-3
        shares.append(np.mean(score[ids] >= least))
    return np.mean(shares)


@pytest.mark.parametrize(("index", "kind"), CASES, ids=[f"{name}-{kind.name}" for name, kind in CASES])
def test_an_index_answers_by_its_name(client, name, index, kind):
    create(client, name, index, kind)
    described = client.describe_index(name, "v")
    assert described["index_type"] == index
    assert described["metric_type"] == metric_of(kind)
    for key, value in INDEXES[index][1].items():
        assert described[key] == str(value)
    least = INDEXES[index][3]
    assert recall(client, name, index, kind) >= least
    assert recall(client, name, index, kind, "third == 1") >= least - 0.05


@pytest.mark.parametrize("index", [name for name, (kinds, *_) in INDEXES.items() if FLOATS[0] in kinds])
def test_ranges_are_complete_and_pages_do_not_repeat(client, name, index):
    kind = FLOATS[0]
    create(client, name, index, kind)
    query = sent(kind, numbers(1, 9))
    score = (dense(kind, query) @ dense(kind, sent(kind, numbers(ROWS, 7))).T)[0]
    radius = float(np.sort(score)[-40:-38].mean())
    asked = {**INDEXES[index][2], "radius": radius}
    hits = client.search(name, query, limit=100, search_params={"metric_type": "COSINE", "params": asked})[0]
    assert len(hits) == np.count_nonzero(score > radius)
    iterator = client.search_iterator(name, data=query, batch_size=70, limit=210, search_params={"metric_type": "COSINE"})
    ids = []
    while page := iterator.next():
        ids += [hit["id"] for hit in page]
    iterator.close()
    assert len(set(ids)) == len(ids) == 210
    client.delete(name, filter="third == 2")
    hits = client.search(name, query, limit=50, search_params={"metric_type": "COSINE", "params": INDEXES[index][2]})[0]
    assert len(hits) == 50 and all(hit["id"] % 3 != 2 for hit in hits)


def ordered(client, collection, query, kind, expr=""):
    """What an iterator gives, page by page, to the last row."""
    iterator = client.search_iterator(
        collection, data=query, batch_size=170, filter=expr, search_params={"metric_type": metric_of(kind)}
    )
    hits = []
    while page := iterator.next():
        hits += page
    iterator.close()
    return [hit["id"] for hit in hits], [hit["distance"] for hit in hits]


@pytest.mark.parametrize("index", [name for name, (kinds, *_) in INDEXES.items() if FLOATS[0] in kinds])
def test_an_iterator_gives_every_row_once_and_in_order(client, name, index):
    kind = FLOATS[0]
    create(client, name, index, kind)
    query = sent(kind, numbers(1, 9))
    # Rows that no index covers.
    more = sent(kind, numbers(500, 10))
    client.insert(name, [{"id": ROWS + i, "third": i % 3, "v": row} for i, row in enumerate(more)])
    client.delete(name, ids=list(range(100, 150)))
    for expr, wanted in [("", ROWS + 450), ("third == 1", None)]:
        wanted = wanted or client.query(name, filter=expr, output_fields=["count(*)"])[0]["count(*)"]
        ids, scores = ordered(client, name, query, kind, expr)
        assert len(ids) == len(set(ids)) == wanted
        assert not set(ids) & set(range(100, 150))
        assert scores == sorted(scores, reverse=True)


def test_an_iterator_does_not_see_what_comes_after_its_first_page(client, name):
    kind = FLOATS[0]
    create(client, name, "IVF_FLAT", kind)
    query = sent(kind, numbers(1, 9))
    iterator = client.search_iterator(name, data=query, batch_size=300, search_params={"metric_type": "COSINE"})
    ids = [hit["id"] for hit in iterator.next()]
    client.delete(name, ids=[i for i in range(ROWS) if i not in ids][:200])
    client.insert(name, [{"id": ROWS + i, "third": 0, "v": query[0]} for i in range(20)])
    while page := iterator.next():
        ids += [hit["id"] for hit in page]
    iterator.close()
    assert sorted(ids) == list(range(ROWS))


def test_minhash_rows_score_alike_before_and_after_they_are_indexed(client, name):
    random = np.random.default_rng(4)
    signatures = random.integers(0, 1 << 32, (200, 16), dtype=np.uint32)
    # Hashes that differ in a single byte differ.
    signatures[1:5] = signatures[0]
    for n in range(1, 5):
        signatures[n, :n] ^= 1
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("v", DataType.BINARY_VECTOR, dim=16 * 32)
    params = client.prepare_index_params()
    built = {"mh_lsh_band": 16, "mh_element_bit_width": 32}
    params.add_index("v", index_type="MINHASH_LSH", metric_type="MHJACCARD", params=built)
    client.create_collection(name, schema=schema, index_params=params, consistency_level="Strong")
    client.insert(name, [{"id": i, "v": row.tobytes()} for i, row in enumerate(signatures)])
    asked = {"metric_type": "MHJACCARD", "params": {"mh_search_with_jaccard": True}}
    for _ in range(2):
        hits = client.search(name, [signatures[0].tobytes()], limit=5, search_params=asked)[0]
        assert [hit["id"] for hit in hits] == [0, 1, 2, 3, 4]
        assert [hit["distance"] for hit in hits] == pytest.approx([1 - n / 16 for n in range(5)])
        client.flush(name)


def test_minhash_finds_near_duplicates(client, name):
    random = np.random.default_rng(3)
    signatures = random.integers(0, 1 << 32, (ROWS, 16), dtype=np.uint32)
    # Each of the last ten has a twin that shares three quarters of its hashes.
    signatures[-10:] = signatures[:10]
    signatures[-10:, 12:] += 1
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("v", DataType.BINARY_VECTOR, dim=16 * 32)
    client.create_collection(name, schema=schema, consistency_level="Strong")
    client.insert(name, [{"id": i, "v": row.tobytes()} for i, row in enumerate(signatures)])
    client.flush(name)
    params = client.prepare_index_params()
    built = {"mh_lsh_band": 8, "mh_element_bit_width": 32}
    params.add_index("v", index_type="MINHASH_LSH", metric_type="MHJACCARD", params=built)
    client.create_index(name, params)
    client.load_collection(name)
    asked = {"metric_type": "MHJACCARD", "params": {"mh_search_with_jaccard": True, "refine_k": 20}}
    found = client.search(name, [row.tobytes() for row in signatures[:10]], limit=2, search_params=asked)
    for row, hits in enumerate(found):
        assert [hit["id"] for hit in hits] == [row, ROWS - 10 + row]
        assert [hit["distance"] for hit in hits] == pytest.approx([1.0, 0.75])


@pytest.fixture
def restart(start, tmp_path):
    """A server and its client, and new ones over the same data whenever it is called: the one before is killed."""
    running = []

    def restart():
        for client, server in running:
            client.close()
            server.kill()
        server = start(tmp_path)
        running[:] = [(MilvusClient(server.uri), server)]
        return running[0][0]

    yield restart
    for client, server in running:
        client.close()
        server.kill()


@local_files
def test_indexes_are_opened_and_not_built_again_after_a_restart(restart, tmp_path):
    client = restart()
    wanted = ["IVF_RABITQ", "HNSW_SQ", "DISKANN", "ANNOY", "AUTOINDEX", "SCANN"]
    for index in wanted:
        create(client, index, index, FLOATS[0])
    before = {index: recall(client, index, index, FLOATS[0]) for index in wanted}
    objects = tmp_path / "data" / "objects"
    files = {path: path.stat().st_mtime_ns for path in objects.rglob("*.vidx")}
    assert len(files) >= len(wanted)
    client = restart()
    for index in wanted:
        deadline = time.monotonic() + 20
        while str(client.get_load_state(index)["state"]) != "Loaded" and time.monotonic() < deadline:
            time.sleep(0.05)
        assert recall(client, index, index, FLOATS[0]) == before[index]
        assert client.describe_index(index, "v")["state"] == "Finished"
    assert {path: path.stat().st_mtime_ns for path in objects.rglob("*.vidx")} == files


def test_parameters_out_of_range_are_refused_in_milvus_words(client, name):
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("v", FLOATS[0], dim=DIM)
    client.create_collection(name, schema=schema)
    for index, params, text in [
        ("HNSW", {"M": 1}, "Out of range in json: param 'M' (1) should be in range [2, 2048]"),
        ("IVF_PQ", {"m": 7}, "The dimension of the vector (dim) should be a multiple of the number of subquantizers (m)"),
        ("HNSW_SQ", {"sq_type": "SQ5"}, "invalid scalar quantizer type"),
        ("ANNOY", {"n_trees": 0}, "Out of range in json: param 'n_trees' (0) should be in range [1, 1024]"),
    ]:
        given = client.prepare_index_params()
        given.add_index("v", index_type=index, metric_type="L2", params=params)
        with refused(text, 1100):
            client.create_index(name, given)
