#!/usr/bin/env python3
"""Filters over a million rows, one thread each: ours beside pyarrow.compute and DuckDB on the same rows.

Writes the rows as one Arrow IPC file, has `cargo bench -p milvus-expr --bench filter` read it, and runs
the same conditions in this process over the same columns in memory. Figures are medians of repeated
runs after one that is not counted; every system must find equally many rows.

    bench/filter.py                      needs pyarrow and numpy; duckdb if it is there
    bench/filter.py --rows 1000000 --repeats 31

Prints a table in Markdown: milliseconds, rows a second of ours, and how often ours fits into each other.
"""

import argparse
import os
import pathlib
import platform
import statistics
import subprocess
import tempfile
import time

os.environ["OMP_NUM_THREADS"] = "1"

import numpy  # noqa: E402
import pyarrow  # noqa: E402
import pyarrow.compute as pc  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
HUNDRED = [n * 9973 % 1_000_000 for n in range(100)]
NAMES = [f"user-{n % 10_000:06}" for n in HUNDRED]


def make_rows(rows: int) -> pyarrow.RecordBatch:
    rng = numpy.random.default_rng(7)
    i32 = pyarrow.array(rng.integers(0, 1000, rows, dtype=numpy.int32), mask=rng.random(rows) < 0.05)
    users = rng.integers(0, 10_000, rows)
    name = pyarrow.array([f"user-{user:06}" for user in users], mask=rng.random(rows) < 0.02)
    colours = numpy.array(["red", "green", "blue", "yellow"])[rng.integers(0, 4, rows)]
    prices = rng.integers(0, 1000, rows)
    json = [
        f'{{"id": {row}, "colour": "{colour}", "size": {{"w": {row % 97}, "h": 3.5}}, '
        f'"price": {price}, "stock": [1, 2, 3]}}'
        for row, (colour, price) in enumerate(zip(colours, prices, strict=True))
    ]
    lengths = rng.integers(0, 6, rows)
    offsets = numpy.concatenate([[0], numpy.cumsum(lengths)]).astype(numpy.int32)
    values = pyarrow.array(rng.integers(0, 50, int(offsets[-1]), dtype=numpy.int32))
    tags = pyarrow.ListArray.from_arrays(pyarrow.array(offsets), values)
    columns = {
        "i64": pyarrow.array(rng.permutation(rows).astype(numpy.int64)),
        "i32": i32,
        "f64": pyarrow.array(rng.random(rows)),
        "name": name,
        "json": pyarrow.array(json),
        "tags": tags,
    }
    return pyarrow.RecordBatch.from_pydict(columns)


def list_contains(tags: pyarrow.ListArray, value: int):
    """The rows whose list has `value`: the hits' rows, counted once each."""
    hits = pc.equal(tags.flatten(), value)
    rows = pc.unique(pc.list_parent_indices(tags).filter(hits))
    found = numpy.zeros(len(tags), dtype=bool)
    found[rows.to_numpy()] = True
    return pyarrow.array(found)


# Name of the filter, pyarrow's condition, DuckDB's. The names are those of benches/filter.rs.
CASES = {
    "int compare": (lambda b: pc.less(b["i64"], 500_000), "i64 < 500000"),
    "int32 equality": (
        lambda b: pc.equal(b["i32"], pyarrow.scalar(77, pyarrow.int32())),
        "i32 = 77",
    ),
    "int range and": (
        lambda b: pc.and_kleene(
            pc.and_kleene(pc.greater(b["i64"], 250_000), pc.less(b["i64"], 750_000)),
            pc.less(b["i32"], pyarrow.scalar(500, pyarrow.int32())),
        ),
        "i64 > 250000 and i64 < 750000 and i32 < 500",
    ),
    "float range": (
        lambda b: pc.and_kleene(pc.greater(b["f64"], 0.25), pc.less(b["f64"], 0.75)),
        "f64 > 0.25 and f64 < 0.75",
    ),
    "varchar equality": (lambda b: pc.equal(b["name"], "user-000777"), "name = 'user-000777'"),
    "varchar prefix": (
        lambda b: pc.starts_with(b["name"], "user-0007"),
        "name like 'user-0007%'",
    ),
    "varchar contains": (lambda b: pc.match_substring(b["name"], "777"), "name like '%777%'"),
    "in of 100": (
        lambda b: pc.is_in(b["i64"], pyarrow.array(HUNDRED)),
        f"i64 in ({', '.join(map(str, HUNDRED))})",
    ),
    "varchar in of 100": (
        lambda b: pc.is_in(b["name"], pyarrow.array(NAMES)),
        f"name in ({', '.join(map(repr, NAMES))})",
    ),
    "json compare": (None, "cast(json->'$.price' as double) < 250"),
    "json text equality": (None, "json->>'$.colour' = 'red'"),
    "array contains": (lambda b: list_contains(b["tags"], 7), "list_contains(tags, 7)"),
    "nulls and or": (
        lambda b: pc.or_kleene(
            pc.or_kleene(
                pc.less(b["i32"], pyarrow.scalar(100, pyarrow.int32())), pc.greater(b["f64"], 0.9)
            ),
            pc.is_null(b["name"]),
        ),
        "i32 < 100 or f64 > 0.9 or name is null",
    ),
}


def timed(run, repeats: int):
    """What `run` counts, and the median of its times in nanoseconds."""
    count = run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter_ns()
        run()
        times.append(time.perf_counter_ns() - start)
    return count, statistics.median(times)


def run_ours(path: pathlib.Path, repeats: int) -> dict:
    command = ["cargo", "bench", "-q", "-p", "milvus-expr", "--bench", "filter", "--"]
    output = subprocess.run(
        [*command, str(path), str(repeats)], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    figures = {}
    for line in output.splitlines():
        name, rows, nanoseconds = line.split("\t")
        figures[name] = (int(rows), float(nanoseconds))
    return figures


def run_pyarrow(batch: pyarrow.RecordBatch, repeats: int) -> dict:
    pyarrow.set_cpu_count(1)
    figures = {}
    for name, (condition, _) in CASES.items():
        if condition is not None:
            count, nanoseconds = timed(lambda: condition(batch), repeats)
            figures[name] = (pc.sum(count).as_py() or 0, nanoseconds)
    return figures


def run_duckdb(batch: pyarrow.RecordBatch, repeats: int) -> dict:
    try:
        import duckdb
    except ImportError:
        return {}
    database = duckdb.connect(config={"threads": 1})
    rows = pyarrow.Table.from_batches([batch])  # noqa: F841, read by its name
    database.execute("create table t as select * from rows")
    figures = {}
    for name, (_, condition) in CASES.items():
        query = f"select count(*) from t where {condition}"
        figures[name] = timed(lambda: database.execute(query).fetchone()[0], repeats)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=31)
    args = parser.parse_args()
    batch = make_rows(args.rows)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "rows.arrow"
        with pyarrow.OSFile(str(path), "wb") as sink, pyarrow.ipc.new_file(sink, batch.schema) as out:
            out.write_batch(batch)
        systems = {
            "ours": run_ours(path, args.repeats),
            "pyarrow": run_pyarrow(batch, args.repeats),
            "duckdb": run_duckdb(batch, args.repeats),
        }
    print(f"{args.rows} rows, median of {args.repeats}, one thread, {platform.processor() or platform.machine()}\n")
    print("| filter | rows | ours ms | M rows/s | pyarrow ms | x | duckdb ms | x |")
    print("|---|---|---|---|---|---|---|---|")
    for name in CASES:
        rows, ours = systems["ours"][name]
        cells = [name, str(rows), f"{ours / 1e6:.3f}", f"{args.rows / ours * 1e3:.0f}"]
        for other in ("pyarrow", "duckdb"):
            if name not in systems[other]:
                cells += ["", ""]
                continue
            found, nanoseconds = systems[other][name]
            assert found == rows, f"{name}: {other} finds {found} rows, ours {rows}"
            cells += [f"{nanoseconds / 1e6:.3f}", f"{nanoseconds / ours:.1f}"]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
