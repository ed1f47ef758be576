"""A few dozen random programs in every test run; `python -m property.run` makes thousands."""

import os
import pathlib

import pytest
from harness.server import Server
from pymilvus import MilvusClient

from . import conditions, run
from .run import SETTINGS, run_batch

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def server(tmp_path):
    path = os.environ.get("MILVUS_BIN")
    if not path or not os.access(path, os.X_OK):
        pytest.fail(f"MILVUS_BIN={path} is not an executable; scripts/test builds and sets it")
    running = Server(pathlib.Path(path), tmp_path / "data", env=SETTINGS).start()
    yield running
    running.kill()


def test_random_programs(server):
    assert run_batch(server, "p", range(1000, 1040)) == []


def test_the_checker_sees_a_wrong_model(server, monkeypatch):
    """A planted bug in the model, null as false, must be found: so would one in the server."""

    def planted(child):
        return conditions.Condition(f"not ({child.text})", lambda row: not child.truth(row))

    monkeypatch.setattr(conditions, "negate", planted)
    assert run_batch(server, "q", range(2000, 2010))


class Forgetful(MilvusClient):
    """Loses the last row of every answer."""

    def query(self, *args, **kwargs):
        return super().query(*args, **kwargs)[:-1] if "count(*)" not in kwargs["output_fields"] else super().query(*args, **kwargs)


class Inexact(MilvusClient):
    """Finds the nearest rows but one."""

    def search(self, *args, **kwargs):
        return [hits[1:] for hits in super().search(*args, **kwargs)]


@pytest.mark.parametrize("planted", [Forgetful, Inexact])
def test_the_checker_sees_a_wrong_answer(server, monkeypatch, planted):
    monkeypatch.setattr(run, "MilvusClient", planted)
    assert run_batch(server, "r", range(3000, 3002))
