"""The preloaded library that makes files of a data directory fail, and its control file."""

import errno
import pathlib
import subprocess

SOURCE = pathlib.Path(__file__).with_name("shim.c")


def compile_shim(folder):
    """The library, made with the system's C compiler."""
    library = pathlib.Path(folder) / "fault_shim.so"
    command = ["cc", "-O1", "-shared", "-fPIC", "-o", library, SOURCE]
    subprocess.run([str(part) for part in command], check=True)
    return library


class Faults:
    """Faults of one server: `env` for its start, `begin` and `end` while it runs."""

    def __init__(self, library, folder, data_dir):
        self.control = pathlib.Path(folder) / "faults"
        self.control.write_text("")
        self.env = {
            "LD_PRELOAD": str(library),
            "FAULT_CONTROL": str(self.control),
            "FAULT_DIRECTORY": str(data_dir),
        }

    def begin(self, *faults):
        """Each fault is (operation, name of an errno or a negative number, part of a path)."""
        lines = []
        for operation, error, part in faults:
            number = error if isinstance(error, int) else getattr(errno, error)
            lines.append(f"{operation} {number} {part}\n")
        self._replace("".join(lines))

    def end(self):
        self._replace("")

    def _replace(self, text):
        # Never half written: the server reads it at every call.
        fresh = self.control.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self.control)
