"""Loss of power, as far as one machine can show it: after a kill, what was not synced is taken away.

A small library (synced.c, built here with the system's cc) notes every file that the server has
synced, and how long it was then. `lose` cuts the files of the log back to that, and empties objects
that were never synced. The catalogue is left as it is: it changes in place.
"""

import pathlib
import subprocess

SOURCE = pathlib.Path(__file__).with_name("synced.c")
# What changes in place, or is nobody's data.
SPARED = {"meta.redb", "LOCK", ".commit.lock"}


class Power:
    def __init__(self, folder):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.library, self.notes = folder / "synced.so", folder / "synced"
        build = ["cc", "-shared", "-fPIC", "-O1", "-o", self.library, SOURCE, "-ldl"]
        subprocess.run([str(part) for part in build], check=True)

    @property
    def env(self):
        return {"LD_PRELOAD": str(self.library), "MILVUS_SYNCED": str(self.notes)}

    def lose(self, data_dir):
        """Takes away what was not durable under `data_dir`; gives how many files lost something."""
        synced = {}
        if self.notes.exists():
            for line in self.notes.read_text().splitlines():
                device, inode, size = map(int, line.split())
                key = (device, inode)
                synced[key] = max(size, synced.get(key, 0))
        lost = 0
        for path in pathlib.Path(data_dir).rglob("*"):
            if not path.is_file() or path.name in SPARED:
                continue
            stat = path.stat()
            durable = synced.get((stat.st_dev, stat.st_ino), 0)
            if stat.st_size > durable:
                with open(path, "r+b") as file:
                    file.truncate(durable)
                lost += 1
        return lost
