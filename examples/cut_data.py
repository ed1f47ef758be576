#!/usr/bin/env python3
"""Cuts examples/data out of a folder of sentence embeddings (base_f16.npy, query_f16.npy, ...).

The cut keeps the 100 nearest rows of every chosen query, so that answers mean something, and fills
up with a random sample of the rest. Same input and seed, same output.

    python examples/cut_data.py SOURCE_FOLDER      (needs numpy and pyarrow)
"""
import argparse
import gzip
import json
import pathlib

import numpy as np
import pyarrow.parquet as parquet

OUT = pathlib.Path(__file__).resolve().parent / "data"


def choose_queries(texts, scores, is_package, rng, count):
    """Queries whose best answer is close but not the same sentence; three in ten ask for packages."""
    top = np.argsort(-scores, axis=1)[:, :10]
    about_packages = is_package[top].mean(axis=1) > 0.5
    best = scores.max(axis=1)
    short = np.array([len(text) <= 120 for text in texts])
    medium = np.array([len(text) <= 320 for text in texts])
    close = (best >= 0.55) & (best <= 0.93)
    packages = rng.choice(
        np.flatnonzero(close & medium & about_packages), size=count * 3 // 10, replace=False
    )
    words = rng.choice(
        np.flatnonzero(close & short & ~about_packages), size=count - len(packages), replace=False
    )
    return rng.permutation(np.concatenate([packages, words]))


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("source", type=pathlib.Path)
    args.add_argument("--rows", type=int, default=12_000)
    args.add_argument("--queries", type=int, default=80)
    args.add_argument("--seed", type=int, default=7)
    args = args.parse_args()
    rng = np.random.default_rng(args.seed)

    base_f16 = np.load(args.source / "base_f16.npy")
    query_f16 = np.load(args.source / "query_f16.npy")
    base, queries = base_f16.astype(np.float32), query_f16.astype(np.float32)
    texts = json.loads((args.source / "query_texts.json").read_text())
    scalars = parquet.read_table(args.source / "scalars.parquet").to_pylist()

    is_package = np.array([row["source"] == "debian" for row in scalars])
    scores = queries @ base.T
    chosen = choose_queries(texts, scores, is_package, rng, args.queries)
    near = np.unique(np.argsort(-scores[chosen], axis=1)[:, :100])
    rest = np.setdiff1d(np.arange(len(base)), near)
    fill = rng.choice(rest, size=max(0, args.rows - len(near)), replace=False)
    keep = np.sort(np.concatenate([near, fill]))[: args.rows]

    OUT.mkdir(exist_ok=True)
    np.save(OUT / "vectors_f16.npy", base_f16[keep])
    np.save(OUT / "queries_f16.npy", query_f16[chosen])
    (OUT / "queries.json").write_text(
        json.dumps([texts[i] for i in chosen], indent=0, ensure_ascii=False) + "\n"
    )
    # mtime=0: the same rows give the same bytes.
    with gzip.GzipFile(OUT / "rows.jsonl.gz", "wb", compresslevel=9, mtime=0) as out:
        for i in keep:
            row = {k: v for k, v in scalars[i].items() if v is not None and k != "priority"}
            if "installed_size" in row:
                row["installed_size"] = int(row["installed_size"])
            out.write((json.dumps(row, ensure_ascii=False) + "\n").encode())
    total = sum(f.stat().st_size for f in OUT.iterdir())
    print(f"{len(keep)} rows, {len(chosen)} queries, {total / 1e6:.1f} MB in {OUT}")


if __name__ == "__main__":
    main()
