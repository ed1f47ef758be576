"""The loop: write, crash at a random moment or a named place, start again, compare with the model."""

import dataclasses
import random
import threading
import time

from crash.model import Model, Violation
from crash.store import Corrupt
from crash.workload import ROWS, DdlWriter, RowWriter

# A call that failed this long before the crash failed by itself.
EARLY_S = 0.02
# How often it is looked whether a server that is to end by itself has ended.
LOOK_S = 0.005


@dataclasses.dataclass
class Report:
    cycles: int = 0
    violations: list = dataclasses.field(default_factory=list)
    early: list = dataclasses.field(default_factory=list)  # calls that failed on a live server
    acknowledged: dict = dataclasses.field(default_factory=dict)
    in_doubt: int = 0
    slowest_start_s: float = 0.0
    ended_at: dict = dataclasses.field(default_factory=dict)  # failpoint -> how often it ended there

    def verdict(self):
        """(exit status, sentence)."""
        kinds = [violation.kind for violation in self.violations]
        names = ("lost", "resurrected", "invented", "torn", "stale", "corrupt")
        figures = ", ".join(f"{kinds.count(name)} {name}" for name in names)
        total = sum(self.acknowledged.values())
        text = f"{self.cycles} cycles, {total} acknowledged, {self.in_doubt} in doubt: {figures}"
        if self.violations:
            return 1, f"VIOLATED: {text}"
        missing = {"upsert", "insert", "delete", "create_collection"} - set(self.acknowledged)
        if missing:
            return 2, f"INCONCLUSIVE: no {', '.join(sorted(missing))} was acknowledged; {text}"
        if self.early:
            return 3, f"UNCLEAN: {len(self.early)} calls failed while the server was up; {text}"
        return 0, f"HELD: {text}"


class Loop:
    """`control` has start(), kill(), crash_while_starting(seconds) and store(), and with `failpoints`
    arm(text or None) for the next start and has_ended()."""

    def __init__(
        self, control, cycles, seconds, seed, writers=4, ddl_writers=2, say=print, failpoints=()
    ):
        self.control, self.cycles, self.seconds, self.say = control, cycles, seconds, say
        self.failpoints, self.armed = list(failpoints), None
        self.writers, self.ddl_writers = writers, ddl_writers
        self.random = random.Random(seed)
        self.model = Model()
        self.report = Report(acknowledged=self.model.acknowledged)

    def run(self):
        self.control.start()
        self.prepare()
        for _ in range(self.cycles):
            self.write_until_crash()
            if self.random.random() < 0.1:
                self.control.crash_while_starting(self.random.uniform(0.0, 0.3))
            took = self.start_again()
            self.report.slowest_start_s = max(self.report.slowest_start_s, took)
            found = self.compare()
            self.report.cycles += 1
            self.report.violations += found
            if found:
                break
        return self.report

    def start_again(self):
        """Starts the server, every other time with a place to end at; gives the time it took."""
        self.armed = None
        if self.failpoints and self.random.random() < 0.5:
            name, count = self.random.choice(self.failpoints), self.random.choice((1, 1, 2, 3, 8, 30))
            self.armed = name
            self.control.arm(f"{name}={count}")
            began = time.monotonic()
            if self.control.start_or_end():
                return time.monotonic() - began
            self.count_end()  # it came by that place while it started
        if self.failpoints:
            self.control.arm(None)
            self.armed = None
        began = time.monotonic()
        self.control.start()
        return time.monotonic() - began

    def count_end(self):
        self.report.ended_at[self.armed] = self.report.ended_at.get(self.armed, 0) + 1

    def wait_for_crash(self, stop):
        """Until it is time to kill the server (False), or it has ended where it was told to (True)."""
        deadline = time.monotonic() + self.random.uniform(0.05, self.seconds)
        if self.armed is None:
            stop.wait(deadline - time.monotonic())
            return False
        while time.monotonic() < deadline + self.seconds:
            if self.control.has_ended():
                self.count_end()
                return True
            time.sleep(LOOK_S)
        return False

    def prepare(self):
        store = self.control.store()
        op = self.model.number()
        steps = [
            ("create_collection", {("collection", ROWS): op}, lambda: store.create_collection(ROWS, op)),
            ("load", {("load", ROWS): 1}, lambda: store.load(ROWS)),
        ]
        for kind, effects, call in steps:
            operation = self.model.begin(op, kind, effects)
            call()
            self.model.acknowledge(operation)
        store.close()

    def write_until_crash(self):
        stop = threading.Event()
        threads = []
        for kind, count in ((RowWriter, self.writers), (DdlWriter, self.ddl_writers)):
            for index in range(count):
                label = f"{kind.__name__}{index}"
                seed = self.random.random()
                try:
                    store = self.control.store()
                except Exception:
                    if self.armed is None or not self.control.has_ended():
                        raise
                    continue  # ended where it was told to, before this one wrote
                threads.append(kind(label, store, self.model, seed, stop, index))
        for thread in threads:
            thread.start()
        has_ended = self.wait_for_crash(stop)
        killed_at = time.monotonic()
        self.control.kill()
        stop.set()
        for thread in threads:
            thread.store.close()  # ends the client's own retries
        for thread in threads:
            thread.join(30)
            if thread.is_alive():
                raise RuntimeError(f"{thread.name} did not return from a call within 30 s")
        failures = [thread.failure for thread in threads if thread.failure]
        self.report.in_doubt += len(failures)
        # Nobody knows when exactly a server ended by itself.
        if not has_ended:
            self.report.early += [f for f in failures if f.at < killed_at - EARLY_S]

    def compare(self):
        """What the server shows against the model. One that comes by its failpoint meanwhile is started
        again, without one."""
        found = self.observe()
        if found and self.armed is not None and self.control.has_ended():
            self.count_end()
            self.control.kill()
            self.control.arm(None)
            self.armed = None
            self.control.start()
            found = self.observe()
        return found

    def observe(self):
        try:
            store = self.control.store()
        except Exception as error:  # whatever a client that cannot connect raises
            return [Violation("corrupt", ("server",), "a connection", str(error))]
        try:
            found = self.model.compare(store.observe())
            self.model.assume(store.loaded_here)
            return found
        except Corrupt as corrupt:
            return [Violation("corrupt", ("server",), "consistent answers", str(corrupt))]
        finally:
            store.close()
