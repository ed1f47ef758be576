#!/usr/bin/env python3
"""Our vector indexes beside other libraries: same data, same threads, same recall, in turns.

    bench/lib.py --data FOLDER                           every group of bench/systems.py
    bench/lib.py --data FOLDER --groups hnsw,best --repeats 7 --json result.json

Each system has a process of its own that keeps its index (`milvus-bench serve`, `bench/peers.py`). For each
recall the cheapest setting of each system is sought first; then all systems of a group make one pass over the
queries after another, again and again (A B C A B C ...), so that whatever else the machine does hits them all
alike. The median pass counts. `QPS` is queries for each second of CPU on one thread: on a shared machine it
says more than the clock, and on an idle one it is the same.

Builds the release program and a virtual environment with the peers on the first run. Writes JSON, and a table
in Markdown (bench/report.py).
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "bench")]

import devenv  # noqa: E402
import machine  # noqa: E402
import report  # noqa: E402
from systems import GROUPS, ours  # noqa: E402

TARGETS = (0.9, 0.95, 0.99)
FLAT_QUERIES = (100,)


class Failed(Exception):
    """A system that could not do what was asked; it is left out, with the reason."""


class System:
    """One process with one index."""

    def __init__(self, name, command):
        self.name = name
        # Threads that wait busily are ruinous where cores are shared, and would be counted as CPU of a peer:
        # OpenMP's sleep, and OpenBLAS (which faiss multiplies matrices with) has none beside its caller.
        quiet = {"OMP_WAIT_POLICY": "passive", "OPENBLAS_NUM_THREADS": "1"}
        environment = {**devenv.environment(), **quiet}
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, env=environment,
        )
        self.figures = {"name": name, "points": {}}
        self.seen = {}

    def ask(self, op, **fields):
        try:
            self.process.stdin.write(json.dumps({"op": op, **fields}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self.log.seek(0)
            last = self.log.read().strip().splitlines()[-1:] or [f"ended with {self.process.wait()}"]
            raise Failed(last[0])
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(answer["error"])
        return answer

    def prepare(self):
        self.figures["build"] = self.ask("build")
        self.knobs = self.ask("knobs")

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()

    # ---- finding settings: the same search as crates/bench/src/target.rs

    def probe(self, main, second):
        setting = {}
        if self.knobs["main"]:
            setting[self.knobs["main"]] = main
        if second is not None:
            setting[self.knobs["second"]] = second
        key = json.dumps(setting)
        if key not in self.seen:
            self.seen[key] = self.ask("run", setting=setting, threads=1)
        return setting, self.seen[key]

    def smallest(self, second, target, cost):
        """The smallest main value that reaches the recall, or none for less than about `cost`."""
        least, most = self.knobs["least"], self.knobs["most"]
        below = main = least
        last = 0.0
        while (probe := self.probe(main, second)[1])["recall"] < target:
            recall = probe["recall"]
            stuck = recall < last + 1e-4 and main > 16 * least or probe["cpu_s"] > 1.2 * cost
            if self.knobs["main"] is None or main >= most or stuck:
                return None
            below, last, main = main, recall, min(2 * main, most)
        while below + 1 < main:
            middle = (below + main) // 2
            if self.probe(middle, second)[1]["recall"] >= target:
                main = middle
            else:
                below = middle
        return main

    def cheapest(self, target):
        """The setting that reaches the recall in the least time, or none."""
        found = []
        for second in self.knobs["values"] or [None]:
            main = self.smallest(second, target, min(found)[0] if found else float("inf"))
            if main is not None:
                setting, probe = self.probe(main, second)
                found.append((probe["cpu_s"], json.dumps(setting)))
        return json.loads(min(found)[1]) if found else None


def turns(systems, repeats, ask):
    """`ask` of each system, all of them again and again; the passes of each."""
    passes = {system.name: [] for system in systems}
    for _ in range(repeats):
        for system in systems:
            passes[system.name].append(ask(system))
    return passes


def summary(passes):
    def middle(key):
        return statistics.median(one["queries"] / one[key] for one in passes)

    return {"recall": passes[-1]["recall"], "qps": middle("wall_s"), "qps_cpu": middle("cpu_s")}


def at_recall(systems, target, repeats, threads):
    """Measures all systems at the cheapest setting that reaches the recall."""
    settings = {}
    for system in systems:
        setting = system.cheapest(target)
        if setting is not None:
            settings[system.name] = setting
    able = [system for system in systems if system.name in settings]
    for count in threads:
        passes = turns(able, repeats, lambda s: s.ask("run", setting=settings[s.name], threads=count))
        for system in able:
            point = summary(passes[system.name]) | {"setting": settings[system.name]}
            system.figures["points"][f"{target}@{count}"] = point
    if target == 0.95:
        for system in able:
            for op in ("latency", "cold"):
                try:
                    system.figures[op] = system.ask(op, setting=settings[system.name])
                except Failed as failed:
                    note(f"{system.name}: {op}: {failed}")


def exact(systems, repeats):
    """Exact search with many queries at a time; of one query, see `flat` of bench/modes.py."""
    for count in FLAT_QUERIES:
        passes = turns(systems, repeats, lambda s: s.ask("batch", queries=count))
        for system in systems:
            system.figures["points"][f"{count} queries"] = summary(passes[system.name])


def start(name, options, shape):
    own = ours(*shape)
    if name in own:
        kind, params = own[name]
        binary = devenv.TARGET / "release" / "milvus-bench"
        command = [binary, "serve", "--index", kind, "--params", json.dumps(params)]
    else:
        # diskannpy wants a numpy that the others do not take.
        python = options.python or devenv.venv("peers-disk" if name.startswith("diskannpy") else "peers")
        command = [python, ROOT / "bench" / "peers.py", "--system", name]
    common = ["--data", options.data, "--build-threads", options.build_threads, "--work", options.work]
    return System(name, [*command, *common])


def run_group(group, running, options, shape):
    """Figures of one group; `running` keeps systems that a later group needs again."""
    own, peers, base = GROUPS[group]
    wanted = [name for name in [*own, *peers] if not options.only or name in options.only]
    left_out = {}
    for name in wanted:
        if name in running:
            continue
        note(f"{group}: {name} is built")
        system = start(name, options, shape)
        try:
            system.prepare()
            running[name] = system
        except Failed as failed:
            note(f"{name}: {failed}")
            left_out[name] = str(failed)
            system.stop()
    systems = [running[name] for name in wanted if name in running]
    for system in systems:
        system.figures["points"] = {}
    try:
        if group == "flat":
            exact(systems, options.repeats)
        for target in () if group == "flat" else options.targets:
            note(f"{group}: recall {target}")
            at_recall(systems, target, options.repeats, options.threads)
    except Failed as failed:
        # What was measured before it counts; the reason is shown beside it.
        note(f"{group}: {failed}")
        left_out["the rest of the group"] = str(failed)
    figures = [dict(system.figures) for system in systems]
    return {"group": group, "ours": own, "base": base, "systems": figures, "left_out": left_out}


def run(options):
    shape = machine.shape_of(options.data)
    result = machine.describe(options.data)
    result |= {"build_threads": options.build_threads, "repeats": options.repeats, "groups": []}
    running = {}
    try:
        for number, group in enumerate(options.groups):
            result["groups"].append(run_group(group, running, options, shape))
            later = {name for other in options.groups[number + 1 :] for part in GROUPS[other][:2] for name in part}
            for name in [name for name in running if name not in later]:
                running.pop(name).stop()
            if options.json:
                options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    finally:
        for system in running.values():
            system.stop()
    return result


def note(text):
    print(text, file=sys.stderr, flush=True)


def numbers(kind):
    return lambda text: [kind(part) for part in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=lambda path: pathlib.Path(path).resolve(), required=True)
    parser.add_argument("--groups", type=numbers(str), default=list(GROUPS), help=",".join(GROUPS))
    parser.add_argument("--only", type=numbers(str), help="these systems of the groups")
    parser.add_argument("--targets", type=numbers(float), default=TARGETS)
    parser.add_argument("--threads", type=numbers(int), default=[1])
    parser.add_argument("--build-threads", type=int, default=os.cpu_count())
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--python", help="a Python that has the peers, in place of an environment made for it")
    options = parser.parse_args()
    for group in options.groups:
        if group not in GROUPS:
            parser.error(f"group {group} is unknown; there are {', '.join(GROUPS)}")
    machine.build()
    options.work = tempfile.mkdtemp(prefix="milvus-bench-")
    try:
        print(report.library(run(options)))
    finally:
        shutil.rmtree(options.work, ignore_errors=True)


if __name__ == "__main__":
    main()
