"""Data and log that are not where they were: a server that would find nothing there does not start."""

import os
import shutil
import time
import uuid

import pytest
from harness.server import Server, StartError
from pymilvus import MilvusException

from faults.rows import Rows

S3 = os.environ.get("MILVUS_TEST_S3")


def refusal(server):
    with pytest.raises(StartError) as error:
        server.start()
    return str(error.value)


@pytest.mark.skipif(S3 is not None, reason="about logs in the data directory")
def test_another_kind_of_log_is_refused_and_the_rows_of_the_first_stay(binary, new):
    server = new().start()
    rows = Rows(server.uri)
    rows.create()
    assert rows.insert()
    server.kill()
    text = refusal(new(env={"MQ_TYPE": "woodpecker"}))
    assert "rocksmq" in text and "woodpecker" in text and "mq.type" in text, text
    server = new().start()
    rows.connect(server.uri)
    rows.check()


def test_another_place_of_data_is_refused(binary, tmp_path, new):
    server = new(env={"COMMON_STORAGETYPE": "local", "MQ_TYPE": "rocksmq"}).start()
    server.kill()
    remote = {"COMMON_STORAGETYPE": "remote", "MINIO_ADDRESS": "127.0.0.1:1"}
    text = refusal(new(env=remote))
    assert "a-bucket" in text or "milvus-tests" in text, text
    assert "the data directory" in text and "minio" in text, text


@pytest.mark.skipif(S3 is None, reason="needs an S3 server")
def test_a_bucket_of_another_installation_is_left_alone(binary, tmp_path):
    place = {"MINIO_ROOT_PATH": f"shared/{uuid.uuid4().hex}"}
    first = Server(binary, tmp_path / "first", env=place).start()
    try:
        rows = Rows(first.uri)
        rows.create()
        assert rows.insert()
        rows.flush()
        text = refusal(Server(binary, tmp_path / "second", env=place))
        assert "belongs to installation" in text and "minio.rootPath" in text, text
        first.kill()
        shutil.copytree(tmp_path / "first", tmp_path / "copy")
        first.start()
        rows.connect(first.uri)
        rows.check()
        first.kill()
        text = refusal(Server(binary, tmp_path / "copy", env=place))
        assert "belongs to installation" in text and "copy" in text, text
        first.start()
        rows.connect(first.uri)
        rows.check()
    finally:
        first.kill()


@pytest.mark.skipif(S3 is None, reason="needs an S3 server")
def test_another_bucket_is_refused(binary, tmp_path):
    place = {"MINIO_ROOT_PATH": f"one/{uuid.uuid4().hex}"}
    Server(binary, tmp_path / "data", env=place).start().kill()
    elsewhere = {**place, "MINIO_BUCKET_NAME": "another"}
    text = refusal(Server(binary, tmp_path / "data", env=elsewhere))
    assert "bucket another" in text, text


@pytest.mark.skipif(S3 is None, reason="needs an S3 server")
def test_a_server_whose_bucket_was_taken_over_removes_nothing_of_it(binary, tmp_path):
    place = {"MINIO_ROOT_PATH": f"taken/{uuid.uuid4().hex}"}
    first = Server(binary, tmp_path / "first", env=place).start()
    second = Server(binary, tmp_path / "second", env=place)
    try:
        rows = Rows(first.uri)
        rows.create()
        assert rows.insert()
        rows.flush()
        shutil.copytree(tmp_path / "first", tmp_path / "second")
        second.start()
        time.sleep(1.1)  # for which the first may believe that the bucket is its own
        try:
            rows.store.client.drop_collection(rows.name, timeout=10)
        except MilvusException:
            pass
        time.sleep(1)
        rows.connect(second.uri)
        rows.check()
        second.kill()
        second.start()
        rows.connect(second.uri)
        rows.check()
    finally:
        first.kill()
        second.kill()
