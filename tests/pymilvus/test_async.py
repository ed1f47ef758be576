"""AsyncMilvusClient: the same round as the synchronous client, and calls side by side."""

import asyncio

from pymilvus import AsyncMilvusClient, DataType
from support import DIM, rows, vector


def run(server, work):
    async def main():
        client = AsyncMilvusClient(uri=server.uri)
        try:
            return await asyncio.wait_for(work(client), 60)
        finally:
            await client.close()

    return asyncio.run(main())


async def create(client, name):
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("n", DataType.INT64)
    schema.add_field("text", DataType.VARCHAR, max_length=32)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    await client.create_collection(
        name, schema=schema, index_params=index, consistency_level="Strong"
    )


def test_round(server, name):
    async def work(client):
        await create(client, name)
        await client.insert(name, rows(20))
        await client.upsert(name, [{**rows(1)[0], "text": "new"}])
        await client.delete(name, ids=[1])
        found = await client.query(name, filter="id < 3", output_fields=["text"])
        hits = await client.search(name, [vector(5).tolist()], limit=1)
        got = await client.get(name, ids=[5])
        return found, hits, got

    found, hits, got = run(server, work)
    assert [(row["id"], row["text"]) for row in found] == [(0, "new"), (2, "t2")]
    assert hits[0][0]["id"] == 5
    assert got[0]["text"] == "t5"


def test_many_at_once(server, name):
    async def work(client):
        await create(client, name)
        await asyncio.gather(*(client.insert(name, rows(10, first=i * 10)) for i in range(20)))
        searches = (client.search(name, [vector(i).tolist()], limit=1) for i in range(200))
        found = await asyncio.gather(*searches)
        return [hits[0][0]["id"] for hits in found]

    assert run(server, work) == list(range(200))


def test_drop(server, name):
    async def work(client):
        await create(client, name)
        await client.drop_collection(name)
        return await client.has_collection(name)

    assert run(server, work) is False
