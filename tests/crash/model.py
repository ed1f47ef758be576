"""What must be there after a crash, by what the writers were told.

The state of the server is a set of cells: a row, a collection, a partition, a load. A cell holds a
value (for a row, the number of the operation that wrote it) or None when there is nothing. An
operation names the cells it changes and their new values. It is begun, and then acknowledged or in
doubt. After a restart a cell must hold its acknowledged value, or what an operation in doubt would
have made of it; and an operation in doubt has happened as a whole or not at all.

Promises: `compare` reports every difference by name: lost (acknowledged, and gone), resurrected (an
older value is back), invented (a value nobody wrote), torn (half of one operation).
"""

import dataclasses
import threading


@dataclasses.dataclass(frozen=True)
class Violation:
    kind: str  # lost, resurrected, invented, torn, or what a writer saw: stale
    cell: tuple
    want: object
    got: object

    def __str__(self):
        return f"{self.kind}: {'/'.join(map(str, self.cell))} want {self.want} got {self.got}"


@dataclasses.dataclass
class Operation:
    number: int
    kind: str
    effects: dict  # cell -> value after it


class Model:
    """Thread-safe; every writer changes cells of its own only."""

    def __init__(self):
        self._lock = threading.Lock()
        self._next = 1
        self._acked = {}  # cell -> value; None or missing: nothing there
        self._history = {}  # cell -> every value an operation ever tried to give it
        self._doubts = []  # operations in doubt since the last comparison
        self._stale = []
        self.acknowledged = {}  # kind of operation -> how many were acknowledged

    def number(self):
        with self._lock:
            self._next += 1
            return self._next - 1

    def begin(self, number, kind, effects):
        operation = Operation(number, kind, dict(effects))
        with self._lock:
            for cell, value in operation.effects.items():
                self._history.setdefault(cell, set()).add(value)
        return operation

    def acknowledge(self, operation):
        with self._lock:
            self._acked.update(operation.effects)
            self.acknowledged[operation.kind] = self.acknowledged.get(operation.kind, 0) + 1

    def doubt(self, operation):
        """The call failed or was cut off: it may have happened, or may not."""
        with self._lock:
            self._doubts.append(operation)

    def assume(self, cells):
        """The comparison itself made these cells 1 (it loads a collection to see its rows)."""
        with self._lock:
            self._acked.update(dict.fromkeys(cells, 1))

    def get(self, cell):
        with self._lock:
            return self._acked.get(cell)

    def live(self, *prefix):
        """Cells with a value whose first parts are `prefix`."""
        with self._lock:
            return {
                cell: value
                for cell, value in self._acked.items()
                if value is not None and cell[: len(prefix)] == prefix
            }

    def saw(self, cell, want, got):
        """A writer read its own acknowledged write and got something else."""
        with self._lock:
            self._stale.append(Violation("stale", cell, want, got))

    def compare(self, observed):
        """Violations of `observed` (cell -> value); afterwards the model is what was observed."""
        with self._lock:
            found, self._stale = self._stale, []
            for cell in {*self._acked, *observed, *(c for d in self._doubts for c in d.effects)}:
                got = observed.get(cell)
                acked = self._acked.get(cell)
                allowed = {acked, *(d.effects[cell] for d in self._doubts if cell in d.effects)}
                if got not in allowed:
                    found.append(Violation(self._name(cell, got), cell, acked, got))
            found += [v for d in self._doubts if (v := self._torn(d, observed))]
            self._acked = {cell: value for cell, value in observed.items() if value is not None}
            self._doubts = []
            return found

    def _name(self, cell, got):
        if got is None:
            return "lost"
        if got not in self._history.get(cell, ()):
            return "invented"
        return "resurrected" if self._acked.get(cell) is None else "lost"

    def _torn(self, doubt, observed):
        """An operation in doubt of which one cell shows that it happened, and another that not."""
        happened, not_happened = None, None
        for cell, value in doubt.effects.items():
            others = {self._acked.get(cell)}
            others |= {d.effects[cell] for d in self._doubts if d is not doubt and cell in d.effects}
            if value in others:
                continue  # the cell looks the same either way
            if observed.get(cell) == value:
                happened = cell
            else:
                not_happened = cell
        if happened is None or not_happened is None:
            return None
        return Violation("torn", not_happened, f"operation {doubt.number} ({doubt.kind})", happened)
