"""Random conditions: each knows its text in the filter language and its truth for a row.

Truth is True, False or None (unknown), as in SQL; a row passes only where it is True. The rules for
JSON (a missing path is False, but True for `!=` and `not in`) and arrays are those of Milvus.
"""

import datetime
import operator
import re

from .values import WORDS, float32, literal

COMPARE = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
MISSING = object()


class Condition:
    def __init__(self, text, truth):
        self.text, self.truth = text, truth


def negate(child):
    def truth(row):
        value = child.truth(row)
        return None if value is None else not value

    return Condition(f"not ({child.text})", truth)


def both(children):
    def truth(row):
        values = [child.truth(row) for child in children]
        return False if False in values else None if None in values else True

    return Condition(" and ".join(f"({child.text})" for child in children), truth)


def either(children):
    def truth(row):
        values = [child.truth(row) for child in children]
        return True if True in values else None if None in values else False

    return Condition(" or ".join(f"({child.text})" for child in children), truth)


def of_value(name, text, test):
    """A condition on one field that is unknown where the field is null."""
    return Condition(text, lambda row: None if row[name] is None else test(row[name]))


def member(name, values, negated):
    """`in` or `not in`; of an empty list it is a constant, whatever the field holds."""
    text = f"{name} {'not in' if negated else 'in'} {literal(values)}"
    if not values:
        return Condition(text, lambda row: negated)
    return of_value(name, text, lambda v: (v in values) != negated)


def like_regex(pattern):
    out, chars = "", iter(pattern)
    for char in chars:
        if char == "\\":
            out += re.escape(next(chars, "\\"))
        else:
            out += {"%": ".*", "_": "."}.get(char) or re.escape(char)
    return re.compile(out, re.DOTALL)


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


def on_number(field, rng):
    name, make = field.name, field.type.make
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
    if shape < 0.35:
        op = rng.choice(list(COMPARE))
        want = value.encode()
        return of_value(name, f"{name} {op} {literal(value)}", lambda v: COMPARE[op](v.encode(), want))
    if shape < 0.7:
        return like(name, name, rng)
    values = [rng.choice(WORDS) for _ in range(rng.randint(0, 4))]
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


def json_at(value, path):
    for key in path:
        if isinstance(key, str):
            if not isinstance(value, dict) or key not in value:
                return MISSING
        elif not isinstance(value, list) or key >= len(value):
            return MISSING
        value = value[key]
    return MISSING if value is None else value


def json_class(value):
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    return type(value).__name__


def same_json(left, right):
    """JSON equality: 1 == 1.0, but true is not 1, at any depth."""
    if json_class(left) != json_class(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same_json, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same_json(left[key], right[key]) for key in left)
    return left == right


def on_json(field, rng):
    name = field.name
    path = rng.choice([("a",), ("b",), ("n",), ("a", "c"), ("b", 0), ("missing",)])
    subject = name + "".join(f'["{key}"]' if isinstance(key, str) else f"[{key}]" for key in path)
    shape = rng.random()
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
}


def leaf(fields, rng):
    field = rng.choice(fields)
    if rng.random() < 0.12:
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
