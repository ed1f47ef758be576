"""Random searches of every vector type and metric answer what a numpy model answers: growing, flushed,
changed afterwards, and after a restart.

SEARCH_MODEL_SEEDS gives more seeds than the one that every run tries.
"""

import os

import pytest
import search_model as model
from pymilvus import DataType, MilvusClient

SEEDS = int(os.environ.get("SEARCH_MODEL_SEEDS", "1"))
SEARCHES = int(os.environ.get("SEARCH_MODEL_SEARCHES", "160"))
ROUNDS = 4
# Small segments get their indexes too.
SETTINGS = {"MILVUS_CONF_INDEXCOORD_SEGMENT_MINSEGMENTNUMROWSTOENABLEINDEX": "1"}
# One flush, as they are limited to one in ten seconds.
FLUSHED = 1


@pytest.fixture(scope="module")
def process(start, tmp_path_factory):
    running = start(tmp_path_factory.mktemp("server"), env=SETTINGS)
    yield running
    running.kill()


def metric_of(field, number):
    metrics = model.METRICS[field][1]
    return metrics[number % len(metrics)]


def create(client, name, number):
    schema = client.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("n", DataType.INT32, nullable=True)
    schema.add_field("s", DataType.VARCHAR, max_length=8, nullable=True)
    schema.add_field("b", DataType.BOOL)
    schema.add_field("j", DataType.JSON)
    index = client.prepare_index_params()
    for field, data_type in model.TYPES.items():
        size = {"bits": {"dim": model.BITS}, "sparse": {}}.get(field, {"dim": model.DIM})
        schema.add_field(field, data_type, nullable=field in model.NULLABLE, **size)
        index.add_index(field, index_type=model.METRICS[field][0], metric_type=metric_of(field, number))
    client.create_collection(name, schema=schema, index_params=index, consistency_level="Strong", num_shards=1 + number % 2)


def one_search(client, name, rows, number):
    """One random search, compared with the model."""
    random = rows.random
    field = rows.choice(list(model.TYPES))
    metric = metric_of(field, number)
    text, accept = rows.choice(model.FILTERS)
    queries = [rows.vector(field) for _ in range(int(random.integers(1, 4)))]
    limit, offset = int(random.integers(1, 25)), int(rows.choice([0, 0, 3, 30]))
    options, bounds, by, size = {}, (None, None), None, 1
    kind = rows.choice(["plain", "range", "group"])
    if kind == "range":
        sign = 1 if model.larger_is_better(metric) else -1
        scale = 0.5 if not model.exact(metric) else 6.0
        radius = float(random.integers(-1, 3)) * scale + (1e-3 if not model.exact(metric) else 0)
        inner = radius + sign * scale * float(random.integers(1, 4))
        bounds = (radius, inner if random.random() < 0.5 else None)
        params = {"radius": bounds[0]} | ({} if bounds[1] is None else {"range_filter": bounds[1]})
        options = {"search_params": {"params": params}}
    if kind == "group" and field not in ("bits",) and model.exact(metric):
        by = rows.choice(list(model.GROUPS))
        size = int(random.integers(1, 4))
        options = {"group_by_field": by, "group_size": size, "strict_group_size": True}
        if by.startswith("j"):
            options["json_type"] = DataType.INT64
    found = client.search(
        name, [model.encoded(field, query) for query in queries], anns_field=field, filter=text,
        limit=limit, offset=offset, output_fields=["id", "n"], **options,
    )
    for query, reply in zip(queries, found, strict=True):
        wanted = model.hits(rows.live.values(), field, metric, query, accept, bounds)
        if by is None:
            wanted = wanted[offset : offset + limit]
        else:
            groups = model.groups(wanted, model.GROUPS[by])[offset : offset + limit]
            wanted = [hit for group in groups for hit in group[:size]]
        wrong = model.differs(field, metric, [(hit["id"], hit["distance"]) for hit in reply], wanted)
        asked = f"{field} {metric} {text!r} limit={limit} offset={offset} {options} {query}"
        assert wrong is None, f"{asked}: {wrong}"
        for hit in reply:
            assert hit["entity"]["n"] == rows.live[hit["id"]]["n"], asked


def change(client, name, rows, step):
    """Rows come, are replaced and go; one step ends with a flush."""
    first = step * 400
    client.insert(name, rows.add(range(first, first + 400)))
    known = sorted(rows.live)
    replaced = [int(key) for key in rows.random.choice(known, 40, replace=False)]
    client.upsert(name, rows.add(replaced))
    gone = [int(key) for key in rows.random.choice(known, 40, replace=False)]
    client.delete(name, ids=gone)
    rows.remove(gone)
    if step == FLUSHED:
        client.flush(name)


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("number", range(4))
def test_searches_answer_what_the_model_answers(process, start, seed, number):
    client = MilvusClient(uri=process.uri)
    name, rows = f"model_{seed}_{number}", model.Rows(seed * 4 + number)
    create(client, name, number)
    for step in range(ROUNDS):
        change(client, name, rows, step)
        for _ in range(SEARCHES // ROUNDS):
            one_search(client, name, rows, number)
    client.close()


@pytest.mark.parametrize("number", range(2))
def test_searches_after_a_restart(start, tmp_path, number):
    running, rows = start(tmp_path, env=SETTINGS), model.Rows(1000 + number)
    client = MilvusClient(uri=running.uri)
    create(client, "model", number)
    for step in range(2):
        change(client, "model", rows, step)
    client.close()
    running.kill()
    running = start(tmp_path, env=SETTINGS)
    client = MilvusClient(uri=running.uri)
    client.load_collection("model")
    for _ in range(SEARCHES):
        one_search(client, "model", rows, number)
    client.close()
    running.kill()
