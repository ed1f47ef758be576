"""Real sentences with their embeddings, out of examples/data, for the integrations.

The integrations want a function from text to vector; no model is loaded here: the function looks the
text up among the sentences that were embedded when the data was made.
"""

import gzip
import json
import pathlib

import numpy

DATA = pathlib.Path(__file__).resolve().parents[3] / "examples" / "data"
ROWS = 600


class Sentences:
    """`texts[i]` has vector `vectors[i]`; `queries` are texts that were embedded the same way."""

    def __init__(self):
        vectors = numpy.load(DATA / "vectors_f16.npy").astype(numpy.float32)[:ROWS]
        with gzip.open(DATA / "rows.jsonl.gz", "rt") as lines:
            self.rows = [json.loads(line) for line in lines][:ROWS]
        # Two rows may share a sentence; the number keeps texts apart.
        self.texts = [f"{number}: {row['text']}" for number, row in enumerate(self.rows)]
        self.queries = json.loads((DATA / "queries.json").read_text())
        query_vectors = numpy.load(DATA / "queries_f16.npy").astype(numpy.float32)
        self._vectors = dict(zip(self.texts, vectors))
        self._vectors.update(zip(self.queries, query_vectors))

    def embed(self, text):
        return self._vectors[text].tolist()

    def nearest(self, query, count, keep=lambda row: True):
        """The exact answer, by numpy."""
        kept = [i for i, row in enumerate(self.rows) if keep(row)]
        matrix = numpy.stack([self._vectors[self.texts[i]] for i in kept])
        scores = matrix @ self._vectors[query]
        return [self.texts[kept[i]] for i in numpy.argsort(-scores, kind="stable")[:count]]
