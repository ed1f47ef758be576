#!/usr/bin/env python3
"""The figures of the storage engine, beside milvus-lite in the same run.

Durable single-row inserts; rows a second from 8 clients; upserts after every row was rewritten ten times
beside fresh inserts, with recall and disk before and after; search latency while rows are upserted; many
collections restarted after a clean stop and after kill -9.

    bench/storage.py                          builds the release server
    bench/storage.py --server BIN --rows 50000 --systems milvus-rs
    bench/storage.py --s3 127.0.0.1:9000      data and log of milvus-rs in that bucket server

Everything is on this one machine. Prints a JSON object, and a table in Markdown.
"""

import argparse
import importlib.util
import json
import multiprocessing
import os
import pathlib
import statistics
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "scripts"), str(ROOT / "bench")]

import devenv  # noqa: E402
import machine  # noqa: E402
from harness.server import Lite, Server  # noqa: E402

DIM = 128
BATCH = 500
K = 10
NAME = "bench"
SYSTEMS = ("milvus-rs", "lite-2")


def connect(uri):
    from pymilvus import MilvusClient

    return MilvusClient(uri=uri, timeout=120)


def vectors(rows, seed):
    """Clustered, as embeddings are."""
    import numpy as np

    random = np.random.default_rng(seed)
    centres = np.random.default_rng(1).standard_normal((200, DIM)).astype(np.float32)
    noise = random.standard_normal((rows, DIM)).astype(np.float32)
    return centres[random.integers(0, 200, rows)] + 0.5 * noise


def create(client, name=NAME):
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="AUTOINDEX", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=index, consistency_level="Strong")


def write(uri, kind, first, data, barrier=None):
    """Inserts or upserts rows `first`, `first + 1`, ... in batches; seconds it took."""
    client = connect(uri)
    if barrier:
        barrier.wait()
    began = time.monotonic()
    for at in range(0, len(data), BATCH):
        part = data[at : at + BATCH]
        rows = [{"id": first + at + i, "vector": row} for i, row in enumerate(part)]
        getattr(client, kind)(NAME, rows)
    client.close()
    return time.monotonic() - began


def write_side_by_side(uri, kind, data, clients=8):
    """Rows a second of several client processes, each with rows of its own."""
    share = -(-len(data) // clients)
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(clients + 1)
    parts = [(at, data[at : at + share]) for at in range(0, len(data), share)]
    workers = [
        context.Process(target=write, args=(uri, kind, at, part, barrier)) for at, part in parts
    ]
    for worker in workers:
        worker.start()
    barrier.wait()
    began = time.monotonic()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise SystemExit(f"a client that was to {kind} rows failed")
    return len(data) / (time.monotonic() - began)


def single_inserts(client, count=300):
    data, taken = vectors(count, 5), []
    for i, row in enumerate(data):
        began = time.monotonic()
        client.insert(NAME, [{"id": 10**9 + i, "vector": row}])
        taken.append(time.monotonic() - began)
    client.delete(NAME, ids=[10**9 + i for i in range(count)])
    return {"p50_ms": 1e3 * statistics.median(taken), "p99_ms": 1e3 * quantile(taken, 0.99)}


def quantile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def recall(client, data, queries):
    import numpy as np

    found = client.search(NAME, [query for query in queries], limit=K)
    hits = 0
    for query, ids in zip(queries, found):
        exact = np.argsort(((data - query) ** 2).sum(1))[:K]
        hits += len({hit["id"] for hit in ids} & set(exact.tolist()))
    return hits / (K * len(queries))


def latencies(client, queries, seconds):
    taken, end, i = [], time.monotonic() + seconds, 0
    while time.monotonic() < end:
        began = time.monotonic()
        client.search(NAME, [queries[i % len(queries)]], limit=K)
        taken.append(time.monotonic() - began)
        i += 1
    return {"p50_ms": 1e3 * statistics.median(taken), "p99_ms": 1e3 * quantile(taken, 0.99)}


def search_beside_upserts(uri, client, data, queries, seconds, rate=1000):
    """Search latency while `rate` rows a second are upserted, and the rate that was reached."""
    stop, written = threading.Event(), [0]

    def upsert():
        writer, at, began = connect(uri), 0, time.monotonic()
        while not stop.is_set():
            part = data[at : at + 100]
            writer.upsert(NAME, [{"id": at + i, "vector": row} for i, row in enumerate(part)])
            written[0] += len(part)
            at = (at + 100) % (len(data) - 100)
            time.sleep(max(0.0, began + written[0] / rate - time.monotonic()))
        writer.close()

    thread = threading.Thread(target=upsert)
    thread.start()
    taken = latencies(client, queries, seconds)
    stop.set()
    thread.join()
    return {**taken, "rows_per_s": written[0] / seconds}


def settle(client, timeout_s=900):
    """Flushes, and waits until indexes are built and nothing is compacted any more."""
    client.flush(NAME)
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        index = client.describe_index(NAME, "vector")
        if int(index.get("pending_index_rows", 0)) == 0:
            return
        time.sleep(0.5)
    raise SystemExit(f"the index was not built within {timeout_s} s")


def disk_bytes(folder):
    return sum(path.stat().st_size for path in pathlib.Path(folder).rglob("*") if path.is_file())


def least_disk(folder, seconds=180):
    """What the folder takes once files that nothing names any more have gone."""
    least, end = disk_bytes(folder), time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(5)
        least = min(least, disk_bytes(folder))
    return least


def restarts(make, folder, collections=100, rows=10_000, dim=32):
    """Seconds from exec until a search of the first and of every collection is answered."""
    import numpy as np

    server = make(folder / "many").start()
    client, random = connect(server.uri), np.random.default_rng(3)
    for i in range(collections):
        client.create_collection(f"c{i}", dimension=dim, metric_type="L2", consistency_level="Strong")
        data = random.standard_normal((rows, dim)).astype(np.float32)
        for at in range(0, rows, 5000):
            part = data[at : at + 5000]
            client.insert(f"c{i}", [{"id": at + j, "vector": row} for j, row in enumerate(part)])
        if i % 4:
            client.flush(f"c{i}")
    client.close()
    figures = {}
    for how in ("stop", "kill") * 3:
        getattr(server, how)()
        began = time.monotonic()
        server.start()
        client, times = connect(server.uri), []
        for i in range(collections):
            client.search(f"c{i}", [np.zeros(dim, np.float32)], limit=K)
            times.append(time.monotonic() - began)
        client.close()
        figures.setdefault(how, []).append((server.started_in, times[0], times[-1]))
    server.kill()
    medians = {how: [statistics.median(part) for part in zip(*runs)] for how, runs in figures.items()}
    return {
        how: dict(zip(("listening_s", "first_search_s", "every_collection_s"), values))
        for how, values in medians.items()
    }


def measure(make, folder, rows, seconds, rewrites, with_restarts):
    figures = {}
    server = make(folder / "data").start()
    client = connect(server.uri)
    create(client)
    data, queries = vectors(rows, 2), vectors(200, 3)
    figures["insert_rows_per_s"] = write_side_by_side(server.uri, "insert", data)
    settle(client)
    figures["single_insert"] = single_inserts(client)
    figures["recall_fresh"] = recall(client, data, queries)
    figures["disk_fresh"] = least_disk(folder / "data", seconds=30)
    figures["search_idle"] = latencies(client, queries, seconds)
    for turn in range(rewrites):
        data = vectors(rows, 100 + turn)
        figures["upsert_rows_per_s"] = write_side_by_side(server.uri, "upsert", data)
    settle(client)
    figures["upsert_to_insert"] = figures["upsert_rows_per_s"] / figures["insert_rows_per_s"]
    figures["recall_rewritten"] = recall(client, data, queries)
    figures["search_beside_upserts"] = search_beside_upserts(
        server.uri, client, data, queries, seconds
    )
    figures["disk_rewritten"] = least_disk(folder / "data")
    # Once what the rewrites left behind was compacted; before, most rows of a segment are dead.
    figures["recall_compacted"] = recall(client, data, queries)
    figures["disk_to_fresh"] = figures["disk_rewritten"] / figures["disk_fresh"]
    counted = client.query(NAME, filter="", output_fields=["count(*)"])[0]["count(*)"]
    figures["rows_at_the_end"] = counted
    client.close()
    server.kill()
    if with_restarts:
        figures["restart"] = restarts(make, folder)
    return figures


def table(report):
    names = list(report["figures"])
    lines = ["| | " + " | ".join(names) + " |", "| --- |" + " --- |" * len(names)]

    def rows(figures, prefix=""):
        for key, value in figures.items():
            if isinstance(value, dict):
                yield from rows(value, f"{prefix}{key}.")
            else:
                yield prefix + key, value

    columns = {name: dict(rows(report["figures"][name])) for name in names}
    for key in dict.fromkeys(key for column in columns.values() for key in column):
        cells = [f"{columns[name][key]:.4g}" if key in columns[name] else "-" for name in names]
        lines.append(f"| {key} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--server", help="the milvus binary; default: builds one")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=["milvus-rs"])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measured search")
    parser.add_argument("--rewrites", type=int, default=10)
    parser.add_argument("--no-restarts", action="store_true")
    parser.add_argument("--s3", metavar="HOST:PORT", help="where milvus-rs keeps data and log")
    args = parser.parse_args()
    if importlib.util.find_spec("pymilvus") is None or importlib.util.find_spec("numpy") is None:
        python = str(devenv.venv("pymilvus-2.6"))
        os.execv(python, [python, *sys.argv])
    binary = args.server or devenv.server_binary()
    if args.s3:
        os.environ["MILVUS_TEST_S3"] = args.s3
    unlimited = {"QUOTAANDLIMITS_FLUSHRATE_ENABLED": "false"}
    figures = {}
    for system in args.systems:
        with tempfile.TemporaryDirectory(prefix="milvus-bench-") as folder:

            def make(data):
                if system == "milvus-rs":
                    return Server(binary, data, env=unlimited)
                return Lite(devenv.venv(system), data)

            figures[system] = measure(
                make, pathlib.Path(folder), args.rows, args.seconds, args.rewrites,
                system == "milvus-rs" and not args.no_restarts,
            )
    report = {
        "machine": machine.cpu(), "commit": machine.commit(), "rows": args.rows, "dim": DIM,
        "clients": 8, "figures": figures,
    }
    print(json.dumps(report, indent=2))
    print(table(report))


if __name__ == "__main__":
    main()
