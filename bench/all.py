#!/usr/bin/env python3
"""Every bench of the vector indexes, and the table that docs/benchmarks.md shows.

    bench/all.py --data FOLDER --out RESULTS             an hour or so; RESULTS gets a JSON file of each bench
    bench/all.py --out RESULTS --show                    prints the tables of an earlier run again

Options behind `--` go to bench/lib.py, such as `-- --repeats 3 --groups hnsw,best`.
"""

import argparse
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "bench")]

import report  # noqa: E402
import targets  # noqa: E402
from modes import MODES  # noqa: E402


def measure(options, further):
    runs = {"lib": ["lib.py", *further]} | {mode: ["modes.py", mode] for mode in MODES}
    for name, (script, *arguments) in runs.items():
        print(f"{name} ...", file=sys.stderr, flush=True)
        command = [sys.executable, ROOT / "bench" / script, *arguments]
        command += ["--data", options.data, "--json", options.out / f"{name}.json"]
        done = subprocess.run([str(part) for part in command], stdout=subprocess.DEVNULL)
        if done.returncode != 0:
            print(f"{name} failed; its rows are missing", file=sys.stderr, flush=True)


def show(folder):
    order = ["lib", *MODES]
    files = [folder / f"{name}.json" for name in order]
    results = [json.loads(file.read_text(encoding="utf-8")) for file in files if file.is_file()]
    print(targets.summary(results))
    for result in results:
        print(f"\n{report.any_of(result)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("--out", type=lambda path: pathlib.Path(path).resolve(), required=True)
    parser.add_argument("--show", action="store_true", help="measure nothing")
    options, further = parser.parse_known_args()
    if not options.show:
        if options.data is None:
            parser.error("--data FOLDER is needed: see bench/data.py")
        options.out.mkdir(parents=True, exist_ok=True)
        measure(options, [part for part in further if part != "--"])
    show(options.out)


if __name__ == "__main__":
    main()
