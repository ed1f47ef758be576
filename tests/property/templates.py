"""Values in the text of a condition: written out, or as `{t0}` with the value beside the text."""

import json
import re

from .values import literal

SLOT = re.compile("\x01(.*?)\x02", re.DOTALL)


def slot(value):
    """`value` as a literal that `render` may put beside the text."""
    return f"\x01{literal(value)}\x02"


def render(text, templated):
    """The text that is sent, and the values of its templates."""
    if not templated:
        return SLOT.sub(lambda found: found[1], text), {}
    params = {}

    def name(found):
        value = json.loads(found[1])
        if not sendable(value):
            return found[1]
        key = f"t{len(params)}"
        params[key] = value
        return "{" + key + "}"

    return SLOT.sub(name, text), params


def sendable(value):
    """A list of several types is more than pymilvus makes a template of."""
    return not isinstance(value, list) or len({type(item) for item in value}) <= 1
