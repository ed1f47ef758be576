"""Random rows of every vector type, and a numpy model of what a search of them answers.

Vectors have small whole numbers, so that scores are exact and many rows tie. Of COSINE and JACCARD,
and of the graph, which promises no order of ties, only the scores are compared.
"""

import numpy as np
from pymilvus import DataType

DIM = 8
BITS = 16
METRICS = {
    "f32": ("FLAT", ["L2", "IP", "COSINE"]),
    "f16": ("FLAT", ["L2", "IP", "COSINE"]),
    "bf16": ("FLAT", ["L2", "IP", "COSINE"]),
    "i8": ("HNSW", ["L2", "IP", "COSINE"]),
    "bits": ("BIN_FLAT", ["HAMMING", "JACCARD", "SUBSTRUCTURE", "SUPERSTRUCTURE"]),
    "sparse": ("SPARSE_INVERTED_INDEX", ["IP"]),
}
TYPES = {
    "f32": DataType.FLOAT_VECTOR,
    "f16": DataType.FLOAT16_VECTOR,
    "bf16": DataType.BFLOAT16_VECTOR,
    "i8": DataType.INT8_VECTOR,
    "bits": DataType.BINARY_VECTOR,
    "sparse": DataType.SPARSE_FLOAT_VECTOR,
}
NULLABLE = {"f16", "i8", "bits"}
# How a filter is written, and what it says of a row; None for all.
FILTERS = [
    ("", lambda row: True),
    ("n > 4", lambda row: row["n"] is not None and row["n"] > 4),
    ("n is null or s == 'b'", lambda row: row["n"] is None or row["s"] == "b"),
    ("id % 7 == 3", lambda row: row["id"] % 7 == 3),
    ('j["k"] < 3', lambda row: row["j"]["k"] < 3),
    ("d in [1, 2]", lambda row: row.get("d") in (1, 2)),
    ("id < 0", lambda row: False),
]
GROUPS = {
    "n": lambda row: row["n"],
    "s": lambda row: row["s"],
    "b": lambda row: row["b"],
    "id": lambda row: row["id"],
    'j["k"]': lambda row: row["j"]["k"],
}


def bfloat16(values):
    """Whole numbers this small are bfloat16 numbers: the upper halves of their float32s."""
    return (np.float32(values).view(np.uint32) >> 16).astype(np.uint16)


def encoded(field, value):
    """A vector of the model as the client takes it."""
    if value is None:
        return None
    if field == "f32":
        return [float(x) for x in value]
    if field == "f16":
        return np.float16(value)
    if field == "bf16":
        return bfloat16(value).tobytes()
    if field == "i8":
        return np.int8(value)
    if field == "bits":
        return np.packbits(value, bitorder="little").tobytes()
    return {i: float(x) for i, x in enumerate(value) if x} or {0: 0.0}


class Rows:
    """The rows that live, by key."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.live = {}

    def choice(self, items):
        return items[int(self.random.integers(len(items)))]

    def vector(self, field):
        if field == "bits":
            return self.random.integers(0, 2, BITS)
        if field == "sparse":
            return self.random.integers(0, 3, 12) * (self.random.random(12) < 0.4)
        return self.random.integers(-2, 3, DIM)

    def row(self, key):
        random = self.random
        row = {
            "id": key,
            "n": None if random.random() < 0.2 else int(random.integers(0, 10)),
            "s": None if random.random() < 0.2 else self.choice("abcd"),
            "b": bool(random.random() < 0.3),
            "j": {"k": int(random.integers(0, 6))},
        }
        if random.random() < 0.7:
            row["d"] = int(random.integers(0, 5))
        for field in TYPES:
            null = field in NULLABLE and random.random() < 0.15
            row[field] = None if null else self.vector(field)
        return row

    def add(self, keys):
        """New rows of these keys, in place of older ones, as the client takes them."""
        rows = [self.row(key) for key in keys]
        self.live |= {row["id"]: row for row in rows}
        return [{name: encoded(name, v) if name in TYPES else v for name, v in row.items()} for row in rows]

    def remove(self, keys):
        for key in keys:
            del self.live[key]


def score(field, metric, query, stored):
    """One score; None where the pair is no hit at all."""
    q, v = np.float64(query), np.float64(stored)
    if field == "sparse":
        return float(q @ v) if np.any((q != 0) & (v != 0)) else None
    both, either = float((q * v).sum()), float(np.maximum(q, v).sum())
    match metric:
        case "L2":
            return float(((q - v) ** 2).sum())
        case "IP":
            return both
        case "COSINE":
            norms = np.linalg.norm(q) * np.linalg.norm(v)
            return both / norms if norms else 0.0
        case "HAMMING":
            return float((q != v).sum())
        case "JACCARD":
            return 1 - both / either if either else 0.0
        case "SUBSTRUCTURE":
            return 0.0 if (q <= v).all() else None
        case "SUPERSTRUCTURE":
            return 0.0 if (v <= q).all() else None
    raise ValueError(metric)


def larger_is_better(metric):
    return metric in ("IP", "COSINE")


def in_range(metric, value, radius, range_filter):
    if radius is None:
        return True
    if larger_is_better(metric):
        return radius < value and (range_filter is None or value <= range_filter)
    return value < radius and (range_filter is None or range_filter <= value)


def hits(rows, field, metric, query, accept=lambda row: True, bounds=(None, None)):
    """All hits, best first, ties by key: [(score, row)]."""
    found = []
    for row in rows:
        if row[field] is None or not accept(row):
            continue
        value = score(field, metric, query, row[field])
        if value is not None and in_range(metric, value, *bounds):
            found.append((value, row))
    sign = -1 if larger_is_better(metric) else 1
    return sorted(found, key=lambda hit: (sign * hit[0], hit[1]["id"]))


def groups(found, value_of):
    """The hits of each group, in order of their best."""
    by_value = {}
    for hit in found:
        by_value.setdefault(value_of(hit[1]), []).append(hit)
    return list(by_value.values())


def exact(metric):
    return metric not in ("COSINE", "JACCARD")


def differs(field, metric, got, wanted):
    """What is wrong with a reply of (id, score) pairs; None where nothing is."""
    wanted = [(row["id"], value) for value, row in wanted]
    if exact(metric) and METRICS[field][0] != "HNSW":
        return None if got == wanted else f"{got} is not {wanted}"
    same = np.allclose([s for _, s in got], [s for _, s in wanted], atol=1e-4) if len(got) == len(wanted) else False
    return None if same else f"{got} is not about {wanted}"
