"""The segment files of a running server, read by pyarrow: a user's data is the user's."""

import pyarrow as pa
import pytest
from pymilvus import DataType, MilvusClient

DIM = 8
ROWS = 300


@pytest.fixture(scope="module")
def flushed(server):
    """A flushed collection; the files that hold its rows."""
    client = MilvusClient(uri=server.uri)
    schema = client.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("title", DataType.VARCHAR, max_length=64, nullable=True)
    schema.add_field("tags", DataType.ARRAY, element_type=DataType.INT64, max_capacity=4)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    client.create_collection("books", schema=schema)
    client.insert("books", [row(n) for n in range(ROWS)])
    client.flush("books")
    client.close()
    found = sorted(server.data_dir.rglob("columns.arrow"))
    assert found, f"no segment files under {server.data_dir}"
    return found


def row(n):
    title = None if n % 5 == 0 else f"book {n} ä"
    tags = list(range(n % 4))
    return {"id": n, "title": title, "tags": tags, "vector": [n / 2] * DIM, "extra": n}


def test_pyarrow_reads_what_was_inserted(flushed):
    got = {}
    for path in flushed:
        with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
            table = reader.read_all()
            table.validate(full=True)
            for line in table.to_pylist():
                got[line["id"]] = line
    assert sorted(got) == list(range(ROWS))
    for n in range(ROWS):
        line, want = got[n], row(n)
        assert {key: line[key] for key in ("title", "tags", "vector")} == {
            key: want[key] for key in ("title", "tags", "vector")
        }
        assert line["$meta"] == f'{{"extra":{n}}}'
        assert line["$timestamp"] > 0


def test_columns_carry_their_fields(flushed):
    with pa.memory_map(str(flushed[0])) as source, pa.ipc.open_file(source) as reader:
        schema = reader.schema
    kinds = {field.name: (field.metadata or {}).get(b"milvus.data_type") for field in schema}
    assert kinds == {
        "id": b"Int64",
        "title": b"VarChar",
        "tags": b"Array",
        "vector": b"FloatVector",
        "$meta": b"JSON",
        "$timestamp": None,
    }
    assert schema.field("vector").type.list_size == DIM
    ids = [field.metadata[b"milvus.field_id"] for field in schema if field.metadata]
    assert len(set(ids)) == len(ids)
