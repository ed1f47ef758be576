"""One random program: a schema, rows, changes, and questions with the answers of the model."""

from dataclasses import dataclass, field

from pymilvus import DataType, MilvusClient

from . import values
from .conditions import condition

DIM = 4
SCALAR_INDEXES = {
    "bool": ["INVERTED", "BITMAP", "AUTOINDEX"],
    "int": ["INVERTED", "BITMAP", "STL_SORT", "AUTOINDEX"],
    "float": ["INVERTED", "STL_SORT", "AUTOINDEX"],
    "string": ["INVERTED", "BITMAP", "STL_SORT", "TRIE", "NGRAM", "AUTOINDEX"],
    "instant": ["STL_SORT", "AUTOINDEX"],
    "array": ["INVERTED", "AUTOINDEX"],
}


class Field:
    def __init__(self, name, type, nullable, default):
        self.name, self.type, self.nullable, self.default = name, type, nullable, default
        self.element = None
        if type.kind.startswith("array_"):
            self.element = next(t for t in values.SCALARS if f"array_{t.name}" == type.name)

    def value(self, rng):
        if self.nullable and rng.random() < 0.25:
            return None
        return self.type.make(rng)


@dataclass
class Question:
    text: str
    keys: list


@dataclass
class Program:
    """`rows` is the model: key to row."""

    name: str
    rng: object
    fields: list = field(default_factory=list)
    rows: dict = field(default_factory=dict)
    text_keys: bool = False
    indexes: list = field(default_factory=list)

    @classmethod
    def random(cls, name, rng):
        program = cls(name, rng, text_keys=rng.random() < 0.4)
        for number, type in enumerate(rng.sample(values.ALL, rng.randint(2, 6))):
            nullable = rng.random() < 0.6
            default = None
            if type.defaults and rng.random() < 0.25:
                default = type.make(rng)
            program.fields.append(Field(f"f{number}_{type.name}", type, nullable, default))
        return program

    def key(self, number):
        return f"k{number:04}" if self.text_keys else number

    def create(self, client):
        schema = MilvusClient.create_schema(enable_dynamic_field=False)
        if self.text_keys:
            schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=16)
        else:
            schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
        for f in self.fields:
            params = dict(f.type.params)
            if f.default is not None:
                params["default_value"] = f.type.default_on_wire(f.default)
            schema.add_field(f.name, f.type.data_type, nullable=f.nullable, **params)
        index = client.prepare_index_params()
        index.add_index("vector", index_type="FLAT", metric_type="L2")
        client.create_collection(
            self.name, schema=schema, index_params=index, consistency_level="Strong",
            num_shards=self.rng.choice([1, 1, 2]),
        )

    def write(self, client, count=60):
        """Inserts, upserts and deletes, here and in the model."""
        rng = self.rng
        for _ in range(rng.randint(1, 3)):
            numbers = rng.sample(range(count), rng.randint(1, count))
            client.upsert(self.name, [self.make_row(number) for number in numbers])
            gone = rng.sample(range(count), rng.randint(0, 8))
            if gone:
                client.delete(self.name, ids=[self.key(number) for number in gone])
                for number in gone:
                    self.rows.pop(self.key(number), None)

    def make_row(self, number):
        sent = {"id": self.key(number), "vector": [self.rng.random() for _ in range(DIM)]}
        kept = {"id": sent["id"]}
        for f in self.fields:
            value = f.value(self.rng)
            left_out = value is None and self.rng.random() < 0.3
            if not left_out:
                sent[f.name] = value
            # A default beats an explicit null.
            kept[f.name] = f.default if value is None and f.default is not None else value
        self.rows[sent["id"]] = kept
        return sent

    def add_indexes(self, client):
        params = client.prepare_index_params()
        for f in self.fields:
            kind = f.type.kind.split("_")[0]
            if kind == "json":
                cast = self.rng.choice(["DOUBLE", "VARCHAR", "BOOL", "ARRAY_DOUBLE", "ARRAY_VARCHAR"])
                path = f'{f.name}["{self.rng.choice("abn")}"]'
                extra = {"json_cast_type": cast, "json_path": path}
                params.add_index(f.name, index_type="INVERTED", index_name=f"i_{f.name}", params=extra)
                self.indexes.append(f"{path} as {cast}")
            elif kind in SCALAR_INDEXES and self.rng.random() < 0.8:
                name = self.rng.choice(SCALAR_INDEXES[kind])
                extra = {"min_gram": 1, "max_gram": 3} if name == "NGRAM" else {}
                params.add_index(f.name, index_type=name, index_name=f"i_{f.name}", params=extra)
                self.indexes.append(f"{name} on {f.name}")
        if self.indexes:
            client.create_index(self.name, params)

    def questions(self, count=6):
        asked = []
        for _ in range(count):
            wanted = condition(self.fields, self.rng)
            keys = sorted(key for key, row in self.rows.items() if wanted.truth(row) is True)
            asked.append(Question(wanted.text, keys))
        return asked

    def check(self, client, questions, when):
        """The server's answers; a list of what differs, empty if nothing does."""
        wrong = []
        for question in questions:
            found = client.query(self.name, filter=question.text, output_fields=["id"], limit=1000)
            keys = [row["id"] for row in found]
            counted = client.query(self.name, filter=question.text, output_fields=["count(*)"])
            if keys != question.keys or counted[0]["count(*)"] != len(question.keys):
                extra = sorted(set(keys) - set(question.keys))[:3]
                lost = sorted(set(question.keys) - set(keys))[:3]
                rows = [self.rows.get(key) for key in [*extra, *lost]]
                wrong.append(
                    f"{when}: {question.text}\n  schema {[(f.name, f.nullable, f.default) for f in self.fields]}"
                    f"\n  indexes {self.indexes}\n  extra {extra}, lost {lost}, count {counted[0]}"
                    f" for {len(question.keys)}\n  rows {rows}"
                )
        return wrong
