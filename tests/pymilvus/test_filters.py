"""The filter language, each expression against the same predicate in Python."""

import pytest
from pymilvus import DataType
from support import DIM, count, query_ids, refused, vector

NAME = "filters"


def row(i):
    """Row i: every scalar type, a nullable field, a JSON document, and dynamic keys on some rows."""
    doc = {"a": i} if i % 3 else {"b": [i, i + 1], "s": f"x{i % 4}"}
    if i % 5 == 0:
        doc = {**doc, "deep": {"k": i % 2 == 0, "f": i / 2}}
    built = {
        "id": i,
        "i8": i % 100 - 50,
        "i16": i * 3,
        "i32": -i,
        "i64": i * 10**12,
        "f": i / 4,
        "d": i / 8,
        "b": i % 2 == 0,
        "s": f"name_{i:02d}" + ("%" if i == 9 else ""),
        "opt": None if i % 4 == 0 else i,
        "doc": doc,
        "vector": vector(i).tolist(),
    }
    if i % 2:
        built |= {"dyn": i, "word": f"w{i % 3}"}
    return built


ROWS = [row(i) for i in range(60)]

# Expression, and which rows it keeps.
CASES = [
    ("i8 > 0", lambda r: r["i8"] > 0),
    ("i16 <= 30", lambda r: r["i16"] <= 30),
    ("i32 < -50", lambda r: r["i32"] < -50),
    ("i64 == 3000000000000", lambda r: r["id"] == 3),
    ("i64 != 3000000000000", lambda r: r["id"] != 3),
    ("f >= 10.5", lambda r: r["f"] >= 10.5),
    ("f > 10", lambda r: r["f"] > 10),
    ("d < 1.125", lambda r: r["d"] < 1.125),
    ("b == true", lambda r: r["b"]),
    ("b == False", lambda r: not r["b"]),
    ("5 < id", lambda r: r["id"] > 5),
    ("5 < id <= 9", lambda r: 5 < r["id"] <= 9),
    ("9 >= id > 5", lambda r: 5 < r["id"] <= 9),
    ("0x10 <= id && id < 0b10100", lambda r: 16 <= r["id"] < 20),
    ("id + 3 == 10", lambda r: r["id"] == 7),
    ("id - 3 > 50", lambda r: r["id"] - 3 > 50),
    ("id * 2 < 11", lambda r: r["id"] * 2 < 11),
    ("id / 7 == 3", lambda r: r["id"] // 7 == 3),
    ("id % 7 == 3", lambda r: r["id"] % 7 == 3),
    ("id in [1, 2, 99]", lambda r: r["id"] in (1, 2)),
    ("id not in [1, 2]", lambda r: r["id"] not in (1, 2)),
    ("id in []", lambda r: False),
    ("id not in []", lambda r: True),
    ('s in ["name_01", "name_02"]', lambda r: r["id"] in (1, 2)),
    ("s == 'name_05'", lambda r: r["id"] == 5),
    ('s > "name_50"', lambda r: r["s"] > "name_50"),
    ('s like "name_1%"', lambda r: r["s"].startswith("name_1")),
    ('s like "%_03"', lambda r: r["id"] == 3),
    ('s like "%me_4%"', lambda r: 40 <= r["id"] < 50),
    ('s like "name_0_"', lambda r: r["id"] < 10 and r["id"] != 9),
    ('s like "%\\\\%"', lambda r: r["id"] == 9),
    ('not s like "name_0%"', lambda r: r["id"] >= 10),
    ("id < 5 or id > 55", lambda r: r["id"] < 5 or r["id"] > 55),
    ("id < 5 || id > 55 and b == true", lambda r: r["id"] < 5 or (r["id"] > 55 and r["b"])),
    ("(id < 5 or id > 55) AND b == true", lambda r: (r["id"] < 5 or r["id"] > 55) and r["b"]),
    ("not (id < 50)", lambda r: r["id"] >= 50),
    ("!(id < 50)", lambda r: r["id"] >= 50),
    ("NOT (id < 50 OR b == true)", lambda r: r["id"] >= 50 and not r["b"]),
    ("i16 == id", lambda r: r["id"] == 0),
    ("i16 > id", lambda r: r["id"] > 0),
    # Three-valued logic: a null operand is unknown, and only what is true passes.
    ("opt is null", lambda r: r["opt"] is None),
    ("opt is not null", lambda r: r["opt"] is not None),
    ("opt IS NULL", lambda r: r["opt"] is None),
    ("opt > 30", lambda r: r["opt"] is not None and r["opt"] > 30),
    ("not (opt > 30)", lambda r: r["opt"] is not None and not r["opt"] > 30),
    ("opt != 1", lambda r: r["opt"] is not None and r["opt"] != 1),
    ("opt not in [1, 2]", lambda r: r["opt"] is not None and r["opt"] not in (1, 2)),
    ("opt > 30 or id == 0", lambda r: (r["opt"] or 0) > 30 or r["id"] == 0),
    ("not (opt > 30 and id > 57)", lambda r: r["id"] <= 57 or not (r["opt"] or 99) > 30),
    # JSON: a missing path is false, except under != and not in.
    ('doc["a"] > 50', lambda r: r["doc"].get("a", 0) > 50),
    ('doc["a"] == 4', lambda r: r["doc"].get("a") == 4),
    ('doc["a"] == 4.0', lambda r: r["doc"].get("a") == 4),
    ('doc["a"] != 4', lambda r: r["doc"].get("a") != 4),
    ('not (doc["a"] > 50)', lambda r: not r["doc"].get("a", 0) > 50),
    ('doc["a"] in [4, 5, 6]', lambda r: r["doc"].get("a") in (4, 5)),
    ('doc["a"] not in [4, 5]', lambda r: r["doc"].get("a") not in (4, 5)),
    ('10 <= doc["a"] < 20', lambda r: 10 <= r["doc"].get("a", 0) < 20),
    ('doc["a"] + 1 == 5', lambda r: r["doc"].get("a") == 4),
    ('doc["b"][0] == 6', lambda r: r["doc"].get("b", [None])[0] == 6),
    ('doc["b"][1] > 50', lambda r: "b" in r["doc"] and r["doc"]["b"][1] > 50),
    ('doc["s"] == "x2"', lambda r: r["doc"].get("s") == "x2"),
    ('doc["s"] like "x%"', lambda r: "s" in r["doc"]),
    ('doc["deep"]["k"] == true', lambda r: r["doc"].get("deep", {}).get("k") is True),
    ('doc["deep"]["f"] > 20', lambda r: r["doc"].get("deep", {}).get("f", 0) > 20),
    ('doc["a"] == "4"', lambda r: False),
    ('exists doc["a"]', lambda r: "a" in r["doc"]),
    ('not exists doc["a"]', lambda r: "a" not in r["doc"]),
    ('exists doc["deep"]["k"]', lambda r: "deep" in r["doc"]),
    ('doc["a"] is null', lambda r: "a" not in r["doc"]),
    ('doc["a"] is not null', lambda r: "a" in r["doc"]),
    # Dynamic keys follow the JSON rules.
    ("dyn > 30", lambda r: r.get("dyn", 0) > 30),
    ("dyn == 31", lambda r: r.get("dyn") == 31),
    ("dyn != 31", lambda r: r.get("dyn") != 31),
    ('$meta["dyn"] == 31', lambda r: r.get("dyn") == 31),
    ('word in ["w0", "w2"]', lambda r: r.get("word") in ("w0", "w2")),
    ('word like "w%" and b == false', lambda r: "word" in r and not r["b"]),
    ("exists dyn", lambda r: "dyn" in r),
    ("nobody_has_this > 1", lambda r: False),
]

# Expression, and a part of the refusal.
REFUSED = [
    ("id >", "cannot parse expression: id >"),
    ("id === 3", "cannot parse expression: id === 3"),
    ("id And b", "cannot parse expression: id And b"),
    ("not id == 1", "not op can only be applied on boolean expression"),
    ("not id in [1]", "not op can only be applied on boolean expression"),
    ("id == 1.5", "cannot cast value to Int64"),
    ("s == 1", "comparisons between VarChar and Int64 are not supported"),
    ("id in 3", "the right-hand side of 'in' must be a list"),
    ('id in ["a"]', "in list cannot be casted to Int64"),
    ("id + 1", "predicate is not a boolean expression"),
    ("f % 2 == 1", "modulo can only apply on integer types"),
    ("id / 0 == 1", "division or modulus by zero"),
    ("id + i16 == 3", "not supported to do arithmetic operations between multiple fields"),
]


@pytest.fixture(scope="module", params=["growing", "flushed"])
def filtered(request, shared_client):
    client = shared_client
    client.drop_collection(NAME)
    schema = client.create_schema(auto_id=False, enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    for field in ("i8", "i16", "i32", "i64"):
        schema.add_field(field, getattr(DataType, f"INT{field[1:]}"))
    schema.add_field("f", DataType.FLOAT)
    schema.add_field("d", DataType.DOUBLE)
    schema.add_field("b", DataType.BOOL)
    schema.add_field("s", DataType.VARCHAR, max_length=32)
    schema.add_field("opt", DataType.INT64, nullable=True)
    schema.add_field("doc", DataType.JSON)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection(NAME, schema=schema, index_params=index, consistency_level="Strong")
    client.insert(NAME, ROWS)
    if request.param == "flushed":
        client.flush(NAME)
        client.release_collection(NAME)
        client.load_collection(NAME)
    return NAME


@pytest.mark.parametrize(("expression", "keeps"), CASES, ids=[case[0] for case in CASES])
def test_filter(client, filtered, expression, keeps):
    want = [r["id"] for r in ROWS if keeps(r)]
    assert query_ids(client, filtered, expression) == want
    assert count(client, filtered, expression) == len(want)


@pytest.mark.parametrize(("expression", "text"), REFUSED, ids=[case[0] for case in REFUSED])
def test_refused(client, filtered, expression, text):
    with refused(text, code=1100):
        client.query(filtered, filter=expression, output_fields=["id"])


def test_the_refusal_quotes_the_expression(client, filtered):
    with refused("cannot parse expression: id == 1.5, error: "):
        client.search(filtered, [vector(0).tolist()], limit=1, filter="id == 1.5")


def test_values_from_a_template(client, filtered):
    found = client.query(
        filtered,
        filter="id in {wanted} and s != {not_this}",
        filter_params={"wanted": [1, 2, 3], "not_this": "name_02"},
        output_fields=["id"],
    )
    assert sorted(r["id"] for r in found) == [1, 3]


def test_deeply_nested_filter_is_answered_or_refused_but_does_no_harm(client, filtered):
    deep = "(" * 3000 + "id > 0" + ")" * 3000
    try:
        client.query(filtered, filter=deep, limit=1)
    except Exception as error:
        assert "cannot parse expression" in str(error)
    assert count(client, filtered) == len(ROWS)


def test_search_with_filter_finds_k_rows_when_k_match(client, filtered):
    hits = client.search(filtered, [vector(1).tolist()], limit=10, filter="id % 5 == 0")[0]
    assert len(hits) == 10
    assert all(hit["id"] % 5 == 0 for hit in hits)
