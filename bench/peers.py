#!/usr/bin/env python3
"""Another library's index, measured pass by pass as a driver asks: the counterpart of `milvus-bench serve`.

    bench/peers.py --system hnswlib --data FOLDER        reads requests from standard input

Requests and answers are JSON objects, one a line: `build`, `knobs`, `run`, `batch`, `latency`, `cold`; their
fields are described in crates/bench/src/commands/serve.rs. Queries go to the library in one call of many, so that
Python costs nothing; single searches (`latency`) pay for it.

Every library gets what its documentation recommends: HNSW the M and efConstruction of ours, lists the same
nlist, quantised codes the same bytes and exact re-ranking of what they find.
"""

import argparse
import json
import os
import statistics
import sys
import time

import numpy

from systems import EF_CONSTRUCTION, M, nlist

SYSTEMS = {}


def system(*names):
    def register(kind):
        for name in names:
            SYSTEMS[name] = kind
        return kind

    return register


class Peer:
    """`build` over vectors, then `find` ids at a setting of `main` and `second`."""

    main, least, most = None, 1, 1
    second, values = None, None
    refine = [1, 2, 3, 4, 6, 8, 12, 16, 32]

    def __init__(self, name, metric, threads, work):
        self.name, self.metric, self.threads, self.work = name, metric, threads, work
        self.note = ""

    def size(self):
        """Bytes of the index with what it needs to answer, its copy of the vectors among them."""
        return None


@system("hnswlib")
class Hnswlib(Peer):
    main, least, most = "ef", 10, 4096

    def build(self, base):
        import hnswlib

        self.index = hnswlib.Index("ip" if self.metric == "ip" else "l2", base.shape[1])
        self.index.init_index(len(base), M=M, ef_construction=EF_CONSTRUCTION, random_seed=1)
        self.index.add_items(base, num_threads=self.threads)
        self.note = f"M={M} efConstruction={EF_CONSTRUCTION}"

    def find(self, queries, k, setting, threads):
        self.index.set_ef(setting["ef"])
        return self.index.knn_query(queries, k, num_threads=threads)[0]

    def size(self):
        return self.index.index_file_size()


FAISS = {
    "faiss-flat": "Flat",
    "faiss-hnsw": "HNSW{m},Flat",
    "faiss-hnsw-sq8": "HNSW{m},SQ8",
    "faiss-ivf-flat": "IVF{nlist},Flat",
    "faiss-ivf-sq8": "IVF{nlist},SQ8",
    "faiss-ivf-sq8-refine": "IVF{nlist},SQ8,RFlat",
    "faiss-ivf-pq": "IVF{nlist},PQ{eighth},RFlat",
    "faiss-ivf-pq-fastscan": "IVF{nlist},PQ{half}x4fs,RFlat",
    "faiss-ivf-rabitq": "RR{dim},IVF{nlist},RaBitQ,RFlat",
    "faiss-ivf-rabitq-fastscan": "RR{dim},IVF{nlist},RaBitQfs,RFlat",
}


@system(*FAISS)
class Faiss(Peer):
    def build(self, base):
        import faiss

        self.faiss = faiss
        faiss.omp_set_num_threads(self.threads)
        # Matrix products from 20 queries on. 1.15 does so from 128,000 on, several times slower for a hundred.
        faiss.cvar.distance_compute_blas_threshold = 20
        dim = base.shape[1]
        numbers = {"m": M, "nlist": nlist(len(base)), "dim": dim, "half": dim // 2, "eighth": dim // 8}
        self.note = FAISS[self.name].format(**numbers)
        metric = faiss.METRIC_INNER_PRODUCT if self.metric == "ip" else faiss.METRIC_L2
        self.index = faiss.index_factory(dim, self.note, metric)
        if "hnsw" in self.name:
            faiss.downcast_index(self.index).hnsw.efConstruction = EF_CONSTRUCTION
            self.main, self.least, self.most = "ef", 10, 4096
        elif "ivf" in self.name:
            self.main, self.most = "nprobe", numbers["nlist"]
        if not self.index.is_trained:
            self.index.train(base)
        self.index.add(base)
        self.refined = isinstance(self.index, faiss.IndexRefine)
        if self.refined:
            self.second, self.values = "refine_k", self.refine

    def parameters(self, setting):
        """faiss keeps pointers between parameter objects, so the inner ones must be kept alive."""
        faiss = self.faiss
        if "ef" in setting:
            return faiss.SearchParametersHNSW(efSearch=setting["ef"]), ()
        if "nprobe" not in setting:
            return None, ()
        plain_rabitq = self.name == "faiss-ivf-rabitq"
        kind = faiss.IVFRaBitQSearchParameters if plain_rabitq else faiss.SearchParametersIVF
        lists = kind(nprobe=setting["nprobe"], **({"qb": 8} if plain_rabitq else {}))
        if not self.refined:
            return lists, ()
        inner = lists
        if isinstance(faiss.downcast_index(self.index.base_index), faiss.IndexPreTransform):
            inner = faiss.SearchParametersPreTransform(index_params=lists)
        outer = faiss.IndexRefineSearchParameters(k_factor=setting["refine_k"], base_index_params=inner)
        return outer, (lists, inner)

    def find(self, queries, k, setting, threads):
        self.faiss.omp_set_num_threads(threads)
        params, kept = self.parameters(setting)
        found = self.index.search(queries, k, params=params)[1]
        del kept
        return found

    def size(self):
        return self.faiss.serialize_index(self.index).nbytes


@system("usearch-f32", "usearch-f16", "usearch-i8")
class Usearch(Peer):
    main, least, most = "ef", 10, 4096

    def build(self, base):
        from usearch.index import Index

        dtype = self.name.split("-")[1]
        ip = "cos" if dtype == "i8" else "ip"
        metric = ip if self.metric == "ip" else "l2sq"
        # Its bytes are floats in [-1, 1] times 127.
        self.scale = numpy.float32(1 / numpy.abs(base).max()) if dtype == "i8" else numpy.float32(1)
        self.index = Index(
            ndim=base.shape[1], metric=metric, dtype=dtype, connectivity=M, expansion_add=EF_CONSTRUCTION
        )
        self.index.add(numpy.arange(len(base)), base * self.scale, threads=self.threads)
        self.note = f"{dtype} {self.index.hardware_acceleration}"

    def find(self, queries, k, setting, threads):
        self.index.expansion_search = setting["ef"]
        return self.index.search(queries * self.scale, k, threads=threads).keys.reshape(len(queries), -1)

    def size(self):
        return self.index.serialized_length


@system("scann")
class Scann(Peer):
    main, least, most = "leaves", 1, 2048
    second = "reorder"
    values = [10, 20, 30, 40, 60, 80, 120, 160, 320]

    def build(self, base):
        import scann

        ip = self.metric == "ip"
        leaves = int(2 * len(base) ** 0.5)
        builder = scann.scann_ops_pybind.builder(base, 10, "dot_product" if ip else "squared_l2")
        builder = builder.tree(
            num_leaves=leaves, num_leaves_to_search=20, training_sample_size=min(len(base), 250_000)
        )
        builder = builder.score_ah(2, anisotropic_quantization_threshold=0.2 if ip else float("nan"))
        self.index = builder.reorder(200).set_n_training_threads(self.threads).build()
        self.most, self.note = leaves, f"leaves={leaves}, two dimensions a block"

    def find(self, queries, k, setting, threads):
        search = self.index.search_batched if threads == 1 else self.index.search_batched_parallel
        reorder, leaves = setting["reorder"], setting["leaves"]
        return search(queries, k, pre_reorder_num_neighbors=reorder, leaves_to_search=leaves)[0]


@system("svs-f32", "svs-f16", "svs-lvq")
class Svs(Peer):
    """LVQ is built where the wheel has it and the CPU is one it accepts; else the system is left out."""

    main, least, most = "window", 10, 4096

    def build(self, base):
        import svs

        ip = self.metric == "ip"
        parameters = svs.VamanaBuildParameters(graph_max_degree=64, window_size=200, alpha=0.95 if ip else 1.2)
        distance = svs.DistanceType.MIP if ip else svs.DistanceType.L2
        data = base
        if self.name == "svs-f16":
            data = base.astype(numpy.float16)
        elif self.name == "svs-lvq":
            path = f"{self.work}/svs-{os.getpid()}.fvecs"
            svs.write_vecs(base, path)
            loader = svs.VectorDataLoader(path, svs.DataType.float32, dims=base.shape[1])
            data = svs.LVQLoader(loader, primary=4, residual=8)
        self.index = svs.Vamana.build(parameters, data, distance, num_threads=self.threads)
        self.note = "Vamana R=64 window=200"

    def find(self, queries, k, setting, threads):
        self.index.search_window_size = setting["window"]
        if self.index.num_threads != threads:
            self.index.num_threads = threads
        return self.index.search(queries, k)[0]


@system("diskannpy-disk")
class DiskAnn(Peer):
    main, least, most = "search_list", 10, 4096

    def build(self, base):
        import diskannpy

        # Unit vectors: squared distances order as inner products do, and it has no disk index for these.
        self.folder = f"{self.work}/diskann-{os.getpid()}"
        os.makedirs(self.folder, exist_ok=True)
        budget = base.nbytes * 0.125 / 2**30
        diskannpy.build_disk_index(
            base, "l2", self.folder, complexity=100, graph_degree=56, search_memory_maximum=budget,
            build_memory_maximum=8, num_threads=self.threads, pq_disk_bytes=0,
        )
        self.index = diskannpy.StaticDiskIndex(self.folder, num_threads=1, num_nodes_to_cache=1000)
        self.note = "R=56 L=100, codes of an eighth of the vectors"

    def find(self, queries, k, setting, threads):
        found = self.index.batch_search(queries, k, setting["search_list"], beam_width=4, num_threads=threads)
        return found.identifiers

    def size(self):
        return sum(entry.stat().st_size for entry in os.scandir(self.folder))


class Served:
    """One system over one data set, answering requests."""

    def __init__(self, options):
        folder = options.data
        with open(f"{folder}/meta.json", encoding="utf-8") as file:
            word = json.load(file)["metric"].split()[0].lower()
        self.k = options.k
        self.base = numpy.load(f"{folder}/base.npy").astype(numpy.float32, copy=False)
        self.queries = numpy.load(f"{folder}/query.npy").astype(numpy.float32, copy=False)
        self.truth = truth(folder, self.k)
        metric = "l2" if word == "l2" else "ip"
        self.peer = SYSTEMS[options.system](options.system, metric, options.build_threads, options.work)

    def answer(self, request):
        return getattr(self, f"op_{request['op']}")(request)

    def op_build(self, _):
        before = resident_mb()
        wall, cpu = time.perf_counter(), time.process_time()
        self.peer.build(self.base)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        size = self.peer.size()
        return {
            "build_s": wall, "build_cpu_s": cpu, "build_threads": self.peer.threads,
            "resident_mb": resident_mb() - before, "index_mb": size / 2**20 if size else None,
            "vectors_mb": self.base.nbytes / 2**20, "note": self.peer.note,
        }

    def op_knobs(self, _):
        peer = self.peer
        return {key: getattr(peer, key) for key in ("main", "least", "most", "second", "values")}

    def op_run(self, request):
        return self.timed(self.queries, request.get("setting", {}), request.get("threads", 1))

    def op_batch(self, request):
        return self.timed(self.queries[: request["queries"]], {}, 1)

    def op_latency(self, request):
        times = []
        for query in self.queries:
            start = time.perf_counter()
            self.peer.find(query[None], self.k, request["setting"], 1)
            times.append((time.perf_counter() - start) * 1e6)
        return {"p50_us": statistics.median(times), "p99_us": statistics.quantiles(times, n=100)[98]}

    def op_cold(self, _):
        # Peers are measured as they were built: each has files of its own, or none.
        return {}

    def timed(self, queries, setting, threads):
        wall, cpu = time.perf_counter(), time.process_time()
        found = self.peer.find(queries, self.k, setting, threads)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        right = sum(len(want.intersection(row.tolist())) for want, row in zip(self.truth, found))
        recall = right / (self.k * len(queries))
        return {"recall": min(1.0, recall), "queries": len(queries), "wall_s": wall, "cpu_s": cpu}


def truth(folder, k):
    """The rows that count as one of the best k of each query: those that tie with the last, too."""
    rows = numpy.load(f"{folder}/gt100.npy")
    try:
        scores = numpy.load(f"{folder}/gt100_dist.npy")
        ends = (scores[:, k:] == scores[:, k - 1 : k]).cumprod(axis=1).sum(axis=1) + k
    except FileNotFoundError:
        ends = [k] * len(rows)
    return [set(row[:end].tolist()) for row, end in zip(rows, ends)]


def resident_mb():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--system", required=True, choices=SYSTEMS)
    parser.add_argument("--data", required=True)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--build-threads", type=int, default=2)
    parser.add_argument("--work", default="/tmp")
    options = parser.parse_args()
    # Libraries print as they build; answers must be alone on the pipe.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    served = Served(options)
    for line in sys.stdin:
        try:
            answer = served.answer(json.loads(line))
        except Exception as error:  # a peer that cannot is left out of the table, with its reason
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer, default=float), file=answers, flush=True)


if __name__ == "__main__":
    main()
