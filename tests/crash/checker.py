#!/usr/bin/env python3
"""Kills a real server with kill -9 at random moments, and checks that it kept its word.

Writers insert, upsert, delete by key and by expression, flush, and create and drop collections and
partitions. A model knows what was acknowledged and what is in doubt. After every crash the server
starts again by itself, and every row, count, partition and collection is compared with the model.

    tests/crash/checker.py --server target/release/milvus --cycles 200
    tests/crash/checker.py --server BIN --planted ack-before-append     (must be found: exit 1)

Exit status: 0 held, 1 violated, 2 inconclusive, 3 calls failed on a live server, 4 no start.
Needs pymilvus and numpy. One cycle takes about --seconds-per-cycle.
"""

import argparse
import logging
import os
import pathlib
import random
import shutil
import sys
import tempfile
import time

os.environ.setdefault("GRPC_VERBOSITY", "NONE")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from crash.cycles import Loop  # noqa: E402
from crash.store import PymilvusStore  # noqa: E402
from harness.server import Lite, Server, StartError  # noqa: E402

PLANTED = ("ack-before-append", "drop-last-on-replay", "lose-deletes")


class Control:
    """A server process on one folder; each start may have another port."""

    def __init__(self, make, timeout_s):
        self.make, self.timeout_s = make, timeout_s
        self.server = None

    def start(self):
        self.server = self.make()
        self.server.start(timeout_s=60)

    def crash_while_starting(self, seconds):
        self.server = self.make()
        try:
            self.server.start(timeout_s=seconds)
        except StartError:
            pass
        self.server.kill()

    def kill(self):
        self.server.kill()

    def store(self):
        return PymilvusStore(self.server.uri, self.timeout_s)


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
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--ddl-writers", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds for one call")
    parser.add_argument("--planted", choices=PLANTED, help="ask the server for a bug of this name")
    parser.add_argument("--folder", type=pathlib.Path, help="default: a temporary one")
    args = parser.parse_args()

    logging.disable(logging.CRITICAL)  # pymilvus logs each call that the crash cuts off
    seed = args.seed if args.seed is not None else random.SystemRandom().randrange(10**6)
    folder = args.folder or pathlib.Path(tempfile.mkdtemp(prefix="milvus-crash-"))
    env = {"MILVUS_PLANTED_BUG": args.planted} if args.planted else {}
    print(f"seed {seed}, {args.cycles} cycles, planted bug {args.planted or 'none'}", flush=True)

    def make():
        if args.lite:
            return Lite(sys.executable, folder / "data")
        return Server(args.server, folder / "data", env=env)

    control = Control(make, args.timeout)
    loop = Loop(
        control, args.cycles, args.seconds_per_cycle, seed, args.writers, args.ddl_writers
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
