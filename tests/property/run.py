"""Runs random programs in batches: growing, flushed, indexed, and after a restart.

    python -m property.run --server BINARY --programs 2000 --seed 1     (from the folder tests/)
"""

import argparse
import concurrent.futures
import pathlib
import random
import sys
import tempfile
import time

from harness.server import Server
from pymilvus import MilvusClient

from .program import Program

BATCH = 20
SIDE_BY_SIDE = 8
# Segments of a few rows get their indexes too: with the default nothing here would be indexed.
SETTINGS = {"MILVUS_CONF_INDEXCOORD_SEGMENT_MINSEGMENTNUMROWSTOENABLEINDEX": "1"}


def run_batch(server, prefix, seeds):
    """The complaints of one batch of programs; the server is restarted once in the middle."""
    wrong, kept = [], []
    client = MilvusClient(uri=server.uri)
    # A client waits half a second for every index: programs side by side wait together.
    with concurrent.futures.ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for found, seed, program, asked in pool.map(lambda seed: run_one(client, prefix, seed), seeds):
            wrong += found
            kept.append((seed, program, asked))
    client.close()
    if random.Random(seeds[0]).random() < 0.5:
        server.kill()
    else:
        server.stop()
    server.start()
    client = MilvusClient(uri=server.uri)
    for seed, program, asked in kept:
        wait_loaded(client, program.name)
        wrong += note(seed, program.check(client, asked, "restarted"))
        client.drop_collection(program.name)
    client.close()
    return wrong


def run_one(client, prefix, seed):
    """One program before the restart: its complaints, and what to ask again."""
    wrong = []
    program = Program.random(f"{prefix}_{seed}", random.Random(seed))
    program.create(client)
    program.write(client)
    asked = program.questions()
    wrong += note(seed, program.check(client, asked, "growing"))
    if program.rng.random() < 0.7:
        client.flush(program.name)
        wrong += note(seed, program.check(client, asked, "flushed"))
    program.add_indexes(client)
    client.refresh_load(program.name)
    wrong += note(seed, program.check(client, asked, "indexed"))
    if program.rng.random() < 0.4:
        program.alter(client)
        asked = program.questions()
        wrong += note(seed, program.check(client, asked, "altered"))
    if program.rng.random() < 0.5:
        program.write(client)
        asked = program.questions()
        wrong += note(seed, program.check(client, asked, "changed"))
    return wrong, seed, program, asked


def note(seed, complaints):
    return [f"seed {seed}, {text}" for text in complaints]


def wait_loaded(client, name):
    deadline = time.monotonic() + 30
    while "Loaded" not in str(client.get_load_state(name)["state"]):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{name} is not loaded after a restart")
        time.sleep(0.01)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", required=True)
    parser.add_argument("--programs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stop-after", type=int, default=20, help="complaints")
    args = parser.parse_args()
    wrong, done = [], 0
    with tempfile.TemporaryDirectory(prefix="milvus-property-") as folder:
        with Server(args.server, pathlib.Path(folder) / "data", env=SETTINGS) as server:
            while done < args.programs and len(wrong) < args.stop_after:
                first = args.seed + done
                seeds = range(first, first + min(BATCH, args.programs - done))
                found = run_batch(server, "p", seeds)
                for text in found:
                    print(text, flush=True)
                wrong += found
                done += len(seeds)
    print(f"{done} programs, {len(wrong)} wrong answers", flush=True)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
