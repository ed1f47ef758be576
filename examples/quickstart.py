#!/usr/bin/env python3
"""Search 12,000 sentences by meaning with pymilvus: the whole round, from create to drop.

`scripts/quickstart` runs this after building the server. Against a server that runs already:

    python examples/quickstart.py --uri http://127.0.0.1:19530      (needs pymilvus, numpy, tqdm)
"""

import argparse
import contextlib
import gzip
import json
import pathlib
import sys
import tempfile
import time

import numpy as np
from pymilvus import DataType, MilvusClient
from tqdm import tqdm

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = ROOT / "examples" / "data"
COLLECTION = "sentences"
DIM = 384
K = 10


def load_data():
    """Rows as dictionaries, with their vectors; query texts and query vectors."""
    vectors = np.load(DATA / "vectors_f16.npy").astype(np.float32)
    with gzip.open(DATA / "rows.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    queries = np.load(DATA / "queries_f16.npy").astype(np.float32)
    return rows, vectors, json.loads((DATA / "queries.json").read_text()), queries


def create_collection(client):
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("text", DataType.VARCHAR, max_length=16384)
    schema.add_field("name", DataType.VARCHAR, max_length=256)
    schema.add_field("source", DataType.VARCHAR, max_length=32)
    schema.add_field("section", DataType.VARCHAR, max_length=64)
    schema.add_field("installed_size", DataType.INT64)
    schema.add_field("u", DataType.INT64)
    schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=DIM)
    client.drop_collection(COLLECTION)
    client.create_collection(COLLECTION, schema=schema)


def insert(client, rows, vectors, batch=1000):
    began = time.perf_counter()
    with tqdm(total=len(rows), desc="insert", unit=" rows") as bar:
        for start in range(0, len(rows), batch):
            part = [
                {"installed_size": 0, **row, "embedding": vector}
                for row, vector in zip(rows[start : start + batch], vectors[start : start + batch])
            ]
            bar.update(client.insert(COLLECTION, part)["insert_count"])
    return len(rows) / (time.perf_counter() - began)


def build_index(client, rows, timeout_s=600):
    """Asks for an HNSW index and watches the server build it in the background."""
    client.flush(COLLECTION)
    index = client.prepare_index_params()
    index.add_index(
        "embedding",
        index_type="HNSW",
        metric_type="COSINE",
        params={"M": 16, "efConstruction": 200},
    )
    client.create_index(COLLECTION, index, sync=False)
    deadline = time.monotonic() + timeout_s
    with tqdm(total=len(rows), desc="build ", unit=" rows") as bar:
        while time.monotonic() < deadline:
            state = client.describe_index(COLLECTION, "embedding")
            bar.update(int(state.get("indexed_rows", 0)) - bar.n)
            if state.get("state") == "Failed":
                sys.exit(f"the index build failed: {state.get('index_state_fail_reason')}")
            done = state.get("state") in ("Finished", None)
            if done and not int(state.get("pending_index_rows") or 0):
                return
            time.sleep(0.1)
    sys.exit(f"the index was not built within {timeout_s} s")


def search(client, queries, filter=""):
    """The K nearest rows of every query; `ef` trades speed for recall."""
    return client.search(
        COLLECTION,
        data=[query.tolist() for query in queries],
        anns_field="embedding",
        limit=K,
        filter=filter,
        search_params={"metric_type": "COSINE", "params": {"ef": 100}},
        output_fields=["text", "source", "section"],
    )


def exact_ids(rows, vectors, queries, keep):
    """The true answer: every row that passes `keep`, scored by numpy."""
    chosen = np.array([i for i, row in enumerate(rows) if keep(row)])
    ids = np.array([row["id"] for row in rows])[chosen]
    unit = vectors[chosen] / np.linalg.norm(vectors[chosen], axis=1, keepdims=True)
    return [set(ids[np.argsort(-(unit @ query))[:K]].tolist()) for query in queries]


def recall(results, truth):
    found = [len({hit["id"] for hit in hits} & want) / len(want) for hits, want in zip(results, truth)]
    return float(np.mean(found))


def show(results, texts, which, lines=3):
    for number in which:
        print(f"\n  {shorten(texts[number])}")
        for hit in results[number][:lines]:
            entity = hit["entity"]
            place = f"{entity['source']}/{entity['section']}"
            print(f"    {hit['distance']:.3f}  {place:<22} {shorten(entity['text'], 76)}")


def shorten(text, width=96):
    return text if len(text) <= width else text[: width - 1] + "…"


def run(uri):
    client = MilvusClient(uri=uri)
    print(f"server {client.get_server_version()} at {uri}")
    rows, vectors, texts, queries = load_data()

    create_collection(client)
    rate = insert(client, rows, vectors)
    build_index(client, rows)
    client.load_collection(COLLECTION)
    count = client.query(COLLECTION, filter="", output_fields=["count(*)"])[0]["count(*)"]
    print(f"{count} rows, {rate:,.0f} rows/s inserted, index HNSW, loaded")

    print("\nsearch by meaning, all rows")
    began = time.perf_counter()
    found = search(client, queries)
    took_ms = 1000 * (time.perf_counter() - began) / len(queries)
    show(found, texts, range(3, 6))
    plain = recall(found, exact_ids(rows, vectors, queries, lambda row: True))

    expression = 'source == "debian" and section in ["ruby", "python", "javascript"]'
    print(f"\nsearch by meaning where {expression}")
    sections = ("ruby", "python", "javascript")
    found = search(client, queries, filter=expression)
    show(found, texts, range(3, 5))
    filtered = recall(
        found,
        exact_ids(
            rows,
            vectors,
            queries,
            lambda row: row["source"] == "debian" and row["section"] in sections,
        ),
    )
    print(f"\nrecall@{K} against the exact answer, {len(queries)} queries:")
    print(f"  without filter {plain:.3f}   with filter {filtered:.3f}   {took_ms:.2f} ms a query")

    client.drop_collection(COLLECTION)
    client.close()
    return count == len(rows) and min(plain, filtered) >= 0.9


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--uri", help="a server that runs already")
    where.add_argument("--server", type=pathlib.Path, help="the milvus binary to start and stop")
    args = parser.parse_args()

    with contextlib.ExitStack() as stack:
        uri = args.uri
        if args.server:
            sys.path.insert(0, str(ROOT / "tests"))
            from harness.server import Server

            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="milvus-quickstart-"))
            server = stack.enter_context(Server(args.server, pathlib.Path(folder) / "data"))
            print(f"started in {1000 * server.started_in:.0f} ms, data in {server.data_dir}")
            uri = server.uri
        good = run(uri)
        if args.server:
            status = server.stop()
            print(f"server stopped with status {status}")
            good = good and status == 0
    sys.exit(0 if good else "the results are not what they should be")


if __name__ == "__main__":
    main()
