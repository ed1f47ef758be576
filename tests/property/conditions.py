"""Random conditions: each knows its text in the filter language and its truth for a row.

Truth is True, False or None (unknown), as in SQL; a row passes only where it is True. The rules for
JSON (a missing path is False, but True for `!=` and `not in`) and arrays are those of Milvus.
"""

import datetime

from . import arithmetic, geometry, structs
from .logic import (
    COMPARE,
    MISSING,
    Condition,
    both,
    either,
    json_at,
    json_class,
    like_regex,
    member,
    negate,
    of_value,
)
from .templates import slot as literal
from .values import WORDS, float32

def null_check(field, rng):
    name = field.name
    if rng.random() < 0.5:
        return Condition(f"{name} is null", lambda row: row[name] is None)
    return Condition(f"{name} is not null", lambda row: row[name] is not None)


def like(subject, name, rng):
    word = rng.choice(WORDS[1:8]).replace("\\", "\\\\")
    pattern = rng.choice([f"{word}%", f"%{word}", f"%{word}%", word, f"{word[:1]}_%", "a\\%b", "%\\_%"])
    regex = like_regex(pattern)
    return of_value(name, f"{subject} like {literal(pattern)}", lambda v: bool(regex.fullmatch(v)))


def on_bool(field, rng):
    name, value = field.name, rng.random() < 0.5
    op = rng.choice(["==", "!="])
    return of_value(name, f"{name} {op} {literal(value)}", lambda v: COMPARE[op](v, value))


def long_list(field, rng):
    """`in` of some hundred values, a few of which are there."""
    values = [field.type.make(rng) for _ in range(3)] + [rng.randint(-100, 100) for _ in range(rng.randint(50, 300))]
    rng.shuffle(values)
    return member(field.name, values, rng.random() < 0.5)


def on_number(field, rng):
    name, make = field.name, field.type.make
    if rng.random() < 0.2:
        if field.type.name != "float":
            return (arithmetic.on_int if field.type.kind == "int" else arithmetic.on_double)(field, rng)
        return long_list(field, rng)
    if rng.random() < 0.1:
        return long_list(field, rng)
    is_int = field.type.kind == "int"
    value = make(rng) if is_int or rng.random() < 0.7 else rng.randint(-5, 5)
    shape = rng.random()
    if shape < 0.4:
        op = rng.choice(list(COMPARE))
        return of_value(name, f"{name} {op} {literal(value)}", lambda v: COMPARE[op](v, value))
    if shape < 0.6:
        low, high = sorted([make(rng), make(rng)])
        if low == high:
            high = low + 1 if is_int else float32(low + 1000)
        first, second = rng.choice(["<", "<="]), rng.choice(["<", "<="])
        text = f"{literal(low)} {first} {name} {second} {literal(high)}"
        return of_value(name, text, lambda v: COMPARE[first](low, v) and COMPARE[second](v, high))
    if shape < 0.8:
        values = [make(rng) for _ in range(rng.randint(0, 12))]
        return member(name, values, rng.random() < 0.5)
    if is_int:
        divisor, rest = rng.randint(1, 7), rng.randint(-3, 3)
        op = rng.choice(["==", "!="])
        text = f"{name} % {divisor} {op} {rest}"
        # As in C, the remainder has the sign of the dividend.
        return of_value(name, text, lambda v: COMPARE[op](v - int(v / divisor) * divisor if abs(v) < 2**50
                                                         else (abs(v) % divisor) * (1 if v >= 0 else -1), rest))
    op = rng.choice(list(COMPARE))
    return of_value(name, f"{name} {op} {literal(value)}", lambda v: COMPARE[op](v, value))


def on_string(field, rng):
    name, value, shape = field.name, rng.choice(WORDS), rng.random()
    if shape < 0.12:
        return arithmetic.on_text(field, rng)
    if shape < 0.35:
        op = rng.choice(list(COMPARE))
        want = value.encode()
        return of_value(name, f"{name} {op} {literal(value)}", lambda v: COMPARE[op](v.encode(), want))
    if shape < 0.7:
        return like(name, name, rng)
    values = [rng.choice(WORDS) for _ in range(rng.randint(0, 4))]
    if rng.random() < 0.2:
        values += [f"w{number}" for number in range(rng.randint(50, 200))]
    return member(name, values, rng.random() < 0.5)


def instant(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def on_instant(field, rng):
    name, value = field.name, field.type.make(rng)
    op = rng.choice(list(COMPARE))
    hours = rng.choice([0, 1, 26])
    want = instant(value)
    if not hours:
        text = f"{name} {op} ISO '{value}'"
        return of_value(name, text, lambda v: COMPARE[op](instant(v), want))
    sign = rng.choice(["+", "-"])
    text = f"{name} {sign} INTERVAL 'P{hours // 24}DT{hours % 24}H' {op} ISO '{value}'"
    shift = datetime.timedelta(hours=hours if sign == "+" else -hours)
    return of_value(name, text, lambda v: COMPARE[op](instant(v) + shift, want))


def same_json(left, right):
    """JSON equality: 1 == 1.0, but true is not 1, at any depth."""
    if json_class(left) != json_class(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same_json, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same_json(left[key], right[key]) for key in left)
    return left == right


def json_subject(field, path, rng):
    """A path as it is written; that of a dynamic key may start with its bare name."""
    steps = [f'["{key}"]' if isinstance(key, str) else f"[{key}]" for key in path]
    if field.type.kind == "dynamic" and rng.random() < 0.7:
        return path[0] + "".join(steps[1:])
    return field.name + "".join(steps)


def on_json(field, rng):
    name = field.name
    path = rng.choice([("a",), ("b",), ("n",), ("a", "c"), ("b", 0), ("missing",)])
    subject = json_subject(field, path, rng)
    shape = rng.random()
    if rng.random() < 0.1:
        return arithmetic.on_json(name, subject, path, rng)
    if rng.random() < 0.1:
        values, negated = rng.sample([0, 1, 2, 1.5, "a", "abc", True], rng.randint(1, 4)), rng.random() < 0.5
        one_type = [value for value in values if json_class(value) == json_class(values[0])]
        text = f"{subject} {'not in' if negated else 'in'} {literal(one_type)}"
        return of_value(name, text, lambda v: any(same_json(json_at(v, path), item) for item in one_type) != negated)
    if rng.random() < 0.1:
        regex = like_regex("a%")
        text = f"{subject} like {literal('a%')}"
        return of_value(name, text, lambda v: isinstance(json_at(v, path), str) and bool(regex.fullmatch(json_at(v, path))))
    if rng.random() < 0.1:
        return of_value(name, f"{subject} is null", lambda v: json_at(v, path) is MISSING)
    if shape < 0.15:
        return of_value(name, f"exists {subject}", lambda v: json_at(v, path) is not MISSING)
    if shape < 0.35:
        item = rng.choice([1, 2, "a", True, 1.5, [1, 2]])
        call = rng.choice(["json_contains", "JSON_CONTAINS"])

        def contains(v):
            found = json_at(v, path)
            return isinstance(found, list) and any(same_json(element, item) for element in found)

        return of_value(name, f"{call}({subject}, {literal(item)})", contains)
    if shape < 0.5:
        items = rng.sample([1, 2, "a", True, 3], rng.randint(1, 3))
        every = rng.random() < 0.5

        def contains_many(v):
            found = json_at(v, path)
            if not isinstance(found, list):
                return False
            has = [any(same_json(element, item) for element in found) for item in items]
            return all(has) if every else any(has)

        call = "json_contains_all" if every else "json_contains_any"
        return of_value(name, f"{call}({subject}, {literal(items)})", contains_many)
    value = rng.choice([0, 1, 2, 1.5, "a", "abc", True, False])
    kind = json_class(value)
    ops = ["==", "!="] if kind == "bool" else list(COMPARE)
    op = rng.choice(ops)

    def compare(v):
        found = json_at(v, path)
        if found is MISSING or json_class(found) != kind:
            return op == "!="
        if isinstance(value, str):
            return COMPARE[op](found.encode(), value.encode())
        return COMPARE[op](found, value)

    return of_value(name, f"{subject} {op} {literal(value)}", compare)


def on_array(field, rng):
    name, kind = field.name, field.type.kind.removeprefix("array_")
    element = field.element
    shape = rng.random()
    if shape < 0.25:
        op, count = rng.choice(list(COMPARE)), rng.randint(0, 4)
        return of_value(name, f"array_length({name}) {op} {count}", lambda v: COMPARE[op](len(v), count))
    if shape < 0.45:
        item = element.make(rng)
        return of_value(name, f"array_contains({name}, {literal(item)})", lambda v: item in v)
    if shape < 0.7:
        items = [element.make(rng) for _ in range(rng.randint(1, 3))]
        every = rng.random() < 0.5
        call = "array_contains_all" if every else "array_contains_any"
        test = all if every else any
        return of_value(name, f"{call}({name}, {literal(items)})", lambda v: test(item in v for item in items))
    place, value = rng.randint(0, 3), element.make(rng)
    if rng.random() < 0.3 and kind != "bool":
        values, negated = [element.make(rng) for _ in range(3)], rng.random() < 0.5
        text = f"{name}[{place}] {'not in' if negated else 'in'} {literal(values)}"
        return of_value(name, text, lambda v: (place < len(v) and v[place] in values) != negated)
    op = rng.choice(["==", "!="] if kind == "bool" else list(COMPARE))

    def compare(v):
        if place >= len(v):
            return False
        if isinstance(value, str):
            return COMPARE[op](v[place].encode(), value.encode())
        return COMPARE[op](v[place], value)

    return of_value(name, f"{name}[{place}] {op} {literal(value)}", compare)


BY_KIND = {
    "bool": on_bool,
    "int": on_number,
    "float": on_number,
    "string": on_string,
    "instant": on_instant,
    "json": on_json,
    "dynamic": on_json,
    "geometry": geometry.on_geometry,
    "struct": structs.on_struct,
}


def leaf(fields, rng):
    field = rng.choice(fields)
    if rng.random() < 0.12 and field.type.kind not in ("dynamic", "struct"):
        return null_check(field, rng)
    return BY_KIND.get(field.type.kind, on_array)(field, rng)


def condition(fields, rng, depth=3):
    shape = rng.random()
    if depth == 0 or shape < 0.4:
        return leaf(fields, rng)
    if shape < 0.55:
        return negate(condition(fields, rng, depth - 1))
    children = [condition(fields, rng, depth - 1) for _ in range(rng.choice([2, 2, 3]))]
    return both(children) if shape < 0.8 else either(children)


def question(fields, rng):
    """A whole filter: deep now and then, with an element filter at its end if there is a struct."""
    wanted = condition(fields, rng, 6 if rng.random() < 0.1 else 3)
    arrays = [field for field in fields if field.type.kind == "struct"]
    if arrays and rng.random() < 0.2:
        return structs.filtered(arrays[0], rng, wanted)
    return wanted
