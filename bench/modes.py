#!/usr/bin/env python3
"""The benches that measure our indexes against themselves, one or all of them.

    bench/modes.py MODE --data FOLDER [--json FILE] [-- further options of milvus-bench]

filters   recall and QPS under filters of 50 to 0.01 %, random, correlated and anti-correlated, against all rows
deletes   the same after 10, 30 and 50 % of the rows were deleted, at random and cluster by cluster
flat      exact search of one query against the memory bandwidth measured in the same run
sparse    sparse indexes against a plain inverted scan, on synthetic rows
disk      DISKANN: recall, and what stays in memory of a process that serves it

Prints a table in Markdown, or the JSON that milvus-bench prints.
"""

import argparse
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "bench")]

import machine  # noqa: E402
import report  # noqa: E402

# The command of milvus-bench for each mode, and its arguments.
MODES = {
    "filters": ("filters", ["--index", "AUTOINDEX"]),
    "deletes": ("deletes", ["--index", "AUTOINDEX"]),
    "flat": ("flat", ["--index", "FLAT"]),
    "sparse": ("sparse", []),
    "disk": ("index", ["--index", "DISKANN", "--targets", "0.9,0.95,0.99"]),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("--data", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("--json", type=pathlib.Path)
    options, further = parser.parse_known_args()
    command, arguments = MODES[options.mode]
    further = [part for part in further if part != "--"]
    # What is asked for replaces what is said here.
    arguments = [] if arguments and arguments[0] in further else list(arguments)
    result = {}
    if options.mode != "sparse":
        if options.data is None:
            parser.error(f"{options.mode} needs --data FOLDER: see bench/data.py")
        arguments += ["--data", options.data]
        result = machine.describe(options.data)
    machine.build()
    result |= {"machine": machine.cpu(), "commit": machine.commit()}
    result |= machine.command(command, *arguments, *further)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"{result['machine']}, commit {result['commit']}\n")
    print(report.any_of(result))


if __name__ == "__main__":
    main()
