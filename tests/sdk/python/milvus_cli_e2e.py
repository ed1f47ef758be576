"""milvus_cli, unchanged, through one round of work. Usage: ... URI

The commands run in this process, as its prompt runs them; what it asks is answered from `answers`.
"""

import csv
import json
import pathlib
import sys
import tempfile

from click.testing import CliRunner
from milvus_cli.scripts.milvus_cli import cli

runner = CliRunner()


def command(line, *answers, expect=()):
    done = runner.invoke(cli, line.split(), input="".join(f"{answer}\n" for answer in answers))
    failed = done.exception or "Error!" in done.output
    if failed or any(text not in done.output for text in expect):
        sys.exit(f"{line}: {done.output}\n{done.exception!r}, expected {expect}")
    print("ok", line)


with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    schema = folder / "schema.json"
    schema.write_text(
        json.dumps(
            {
                "collection_name": "cli_e2e",
                "auto_id": False,
                "enable_dynamic_field": False,
                "consistency_level": 0,
                "shards_num": 1,
                "fields": [
                    {"name": "id", "type": "INT64", "is_primary": True},
                    {"name": "vector", "type": "FLOAT_VECTOR", "dim": 4},
                    {"name": "color", "type": "VARCHAR", "max_length": 32},
                ],
            }
        )
    )
    rows = folder / "rows.csv"
    with open(rows, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "vector", "color"])
        for i in range(20):
            writer.writerow([i, json.dumps([float(i), 1.0, 0.0, 0.5]), json.dumps(["red", "green"][i % 2])])

    command(f"connect -uri {sys.argv[1]}", expect=["successfully"])
    command("create database -db cli_db")
    command("list databases", expect=["cli_db", "default"])
    command("use database -db cli_db")
    command(f"create collection --schema-file {schema}")
    command("list collections", expect=["cli_e2e"])
    command(f"insert file -c cli_e2e {rows}", expect=["Inserted successfully"])
    command("flush -c cli_e2e")
    command("create index", "cli_e2e", "vector", "by_vector", "HNSW", "L2", 16, 64, expect=["successfully"])
    command("list indexes -c cli_e2e", expect=["vector", "HNSW"])
    command("load collection -c cli_e2e")
    command("show load_state -c cli_e2e", expect=["Loaded"])
    command("show collection -c cli_e2e", expect=["color", "max_length: 32"])
    command("show collection_stats -c cli_e2e", expect=["20"])
    command("show replicas -c cli_e2e")
    command("show query_segment_info -c cli_e2e")
    command("create partition -c cli_e2e -p spare")
    command("list partitions -c cli_e2e", expect=["_default", "spare"])
    command("create alias -c cli_e2e -a other_name")
    command("list aliases -c cli_e2e", expect=["other_name"])
    command(
        "query", "cli_e2e", 'color == "red" and id < 5', "", "id,color", "", "", "",
        expect=["red", "4"],
    )
    command(
        "search", "cli_e2e", "vector", "[3.0, 1.0, 0.0, 0.5]", 64, "", "", 2, "", "", "id,color", "",
        expect=["green"],
    )
    command("delete alias -a other_name")
    command("release collection -c cli_e2e")
    command("rename collection -old cli_e2e -new cli_renamed")
    command("delete collection -c cli_renamed -y")
    command("use database -db default")
    command("delete database -db cli_db -y")
print("done")
