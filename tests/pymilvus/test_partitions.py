"""Partitions: create, list, drop, load and release, and rows that stay where they were put."""

import pytest
from support import count, make, query_ids, refused, rows, vector


@pytest.fixture
def parted(client, name):
    """Loaded; rows 0..9 in _default, 10..19 in `left`, 20..29 in `right`."""
    make(client, name)
    client.create_partition(name, "left")
    client.create_partition(name, "right")
    client.insert(name, rows(10))
    client.insert(name, rows(10, first=10), partition_name="left")
    client.insert(name, rows(10, first=20), partition_name="right")
    return name


def test_default_partition_is_listed(client, name):
    make(client, name, loaded=False)
    assert client.list_partitions(name) == ["_default"]


def test_create_list_has(client, name):
    make(client, name, loaded=False)
    client.create_partition(name, "p-1_a")
    assert sorted(client.list_partitions(name)) == ["_default", "p-1_a"]
    assert client.has_partition(name, "p-1_a")
    assert not client.has_partition(name, "p2")
    assert client.describe_collection(name)["num_partitions"] == 2


def test_create_twice_makes_one(client, name):
    make(client, name, loaded=False)
    client.create_partition(name, "p")
    client.create_partition(name, "p")
    assert client.list_partitions(name).count("p") == 1


@pytest.mark.parametrize("bad", ["a b", "p$", "(p)"])
def test_bad_name(client, name, bad):
    make(client, name, loaded=False)
    with refused(f"Invalid partition name: {bad}"):
        client.create_partition(name, bad)


def test_query_and_count_by_partition(client, parted):
    assert count(client, parted) == 30
    assert count(client, parted, partition_names=["left"]) == 10
    assert query_ids(client, parted, "id >= 15", partition_names=["left"]) == list(range(15, 20))
    assert count(client, parted, partition_names=["left", "right"]) == 20


def test_search_by_partition(client, parted):
    found = client.search(parted, [vector(3).tolist()], limit=30, partition_names=["right"])
    assert sorted(hit["id"] for hit in found[0]) == list(range(20, 30))


@pytest.mark.parametrize("operation", ["search", "query", "insert"])
def test_unknown_partition(client, parted, operation):
    with refused("nowhere"):
        if operation == "search":
            client.search(parted, [vector(3).tolist()], limit=3, partition_names=["nowhere"])
        elif operation == "query":
            client.query(parted, filter="id > 0", partition_names=["nowhere"])
        else:
            client.insert(parted, rows(1), partition_name="nowhere")


def test_delete_in_one_partition_only(client, parted):
    client.delete(parted, filter="n >= 0", partition_name="left")
    assert query_ids(client, parted, "id >= 0") == [*range(10), *range(20, 30)]


def test_partition_stats(client, parted):
    client.flush(parted)
    assert int(client.get_partition_stats(parted, "left")["row_count"]) == 10


def test_loaded_partition_is_not_dropped(client, parted):
    with refused("partition cannot be dropped, partition is loaded, please release it first"):
        client.drop_partition(parted, "left")
    assert count(client, parted, partition_names=["left"]) == 10


def test_drop_released_partition_drops_its_rows(client, parted):
    client.release_partitions(parted, ["left"])
    client.drop_partition(parted, "left")
    assert sorted(client.list_partitions(parted)) == ["_default", "right"]
    assert query_ids(client, parted, "id >= 0") == [*range(10), *range(20, 30)]


def test_recreated_partition_is_empty(client, parted):
    client.release_partitions(parted, ["left"])
    client.drop_partition(parted, "left")
    client.create_partition(parted, "left")
    client.load_partitions(parted, ["left"])
    assert count(client, parted, partition_names=["left"]) == 0


def test_default_partition_stays(client, name):
    make(client, name, loaded=False)
    with refused("default partition cannot be deleted"):
        client.drop_partition(name, "_default")


def test_drop_unknown_partition_succeeds(client, name):
    make(client, name, loaded=False)
    client.drop_partition(name, "nowhere")


def test_partition_of_unknown_collection(client):
    with refused("nothing", code=100):
        client.create_partition("nothing", "p")


def test_new_partition_of_a_loaded_collection_is_loaded(client, name):
    make(client, name)
    client.create_partition(name, "late")
    client.insert(name, rows(3), partition_name="late")
    assert count(client, name, partition_names=["late"]) == 3


def test_upsert_moves_nothing_between_partitions_of_other_keys(client, parted):
    client.upsert(parted, rows(1, first=12), partition_name="left")
    assert count(client, parted) == 30
    assert count(client, parted, partition_names=["left"]) == 10
