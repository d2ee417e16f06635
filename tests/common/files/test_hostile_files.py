"""Files that would run code by being read (CVE-2023-47248) are refused at every entrance."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = ("common", "components", "labs", "pipeline", "schemas", "service")

MAKE = """
import sys
import pyarrow as pa, pyarrow.parquet as pq


class Hostile(pa.PyExtensionType):
    def __init__(self):
        super().__init__(pa.int64())
    def __reduce__(self):
        return (open, (sys.argv[2], "w"))

column = pa.ExtensionArray.from_storage(Hostile(), pa.array([1, 2]))
table = pa.table({"setup": column})
pq.write_table(table, f"{sys.argv[1]}/hostile.parquet")
with pa.ipc.new_file(f"{sys.argv[1]}/hostile.arrow", table.schema) as writer:
    writer.write_table(table)
"""

ENTRANCES = {
    "Parquet": "from common.files.arrow import parquet_file as f; f('hostile.parquet')",
    "whole table": "from common.files.arrow import parquet_table as f; f('hostile.parquet')",
    "Arrow": "from pathlib import Path; from common.files.arrow import mapped_table as f; "
    "f(Path('hostile.arrow'))",
    "ab-report": "from pipeline.cli import main; main(['ab-report', 'hostile.parquet'])",
    "routing table": "from pathlib import Path; "
    "from common.routing.serving_file import map_serving_file as f; f(Path('hostile.arrow'))",
    "log": "from pathlib import Path; from components.example_gen.readers.plain import open_source;"
    "from components.example_gen.readers.source import Window; from datetime import date;"
    "from schemas.contract import load_contract; c = load_contract('simulator');"
    "c = c.model_copy(update={'input': c.input.model_copy(update={'pattern': '*.parquet'})});"
    "open_source(c, Path('.'), Window(date(2024, 1, 1), date(2024, 1, 2))).shards()",
}
"""What reads a file, each in a process of its own that has imported nothing else."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("hostile")
    subprocess.run([sys.executable, "-c", MAKE, str(made), str(made / "ran")], check=True)
    return made


def run(code: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr


@pytest.mark.skipif(int(pa.__version__.split(".")[0]) >= 14, reason="mended in pyarrow 14.0.1")
def test_the_file_does_run_its_code_where_nothing_is_done_about_it(folder: Path) -> None:
    run("import pyarrow.parquet as pq; pq.ParquetFile('hostile.parquet').schema_arrow", folder)
    assert (folder / "ran").exists()
    (folder / "ran").unlink()


@pytest.mark.parametrize("entrance", ENTRANCES)
def test_a_hostile_file_is_refused(folder: Path, entrance: str) -> None:
    said = run(ENTRANCES[entrance], folder)
    assert not (folder / "ran").exists()
    assert "forbidden" in said.lower() or "arrow.py_extension_type" in said


OPENERS = {
    "ParquetFile",
    "ParquetDataset",
    "read_table",
    "read_feather",
    "open_file",
    "open_stream",
}
PANDAS = {"read_parquet", "read_feather", "read_pickle"}
ALLOWED = ("common/files/arrow.py",)


def calls(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        owner = ast.unparse(node.func.value)
        if node.func.attr in OPENERS or (owner == "pd" and node.func.attr in PANDAS):
            found.append(f"{path.relative_to(ROOT)}:{node.lineno} {owner}.{node.func.attr}")
    return found


def test_files_are_opened_in_one_place() -> None:
    """The patch is a process's, once it is imported: no reader may open a file without it."""
    files = [p for name in PACKAGES for p in (ROOT / name).rglob("*.py")]
    found = [c for p in files if str(p.relative_to(ROOT)) not in ALLOWED for c in calls(p)]
    assert found == []


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    from common.files.arrow import mapped_table, parquet_table

    table = pa.table({"a": [1, 2], "b": ["x", None]})
    pa.parquet.write_table(table, tmp_path / "a.parquet")
    with pa.ipc.new_file(str(tmp_path / "a.arrow"), table.schema) as writer:
        writer.write_table(table)
    assert parquet_table(tmp_path / "a.parquet").equals(table)
    assert parquet_table(tmp_path / "a.parquet", ["b"]).equals(table.select(["b"]))
    assert mapped_table(tmp_path / "a.arrow").equals(table)
