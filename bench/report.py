"""Tables in Markdown of what the benches measured.

    bench/report.py RESULT.json...          prints the tables of earlier runs again
"""

import json
import pathlib
import sys


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def number(value, digits=0):
    return "-" if value is None else f"{value:,.{digits}f}"


def source(result):
    seed = f", seed {result['seed']}" if result.get("seed") else ""
    return (
        f"{result['data']}: {result['rows']:,} x {result['dim']}, {result['metric']}{seed}; {result['machine']}; "
        f"commit {result['commit']}; builds on {result['build_threads']} threads, searches on one; median of "
        f"{result['repeats']} passes in turns."
    )


def total_mb(system):
    """Index and vectors: what answering takes if all of it is in memory."""
    build = system["build"]
    own = "memory_mb" in build
    return build["memory_mb"] + build["vectors_mb"] if own else build["index_mb"] or build["resident_mb"]


def ratio(value, base):
    return "-" if not value or not base else f"{value / base:.2f}x"


def group_table(group):
    """One row for each system: build, memory, and at each recall QPS and its ratio to the base."""
    systems = {system["name"]: system for system in group["systems"]}
    keys = list(dict.fromkeys(key for system in systems.values() for key in system["points"]))
    base = systems.get(group["base"], {"points": {}, "build": {}})
    titles = [key.removesuffix("@1") for key in keys]
    head = ["system", "build CPU s", "x", "MB", "x"]
    for title in titles:
        head += [f"QPS {title}", "x", "recall"]
    rows = []
    for name, system in systems.items():
        own = name in group["ours"]
        row = [f"**{name}**" if own else name]
        cpu, mb = system["build"]["build_cpu_s"], total_mb(system)
        base_mb = total_mb(base) if base["build"] else None
        row += [number(cpu, 1), ratio(cpu, base["build"].get("build_cpu_s")), number(mb), ratio(mb, base_mb)]
        for key in keys:
            point, other = system["points"].get(key), base["points"].get(key)
            if point is None:
                row += ["-", "-", "-"]
                continue
            row += [number(point["qps_cpu"]), ratio(point["qps_cpu"], other and other["qps_cpu"])]
            row += [f"{point['recall']:.3f}"]
        rows.append(row)
    text = f"### {group['group']}\n\nRatios are to {group['base']}.\n\n" + table(head, rows)
    for name, reason in group["left_out"].items():
        text += f"\n\n{name} was left out: {reason}"
    return text


def settings(group):
    """At recall 0.95: what was set, single searches, and what a new process keeps in memory."""
    rows = []
    for system in group["systems"]:
        point = system["points"].get("0.95@1")
        if point is None:
            continue
        latency, cold = system.get("latency", {}), system.get("cold", {})
        setting = " ".join(f"{key}={value}" for key, value in point["setting"].items())
        rows.append([
            system["name"], setting, number(latency.get("p50_us")), number(latency.get("p99_us")),
            number(cold.get("open_ms"), 1), number(cold.get("first_search_ms"), 1), number(cold.get("resident_mb")),
            number(system["build"].get("estimate_mb")), number(system["build"].get("peak_mb")),
        ])
    head = ["system", "setting", "p50 us", "p99 us", "cold open ms", "first search ms", "resident MB"]
    head += ["estimated build MB", "build peak MB"]
    return table(head, rows) if rows else ""


def library(result):
    parts = [source(result)]
    for group in result["groups"]:
        parts += [group_table(group), settings(group)]
    return "\n\n".join(part for part in parts if part)


def cells(result):
    """Filters and deletes: recall and QPS of each cell against all rows."""
    kind = "filter" if "filter" in result["cells"][0] else "deleted"
    rows = [
        [f"{cell['percent']} %", cell[kind], f"{cell['recall']:.4f}", number(cell.get("qps_cpu")),
         f"{cell['ratio']:.2f}x"] + ([cell["short_answers"]] if kind == "filter" else [])
        for cell in result["cells"]
    ]
    head = ["share", kind, "recall@10", "QPS", "to all rows"] + (["short answers"] if kind == "filter" else [])
    title = f"{result['index']} {result['params']} at {json.dumps(result['setting'])}, {result['data']}, "
    return title + f"seed {result['seed']}\n\n" + table(head, rows)


def sparse(result):
    rows = [
        [one["algo"], one["drop_ratio"], f"{one['recall']:.4f}", f"{one['equal_answers']:.3f}",
         number(one["qps_cpu"]), number(one["plain_qps_cpu"]), f"{one['ratio']:.2f}x"]
        for one in result["systems"]
    ]
    head = ["algorithm", "drop ratio", "recall@10", "equal answers", "QPS", "plain scan QPS", "x"]
    title = f"{result['rows']:,} rows of {result['pairs_per_row']:.0f} terms, queries of "
    title += f"{result['pairs_per_query']:.0f}, vocabulary {result['terms']:,}, seed {result['seed']}"
    return title + "\n\n" + table(head, rows)


def flat(result):
    head = ["index", "data", "ms a query", "GB/s", "bandwidth GB/s", "share", "recall@10"]
    row = [result["index"], result["data"], number(result["ms_per_query"], 2), number(result["gb_s"], 1)]
    row += [number(result["bandwidth_gb_s"], 1), f"{result['share']:.2f}", f"{result['recall']:.3f}"]
    return table(head, [row])


def alone(result):
    """One index by itself: speed at each recall, and what serving it from a file takes."""
    head = ["recall@10", "setting", "QPS", "p50 us", "p99 us"]
    rows = [
        [f"{point['recall']:.3f}", " ".join(f"{key}={value}" for key, value in point["setting"].items()),
         number(point["qps_cpu"]), number(point["p50_us"]), number(point["p99_us"])]
        for point in result["points"]
    ]
    build, cold = result["build"], result["cold"]
    text = (
        f"{result['index']} {result['params']}, {result['data']}, {result['rows']:,} x {result['dim']}: build "
        f"{build['build_s']:.1f} s ({build['build_cpu_s']:.1f} s of CPU), index {build['index_mb']:.0f} MB beside "
        f"{build['vectors_mb']:.0f} MB of vectors, build peak {build['peak_mb']:.0f} MB (estimated "
        f"{build['estimate_mb']:.0f}); opened cold in {cold['open_ms']:.1f} ms, first search "
        f"{cold['first_search_ms']:.1f} ms; a new process that served all queries keeps "
        f"{cold['resident_mb']:.0f} MB resident, {100 * cold['resident_share_of_vectors']:.0f} % of the vectors."
    )
    return text + "\n\n" + table(head, rows)


def any_of(result):
    if "groups" in result:
        return library(result)
    if "points" in result:
        return alone(result)
    if "cells" in result:
        return cells(result)
    return sparse(result) if "systems" in result else flat(result)


if __name__ == "__main__":
    for path in sys.argv[1:]:
        print(any_of(json.loads(pathlib.Path(path).read_text(encoding="utf-8"))), end="\n\n")
