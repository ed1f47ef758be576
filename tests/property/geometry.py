"""Points and upright boxes with whole coordinates: what the st_ functions say of them.

A shape is (x0, y0, x1, y1); a point is a shape without extent.
"""

import re

from .logic import of_value


def make(rng):
    x, y = rng.randint(0, 6), rng.randint(0, 6)
    if rng.random() < 0.5:
        return wkt((x, y, x, y))
    return wkt((x, y, x + rng.randint(1, 4), y + rng.randint(1, 4)))


def wkt(shape):
    x0, y0, x1, y1 = shape
    if (x0, y0) == (x1, y1):
        return f"POINT ({x0} {y0})"
    return f"POLYGON (({x0} {y0}, {x1} {y0}, {x1} {y1}, {x0} {y1}, {x0} {y0}))"


def shape(text):
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    return min(numbers[::2]), min(numbers[1::2]), max(numbers[::2]), max(numbers[1::2])


def is_point(a):
    return a[:2] == a[2:]


def intersects(a, b):
    return a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]


def interiors_meet(a, b):
    if is_point(a) and is_point(b):
        return a == b
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def covers(a, b):
    return a[0] <= b[0] and a[1] <= b[1] and a[2] >= b[2] and a[3] >= b[3]


def contains(a, b):
    return covers(a, b) and interiors_meet(a, b)


def overlaps(a, b):
    areas = not is_point(a) and not is_point(b)
    return areas and interiors_meet(a, b) and not covers(a, b) and not covers(b, a)


FUNCTIONS = {
    "st_intersects": intersects,
    "st_contains": contains,
    "st_within": lambda a, b: contains(b, a),
    "st_equals": lambda a, b: a == b,
    "st_touches": lambda a, b: intersects(a, b) and not interiors_meet(a, b),
    "st_overlaps": overlaps,
    # Neither points nor boxes have a part of lower dimension inside the other.
    "st_crosses": lambda a, b: False,
    "ST_INTERSECTS": intersects,
}


def on_geometry(field, rng):
    name = field.name
    if rng.random() < 0.1:
        return of_value(name, f"st_isvalid({name})", lambda v: True)
    call, other = rng.choice(list(FUNCTIONS)), make(rng)
    test, against = FUNCTIONS[call], shape(other)
    return of_value(name, f"{call}({name}, '{other}')", lambda v: test(shape(v), against))
