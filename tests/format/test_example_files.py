"""A segment file and its export, with a column of every type, read by pyarrow value by value."""

import pyarrow as pa
import pyarrow.parquet as pq

ARROW = {
    "n": pa.int64(),
    "flag": pa.bool_(),
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "single": pa.float32(),
    "double": pa.float64(),
    "text": pa.string(),
    "json": pa.string(),
    "at": pa.timestamp("us", "UTC"),
    "numbers": pa.list_(pa.field("item", pa.int64(), nullable=False)),
    "float_vector": pa.list_(pa.field("item", pa.float32(), nullable=False), 3),
    "half_vector": pa.list_(pa.field("item", pa.float16(), nullable=False), 2),
    "int8_vector": pa.list_(pa.field("item", pa.int8(), nullable=False), 2),
    "binary_vector": pa.binary(4),
    "sparse_vector": pa.binary(),
}


def plain(value):
    """A value of pyarrow as JSON has it."""
    if isinstance(value, bytes):
        return list(value)
    if isinstance(value, list):
        return [plain(element) for element in value]
    return value


def values(column):
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    return [plain(value) for value in column.to_pylist()]


def opened(path):
    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
        assert reader.num_record_batches == 1
        batch = reader.get_batch(0)
        batch.validate(full=True)
        return batch


def test_pyarrow_reads_every_column_of_a_segment_file(files):
    path, _, expected = files
    batch = opened(path)
    assert batch.schema.names == [*expected["rows"], "$timestamp"]
    for name, want in expected["rows"].items():
        column = batch.column(name)
        if name in ARROW:
            assert column.type == ARROW[name], name
        assert values(column) == want, name
    assert batch.column("$timestamp").to_pylist() == expected["timestamps"]
    metadata = batch.schema.field("float_vector").metadata
    assert metadata == {b"milvus.field_id": b"120", b"milvus.data_type": b"FloatVector"}


def test_pyarrow_maps_vectors_without_copying_them(files):
    path, _, _ = files
    before = pa.total_allocated_bytes()
    batch = opened(path)
    vectors = batch.column("float_vector").flatten().to_numpy(zero_copy_only=True)
    assert vectors.reshape(-1, 3)[2].tolist() == [2.0, 0.5, -1.0]
    assert vectors.ctypes.data % 64 == 0
    assert pa.total_allocated_bytes() - before < vectors.nbytes


def test_pyarrow_reads_the_live_rows_of_an_export(files):
    _, path, expected = files
    table = pq.read_table(path)
    table.validate(full=True)
    assert table.schema.names == list(expected["rows"])
    for name, want in expected["rows"].items():
        live = [value for row, value in enumerate(want) if row not in expected["dead"]]
        if name in ARROW:
            assert table.schema.field(name).type == ARROW[name], name
        assert values(table.column(name)) == live, name


def test_an_export_is_filtered_by_its_column_ranges(files):
    _, path, _ = files
    assert pq.read_table(path, filters=[("n", ">", 4)]).column("n").to_pylist() == [5]
    statistics = pq.ParquetFile(path).metadata.row_group(0).column(0).statistics
    assert (statistics.min, statistics.max) == (0, 5)
