"""Where figures come from: the machine, the commit, the data; and the program that measures."""

import json
import os
import pathlib
import platform
import subprocess

import devenv


def build():
    """Builds `milvus-bench`."""
    devenv.require_tools()
    if devenv.run(["cargo", "build", "--quiet", "--release", "--package", "milvus-bench"]) != 0:
        raise devenv.Problem("milvus-bench did not build")


def command(name, *arguments):
    """What a command of `milvus-bench` says."""
    binary = devenv.TARGET / "release" / "milvus-bench"
    done = subprocess.run(
        [str(part) for part in (binary, name, *arguments)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )
    if done.returncode != 0:
        raise devenv.Problem(f"milvus-bench {name} failed")
    return json.loads(done.stdout)


def cpu():
    """The name of the CPU and how many there are."""
    name = platform.machine()
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            name = line.split(":", 1)[1].strip()
            break
    return f"{name}, {os.cpu_count()} CPUs"


def commit():
    shown = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=devenv.ROOT, capture_output=True, text=True
    )
    return shown.stdout.strip() or "unknown"


def shape_of(folder):
    """(rows, dimensions) of the base, from the header of its file."""
    with open(folder / "base.npy", "rb") as file:
        header = file.read(256).decode("latin-1")
    rows, dim = header.split("'shape': (", 1)[1].split(")", 1)[0].split(",")[:2]
    return int(rows), int(dim)


def describe(folder):
    """What belongs beside every figure."""
    rows, dim = shape_of(folder)
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    return {
        "machine": cpu(), "commit": commit(), "data": folder.name, "rows": rows, "dim": dim,
        "metric": meta["metric"].split()[0], "seed": meta.get("seed"), "load": os.getloadavg()[0],
    }
