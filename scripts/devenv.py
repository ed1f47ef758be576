"""What the scripts share: where things are built, virtual environments, and the server binary.

Needs nothing but Python's own library. Build outputs go to CARGO_TARGET_DIR, by default outside the
clone; virtual environments go to a cache folder, one for each set of requirements, and are reused.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("MILVUS_RS_CACHE") or pathlib.Path.home() / ".cache/milvus-rs")
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or CACHE / "target")
REQUIREMENTS = ROOT / "scripts" / "requirements"


class Problem(SystemExit):
    """Ends the script with a message a user can act on."""

    def __init__(self, message):
        print(f"error: {message}", file=sys.stderr)
        super().__init__(1)


def environment():
    return {**os.environ, "CARGO_TARGET_DIR": str(TARGET)}


def run(command, **options):
    """Runs a command without standard input; output goes where ours goes."""
    options.setdefault("env", environment())
    command = [str(part) for part in command]
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, **options).returncode


def require_tools():
    cargo_home = pathlib.Path(os.environ.get("CARGO_HOME") or pathlib.Path.home() / ".cargo")
    if not shutil.which("cargo") and (cargo_home / "bin" / "cargo").exists():
        os.environ["PATH"] += os.pathsep + str(cargo_home / "bin")
    if not shutil.which("cargo"):
        raise Problem("cargo is not installed: see https://rustup.rs")
    for tool in ("cc", "make"):
        if not shutil.which(tool):
            apt_install("build-essential", f"`{tool}` is not installed")


def apt_install(package, problem):
    """Installs a system package where we may (root on Debian), else says what to do."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"{problem}: installing {package}", flush=True)
        quiet = {"env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
        run(["apt-get", "update", "-qq"], **quiet)
        if run(["apt-get", "install", "-y", "-qq", package], **quiet) == 0:
            return
    raise Problem(f"{problem}: sudo apt-get install {package}")


def venv(name):
    """The Python of a virtual environment with `requirements/<name>.txt`; made once."""
    requirements = (REQUIREMENTS / f"{name}.txt").read_bytes()
    key = hashlib.sha256(requirements + sys.version.encode()).hexdigest()[:10]
    folder = CACHE / "venv" / f"{name}-{key}"
    python, ready = folder / "bin" / "python", folder / ".ready"
    if ready.exists() and python.exists():
        return python
    print(f"preparing Python packages ({name}) in {folder}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    make = [sys.executable, "-m", "venv", folder]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if run(make, **quiet) != 0:
        shutil.rmtree(folder, ignore_errors=True)
        apt_install("python3-venv", "Python cannot make virtual environments")
        if run(make) != 0:
            raise Problem("python3 -m venv failed")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if run([*pip, "--requirement", REQUIREMENTS / f"{name}.txt"]) != 0:
        raise Problem(f"pip could not install {name}.txt")
    ready.touch()
    return python


def program(name):
    """Builds a program of the workspace for tests and returns its path."""
    require_tools()
    if run(["cargo", "build", "--quiet", "--bin", name]) != 0:
        raise Problem(f"{name} did not build")
    return TARGET / "debug" / name


def server_binary(profile="release"):
    """Builds `milvus` and returns its path; MILVUS_BIN names a finished one instead."""
    given = os.environ.get("MILVUS_BIN")
    if given:
        if not os.access(given, os.X_OK):
            raise Problem(f"MILVUS_BIN={given} is not an executable")
        return pathlib.Path(given)
    require_tools()
    flags = ["--release"] if profile == "release" else ["--profile", profile]
    print(f"building the server ({profile}); the first build takes minutes", flush=True)
    if run(["cargo", "build", "--bin", "milvus", *flags]) != 0:
        raise Problem("the server did not build")
    return TARGET / ("debug" if profile == "dev" else profile) / "milvus"
