"""Vectors of every type that may be null: sent, and read back exactly."""

import numpy as np
from pymilvus import DataType

DIM = 8


def _floats(rng):
    return [rng.randint(-8, 8) / 4 for _ in range(DIM)]


def _bytes(rng):
    return bytes(rng.randrange(256) for _ in range(DIM // 8))


def _sparse(rng):
    return {index: rng.randint(1, 9) / 4 for index in rng.sample(range(50), rng.randint(1, 5))}


MAKERS = {
    "float": (DataType.FLOAT_VECTOR, _floats),
    "float16": (DataType.FLOAT16_VECTOR, lambda rng: np.array(_floats(rng), np.float16)),
    "int8": (DataType.INT8_VECTOR, lambda rng: np.array([rng.randint(-128, 127) for _ in range(DIM)], np.int8)),
    "binary": (DataType.BINARY_VECTOR, _bytes),
    "sparse": (DataType.SPARSE_FLOAT_VECTOR, _sparse),
}
METRIC = {"int8": ("HNSW", "L2"), "binary": ("BIN_FLAT", "HAMMING"), "sparse": ("SPARSE_INVERTED_INDEX", "IP")}


def plain(value):
    """A value as it is compared: lists of numbers, bytes, or a dictionary."""
    if isinstance(value, np.ndarray):
        return value.tobytes() if value.dtype != np.float32 else value.tolist()
    if isinstance(value, list) and value and isinstance(value[0], bytes):
        return b"".join(value)
    if isinstance(value, list):
        return [float(item) for item in value]
    return value
