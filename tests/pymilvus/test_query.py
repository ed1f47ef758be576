"""Query, get and count: order, paging, output fields, refusals."""

import pytest
from support import count, ids, make, query_ids, refused, rows, vector


@pytest.fixture(scope="module")
def filled(shared_client):
    """100 rows: 60 flushed, 40 growing; row 7 and 77 deleted."""
    make(shared_client, "filled", dynamic=True)
    shared_client.insert("filled", rows(60, kind="flushed"))
    shared_client.flush("filled")
    shared_client.insert("filled", rows(40, first=60, kind="growing"))
    shared_client.delete("filled", ids=[7, 77])
    return "filled"


LIVE = [i for i in range(100) if i not in (7, 77)]


def test_query_is_in_key_order(client, filled):
    assert ids(client.query(filled, filter="id >= 0", output_fields=["id"])) == LIVE


def test_count_equals_query(client, filled):
    for expression in ("", "id < 50", "n >= 600", 'kind == "growing"', "id in [7, 8]"):
        found = client.query(filled, filter=expression, output_fields=["id"], limit=1000)
        assert count(client, filled, expression) == len(found), expression


def test_limit_and_offset(client, filled):
    found = client.query(filled, filter="id >= 10", limit=5, offset=3, output_fields=["id"])
    assert ids(found) == [13, 14, 15, 16, 17]


def test_offset_beyond_the_end(client, filled):
    assert list(client.query(filled, filter="id >= 0", limit=5, offset=98)) == []


def test_pages_cover_everything_once(client, filled):
    pages = [client.query(filled, filter="id >= 0", limit=15, offset=i * 15) for i in range(7)]
    assert [row["id"] for page in pages for row in page] == LIVE


def test_query_by_ids(client, filled):
    assert sorted(ids(client.query(filled, ids=[5, 7, 95]))) == [5, 95]


def test_get(client, filled):
    row = client.get(filled, ids=[5], output_fields=["text", "kind"])[0]
    assert row == {"id": 5, "text": "t5", "kind": "flushed"}
    assert list(client.get(filled, ids=[7])) == []


def test_output_star_has_every_field_and_the_dynamic_keys(client, filled):
    row = client.query(filled, filter="id == 3", output_fields=["*"])[0]
    assert set(row) == {"id", "n", "text", "vector", "kind"}
    assert row["vector"] == vector(3).tolist()


def test_output_vector(client, filled):
    row = client.query(filled, filter="id == 65", output_fields=["vector"])[0]
    assert row["vector"] == vector(65).tolist()


def test_output_dynamic_key_that_no_row_has(client, filled):
    row = client.query(filled, filter="id == 3", output_fields=["absent"])[0]
    assert row == {"id": 3}


def test_output_unknown_field_without_dynamic(client, name):
    make(client, name)
    with refused("field absent not exist"):
        client.query(name, filter="id >= 0", output_fields=["absent"])


def test_empty_filter_needs_a_limit(client, filled):
    with refused("empty expression should be used with limit"):
        client.query(filled, filter="", output_fields=["id"])


def test_count_with_limit_is_refused(client, filled):
    with refused("count entities with pagination is not allowed"):
        client.query(filled, filter="", output_fields=["count(*)"], limit=5)


@pytest.mark.parametrize(("limit", "offset"), [(16385, 0), (16384, 1)])
def test_window(client, filled, limit, offset):
    with refused("invalid max query result window"):
        client.query(filled, filter="id >= 0", limit=limit, offset=offset)


def test_unknown_collection(client):
    with refused("nothing", code=100):
        client.query("nothing", filter="id >= 0")


def test_query_iterator_sees_every_row_once(client, filled):
    iterator = client.query_iterator(filled, batch_size=17, filter="id >= 0", output_fields=["id"])
    seen = []
    for _ in range(20):
        page = iterator.next()
        if not page:
            break
        seen += ids(page)
    iterator.close()
    assert seen == LIVE


def test_empty_collection(client, name):
    make(client, name)
    assert count(client, name) == 0
    assert query_ids(client, name, "id >= 0") == []
