#!/usr/bin/env python3
"""Makes the data sets of the benches: folders with base.npy, query.npy, gt100.npy, gt100_dist.npy, meta.json.

    bench/data.py --out FOLDER                           minilm, sift and synth
    bench/data.py --out FOLDER --sets minilm --source F  F: a folder with base_f16.npy and query_f16.npy

minilm  sentence embeddings (all-MiniLM-L6-v2, 384 dimensions, unit length, inner product): the rows of --source,
        by default the 12,000 of examples/data
sift    SIFT descriptors (128 dimensions, squared distance) of the photographs in Debian's wallpaper packages;
        queries come from pictures that are not in the base. Needs apt-get and dpkg-deb, no root
synth   1,000,000 x 128 (squared distance): clusters in 32 hidden dimensions, mapped to 128, and noise; seeded

Exact answers are computed by `milvus-bench truth` and checked here against float64 for some of the queries.
meta.json names sources and seeds and has the SHA-256 of each array.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "bench")]

import devenv  # noqa: E402
import machine  # noqa: E402

SEED = 20251
QUERIES = 1000
SETS = ("minilm", "sift", "synth")
SPOT_CHECKS = 20


# ---------------------------------------------------------------- sentence embeddings


def minilm(options):
    import numpy

    base = numpy.load(options.source / options.base_name).astype(numpy.float32)
    queries = numpy.load(options.source / options.query_name).astype(numpy.float32)
    for vectors in (base, queries):
        vectors /= numpy.linalg.norm(vectors, axis=1, keepdims=True)
    about = {"metric": "ip", "source": "all-MiniLM-L6-v2, float16 widened, unit length"}
    return base, queries, about


# ---------------------------------------------------------------- photographs

PACKAGES = (
    "plasma-workspace-wallpapers gnome-backgrounds mate-backgrounds lomiri-wallpapers-16.04 "
    "lomiri-wallpapers-20.04 ukui-wallpapers sway-backgrounds"
).split()
LONGEST_SIDE = 2560
DESCRIPTORS_OF_A_PICTURE = 16_000
PICTURES = {".jpg", ".jpeg", ".png", ".webp"}


class Apt:
    """apt-get with lists and downloads in a folder of ours, so that nothing of the system changes."""

    def __init__(self, folder):
        self.folder = folder
        for part in ("lists/partial", "cache/archives/partial", "packages"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        self.command = ["apt-get", "-q"]
        for key, value in {
            "Dir::State::Lists": folder / "lists", "Dir::Cache": folder / "cache",
            "APT::Sandbox::User": "root", "Debug::NoLocking": "1",
        }.items():
            self.command += ["-o", f"{key}={value}"]

    def run(self, *arguments):
        try:
            subprocess.run([*self.command, *arguments], check=True, cwd=self.folder, stdout=subprocess.DEVNULL)
        except (OSError, subprocess.CalledProcessError) as error:
            raise devenv.Problem(f"set sift is made of Debian packages: {error}") from error

    def unpacked(self, package):
        target = self.folder / "packages" / package
        if not target.is_dir():
            if not any((self.folder / "lists").glob("*Packages*")):
                self.run("update")
            self.run("download", package)
            archive = max(self.folder.glob(f"{package}_*.deb"))
            subprocess.run(["dpkg-deb", "-x", archive, target], check=True)
            archive.unlink()
        return target


def pictures(apt):
    """One file for each picture, in a fixed order; of a picture at many sizes, the largest file."""
    found = {}
    for package in PACKAGES:
        for file in sorted(apt.unpacked(package).rglob("*")):
            if file.suffix.lower() not in PICTURES or file.is_symlink() or not file.is_file():
                continue
            sizes = "/wallpapers/" in str(file) and "/images" in str(file)
            key = file.parent if sizes else file
            if key not in found or file.stat().st_size > found[key].stat().st_size:
                found[key] = file
    return sorted(str(file) for file in found.values())


def descriptors(files):
    """The SIFT descriptors of each picture; pictures that look the same count once."""
    import cv2
    import numpy

    cv2.setRNGSeed(SEED)
    seen = set()
    for number, file in enumerate(files):
        picture = cv2.imread(file, cv2.IMREAD_GRAYSCALE)
        if picture is None or min(picture.shape) < 400:
            continue
        longest = max(picture.shape)
        if longest > LONGEST_SIDE:
            scale = LONGEST_SIDE / longest
            picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        small = cv2.resize(picture, (16, 16), interpolation=cv2.INTER_AREA)
        outline = (small > small.mean()).tobytes()
        if outline in seen:
            continue
        seen.add(outline)
        sift = cv2.SIFT_create(nfeatures=DESCRIPTORS_OF_A_PICTURE, contrastThreshold=0.01)
        found = sift.detectAndCompute(picture, None)[1]
        if found is not None:
            note(f"sift: picture {number + 1} of {len(files)}, {len(found)} descriptors")
            yield numpy.unique(found, axis=0)


def sift(options):
    import numpy

    random = numpy.random.default_rng(SEED)
    files = pictures(Apt(options.out.resolve() / ".work" / "apt"))
    random.shuffle(files)
    parts = list(descriptors(files))
    held_out = max(1, len(parts) // 10)
    queries = numpy.unique(numpy.concatenate(parts[-held_out:]), axis=0)
    base = numpy.unique(numpy.concatenate(parts[:-held_out]), axis=0)
    base = base[random.permutation(len(base))[: options.rows]]
    queries = queries[random.permutation(len(queries))[:QUERIES]]
    about = {"metric": "l2", "source": f"SIFT of {len(parts)} pictures in {' '.join(PACKAGES)}", "seed": SEED}
    return base.astype(numpy.float32), queries.astype(numpy.float32), about


# ---------------------------------------------------------------- clusters and noise

CLUSTERS, HIDDEN, DIM = 4096, 32, 128


def synth(options):
    import numpy

    random = numpy.random.default_rng(SEED)
    centres = random.standard_normal((CLUSTERS, HIDDEN), numpy.float32)
    spread = (0.5 * numpy.arange(1, HIDDEN + 1) ** -0.25).astype(numpy.float32)
    mapping = (random.standard_normal((HIDDEN, DIM)) / HIDDEN**0.5).astype(numpy.float32)
    sizes = numpy.arange(1, CLUSTERS + 1) ** -0.5
    sizes /= sizes.sum()

    def draw(count):
        own = centres[random.choice(CLUSTERS, count, p=sizes)]
        hidden = own + random.standard_normal((count, HIDDEN), numpy.float32) * spread
        return hidden @ mapping + 0.05 * random.standard_normal((count, DIM), numpy.float32)

    step = 100_000
    base = numpy.concatenate([draw(min(step, options.rows - at)) for at in range(0, options.rows, step)])
    source = f"{CLUSTERS} clusters in {HIDDEN} hidden dimensions, mapped to {DIM}, and noise of 0.05"
    return base, draw(QUERIES), {"metric": "l2", "source": source, "seed": SEED}


# ---------------------------------------------------------------- a folder


def save(folder, base, queries, about):
    import numpy

    folder.mkdir(parents=True, exist_ok=True)
    numpy.save(folder / "base.npy", base)
    numpy.save(folder / "query.npy", queries)
    meta = {"name": folder.name, **about, "rows": len(base), "dim": base.shape[1], "queries": len(queries)}
    write_meta(folder, meta)
    machine.command("truth", "--data", folder, "--threads", os.cpu_count())
    check(folder, base, queries, about["metric"])
    meta["sha256"] = {file.stem: digest(file) for file in sorted(folder.glob("*.npy"))}
    write_meta(folder, meta)
    note(f"{folder.name}: {base.shape[0]:,} x {base.shape[1]}, {len(queries)} queries in {folder}")


def check(folder, base, queries, metric):
    """Compares some of the exact answers with float64: no other row may be nearer than the last of ten."""
    import numpy

    rows, scores = numpy.load(folder / "gt100.npy"), numpy.load(folder / "gt100_dist.npy")
    for number in range(0, len(queries), max(1, len(queries) // SPOT_CHECKS)):
        query = queries[number].astype(numpy.float64)
        products = base @ query
        if metric == "l2":
            exact = (base.astype(numpy.float64) ** 2).sum(1) - 2 * products + query @ query
        else:
            exact = -products
        ours = exact[rows[number]]
        slack = 1e-4 * max(1.0, float(numpy.abs(ours).max()))
        better = (exact < ours[9] - slack).sum()
        worse = numpy.abs(ours - (scores[number] if metric == "l2" else -scores[number])).max()
        if better > 10 or worse > slack:
            raise devenv.Problem(f"{folder.name}: exact answers of query {number} are wrong")


def digest(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


def write_meta(folder, meta):
    (folder / "meta.json").write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")


def note(text):
    print(text, file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--sets", type=lambda text: text.split(","), default=list(SETS), help=",".join(SETS))
    parser.add_argument("--source", type=pathlib.Path, help="of minilm; default examples/data")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of sift (at most) and synth")
    options = parser.parse_args()
    unknown = set(options.sets) - set(SETS)
    if unknown:
        parser.error(f"set {' '.join(unknown)} is unknown; there are {', '.join(SETS)}")
    options.base_name = "base_f16.npy" if options.source else "vectors_f16.npy"
    options.query_name = "query_f16.npy" if options.source else "queries_f16.npy"
    options.source = options.source or ROOT / "examples" / "data"
    machine.build()
    for name in options.sets:
        make = {"minilm": minilm, "sift": sift, "synth": synth}[name]
        save(options.out / name, *make(options))


if __name__ == "__main__":
    if not all(importlib.util.find_spec(name) for name in ("numpy", "cv2")):
        python = devenv.venv("data")
        os.execv(python, [str(python), *sys.argv])
    main()
