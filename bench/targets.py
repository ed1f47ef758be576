"""The figures that issue 4 asks for, row by row: ours, the best peer's, the ratio and the target.

Reads what `bench/lib.py` and `bench/modes.py` wrote as JSON; a row whose measurement is missing is left out.
"""

from report import table, total_mb

RECALLS = ("0.95@1", "0.99@1")


class Group:
    """One group of a run of bench/lib.py."""

    def __init__(self, found):
        self.ours, self.base = found["ours"][0], found["base"]
        self.systems = {system["name"]: system for system in found["systems"]}
        self.own = set(found["ours"])

    def qps(self, name, key):
        return self.systems.get(name, {"points": {}})["points"].get(key, {}).get("qps_cpu")

    def recall(self, name, key):
        return self.systems[name]["points"][key]["recall"]

    def best_peer(self, key):
        peers = [(self.qps(name, key), name) for name in self.systems if name not in self.own]
        return max((pair for pair in peers if pair[0]), default=(None, None))

    def best_own(self, key):
        """The best of ours at this recall: an index type may be measured with several parameters."""
        own = [(self.qps(name, key), name) for name in self.own]
        return max((pair for pair in own if pair[0]), default=(None, None))


def compared(title, ours, peer, peer_name, target, digits=0, larger=True):
    """A row whose figure is a ratio; `target` is what it should reach."""
    if not ours or not peer:
        return []
    ratio = ours / peer
    met = ratio >= target if larger else ratio <= target
    sign = "≥" if larger else "≤"
    row = [title, f"{ours:,.{digits}f}", f"{peer:,.{digits}f} ({peer_name})", f"{ratio:.2f}x"]
    return [[*row, f"{sign} {target}x", "yes" if met else "no"]]


def stated(title, value, text, sign, target, shown):
    """A row whose figure stands by itself."""
    met = value >= target if sign == "≥" else value <= target
    return [[title, text, "", "", f"{sign} {shown}", "yes" if met else "no"]]


def at(group, name, key):
    return f"QPS at recall {group.recall(name, key):.3f}"


def hnsw(group):
    rows = []
    for key in RECALLS:
        if group.qps("HNSW", key):
            title, peer = f"HNSW {at(group, 'HNSW', key)}", group.qps(group.base, key)
            rows += compared(title, group.qps("HNSW", key), peer, group.base, 1.4)
    return rows + costs("HNSW", group, 0.7, 1.3)


def costs(name, group, build, memory, of=total_mb):
    """Build time and memory against the base."""
    own, base = group.systems.get(name), group.systems.get(group.base)
    if own is None or base is None:
        return []
    cpu = [system["build"]["build_cpu_s"] for system in (own, base)]
    rows = compared(f"{name} build, s of CPU", *cpu, group.base, build, 1, larger=False)
    if memory is not None:
        title = f"{name} memory, MB"
        rows += compared(title, of(own), total_mb(base), group.base, memory, larger=False)
    return rows


def resident(system):
    """MB of a process that serves the index, mapped vectors left out; they can be taken back at any time."""
    cold = system.get("cold", {})
    if "index_resident_mb" not in cold:
        return None
    return cold["resident_mb"] - cold["vectors_resident_mb"]


def auto(group):
    rows, key = [], RECALLS[0]
    ours = group.qps("AUTOINDEX", key)
    if ours:
        title = f"AUTOINDEX {at(group, 'AUTOINDEX', key)}"
        rows += compared(title, ours, group.qps(group.base, key), group.base, 3)
        best, name = group.best_peer(key)
        rows += compared(f"{title}, best peer", ours, best, name, 1.3)
    return rows + costs("AUTOINDEX", group, 0.35, 0.5, resident)


def lists(group):
    rows, key = [], RECALLS[0]
    (ours, name), (best, peer) = group.best_own(key), group.best_peer(key)
    if ours:
        rows += compared(f"{name} {at(group, name, key)}", ours, best, peer, 1.2)
        built = [group.systems[one]["build"]["build_cpu_s"] for one in (name, peer) if one]
        if len(built) == 2:
            rows += compared(f"{name} train and add, s of CPU", *built, peer, 1, 1, larger=False)
    return rows


def flat(group):
    key = "100 queries"
    return compared("FLAT QPS, 100 queries", group.qps("FLAT", key), *group.best_peer(key), 1.2)


GROUP_ROWS = {
    "hnsw": hnsw, "best": auto, "ivf-flat": lists, "ivf-sq8": lists, "ivf-pq": lists,
    "ivf-rabitq": lists, "flat": flat,
}


def bandwidth(result):
    text = f"{result['gb_s']:.1f} of {result['bandwidth_gb_s']:.1f} GB/s"
    return stated("FLAT, one query", result["share"], text, "≥", 0.8, "80 % of bandwidth")


def filters(result):
    cells = result["cells"]
    recall = min(cells, key=lambda cell: cell["recall"])
    ratio = min(cells, key=lambda cell: cell["ratio"])

    def where(cell):
        return f"{cell['percent']} % {cell['filter']}"

    title, count = "filters, worst cell", len(cells)
    good = sum(cell["recall"] >= 0.95 and cell["ratio"] >= 0.4 for cell in cells)
    rows = stated(f"{title}: recall", recall["recall"], f"{recall['recall']:.3f} ({where(recall)})", "≥", 0.95, 0.95)
    text = f"{ratio['ratio']:.2f}x ({where(ratio)})"
    rows += stated(f"{title}: QPS to unfiltered", ratio["ratio"], text, "≥", 0.4, "0.4x")
    return rows + stated("filters, cells that reach both", good, f"{good} of {count}", "≥", count, count)


def disk(result):
    enough = [point for point in result["points"] if point["recall"] >= 0.95]
    if not enough:
        best = max((point["recall"] for point in result["points"]), default=0)
        return stated("DISKANN recall", best, f"{best:.3f}", "≥", 0.95, 0.95)
    share = result["cold"]["resident_share_of_vectors"]
    title = f"DISKANN resident at recall {enough[0]['recall']:.3f}"
    return stated(title, share, f"{100 * share:.0f} % of the vectors", "≤", 0.15, "15 %")


def sparse(result):
    equal = [one for one in result["systems"] if one["drop_ratio"] == 0 and one["equal_answers"] >= 1]
    if not equal:
        return stated("sparse, equal answers", 0, "none", "≥", 1, "all")
    best = max(equal, key=lambda one: one["ratio"])
    title = f"sparse QPS, {best['algo']}, equal answers"
    return compared(title, best["qps_cpu"], best["plain_qps_cpu"], "plain scan", 2)


def rows_of(result):
    if "groups" in result:
        found = [GROUP_ROWS[one["group"]](Group(one)) for one in result["groups"] if one["group"] in GROUP_ROWS]
        return [row for rows in found for row in rows]
    if "bandwidth_gb_s" in result:
        return bandwidth(result)
    if "cells" in result:
        return filters(result) if "filter" in result["cells"][0] else []
    if "points" in result:
        return disk(result) if result["index"] == "DISKANN" else []
    return sparse(result)


def summary(results):
    """One table of all results."""
    rows = [row for result in results for row in rows_of(result)]
    return table(["figure", "ours", "peer", "ratio", "target", "met"], rows)
