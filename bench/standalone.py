#!/usr/bin/env python3
"""The figures of one server on real embeddings, each beside milvus-lite in the same run.

Rows a second in batches of 1,000, index time, resident memory, search QPS at recall@10 >= 0.95 with 1
and 8 client processes, latency, the server's own CPU time for a query, Strong beside Eventually,
durable single-row inserts, and restart until the first answer.

    bench/standalone.py --data FOLDER                    builds the release server
    bench/standalone.py --data FOLDER --server BIN --systems milvus-rs lite-2 --rows 20000

FOLDER holds base_f16.npy, query_f16.npy and scalars.parquet; without --data the 12,000 rows of
examples/data are used. Virtual environments are made on the first run. Everything is on this one
machine, so QPS includes the clients' own cost; `server us/query` does not.
Prints a JSON object, and a table in Markdown.
"""

import argparse
import gzip
import importlib.util
import json
import multiprocessing
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "scripts")]

import devenv  # noqa: E402
from harness.server import Lite, Server  # noqa: E402

SYSTEMS = ("milvus-rs", "lite-2", "lite-3")
COLLECTION = "bench"
K = 10
TARGET_RECALL = 0.95
EF_GRID = (10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
NPROBE_GRID = (1, 2, 4, 8, 16, 32, 64, 128)


# ---------------------------------------------------------------- data


def load_data(folder, rows):
    """(vectors, rows without vectors, queries, exact ids) of the first `rows` rows."""
    import numpy as np

    if folder is None:
        data = ROOT / "examples" / "data"
        base, queries = np.load(data / "vectors_f16.npy"), np.load(data / "queries_f16.npy")
        with gzip.open(data / "rows.jsonl.gz", "rt", encoding="utf-8") as lines:
            scalars = [json.loads(line) for line in lines]
    else:
        import pyarrow.parquet as parquet

        base, queries = np.load(folder / "base_f16.npy"), np.load(folder / "query_f16.npy")
        columns = ["section", "u", "text"]
        table = parquet.read_table(folder / "scalars.parquet", columns=columns)
        scalars = table.slice(0, rows).to_pylist()
    base = unit(base[:rows].astype(np.float32))
    queries = unit(queries.astype(np.float32))
    fields = [
        {"id": i, "section": row["section"] or "", "u": row["u"], "text": row["text"][:4000]}
        for i, row in enumerate(scalars[: len(base)])
    ]
    exact = np.vstack([np.argsort(-(part @ base.T), axis=1)[:, :K] for part in batches(queries, 50)])
    return base, fields, queries, exact


def unit(vectors):
    import numpy as np

    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def batches(items, size):
    return (items[start : start + size] for start in range(0, len(items), size))


# ---------------------------------------------------------------- the process


def descendants(pid):
    """The process and everything below it."""
    found = [pid]
    for one in found:
        for task in pathlib.Path(f"/proc/{one}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found


def memory_mb(pid):
    """(resident, anonymous resident) of a server in MB."""
    total, anonymous = 0, 0
    for one in descendants(pid):
        for line in pathlib.Path(f"/proc/{one}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1])
            elif line.startswith("RssAnon:"):
                anonymous += int(line.split()[1])
    return round(total / 1024), round(anonymous / 1024)


def cpu_seconds(pid):
    ticks = 0
    for one in descendants(pid):
        fields = pathlib.Path(f"/proc/{one}/stat").read_text().rsplit(") ", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


# ---------------------------------------------------------------- the client


def connect(uri):
    from pymilvus import MilvusClient

    return MilvusClient(uri=uri)


def create(client, dim):
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("section", DataType.VARCHAR, max_length=64)
    schema.add_field("u", DataType.INT64)
    schema.add_field("text", DataType.VARCHAR, max_length=16384)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
    client.create_collection(COLLECTION, schema=schema)


def insert_all(client, base, fields):
    """Rows a second, counting only the client's calls."""
    spent = 0.0
    for start in range(0, len(base), 1000):
        vectors = base[start : start + 1000]
        part = [{**row, "vector": v} for row, v in zip(fields[start : start + 1000], vectors)]
        began = time.perf_counter()
        client.insert(COLLECTION, part)
        spent += time.perf_counter() - began
    return len(base) / spent


def build_index(client):
    """(kind of index, seconds): HNSW where the system has it, else IVF_FLAT."""
    try:
        client.flush(COLLECTION)
    except Exception as error:  # milvus-lite 2 has no flush
        note(f"flush: {error}")
    kinds = {"HNSW": {"M": 16, "efConstruction": 200}, "IVF_FLAT": {"nlist": 512}}
    for kind, params in kinds.items():
        index = client.prepare_index_params()
        index.add_index("vector", index_type=kind, metric_type="COSINE", params=params)
        began = time.perf_counter()
        try:
            client.create_index(COLLECTION, index)
            client.load_collection(COLLECTION)
        except Exception as error:
            note(f"{kind}: {error}")
            continue
        wait_for_index(client)
        return kind, time.perf_counter() - began
    raise RuntimeError("no index could be built")


def wait_for_index(client, timeout_s=1800):
    """A server that indexes in the background says how much is left."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            left = int(client.describe_index(COLLECTION, "vector").get("pending_index_rows") or 0)
        except Exception:
            return  # does not say
        if not left:
            return
        time.sleep(0.2)
    raise RuntimeError(f"the index was not built within {timeout_s} s")


def search_once(client, query, kind, setting, **options):
    params = {"ef" if kind == "HNSW" else "nprobe": setting}
    found = client.search(
        COLLECTION,
        [query],
        anns_field="vector",
        limit=K,
        search_params={"metric_type": "COSINE", "params": params},
        **options,
    )
    return [hit["id"] for hit in found[0]]


def find_setting(client, kind, queries, exact):
    """The smallest setting that reaches the recall, and the recall it reaches."""
    reached = 0.0
    for setting in EF_GRID if kind == "HNSW" else NPROBE_GRID:
        hits = 0
        for query, want in zip(queries[:200].tolist(), exact[:200]):
            hits += len(set(search_once(client, query, kind, setting)) & set(want.tolist()))
        reached = hits / (K * min(200, len(queries)))
        if reached >= TARGET_RECALL:
            break
    return setting, reached


def search_worker(uri, queries, kind, setting, barrier, seconds, results):
    client = connect(uri)
    for query in queries[:20]:
        search_once(client, query, kind, setting)
    barrier.wait(120)
    latencies, number = [], 0
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        start = time.perf_counter()
        search_once(client, queries[number % len(queries)], kind, setting)
        latencies.append(time.perf_counter() - start)
        number += 1
    results.put(latencies)
    client.close()


def throughput(server, queries, kind, setting, clients, seconds):
    """QPS, p50 and p99 in ms, and the server's CPU microseconds for a query."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(clients + 1), context.Queue()
    workers = [
        context.Process(
            target=search_worker,
            args=(server.uri, queries[i::clients].tolist(), kind, setting, barrier, seconds, results),
        )
        for i in range(clients)
    ]
    for worker in workers:
        worker.start()
    barrier.wait(120)
    cpu = cpu_seconds(server.pid)
    latencies = [one for _ in workers for one in results.get(timeout=seconds + 120)]
    cpu = cpu_seconds(server.pid) - cpu
    for worker in workers:
        worker.join(30)
    return {
        "qps": round(len(latencies) / seconds),
        "p50_ms": round(1000 * statistics.median(latencies), 2),
        "p99_ms": round(1000 * statistics.quantiles(latencies, n=100)[98], 2),
        "server_us_per_query": round(1e6 * cpu / len(latencies)),
    }


def consistency(client, queries, kind, setting, rounds=300):
    """p50 in ms of Strong and Eventually searches, taken in turns."""
    taken = {"Strong": [], "Eventually": []}
    for number in range(rounds):
        query = queries[number % len(queries)].tolist()
        for level, times in taken.items():
            start = time.perf_counter()
            search_once(client, query, kind, setting, consistency_level=level)
            times.append(time.perf_counter() - start)
    return {level: round(1000 * statistics.median(times), 2) for level, times in taken.items()}


def single_inserts(client, base, fields, count=300):
    """p50 and p99 in ms of inserts of one row; each is durable when it returns, if the server says so."""
    taken = []
    for number in range(count):
        row = {**fields[number], "id": 10_000_000 + number, "vector": base[number]}
        start = time.perf_counter()
        client.insert(COLLECTION, [row])
        taken.append(time.perf_counter() - start)
    return round(1000 * statistics.median(taken), 2), round(1000 * max(sorted(taken)[:-3]), 2)


def restart(server, query, kind, setting, timeout_s=600):
    """Seconds from starting the process to the first answer of a search."""
    server.stop(timeout_s=120)
    began = time.perf_counter()
    server.start(timeout_s=timeout_s)
    client, error = connect(server.uri), None
    while time.perf_counter() - began < timeout_s:
        try:
            if len(search_once(client, query, kind, setting)) == K:
                return time.perf_counter() - began
        except Exception as caught:
            error = caught
            if "load" in str(caught).lower():
                client.load_collection(COLLECTION)
        time.sleep(0.005)
    raise RuntimeError(f"no answer within {timeout_s} s of the restart: {error}")


# ---------------------------------------------------------------- one system


def make_server(system, binary, folder):
    if system == "milvus-rs":
        return Server(binary, folder / "data")
    return Lite(devenv.venv(system), folder / "data")


def measure(system, binary, data, seconds):
    base, fields, queries, exact = data
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"milvus-bench-{system}-"))
    server = make_server(system, binary, folder)
    try:
        server.start()
        figures = {"start_s": round(server.started_in, 3), "idle_rss_mb": memory_mb(server.pid)[0]}
        client = connect(server.uri)
        create(client, base.shape[1])
        figures["insert_rows_per_s"] = round(insert_all(client, base, fields))
        figures["rss_after_insert_mb"] = memory_mb(server.pid)[0]
        kind, took = build_index(client)
        figures |= {"index": kind, "index_s": round(took, 1)}
        setting, recall = find_setting(client, kind, queries, exact)
        figures |= {"setting": setting, "recall_at_10": round(recall, 4)}
        for clients in (1, 8):
            result = throughput(server, queries, kind, setting, clients, seconds)
            figures |= {f"{key}_{clients}": value for key, value in result.items()}
        figures["rss_mb"], figures["rss_anon_mb"] = memory_mb(server.pid)
        try:
            levels = consistency(client, queries, kind, setting)
            figures |= {f"{level.lower()}_p50_ms": value for level, value in levels.items()}
        except Exception as error:
            note(f"consistency: {error}")
        p50, p99 = single_inserts(client, base, fields)
        figures |= {"single_insert_p50_ms": p50, "single_insert_p99_ms": p99}
        client.close()
        took = restart(server, queries[0].tolist(), kind, setting)
        figures["restart_to_first_search_s"] = round(took, 3)
        return figures
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


# ---------------------------------------------------------------- the report

ROWS = [
    ("start_s", "start, s", "less"),
    ("idle_rss_mb", "idle memory, MB", "less"),
    ("insert_rows_per_s", "insert, rows/s", "more"),
    ("rss_after_insert_mb", "memory after insert, MB", "less"),
    ("index", "index", ""),
    ("index_s", "index and load, s", "less"),
    ("rss_mb", "memory while searching, MB", "less"),
    ("rss_anon_mb", "  of which not from files, MB", "less"),
    ("setting", "ef (or nprobe)", ""),
    ("recall_at_10", "recall@10", ""),
    ("qps_1", "QPS, 1 client", "more"),
    ("p50_ms_1", "  p50, ms", "less"),
    ("p99_ms_1", "  p99, ms", "less"),
    ("qps_8", "QPS, 8 clients", "more"),
    ("p50_ms_8", "  p50, ms", "less"),
    ("p99_ms_8", "  p99, ms", "less"),
    ("server_us_per_query_1", "server CPU us/query, 1 client", "less"),
    ("server_us_per_query_8", "server CPU us/query, 8 clients", "less"),
    ("strong_p50_ms", "Strong search p50, ms", "less"),
    ("eventually_p50_ms", "Eventually search p50, ms", "less"),
    ("single_insert_p50_ms", "single-row insert p50, ms", "less"),
    ("single_insert_p99_ms", "single-row insert p99, ms", "less"),
    ("restart_to_first_search_s", "restart to first search, s", "less"),
]


def table(report):
    systems = list(report["systems"])
    lines = [f"| figure | {' | '.join(systems)} |", "| --- |" + " ---: |" * len(systems)]
    for key, title, better in ROWS:
        values = [report["systems"][system].get(key) for system in systems]
        if all(value is None for value in values):
            continue
        cells = ["-" if value is None else f"{value:,}" if key != "index" else value for value in values]
        numbers = [value for value in values if isinstance(value, (int, float))]
        if better and numbers:
            best = max(numbers) if better == "more" else min(numbers)
            cells = [f"**{c}**" if v == best else c for c, v in zip(cells, values)]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def commit():
    shown = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
    )
    return shown.stdout.strip() or "unknown"


def cpu_model():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def note(text):
    print(f"  {str(text)[:200]}", file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=pathlib.Path, help="folder; default examples/data")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--server", type=pathlib.Path, help="the milvus binary; default: built")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=SYSTEMS)
    parser.add_argument("--seconds", type=float, default=5, help="of each throughput figure")
    parser.add_argument("--json", type=pathlib.Path, help="write the JSON here too")
    args = parser.parse_args()

    binary = args.server
    if "milvus-rs" in args.systems and binary is None:
        binary = devenv.server_binary("release")
    data = load_data(args.data, args.rows)
    report = {
        "commit": commit(),
        "machine": f"{cpu_model()}, {os.cpu_count()} CPUs",
        "rows": len(data[0]),
        "dim": int(data[0].shape[1]),
        "systems": {},
    }
    failed = False
    for system in args.systems:
        note(f"{system} ...")
        try:
            report["systems"][system] = measure(system, binary, data, args.seconds)
        except (Exception, SystemExit) as error:
            failed = failed or system == "milvus-rs"
            note(f"{system} failed: {error}")
            report["systems"][system] = {"error": str(error)[:500]}
    text = json.dumps(report, indent=1)
    if args.json:
        args.json.write_text(text + "\n")
    print(text)
    print(f"\n{report['rows']:,} rows of {report['dim']} dimensions, {report['machine']}, "
          f"commit {report['commit']}\n")
    print(table(report))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    wanted = ("pymilvus", "numpy", "pyarrow")
    if not all(importlib.util.find_spec(name) for name in wanted):
        python = devenv.venv("bench")
        os.execv(python, [str(python), *sys.argv])
    main()
