"""What a condition is, and how unknown truth goes through `not`, `and` and `or`."""

import operator
import re

from .templates import slot as literal

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
