"""Structure over kills and restarts: time to live, schema changes, truncation, and limits of databases."""

import threading
import time

import pytest
from harness.server import Server
from pymilvus import DataType, MilvusClient, MilvusException
from support import count, make, query_ids, refused, rows, vector


@pytest.fixture
def new(binary, tmp_path):
    """Makes servers on this test's own folder, and ends them."""
    made = []

    def new():
        made.append(Server(binary, tmp_path / "data"))
        return made[-1]

    yield new
    for server in made:
        server.kill()


def test_time_to_live_is_not_longer_after_kills(new):
    for _ in range(4):
        server = new().start()
        client = MilvusClient(uri=server.uri)
        client.drop_collection("short")
        server.kill()
    server = new().start()
    client = MilvusClient(uri=server.uri)
    make(client, "short")
    client.alter_collection_properties("short", {"collection.ttl.seconds": 2})
    client.insert("short", rows(5))
    assert count(client, "short") == 5
    time.sleep(4)
    assert count(client, "short") == 0
    client.close()


def test_schema_changes_and_truncation_survive_a_kill(new):
    server = new().start()
    client = MilvusClient(uri=server.uri)
    make(client, "changed")
    client.insert("changed", rows(5))
    client.add_collection_field(
        "changed", "extra", DataType.INT64, nullable=True, default_value=7
    )
    client.insert("changed", [{**row, "extra": 8} for row in rows(5, first=5)])
    make(client, "emptied")
    client.insert("emptied", rows(5))
    client.flush("emptied")
    client.insert("emptied", rows(5, first=5))
    if hasattr(client, "truncate_collection"):
        client.truncate_collection("emptied")
    else:
        client.delete("emptied", filter="id >= 0")
    client.insert("emptied", rows(3, first=20))
    server.kill()

    server = new().start()
    client = MilvusClient(uri=server.uri)
    assert query_ids(client, "changed", "extra == 7") == [0, 1, 2, 3, 4]
    assert query_ids(client, "changed", "extra == 8") == [5, 6, 7, 8, 9]
    assert query_ids(client, "emptied", "id >= 0") == [20, 21, 22]
    client.close()


def test_writers_go_on_while_fields_are_added(client, server, name):
    make(client, name)
    stop, failures, written = threading.Event(), [], []

    def write(first):
        mine = MilvusClient(uri=server.uri)
        while not stop.is_set():
            try:
                mine.insert(name, rows(2, first=first))
                written.append(2)
                first += 2
            except Exception as error:
                failures.append(str(error))
        mine.close()

    writers = [threading.Thread(target=write, args=(number * 100_000,)) for number in (1, 2)]
    for writer in writers:
        writer.start()
    for number in range(4):
        field = f"f{number}"
        client.add_collection_field(
            name, field, DataType.INT64, nullable=True, default_value=number
        )
        time.sleep(0.3)  # a client tries a write again once, and not a second time
    stop.set()
    for writer in writers:
        writer.join()
    assert failures == []
    assert count(client, name, "f3 == 3") == sum(written)


def test_a_database_says_how_many_collections_it_holds(client, server):
    client.create_database("few", properties={"database.max.collections": 1})
    inside = MilvusClient(uri=server.uri, db_name="few")
    make(inside, "one", loaded=False)
    with refused("exceeded the limit number of collections", 102):
        make(inside, "two", loaded=False)
    client.alter_database_properties("few", {"database.max.collections": "many"})
    with refused("parse value of property fail, key:database.max.collections, value:many"):
        make(inside, "two", loaded=False)
    client.drop_database_properties("few", ["database.max.collections"])
    make(inside, "two", loaded=False)
    for collection in ("one", "two"):
        inside.drop_collection(collection)
    client.drop_database("few")
    inside.close()


@pytest.mark.skipif(not hasattr(MilvusClient, "drop_collection_field"), reason="pymilvus 3 and later")
def test_reads_go_on_while_a_field_comes_and_goes(server, client, name):
    make(client, name)
    client.insert(name, rows(50))
    client.flush(name)
    wrong, over = [], threading.Event()

    def read():
        reader = MilvusClient(uri=server.uri)
        while not over.is_set():
            try:
                assert len(reader.query(name, filter="id < 5", output_fields=["*"])) == 5
                assert len(reader.search(name, [vector(1).tolist()], limit=3, output_fields=["*"])[0]) == 3
            except (AssertionError, MilvusException) as error:
                wrong.append(error)
        reader.close()

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for _ in range(15):
        client.add_collection_field(name, "extra", DataType.INT64, nullable=True)
        client.drop_collection_field(name, "extra")
    over.set()
    for reader in readers:
        reader.join()
    assert not wrong


def test_an_index_is_known_by_the_name_that_was_sent(client, name):
    make(client, name)
    params = client.prepare_index_params()
    params.add_index("id", index_type="STL_SORT", index_name=" spaced ")
    client.create_index(name, params)
    assert client.describe_index(name, " spaced ")["index_type"] == "STL_SORT"
    client.drop_index(name, " spaced ")
    assert " spaced " not in client.list_indexes(name)
