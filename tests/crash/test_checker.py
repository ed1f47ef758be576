"""The checker itself: it finds every planted bug, and finds nothing in a correct server."""

import random

import pytest
from crash.cycles import Loop
from crash.fake import BUGS, FakeServer, FakeStore
from crash.model import Model

SEEDS = (1, 2, 3)


class Control:
    """A FakeServer that crashes in the middle of some write or between writes."""

    def __init__(self, bug, seed):
        self.server = FakeServer(bug)
        self.random = random.Random(seed)

    def start(self):
        self.server.restart()
        if self.random.random() < 0.5:
            self.server.fail_in = self.random.randrange(100, 500)

    def crash_while_starting(self, seconds):
        self.server.crash()

    def kill(self):
        self.server.crash()

    def store(self):
        return FakeStore(self.server)


def run(bug, seed, cycles):
    loop = Loop(Control(bug, seed), cycles, seconds=0.1, seed=seed)
    # No failure is early here: the fake crashes by itself in the middle of a call.
    report = loop.run()
    report.early = []
    return report


@pytest.mark.parametrize("seed", SEEDS)
def test_correct_server_holds(seed):
    status, verdict = run(None, seed, cycles=12).verdict()
    assert status == 0, verdict


@pytest.mark.parametrize("bug", BUGS)
def test_planted_bug_is_found(bug):
    report = run(bug, seed=5, cycles=25)
    assert report.violations, f"{bug} went unnoticed for {report.cycles} cycles"
    assert report.verdict()[0] == 1


@pytest.fixture
def model():
    model = Model()
    done = model.begin(1, "insert", {("row", "t", key): 1 for key in (1, 2)})
    model.acknowledge(done)
    return model


def kinds(model, observed):
    return sorted(v.kind for v in model.compare({("row", "t", k): op for k, op in observed.items()}))


def test_acknowledged_rows_are_there(model):
    assert kinds(model, {1: 1, 2: 1}) == []


def test_missing_row_is_lost(model):
    assert kinds(model, {1: 1}) == ["lost"]


def test_row_nobody_wrote_is_invented(model):
    assert kinds(model, {1: 1, 2: 1, 3: 1}) == ["invented"]


def test_value_nobody_wrote_is_invented(model):
    assert kinds(model, {1: 1, 2: 9}) == ["invented"]


def test_deleted_row_that_is_back_is_resurrected(model):
    model.acknowledge(model.begin(2, "delete", {("row", "t", 2): None}))
    assert kinds(model, {1: 1, 2: 1}) == ["resurrected"]


def test_old_value_of_an_upserted_row_is_a_lost_update(model):
    model.acknowledge(model.begin(2, "upsert", {("row", "t", 2): 2}))
    assert kinds(model, {1: 1, 2: 1}) == ["lost"]


@pytest.mark.parametrize("observed", [{1: 1, 2: 1}, {}])
def test_operation_in_doubt_may_or_may_not_have_happened(model, observed):
    model.doubt(model.begin(2, "delete", {("row", "t", 1): None, ("row", "t", 2): None}))
    assert kinds(model, observed) == []


def test_half_an_operation_in_doubt_is_torn(model):
    model.doubt(model.begin(2, "delete", {("row", "t", 1): None, ("row", "t", 2): None}))
    assert kinds(model, {1: 1}) == ["torn"]


def test_after_a_comparison_doubts_are_settled(model):
    model.doubt(model.begin(2, "delete", {("row", "t", 1): None, ("row", "t", 2): None}))
    assert kinds(model, {}) == []
    assert kinds(model, {1: 1, 2: 1}) == ["resurrected", "resurrected"]


def test_no_writes_is_not_a_pass():
    loop = Loop(Control(None, 1), cycles=1, seconds=0.06, seed=1, writers=0, ddl_writers=0)
    assert loop.run().verdict()[0] == 2
