#!/usr/bin/env python3
"""Kills a real server with kill -9 at random moments, and checks that it kept its word.

Writers insert, upsert, delete by key and by expression, flush, and create and drop collections and
partitions. A model knows what was acknowledged and what is in doubt. After every crash the server
starts again by itself, and every row, count, partition and collection is compared with the model.

    tests/crash/checker.py --server target/release/milvus --cycles 200
    tests/crash/checker.py --server BIN --planted ack-before-append     (must be found: exit 1)
    tests/crash/checker.py --server BIN --failpoints                    (ends at named places, too)

Exit status: 0 held, 1 violated, 2 inconclusive, 3 calls failed on a live server, 4 no start.
Needs pymilvus and numpy. One cycle takes about --seconds-per-cycle.
"""

import argparse
import logging
import os
import pathlib
import random
import re
import shutil
import signal
import sys
import tempfile
import time

os.environ.setdefault("GRPC_VERBOSITY", "NONE")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from crash.cycles import Loop  # noqa: E402
from crash.power import Power  # noqa: E402
from crash.store import PymilvusStore  # noqa: E402
from harness.server import Lite, Server, StartError, is_open  # noqa: E402

PLANTED = (
    "skip-sync",  # found with --power
    "ack-before-append",
    "drop-last-on-replay",
    "lose-deletes",
    "rename-on-timeout",
)


class Control:
    """A server process on one folder; each start may have another port."""

    def __init__(self, make, timeout_s, power=None):
        self.make, self.timeout_s, self.power = make, timeout_s, power
        self.server = None
        self.failpoint = None
        self.ports = set()

    def arm(self, failpoint):
        """Where servers started from now on end by themselves; None: nowhere."""
        self.failpoint = failpoint

    def next_server(self):
        self.server = self.make()
        self.server.asked_port = self.new_port()
        if self.failpoint:
            self.server.env["MILVUS_FAILPOINT"] = self.failpoint
        return self.server

    def new_port(self):
        """A free port that no server had before: gRPC keeps clients from one that refused it for up to two
        minutes, whoever has it by then. None that the system gives to clients."""
        while True:
            port = random.randrange(10_000, 32_768)
            if port not in self.ports and not is_open(port):
                self.ports.add(port)
                return port

    def start(self):
        self.next_server().start(timeout_s=60)

    def start_or_end(self):
        """Starts a server that may end at its failpoint before it listens: whether it listens."""
        try:
            self.start()
            return True
        except StartError:
            if self.server.is_running() or self.server.process.returncode != -signal.SIGABRT:
                raise
            self.kill()
            return False

    def has_ended(self):
        return not self.server.is_running()

    def crash_while_starting(self, seconds):
        try:
            self.next_server().start(timeout_s=seconds)
        except StartError:
            pass
        self.kill()

    def kill(self):
        self.server.kill()
        if self.power:
            self.power.lose(self.server.data_dir)

    def store(self):
        return PymilvusStore(self.server.uri, self.timeout_s)


def known_failpoints(binary):
    """The places the server can be told to end at; it names them when it is told an unknown one. Those of
    the kind of log that it does not write are left out."""
    other = "wal.local." if "MILVUS_TEST_S3" in os.environ else "wal.object."
    with tempfile.TemporaryDirectory(prefix="milvus-crash-") as folder:
        server = Server(binary, pathlib.Path(folder) / "data", env={"MILVUS_FAILPOINT": "?"})
        try:
            server.start(timeout_s=60)
        except StartError as error:
            found = re.search(r"want one of ([\w., -]+)", str(error))
            if found:
                return [name for name in found[1].split(", ") if not name.startswith(other)]
            raise
        finally:
            server.kill()
    raise SystemExit("the server knows no failpoints")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--server", metavar="BIN", help="the milvus binary")
    what.add_argument("--lite", action="store_true", help="milvus-lite of this Python, to compare")
    parser.add_argument("--cycles", type=int, default=200)
    parser.add_argument("--seconds-per-cycle", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=None, help="default: a random one, printed")
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--ddl-writers", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds for one call")
    parser.add_argument("--planted", choices=PLANTED, help="ask the server for a bug of this name")
    parser.add_argument(
        "--failpoints",
        nargs="*",
        metavar="NAME",
        help="every other run ends at one of these places; without names: at any there is",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="environment of the server"
    )
    parser.add_argument(
        "--power", action="store_true", help="a crash also takes away what was not synced"
    )
    parser.add_argument("--folder", type=pathlib.Path, help="default: a temporary one")
    args = parser.parse_args()

    logging.disable(logging.CRITICAL)  # pymilvus logs each call that the crash cuts off
    seed = args.seed if args.seed is not None else random.SystemRandom().randrange(10**6)
    folder = args.folder or pathlib.Path(tempfile.mkdtemp(prefix="milvus-crash-"))
    env = dict(pair.split("=", 1) for pair in args.set)
    if args.planted:
        env["MILVUS_PLANTED_BUG"] = args.planted
    print(f"seed {seed}, {args.cycles} cycles, planted bug {args.planted or 'none'}", flush=True)

    def make():
        if args.lite:
            return Lite(sys.executable, folder / "data")
        return Server(args.server, folder / "data", env=env)

    power = Power(folder / "power") if args.power else None
    if power:
        env |= power.env
    control = Control(make, args.timeout, power)
    failpoints = [] if args.failpoints is None else args.failpoints or known_failpoints(args.server)
    loop = Loop(
        control,
        args.cycles,
        args.seconds_per_cycle,
        seed,
        args.writers,
        args.ddl_writers,
        failpoints=failpoints,
    )
    began = time.monotonic()
    status, verdict = 4, "NOT STARTED"
    try:
        report = loop.run()
        status, verdict = report.verdict()
        for violation in sorted(report.violations, key=str)[:20]:
            print(f"  {violation}")
        for failure in report.early[:10]:
            print(f"  {failure.writer} {failure.kind} failed on a live server: {failure.error}")
        kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(report.acknowledged.items()))
        print(f"acknowledged: {kinds}")
        if report.ended_at:
            print("ended at: " + ", ".join(f"{n} {name}" for name, n in sorted(report.ended_at.items())))
        print(f"slowest start {report.slowest_start_s:.2f} s, {time.monotonic() - began:.0f} s in all")
    except StartError as error:
        verdict = f"NOT STARTED after {loop.report.cycles} cycles: {error}"
    finally:
        if control.server is not None:
            control.server.kill()
    if status == 0 and args.folder is None:
        shutil.rmtree(folder, ignore_errors=True)
    elif status:
        print(f"data and log are kept in {folder}")
    print(verdict)
    sys.exit(status)


if __name__ == "__main__":
    main()
