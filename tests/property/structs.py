"""Struct arrays with sub-fields `n` and `w`: quantifiers, element filters, and arrays of a sub-field."""

from .logic import COMPARE, Condition, both, either, like_regex, negate
from .templates import slot
from .values import WORDS


def make(rng):
    return [{"n": rng.randint(-3, 3), "w": rng.choice(WORDS[:6])} for _ in range(rng.choice([0, 1, 2, 3, 5]))]


def on_element(rng, depth=2):
    """A condition on one element."""
    which = rng.random()
    if depth and which < 0.3:
        children = [on_element(rng, depth - 1) for _ in range(2)]
        return (both if which < 0.15 else either)(children)
    if depth and which < 0.4:
        return negate(on_element(rng, depth - 1))
    op = rng.choice(list(COMPARE))
    if which < 0.6:
        value = rng.randint(-3, 3)
        return Condition(f"$[n] {op} {slot(value)}", lambda e: COMPARE[op](e["n"], value))
    if which < 0.7:
        values = [rng.randint(-3, 3) for _ in range(rng.randint(1, 3))]
        return Condition(f"$[n] in {slot(values)}", lambda e: e["n"] in values)
    if which < 0.8:
        regex, pattern = like_regex("a%"), "a%"
        return Condition(f"$[w] like {slot(pattern)}", lambda e: bool(regex.fullmatch(e["w"])))
    word = rng.choice(WORDS[:6])
    return Condition(f"$[w] {op} {slot(word)}", lambda e: COMPARE[op](e["w"].encode(), word.encode()))


def on_struct(field, rng):
    name, which = field.name, rng.random()
    if which < 0.15:
        op, count = rng.choice(list(COMPARE)), rng.randint(0, 4)
        return Condition(f"array_length({name}[n]) {op} {count}", lambda row: COMPARE[op](len(row[name]), count))
    if which < 0.3:
        word = rng.choice(WORDS[:6])
        return Condition(f"array_contains({name}[w], {slot(word)})", lambda row: any(e["w"] == word for e in row[name]))
    element, count = on_element(rng), rng.randint(1, 3)
    call, test = rng.choice(
        [
            ("match_any", lambda hits, all: hits > 0),
            ("match_all", lambda hits, all: hits == all),
            ("match_least", lambda hits, all: hits >= count),
            ("match_most", lambda hits, all: hits <= count),
            ("MATCH_EXACT", lambda hits, all: hits == count),
        ]
    )
    threshold = f", threshold={count}" if call.lower()[6:] in ("least", "most", "exact") else ""
    return Condition(f"{call}({name}, {element.text}{threshold})", lambda row: test(hits(row[name], element), len(row[name])))


def hits(elements, condition):
    return sum(condition.truth(element) is True for element in elements)


def filtered(field, rng, condition):
    """`condition` and an element filter, which stands last at the top."""
    element, name = on_element(rng), field.name
    text = f"({condition.text}) and element_filter({name}, {element.text})"
    return Condition(text, lambda row: condition.truth(row) is True and hits(row[name], element) > 0)
