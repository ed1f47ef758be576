"""One random program: a schema, rows, changes, and questions with the answers of the model."""

from dataclasses import dataclass, field

from pymilvus import DataType, MilvusClient, MilvusException

from . import geometry, structs, templates, values, vectors
from .conditions import question

DIM = 4
GEOMETRY = values.Type("geometry", DataType.GEOMETRY, "geometry", geometry.make)
STRUCT = values.Type("struct", DataType.ARRAY, "struct", structs.make)
DYNAMIC = values.Type("$meta", DataType.JSON, "dynamic", values.JSON.make)
TYPES = [*values.ALL, GEOMETRY, GEOMETRY]
SCALAR_INDEXES = {
    "bool": ["INVERTED", "BITMAP", "AUTOINDEX"],
    "int": ["INVERTED", "BITMAP", "STL_SORT", "AUTOINDEX"],
    "float": ["INVERTED", "STL_SORT", "AUTOINDEX"],
    "string": ["INVERTED", "BITMAP", "STL_SORT", "TRIE", "NGRAM", "AUTOINDEX"],
    "instant": ["STL_SORT", "AUTOINDEX"],
    "array": ["INVERTED", "AUTOINDEX"],
    "geometry": ["RTREE", "AUTOINDEX"],
}
JSON_CASTS = ["DOUBLE", "VARCHAR", "BOOL", "ARRAY_DOUBLE", "ARRAY_VARCHAR", "ARRAY_BOOL", "JSON"]


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


    def params(self, client):
        """What `add_field` is told besides the name."""
        if self.type is STRUCT:
            parts = client.create_struct_field_schema()
            parts.add_field("n", DataType.INT32)
            parts.add_field("w", DataType.VARCHAR, max_length=16)
            return {"element_type": DataType.STRUCT, "struct_schema": parts, "max_capacity": 8}
        params = {**self.type.params, "nullable": self.nullable}
        if self.default is not None:
            params["default_value"] = self.type.default_on_wire(self.default)
        return params


@dataclass
class Question:
    text: str
    params: dict
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
    vectors: list = field(default_factory=list)
    made: int = 0

    @classmethod
    def random(cls, name, rng):
        program = cls(name, rng, text_keys=rng.random() < 0.4)
        for type in rng.sample(TYPES, rng.randint(2, 6)):
            program.fields.append(program.new_field(type, rng.random() < 0.6))
        if rng.random() < 0.3:
            program.fields.append(Field("st", STRUCT, False, None))
        if rng.random() < 0.3:
            program.fields.append(Field("$meta", DYNAMIC, False, None))
        program.vectors = rng.sample(list(vectors.MAKERS), rng.randint(0, 2))
        return program

    def new_field(self, type, nullable):
        default = type.make(self.rng) if type.defaults and self.rng.random() < 0.25 else None
        self.made += 1
        return Field(f"f{self.made}_{type.name}", type, nullable, default)

    def key(self, number):
        return f"k{number:04}" if self.text_keys else number

    def create(self, client):
        schema = MilvusClient.create_schema(enable_dynamic_field=any(f.type is DYNAMIC for f in self.fields))
        if self.text_keys:
            schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=16)
        else:
            schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
        index = client.prepare_index_params()
        index.add_index("vector", index_type="FLAT", metric_type="L2")
        for f in self.fields:
            if f.type is not DYNAMIC:
                schema.add_field(f.name, f.type.data_type, **f.params(client))
        for kind in self.vectors:
            size = {} if kind == "sparse" else {"dim": vectors.DIM}
            schema.add_field(kind, vectors.MAKERS[kind][0], nullable=True, **size)
            index_type, metric = vectors.METRIC.get(kind, ("FLAT", "L2"))
            index.add_index(kind, index_type=index_type, metric_type=metric)
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
        near = [values.float32(self.rng.random()) for _ in range(DIM)]
        sent = {"id": self.key(number), "vector": near}
        for kind in self.vectors:
            sent[kind] = vectors.MAKERS[kind][1](self.rng) if self.rng.random() < 0.7 else None
        kept = dict(sent)
        for f in self.fields:
            value = f.value(self.rng)
            if f.type is DYNAMIC:
                sent.update(value)
                kept[f.name] = value
                continue
            left_out = value is None and self.rng.random() < 0.3
            if not left_out:
                sent[f.name] = value
            # A default beats an explicit null.
            kept[f.name] = f.default if value is None and f.default is not None else value
        self.rows[sent["id"]] = kept
        return sent

    def add_indexes(self, client, fields=None):
        params, before = client.prepare_index_params(), len(self.indexes)
        for f in self.fields if fields is None else fields:
            kind = f.type.kind.split("_")[0]
            if kind == "json":
                cast = self.rng.choice(JSON_CASTS)
                path = f'{f.name}["{self.rng.choice("abn")}"]'
                extra = {"json_cast_type": cast, "json_path": path}
                params.add_index(f.name, index_type="INVERTED", index_name=f"i_{f.name}", params=extra)
                self.indexes.append(f"{path} as {cast}")
            elif kind == "dynamic":
                key, cast = self.rng.choice("abn"), self.rng.choice(JSON_CASTS)
                extra = {"json_cast_type": cast, "json_path": key}
                params.add_index(key, index_type="INVERTED", index_name=f"i_{key}", params=extra)
                self.indexes.append(f"{key} as {cast}")
            elif kind == "struct":
                part = self.rng.choice("nw")
                params.add_index(f"st[{part}]", index_type="INVERTED", index_name=f"i_st_{part}")
                self.indexes.append(f"INVERTED on st[{part}]")
            elif kind in SCALAR_INDEXES and self.rng.random() < 0.8:
                name = self.rng.choice(SCALAR_INDEXES[kind])
                extra = {"min_gram": 1, "max_gram": 3} if name == "NGRAM" else {}
                params.add_index(f.name, index_type=name, index_name=f"i_{f.name}", params=extra)
                self.indexes.append(f"{name} on {f.name}")
        if len(self.indexes) > before:
            client.create_index(self.name, params)

    def questions(self, count=6):
        asked = []
        for _ in range(count):
            wanted = question(self.fields, self.rng)
            keys = sorted(key for key, row in self.rows.items() if wanted.truth(row) is True)
            text, params = templates.render(wanted.text, self.rng.random() < 0.4)
            asked.append(Question(text, params, keys))
        return asked

    def check(self, client, questions, when):
        """The server's answers; a list of what differs, empty if nothing does."""
        wrong = []
        for asked in questions:
            try:
                answers = self.answers(client, asked)
            except MilvusException as error:
                wrong.append(f"{when}: {asked.text} {asked.params}\n  {error}")
                continue
            for what, keys in answers.items():
                if keys != asked.keys:
                    wrong.append(self.complaint(f"{when}, {what}", asked, keys))
        wrong += self.check_rows(client, when)
        return wrong or self.check_search(client, questions, when)

    def answers(self, client, asked):
        """The keys that a query finds; its count, as the keys again if it is right."""
        options = {"filter": asked.text, "filter_params": asked.params}
        found = client.query(self.name, output_fields=["id"], limit=1000, **options)
        counted = client.query(self.name, output_fields=["count(*)"], **options)[0]["count(*)"]
        # pymilvus 3 makes a row for each element that passes an element filter.
        keys = list(dict.fromkeys(row["id"] for row in found))
        return {"query": keys, "count": asked.keys if counted == len(asked.keys) else [counted]}

    def complaint(self, when, asked, keys):
        extra = [key for key in keys if key not in asked.keys][:3]
        lost = [key for key in asked.keys if key not in keys][:3]
        rows = [self.rows.get(key) for key in [*extra, *lost]]
        return (
            f"{when}: {asked.text} {asked.params}\n  schema {[(f.name, f.nullable, f.default) for f in self.fields]}"
            f"\n  indexes {self.indexes}\n  extra {extra}, lost {lost}\n  rows {rows}"
        )

    def check_rows(self, client, when):
        """Every field of every row, read back."""
        found = client.query(self.name, filter="", output_fields=["*"], limit=1000)
        wrong = []
        for row in found:
            kept = self.rows.get(row["id"], {})
            for f in self.fields:
                got = {key: row[key] for key in ("a", "b", "n") if key in row} if f.type is DYNAMIC else row.get(f.name)
                if got != kept.get(f.name, "no such row"):
                    wrong.append(f"{when}: {f.name} of {row['id']} is {got!r}, not {kept.get(f.name)!r}")
            for kind in ["vector", *self.vectors]:
                if vectors.plain(row.get(kind)) != vectors.plain(kept.get(kind)):
                    wrong.append(f"{when}: {kind} of {row['id']} is {row.get(kind)!r}, not {kept.get(kind)!r}")
        if len(found) != len(self.rows):
            wrong.append(f"{when}: {len(found)} rows, not {len(self.rows)}")
        return wrong[:3]

    def check_search(self, client, questions, when):
        """A filtered search finds the nearest of the rows that pass."""
        asked = next((asked for asked in questions if "element_filter" not in asked.text), None)
        if asked is None:
            return []
        want = [0.5] * DIM
        near = sorted((distance(self.rows[key]["vector"], want), key) for key in asked.keys)[:10]
        hits = client.search(
            self.name, [want], anns_field="vector", limit=10, filter=asked.text, filter_params=asked.params
        )[0]
        far = [(hit["distance"], hit["id"]) for hit in hits]
        if len(far) == len(near) and all(
            abs(got - wanted) < 1e-5 and key in asked.keys for (got, key), (wanted, _) in zip(far, near, strict=True)
        ):
            return []
        return [f"{when}: search with {asked.text} {asked.params}\n  found {far}\n  not {near}"]

    def alter(self, client):
        """A field is added; where the client can, another is dropped."""
        added = self.new_field(self.rng.choice(TYPES), True)
        client.add_collection_field(self.name, added.name, added.type.data_type, **added.params(client))
        self.fields.append(added)
        for row in self.rows.values():
            row[added.name] = added.default
        self.add_indexes(client, [added])
        droppable = [f for f in self.fields[:-1] if f.type not in (DYNAMIC, STRUCT)]
        if hasattr(client, "drop_collection_field") and droppable and len(self.fields) > 2:
            gone = self.rng.choice(droppable)
            client.drop_collection_field(self.name, gone.name)
            self.fields.remove(gone)


def distance(left, right):
    return sum((a - b) ** 2 for a, b in zip(left, right, strict=True))
