"""Clients other than the pymilvus of the test suites, each for one whole round against one server of its own.

Each program is a script of this folder that checks the answers itself and ends with `done`. Packages
come through npm, the Go proxy, Maven and pip, into the cache folder; a tool that is not installed
skips its program with a message.
"""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "scripts"))
import devenv  # noqa: E402

BUILD = devenv.CACHE / "sdk"
# Fetching packages on a slow line is not a hung test.
pytestmark = pytest.mark.timeout(900)


def need(tool, package):
    if shutil.which(tool):
        return
    try:
        devenv.apt_install(package, f"`{tool}` is not installed")
    except devenv.Problem:
        pass
    if not shutil.which(tool):
        pytest.skip(f"{tool} is not installed")


def run(command, folder, seconds=600):
    """Runs a command; its output is the message when it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}\n{done.stdout[-6000:]}"
    return done.stdout


def finished(output):
    assert output.rstrip().endswith("done"), output[-2000:]


def test_node(server):
    need("node", "nodejs")
    need("npm", "npm")
    folder = BUILD / "node"
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("package.json", "package-lock.json", "e2e.mjs"):
        shutil.copy(HERE / "node" / file, folder)
    run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], folder)
    finished(run(["node", "e2e.mjs", f"127.0.0.1:{server.port}"], folder, 120))


def test_go(server):
    need("go", "golang-go")
    BUILD.mkdir(parents=True, exist_ok=True)
    program = BUILD / "go-e2e"
    run(["go", "build", "-o", program, "."], HERE / "go")
    finished(run([program, f"127.0.0.1:{server.port}"], HERE, 120))


def test_java(server):
    need("java", "default-jdk-headless")
    need("mvn", "maven")
    folder = BUILD / "java"
    libraries = folder / "lib"
    run(
        ["mvn", "-q", "-B", f"-DbuildDirectory={folder}", "compile", "dependency:copy-dependencies",
         f"-DoutputDirectory={libraries}"],
        HERE / "java",
    )
    classpath = f"{folder / 'classes'}{os.pathsep}{libraries}/*"
    finished(run(["java", "-cp", classpath, "E2e", server.uri], HERE, 120))


@pytest.mark.parametrize("version", ["2.4", "2.5", "2.6", "3.0"])
def test_pymilvus(server, version):
    python = devenv.venv(f"pymilvus-{version}")
    finished(run([python, HERE / "python" / "pymilvus_round.py", server.uri], HERE, 120))


def test_langchain(server):
    python = devenv.venv("langchain")
    finished(run([python, HERE / "python" / "langchain_e2e.py", server.uri], HERE, 120))


def test_llama_index(server):
    python = devenv.venv("llama-index")
    finished(run([python, HERE / "python" / "llama_index_e2e.py", server.uri], HERE, 120))


def test_milvus_cli(server):
    python = devenv.venv("milvus-cli")
    finished(run([python, HERE / "python" / "milvus_cli_e2e.py", server.uri], HERE, 120))
