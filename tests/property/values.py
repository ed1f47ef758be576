"""The field types of a random schema: how a value is made, sent, and read back.

One class for each type. Values are plain Python; None is null. Pools are small on purpose, so that
conditions meet rows.
"""

import json
import struct

import numpy as np
from pymilvus import DataType

WORDS = ["", "a", "ab", "abc", "b", "ba", "cab", "Ünï", "日本", "a%b", "x_y", "zz top", "ab\\c"]


def float32(value):
    return struct.unpack("f", struct.pack("f", value))[0]


# pymilvus sends a default value with the type that numpy gives it.
NUMPY = {
    DataType.INT8: np.int8,
    DataType.INT16: np.int16,
    DataType.INT32: np.int32,
    DataType.FLOAT: np.float32,
}


class Type:
    """A scalar type. `kind` groups types that take the same conditions."""

    nullable = True
    defaults = True

    def __init__(self, name, data_type, kind, make, params=None):
        self.name, self.data_type, self.kind, self.make = name, data_type, kind, make
        self.params = params or {}

    def __repr__(self):
        return self.name

    def default_on_wire(self, value):
        return NUMPY.get(self.data_type, lambda same: same)(value)


def _ints(low, high):
    def make(rng):
        return rng.choice([low, high, rng.randint(-3, 3), rng.randint(-20, 20)])

    return make


def _json_leaf(rng):
    return rng.choice(
        [None, True, False, 0, 1, 2, -1, 1.5, 2.0, "a", "abc", "", [1, 2, "a"], [True], [[1, 2], 3], {"c": 1}]
    )


def _json(rng):
    return {key: _json_leaf(rng) for key in ("a", "b", "n") if rng.random() < 0.75}


def _array(make):
    return lambda rng: [make(rng) for _ in range(rng.choice([0, 1, 1, 2, 3, 4]))]


def _word(rng):
    return rng.choice(WORDS)


def _double(rng):
    return rng.choice([0.0, -0.0, 1.5, -2.25, 1e9, rng.randint(-20, 20) / 4])


def _instant(rng):
    """Seconds around 2025 as text in UTC; months and days vary for interval arithmetic."""
    return (
        f"20{rng.choice([24, 25])}-{rng.choice([1, 2, 3, 12]):02}-{rng.choice([1, 15, 28]):02}"
        f"T{rng.randint(0, 23):02}:00:00Z"
    )


SCALARS = [
    Type("bool", DataType.BOOL, "bool", lambda rng: rng.random() < 0.5),
    Type("int8", DataType.INT8, "int", _ints(-128, 127)),
    Type("int16", DataType.INT16, "int", _ints(-(2**15), 2**15 - 1)),
    Type("int32", DataType.INT32, "int", _ints(-(2**31), 2**31 - 1)),
    Type("int64", DataType.INT64, "int", _ints(-(2**62), 2**62)),
    Type("float", DataType.FLOAT, "float", lambda rng: float32(_double(rng))),
    Type("double", DataType.DOUBLE, "float", _double),
    Type("varchar", DataType.VARCHAR, "string", _word, {"max_length": 64}),
]
INSTANT = Type("timestamptz", DataType.TIMESTAMPTZ, "instant", _instant)
JSON = Type("json", DataType.JSON, "json", _json)
JSON.defaults = False
ARRAYS = [
    Type(
        f"array_{element.name}",
        DataType.ARRAY,
        f"array_{element.kind}",
        _array(element.make),
        {"element_type": element.data_type, "max_capacity": 8, **element.params},
    )
    for element in SCALARS
]
for array in ARRAYS:
    array.defaults = False
ALL = [*SCALARS, INSTANT, JSON, *ARRAYS]


def literal(value):
    """A value as the filter language writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return "[" + ", ".join(literal(item) for item in value) + "]"
    return repr(value)
