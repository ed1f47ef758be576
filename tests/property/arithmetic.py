"""`field op constant cmp constant` on integers, doubles and JSON numbers; regular expressions."""

import re

from .logic import COMPARE, MISSING, json_at, json_class, of_value
from .templates import slot

OPERATORS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
}


def quotient(a, b):
    """As in C, towards zero."""
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def remainder(a, b):
    """As in C, with the sign of the dividend."""
    return a - quotient(a, b) * b


def on_int(field, rng):
    name = field.name
    symbol = rng.choice(["+", "-", "*", "/", "%"])
    # 2**62 times 2 overflows: what that is nobody promises.
    operand = rng.choice([-1, 1] if symbol == "*" else [-7, -2, -1, 1, 2, 3, 7])
    apply = {**OPERATORS, "/": quotient, "%": remainder}[symbol]
    op, value = rng.choice(list(COMPARE)), rng.choice([rng.randint(-8, 8), 127, -(2**15)])
    text = f"{name} {symbol} {slot(operand)} {op} {slot(value)}"
    return of_value(name, text, lambda v: COMPARE[op](apply(v, operand), value))


def on_double(field, rng):
    name = field.name
    symbol, operand = rng.choice(["+", "-", "*", "/"]), rng.choice([0.25, 0.5, 2.0, -4.0, 2])
    apply = {**OPERATORS, "/": lambda a, b: a / b}[symbol]
    op, value = rng.choice(list(COMPARE)), rng.randint(-12, 12) / 4
    text = f"{name} {symbol} {slot(operand)} {op} {slot(value)}"
    return of_value(name, text, lambda v: COMPARE[op](apply(v, operand), value))


def on_json(name, subject, path, rng):
    symbol, operand = rng.choice(list(OPERATORS)), rng.choice([1, 2, -1, 0.5])
    # What is compared with takes the type of the operand.
    op, value = rng.choice(list(COMPARE)), rng.choice([0, 1, 2, 3] if operand != 0.5 else [0, 0.5, 2, 3])

    def compare(v):
        found = json_at(v, path)
        if found is MISSING or json_class(found) != "number":
            return op == "!="
        return COMPARE[op](OPERATORS[symbol](found, operand), value)

    return of_value(name, f"{subject} {symbol} {slot(operand)} {op} {slot(value)}", compare)


def on_text(field, rng):
    name, op = field.name, rng.choice(["=~", "!~"])
    pattern = rng.choice(["^a", "b$", "a.*b", "[ab]+", "^$", "z{2}", "^(ab|ba)", "^..$", "本", "a|_"])
    regex = re.compile(pattern, re.DOTALL)
    return of_value(name, f"{name} {op} {slot(pattern)}", lambda v: bool(regex.search(v)) == (op == "=~"))
