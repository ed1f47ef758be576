"""Microsoft's emulator of Azure Blob Storage for tests: installed once with npm into the cache folder.

The tests of the object store start it themselves, on a free port, and end it.
MILVUS_TEST_AZURITE names a finished `azurite-blob`.
"""

import os
import pathlib
import shutil
import sys
import tempfile

import devenv

VERSION = "3.37.0"


def program():
    """The path of `azurite-blob`; installs it if there is none, which takes minutes."""
    given = os.environ.get("MILVUS_TEST_AZURITE")
    if given:
        if not os.access(given, os.X_OK):
            raise devenv.Problem(f"MILVUS_TEST_AZURITE={given} is not an executable")
        return pathlib.Path(given)
    folder = devenv.CACHE / "azurite"
    installed = folder / VERSION / "node_modules" / ".bin" / "azurite-blob"
    if installed.exists():
        return installed
    for tool, package in (("node", "nodejs"), ("npm", "npm")):
        if not shutil.which(tool):
            devenv.apt_install(package, f"`{tool}` is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    print(f"installing Azurite {VERSION} in {folder}", file=sys.stderr, flush=True)
    unfinished = pathlib.Path(tempfile.mkdtemp(dir=folder))
    try:
        flags = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        command = ["npm", "install", "--prefix", unfinished, *flags, f"azurite@{VERSION}"]
        if devenv.run(command) != 0:
            raise devenv.Problem("Azurite could not be installed")
        # Whoever is quicker wins; what they install is the same.
        if not installed.exists():
            os.replace(unfinished, folder / VERSION)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return installed
