"""What `bench/lib.py` compares: our indexes and other libraries' by name, and the groups that meet in a run.

A group is what one row of the table in docs/benchmarks.md needs: systems that hold the same data at the same
time and take turns. The first system of `ours` is the one the row is about; ratios are to `base` and to the
best of the peers.
"""

M, EF_CONSTRUCTION = 16, 200
HNSW = {"M": M, "efConstruction": EF_CONSTRUCTION}


def nlist(rows):
    """The power of two nearest to four times the square root of the rows."""
    exponent = 1
    while 2 ** (exponent + 0.5) < 4 * rows**0.5:
        exponent += 1
    return 2**exponent


def ours(rows, dim):
    """Our systems: index type and parameters of creation."""
    lists = {"nlist": nlist(rows)}
    return {
        "HNSW": ("HNSW", HNSW),
        "HNSW_SQ": ("HNSW_SQ", HNSW | {"sq_type": "SQ8", "refine": "true", "refine_type": "FP32"}),
        "AUTOINDEX": ("AUTOINDEX", {}),
        "DISKANN": ("DISKANN", {}),
        "FLAT": ("FLAT", {}),
        "IVF_FLAT": ("IVF_FLAT", lists),
        "IVF_SQ8": ("IVF_SQ8", lists | {"refine": "true", "refine_type": "FP32"}),
        "IVF_PQ": ("IVF_PQ", lists | {"m": dim // 8, "nbits": 8, "refine": "true", "refine_type": "FP32"}),
        "IVF_PQ4": ("IVF_PQ", lists | {"m": dim // 2, "nbits": 4, "refine": "true", "refine_type": "FP32"}),
        "IVF_RABITQ": ("IVF_RABITQ", lists | {"refine": "true", "refine_type": "FP32"}),
        "SCANN": ("SCANN", lists | {"with_raw_data": "true"}),
    }


# name: (what the row asks for, ours, peers, the peer that targets are stated against)
GROUPS = {
    "hnsw": (["HNSW"], ["hnswlib", "faiss-hnsw", "usearch-f32"], "hnswlib"),
    "best": (
        ["AUTOINDEX", "SCANN"],
        ["hnswlib", "svs-f16", "svs-lvq", "scann", "faiss-ivf-pq-fastscan", "faiss-hnsw-sq8", "usearch-f16", "usearch-i8"],
        "hnswlib",
    ),
    "ivf-flat": (["IVF_FLAT"], ["faiss-ivf-flat"], "faiss-ivf-flat"),
    "ivf-sq8": (["IVF_SQ8"], ["faiss-ivf-sq8", "faiss-ivf-sq8-refine"], "faiss-ivf-sq8"),
    "ivf-pq": (["IVF_PQ", "IVF_PQ4"], ["faiss-ivf-pq", "faiss-ivf-pq-fastscan"], "faiss-ivf-pq"),
    "ivf-rabitq": (
        ["IVF_RABITQ"],
        ["faiss-ivf-rabitq", "faiss-ivf-rabitq-fastscan"],
        "faiss-ivf-rabitq",
    ),
    "flat": (["FLAT"], ["faiss-flat"], "faiss-flat"),
    "disk": (["DISKANN"], ["diskannpy-disk"], "diskannpy-disk"),
}
