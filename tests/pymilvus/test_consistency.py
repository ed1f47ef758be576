"""What a read sees after a write, by consistency level."""

import time

import pytest
from pymilvus import MilvusClient, MilvusException
from support import count, make, rows, vector


@pytest.mark.parametrize("level", ["Strong", "Session"])
def test_read_your_writes(client, name, level):
    make(client, name)
    for i in range(20):
        client.insert(name, rows(1, first=i))
        assert count(client, name, consistency_level=level) == i + 1
        hits = client.search(name, [vector(i).tolist()], limit=1, consistency_level=level)[0]
        assert hits[0]["id"] == i


@pytest.mark.parametrize("level", ["Bounded", "Eventually"])
def test_other_levels_see_the_row_soon(client, name, level):
    make(client, name)
    client.insert(name, rows(5))
    deadline = time.monotonic() + 10
    while count(client, name, consistency_level=level) != 5:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_strong_sees_another_clients_write(server, client, name):
    make(client, name)
    other = MilvusClient(uri=server.uri)
    for i in range(10):
        other.insert(name, rows(1, first=i))
        assert count(client, name, consistency_level="Strong") == i + 1
    other.close()


def test_strong_sees_a_delete_at_once(client, name):
    make(client, name)
    client.insert(name, rows(20))
    for i in range(20):
        client.delete(name, ids=[i])
        assert count(client, name, consistency_level="Strong") == 19 - i
        hits = client.search(name, [vector(i).tolist()], limit=20, consistency_level="Strong")[0]
        assert i not in {hit["id"] for hit in hits}


def test_level_of_the_collection_is_the_default(client, name):
    make(client, name)  # Strong
    client.insert(name, rows(3))
    assert count(client, name) == 3
    assert client.describe_collection(name)["consistency_level"] == 0


def timestamp_ahead(seconds):
    return int((time.time() + seconds) * 1000) << 18


def test_a_timestamp_of_the_future_is_waited_for(client, name):
    make(client, name)
    client.insert(name, rows(3))
    began = time.monotonic()
    ahead = {"consistency_level": "Customized", "guarantee_timestamp": timestamp_ahead(0.5)}
    assert count(client, name, **ahead) == 3
    assert time.monotonic() - began >= 0.4
    far = {"consistency_level": "Customized", "guarantee_timestamp": timestamp_ahead(90_000)}
    with pytest.raises(MilvusException, match=r"lag\(\d+ s\) max\(86400 s\)"):
        count(client, name, **far, timeout=5)
