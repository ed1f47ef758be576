"""The process: what survives a restart, how it starts and ends, its admin port, its configuration."""

import json
import subprocess
import time

import pytest
from harness.server import Server, StartError
from pymilvus import MilvusClient, MilvusException
from support import count, local_files, make, query_ids, rows, vector


@pytest.fixture
def new(binary, tmp_path):
    """Makes servers on this test's own folder, and ends them."""
    made = []

    def new(**options):
        made.append(Server(binary, tmp_path / "data", **options))
        return made[-1]

    yield new
    for server in made:
        server.kill()


def fill(uri, name="kept"):
    """Rows 0..39 less 5; 0..29 flushed; 8 replaced; a partition; an index; loaded."""
    client = MilvusClient(uri=uri)
    make(client, name, index_type="HNSW", dynamic=True)
    client.create_partition(name, "p")
    client.insert(name, rows(30, kind="flushed"))
    client.flush(name)
    client.insert(name, rows(10, first=30, kind="growing"), partition_name="p")
    client.delete(name, ids=[5])
    client.upsert(name, [{**rows(1, first=8)[0], "text": "new"}])
    client.create_collection("dropped", dimension=8)
    client.drop_collection("dropped")
    client.close()


def check(uri, name="kept"):
    client = MilvusClient(uri=uri)
    assert client.list_collections() == [name]
    assert sorted(client.list_partitions(name)) == ["_default", "p"]
    assert client.get_load_state(name)["state"].name == "Loaded"
    assert client.describe_index(name, "vector")["index_type"] == "HNSW"
    live = [i for i in range(40) if i != 5]
    assert query_ids(client, name, "id >= 0", consistency_level="Strong") == live
    assert count(client, name) == 39
    assert count(client, name, partition_names=["p"]) == 10
    assert client.get(name, ids=[8])[0]["text"] == "new"
    assert client.get(name, ids=[35], output_fields=["kind"])[0]["kind"] == "growing"
    hits = client.search(name, [vector(17).tolist()], limit=40)[0]
    assert hits[0]["id"] == 17
    assert sorted(hit["id"] for hit in hits) == live
    client.close()


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_everything_survives_a_restart(new, end):
    server = new().start()
    fill(server.uri)
    if end == "terminate":
        assert server.stop() == 0
    else:
        server.kill()
    check(new().start().uri)


def test_two_restarts_in_a_row(new):
    server = new().start()
    fill(server.uri)
    server.kill()
    server = new().start()
    server.kill()
    check(new().start().uri)


@local_files
@pytest.mark.parametrize("name", ["columns.arrow", "keys.idx", "*.manifest", "*.vidx"])
def test_a_damaged_file_is_confined_and_reported(new, name):
    server = new().start()
    client = MilvusClient(uri=server.uri)
    for collection in ("sound", "hurt"):
        make(client, collection, index_type="HNSW")
        client.insert(collection, rows(1500))
        client.flush(collection)
        wait_for_index(client, collection)
    hurt_id = client.describe_collection("hurt")["collection_id"]
    client.close()
    server.kill()
    files = [f for f in (server.data_dir / "objects").rglob(name) if f"/{hurt_id}/" in str(f)]
    assert files, f"no {name} of collection {hurt_id}"
    for file in files:
        damaged = bytearray(file.read_bytes())
        damaged[len(damaged) // 2] ^= 0x10
        file.write_bytes(damaged)
    server = new().start()
    client = MilvusClient(uri=server.uri)
    assert count(client, "sound") == 1500
    assert client.search("sound", [vector(7).tolist()], limit=1)[0][0]["id"] == 7
    if name == "*.vidx":  # searched without its index, exactly
        assert client.search("hurt", [vector(7).tolist()], limit=1)[0][0]["id"] == 7
    else:
        with pytest.raises(MilvusException, match="checksum"):
            count(client, "hurt")
    log = server.log_text()
    assert any(file.name in log for file in files), "the damaged file is not named"
    client.close()


def wait_for_index(client, name, within_s=60):
    deadline = time.monotonic() + within_s
    while client.describe_index(name, "vector")["pending_index_rows"] > 0:
        assert time.monotonic() < deadline, "the index was not built"
        time.sleep(0.1)


def test_writes_go_on_after_a_restart(new):
    server = new().start()
    fill(server.uri)
    server.kill()
    server = new().start()
    client = MilvusClient(uri=server.uri)
    client.insert("kept", rows(5, first=100, kind="later"))
    client.delete("kept", ids=[35, 100])
    assert count(client, "kept", consistency_level="Strong") == 42
    client.close()
    server.kill()
    client = MilvusClient(uri=new().start().uri)
    assert count(client, "kept", "id >= 100", consistency_level="Strong") == 4
    assert count(client, "kept", consistency_level="Strong") == 42
    client.close()


def test_terminate_exits_zero(new):
    assert new().start().stop(timeout_s=20) == 0


def test_empty_start_is_quick(new):
    """The promise is 300 ms for a release build; this only catches a start that waits for something."""
    assert new().start().started_in < 5


def test_second_instance_on_the_same_folder_is_refused(new):
    first = new().start()
    with pytest.raises(StartError) as caught:
        new(args=[]).start(timeout_s=20)
    assert "data" in str(caught.value)
    assert "ended with" in str(caught.value)
    assert first.is_running()
    assert MilvusClient(uri=first.uri).get_server_version()


def test_port_in_use_is_named(new, binary, tmp_path):
    first = new().start()
    ended = subprocess.run(
        [binary, "run", "standalone", "--data-dir", tmp_path / "other", "--metrics-port", "0"]
        + ["--port", str(first.port)],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert ended.returncode != 0
    assert str(first.port) in ended.stdout + ended.stderr


@pytest.mark.parametrize("path", ["/healthz", "/livez"])
def test_health(new, path):
    assert new().start().admin(path)[0] == 200


def test_metrics_count_calls(new):
    server = new().start()
    fill(server.uri)
    status, text = server.admin("/metrics")
    assert status == 200
    assert "# TYPE " in text
    samples = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert any("insert" in line.lower() for line in samples)
    assert all(float(line.rsplit(" ", 1)[1]) is not None for line in samples)


def test_unknown_admin_path_is_404(new):
    assert new().start().admin("/nothing-here")[0] == 404


def test_json_logs_are_json(new):
    server = new(args=["--log-format", "json"]).start()
    fill(server.uri)
    server.stop()
    lines = [line for line in server.log_text().splitlines() if line.startswith("{")]
    assert lines
    assert all("level" in json.loads(line) for line in lines)


def refusal(binary, *args, config=None, folder=None):
    if config is not None:
        path = folder / "milvus.yaml"
        path.write_text(config)
        args = [*args, "--config", str(path)]
    command = [binary, "run", "standalone", "--data-dir", folder / "data", "--port", "0"]
    ended = subprocess.run(
        [*map(str, command), "--metrics-port", "0", *args],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert ended.returncode != 0
    return ended.stdout + ended.stderr


def test_a_slip_in_a_config_key_is_refused_with_the_key_that_was_meant(binary, tmp_path):
    text = refusal(binary, config="proxy:\n  maxNameLenght: 3\n", folder=tmp_path)
    assert "proxy.maxNameLenght" in text
    assert "did you mean proxy.maxNameLength" in text


def test_a_config_key_that_is_not_used_is_named_in_the_log(new, tmp_path):
    """Milvus's own file has hundreds of keys: one that is not used does no harm."""
    (tmp_path / "milvus.yaml").write_text("proxy:\n  timeTickInterval: 3\n")
    server = new(args=["--config", str(tmp_path / "milvus.yaml")]).start()
    assert "proxy.timeTickInterval" in server.log_text()


def test_wrong_config_value_is_named_with_what_was_expected(binary, tmp_path):
    text = refusal(binary, config="proxy:\n  maxNameLength: soon\n", folder=tmp_path)
    assert "maxNameLength" in text
    assert "soon" in text


def test_missing_config_file_is_named(binary, tmp_path):
    text = refusal(binary, "--config", str(tmp_path / "absent.yaml"), folder=tmp_path)
    assert "absent.yaml" in text


def test_config_file_is_used(new, tmp_path):
    (tmp_path / "milvus.yaml").write_text("proxy:\n  maxFieldNum: 3\n")
    client = MilvusClient(uri=new(args=["--config", str(tmp_path / "milvus.yaml")]).start().uri)
    with pytest.raises(Exception, match="limited to 3"):
        make(client, "four_fields", loaded=False)
    client.close()


def test_unknown_flag_is_explained(binary, tmp_path):
    assert "--no-such-flag" in refusal(binary, "--no-such-flag", folder=tmp_path)


@pytest.mark.parametrize(("flag", "text"), [("--help", "standalone"), ("--version", "milvus")])
def test_help_and_version(binary, flag, text):
    args = [binary, "run", "--help"] if flag == "--help" else [binary, flag]
    ended = subprocess.run(args, capture_output=True, text=True, timeout=20)
    assert ended.returncode == 0
    assert text in ended.stdout


def test_idle_server_uses_next_to_no_cpu(new):
    server = new().start()
    fill(server.uri)

    def cpu_ticks():
        with open(f"/proc/{server.pid}/stat") as stat:
            fields = stat.read().rsplit(") ", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    time.sleep(0.5)
    before = cpu_ticks()
    time.sleep(2)
    assert cpu_ticks() - before <= 20  # 10 % of one core, for slow debug builds
