"""What a schema may be, and the exact words of the refusals."""

import pytest
from pymilvus import DataType
from support import DIM, refused, simple_schema


def create(client, name, schema):
    client.create_collection(name, schema=schema)


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        ("1abc", "the first character of a collection name must be an underscore or letter"),
        ("a-b", "can only contain numbers, letters and underscores"),
        ("a b", "can only contain numbers, letters and underscores"),
        ("n" * 256, "the length of a collection name must be less than 255 characters"),
    ],
)
def test_collection_name(client, bad, text):
    with refused(text, code=1100):
        create(client, bad, simple_schema(client))
    assert bad not in client.list_collections()


def test_collection_name_is_quoted_in_the_refusal(client):
    with refused("Invalid collection name: 1abc."):
        create(client, "1abc", simple_schema(client))


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        ("1f", "Invalid field name: 1f. "),
        ("a-b", "Invalid field name: a-b. "),
        ("and", "and is keyword in milvus."),
        ("like", "like is keyword in milvus."),
    ],
)
def test_field_name(client, name, bad, text):
    schema = simple_schema(client)
    schema.add_field(bad, DataType.INT64)
    with refused(text):
        create(client, name, schema)


@pytest.mark.parametrize(
    ("dim", "text"),
    [
        (1, "invalid dimension: 1. should be in range 2 ~ 32768"),
        (32769, "invalid dimension: 32769 of field vector. float vector dimension should be in"),
    ],
)
def test_dimension(client, name, dim, text):
    with refused(text):
        create(client, name, simple_schema(client, dim=dim))


@pytest.mark.parametrize("dim", [2, 32768])
def test_dimension_at_its_bounds(client, name, dim):
    create(client, name, simple_schema(client, dim=dim))
    assert client.has_collection(name)


@pytest.mark.parametrize("length", [0, 65536])
def test_max_length(client, name, length):
    schema = simple_schema(client)
    schema.add_field("s", DataType.VARCHAR, max_length=length)
    text = (
        "the maximum length specified for the field(s) should be in (0, 65535], "
        f"but got {length} instead"
    )
    with refused(text):
        create(client, name, schema)


def test_max_length_is_required(client, name):
    schema = simple_schema(client)
    schema.add_field("s", DataType.VARCHAR)
    with refused("type param(max_length) should be specified for the field(s) of collection"):
        create(client, name, schema)


def test_number_of_fields(client, name):
    schema = simple_schema(client)
    for number in range(61):
        schema.add_field(f"f{number}", DataType.INT64)
    with refused("maximum field's number should be limited to 64"):
        create(client, name, schema)


def test_sixty_four_fields_are_allowed(client, name):
    schema = simple_schema(client)
    for number in range(60):
        schema.add_field(f"f{number}", DataType.INT64)
    create(client, name, schema)
    assert len(client.describe_collection(name)["fields"]) == 64


def test_number_of_vector_fields(client, name):
    schema = simple_schema(client)
    for number in range(10):
        schema.add_field(f"v{number}", DataType.FLOAT_VECTOR, dim=DIM)
    with refused("maximum vector field's number should be limited to 10"):
        create(client, name, schema)


def test_a_vector_field_is_required(client, name):
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    with refused("schema does not contain vector field"):
        create(client, name, schema)


def test_duplicate_field(client, name):
    schema = simple_schema(client)
    schema.add_field("n", DataType.INT64)
    with refused("duplicated field name"):
        create(client, name, schema)


def test_shards(client, name):
    with refused("maximum shards's number should be limited to 16"):
        client.create_collection(name, schema=simple_schema(client), num_shards=17)


@pytest.mark.parametrize("bad", [DataType.BINARY_VECTOR, DataType.SPARSE_FLOAT_VECTOR])
def test_refused_schema_is_not_half_created(client, name, bad):
    """Whether or not these types are served: a refusal names the type and leaves nothing behind."""
    schema = simple_schema(client)
    schema.add_field("other", bad, **({} if bad == DataType.SPARSE_FLOAT_VECTOR else {"dim": 8}))
    try:
        create(client, name, schema)
    except Exception as error:
        assert bad.name.replace("_", "").lower() in str(error).replace("_", "").lower()
        assert not client.has_collection(name)
    else:
        assert client.has_collection(name)
